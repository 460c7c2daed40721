"""What has to end with the program, before Python waits for the threads that are left.

The worker threads of a loop live as long as its root task, and Python waits for them before it
calls anything that `atexit` has. So a thread of ours waits for the main thread.
"""

from __future__ import annotations

import threading
import weakref
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_asgi.loop_driver import LoopDriver


class EndOfMain:
    """Ends the root tasks of loops that nobody has closed, when the main thread is at its end."""

    def __init__(self) -> None:
        self._drivers: weakref.WeakSet[LoopDriver] = weakref.WeakSet()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def add(self, driver: LoopDriver) -> None:
        """End the root task of this loop too, if it is still there."""
        with self._starting:
            self._drivers.add(driver)
            # A process that was forked has no threads but the one that forked it.
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(
                    target=self._watch, name="pytest-asgi at the end", daemon=False
                )
                # At the very end Python starts no thread, and so the loop has no workers either.
                with suppress(RuntimeError):
                    self._thread.start()

    def _watch(self) -> None:
        threading.main_thread().join()
        for driver in list(self._drivers):
            driver.end_root()


@cache
def watch_the_end() -> EndOfMain:
    """Return the one of this process."""
    return EndOfMain()
