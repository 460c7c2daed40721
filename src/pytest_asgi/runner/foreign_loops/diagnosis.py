"""Tell from an exception and its traceback which object was used in which wrong loop.

Nothing is asked that runs the user's code: messages, frames and stored attributes are enough.
"""

from __future__ import annotations

import re
from asyncio import AbstractEventLoop
from dataclasses import dataclass
from itertools import pairwise
from traceback import walk_tb
from typing import TYPE_CHECKING, cast

from pytest_asgi.runner.foreign_loops.bound_objects import (
    BoundObject,
    IsForeign,
    Line,
    Step,
    bound_loop,
    find_bound_object,
    find_name,
    is_of,
    module_of,
)
from pytest_asgi.runner.foreign_loops.origins import (
    Place,
    is_host,
    is_users_own,
    module_at,
    package_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

# asyncio: mixins.py `_get_loop`, base_events.py `_check_closed` and `_check_thread`, tasks.py
# `__step` and `ensure_future`. PyMongo and aiohttp word their own checks alike.
_CERTAIN = re.compile(
    r"different (event )?loop|same event loop|Event loop is closed|loop other than the current"
)
# What libraries say when they do not notice the loop itself: aiohttp's timer, asyncpg's protocol
# (https://github.com/MagicStack/asyncpg/issues/56), uvloop's transports. All three have other
# causes too, so such an error counts only when an object of another loop is in sight.
_POSSIBLE = re.compile(
    r"Timeout context manager should be used inside a task"
    r"|another operation (\(.*\) )?is in progress"
    r"|the handler is closed"
)
_CLOSED = "Event loop is closed"
_INTO_A_THREAD = ("concurrent.futures", "anyio.from_thread")


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was used in which wrong loop, as far as it can be told.

    Attributes:
        is_about_closed: Whether the error says that a loop is closed.
        found: The object that is bound to `home`.
        home: The loop where the object works.
        running: The loop where it was used instead.
        session_loop: The loop that fixtures, tests and the app share.
        used_at: The innermost line of the user's code.
    """

    is_about_closed: bool
    found: BoundObject | None
    home: AbstractEventLoop | None
    running: AbstractEventLoop | None
    session_loop: AbstractEventLoop | None
    used_at: Place | None


@dataclass(slots=True)
class _Clues:
    """What the frames of a traceback give away."""

    running: AbstractEventLoop | None
    home: AbstractEventLoop | None = None
    culprit: object = None


def diagnose(error: BaseException, session_loop: AbstractEventLoop | None) -> Diagnosis | None:
    """Return what is known about the first error of two loops among `error` and its relatives."""
    for relative in _relatives(error):
        message = _message(relative)
        if _CERTAIN.search(message):
            return _examine(relative, message, session_loop)
        if _POSSIBLE.search(message):
            diagnosis = _examine(relative, message, session_loop)
            if diagnosis.found is not None:
                return diagnosis
    return None


def _relatives(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, the errors in its group, its cause and its context, each one once."""
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting:
        relative = waiting.pop(0)
        if relative is None or id(relative) in seen:
            continue
        seen.add(id(relative))
        yield relative
        if isinstance(relative, BaseExceptionGroup):
            waiting.extend(relative.exceptions)
        waiting.append(relative.__cause__)
        if not relative.__suppress_context__:
            waiting.append(relative.__context__)


def _message(error: BaseException) -> str:
    """Return an error's message, without `str`, which may be the user's code."""
    is_asyncpg = package_of(module_of(type(error))) == "asyncpg"
    if not isinstance(error, RuntimeError | ValueError) and not is_asyncpg:
        return ""
    message = error.args[0] if error.args else ""
    return message if isinstance(message, str) else ""


def _examine(
    error: BaseException, message: str, session_loop: AbstractEventLoop | None
) -> Diagnosis:
    lines = [Line(frame, number) for frame, number in walk_tb(error.__traceback__)]
    clues = _read_clues(lines, session_loop)
    lines.reverse()
    is_about_closed = message == _CLOSED
    found = _find(lines, clues, session_loop, is_about_closed=is_about_closed)
    if found is not None:
        found = _renamed(found, lines) if found.is_users else _named_by_call(found, lines)
    return Diagnosis(
        is_about_closed=is_about_closed,
        found=found,
        home=found.loop if found is not None else clues.home,
        running=clues.running,
        session_loop=session_loop,
        used_at=_used_at(found, lines),
    )


def _read_clues(lines: list[Line], session_loop: AbstractEventLoop | None) -> _Clues:
    """Follow a traceback inwards: which loop was entered last, and who noticed what."""
    clues = _Clues(running=session_loop)
    caller: Line | None = None
    for line in lines:
        name = line.frame.f_code.co_name.rpartition(".")[2]  # Cython writes the qualified name
        this = line.frame.f_locals.get("self")
        if name in {"run_until_complete", "run_forever"}:
            clues.running = _as_loop(this) or _loop_in_sight(caller)
        elif module_at(line.frame).startswith(_INTO_A_THREAD):
            clues.running = None  # from here on it is another thread's code
        elif name in {"_check_closed", "_check_thread"}:
            clues.home = _as_loop(this)
        elif name == "_get_loop":
            clues.culprit, clues.running = this, _as_loop(line.frame.f_locals.get("loop"))
        caller = line
    if clues.culprit is not None:
        clues.home = bound_loop(clues.culprit)
    if clues.home is clues.running:
        clues.running = None  # somebody ran a loop that was closed: there is no other
    return clues


def _find(
    lines: list[Line],
    clues: _Clues,
    session_loop: AbstractEventLoop | None,
    *,
    is_about_closed: bool,
) -> BoundObject | None:
    searched = [line for line in lines if not is_host(line.frame)]
    for is_foreign in _suspicions(clues, session_loop, is_about_closed=is_about_closed):
        found = find_bound_object(searched, is_foreign)
        if found is not None:
            return found
    return None


def _named_by_call(found: BoundObject, lines: list[Line]) -> BoundObject:
    """Name an object of a library by what the user called: `client`, in `client.get(...)`.

    Connection pools forget a connection that failed, so nothing leads to it any more.
    """
    for inner, line in pairwise(lines):
        if is_users_own(line.frame):
            called = inner.frame.f_locals.get("self")
            steps = find_name(line, called) if called is not None else ()
            if steps:
                bound = Step("", found.bound.value)
                return BoundObject((*steps, bound), found.loop, line.place, is_users=True)
            break
    return found


def _renamed(found: BoundObject, lines: list[Line]) -> BoundObject:
    """Name an object that only calls itself `self` as the user's code around it does."""
    if found.holder.name != "self":
        return found
    for line in lines:
        steps = find_name(line, found.holder.value) if is_users_own(line.frame) else ()
        if steps and steps[-1].name != "self":
            return BoundObject(steps, found.loop, line.place, is_users=True)
    return found


def _used_at(found: BoundObject | None, lines: list[Line]) -> Place | None:
    if found is not None and found.is_users:
        return found.place
    return next((line.place for line in lines if is_users_own(line.frame)), None)


def _suspicions(
    clues: _Clues, session_loop: AbstractEventLoop | None, *, is_about_closed: bool
) -> Iterator[IsForeign]:
    """Yield what to look for, the most certain first."""
    if clues.culprit is not None:
        yield lambda value, _: value is clues.culprit
    if clues.home is not None:
        yield lambda _, loop: loop is clues.home
    elif clues.running is None:
        yield lambda _, loop: loop is session_loop
        yield lambda _, loop: loop is not session_loop
    elif is_about_closed:
        yield lambda _, loop: loop is not clues.running and loop.is_closed()
    else:
        yield lambda _, loop: loop is not clues.running


def _as_loop(value: object) -> AbstractEventLoop | None:
    return cast("AbstractEventLoop", value) if is_of(value, AbstractEventLoop) else None


def _loop_in_sight(line: Line | None) -> AbstractEventLoop | None:
    """Return the loop that a line names: loops written in C leave no variables of their own."""
    for value in () if line is None else list(line.frame.f_locals.values()):
        loop = _as_loop(value) or bound_loop(value)  # the latter for `self` of a Runner
        if loop is not None:
            return loop
    return None
