"""Threads that the user's own code has started and that still run.

Those of a pool, of the loop's executor or of a package are not among them: the line that calls
`start()` is not the user's.
"""

from __future__ import annotations

import re
import sys
import threading
from functools import wraps
from typing import TYPE_CHECKING, Any

from pytest_asgi.runner.leaks.beginnings import find_beginning, is_users
from pytest_asgi.runner.leaks.keepers import Keeper, Leak, keeper

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

_NAMED_BY_PYTHON = re.compile(r"Thread-\d+ \((?P<function>.+)\)")
_START = "start"


class ThreadWatch:
    """Takes note of each thread that is started."""

    def __init__(self) -> None:
        self._start: Callable[..., None] = threading.Thread.start
        self._is_installed = False

    def install(self) -> None:
        """Begin."""
        if self._is_installed:
            return
        self._is_installed = True
        start = self._start

        @wraps(start)
        def remember(thread: threading.Thread, *args: Any, **kwargs: Any) -> None:
            holder, frame = keeper.get(), sys._getframe(1)  # noqa: SLF001 - documented in `sys`
            if holder is not None and is_users(frame.f_code.co_filename):
                place = find_beginning(frame)
                assert place is not None
                holder.threads.append((thread, place))
            start(thread, *args, **kwargs)

        setattr(threading.Thread, _START, remember)

    def stop(self) -> None:
        """Leave `threading.Thread` as it was."""
        setattr(threading.Thread, _START, self._start)


def running_threads(holder: Keeper, allowed: Collection[str]) -> list[Leak]:
    """Return those that have not ended, without those that are allowed to go on."""
    leaks = [_describe(thread, place) for thread, place in holder.threads if thread.is_alive()]
    return [leak for leak in leaks if not leak.is_allowed(allowed)]


def _describe(thread: threading.Thread, place: Any) -> Leak:
    named = _NAMED_BY_PYTHON.fullmatch(thread.name)
    names = (named["function"], thread.name) if named else (thread.name,)
    return Leak("thread", names, place)
