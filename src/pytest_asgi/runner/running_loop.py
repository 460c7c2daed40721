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
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Generator

if sys.version_info >= (3, 14):
    from asyncio.tasks import _swap_current_task


class Running(NamedTuple):
    """What a thread says is running."""

    loop: AbstractEventLoop
    task: Task[Any] | None


def hide_running_loop() -> Running | None:
    """Make the thread say that nothing is running, and return what it said before."""
    loop = _get_running_loop()
    if loop is None:
        return None
    task: Task[Any] | None = None
    if sys.version_info >= (3, 14):
        task = _swap_current_task(loop, None)
    _set_running_loop(None)
    return Running(loop, task)


def show_running_loop(running: Running | None) -> None:
    """Make the thread say again what `hide_running_loop` returned."""
    if running is None:
        return
    _set_running_loop(running.loop)
    if sys.version_info >= (3, 14):
        _swap_current_task(running.loop, running.task)


@contextmanager
def hidden_running_loop() -> Generator[None]:
    """Hide whatever is running while the block runs."""
    running = hide_running_loop()
    try:
        yield
    finally:
        show_running_loop(running)
