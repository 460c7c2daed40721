"""The one connection to PostgreSQL: a transaction that is rolled back in the end."""

from __future__ import annotations

import socket
import struct
from contextlib import suppress
from typing import TYPE_CHECKING

from psycopg.conninfo import make_conninfo
from psycopg.pq import ConnStatus, PGconn

from pytest_asgi.adapters.postgres.transaction.wire import Message, Reader, texts
from pytest_asgi.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Callable, Container

    from psycopg.pq import abc

    from pytest_asgi.adapters.postgres.connection import Place

_TOLD = (
    "application_name", "client_encoding", "DateStyle", "default_transaction_read_only",
    "in_hot_standby", "integer_datetimes", "IntervalStyle", "is_superuser", "scram_iterations",
    "search_path", "server_encoding", "server_version", "session_authorization",
    "standard_conforming_strings", "TimeZone",
)  # fmt: skip
# Those that are to be deferred until a commit; `SET CONSTRAINTS` has no word for "as declared".
_DEFERRED = """
    select string_agg(distinct format('%I.%I', n.nspname, c.conname), ', ')
    from pg_constraint c join pg_namespace n on n.oid = c.connamespace where c.condeferred
"""
_AS_AT_FIRST = "SET SESSION AUTHORIZATION DEFAULT; RESET ROLE; RESET ALL"
_FAILED = b"E"


class Backend:
    """Speaks to PostgreSQL; one thread at a time.

    libpq makes the connection, for it knows how to prove who it is; then it is only a socket.

    Attributes:
        status: What the transaction is in: `T`, or `E` after a failure.
        settings: Statements that have made the settings there are; `None` if others have, too.
        deferred: The constraints that are checked at a commit; `None` if they are not known.
    """

    def __init__(self, place: Place, name: str) -> None:
        self._libpq = _connect(place, name)
        self._cancel = self._libpq.get_cancel()
        self._socket = socket.fromfd(self._libpq.socket, socket.AF_INET, socket.SOCK_STREAM)
        self._socket.settimeout(None)  # libpq does not want to wait, and we do
        self._reader = Reader(self._socket)
        self.status = b"I"
        self.settings: tuple[str, ...] | None = ()
        self.deferred: str | None = None
        self.run("BEGIN ISOLATION LEVEL READ COMMITTED")

    def greeting(self) -> list[Message]:
        """Return what a server tells of itself."""
        told = [(name, self._libpq.parameter_status(name.encode())) for name in _TOLD]
        return [
            Message(b"S", texts(name, value.decode())) for name, value in told if value is not None
        ]

    def send(self, message: Message) -> None:
        """Send a message, and ask for the answer to it."""
        self._socket.sendall(message.encode() + Message(b"H").encode())

    def send_only(self, message: Message) -> None:
        """Send a message that has no answer of its own, or that needs no asking."""
        self._socket.sendall(message.encode())

    def answer(self, last: Container[bytes], pass_on: Callable[[Message], None]) -> Message:
        """Pass on the answers until one of the last kind has come, or an error; return it."""
        while True:
            message = self._read()
            if message.kind == b"Z":
                self.status = message.body
            elif message.kind != b"A":
                pass_on(message)
            if message.kind in last:
                return message

    def run(self, sql: str) -> Message | None:
        """Execute statements of ours; return the error if there is one."""
        _, error = self._run(sql)
        return error

    def make_settings(self, settings: tuple[str, ...]) -> Message | None:
        """Have the settings of the client that is about to use it; return the error, if any."""
        if settings == self.settings:
            return None
        self.savepoint()
        error = self.run(";".join((_AS_AT_FIRST, *settings, "RELEASE SAVEPOINT pytest_asgi")))
        if error is not None:
            self.undo()
        self.settings = None if error else settings
        return error

    def savepoint(self) -> None:
        """Begin what can be undone alone."""
        self.run("SAVEPOINT pytest_asgi")

    def release(self, *, closes_cursors: bool) -> Message | None:
        """Do what a commit does, as far as it goes; return the error if there is one."""
        if self.deferred is None:
            self.deferred, _ = self._run(_DEFERRED)
        later = f"SET CONSTRAINTS {self.deferred} DEFERRED;" if self.deferred else ""
        closed = "CLOSE ALL;" if closes_cursors else ""
        error = self.run(
            f"SET CONSTRAINTS ALL IMMEDIATE; {later} {closed} RELEASE SAVEPOINT pytest_asgi"
        )
        if error is not None:
            self.undo()
        return error

    def undo(self) -> None:
        """Undo what was done since the savepoint."""
        self.run("ROLLBACK TO SAVEPOINT pytest_asgi")
        self.run("RELEASE SAVEPOINT pytest_asgi")

    @property
    def has_failed(self) -> bool:
        """Whether only a rollback helps."""
        return self.status == _FAILED

    def cancel(self) -> None:
        """Stop the statement that is running."""
        self._cancel.cancel()

    def close(self) -> None:
        """Roll everything back, and hang up."""
        with suppress(OSError):  # it has hung up already
            self.run("ROLLBACK")
        self._socket.close()
        self._libpq.finish()

    def _run(self, sql: str) -> tuple[str, Message | None]:
        value, error = "", None
        self.send_only(Message(b"Q", texts(sql)))
        while True:
            message = self._read()
            if message.kind == b"Z":
                self.status = message.body
                return value, error
            if message.kind == b"E":
                error = error or message
            elif message.kind == b"D" and struct.unpack("!i", message.body[2:6])[0] > 0:
                value = message.body[6:].decode()

    def _read(self) -> Message:
        message = self._reader.read()
        if message is None:
            raise ConnectionError
        return message


def _connect(place: Place, name: str) -> abc.PGconn:
    conninfo = make_conninfo(
        host=place.host,
        port=place.port,
        user=place.user,
        password=place.password or None,
        dbname=name,
        application_name="pytest-asgi",
        client_encoding="UTF8",
        sslmode="disable",
        gssencmode="disable",
    )
    connection = PGconn.connect(conninfo.encode())
    if connection.status != ConnStatus.OK:
        raise DatabaseError(
            f"The PostgreSQL server at {place.host} cannot be reached.",
            why=connection.get_error_message().strip(),
            fix='A test with isolation="transaction" connects without TLS: let the server allow'
            ' it, or use isolation="restore".',
        )
    return connection
