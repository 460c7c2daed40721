"""What a test waits for at one moment, for people to read: lines of code, locks, requests.

Everything is read from the frames that are suspended, so nothing has to be kept while tests run.
"""

from __future__ import annotations

import sys
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from pytest_asgi.asgi.exchange import Exchange
from pytest_asgi.asgi.stacks import (
    places_from_users_code,
    places_of,
    shorten,
    waiting_frames,
    waits_in_users_code,
)
from pytest_asgi.asgi.websocket import WebSocketExchange

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import FrameType

# Where the primitives are, in whose methods a task waits.
_LOCKS = ("asyncio.locks", "asyncio.queues", "anyio._core._synchronization")


class Snapshot:
    """The waits of a test, as lines.

    Args:
        coroutine: What the task of the test runs.
        calls: What synchronous code of the test waits for and where, the latest last.
        own: The names and coroutines of the tasks that the test has started.
        foreign: Those of all others.
    """

    def __init__(
        self,
        coroutine: Any,
        calls: Iterable[tuple[Any, FrameType | None]],
        *,
        own: Iterable[tuple[str, Any]],
        foreign: Iterable[tuple[str, Any]],
    ) -> None:
        self._seen: set[int] = set()
        self._exchanges: dict[Exchange | WebSocketExchange, None] = {}
        # Synchronous code that runs the loop is on this very stack.
        here = sys._getframe()  # noqa: SLF001 - documented, in spite of its name
        *_, (awaited, caller) = [(coroutine, here), *calls]
        lines = list(self._chain("the test waits:", awaited, caller))
        for tasks, is_own in ((own, True), (foreign, False)):
            for name, other in sorted(tasks, key=itemgetter(0)):
                lines += self._other(name, other, is_own=is_own)
        requests = [f"in flight: {exchange.describe()}" for exchange in self._exchanges]
        self.lines = [*lines, *requests]

    def _other(self, name: str, coroutine: Any, *, is_own: bool) -> Iterator[str]:
        if id(coroutine) in self._seen:  # the test, or one of its tasks, awaits it
            return
        if is_own:
            yield from self._chain(f"its task {name!r} waits:", coroutine)
        elif waits_in_users_code(coroutine):
            yield from self._chain(f"another task, {name!r}, waits:", coroutine)

    def _chain(self, title: str, awaited: Any, caller: FrameType | None = None) -> Iterator[str]:
        callers = [place for place in places_from_users_code(caller) if place.is_users]
        frames = list(waiting_frames(awaited, self._seen))
        for frame in frames:
            owner = frame.f_locals.get("self")
            if isinstance(owner, (Exchange, WebSocketExchange)) and not _is_over(owner):
                self._exchanges[owner] = None
        yield title
        for place in shorten([*callers, *places_of(frames, has_begun=bool(callers))]):
            yield f"    {place}"
        yield from _lock(frames)


def _is_over(exchange: Exchange | WebSocketExchange) -> bool:
    return isinstance(exchange, WebSocketExchange) and exchange.task.is_finished


def _lock(frames: list[FrameType]) -> Iterator[str]:
    """Yield what the innermost of these frames waits for, if it is a lock or something like it."""
    at = len(frames)
    while at and frames[at - 1].f_globals.get("__name__") in _LOCKS:
        at -= 1
    if at == len(frames):
        return
    lock = frames[at].f_locals.get("self")
    name = _name(lock, frames[at - 1]) if at else None
    yield f"    for {f'`{name}`, ' if name else ''}{lock!r}"


def _name(thing: object, frame: FrameType) -> str | None:
    """Return what the code of `frame` calls `thing`."""
    names = {**frame.f_globals, **frame.f_locals}
    attributes = getattr(frame.f_locals.get("self"), "__dict__", {})
    for name, value in (*names.items(), *((f"self.{key}", it) for key, it in attributes.items())):
        if value is thing:
            return name
    return None
