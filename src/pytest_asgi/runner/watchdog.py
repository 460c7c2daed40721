"""A thread that looks at the clock while a test runs: it goes on when the test's own stands still.

It knows times and nothing else.
"""

from __future__ import annotations

import math
import threading
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_asgi.errors import HungTestError
    from pytest_asgi.runner.waiters import Waiter


class Phase:
    """The set-up, the body or the tear-down of one test, and how long it may take.

    Args:
        test: The test.
        name: What of it.
        seconds: How long it may take.
        waiter: Who waits on the loop in it, if there is a loop yet.

    Attributes:
        looks: How often the watchdog has had to look at it: when half of the time was over, when
            all of it was, and then each time that it was over once more.
        error: What it fails with, once that is known.
    """

    def __init__(self, test: str, name: str, seconds: float, waiter: Waiter | None = None) -> None:
        self.test = test
        self.name = name
        self.seconds = seconds
        self.waiter = waiter
        self.looks = 0
        self.error: HungTestError | None = None
        self.restart()

    def restart(self) -> None:
        """Begin to count anew, as when a debugger has held the test up."""
        self.looks = 0
        self.due = monotonic() + self.seconds / 2

    def postpone(self) -> None:
        """Say when the next look is due, after one has been taken."""
        self.due = monotonic() + (self.seconds / 2 if self.looks == 1 else self.seconds)


class Watchdog:
    """Calls a function when a phase takes too long.

    Args:
        look: Called in the watchdog's thread, with the phase, each time that it is due.
    """

    def __init__(self, look: Callable[[Phase], None]) -> None:
        self._look = look
        self._phases: list[Phase] = []
        self._is_paused = False
        self._news = threading.Condition()
        self._wakes_at = math.inf
        self._is_over = False
        self._thread = threading.Thread(
            target=self._watch, name="pytest-asgi watchdog", daemon=True
        )

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        with self._news:
            self._is_over = True
            self._news.notify()
        self._thread.join()

    def begin(self, phase: Phase) -> None:
        """Watch `phase` from now on."""
        with self._news:
            self._phases.append(phase)
            if phase.due < self._wakes_at:  # else it wakes early enough, without the cost of this
                self._news.notify()

    def end(self, phase: Phase) -> None:
        """Watch it no more."""
        with self._news:
            if phase in self._phases:
                self._phases.remove(phase)

    def is_watching(self, phase: Phase) -> bool:
        """Tell whether `phase` has begun, has not ended, and nobody looks at it in a debugger."""
        return phase in self._phases and not self._is_paused

    def pause(self) -> None:
        """Let the clock stand still."""
        with self._news:
            self._is_paused = True

    def resume(self) -> None:
        """Let the phases have their whole time once more."""
        with self._news:
            self._is_paused = False
            for phase in self._phases:
                phase.restart()
            self._news.notify()

    def _watch(self) -> None:
        while (phase := self._wait_until_due()) is not None:
            self._look(phase)
            phase.postpone()

    def _wait_until_due(self) -> Phase | None:
        """Return the next phase that takes too long; `None` when the thread has to end."""
        with self._news:
            while not self._is_over:
                phases = [] if self._is_paused else self._phases
                phase = min(phases, key=lambda phase: phase.due, default=None)
                self._wakes_at = math.inf if phase is None else phase.due
                seconds = self._wakes_at - monotonic()
                if phase is not None and seconds <= 0:
                    phase.looks += 1
                    return phase
                self._news.wait(None if phase is None else seconds)
        return None
