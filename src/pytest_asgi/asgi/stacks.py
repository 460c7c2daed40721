"""Where code is waiting, or where it was called from: for messages that name the user's line."""

from __future__ import annotations

import asyncio
import gc
import inspect
import sys
import warnings
from functools import cache, lru_cache
from pathlib import Path
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import FrameType

_OURS = str(Path(__file__).parent.parent)

_WAITING = (CoroutineType, AsyncGeneratorType, GeneratorType, asyncio.Task)


class Place(NamedTuple):
    """A line of code that waits.

    Attributes:
        is_users: Whether it is neither in the standard library nor in an installed package.
        is_ours: Whether it is in this package.
    """

    file: str
    line: int
    function: str

    @property
    def is_users(self) -> bool:  # noqa: D102 - described above
        return _is_users(self.file)

    @property
    def is_ours(self) -> bool:  # noqa: D102 - described above
        return self.file.startswith(_OURS)

    def __str__(self) -> str:
        """Return the place as an editor can open it."""
        return f"{self.file}:{self.line} in {self.function}"


def describe_wait(
    coroutine: Any,
    tasks: Iterable[tuple[str, Any]] = (),
    *,
    caller: FrameType | None = None,
) -> str:
    """Return where `coroutine` waits: the innermost line, and the user's own if it differs.

    Args:
        coroutine: What is suspended.
        tasks: The names and coroutines of the tasks that it has started. Those that it awaits
            itself are not told twice.
        caller: The frame of the synchronous code that waits for it.
    """
    seen: set[int] = set()
    callers = _find_caller(caller)
    text = _describe_places([*callers, *_places(coroutine, seen, has_begun=bool(callers))])
    sentences = [f"it waits {text}" if text else "it is not waiting for anything"]
    for name, child in tasks:
        if id(child) not in seen:
            place = _describe_places(list(_places(child, seen)))
            if place:
                sentences.append(f"its task {name!r} waits {place}")
    return "; ".join(sentences)


def _find_caller(frame: FrameType | None) -> list[Place]:
    """Return the user's own line from which `frame` was called, if there is one."""
    while frame is not None:
        if _is_users(frame.f_code.co_filename):
            return [_place(frame)]
        frame = frame.f_back
    return []


def _place(frame: FrameType) -> Place:
    return Place(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_qualname)


def waits_in_users_code(coroutine: Any) -> bool:
    """Tell whether a line of the user's own is among those that `coroutine` waits at."""
    return any(place.is_users for place in _places(coroutine, set()))


def find_wait(coroutine: Any) -> Place | None:
    """Return where `coroutine` waits: the innermost line of the user's own, or of anybody."""
    places = list(_places(coroutine, set()))
    users = [place for place in places if place.is_users]
    return next(reversed(users or places), None)


def _describe_places(places: list[Place]) -> str:
    if not places:
        return ""
    innermost = places[-1]
    users = [place for place in places if place.is_users]
    if not users or users[-1] is innermost:
        return f"at {innermost}"
    return f"at {users[-1]}, which waits at {innermost}"


def _places(awaited: Any, seen: set[int], *, has_begun: bool = False) -> Iterator[Place]:
    """Yield the lines that wait for each other, from the outermost to the innermost."""
    return places_of(waiting_frames(awaited, seen), has_begun=has_begun)


def waiting_frames(awaited: Any, seen: set[int]) -> Iterator[FrameType]:
    """Yield the frames that wait for each other, from the outermost to the innermost.

    Args:
        awaited: Where to begin.
        seen: Receives the identity of all that is on the way; what is in it already ends the way.
    """
    while awaited is not None and id(awaited) not in seen:
        seen.add(id(awaited))
        frame: FrameType | None = _first(awaited, "cr_frame", "gi_frame", "ag_frame")
        if frame is not None:
            yield frame
        awaited = _next(awaited)


def places_of(frames: Iterable[FrameType], *, has_begun: bool = False) -> Iterator[Place]:
    """Yield the lines of frames that wait for each other, without those of ours.

    Args:
        frames: From the outermost to the innermost.
        has_begun: Whether somebody waits already, who does not want to know our own lines.
    """
    is_in_ours = False
    for frame in frames:
        place = _place(frame)
        if place.is_ours:
            is_in_ours = has_begun
        # Who awaits `receive` does not want to know by which lock we let it wait.
        elif place.is_users or not is_in_ours:
            has_begun, is_in_ours = True, False
            yield place


def shorten(places: list[Place]) -> list[Place]:
    """Leave out the lines of libraries, but for those that the user's last line leads to."""
    last = max((number for number, place in enumerate(places) if place.is_users), default=0)
    return [place for number, place in enumerate(places) if place.is_users or number >= last]


def places_from_users_code(innermost: FrameType | None) -> list[Place]:
    """Return the lines that running code is at, from the user's own outermost one inwards."""
    places: list[Place] = []
    while innermost is not None:
        if not innermost.f_code.co_filename.startswith("<frozen "):  # how Python imports
            places.append(_place(innermost))
        innermost = innermost.f_back
    places.reverse()
    first = next((number for number, place in enumerate(places) if place.is_users), 0)
    return places[first:]


def _next(waiting: Any) -> Any:
    """Return what `waiting` waits for."""
    if isinstance(waiting, asyncio.Task):
        return waiting.get_coro()
    if isinstance(waiting, _WAITING):
        return _first(waiting, "cr_await", "gi_yieldfrom", "ag_await")
    # The iterators that Python puts between `await` and a task, or between `async for` and its
    # generator, have no attribute that names it.
    return next(
        (thing for thing in gc.get_referents(waiting) if isinstance(thing, _WAITING)), None
    )


def _first(thing: Any, *names: str) -> Any:
    """Return the first of the attributes that `thing` has."""
    return next((getattr(thing, name) for name in names if hasattr(thing, name)), None)


def calling_frames() -> Iterator[FrameType]:
    """Yield the frames that the caller runs in, from the innermost to the outermost."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - documented, in spite of its name
    while frame is not None:
        yield frame
        frame = frame.f_back


def users_place(frames: Iterable[FrameType]) -> Place | None:
    """Return the first place among `frames` that is the user's own."""
    for frame in frames:
        if _is_users(frame.f_code.co_filename):
            return Place(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_qualname)
    return None


def warn_user(text: str, category: type[Warning]) -> None:
    """Warn at the user's own line from which the caller was called, wherever that is."""
    frame = inspect.currentframe()
    while frame is not None:
        if _is_users(frame.f_code.co_filename):
            warnings.warn_explicit(text, category, frame.f_code.co_filename, frame.f_lineno)
            return
        frame = frame.f_back
    warnings.warn(text, category, stacklevel=2)


@lru_cache(maxsize=1024)
def _is_users(file: str) -> bool:
    return not file.startswith((*_libraries(), "<"))


@cache
def _libraries() -> tuple[str, ...]:
    import sysconfig  # noqa: PLC0415 - it takes a while

    return (_OURS, *{sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")})
