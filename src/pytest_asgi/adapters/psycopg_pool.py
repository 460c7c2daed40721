"""psycopg_pool: hand out only what leads where the calling code would connect to now."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

import psycopg_pool

from pytest_asgi.adapters.replacements import Replacements
from pytest_asgi.database.statements import place_of_caller

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pytest_asgi.database.redirect import Redirect


def install(redirect: Redirect) -> Callable[[], None]:
    """Let the pools look where their connections lead; return what puts them back."""
    pools = _Pools(redirect)
    replacements = Replacements()
    replacements.wrap(psycopg_pool.ConnectionPool, "getconn", pools.taking)
    replacements.wrap(psycopg_pool.ConnectionPool, "putconn", pools.giving_back)
    replacements.wrap(psycopg_pool.AsyncConnectionPool, "getconn", pools.taking_async)
    replacements.wrap(psycopg_pool.AsyncConnectionPool, "putconn", pools.giving_back_async)
    return replacements.undo


class _Pools:
    """Wraps what pools give and take with.

    A pool connects in a thread or a task of its own, whose context is not that of the test. So a
    connection that leads elsewhere is replaced by the code that asks for one.
    """

    def __init__(self, redirect: Redirect) -> None:
        self._redirect = redirect
        self._connections = redirect.connections

    def taking(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap what takes a connection out of a pool."""

        @wraps(original)
        def take(pool: Any, *args: Any, **options: Any) -> Any:
            connection = original(pool, *args, **options)
            opened = self._connections.get(connection)
            is_good = (
                not self._redirect.is_on
                if opened is None
                else (not connection.closed and self._redirect.leads_home(opened))
            )
            if not is_good:
                connection = _swap(connection, pool._connect())
            self._note_taken(pool, connection)
            return connection

        return take

    def taking_async(self, original: Callable[..., Awaitable[Any]]) -> Callable[..., Any]:
        """Wrap what takes a connection out of an asynchronous pool."""

        @wraps(original)
        async def take(pool: Any, *args: Any, **options: Any) -> Any:
            connection = await original(pool, *args, **options)
            opened = self._connections.get(connection)
            is_good = (
                not self._redirect.is_on
                if opened is None
                else (not connection.closed and await self._redirect.await_leads_home(opened))
            )
            if not is_good:
                connection = _swap(connection, await pool._connect())
            self._note_taken(pool, connection)
            return connection

        return take

    def giving_back(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap what gives a connection back to its pool."""

        @wraps(original)
        def give_back(pool: Any, connection: Any) -> Any:
            self._note_given_back(connection)
            return original(pool, connection)

        return give_back

    giving_back_async = giving_back  # it only passes on what is awaited

    def _note_taken(self, pool: Any, connection: Any) -> None:
        opened = self._connections.get(connection)
        if opened is not None:
            opened.take(place_of_caller())
            self._connections.add_pool(pool, _close_pool, loop=opened.loop)

    def _note_given_back(self, connection: Any) -> None:
        opened = self._connections.get(connection)
        if opened is not None:
            opened.give_back()


def _close_pool(pool: Any) -> Any:
    """Close a pool with the tasks or threads that connect for it."""
    return pool.close()


def _swap(old: Any, new: Any) -> Any:
    """Close a connection that was taken out of its pool, and let another one be in its place."""
    old._pool = None
    old.pgconn.finish()
    return new
