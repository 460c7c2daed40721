"""Ctrl-C while a test runs: cancel its task inside the loop, so that every tear-down runs.

Python's own handler raises KeyboardInterrupt wherever the main thread happens to be, which in a
waiting loop is the loop itself: tests would be lost half-way. This handler cancels the task of
the running test instead. Where the test's own code is running, the interrupt is raised in it.
"""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Any

from pytest_asgi.runner.bridge import is_bridged

if TYPE_CHECKING:
    import asyncio
    from types import FrameType


__tracebackhide__ = True  # an interrupt is reported at the user's line


_PATIENCE = 2  # a second one ends code that blocks the loop; the test is still torn down


class Interrupts:
    """Turns the first Ctrl-C into a cancellation of the running test; a second one is raised."""

    def __init__(self) -> None:
        self._presses = 0
        self._cancellations = 0
        self._task: asyncio.Task[Any] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_installed = False

    @property
    def is_pending(self) -> bool:
        """Whether Ctrl-C was pressed and the test does not know it yet."""
        return self._presses > 0

    @property
    def is_urgent(self) -> bool:
        """Whether Ctrl-C was pressed so often that nothing of the test is worth waiting for."""
        return self._presses > _PATIENCE

    def install(self, loop: asyncio.AbstractEventLoop) -> None:
        """Take over SIGINT, unless the project has a handler of its own."""
        self._loop = loop
        in_main_thread = threading.current_thread() is threading.main_thread()
        if in_main_thread and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._handle)
            self._is_installed = True

    def uninstall(self) -> None:
        """Put Python's own handler back."""
        if self._is_installed and signal.getsignal(signal.SIGINT) == self._handle:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        self._is_installed = False

    def watch(self, task: asyncio.Task[Any] | None) -> None:
        """Say which task an interrupt cancels from now on."""
        self._task = task

    def press(self, *, cycles: int = 0) -> None:
        """Cancel the watched task, as Ctrl-C does.

        Args:
            cycles: How many cycles of the loop to wait before, in case the task hears of the
                interrupt by another way.
        """
        self._presses += 1
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._cancel, cycles)

    def raise_pending(self, cancelled: asyncio.CancelledError | None = None) -> None:
        """Raise KeyboardInterrupt, once, if an interrupt has cancelled the test.

        Args:
            cancelled: What the interrupt became, where the test met it.
        """
        if self.is_pending:
            self.forget()
            where = cancelled.__traceback__ if cancelled is not None else None
            raise KeyboardInterrupt().with_traceback(where)

    def forget(self) -> None:
        """Forget a pending interrupt, because the test has got it."""
        while self._cancellations and self._task is not None:
            self._cancellations -= 1
            self._task.uncancel()
        self._presses = 0

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._task is None or self.is_pending or is_bridged():
            signal.default_int_handler(number, frame)
        else:
            self.press()

    def _cancel(self, cycles: int) -> None:
        if cycles and self._loop is not None:
            self._loop.call_soon(self._cancel, cycles - 1)
        elif self.is_pending and self._task is not None:
            self._cancellations += 1
            self._task.cancel()
