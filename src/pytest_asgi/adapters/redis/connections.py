"""Where the connections of redis-py go: asked before each opens a socket.

A pool makes its connections when they are needed, so one that a module made when it was imported
is free to go elsewhere. `connect`, `_connect` and `send_command` have been there since redis-py 5.
"""

from __future__ import annotations

import asyncio
import ssl
import weakref
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import redis.asyncio.cluster
import redis.asyncio.connection
import redis.asyncio.sentinel
import redis.cluster
import redis.connection
import redis.sentinel

from pytest_asgi.adapters.redis import wire
from pytest_asgi.adapters.replacements import Replacements
from pytest_asgi.database.targets import Target
from pytest_asgi.errors import DatabaseRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_asgi.database.redirect import Redirect

_PLACE = "_pytest_asgi_place"
_PORT = 6379


def install(redirect: Redirect) -> Callable[[], None]:
    """Let the connections of redis-py go where `redirect` says; return what puts it back."""
    connections = Connections(redirect)
    connections.install()
    return connections.uninstall


@dataclass
class _Place:
    """Where a connection is.

    Attributes:
        original: What the app has said: database, user, password, provider of credentials.
        store: The `RedisStore` that it is connected to instead, if it is.
        loop: The loop that it is used on.
        is_greeting: Whether it is about to select its database by itself.
    """

    original: dict[str, Any]
    store: Any = None
    loop: asyncio.AbstractEventLoop | None = None
    is_greeting: bool = False


class Connections:
    """Every connection there is in this process.

    Args:
        redirect: Decides where each goes.
    """

    def __init__(self, redirect: Redirect) -> None:
        self._redirect = redirect
        self._replacements = Replacements()

    def install(self) -> None:
        """Begin to decide."""
        replace = self._replacements.wrap
        sync, asynchronous = redis.connection, redis.asyncio.connection
        replace(sync.AbstractConnection, "connect", self._settle_first)
        replace(sync.AbstractConnection, "send_command", self._translate)
        replace(asynchronous.AbstractConnection, "connect", self._settle_first_async)
        replace(asynchronous.AbstractConnection, "send_command", self._translate_async)
        for name in ("Connection", "SSLConnection", "UnixDomainSocketConnection"):
            replace(getattr(sync, name), "_connect", _open)
        for name in ("Connection", "UnixDomainSocketConnection"):
            replace(getattr(asynchronous, name), "_connect", _open_async)
        for sentinel in (redis.sentinel, redis.asyncio.sentinel):
            replace(sentinel.Sentinel, "discover_master", self._refuse_sentinel)
            replace(sentinel.Sentinel, "discover_slaves", self._refuse_sentinel)
        for cluster in (redis.cluster, redis.asyncio.cluster):
            replace(cluster.NodesManager, "initialize", self._refuse_cluster)

    def uninstall(self) -> None:
        """Leave redis-py as it was."""
        self._replacements.undo()

    # --- where a connection goes -----------------------------------------------------------------

    def _settle_first(self, original: Any) -> Any:
        def connect(connection: Any, *args: Any, **kwargs: Any) -> Any:
            place = _place_of(connection)
            store = self._redirect.store_for(_target_of(connection, place))
            if store is not place.store and connection._sock is not None:
                connection.disconnect()
            self._settle(connection, place, store)
            return original(connection, *args, **kwargs)

        return connect

    def _settle_first_async(self, original: Any) -> Any:
        async def connect(connection: Any, *args: Any, **kwargs: Any) -> Any:
            place = _place_of(connection)
            store = await self._redirect.await_store_for(_target_of(connection, place))
            if store is not place.store and connection.is_connected:
                await connection.disconnect()
            self._settle(connection, place, store)
            return await original(connection, *args, **kwargs)

        return connect

    def _settle(self, connection: Any, place: _Place, store: Any) -> None:
        if store is place.store:
            return
        place.store = store
        said = place.original
        if store is not None:
            address = store.address
            credentials = {key: address.get(key) or None for key in ("username", "password")}
            said = {"db": address["db"], "credential_provider": None, **credentials}
            store.before_closing(_Return(connection))
        for name, value in said.items():
            setattr(connection, name, value)

    # --- another database on the same connection -------------------------------------------------

    def _translate(self, original: Any) -> Any:
        def send_command(connection: Any, *args: Any, **kwargs: Any) -> Any:
            place = _selecting(connection, args)
            if place is not None:
                store = self._redirect.store_for(_target_of(connection, place, args[1]))
                args = _select(args, store)
            return original(connection, *args, **kwargs)

        return send_command

    def _translate_async(self, original: Any) -> Any:
        async def send_command(connection: Any, *args: Any, **kwargs: Any) -> Any:
            place = _selecting(connection, args)
            if place is not None:
                target = _target_of(connection, place, args[1])
                args = _select(args, await self._redirect.await_store_for(target))
            return await original(connection, *args, **kwargs)

        return send_command

    # --- what is not redirected ------------------------------------------------------------------

    def _refuse_sentinel(self, original: Any) -> Any:
        def discover(sentinel: Any, service_name: str, *args: Any, **kwargs: Any) -> Any:
            known = sentinel.sentinels[0].connection_pool.connection_kwargs
            self._refuse(Target("redis", service_name, known["host"], known["port"]), "Sentinel")
            return original(sentinel, service_name, *args, **kwargs)

        return discover

    def _refuse_cluster(self, original: Any) -> Any:
        def initialize(manager: Any, *args: Any, **kwargs: Any) -> Any:
            node = next(iter(manager.startup_nodes.values()))
            self._refuse(Target("redis", "0", node.host, int(node.port)), "RedisCluster")
            return original(manager, *args, **kwargs)

        return initialize

    def _refuse(self, target: Target, what: str) -> None:
        if self._redirect.is_on and not target.matches(self._redirect.allowed):
            raise _refused(target, what)


class _Return:
    """Ends a connection while its database is still there, and lets it be what the app made."""

    def __init__(self, connection: Any) -> None:
        self._connection = weakref.ref(connection)

    def __call__(self) -> None:
        connection = self._connection()
        place: _Place | None = None if connection is None else vars(connection).pop(_PLACE, None)
        if connection is None or place is None:
            return
        for name, value in place.original.items():
            setattr(connection, name, value)
        if not isinstance(connection, redis.asyncio.connection.AbstractConnection):
            connection.disconnect()
        elif connection.is_connected:
            _close_async(connection, place.loop)


def _close_async(connection: Any, loop: asyncio.AbstractEventLoop | None) -> None:
    if loop is None or loop.is_closed():
        return
    if not loop.is_running():
        with suppress(Exception):  # It was the app's to close.
            loop.run_until_complete(connection.disconnect())
    if connection.is_connected:
        connection._writer.close()
        connection._reader = connection._writer = None


def _open(original: Any) -> Any:
    def _connect(connection: Any) -> Any:
        place: _Place | None = vars(connection).get(_PLACE)
        if place is None or place.store is None:
            return original(connection)
        place.is_greeting = bool(connection.db)
        connected = wire.connect(place.store.address, connection.socket_connect_timeout)
        connected.settimeout(connection.socket_timeout)
        return connected

    return _connect


def _open_async(original: Any) -> Any:
    async def _connect(connection: Any) -> None:
        place: _Place | None = vars(connection).get(_PLACE)
        if place is None or place.store is None:
            await original(connection)
            return
        place.is_greeting = bool(connection.db)
        place.loop = asyncio.get_running_loop()
        streams = await _streams(place.store.address)
        connection._reader, connection._writer = streams

    return _connect


async def _streams(
    address: Mapping[str, Any],
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if path := address.get("unix_socket_path"):
        return await asyncio.open_unix_connection(path)
    encrypted = ssl.create_default_context() if address.get("ssl") else None
    return await asyncio.open_connection(address["host"], address["port"], ssl=encrypted)


def _place_of(connection: Any) -> _Place:
    place: _Place | None = vars(connection).get(_PLACE)
    if place is None:
        names = ("db", "username", "password", "credential_provider")
        place = _Place({name: getattr(connection, name, None) for name in names})
        vars(connection)[_PLACE] = place
    return place


def _target_of(connection: Any, place: _Place, number: object = None) -> Target:
    name = str((place.original["db"] or 0) if number is None else number)
    user = place.original["username"] or ""
    if (path := getattr(connection, "path", None)) is not None:
        return Target("redis", name, path, None, user)
    port = None if connection.port == _PORT else int(connection.port)
    return Target("redis", name, connection.host, port, user)


def _selecting(connection: Any, args: tuple[Any, ...]) -> _Place | None:
    """Return the place of a connection on which the app selects another database."""
    if not args or args[0] != "SELECT":
        return None
    place: _Place | None = vars(connection).get(_PLACE)
    if place is None or place.store is None:
        return None
    if place.is_greeting:
        place.is_greeting = False
        return None
    return place


def _select(args: tuple[Any, ...], store: Any) -> tuple[Any, ...]:
    return args if store is None else ("SELECT", store.address["db"], *args[2:])


def _refused(target: Target, what: str) -> DatabaseRefusedError:
    return DatabaseRefusedError(
        f"A connection to {target} was refused.",
        why=f"It was made by `{what}`, for which no test database can stand in: a server of our"
        " own is a single one.",
        fix="Let the app use `Redis` in its tests, or allow the connection in pyproject.toml:\n\n"
        "    [tool.pytest.ini_options]\n"
        f'    asgi_database_allow = "{target}"',
    )
