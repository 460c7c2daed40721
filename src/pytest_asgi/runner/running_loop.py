"""Which event loop the current thread says is running: hidden, shown and put back.

Synchronous code inside a task must be able to call `asyncio.run`, and other libraries leave a
running loop of their own on the thread, as Playwright's synchronous API does. asyncio keeps two
marks: the running loop, and since Python 3.14 also the current task, per thread instead of per
loop (https://docs.python.org/3.14/whatsnew/3.14.html#asyncio). Only this module touches them.
"""

from __future__ import annotations

import sys
from asyncio import AbstractEventLoop, Task, _get_running_loop, _set_running_loop
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Generator

# What a thread says is running: the loop, and its task where a thread has one; `None` for nothing.
Running = tuple[AbstractEventLoop, Task[Any] | None] | None

if sys.version_info >= (3, 14):
    from asyncio.tasks import _swap_current_task

    def swap_running_loop(running: Running) -> Running:
        """Make the thread say that `running` is running, and return what it said before."""
        loop = _get_running_loop()
        before = None if loop is None else (loop, _swap_current_task(loop, None))
        if running is None:
            _set_running_loop(None)
        else:
            _set_running_loop(running[0])
            _swap_current_task(*running)
        return before

else:

    def swap_running_loop(running: Running) -> Running:
        """Make the thread say that `running` is running, and return what it said before."""
        loop = _get_running_loop()
        _set_running_loop(None if running is None else running[0])
        return None if loop is None else (loop, None)


@contextmanager
def hidden_running_loop() -> Generator[None]:
    """Make the thread say that nothing is running while the block runs."""
    running = swap_running_loop(None)
    try:
        yield
    finally:
        if running is not None:
            swap_running_loop(running)
