"""What can be called as an ASGI app, and what people pass instead by mistake."""

from __future__ import annotations

import inspect
from types import ModuleType
from typing import TYPE_CHECKING, cast

from pytest_asgi.errors import AppError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_asgi.asgi.types import ASGIApp, Receive, Scope, Send

_WHY = (
    "An ASGI app is called with three arguments, `await app(scope, receive, send)`: "
    "https://asgi.readthedocs.io/en/latest/specs/main.html#applications"
)

# What a callable that cannot take three arguments is, by the number that it can take.
_MISTAKES = {
    0: ("It takes no arguments, so it looks like a function that makes the app.", "app={name}()"),
    1: (
        "It takes one argument, so it looks like an app of ASGI 2.",
        "app=asgiref.compatibility.guarantee_single_callable({name})",
    ),
    2: (
        "It takes two arguments, so it looks like a WSGI app.",
        "app=asgiref.wsgi.WsgiToAsgi({name})",
    ),
}


def require_app(candidate: object) -> ASGIApp:
    """Return `candidate` as an app.

    Raises:
        AppError: It cannot be called as ASGI asks for.
    """
    __tracebackhide__ = True
    if not callable(candidate):
        raise AppError(f"{candidate!r} is not an ASGI app.", why=_WHY, fix=_advise(candidate))
    if not _accepts(candidate, 3):
        raise _miscalled(candidate)
    return cast("ASGIApp", candidate)


def modernize(candidate: object) -> object:
    """Return an app of ASGI 2, which is called twice, as one of ASGI 3; all else as it is."""
    if not callable(candidate) or _accepts(candidate, 3):
        return candidate
    if _accepts(candidate, 0) or not _accepts(candidate, 1):
        return candidate

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        __tracebackhide__ = True
        await candidate(scope)(receive, send)

    return app


def _miscalled(candidate: Callable[..., object]) -> AppError:
    """Return the error for a callable that does not take three arguments."""
    mistakes = (mistake for count, mistake in _MISTAKES.items() if _accepts(candidate, count))
    guess, fix = next(mistakes, ("It does not take three arguments.", "app=app"))
    name = getattr(candidate, "__name__", "app")
    return AppError(
        f"{candidate!r} is not an ASGI app. {guess}",
        why=_WHY,
        fix=f"Pass the app itself:\n\n    {fix.format(name=name)}",
    )


def _accepts(candidate: Callable[..., object], count: int) -> bool:
    """Tell whether `candidate` can be called with `count` positional arguments."""
    try:
        signature = inspect.signature(candidate)
    except (TypeError, ValueError):
        return True  # Written in C, or too clever: calling it is the only way to know.
    try:
        signature.bind(*range(count))
    except TypeError:
        return False
    return True


def _advise(candidate: object) -> str:
    if isinstance(candidate, ModuleType):
        return f"Pass the app in that module:\n\n    app={candidate.__name__}.app"
    if "://" in str(candidate):  # an URL of any library
        return f"Name the app first, and what relative URLs are relative to by its name:\n\n    \
app, base_url={str(candidate)!r}"
    if isinstance(candidate, str):
        module, _, name = candidate.partition(":")
        return f"Import it:\n\n    from {module} import {name or 'app'}"
    return "Pass the object that your framework made:\n\n    app = FastAPI()\n    app=app"
