"""Every use of private pytest that tests at the same time need, each with its reason.

The rest of the plugin keeps its own in `plugin/pytest_private.py`. pytest runs one test after
another and has no public way to anything else: what a test has set up is one stack, a fixture's
value is kept in its definition, and the plugins for output replace what the process has only once.
"""

from __future__ import annotations

import copy
import dataclasses
import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import _pytest.logging
import _pytest.runner
from _pytest.fixtures import FixtureDef
from _pytest.runner import SetupState, call_and_report

from pytest_asgi.runner.bridge import passenger

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from contextlib import AbstractContextManager

    import pytest

    Stack = dict[Any, Any]
    Phase = Callable[[str, pytest.Item], AbstractContextManager[None]]


def run_phases(
    item: pytest.Function, next_of: Callable[[], pytest.Item | None]
) -> list[pytest.TestReport]:
    """Set up, call and tear down a test; return the reports instead of logging them.

    `runtestprotocol` takes the next test before it begins. Here it is known only at the end, for
    it decides whether the module is torn down too.
    """
    try:
        reports = [call_and_report(item, "setup", log=False)]
        if reports[0].passed:
            reports.append(call_and_report(item, "call", log=False))
        reports.append(call_and_report(item, "teardown", log=False, nextitem=next_of()))
    finally:
        item._request = False  # type: ignore[assignment]
        item.funcargs = None  # type: ignore[assignment]
    return reports


def give_own_fixtures(item: pytest.Function) -> None:
    """Give a test definitions of its own of the fixtures of function scope.

    A definition keeps the fixture's value, and all tests of a module share it.
    """
    shared = item._fixtureinfo.name2fixturedefs
    definitions: dict[str, Sequence[FixtureDef[Any]]] = {
        name: tuple(map(_own, each)) for name, each in shared.items()
    }
    item._fixtureinfo = dataclasses.replace(item._fixtureinfo, name2fixturedefs=definitions)
    item._initrequest()


def _own(definition: FixtureDef[Any]) -> FixtureDef[Any]:
    if definition.scope != "function":
        return definition
    own = copy.copy(definition)
    own.cached_result = None
    own._finalizers = []  # type: ignore[misc]  # declared Final
    return own


def wider_parameters(item: pytest.Function) -> dict[str, object]:
    """Return, for each parametrized fixture of a wider scope, which of its values a test uses.

    pytest ends such a fixture when a test comes that wants another value.
    """
    call = getattr(item, "callspec", None)
    if call is None:
        return {}
    return {
        name: call.indices[name]
        for name, scope in call._arg2scope.items()
        if scope.value != "function"
    }


def given_to_worker(config: pytest.Config) -> tuple[list[int], bool] | None:
    """Return what a worker of pytest-xdist runs next, and whether nothing will follow.

    Args:
        config: The configuration of the session.

    Returns:
        Positions among the session's tests; `None` in a process that is no worker. The last one
        has to wait for the one that follows it if that is not known yet.
    """
    for plugin in config.pluginmanager.get_plugins():
        queue = getattr(plugin, "torun", None)
        if queue is not None and hasattr(config, "workerinput"):
            with queue.lock() as coming:
                given = [plugin.nextitem_index, *coming]
            indices = [index for index in given if isinstance(index, int)]
            return indices, len(indices) < len(given)
    return None


class SharedSetupState(SetupState):
    """What is set up: one stack for each running test, of which all but the test is shared.

    Attributes:
        branches: The stacks of tests that run beside others.
    """

    def __init__(self, trunk: Stack) -> None:
        self._trunk = trunk
        self.branches: dict[object, Stack] = {}

    @property
    def stack(self) -> Stack:  # type: ignore[override]  # an attribute there, but never set
        """The stack as the calling test sees it."""
        return self.branches.get(passenger(), self._trunk)

    @property
    def is_shared(self) -> bool:
        """Whether the calling test runs beside others."""
        return passenger() in self.branches

    @contextmanager
    def branch(self) -> Generator[None]:
        """Let the calling test run beside others in the block."""
        test = passenger()
        self.branches[test] = {}
        try:
            yield
        finally:
            del self.branches[test]

    def setup(self, item: pytest.Item) -> None:
        """Set up a test, and before it what no other test has set up."""
        if self.is_shared:
            self._set_up_collectors(item)
        super().setup(item)

    def _set_up_collectors(self, item: pytest.Item) -> None:
        # All at once and without waiting: only a test's own set-up waits.
        self.stack.update(self._trunk)
        try:
            super().setup(item.parent)  # type: ignore[arg-type]  # it takes any node
        finally:
            self._trunk.update(self.stack)

    def teardown_exact(self, nextitem: pytest.Item | None) -> None:
        """Tear down a test, and what no other test needs."""
        if not self.is_shared:
            super().teardown_exact(nextitem)
            return
        # A test that was skipped has set up nothing, and may all the same be the last.
        own = {node: entry for node, entry in self.stack.items() if node not in self._trunk}
        self.stack.clear()
        self.stack.update(self._trunk | own)
        try:
            super().teardown_exact(nextitem)
        finally:
            for node in self._trunk.keys() - self.stack.keys():
                del self._trunk[node]


def share_setup_state(session: pytest.Session) -> SharedSetupState:
    """Let several tests of a session be set up at the same time."""
    if not isinstance(session._setupstate, SharedSetupState):
        session._setupstate = SharedSetupState(session._setupstate.stack)
    return session._setupstate


def is_shared(item: pytest.Item) -> bool:
    """Tell whether the calling code belongs to a test that runs beside others."""
    state = item.session._setupstate
    return isinstance(state, SharedSetupState) and state.is_shared


def tear_down(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Tear down a test that pytest does not tear down, because the session is interrupted."""
    item.session._setupstate.teardown_exact(nextitem)


def set_up_wider_fixtures_once(
    patches: pytest.MonkeyPatch,
    state: SharedSetupState,
    alone: Callable[[FixtureDef[Any]], AbstractContextManager[None]],
) -> None:
    """Let nobody else in while a test sets up a fixture that others may ask for as well.

    pytest looks whether a fixture has a value, and then sets it up, in one function.
    """
    execute = FixtureDef.execute

    def execute_alone(self: FixtureDef[Any], request: Any) -> object:
        if self.scope == "function" or not state.is_shared:
            return execute(self, request)
        with alone(self):
            return execute(self, request)

    patches.setattr(FixtureDef, "execute", execute_alone)


def give_own_dynamic_fixtures(
    patches: pytest.MonkeyPatch, state: SharedSetupState, session: pytest.Session
) -> None:
    """Do as `give_own_fixtures` for what tests get by `request.getfixturevalue`."""
    manager = session._fixturemanager
    find = manager.getfixturedefs

    def find_own(name: str, node: Any) -> Any:
        found = find(name, node)
        return tuple(map(_own, found)) if found and state.is_shared else found

    patches.setattr(manager, "getfixturedefs", find_own)


def leave_current_test_alone(patches: pytest.MonkeyPatch) -> None:
    """Let tests that run beside others not say in `PYTEST_CURRENT_TEST` that they do.

    pytest removes the variable at the end of a test, and fails if another one has done so.
    """
    update = _pytest.runner._update_current_test_var

    def update_if_alone(item: pytest.Item, when: Any) -> None:
        if not is_shared(item):
            update(item, when)

    patches.setattr(_pytest.runner, "_update_current_test_var", update_if_alone)


class Output:
    """pytest's capturing of standard streams and of logging, as far as it is switched on.

    Both plugins put their own objects in the place of global ones for each phase of a test.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._streams: Any = config.pluginmanager.get_plugin("capturemanager")
        self._logging: Any = config.pluginmanager.get_plugin("logging-plugin")

    @property
    def captures_streams(self) -> bool:
        """Whether pytest captures the standard streams (`-s` switches it off)."""
        return self._streams is not None and bool(self._streams.is_globally_capturing())

    @property
    def captures_logging(self) -> bool:
        """Whether pytest captures what is logged."""
        return self._logging is not None

    @contextmanager
    def streams_on(self) -> Generator[list[str]]:
        """Capture in the block; afterwards the list holds what came out, and what as an error."""
        caught: list[str] = []
        self._streams.resume_global_capture()
        try:
            yield caught
        finally:
            self._streams.suspend_global_capture(in_=False)
            caught += self._streams.read_global_capture()

    def replace_streams(self, patches: pytest.MonkeyPatch, phase: Phase) -> None:
        """Let `phase` stand around each phase of a test that runs beside others."""
        if self._streams is not None:
            original = self._streams.item_capture
            patches.setattr(
                self._streams,
                "item_capture",
                lambda when, item: (phase if is_shared(item) else original)(when, item),
            )

    def replace_logging(self, patches: pytest.MonkeyPatch, phase: Phase) -> None:
        """Let `phase` stand around each phase of a test that runs beside others."""
        if self._logging is None:
            return
        original = self._logging._runtest_for

        def choose(item: pytest.Item, when: str) -> AbstractContextManager[None]:
            if not is_shared(item):
                return original(item, when)  # type: ignore[no-any-return]
            item.stash[_pytest.logging.caplog_handler_key] = self._logging.caplog_handler
            return phase(when, item)

        patches.setattr(self._logging, "_runtest_for", choose)

    def log_handler(self) -> logging.Handler:
        """Return a handler that writes to a stream of its own as the plugin would."""
        handler = _pytest.logging.LogCaptureHandler()
        if self._logging is not None:
            handler.setFormatter(self._logging.formatter)
            handler.setLevel(self._logging.log_level or logging.NOTSET)
        return handler

    @contextmanager
    def log_level(self) -> Generator[None]:
        """Let everything be logged in the block that the project wants to see (`log_level`)."""
        root = logging.getLogger()
        before, wanted = root.level, self._logging and self._logging.log_level
        if wanted is not None:
            root.setLevel(min(before, wanted))
        try:
            yield
        finally:
            root.setLevel(before)
