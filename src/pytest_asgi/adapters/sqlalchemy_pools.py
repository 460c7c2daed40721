"""SQLAlchemy's pools: hand out only what leads where the calling code would connect to now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import event, exc
from sqlalchemy.pool import Pool

from pytest_asgi.asgi.stacks import users_place
from pytest_asgi.runner.frames import frames_through_greenlets

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_asgi.database.redirect import Redirect

_REDIRECTED = ("asyncpg", "psycopg")
_SQLITE = ("aiosqlite", "sqlite3")


def install(redirect: Redirect) -> Callable[[], None]:
    """Listen to all pools; return what ends that."""
    pools = _Pools(redirect)
    listeners: dict[str, Callable[..., None]] = {
        "connect": pools.connect,
        "checkout": pools.take,
        "checkin": pools.give_back,
    }
    for name, listener in listeners.items():
        event.listen(Pool, name, listener)

    def uninstall() -> None:
        for name, listener in listeners.items():
            event.remove(Pool, name, listener)

    return uninstall


class _Pools:
    """What pools tell of their connections."""

    def __init__(self, redirect: Redirect) -> None:
        self._redirect = redirect

    def connect(self, _: Any, record: Any) -> None:
        """Be told that a pool has opened a connection: what comes next is its own set-up."""
        opened = self._redirect.connections.get(record.driver_connection)
        if opened is not None:
            opened.give_back()

    def take(self, adapted: Any, record: Any, _: Any) -> None:
        """Be told that a connection is about to be handed out.

        Raises:
            DisconnectionError: It leads elsewhere by now; the pool drops it and opens another one.
        """
        connection = record.driver_connection
        opened = self._redirect.connections.get(connection)
        if opened is not None:
            if opened.is_closed or not self._redirect.leads_home(opened):
                raise exc.DisconnectionError
            opened.take(users_place(frames_through_greenlets()))
        elif self._redirect.is_on and self._is_redirected(connection, adapted):
            raise exc.DisconnectionError  # opened before anybody looked where it leads

    def give_back(self, _: Any, record: Any) -> None:
        """Be told that a connection lies in its pool again."""
        opened = self._redirect.connections.get(record.driver_connection)
        if opened is not None:
            opened.give_back()

    def _is_redirected(self, connection: Any, adapted: Any) -> bool:
        package = type(connection).__module__.partition(".")[0]
        if package not in _SQLITE:
            return package in _REDIRECTED and not self._redirect.connections.is_own(connection)
        from pytest_asgi.adapters.sqlite.connecting import find_private

        cursor = adapted.cursor()
        cursor.execute("PRAGMA database_list")
        file = cursor.fetchall()[0][2]
        cursor.close()
        return bool(file) and find_private(self._redirect, file) is not None
