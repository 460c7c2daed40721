"""Raise an exception in the thread of the tests, from another one, whatever code runs there.

A signal does it where there are signals: it ends a call of the system, such as a sleep. Otherwise
Python raises when that thread executes its own code again.
"""

from __future__ import annotations

import ctypes
import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

__tracebackhide__ = True  # a failure ends in the user's line

# Does nothing by default, so that one which comes too late does no harm, and nobody uses it.
_SIGNAL = getattr(signal, "SIGURG", None)


class Stopped(BaseException):
    """Ends code that does not wait; no `Exception`, so that such code does not catch it.

    Attributes:
        error: What is reported in its place, if that could be said when it was raised.
    """

    error: BaseException | None = None

    def __str__(self) -> str:
        """Say why, should it ever be seen."""
        return "the time limit of the test (asgi_timeout) is over"


class Stopper:
    """Raises an exception in one thread.

    Args:
        kind: What to raise; made without arguments.
        find_error: Asked in that thread, at the last moment, for what is to be reported; `None`
            if nothing is to be raised any more.
    """

    def __init__(
        self, kind: type[Stopped], find_error: Callable[[], BaseException | None]
    ) -> None:
        self._kind = kind
        self._find_error = find_error
        self._is_installed = False

    def install(self) -> None:
        """Take the signal, if nobody has it; to be called in the thread."""
        in_main_thread = threading.current_thread() is threading.main_thread()
        if (
            _SIGNAL is not None
            and in_main_thread
            and signal.getsignal(_SIGNAL) in {signal.SIG_DFL, signal.SIG_IGN}
        ):
            signal.signal(_SIGNAL, self._handle)
            self._is_installed = True

    def uninstall(self) -> None:
        """Give the signal back."""
        if self._is_installed and _SIGNAL is not None:
            signal.signal(_SIGNAL, signal.SIG_DFL)
            self._is_installed = False

    def stop(self, thread: int) -> None:
        """Raise it in `thread`, from another one."""
        if self._is_installed and _SIGNAL is not None:
            signal.pthread_kill(thread, _SIGNAL)
        else:
            _raise_at_the_next_line(thread, self._kind)

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        error = self._find_error()
        if error is not None:
            stopped = self._kind()
            stopped.error = error
            raise stopped


def forget_stop(thread: int) -> None:
    """Take back what was to be raised in a thread and was not yet."""
    _raise_at_the_next_line(thread, None)


def _raise_at_the_next_line(thread: int, kind: type[BaseException] | None) -> None:
    argument = None if kind is None else ctypes.py_object(kind)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), argument)
