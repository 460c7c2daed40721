"""Tell a test that waits for what cannot happen any more, instead of letting it hang.

asyncio's own loop waits for ever in its selector if no callback is ready and no timer runs. If
nothing is watched there but the loop's own wake-up socket, only another thread or a signal can
wake it; and if every other thread is idle as well, nobody is left who could.

A false alarm would be worse than a test that hangs. So this looks only where everything can be
seen, and stays silent in doubt: on another loop than asyncio's own, outside Linux, where a native
library has threads of its own, where a signal is expected, where a thread does anything but wait
for the next job of its pool.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_asgi.asgi.stacks import describe_wait, waits_in_users_code
from pytest_asgi.errors import DeadlockError

if TYPE_CHECKING:
    import selectors
    from collections.abc import Callable, Iterable
    from types import FrameType

_THREADS_OF_THE_PROCESS = "/proc/self/task"

# Most waits are over before it is worth to look at threads and signals.
_SOON_SECONDS = 0.05

# For how long nothing must happen while there are other threads: one that has just been given a
# job looks idle until it has had its turn.
_QUIET_SECONDS = 0.5

# How often one wait is told of: code that catches the cancellation and waits again could be told
# for ever.
_TOLD_AT_MOST = 10

_HARMLESS_HANDLERS = (signal.SIG_DFL, signal.SIG_IGN, None, signal.default_int_handler)
_OUR_HANDLERS = {"pytest_asgi.runner.interrupts", "pytest_asgi.runner.stopping"}

# Threads of these wait for other processes, and never wake a loop; and what they wait with.
_HARMLESS = ("execnet", "pytest_rerunfailures")
_MEANS = {"queue", "socket", "threading"}
_OUR_WATCHES = {"pytest_asgi.runner.watchdog", "pytest_asgi.runner.blocking"}


class DeadlockWatch:
    """Watches one loop, as far as that is possible.

    Args:
        find_waits: Returns what the code waits for that a running test has called, and where.
    """

    def __init__(self, find_waits: Callable[[], Iterable[tuple[Any, FrameType | None]]]) -> None:
        self._find_waits = find_waits
        self._task: asyncio.Task[Any] | None = None
        self._told = 0

    def install(self, loop: asyncio.AbstractEventLoop) -> None:
        """Look at what `loop` waits for from now on."""
        if type(loop) is not asyncio.SelectorEventLoop or not _sees_threads():
            return
        # There is no public way to it, and a selector that is given to a loop when it is made
        # would have to be given by the project that makes it.
        selector: selectors.BaseSelector = loop._selector  # type: ignore[attr-defined]  # noqa: SLF001
        selector.select = _Select(selector, self)  # type: ignore[method-assign]

    def begin(self, task: asyncio.Task[Any] | None) -> None:
        """Watch from now on while the loop runs for `task`; for `None`, no more."""
        self._task = task
        self._told = 0

    @property
    def is_on(self) -> bool:
        """Whether a loop that waits for ever is to be told of."""
        return self._task is not None and self._told < _TOLD_AT_MOST

    def error(self) -> DeadlockError:
        """Return what is to be raised."""
        self._told += 1
        places = "\n".join(f"    {place}" for place in self._places())
        return DeadlockError(
            f"The test waits for something that cannot happen any more:\n\n{places}",
            why="No task is ready, no timer runs, nothing is read or written, and no other thread"
            " is at work: nobody is left who could end this wait.",
            fix="Let what is waited for happen before, or in a task that is still running. If"
            " something that cannot be seen from here will end the wait, such as another process,"
            " give the wait a time limit: `async with asyncio.timeout(…):`.",
        )

    def _places(self) -> Iterable[str]:
        assert self._task is not None
        # Synchronous code that runs the loop is on this very stack.
        here = sys._getframe()  # noqa: SLF001 - documented, in spite of its name
        *_, (awaited, caller) = [(self._task.get_coro(), here), *self._find_waits()]
        yield f"the test: {describe_wait(awaited, caller=caller)}"
        for task in asyncio.all_tasks(self._task.get_loop()) - {self._task}:
            if waits_in_users_code(task.get_coro()):
                yield f"{task.get_name()}: {describe_wait(task.get_coro())}"


class _Select:
    """A selector's `select`, which raises where it would wait for ever."""

    def __init__(self, selector: selectors.BaseSelector, watch: DeadlockWatch) -> None:
        self._select = selector.select
        self._selector = selector
        self._watch = watch

    def __call__(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait for events.

        Raises:
            DeadlockError: There will be none.
        """
        # The one file that is watched in any case is the socket by which a loop is woken up.
        if timeout is not None or len(self._selector.get_map()) > 1 or not self._watch.is_on:
            return self._select(timeout)
        if events := self._select(_SOON_SECONDS):
            return events
        while True:
            before = _idle_threads()
            events = self._select(_QUIET_SECONDS if before != [] else 0)
            if events:
                return events
            if before is not None and before == _idle_threads():
                raise self._watch.error()


def _idle_threads() -> list[tuple[FrameType, int]] | None:
    """Return where the other threads wait; `None` if one, or a signal, may do something."""
    here = threading.get_ident()
    frames = sys._current_frames()  # noqa: SLF001 - documented, in spite of its name
    threads = os.listdir(_THREADS_OF_THE_PROCESS)  # noqa: PTH208 - quick: the test waits
    if len(frames) != len(threads) or _is_signal_expected():
        return None
    others = [frame for thread, frame in frames.items() if thread != here]
    others = [frame for frame in others if not _is_harmless(frame)]
    return [(frame, frame.f_lasti) for frame in others] if all(map(_is_idle, others)) else None


def _is_idle(frame: FrameType) -> bool:
    """Tell whether a thread of a pool waits for its next job."""
    waiting: FrameType | None = frame
    while waiting is not None and _module(waiting) in {"threading", "queue"}:
        waiting = waiting.f_back
    if waiting is None:
        return False
    match _module(waiting), waiting.f_code.co_name:
        case "concurrent.futures.thread", "_worker":
            names = waiting.f_locals
            return "work_item" not in names and names["work_queue"].qsize() == 0
        case "anyio._backends._asyncio", "run":
            names = waiting.f_locals
            return "item" not in names and names["self"].queue.qsize() == 0
        case _:
            return False


def _is_harmless(frame: FrameType) -> bool:
    modules = {_module(frame)}
    while frame.f_back is not None:
        frame = frame.f_back
        modules.add(_module(frame))
    if modules & _OUR_WATCHES:
        return True
    owners = {module.partition(".")[0] for module in modules - _MEANS}
    return bool(owners) and owners.issubset(_HARMLESS)


def _is_signal_expected() -> bool:
    return any(
        handler not in _HARMLESS_HANDLERS and not _is_ours(handler)
        for handler in map(signal.getsignal, signal.valid_signals())
    )


def _is_ours(handler: object) -> bool:
    return getattr(handler, "__module__", None) in _OUR_HANDLERS


def _module(frame: FrameType) -> str:
    name: str = frame.f_globals.get("__name__", "")
    return name


def _sees_threads() -> bool:
    """Tell whether the system shows the threads that Python does not know."""
    return Path(_THREADS_OF_THE_PROCESS).is_dir()
