"""What a thread is told by a run of trio in it: taken away and given back.

trio does not expect to be left in the middle of a run. Synchronous code that runs meanwhile must
be able to call `trio.run` or `asyncio.run`, and must not take itself for a task.
"""

from __future__ import annotations

import signal
import sys
import threading
from typing import NamedTuple

from pytest_asgi.adapters.trio.private_trio import Running, hide_running_trio, show_running_trio

__tracebackhide__ = True  # a failure ends in the user's line


class Presence(NamedTuple):
    """What one run, or whoever runs in its place, tells its thread.

    Attributes:
        running: The run of trio, if there is one.
        hooks: What hears of async generators.
        wakeup: The socket that a signal writes to; -1 for none.
    """

    running: Running | None = None
    hooks: tuple[object, object] = (None, None)
    wakeup: int = -1


def leave() -> Presence:
    """Take from the thread what it is told, and return it."""
    presence = Presence(hide_running_trio(), sys.get_asyncgen_hooks(), _swap_wakeup(-1))
    sys.set_asyncgen_hooks(None, None)
    return presence


def come_back(presence: Presence | None) -> None:
    """Give back to the thread what `leave` returned."""
    if presence is not None:
        show_running_trio(presence.running)
        sys.set_asyncgen_hooks(*presence.hooks)  # type: ignore[arg-type]  # as they were
        _swap_wakeup(presence.wakeup)


def swap_run(presence: Presence | None) -> Presence | None:
    """Give back what this returned, in the place of what a run tells the thread; return that.

    Returns:
        What `leave` returns; `None` if no run tells the thread anything, and then nothing is gone.
    """
    before = leave()
    if before.running is None:
        come_back(before)
    come_back(presence)
    return None if before.running is None else before


def _swap_wakeup(descriptor: int) -> int:
    """Set which socket a signal writes to, and return which it was."""
    if threading.current_thread() is not threading.main_thread():
        return -1
    return signal.set_wakeup_fd(descriptor, warn_on_full_buffer=False)
