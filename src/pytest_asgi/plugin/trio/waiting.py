"""Wait on trio for the coroutine of a test or a fixture, and say what a cancellation came from.

trio's `Cancelled` is no `Exception`: pytest's own protocol would break off a tear-down half-way.
It never leaves this module.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, TypeVar

from pytest_asgi import events
from pytest_asgi.adapters.trio.cancellation import Ended, find, is_cancellation
from pytest_asgi.adapters.trio.guests import TrioGuest
from pytest_asgi.adapters.trio.host import TrioHost, run_in
from pytest_asgi.adapters.trio.tests import TrioRuns, make_clock
from pytest_asgi.adapters.trio.watched import WatchedTrio
from pytest_asgi.plugin import pytest_private
from pytest_asgi.plugin.trio.refusals import clock_and_wider_fixture
from pytest_asgi.plugin.verdict import (
    add_background,
    cancelled_test,
    explain_crash,
    explain_unwinding,
    only_outcome,
    raise_together,
)
from pytest_asgi.runner.contexts import copy_changes, living_in, shareable_context
from pytest_asgi.runner.guests import Unwinding, canceller
from pytest_asgi.runner.loop import become_owner

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
    from contextlib import AbstractContextManager
    from contextvars import Context

    import pytest

    from pytest_asgi.adapters.trio.run import TrioRun
    from pytest_asgi.adapters.trio.tests import TrioTest

__tracebackhide__ = True  # a failure ends in the user's line

T = TypeVar("T")


class TrioWaiting:
    """Waits on trio for what tests and fixtures do, one test at a time.

    Args:
        shared_context: The context that all tests share.
    """

    def __init__(self, shared_context: Context) -> None:
        self._shared_context = shared_context
        self._runs = TrioRuns()
        self._test: TrioTest | None = None

    def run_test(self, function: Callable[[], T], item: pytest.Item, **options: Any) -> T:
        """Run synchronous code, below which everything waits in one task of trio."""
        with living_in(self._shared_context.copy()):
            self.begin_test(item, **options)
            try:
                return function()
            finally:
                self.end_test()

    def begin_test(self, item: pytest.Item, *, clock: str = "", **options: Any) -> None:
        """Begin the task of a test, which lives in the context of the calling code.

        Args:
            item: The test.
            clock: The name of the fixture for whose clock the test has a run of its own.
            options: What `trio.run` takes.
        """
        context = shareable_context()
        own_clock = make_clock(jumps=clock == "autojump_clock") if clock else None
        self._test = self._runs.begin_test(
            item.nodeid, context=context, options=options, clock=own_clock
        )
        self._test.owner = become_owner(item.nodeid, context)
        if events.is_anyone_listening():
            events.emit(events.TestStarted(test=item.nodeid))

    def end_test(self) -> None:
        """End the task of the running test, if there is one."""
        test, self._test = self._test, None
        if test is not None:
            assert test.owner is not None
            if events.is_anyone_listening():
                events.emit(events.TestFinished(test=test.owner.name))
            test.end()

    @property
    def is_in_test(self) -> bool:
        """Whether a test is running on trio."""
        return self._test is not None

    @property
    def waiter(self) -> TrioTest:
        """The running test."""
        assert self._test is not None
        return self._test

    @property
    def watched(self) -> WatchedTrio | None:
        """What the running test waits on, as a time limit sees it; may be asked in any thread."""
        test = self._test
        return None if test is None else WatchedTrio(test)

    def close(self) -> None:
        """End all runs."""
        self._runs.close()

    # --- what is waited for ----------------------------------------------------------------------

    def for_test(self, awaitable: Awaitable[T], item: pytest.Item) -> T:
        """Wait for the body of a test."""
        try:
            return self._wait(awaitable, item.name)
        except BaseException as error:
            if not is_cancellation(error):
                raise
            # As on asyncio: the scope of a fixture raises what had happened when it is left.
            unwinding = Unwinding(error, self.waiter.guests, is_cancellation)
            errors = pytest_private.tear_down_fixtures(item)
            raise_together(
                f"{item.name} was cancelled, and its tear-down failed",
                explain_unwinding(unwinding, errors, item.name, error),
            )
            raise AssertionError from error  # there is always something to raise

    def for_fixture(self, awaitable: Awaitable[T], name: str, *, run: TrioRun | None = None) -> T:
        """Wait for the set-up or the tear-down of a fixture.

        Args:
            awaitable: What it does.
            name: The fixture's name.
            run: The run that it lives in, if it may be another one than the running test's.
        """
        name = f"The fixture {name!r}"
        try:
            return self._wait(awaitable, name, run)
        except BaseException as error:
            if not is_cancellation(error):
                raise
            by = canceller(self._test.guests) if self._test is not None else None
            raise cancelled_test(name, by=by) from error

    def for_client(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Wait for what a synchronous client does."""
        return self._wait(coroutine, "The client")

    @property
    def shared(self) -> SharedWaiting:
        """The way to wait for what outlives the running test."""
        if self.waiter.clock is not None:
            raise clock_and_wider_fixture()
        return SharedWaiting(self, self.waiter.run, self._shared_context)

    # --- what lives in a test --------------------------------------------------------------------

    def guest(self, generator: AsyncGenerator[Any, None], name: str) -> TrioGuest:
        """Return the keeper of an async generator that lives in the running test's task."""
        return TrioGuest(generator, name=name, guests=self.waiter.guests)

    # --- waiting ---------------------------------------------------------------------------------

    def _wait(self, awaitable: Awaitable[T], name: str, run: TrioRun | None = None) -> T:
        try:
            value = self._wait_for_outcome(awaitable, name, run)
        except Exception as error:
            add_background(error, self._missed(name))
            raise
        for missed in self._missed(name):
            raise missed
        return value

    def _wait_for_outcome(self, awaitable: Awaitable[T], name: str, run: TrioRun | None) -> T:
        before = self._shared_context.copy()
        try:
            value = self._wait_in_task(awaitable, run)
        except BaseException as error:
            # A nursery wraps what ends its block.
            if find(error, KeyboardInterrupt) is not None:
                raise KeyboardInterrupt().with_traceback(error.__traceback__) from None
            crash = self.waiter.take_crash() if find(error, Ended) is not None else None
            if crash is not None:
                raise explain_crash(crash, name, error) from None
            if isinstance(error, BaseExceptionGroup):
                outcome = only_outcome(error)
                if outcome is not None:
                    raise outcome from error
            raise
        copy_changes(before, self._shared_context)
        return value

    def _wait_in_task(self, awaitable: Awaitable[T], run: TrioRun | None) -> T:
        test = self._test
        if test is not None and run in {None, test.run}:
            return test.wait_for(awaitable)
        assert run is not None
        # Tasks that it begins enter the shared context itself.
        return self._runs.wait_for(run, awaitable, context=self._shared_context.copy())

    def _missed(self, name: str) -> list[BaseException]:
        """Return what first ended the code that was waited for, if that code went on."""
        missed = self._test.take_missed()[:1] if self._test is not None else []
        for cause in missed:
            cause.add_note(f"{name} was cancelled by this, and caught the cancellation.")
        return missed


class SharedWaiting:
    """Waits for what lives in one run of trio, and in the context that all tests share."""

    def __init__(self, waiting: TrioWaiting, run: TrioRun, context: Context) -> None:
        self._waiting = waiting
        self._context = context
        self._run = run

    @property
    def home(self) -> object:
        """What the objects that are made here belong to."""
        return self._run

    def for_shared(self, coroutine: Coroutine[Any, Any, T], name: str) -> T:
        """Wait for what outlives the running test, and is not owned by it."""
        beside: Coroutine[Any, Any, T] = run_in(coroutine, name=name, context=self._context)
        return self.for_fixture(beside, name)

    def for_fixture(self, awaitable: Awaitable[T], name: str) -> T:
        """Wait for the set-up or the tear-down of a fixture."""
        return self._waiting.for_fixture(awaitable, name, run=self._run)

    def one_at_a_time(self, _key: object) -> AbstractContextManager[None]:
        """Return a block that nobody else may be in; no other test runs meanwhile."""
        return nullcontext()

    def host(
        self, generator: AsyncGenerator[Any, None], name: str, *, on_crash: Callable[[Any], None]
    ) -> TrioHost:
        """Return the keeper of an async generator that outlives the running test."""
        return TrioHost(generator, name=name, context=self._context, on_crash=on_crash)
