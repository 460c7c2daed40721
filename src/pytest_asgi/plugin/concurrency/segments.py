"""Consecutive tests that run at the same time, and the order in which they start and end."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Sequence

    import pytest

    from pytest_asgi.runner.loop import RunningTest

    Reports = list[pytest.TestReport]
    Start = Callable[["Segment", pytest.Function], RunningTest[Reports]]


class Segment:
    """Tests of one module or class.

    Args:
        items: The tests, in the order of their reports.
        after: The test that follows them; `None` if there is none.
        limit: How many may have begun and not ended.
        start: Makes the task of a test.
    """

    def __init__(
        self,
        items: Sequence[pytest.Function],
        *,
        after: pytest.Item | None,
        limit: int,
        start: Start,
    ) -> None:
        self.after = after
        self._start = start
        self._waiting = deque(items)
        self._running: dict[pytest.Function, RunningTest[Reports]] = {}
        self._unfinished = set(items)
        self._free = limit

    def __contains__(self, item: object) -> bool:
        """Tell whether a test belongs here and was not reported yet."""
        return item in self._running or item in self._waiting

    def begin(self, item: pytest.Function) -> RunningTest[Reports]:
        """Let as many tests begin as may, and return that of `item`."""
        self._fill()
        while item not in self._running:  # the others have begun and ended
            self._begin_next()
        return self._running[item]

    def report(self, item: pytest.Function) -> None:
        """Be told that a test was reported."""
        del self._running[item]

    def next_of(self, item: pytest.Function) -> pytest.Item | None:
        """Be told that a test is about to be torn down; return the one that pytest goes on with.

        That is what decides whether the module and the class are torn down as well: the last test
        to end does that, whichever it is.
        """
        self._unfinished.discard(item)
        return next(iter(self._unfinished), self.after)

    def others_to_end(self, item: pytest.Function) -> list[asyncio.Task[Any]]:
        """Return what has to be over before the last test tears down what all of them share."""
        if self._unfinished - {item}:
            return []
        others = (test for each, test in self._running.items() if each is not item)
        return [test.task for test in others if test.task is not None and not test.task.done()]

    def cancel(self) -> dict[pytest.Function, RunningTest[Reports]]:
        """Let no other test begin, cancel those that run, and return them.

        One that is being torn down already goes on with that.
        """
        self._unfinished.difference_update(self._waiting)
        self._waiting.clear()
        self.after = None
        running = {item: test for item, test in self._running.items() if not _is_over(test)}
        for item in self._unfinished.intersection(running):
            task = running[item].task
            assert task is not None
            task.cancel()
        return running

    def _fill(self) -> None:
        while self._waiting and self._free > 0:
            self._begin_next()

    def _begin_next(self) -> None:
        item = self._waiting.popleft()
        test = self._running[item] = self._start(self, item)
        assert test.task is not None
        self._free -= 1
        test.task.add_done_callback(self._go_on)

    def _go_on(self, _: object) -> None:
        self._free += 1
        self._fill()


def _is_over(test: RunningTest[Reports]) -> bool:
    return test.task is not None and test.task.done()
