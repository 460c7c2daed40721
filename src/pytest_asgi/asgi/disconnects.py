"""What an app is told when its client goes away, and which of its errors are only that."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class ClientDisconnectedError(ConnectionError):
    """Raised by `send` when the client has gone away; an `OSError`, as the specification asks.

    https://asgi.readthedocs.io/en/latest/specs/www.html#disconnect-receive-event-http
    """


# How frameworks name what they raise when the client has gone: Starlette and Litestar, BlackSheep,
# Quart as we do, Django, Sanic. Their classes are not at hand where theirs is not installed.
_NAMES = frozenset(
    {
        "ClientDisconnect",
        "ClientDisconnectException",
        "ClientDisconnectedError",
        "MessageAborted",
        "RequestAborted",
        "RequestCancelled",
        "WebSocketDisconnect",
        "WebSocketDisconnectedError",
    }
)


def is_only_disconnect(error: BaseException) -> bool:
    """Tell whether `error` says no more than that the client went away."""
    return any(map(_says_disconnect, _causes(error)))


def clear_frames(error: BaseException) -> None:
    """Forget the variables of the code that an exception has left; its traceback stays."""
    errors: list[BaseException | None] = [error]
    seen: set[int] = set()
    while errors:
        found = errors.pop()
        if found is not None and id(found) not in seen:
            seen.add(id(found))
            traceback.clear_frames(found.__traceback__)
            errors += [found.__cause__, found.__context__]
            if isinstance(found, BaseExceptionGroup):
                errors += found.exceptions


def _says_disconnect(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return all(map(is_only_disconnect, error.exceptions))
    return any(kind.__name__ in _NAMES for kind in type(error).__mro__)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the error and, as long as it merely replaces another one, that one."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__
