"""Notice a call that keeps the loop from going on: code of a coroutine that does not wait.

A thread looks, again and again, at what the thread of the loop does. While that is in a coroutine
the loop is asked for a turn; a turn that does not come in time is what this is about, and what
stands on the stack then is the cause. A loop that waits for events is never woken up for it.
"""

from __future__ import annotations

import inspect
import sys
import threading
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING

from pytest_asgi.asgi.stacks import Place, places_from_users_code, shorten

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable
    from types import FrameType

_LOOKS = 5  # at a call, before it has taken too long
_COROUTINE = inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR


class Blockage:
    """A turn of the loop that is asked for, and what has kept it from coming.

    Attributes:
        seconds: How long it has not come, at least.
        places: Where the code was, from the user's own outermost line inwards; empty as long as
            the turn is not late.
    """

    def __init__(self, loop: AbstractEventLoop) -> None:
        self.places: list[Place] = []
        self._began = monotonic()
        self._ended: float | None = None
        with suppress(RuntimeError):  # the loop has just been closed
            loop.call_soon_threadsafe(self.end)

    @property
    def is_over(self) -> bool:
        """Whether the turn has come."""
        return self._ended is not None

    @property
    def seconds(self) -> float:  # noqa: D102 - described above
        return (self._ended or monotonic()) - self._began

    def end(self) -> None:
        """Be told that the turn has come."""
        self._ended = self._ended or monotonic()


class BlockingWatch:
    """Watches the loop while it runs in the calling thread.

    Args:
        find_loop: Returns the session's loop, if anything has needed it yet.
    """

    def __init__(self, find_loop: Callable[[], AbstractEventLoop | None]) -> None:
        self._find_loop = find_loop
        self._home = threading.get_ident()
        self._limit: float | None = None  # in seconds; `None` while nobody wants to know
        self._turn: Blockage | None = None
        self._found: list[Blockage] = []
        self._news = threading.Condition()
        self._is_over = False
        self._thread = threading.Thread(
            target=self._watch, name="pytest-asgi blocking", daemon=True
        )

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        with self._news:
            self._is_over = True
            self._news.notify()
        self._thread.join()

    def begin(self, limit: float) -> None:
        """Look from now on for what blocks the loop longer than `limit` seconds."""
        with self._news:
            self._limit = limit
            self._turn = None
            self._found = []
            self._news.notify()

    def end(self) -> list[Blockage]:
        """Look no more; return what was found."""
        with self._news:
            self._limit = None
            found, self._found = self._found, []
        for each in found:
            each.end()
        return found

    def _watch(self) -> None:
        with self._news:
            while not self._is_over:
                if self._limit is not None:
                    self._look(self._limit)
                self._news.wait(None if self._limit is None else self._limit / _LOOKS)

    def _look(self, limit: float) -> None:
        loop, turn = self._find_loop(), self._turn
        if loop is None:
            return
        frame = sys._current_frames().get(self._home)  # noqa: SLF001 - documented, in spite of its name
        places = _find_blocker(frame)
        if turn is None or turn.is_over:
            self._turn = Blockage(loop) if places else None
        elif places and not turn.places and turn.seconds >= limit:
            turn.places = places
            self._found.append(turn)


def _find_blocker(innermost: FrameType | None) -> list[Place]:
    """Return the lines of the user's code that runs in a coroutine; nothing if none does.

    Below a call of ours nobody is to blame: its work is the test's own.
    """
    if not _is_in_coroutine(innermost):
        return []
    places = shorten(places_from_users_code(innermost))
    called = next((place for place in places if not place.is_users), None)
    is_users = places[0].is_users and (called is None or not called.is_ours)
    return places if is_users else []


def _is_in_coroutine(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_flags & _COROUTINE:
            return True
        frame = frame.f_back
    return False
