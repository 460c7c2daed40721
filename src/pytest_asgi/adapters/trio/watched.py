"""A run of trio as a time limit sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_asgi.runner.bridge import is_bridged
from pytest_asgi.runner.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextvars import Context

    import trio

    from pytest_asgi.adapters.trio.tests import TrioTest
    from pytest_asgi.runner.waiters import Waiter

__tracebackhide__ = True  # a failure ends in the user's line


class WatchedTrio:
    """The run of trio that a test waits on.

    Args:
        test: The running test.
    """

    def __init__(self, test: TrioTest) -> None:
        self._test = test

    @property
    def is_running(self) -> bool:
        """Whether the test waits for it."""
        return self._test.run.is_running

    def waiter_of(self, _known: Waiter | None) -> Waiter:
        """Return the test: no other one runs beside it."""
        return self._test

    def call_soon(self, function: Callable[[], None], context: Context) -> None:
        """Call a function in the run, in a copy of this context; may be called in any thread."""
        self._test.run.call_soon(lambda: context.copy().run(function))

    def describe_waits(self, _waiter: Waiter) -> list[str]:
        """Return, as lines, what the test waits for; to be called in the run."""
        task = self._test.patient.task
        own = [] if task is None else [(each.name, each.coro) for each in _below(task)]
        coroutine = None if task is None else task.coro
        return Snapshot(coroutine, self._test.find_waits(), own=own, foreign=()).lines

    def raises_safely(self) -> bool:
        """Tell whether the test's own code runs: trio breaks off at an exception in its own."""
        return is_bridged() or not self.is_running


def _below(task: trio.lowlevel.Task) -> Iterator[trio.lowlevel.Task]:
    for nursery in task.child_nurseries:
        for child in nursery.child_tasks:
            yield child
            yield from _below(child)
