"""Hand tests to the runner: one task and one context around pytest's own protocol of a test.

Registered after all other plugins, so that its hooks come first: a coroutine function that has
been handed to the runner is an ordinary function for everybody else.
"""

from __future__ import annotations

import inspect
from functools import wraps
from typing import TYPE_CHECKING, Any
from warnings import warn

import pytest

from pytest_asgi.asgi.modes import rules_mode
from pytest_asgi.plugin import pytest_private
from pytest_asgi.plugin.asynchronous import (
    has_async_xunit_functions,
    inner_function,
    is_async_test,
    is_unittest,
    test_function,
)
from pytest_asgi.plugin.function_kinds import is_async_function
from pytest_asgi.plugin.hooks import RestOfHook
from pytest_asgi.plugin.neighbours import can_run
from pytest_asgi.plugin.settings import settings_of_test
from pytest_asgi.plugin.tracebacks import hides_our_frames
from pytest_asgi.plugin.trio.choice import options_of, parameters_of
from pytest_asgi.plugin.verdict import (
    add_background,
    generator_test,
    no_runner,
    raise_together,
)

if TYPE_CHECKING:
    from collections.abc import Generator

    from pytest_asgi.plugin.assembly import Assembly

__tracebackhide__ = hides_our_frames


class Execution:
    """The hooks around each test."""

    def __init__(self, assembly: Assembly) -> None:
        self._assembly = assembly
        self._neighbours = assembly.neighbours
        self._rest = RestOfHook(self)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> object | None:
        """Carry out the protocol of a test that needs the loop in a task of the test's own.

        Whatever else would have run the test (pytest, or a plugin that runs it again when it
        fails) runs it there.
        """
        if not self._needs_loop(item):
            return None
        run = self._rest.of(item.config.hook.pytest_runtest_protocol)
        assembly = self._assembly

        def protocol() -> object:
            try:
                return run(item=item, nextitem=nextitem)
            except BaseException as error:
                # An interrupt or `pytest.exit()`: the session ends, and pytest would tear down
                # what is set up only after this task is gone.
                errors = pytest_private.tear_down_everything(item.session)
                add_background(error, [each for each in errors if isinstance(each, Exception)])
                raise

        assert isinstance(item, pytest.Function)
        is_trio = assembly.trio_choice.of(item)
        if is_trio:
            options = options_of(item, parameters_of(item).get("anyio_backend", "trio"))
            return assembly.trio.run_test(protocol, item, **options)
        loop = assembly.waiting.loop
        try:
            return loop.run_test(protocol, context=loop.shared_context.copy(), name=item.nodeid)
        finally:
            if is_trio is None and assembly.is_on_trio:
                assembly.trio.end_test()

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> object | None:
        """Run the function of an async test to its end."""
        function = pyfuncitem.obj
        inner = inner_function(function)
        if (
            not is_async_function(inner)
            or is_unittest(pyfuncitem)
            or self._is_for_another(pyfuncitem)
        ):
            return None
        if inspect.isasyncgenfunction(inner):
            raise generator_test(pyfuncitem.name)
        if function is not inner:
            self._make_hypothesis_wait(pyfuncitem)
            return None
        arguments = pytest_private.test_arguments(pyfuncitem)
        waiting = self._assembly.waiting_for(pyfuncitem)
        result = waiting.for_test(function(**arguments), pyfuncitem)
        if result is not None:
            _report_result(pyfuncitem, result)
        return True

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Fail a test that passed while something it had started failed in the background."""
        self._assembly.overrides.begin(item)
        try:
            result = yield
        except BaseException as error:
            add_background(error, self._assembly.background_failures(item))
            raise
        failures = self._assembly.background_failures(item)
        if failures:
            raise_together("in the background", failures)
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> Generator[None, object, object]:
        """Report what failed in the background after the test's own code had ended.

        After the last test that includes what fails because it has to end now.
        """
        set_up = pytest_private.what_is_set_up(item.session)
        try:
            result = yield
        except (KeyboardInterrupt, pytest.exit.Exception):
            pytest_private.tear_down_rest(item.session, set_up)
            raise
        except Exception as error:
            if nextitem is None:
                add_background(error, self._assembly.background_failures(item, is_last=True))
            raise
        failures = self._assembly.background_failures(item, is_last=nextitem is None)
        if failures:
            raise_together("in the background", failures)
        return result

    def _needs_loop(self, item: pytest.Item) -> bool:
        if not isinstance(item, pytest.Function) or self._neighbours.keeps(item):
            return False
        return (
            is_async_test(item)
            or self._assembly.async_fixtures.used_by(item)
            or has_async_xunit_functions(item)
        )

    def _is_for_another(self, item: pytest.Function) -> bool:
        if "anyio_backend" not in item.fixturenames and not self._neighbours.has_trio:
            return False
        if self._neighbours.keeps(item):
            return True
        backend = item.funcargs.get("anyio_backend", "asyncio")
        if self._neighbours.is_for_anyio(item, backend):
            return True
        if self._neighbours.chooses_backend(item) and not can_run(backend):
            raise no_runner(item.name, backend)
        return False

    def _make_hypothesis_wait(self, item: pytest.Function) -> None:
        # hypothesis calls the inner function once for every example, all in the test's task.
        inner = test_function(item)

        @wraps(inner)
        def wait_for_example(*args: Any, **kwargs: Any) -> object:
            return self._assembly.waiting_for(item).for_test(inner(*args, **kwargs), item)

        item.obj.hypothesis.inner_test = wait_for_example


class CheckedMarks:
    """The hook that reads the marks of tests. Registered if there are any, or leaks to find."""

    def __init__(self, assembly: Assembly) -> None:
        self._assembly = assembly

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Check the test's marks, and set what the code that they are for cannot ask for."""
        settings = settings_of_test(item, self._assembly.settings)
        rules_mode.set(settings.rules)
        if settings.leaks != "off":
            self._assembly.leaks.begin(item, settings)


def _report_result(item: pytest.Function, result: object) -> None:
    text = (
        f"{item.nodeid} returned {type(result)!r}; a test returns None. Did you mean to `assert`?"
    )
    kind = getattr(pytest, "PytestReturnNotNoneWarning", None)
    if kind is None:  # pytest 8.4.0 has no warning for it, and fails the test
        pytest.fail(text, pytrace=False)
    warn(kind(text), stacklevel=1)
