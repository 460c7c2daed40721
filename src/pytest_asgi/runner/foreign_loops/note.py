"""The text of a note: what happened, why, and what to change, for a terminal of 80 columns."""

from __future__ import annotations

import ast
from textwrap import fill, shorten
from typing import TYPE_CHECKING, NamedTuple

from pytest_asgi.runner.foreign_loops.bound_objects import BoundObject, Step, module_of
from pytest_asgi.runner.foreign_loops.origins import PORTAL, LoopOrigins, Origin, Place

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Iterator

    from pytest_asgi.runner.foreign_loops.diagnosis import Diagnosis

_WIDTH = 68  # pytest puts "E" and the indentation of the failing line in front
_MARGIN = " " * 12
_MOST_LOOPS = 3
_ONE_LOOP = "What is opened in one event loop works in that loop only."
_SHARED = "Fixtures, tests and the app share the session's loop"


_FIXTURE = """\
    @pytest.fixture(scope="session")
    async def {name}():
        {name} = {opened}
        yield {name}"""
_BEFORE_ALL = """\
    @pytest.fixture(scope="session", autouse=True)
    async def before_all_tests():
        await {coroutine}"""


class _Advice(NamedTuple):
    """Why it happened and what to change."""

    why: str
    fix: str
    example: str = ""


def write_note(diagnosis: Diagnosis, origins: LoopOrigins) -> str:
    """Return the note for an error that two event loops have caused."""
    advice = _advise(diagnosis, origins)
    parts = [
        _paragraph(_headline(diagnosis)),
        "\n".join(_facts(diagnosis, origins)),
        _paragraph(f"Why: {advice.why}"),
        _paragraph(f"Fix: {advice.fix}"),
        advice.example,
    ]
    return "\n\n".join(part for part in parts if part)


# What happened


def _headline(diagnosis: Diagnosis) -> str:
    found, home = diagnosis.found, diagnosis.home
    if found is None and (diagnosis.is_about_closed or (home is not None and home.is_closed())):
        return "An event loop was used after it was closed."
    what = _name(found) or _an_object(found)
    if home is not None and home.is_closed():
        return f"{what} belongs to an event loop that is closed."
    return f"{what} belongs to one event loop and was used in another."


def _facts(diagnosis: Diagnosis, origins: LoopOrigins) -> Iterator[str]:
    if diagnosis.found is not None:
        yield from _facts_about_object(diagnosis.found)
    if diagnosis.used_at is not None:
        yield _row("used at", f"{diagnosis.used_at} in {_own_name(diagnosis.used_at.function)}")
        yield from _source(diagnosis.used_at)
    for label, loop in _loops(diagnosis, origins):
        if loop is diagnosis.session_loop:
            yield _row(label, f"the session's loop, {_state(loop)}")
        else:
            yield from _facts_about_loop(label, loop, origins.origin(loop))


def _facts_about_object(found: BoundObject) -> Iterator[str]:
    if found.is_users:
        yield _row("object", f"{_name(found)}, of type {_type(found.holder)}")
    if found.bound is not found.holder:
        path = f"`{found.bound.name}`, of" if found.bound.name else "an object of"
        yield _row("through", f"{path} type {_type(found.bound)}")


def _facts_about_loop(label: str, loop: AbstractEventLoop, origin: Origin | None) -> Iterator[str]:
    yield _row(label, f"{_state(loop)}, {_describe_origin(origin)}")
    if origin is not None and origin.place is not None:
        yield from _source(origin.place)


def _loops(diagnosis: Diagnosis, origins: LoopOrigins) -> Iterator[tuple[str, AbstractEventLoop]]:
    if diagnosis.home is not None:
        yield "its loop", diagnosis.home
    if diagnosis.running is not None:
        yield "used in", diagnosis.running
    if diagnosis.home is None:
        known = (diagnosis.running, diagnosis.session_loop)
        others = [loop for loop in origins.loops() if not any(loop is one for one in known)]
        yield from (("another", loop) for loop in others[-_MOST_LOOPS:])


def _state(loop: AbstractEventLoop) -> str:
    if loop.is_closed():
        return "closed"
    return "running" if loop.is_running() else "open"


def _describe_origin(origin: Origin | None) -> str:
    if origin is None:
        return "made by code that ran before pytest-asgi could watch"
    parts = [f"made by {origin.made_by}"]
    if origin.package_place is not None:
        parts.append(f"in {origin.package_place}")
    if origin.place is not None:
        parts.append(f"at {origin.place}")
    if origin.thread is not None:
        parts.append(f"in the thread {origin.thread!r}")
    return " ".join(parts)


def _type(step: Step) -> str:
    kind = type(step.value)
    module = module_of(kind)
    # Futures and tasks are written in C, in a module that nobody knows.
    return f"{'asyncio' if module == '_asyncio' else module}.{_own_name(kind.__qualname__)}"


def _own_name(qualified: str) -> str:
    return qualified.rpartition("<locals>.")[2]


def _an_object(found: BoundObject | None) -> str:
    return "An object" if found is None else f"An object of type {_type(found.bound)}"


def _name(found: BoundObject | None) -> str:
    if found is None:
        return ""
    return f"`{found.holder.name}`" if found.is_users else ""


# Why, and what to change


def _advise(diagnosis: Diagnosis, origins: LoopOrigins) -> _Advice:
    home, session_loop = diagnosis.home, diagnosis.session_loop
    what = _name(diagnosis.found) or "the object"
    if home is not None and home is session_loop:
        return _end_in_time(what) if home.is_closed() else _await_in_place(diagnosis, origins)
    origin = None if home is None else origins.origin(home)
    if origin is not None and origin.made_by == PORTAL:
        return _use_our_clients()
    return _open_in_place(origin, what, diagnosis.found)


def _open_in_place(origin: Origin | None, what: str, found: BoundObject | None) -> _Advice:
    maker = "other code" if origin is None or origin.place is None else str(origin.place)
    why = f"{_ONE_LOOP} {_SHARED}; {maker} made another"
    if origin is not None and origin.made_by.endswith(".run"):
        why += f", which {origin.made_by} closes when it returns"
    if found is None:
        return _Advice(
            why=f"{why}.",
            fix="Make no loop of your own. Open clients and pools in the app's lifespan or in an"
            " async fixture, and await in `async def` tests: all of it runs in the session's"
            " loop.",
        )
    return _Advice(
        why=f"{why}.",
        fix=f"Make no loop for {what}: open it in the app's lifespan or in an async fixture. Both"
        " run in the session's loop.",
        example=_example(found, origin),
    )


def _await_in_place(diagnosis: Diagnosis, origins: LoopOrigins) -> _Advice:
    what = _name(diagnosis.found) or "it"
    origin = None if diagnosis.running is None else origins.origin(diagnosis.running)
    culprit = "code in another thread or loop"
    if origin is not None and origin.place is not None:
        culprit = f"{origin.made_by} at {origin.place}"
    elif origin is not None:
        culprit = origin.made_by
    return _Advice(
        why=f"{_ONE_LOOP} {what} was opened in the session's loop, and {culprit} used it in"
        " another.",
        fix=f"Await {what} in the session's loop: in an `async def` test or fixture, with no loop"
        " of your own. The `client` fixture and pytest_asgi.TestClient use that loop too.",
    )


def _end_in_time(what: str) -> _Advice:
    return _Advice(
        why="The session's loop is closed when the last fixture is torn down, and something used"
        f" {what} after that.",
        fix=f"End {what} in time: in the app's lifespan, or after the `yield` of the async"
        " fixture that opened it.",
    )


def _use_our_clients() -> _Advice:
    return _Advice(
        why=f"{_ONE_LOOP} A synchronous test client that is not pytest-asgi's runs the app in a"
        " thread, in a loop that ends with the request or the `with` block.",
        fix="Use the `client` fixture or pytest_asgi.TestClient: they run the app in the"
        " session's loop.",
    )


def _example(found: BoundObject | None, origin: Origin | None) -> str:
    place = None if origin is None else origin.place
    name, coroutine = _parse_run("" if place is None else place.source)
    if coroutine and not name:
        is_at_import = place is not None and place.function == "<module>"
        return _BEFORE_ALL.format(coroutine=coroutine) if is_at_import else ""
    if not name and found is not None and found.is_users:
        name = found.holder.name.rpartition(".")[2]
    opened = f"await {coroutine}" if coroutine else "...  # open it here"
    if not name.isidentifier() or name == "self":
        return ""
    return _FIXTURE.format(name=name, opened=opened)


def _parse_run(source: str) -> tuple[str, str]:
    """Split `pool = asyncio.run(open_pool())` into `pool` and `open_pool()`."""
    match _parse(source):
        case [ast.Assign(targets=[ast.Name(id=name)], value=value)]:
            coroutine = _coroutine_of_run(value)
            return (name, coroutine) if coroutine else ("", "")
        case [ast.Expr(value=value)]:
            return "", _coroutine_of_run(value)
        case _:
            return "", ""


def _parse(source: str) -> list[ast.stmt]:
    try:
        return ast.parse(source).body
    except SyntaxError:  # the first of several lines
        return []


def _coroutine_of_run(call: ast.expr) -> str:
    match call:
        case ast.Call(
            func=ast.Attribute(value=ast.Name(id="asyncio" | "uvloop"), attr="run"),
            args=[coroutine],
        ):
            return ast.unparse(coroutine)
        case _:
            return ""


# How it looks


def _row(label: str, text: str) -> str:
    return fill(
        text,
        width=_WIDTH,
        initial_indent=f"  {label:<10}",
        subsequent_indent=_MARGIN,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _source(place: Place) -> Iterator[str]:
    if place.source:
        yield _MARGIN + "  " + shorten(place.source, _WIDTH - len(_MARGIN) - 2, placeholder=" ...")


def _paragraph(text: str) -> str:
    return fill(text, width=_WIDTH, break_long_words=False, break_on_hyphens=False)
