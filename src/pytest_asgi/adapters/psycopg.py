"""psycopg 3: redirect its connections, synchronous and asynchronous, and record their statements.

Every connection, also by a `connect` that was imported early and by a class of the user's own,
asks one class method for its parameters, and opens its socket in another one. Statements are sent
by generators that both kinds of cursors share.
"""

from __future__ import annotations

import asyncio
import os
import threading
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import TYPE_CHECKING, Any, NamedTuple

import psycopg
from psycopg import pq
from psycopg._connection_base import BaseConnection
from psycopg._cursor_base import BaseCursor
from psycopg._server_cursor_base import ServerCursorMixin
from psycopg.conninfo import conninfo_to_dict
from psycopg.sql import Composable

from pytest_asgi.adapters.askers import find_asker, is_left_to_pytest_django
from pytest_asgi.adapters.connecting import await_store, find_store, register
from pytest_asgi.adapters.postgresql_hosts import target_of_hosts
from pytest_asgi.adapters.replacements import Replacements
from pytest_asgi.database.refusals import refusal
from pytest_asgi.database.statements import (
    Recording,
    Unrecorded,
    is_recording,
    place_of_caller,
    remembering,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Mapping

    from pytest_asgi.database.redirect import Redirect
    from pytest_asgi.database.stores import Store
    from pytest_asgi.database.targets import Target

    Parameters = dict[str, Any]
    Send = Generator[Any, Any, Any]

# What says where the real server is and how to get in; the environment must not say it either.
# An empty text is nothing to libpq, and keeps it from looking further.
_NOWHERE: Mapping[str, str] = {
    "channel_binding": "prefer",
    "gssencmode": "disable",
    "hostaddr": "",
    "load_balance_hosts": "disable",
    "require_auth": "",
    "requirepeer": "",
    "sslmode": "disable",
    "sslnegotiation": "postgres",
    "target_session_attrs": "any",
}
_DROPPED = (
    "passfile", "password", "service", "servicefile", "sslcert", "sslcertmode", "sslcrl",
    "sslcrldir", "sslkey", "sslpassword", "sslrootcert", "krbsrvname", "gsslib",
)  # fmt: skip

# What a section of a service file may say beside where the server is.
_KEPT_OF_SERVICE = ("application_name", "client_encoding", "connect_timeout", "options")

_BUSY = frozenset(
    {
        pq.TransactionStatus.ACTIVE,
        pq.TransactionStatus.INTRANS,
        pq.TransactionStatus.INERROR,
    }
)

_changing_environment = threading.Lock()


class _Pending(NamedTuple):
    """A connection that is going to be opened by the calling code."""

    target: Target
    store: Store | None
    address: Parameters | None
    parameters: Parameters

    def is_about(self, parameters: Parameters) -> bool:
        """Tell whether a socket with these parameters is one of those that were decided on."""
        hosts = str(self.parameters.get("host") or "").split(",")
        return str(parameters.get("host") or "") in hosts and parameters.get(
            "dbname"
        ) == self.parameters.get("dbname")


# Parameters are asked for by the code that opens the socket next.
_pending: ContextVar[_Pending | None] = ContextVar("pytest_asgi_psycopg_pending", default=None)


def install(redirect: Redirect) -> Callable[[], None]:
    """Let psycopg ask `redirect` where to connect; return what puts it back."""
    adapter = _Psycopg(redirect)
    replacements = Replacements()
    replacements.wrap(psycopg.Connection, "_get_connection_params", adapter.parametrizing)
    replacements.wrap(
        psycopg.AsyncConnection, "_get_connection_params", adapter.parametrizing_async
    )
    replacements.wrap(BaseConnection, "_connect_gen", adapter.connecting)
    replacements.wrap(BaseConnection, "_check_connection_ok", adapter.checking)
    replacements.wrap(BaseConnection, "_exec_command", adapter.commanding)
    for owner, name in _SENDERS:
        replacements.wrap(owner, name, adapter.sending)
    replacements.wrap(psycopg.Cursor, "executemany", adapter.sending_batch)
    replacements.wrap(psycopg.AsyncCursor, "executemany", adapter.sending_batch_async)
    return replacements.undo


_SENDERS = (
    (BaseCursor, "_execute_gen"),
    (BaseCursor, "_stream_send_gen"),
    (BaseCursor, "_start_copy_gen"),
    (ServerCursorMixin, "_declare_gen"),
)


class _Psycopg:
    """Wraps what psycopg connects and sends with."""

    def __init__(self, redirect: Redirect) -> None:
        self._redirect = redirect
        self._connections = redirect.connections
        self._handle = _Handle()

    # --- connections -----------------------------------------------------------------------------

    def parametrizing(self, original: Callable[..., Parameters]) -> Callable[..., Any]:
        """Wrap what synchronous connections get their parameters from."""

        @wraps(original)
        def get_parameters(kind: Any, *args: Any, **options: Any) -> Parameters:
            parameters = original(kind, *args, **options)
            target, kept = _read(parameters)
            if is_left_to_pytest_django(find_asker()):
                return _decide(target, None, kept)
            return _decide(target, find_store(self._redirect, target), kept)

        return get_parameters

    def parametrizing_async(
        self, original: Callable[..., Awaitable[Parameters]]
    ) -> Callable[..., Any]:
        """Wrap what asynchronous connections get their parameters from."""

        @wraps(original)
        async def get_parameters(kind: Any, *args: Any, **options: Any) -> Parameters:
            parameters = await original(kind, *args, **options)
            target, kept = _read(parameters)
            return _decide(target, await await_store(self._redirect, target), kept)

        return get_parameters

    def connecting(self, original: Callable[..., Send]) -> Callable[..., Send]:
        """Wrap what opens the socket."""

        @wraps(original)
        def connect(kind: Any, conninfo: str = "", *args: Any, **options: Any) -> Send:
            pending = self._pending_for(conninfo_to_dict(conninfo))
            connected = yield from original(kind, conninfo, *args, **options)
            loop = (
                asyncio.get_running_loop()
                if isinstance(connected, psycopg.AsyncConnection)
                else None
            )
            register(
                self._redirect,
                connected,
                self._handle,
                target=pending.target,
                store=pending.store,
                address=pending.address,
                loop=loop,
            )
            return connected

        return connect

    def _pending_for(self, parameters: Parameters) -> _Pending:
        """Return what was decided about these parameters.

        Raises:
            DatabaseRefusedError: Nothing was, and they lead to no private database. A class of the
                user's own may make them up without asking.
        """
        pending = _pending.get()
        if pending is not None and pending.is_about(parameters):
            return pending
        target, _ = _read(parameters)
        if find_store(self._redirect, target) is not None:
            raise refusal(target, "psycopg", place_of_caller())
        return _Pending(target, None, None, parameters)

    def checking(self, original: Callable[[Any], None]) -> Callable[[Any], None]:
        """Wrap the method that complains of a connection that is closed."""

        @wraps(original)
        def check(connected: Any) -> None:
            if connected.closed:
                self._connections.explain_closed(connected)
            original(connected)

        return check

    # --- statements ------------------------------------------------------------------------------

    def sending(self, original: Callable[..., Send]) -> Callable[..., Send]:
        """Wrap what sends a statement of the app's."""

        @wraps(original)
        def send(
            cursor: Any, query: Any, parameters: Any = None, *args: Any, **options: Any
        ) -> Send:
            if not cursor._conn.closed:
                self._redirect.check(cursor._conn)
            opened = self._connections.get(cursor._conn) if is_recording() else None
            if opened is None:
                return original(cursor, query, parameters, *args, **options)
            recording = Recording(opened, _text(query, cursor), parameters or ())
            return record(cursor, recording, query, parameters, *args, **options)

        def record(cursor: Any, recording: Recording, *args: Any, **options: Any) -> Send:
            with recording:
                yield from original(cursor, *args, **options)
                recording.rows = _count_rows(cursor)

        return send

    # The outcome of a batch is known when its pipeline has ended, so it is not a generator here.

    def sending_batch(self, original: Callable[..., None]) -> Callable[..., None]:
        """Wrap the method that sends one statement with many sets of parameters."""

        @wraps(original)
        def send(cursor: Any, query: Any, sets: Any, **options: Any) -> None:
            recording, sets = self._batch(cursor, query, sets)
            with recording:
                original(cursor, query, sets, **options)
                recording.rows = _count_rows(cursor)

        return send

    def sending_batch_async(
        self, original: Callable[..., Awaitable[None]]
    ) -> Callable[..., Awaitable[None]]:
        """Wrap the asynchronous method that sends one statement with many sets of parameters."""

        @wraps(original)
        async def send(cursor: Any, query: Any, sets: Any, **options: Any) -> None:
            recording, sets = self._batch(cursor, query, sets)
            with recording:
                await original(cursor, query, sets, **options)
                recording.rows = _count_rows(cursor)

        return send

    def _batch(self, cursor: Any, query: Any, sets: Any) -> tuple[Recording | Unrecorded, Any]:
        opened = self._connections.get(cursor._conn) if is_recording() else None
        if opened is None:
            return Unrecorded(), sets
        sent: list[Any] = []
        recording = Recording(opened, _text(query, cursor), sent, is_batch=True)
        return recording, remembering(sets, sent)

    def commanding(self, original: Callable[..., Send]) -> Callable[..., Send]:
        """Wrap what sends the statements that psycopg makes itself."""

        @wraps(original)
        def command(connected: Any, text: Any, *args: Any, **options: Any) -> Send:
            opened = self._connections.get(connected) if is_recording() else None
            if opened is None:
                return original(connected, text, *args, **options)
            recording = Recording(opened, _text(text, connected), is_upkeep=True)
            return record(recording, connected, text, *args, **options)

        def record(recording: Recording, *args: Any, **options: Any) -> Send:
            with recording:
                return (yield from original(*args, **options))

        return command


def _count_rows(cursor: Any) -> int | None:
    return cursor.rowcount if cursor.rowcount >= 0 else None


def _text(query: Any, context: Any) -> str:
    """Return a statement as psycopg was given it."""
    if isinstance(query, Composable):
        return query.as_string(context)
    return query.decode() if isinstance(query, bytes) else str(query)


# --- where a connection leads --------------------------------------------------------------------


def _read(parameters: Parameters) -> tuple[Target, Parameters]:
    """Return the database that is asked for, and the parameters with what a service says."""
    service = parameters.get("service")
    defaults = _defaults(service, parameters.get("servicefile"))
    known = defaults | {name: value for name, value in parameters.items() if value}
    user = str(known.get("user", ""))
    target = target_of_hosts(_hosts(known), str(known.get("dbname") or user), user)
    kept = {name: known[name] for name in _KEPT_OF_SERVICE if service and name in known}
    return target, kept | parameters


def _hosts(known: Parameters) -> list[tuple[str, int | None]]:
    # `hostaddr` is where it goes; `host` is then a name for certificates only.
    hosts = str(known.get("hostaddr") or known.get("host") or "localhost").split(",")
    ports = [int(port) if port else None for port in str(known.get("port") or "").split(",")]
    return list(zip(hosts, ports * len(hosts) if len(ports) == 1 else ports, strict=False))


def _defaults(service: Any, service_file: Any) -> Parameters:
    """Return what libpq adds to parameters: from the environment and from a service file."""
    named = {"PGSERVICE": service, "PGSERVICEFILE": service_file}
    with _environment({name: str(value) for name, value in named.items() if value}):
        options = pq.Conninfo.get_defaults()
    return {each.keyword.decode(): each.val.decode() for each in options if each.val}


@contextmanager
def _environment(variables: dict[str, str]) -> Generator[None]:
    # Only the environment can tell libpq's parser about a service.
    if not variables:
        yield
        return
    with _changing_environment:
        before = {name: os.environ.get(name) for name in variables}
        os.environ.update(variables)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value


def _decide(target: Target, store: Store | None, parameters: Parameters) -> Parameters:
    """Return the parameters to connect with, and remember what they are about."""
    address = None if store is None else dict(store.address)
    if address is not None:
        parameters = _lead_to(address, parameters)
    _pending.set(_Pending(target, store, address, parameters))
    return parameters


def _lead_to(address: Mapping[str, Any], parameters: Parameters) -> Parameters:
    known = {each.keyword.decode() for each in pq.Conninfo.get_defaults()}
    kept = {name: value for name, value in parameters.items() if name not in _DROPPED}
    nowhere = {name: value for name, value in _NOWHERE.items() if name in known}
    there = {name: value for name, value in address.items() if value is not None}
    return kept | nowhere | there


class _Handle:
    """What can be asked of a connection of psycopg."""

    driver = "psycopg"

    def is_closed(self, connected: Any) -> bool:
        """Tell whether nothing can be sent any more."""
        return bool(connected.closed)

    def is_in_transaction(self, connected: Any) -> bool:
        """Tell whether a transaction is open."""
        return connected.pgconn.transaction_status in _BUSY

    def close(self, connected: Any) -> None:
        """Close the socket."""
        connected.pgconn.finish()
