"""What tests on trio wait with: runs of trio, and in one of them a task for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from trio.testing import MockClock

from pytest_asgi.adapters.trio.cancellation import Ended
from pytest_asgi.adapters.trio.presence import swap_run
from pytest_asgi.adapters.trio.run import TrioRun
from pytest_asgi.adapters.trio.task import PatientTask
from pytest_asgi.runner.bridge import Bridge
from pytest_asgi.runner.waiters import Waiter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator
    from contextvars import Context
    from types import FrameType

    from pytest_asgi.runner.waiters import Died

__tracebackhide__ = True  # a failure ends in the user's line

T = TypeVar("T")


class TrioTest(Waiter):
    """A test that has a task of trio's.

    Args:
        run: The run that the task is in.
        bridge: What synchronous code of the test waits by.
        clock: The clock of the test, if the run is its own; then it ends with the test.

    Attributes:
        run: The run that the task is in.
        clock: The clock of the test, if the run is its own.
        patient: The task.
    """

    def __init__(self, run: TrioRun, bridge: Bridge, *, clock: MockClock | None) -> None:
        super().__init__()
        self.run = run
        self.clock = clock
        self.patient: PatientTask
        self._bridge = bridge

    @property
    def is_over(self) -> bool:
        """Whether nothing can cancel it any more."""
        return self.patient.is_over

    def cancel(self, cause: BaseException | Died) -> None:
        """End what the test waits for, because of an exception or of a host that has died."""
        self.crashes.append(cause)
        self.patient.interrupt(Ended)

    def cancel_again(self) -> None:
        """End what the test waits for once more, as it went on all the same."""
        self.patient.interrupt(Ended)

    def take_back(self) -> None:
        """Take back what `cancel` did, as what it was for is over."""
        self.patient.take_back(Ended)

    def raise_where_it_waits(self, error: BaseException) -> bool:  # noqa: ARG002 - of the base
        """Tell that `cancel` does nothing else than to raise."""
        return False

    def forget_crash(self, cause: BaseException) -> None:
        """Forget a cause that `cancel` was given, if nobody has taken it."""
        if cause in self.crashes:
            super().forget_crash(cause)
            self.take_back()

    def find_waits(self) -> Iterator[tuple[Awaitable[Any], FrameType | None]]:
        """Yield what the test's code waits for, and where synchronous code of it does."""
        return self._bridge.find_waits(self)

    def wait_for(self, awaitable: Awaitable[T]) -> T:
        """Await something in the task, and return what it returns."""
        return self.patient.wait_for(awaitable)

    def end(self) -> None:
        """Let the task end."""
        self.patient.end()
        if self.clock is not None:
            self.run.close()


class TrioRuns:
    """The runs of trio of a session: one for each set of options."""

    def __init__(self) -> None:
        self._bridge = Bridge(swap_run)
        self._runs: list[tuple[dict[str, Any], TrioRun]] = []

    def begin_test(
        self, name: str, *, context: Context, options: dict[str, Any], clock: MockClock | None
    ) -> TrioTest:
        """Return a new test.

        Args:
            name: The name of its task.
            context: The context of its task.
            options: What `trio.run` takes; tests that have the same share a run.
            clock: A clock of its own, and with it a run of its own.
        """
        run = self._run_with(options) if clock is None else TrioRun(clock=clock, **options)
        test = TrioTest(run, self._bridge, clock=clock)
        test.patient = PatientTask(run, self._bridge, name=name, context=context, passenger=test)
        return test

    def wait_for(self, run: TrioRun, awaitable: Awaitable[T], *, context: Context) -> T:
        """Await, in a run, something that belongs to no test."""
        task = PatientTask(run, self._bridge, name="pytest", context=context, passenger=None)
        try:
            return task.wait_for(awaitable)
        finally:
            task.end()

    def close(self) -> None:
        """End all runs."""
        for _, run in self._runs:
            run.close()
        self._runs.clear()

    def _run_with(self, options: dict[str, Any]) -> TrioRun:
        for known, run in self._runs:
            if known == options and not run.is_over:
                return run
        run = TrioRun(**options)
        self._runs.append((options, run))
        return run


def make_clock(*, jumps: bool) -> MockClock:
    """Return a clock that the test moves, and that jumps by itself when all tasks wait."""
    return MockClock(autojump_threshold=0 if jumps else float("inf"))
