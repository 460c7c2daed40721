"""Which threads are at work, and which only wait for somebody else.

Only those count that a task may wait for: of a pool, of aiosqlite, and of the project's own code.
Libraries have others that look after something for ever.
"""

from __future__ import annotations

import asyncio
import concurrent.futures.thread
import gc
import sys
import threading
from typing import TYPE_CHECKING, Any

from pytest_asgi.asgi.stacks import Place, waiting_frames

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import FrameType

_POOL = ("concurrent.futures.thread", "_worker")
_ALWAYS_AT_WORK = {
    ("anyio._backends._asyncio", "run"),
    ("asyncio.unix_events", "_do_waitpid"),  # where the system cannot tell of a child's end
}
# Where a thread is that has been started, and has not come to its function yet.
_STARTING = {("threading", name) for name in ("_bootstrap", "_bootstrap_inner", "run")}
_WAITING_FOR_THE_LOOP = "pytest_asgi.loop_driver"
_AIOSQLITE = "aiosqlite"


class ThreadsAtWork:
    """Looks at the threads beside the one that runs a loop.

    Args:
        loop: The loop.
        find_waits: Returns what synchronous code of running tests waits for.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        find_waits: Callable[[], Iterable[tuple[Any, object]]],
    ) -> None:
        self._loop = loop
        self._find_waits = find_waits

    def find(self, jobs: int) -> str:
        """Describe what is at work; empty if nothing is.

        Args:
            jobs: How many jobs the loop has given to executors.
        """
        here = threading.get_ident()
        for thread, frame in sys._current_frames().items():  # noqa: SLF001 - documented, in spite of its name
            if thread == here:
                continue
            stack = list(_outwards(frame))
            has_job = _POOL in map(_function, stack[1:])  # else it waits for one
            if _waits_for_others(frame):
                jobs -= has_job
            elif has_job or _is_at_work(stack):
                return f"a thread, {_describe(stack)}"
        if jobs > 0 or _is_job_waiting():
            return "a job of an executor"
        return "a statement of aiosqlite" if self._waits_for_aiosqlite() else ""

    def _waits_for_aiosqlite(self) -> bool:
        # Its threads wait inside C code, which does not tell whether there is something to do.
        if _AIOSQLITE not in sys.modules:
            return False
        tasks = asyncio.all_tasks(self._loop)
        waits = [task.get_coro() for task in tasks] + [each for each, _ in self._find_waits()]
        return any(_innermost_package(wait) == _AIOSQLITE for wait in waits)


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _function(frame: FrameType) -> tuple[str, str]:
    return frame.f_globals.get("__name__", ""), frame.f_code.co_name


def _is_job_waiting() -> bool:
    """Tell whether a job was given to a pool, and no thread of it has begun with it."""
    queues = getattr(concurrent.futures.thread, "_threads_queues", {})
    return any(queue.qsize() > 0 for queue in list(queues.values()))


def _waits_for_others(frame: FrameType) -> bool:
    """Tell whether a thread waits, without a limit, for what another thread has not done yet.

    One that was woken up but has not had its turn is no longer among those that wait.
    """
    module, function = _function(frame)
    if module != "threading" or function not in {"wait", "join"}:
        return False
    names = _variables(frame)
    if names.get("timeout") is not None:
        return False
    if function == "wait" and "waiter" in names:
        return names["waiter"] in names["self"]._waiters  # noqa: SLF001 - nothing else tells
    return function == "join"


def _variables(frame: FrameType) -> dict[str, Any]:
    """Return the variables of a frame of another thread.

    Before Python 3.13 that thread must not go on meanwhile, or Python crashes: nothing may be
    deallocated that could let it. So this is for code whose variables are harmless.
    """
    is_enabled = gc.isenabled()
    gc.disable()
    try:
        return dict(frame.f_locals)
    finally:
        if is_enabled:
            gc.enable()


def _is_at_work(stack: list[FrameType]) -> bool:
    if _function(stack[0]) in _STARTING or not _ALWAYS_AT_WORK.isdisjoint(map(_function, stack)):
        return True
    is_waiting = any(_function(frame)[0] == _WAITING_FOR_THE_LOOP for frame in stack)
    return not is_waiting and any(_place(frame).is_users for frame in stack)


def _describe(stack: list[FrameType]) -> str:
    places = [_place(frame) for frame in stack]
    return f"at {next((place for place in places if place.is_users), places[0])}"


def _place(frame: FrameType) -> Place:
    return Place(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_qualname)


def _innermost_package(awaited: Any) -> str:
    package = ""
    for frame in waiting_frames(awaited, set()):
        package = frame.f_globals.get("__name__", "").partition(".")[0]
    return package
