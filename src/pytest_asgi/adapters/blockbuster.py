"""blockbuster: it refuses, in a coroutine, to call functions that could block the loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_asgi.errors import MissingExtraError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager


def refusing_to_block() -> AbstractContextManager[Any]:
    """Return a block in which it does.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        from blockbuster import blockbuster_ctx
    except ImportError as error:
        raise MissingExtraError(
            "asgi_blocking = strict needs blockbuster.",
            why="It knows the functions that could block, and refuses to call them in a coroutine;"
            " it is not installed.",
            fix="pip install blockbuster",
        ) from error
    refusing: AbstractContextManager[Any] = blockbuster_ctx()
    return refusing
