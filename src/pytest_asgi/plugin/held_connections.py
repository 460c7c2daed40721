"""Connections around tests: who has left one in use, and the end of all of them."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from pytest_asgi.database.connections import describe
from pytest_asgi.errors import AsgiWarning, IsolationError

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Coroutine, Generator

    from pytest_asgi.database.connections import Connections, OpenConnection

__tracebackhide__ = True  # a failure ends in the user's line


class LoopOwner(Protocol):
    """Who has the session's loop."""

    @property
    def made_loop(self) -> AbstractEventLoop | None:
        """The loop, if anything has needed it yet."""

    def run_coroutine(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Wait for `coroutine` in synchronous code."""


@contextmanager
def naming_what_is_held(connections: Connections) -> Generator[None]:
    """Say who has a connection in use while the block puts databases back.

    If that fails because of a transaction, the lines belong to the failure; else it is worth a
    warning, for the next test may wait for that connection.
    """
    left = connections.left_behind()
    try:
        yield
    except IsolationError as error:
        for each in left:
            error.add_note(f"In use since {describe(each.held_at)}")
        raise
    finally:
        connections.close_stale()
    for each in left:
        file, line, _ = each.held_at or (__file__, 0, "")
        warnings.warn_explicit(_left_in_use(each), AsgiWarning, file, line)


def list_held(connections: Connections) -> list[str]:
    """Say which connections the test of the calling code's context has in use, a line each."""
    return [
        f"in use: a connection of {each.driver}, {_how(each)}, since {describe(each.held_at)}"
        for each in connections.left_behind()
    ]


def close_connections(connections: Connections, owner: LoopOwner) -> None:
    """Close what is still open, as long as its loop is."""
    connections.close_pools_of(None)
    connections.close_of(None)
    loop = owner.made_loop
    if loop is not None and connections.has_any_of(loop):
        from pytest_asgi.adapters.connecting import close_in_this_loop  # noqa: PLC0415 - asyncio

        owner.run_coroutine(close_in_this_loop(connections))


def _left_in_use(opened: OpenConnection) -> str:
    return (
        f"The test has left a connection of {opened.driver} in use, {_how(opened)}, since"
        f" {describe(opened.held_at)}. Close it, or the session that has it, before the test ends."
    )


def _how(opened: OpenConnection) -> str:
    return "in a transaction" if opened.is_in_transaction else "taken from its pool"
