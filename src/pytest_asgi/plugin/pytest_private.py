"""Every use of private pytest, each with its reason. Checked with pytest 8.4, 9.0, 9.1 and 9.2.

Nothing else in the package imports `_pytest` or reads an attribute of pytest's that starts with
an underscore.
"""

from __future__ import annotations

import inspect
import threading
from typing import TYPE_CHECKING, Any

import _pytest.python
import pytest
from _pytest.fixtures import resolve_fixture_function

from pytest_asgi.plugin.function_kinds import is_async_function

if TYPE_CHECKING:
    from bdb import Bdb
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
    from pathlib import Path


__tracebackhide__ = True  # a failure ends in the user's line

_making_folder = threading.Lock()


def fixture_definitions(item: pytest.Function) -> Iterable[pytest.FixtureDef[Any]]:
    """Return the fixtures that `item` uses, with all that they override.

    `Function.fixturenames` is public, but names have no public way to their definitions.
    """
    for definitions in item._fixtureinfo.name2fixturedefs.values():
        yield from definitions


def request_of(item: pytest.Function) -> pytest.FixtureRequest:
    """Return the request through which `item` gets its fixtures.

    A hook around a test has no public way to a fixture's value before the test asks for it.
    """
    return item._request


def scope_of_fixture(item: pytest.Function, name: str) -> str | None:
    """Return the scope of the fixture that `item` sees under this name, if there is one.

    `Function.fixturenames` is public, but names have no public way to their definitions.
    """
    definitions = item._fixtureinfo.name2fixturedefs.get(name)
    return definitions[-1].scope if definitions else None


def is_used_by(item: pytest.Function, fixture: pytest.FixtureDef[Any]) -> bool:
    """Tell whether `item` uses `fixture`, so far or by what its signature and its marks say.

    Public are only the names of fixtures, and a name may be overridden.
    """
    if fixture in item._request._fixture_defs.values():
        return True
    return any(
        fixture in _reached(name, definitions)
        for name, definitions in item._fixtureinfo.name2fixturedefs.items()
    )


def _reached(
    name: str, definitions: Sequence[pytest.FixtureDef[Any]]
) -> Iterator[pytest.FixtureDef[Any]]:
    """Yield the fixture of this name, and those that it overrides and asks for."""
    for definition in reversed(definitions):
        yield definition
        if name not in definition.argnames:
            return


def tell_requests(
    request: pytest.FixtureRequest, tell: Callable[[pytest.FixtureDef[Any]], object]
) -> None:
    """Call `tell` with each fixture that a fixture gets through its `request`.

    What it asks for with `getfixturevalue` is written down nowhere if it has been set up before.
    """
    get = request._get_active_fixturedef

    def get_and_tell(name: str) -> Any:
        definition = get(name)
        if name != "request":
            tell(definition)
        return definition

    request._get_active_fixturedef = get_and_tell  # type: ignore[method-assign, assignment]


def raise_when_requested(fixture: pytest.FixtureDef[Any], error: BaseException) -> None:
    """Let every request for a fixture that is set up raise `error`, until it is torn down.

    That is what pytest does with the exception of a set-up; there is no public way to do so later.
    """
    if fixture.cached_result is not None:
        fixture.cached_result = (None, fixture.cached_result[1], (error, error.__traceback__))


def test_arguments(item: pytest.Function) -> dict[str, Any]:
    """Return the arguments that pytest would call the test function with.

    `Function.funcargs` is public but also holds fixtures that the function does not take.
    """
    return {name: item.funcargs[name] for name in item._fixtureinfo.argnames}


def bound_fixture_function(
    definition: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Callable[..., Any]:
    """Return the fixture function bound to the test's instance, as pytest would call it.

    pytest binds while it calls, and offers no public way to do the one without the other.
    """
    return resolve_fixture_function(definition, request)


def replace_function(definition: pytest.FixtureDef[Any], function: Callable[..., Any]) -> None:
    """Let `definition` call `function`.

    `FixtureDef.func` is public to read; pytest refuses to call an async function, and wrapping
    the function is how pytest-asyncio and anyio answer that too.
    """
    definition.func = function  # type: ignore[misc]  # declared Final


def running_tests(session: pytest.Session) -> list[pytest.Item]:
    """Return the tests that have been set up and not been torn down, or are just being that.

    There is one, unless tests run at the same time. No hook tells of all of them.
    """
    state = session._setupstate
    branches: dict[object, dict[Any, Any]] = getattr(state, "branches", {})  # of tests at one time
    stacks = [state.stack, *branches.values()]
    return [node for stack in stacks for node in stack if isinstance(node, pytest.Item)]


def tear_down_fixtures(item: pytest.Item) -> list[BaseException]:
    """Tear down the function-scoped fixtures of the running test now; return what they raised.

    pytest does this after it has reported the test. A test that was cancelled by a task group in a
    fixture is reported with the exception that the group raises when it is left.
    """
    finalizers, _ = item.session._setupstate.stack[item]
    return _run(finalizers, until=1)  # the first one is the item's own tear-down


def add_last_finalizer(item: pytest.Item, finalizer: Callable[[], object]) -> bool:
    """Let `finalizer` be called after all others of a test, if it runs; tell whether it does.

    `addfinalizer` is public, but what is added last is called first.
    """
    stack = item.session._setupstate.stack
    if item not in stack:
        return False
    finalizers, _ = stack[item]
    finalizers.insert(1, finalizer)  # the first one is the item's own tear-down
    return True


def tear_down_everything(session: pytest.Session) -> list[BaseException]:
    """Tear down whatever is set up, in the order of pytest; return what was raised.

    `pytest_sessionfinish` would do it later, outside the test's task, and would stop at the first
    KeyboardInterrupt that a tear-down raises.
    """
    stack = session._setupstate.stack
    errors: list[BaseException] = []
    while stack:
        _, (finalizers, _) = stack.popitem()
        errors.extend(_run(finalizers))
    return errors


def what_is_set_up(session: pytest.Session) -> dict[Any, Any]:
    """Return what `tear_down_rest` is to be given when a tear-down was interrupted."""
    return session._setupstate.stack.copy()


def tear_down_rest(session: pytest.Session, set_up: dict[Any, Any]) -> None:
    """Run, when an interrupt has broken off pytest's tear-down, what is left of its node's.

    pytest takes a node off its stack before it tears it down, and stops at an interrupt.

    Args:
        session: The session.
        set_up: What was set up before.
    """
    for node in reversed(set_up):
        if node not in session._setupstate.stack:
            finalizers, _ = set_up[node]
            _run(finalizers)


def _run(finalizers: list[Callable[[], object]], *, until: int = 0) -> list[BaseException]:
    errors: list[BaseException] = []
    while len(finalizers) > until:
        try:
            finalizers.pop()()
        except BaseException as error:  # noqa: BLE001 - returned
            errors.append(error)
    return errors


def tracing_debugger(item: pytest.Function) -> tuple[Bdb, Callable[..., Any]] | None:
    """Return the debugger that `--trace` has put around the test's function, and the function.

    pytest lets the debugger call the function, which for a coroutine function runs nothing.
    """
    function = getattr(item.obj, "__wrapped__", None)
    debugger = inspect.getclosurevars(item.obj).nonlocals.get("_pdb")
    return None if function is None or debugger is None else (debugger, function)


def requesting_test(request: pytest.FixtureRequest) -> pytest.Function:
    """Return the test that a fixture is being set up for.

    `request.node` is the module or the session for a fixture of that scope.
    """
    return request._pyfuncitem


def visible_fixture(node: pytest.Collector, name: str) -> pytest.FixtureDef[Any] | None:
    """Return the fixture that tests below `node` see under this name, if there is one.

    Names have no public way to their definitions, least of all before the tests are made.
    """
    definitions = node.session._fixturemanager.getfixturedefs(name, node)
    return definitions[-1] if definitions else None


def has_fixture(session: pytest.Session, name: str) -> bool:
    """Tell whether any plugin or the top-most conftest defines a fixture of this name.

    Fixtures of ours that give way must be registered after looking, and pytest tells only a test.
    """
    return bool(session._fixturemanager.getfixturedefs(name, session))


def temporary_folder(config: pytest.Config) -> Path | None:
    """Return the folder that `tmp_path` folders are in; `None` without pytest's own plugin for it.

    The public way to it is a fixture, and connections are opened outside of fixtures too.
    """
    factory = getattr(config, "_tmp_path_factory", None)
    with _making_folder:  # which pytest does at the first call; several threads may connect
        return None if factory is None else factory.getbasetemp()


def cache_folder(config: pytest.Config, name: str) -> Path | None:
    """Return where `config.cache.mkdir(name)` makes a folder; `None` without pytest's cache.

    The public way makes it, and most runs have nothing to put there.
    """
    cache = getattr(config, "cache", None)
    return None if cache is None else cache._cachedir / cache._CACHE_PREFIX_DIRS / name


def active_fixture(request: pytest.FixtureRequest, name: str) -> pytest.FixtureDef[Any]:
    """Return the fixture `name` as the requesting one sees it, which is set up.

    A request gives the value of a fixture; its scope and its end are the definition's.
    """
    return request._get_active_fixturedef(name)


def wait_in_xunit_functions(
    monkeypatch: pytest.MonkeyPatch, wait: Callable[[Awaitable[object], str], object]
) -> None:
    """Let `wait` await what async `setup_method`, `teardown_module` and their like return.

    pytest calls these from fixtures that it builds while collecting, drops what they return, and
    has no hook around the call. Synchronous ones are called as before.
    """
    call = _pytest.python._call_with_optional_argument

    def call_or_wait(function: Callable[..., Any], argument: object) -> None:
        if is_async_function(function):
            arguments = [argument] if inspect.signature(function).parameters else []
            wait(function(*arguments), function.__name__)
        else:
            call(function, argument)

    monkeypatch.setattr(_pytest.python, "_call_with_optional_argument", call_or_wait)
