"""Whether anything real is at work that the tasks of a loop wait for: then time may not jump.

The loop itself shows sockets and jobs for threads, Python shows where threads are. In doubt
something counts as at work: then timers take the time that they really take, and nothing else
happens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_asgi.runner.clock.jobs import Jobs
from pytest_asgi.runner.clock.sockets import Sockets
from pytest_asgi.runner.clock.threads import ThreadsAtWork

if TYPE_CHECKING:
    import selectors
    from asyncio.selector_events import BaseSelectorEventLoop
    from collections.abc import Callable, Iterable

# How often the threads are looked at. Those that the loop has given a job wake it when it is done.
_GLANCE_SECONDS = 0.02


class RealWork:
    """Looks at what goes on beside the tasks of one loop.

    Args:
        loop: The loop.
        selector: What it waits with.
        find_waits: Returns what synchronous code of running tests waits for.
    """

    def __init__(
        self,
        loop: BaseSelectorEventLoop,
        selector: selectors.BaseSelector,
        find_waits: Callable[[], Iterable[tuple[Any, object]]],
    ) -> None:
        self._sockets = Sockets(loop, selector)
        self._jobs = Jobs(loop)
        self._threads = ThreadsAtWork(loop, find_waits)

    def begin(self) -> None:
        """Look from now on."""
        self._sockets.begin()
        self._jobs.begin()

    def end(self) -> None:
        """Look no more."""
        self._jobs.end()
        self._sockets.end()

    def note(self, events: list[tuple[selectors.SelectorKey, int]]) -> None:
        """Be told what the selector has found."""
        self._sockets.note(events)

    def look(self) -> tuple[str, float]:
        """Return what is at work, and after how many seconds to look again; 0 for nothing."""
        reason = self._threads.find(self._jobs.count)
        return (reason, _GLANCE_SECONDS) if reason else self._sockets.find()
