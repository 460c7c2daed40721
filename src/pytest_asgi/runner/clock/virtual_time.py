"""The time of one loop: real, or virtual while a test controls it.

asyncio's own loop asks its selector to wait until the next timer is due. That is the moment at
which everything waits: virtual time jumps to the timer instead, unless something real is at work.
Then it stands still until that is done. But it never stands still for longer than it really takes
to the next timer: a timeout ends real work that takes too long, exactly as without the clock.
"""

from __future__ import annotations

import heapq
import math
from asyncio.selector_events import BaseSelectorEventLoop
from time import monotonic
from typing import TYPE_CHECKING, Any, cast

from pytest_asgi.errors import ClockError
from pytest_asgi.runner.clock.work import RealWork

if TYPE_CHECKING:
    import asyncio
    import selectors
    from collections.abc import Callable, Iterable

# Timers that are so close together fire together, as with asyncio's own, finer limit: the sums of
# a few floating-point numbers of seconds are not exact.
_RESOLUTION = 1e-6

# Where virtual time begins: with this even fraction of a second, whole seconds are exact.
_FRACTION = 1024

# For how long real work may still go on when all the time of `reach` has passed.
_SETTLE_SECONDS = 5.0


class VirtualTime:
    """The time of a loop that is asyncio's own.

    It never goes back: when it becomes real again, it goes on from where it is, so that timers
    keep their distance.

    Args:
        loop: The loop.
        find_waits: Returns what synchronous code of running tests waits for.

    Attributes:
        loop: The same.
        is_virtual: Whether it is virtual now.
        reason: What it stands still for; empty while it does not.

    Raises:
        ClockError: The loop is not asyncio's own.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        find_waits: Callable[[], Iterable[tuple[Any, object]]],
    ) -> None:
        if not isinstance(loop, BaseSelectorEventLoop):
            raise _wrong_loop(loop)
        self.loop: asyncio.AbstractEventLoop = loop
        self.is_virtual = False
        self.reason = ""
        self._loop = cast("Any", loop)  # asyncio has no public way to much of what is needed
        self._selector: selectors.BaseSelector = self._loop._selector  # noqa: SLF001
        self._work = RealWork(loop, self._selector, find_waits)
        self._offset = 0.0
        self._start = self._now = 0.0
        self._stood_still = 0.0
        self._ends: list[tuple[float, int, asyncio.Future[None]]] = []

    @property
    def elapsed(self) -> float:
        """How many seconds have passed since it became virtual."""
        return round(self.time() - self._start, 6)

    def time(self) -> float:
        """Be the loop's `time`."""
        return self._now if self.is_virtual else monotonic() + self._offset

    def begin(self, on_move: Callable[[float], object]) -> None:
        """Become virtual.

        Args:
            on_move: Called with the seconds of each jump.

        Raises:
            ClockError: It is virtual already.
        """
        if self.is_virtual:
            raise _two_clocks()
        self._start = self._now = math.ceil(self.time() * _FRACTION) / _FRACTION
        self._on_move = on_move
        self._stood_still = 0.0
        self.is_virtual = True
        self._select = self._selector.select
        self._selector.select = self._wait  # type: ignore[method-assign]
        self._resolution = self._loop._clock_resolution  # noqa: SLF001
        self._loop._clock_resolution = _RESOLUTION  # noqa: SLF001
        self._loop.time = self.time
        self._work.begin()

    def end(self) -> None:
        """Become real again."""
        self._work.end()
        self._loop._clock_resolution = self._resolution  # noqa: SLF001
        self._selector.select = self._select  # type: ignore[method-assign]
        self._offset = self._now - monotonic()
        self.is_virtual = False
        self.reason = ""
        for _, _, end in self._ends:
            end.cancel()
        self._ends.clear()

    async def reach(self, seconds: float) -> None:
        """Wait until so many seconds have passed, and nothing is left to do in them."""
        end = self.loop.create_future()
        heapq.heappush(self._ends, (self._now + seconds, id(end), end))
        await end

    def _wait(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Be the selector's `select`: let time pass when everything waits."""
        if timeout == 0:
            return self._look(0)
        while True:
            # In this order: what has been done meanwhile has woken the loop.
            self.reason, seconds = self._work.look()
            events = self._look(0)
            if events:
                break
            if not self._is_anything_due():
                return self._look(timeout)
            seconds = min(seconds, self._patience())
            if seconds <= 0:
                self._jump()
                break
            began = monotonic()
            events = self._look(seconds)
            self._stood_still += monotonic() - began
            if events:
                break
        self.reason = ""
        return events

    def _look(self, timeout: float | None) -> list[tuple[selectors.SelectorKey, int]]:
        events = self._select(timeout)
        self._work.note(events)
        return events

    def _is_anything_due(self) -> bool:
        while self._ends and self._ends[0][2].done():  # its waiter was cancelled
            heapq.heappop(self._ends)
        return bool(self._ends) or self._next_timer() < math.inf

    def _next_timer(self) -> float:
        timers: list[asyncio.TimerHandle] = self._loop._scheduled  # noqa: SLF001
        return timers[0].when() if timers else math.inf

    def _next_end(self) -> float:
        return self._ends[0][0] if self._ends else math.inf

    def _is_at_end(self) -> bool:
        """Whether no timer is left before the end of the next `reach`."""
        return self._next_end() + _RESOLUTION <= self._next_timer()

    def _patience(self) -> float:
        """Return for how long real work may keep the time from going on."""
        seconds = min(self._next_timer(), self._next_end()) - self._now - self._stood_still
        return max(seconds, 0) + _SETTLE_SECONDS if self._is_at_end() else seconds

    def _jump(self) -> None:
        is_at_end = self._is_at_end()
        before = self._now
        self._now = max(before, self._next_end() if is_at_end else self._next_timer())
        self._stood_still = 0.0
        if self._now > before:
            self._on_move(self._now - before)
        if is_at_end:
            heapq.heappop(self._ends)[2].set_result(None)


def _wrong_loop(loop: asyncio.AbstractEventLoop) -> ClockError:
    kind = type(loop)
    return ClockError(
        f"The time of a {kind.__module__}.{kind.__qualname__} cannot be controlled.",
        why="The clock looks at what the loop waits for, which only asyncio's own loop with a"
        " selector shows.",
        fix="Run the tests that use `clock` on that loop:\n\n"
        "    [tool.pytest]\n"
        '    asgi_loop = "asyncio"\n\n'
        'On Windows: `asgi_loop = "asyncio:SelectorEventLoop"`.',
    )


def _two_clocks() -> ClockError:
    return ClockError(
        "Two tests that run at the same time both ask for the clock.",
        why="They run on one loop, which has one time.",
        fix="Name `clock` among the arguments of each test: then it runs alone.",
    )
