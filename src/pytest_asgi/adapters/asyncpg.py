"""asyncpg: redirect its connections and those of its pools, and record their statements.

All connections pass through one function of the package, also those of a `connect` that was
imported early and those of pools. All statements pass through the class that speaks the protocol.
"""

from __future__ import annotations

import inspect
import re
from functools import wraps
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from asyncpg import connect_utils, connection, introspection, pool, protocol

from pytest_asgi.adapters.connecting import await_store, register
from pytest_asgi.adapters.postgresql_hosts import target_of_hosts
from pytest_asgi.adapters.replacements import Replacements
from pytest_asgi.database.statements import (
    Recording,
    is_recording,
    place_of_caller,
    remembering,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from pytest_asgi.database.connections import OpenConnection
    from pytest_asgi.database.redirect import Redirect
    from pytest_asgi.database.targets import Target

_PARSED = frozenset(inspect.signature(connect_utils._parse_connect_arguments).parameters)

# What does not tell which database is asked for. Certificates and passwords are those of the real
# server, and the machine that tests run on need not have them.
_UNPARSED: dict[str, Any] = {
    "ssl": False,
    "direct_tls": False,
    "password": "",
    "target_session_attrs": "any",
}

_INTROSPECTION = frozenset(text for text in vars(introspection).values() if isinstance(text, str))
_NUMBER = re.compile(r" (\d+)$")  # of a status: `INSERT 0 2`

# Where a statement and its parameters are among the arguments of a method of the protocol.
_SENDERS: Mapping[str, tuple[str, ...]] = {
    "query": ("query",),
    "bind": ("state", "args"),
    "bind_execute": ("state", "args"),
    "bind_execute_many": ("state", "args"),
    "copy_in": ("copy_stmt",),
    "copy_out": ("copy_stmt",),
}


def install(redirect: Redirect) -> Callable[[], None]:
    """Let asyncpg ask `redirect` where to connect; return what puts it back."""
    asyncpg = _Asyncpg(redirect)
    replacements = Replacements()
    replacements.wrap(connect_utils, "_connect", asyncpg.connecting)
    replacements.wrap(connection.Connection, "_check_open", asyncpg.checking)
    replacements.wrap(pool.PoolConnectionHolder, "acquire", asyncpg.acquiring)
    replacements.wrap(pool.PoolConnectionHolder, "release", asyncpg.releasing)
    for name, arguments in _SENDERS.items():
        replacements.wrap(protocol.Protocol, name, asyncpg.sending(arguments))
    return replacements.undo


class _Asyncpg:
    """Wraps what asyncpg connects, hands out and sends with."""

    def __init__(self, redirect: Redirect) -> None:
        self._redirect = redirect
        self._connections = redirect.connections
        self._handle = _Handle()
        self._opened: WeakKeyDictionary[Any, OpenConnection] = WeakKeyDictionary()

    # --- connections -----------------------------------------------------------------------------

    def connecting(self, original: Callable[..., Awaitable[Any]]) -> Callable[..., Any]:
        """Wrap the function that opens every connection."""

        @wraps(original)
        async def connect(**options: Any) -> Any:
            target, settings = _read(options)
            store = await await_store(self._redirect, target)
            address = None if store is None else dict(store.address)
            if address is not None:
                new = _address(address, settings)
                options |= {name: value for name, value in new.items() if name in _PARSED}
            connected = await original(**options)
            opened = register(
                self._redirect,
                connected,
                self._handle,
                target=target,
                store=store,
                address=address,
                loop=connected._loop,
            )
            if opened is not None:
                self._opened[connected._protocol] = opened
            return connected

        return connect

    def checking(self, original: Callable[[Any], None]) -> Callable[[Any], None]:
        """Wrap the method that complains of a connection that is closed."""

        @wraps(original)
        def check_open(connected: Any) -> None:
            if connected.is_closed():
                self._connections.explain_closed(connected)
            else:
                self._redirect.check(connected)
            original(connected)

        return check_open

    def acquiring(self, original: Callable[[Any], Awaitable[Any]]) -> Callable[..., Any]:
        """Wrap the method that takes a connection out of a pool."""

        @wraps(original)
        async def acquire(holder: Any) -> Any:
            if not await self._is_good(holder._con):
                holder._con.terminate()  # the pool connects anew in its place
            taken = await original(holder)
            opened = self._connections.get(holder._con)
            if opened is not None:
                opened.take(place_of_caller())
                self._connections.add_pool(holder, _terminate_pool, loop=opened.loop)
            return taken

        return acquire

    async def _is_good(self, connected: Any) -> bool:
        """Tell whether a pool may hand out a connection, or has none and opens one."""
        if connected is None or connected.is_closed():
            return True
        opened = self._connections.get(connected)
        if opened is None:
            return not self._redirect.is_on  # opened before anybody looked where it leads
        return await self._redirect.await_leads_home(opened)

    def releasing(self, original: Callable[..., Awaitable[None]]) -> Callable[..., Any]:
        """Wrap the method that gives a connection back to its pool."""

        @wraps(original)
        async def release(holder: Any, *args: Any, **options: Any) -> None:
            opened = self._connections.get(holder._con)
            if opened is not None:
                opened.give_back()
            await original(holder, *args, **options)

        return release

    # --- statements ------------------------------------------------------------------------------

    def sending(self, arguments: tuple[str, ...]) -> Callable[[Any], Callable[..., Any]]:
        """Return what wraps a method that sends a statement."""

        def make(original: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
            @wraps(original)
            def send(speaker: Any, *args: Any, **options: Any) -> Awaitable[Any]:
                if not is_recording() or speaker not in self._opened:
                    return original(speaker, *args, **options)
                options |= zip(arguments, args, strict=False)
                rest = args[len(arguments) :]
                return record(speaker, options, rest)

            async def record(speaker: Any, options: dict[str, Any], rest: tuple[Any, ...]) -> Any:
                recording = _recording(self._opened[speaker], original.__name__, options)
                leading = [options.pop(name) for name in arguments]
                with recording:
                    result = await original(speaker, *leading, *rest, **options)
                    recording.rows = _count_rows(result)
                return result

            return send

        return make


def _recording(opened: OpenConnection, method: str, options: dict[str, Any]) -> Recording:
    """Return the recording of a call; a batch is remembered while it is being sent."""
    if method == "bind_execute_many":
        sent: list[Any] = []
        options["args"] = remembering(options["args"], sent)
        return Recording(opened, options["state"].query, sent, is_batch=True)
    if "state" in options:
        sql = options["state"].query
        return Recording(opened, sql, options["args"], is_upkeep=sql in _INTROSPECTION)
    sql = options.get("query") or options["copy_stmt"]
    return Recording(opened, sql, is_upkeep=sql in _INTROSPECTION)


def _terminate_pool(holder: Any) -> None:
    # The pool itself cannot be referred to weakly.
    holder._pool.terminate()


def _count_rows(result: Any) -> int | None:
    """Return the number of rows that a method of the protocol has returned or told of."""
    rows, status = (result[0], result[1]) if isinstance(result, tuple) else (result, result)
    if rows and isinstance(rows, list):
        return len(rows)
    text = status.decode() if isinstance(status, bytes) else status
    if isinstance(text, str):
        number = _NUMBER.search(text)
        return None if number is None else int(number[1])
    return len(rows) if isinstance(rows, list) else None


def _read(options: Mapping[str, Any]) -> tuple[Target, Any]:
    """Return the database that the app asks for, and the settings that it makes there."""
    parsed = {name: value for name, value in options.items() if name in _PARSED}
    addresses, parameters, *_ = connect_utils._parse_connect_arguments(**parsed | _UNPARSED)
    hosts = [_host_and_port(address) for address in addresses]
    if len(hosts) > 1 and hosts[-1][0] == "localhost" and hosts[0][0].startswith("/"):
        hosts = hosts[-1:]  # what asyncpg tries by itself when nobody names a host
    target = target_of_hosts(hosts, parameters.database, parameters.user)
    return target, parameters.server_settings


def _host_and_port(address: str | tuple[str, int]) -> tuple[str, int]:
    if not isinstance(address, str):
        return address
    folder, _, port = address.rpartition("/.s.PGSQL.")
    return folder, int(port)


def _address(address: Mapping[str, Any], settings: Any) -> dict[str, Any]:
    """Return the options that lead to `address`, and to nothing that the environment names."""
    return {
        "dsn": None,
        "host": address["host"],
        "port": address.get("port"),
        "user": address["user"],
        "password": address.get("password"),
        "database": address["dbname"],
        "passfile": None,
        "service": None,
        "servicefile": None,
        "ssl": address.get("sslmode", False),
        "direct_tls": False,
        "target_session_attrs": "any",
        "server_settings": settings,
    }


class _Handle:
    """What can be asked of a connection of asyncpg."""

    driver = "asyncpg"

    def is_closed(self, connected: Any) -> bool:
        """Tell whether nothing can be sent any more."""
        return bool(connected.is_closed())

    def is_in_transaction(self, connected: Any) -> bool:
        """Tell whether a transaction is open."""
        return bool(connected.is_in_transaction())

    def close(self, connected: Any) -> None:
        """Close the socket, if the loop can still do that."""
        if not connected._loop.is_closed():
            connected.terminate()
