"""What a test holds to let time pass."""

from __future__ import annotations

import math
from asyncio import _get_running_loop
from typing import TYPE_CHECKING, Any

from pytest_asgi.errors import ClockError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from pytest_asgi.runner.clock.virtual_time import VirtualTime

__tracebackhide__ = True  # a failure ends in the user's line


class Clock:
    """The virtual time of a test.

    Args:
        time: The time of the session's loop.
        moves_wall_time: Whether `time.time()` and `datetime.now()` follow.

    Attributes:
        moves_wall_time: The same.
    """

    def __init__(self, time: VirtualTime, *, moves_wall_time: bool) -> None:
        self.moves_wall_time = moves_wall_time
        self._time = time

    @property
    def elapsed(self) -> float:
        """How many seconds have passed since the test asked for the clock."""
        return self._time.elapsed

    async def advance(self, seconds: float) -> None:
        """Let so many seconds pass, and everything happen that is due in them.

        Timers fire in their order, each at its own time. What they set off has gone as far as it
        can without more time when this returns.

        Raises:
            ClockError: It is called where the time is another one, or with a negative number.
        """
        if not 0 <= seconds < math.inf:
            raise _impossible(seconds)
        if _get_running_loop() is not self._time.loop or not self._time.is_virtual:
            raise _elsewhere()
        await self._time.reach(seconds)

    def __repr__(self) -> str:
        wall = "moved too" if self.moves_wall_time else "real: time-machine is not installed"
        waits = f"; it stands still for {self._time.reason}" if self._time.reason else ""
        return f"<Clock: {self.elapsed:g} s have passed, wall time {wall}{waits}>"


class SyncClock:
    """The virtual time of a synchronous test. It passes while the test waits.

    Args:
        clock: The same for asynchronous code.
        run: Waits for a coroutine.
    """

    def __init__(self, clock: Clock, run: Callable[[Coroutine[Any, Any, None]], object]) -> None:
        self._clock = clock
        self._run = run

    @property
    def moves_wall_time(self) -> bool:
        """Whether `time.time()` and `datetime.now()` follow."""
        return self._clock.moves_wall_time

    @property
    def elapsed(self) -> float:
        """How many seconds have passed since the test asked for the clock."""
        return self._clock.elapsed

    def advance(self, seconds: float) -> None:
        """Let so many seconds pass: `Clock.advance`."""
        self._run(self._clock.advance(seconds))

    def __repr__(self) -> str:
        return repr(self._clock)


def _impossible(seconds: float) -> ClockError:
    return ClockError(
        f"The clock cannot be advanced by {seconds:g} seconds.",
        why="Time only goes forward, and ends at some moment.",
        fix="Give the seconds from now: `await clock.advance(60)`.",
    )


def _elsewhere() -> ClockError:
    return ClockError(
        "The clock was advanced where the time is another one.",
        why="It moves the time of the session's loop, during the test that has asked for it.",
        fix="Call `await clock.advance(…)` in the test, in its fixtures or in a task of theirs.",
    )
