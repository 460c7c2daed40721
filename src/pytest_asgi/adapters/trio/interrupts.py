"""Signals while trio runs a test: what their handlers raise is raised where the test waits.

Ctrl-C raises KeyboardInterrupt, and the alarm of pytest-timeout a failure, wherever the thread
happens to be. In trio's own code that would break off the whole run, and every tear-down with it.
"""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from pytest_asgi.runner.bridge import is_bridged

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import FrameType

    import trio

    Handler = Callable[[int, FrameType | None], Any]

__tracebackhide__ = True  # an interrupt is reported at the user's line

# The one of ours for asyncio, which does what Python's own does while no test runs there.
_OURS = "pytest_asgi.runner.interrupts"


class Interruptible(Protocol):
    """A task in which an exception can be raised.

    Attributes:
        is_interrupted: Whether Ctrl-C was pressed and the task does not know it yet.
    """

    is_interrupted: bool

    def interrupt(self, make: Callable[[], BaseException]) -> None:
        """Raise an exception where the task waits; to be called in the run."""


class Interrupts:
    """Stands before the handlers of signals as long as somebody waits for a run of trio.

    Attributes:
        token: The way into the run, once it has begun.
    """

    def __init__(self) -> None:
        self.token: trio.lowlevel.TrioToken | None = None
        self._task: Interruptible | None = None

    @contextmanager
    def watch(self, task: Interruptible | None) -> Generator[None]:
        """Say, for the time of the block, in which task the handlers' exceptions are raised."""
        before, self._task = self._task, task
        replaced = self._replace() if _is_main_thread() else {}
        try:
            yield
        finally:
            for number, handler in replaced.items():
                signal.signal(number, handler)
            self._task = before

    def _replace(self) -> dict[int, Any]:
        replaced: dict[int, Any] = {}
        on_ctrl_c = signal.getsignal(signal.SIGINT)
        if on_ctrl_c is signal.default_int_handler or _is_ours(on_ctrl_c):
            replaced[signal.SIGINT] = signal.signal(signal.SIGINT, self._handle_ctrl_c)
        alarm = getattr(signal, "SIGALRM", None)
        on_alarm = None if alarm is None else signal.getsignal(alarm)
        if alarm is not None and callable(on_alarm):
            replaced[alarm] = signal.signal(alarm, partial(self._handle_alarm, on_alarm))
        return replaced

    def _handle_ctrl_c(self, number: int, frame: FrameType | None) -> None:
        task = self._task
        if task is None or self.token is None or task.is_interrupted or is_bridged():
            signal.default_int_handler(number, frame)
        else:
            task.is_interrupted = True
            self.token.run_sync_soon(task.interrupt, KeyboardInterrupt)

    def _handle_alarm(self, handler: Handler, number: int, frame: FrameType | None) -> None:
        try:
            handler(number, frame)
        except BaseException as error:
            if self._task is None or self.token is None or is_bridged():
                raise
            raised = error  # Python forgets the other name
            self.token.run_sync_soon(self._task.interrupt, lambda: raised)


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _is_ours(handler: object) -> bool:
    return getattr(handler, "__module__", None) == _OURS
