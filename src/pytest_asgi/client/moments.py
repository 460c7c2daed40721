"""The moment at which a client goes away, as both our clients are told of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from pytest_asgi.asgi.departures import During, Moment
from pytest_asgi.client.options import require_valid
from pytest_asgi.errors import AppError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def choose_moment(
    during: During, parts: int, once: Callable[[], Awaitable[object]] | None
) -> Moment:
    """Return the moment that the options of `disconnect()` name.

    Raises:
        SettingsError: An option has a value that is not valid.
    """
    __tracebackhide__ = True
    require_valid("during", during, get_args(During))
    count: object = parts  # not everyone checks types
    if not isinstance(count, int) or count < 0:
        raise _not_valid(
            "parts",
            parts,
            why="It is how many parts of the response's body are read before: 0 or more.",
            fix='await client.disconnect("GET", "/", during="download", parts=1)',
        )
    if once is not None and not callable(once):
        raise _not_valid(
            "once",
            once,
            why="It is an async function that is called when the client begins to wait.",
            fix='await client.disconnect("GET", "/", once=working.wait)',
        )
    return Moment(during=during, parts=parts, once=once)


def nobody_to_leave(client: str) -> AppError:
    """Return the error of a client whose requests go elsewhere."""
    return AppError(
        "disconnect() found no app to go away from.",
        why="The request goes to a transport that is not ours, and only ours can end it as a "
        "server would.",
        fix=f"Give the client the app:\n\n    {client}(app=app)",
    )


def _not_valid(name: str, value: Any, *, why: str, fix: str) -> SettingsError:
    return SettingsError(f"{name}={value!r} is not valid.", why=why, fix=f"Write:\n\n    {fix}")
