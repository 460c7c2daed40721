"""Where in the app a message was sent, read from the stack when a rule is broken."""

from __future__ import annotations

import inspect
from inspect import CO_ASYNC_GENERATOR, CO_COROUTINE, CO_GENERATOR, CO_ITERABLE_COROUTINE
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_asgi.asgi.stacks import Place

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_OURS = str(Path(__file__).parents[2])
# What can wait for `send`; an ordinary function around it is the event loop.
_WAITING = CO_COROUTINE | CO_GENERATOR | CO_ITERABLE_COROUTINE | CO_ASYNC_GENERATOR


def find_senders(message: object) -> tuple[Place, ...]:
    """Return the line that sent `message`, and the user's own line above it if that is another.

    Empty if compiled code sent the message and no line of Python was waiting for it.
    """
    frames = list(_frames())
    while len(frames) > 1 and _only_passes_on(frames[0], message):
        del frames[0]
    places = [_place(frame) for frame in frames]
    users = [place for place in places if place.is_users]
    return tuple(dict.fromkeys([*places[:1], *users[:1]]))


def describe(senders: tuple[Place, ...]) -> str:
    """Return the places as the text of an error gives them."""
    return ", awaited by ".join(map(str, senders))


def _frames() -> Iterator[FrameType]:
    """Yield the frames of the app that wait for each other, the innermost first."""
    frame = inspect.currentframe()
    while frame is not None and _is_ours(frame):
        frame = frame.f_back
    while frame is not None and frame.f_code.co_flags & _WAITING and not _is_ours(frame):
        yield frame
        frame = frame.f_back


def _only_passes_on(frame: FrameType, message: object) -> bool:
    """Tell whether a library got the message from elsewhere, as the middlewares of many do."""
    code = frame.f_code
    arguments = code.co_varnames[: code.co_argcount]
    return not _place(frame).is_users and any(
        frame.f_locals.get(name) is message for name in arguments
    )


def _place(frame: FrameType) -> Place:
    return Place(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_qualname)


def _is_ours(frame: FrameType) -> bool:
    return frame.f_code.co_filename.startswith(_OURS)
