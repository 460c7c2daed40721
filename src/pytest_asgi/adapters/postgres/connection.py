"""Our own connections to PostgreSQL: with psycopg, past the redirection of the app's."""

from __future__ import annotations

import re
import select
import time
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, unquote, urlsplit

import psycopg
from psycopg.adapt import Transformer
from psycopg.conninfo import make_conninfo
from psycopg.pq import ConnStatus, ExecStatus, Format, PGconn, PollingStatus
from psycopg.rows import dict_row, tuple_row
from psycopg.types.json import JsonbDumper

from pytest_asgi.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from psycopg.pq import abc
    from psycopg.pq.abc import PGresult
    from psycopg.sql import Composed

__tracebackhide__ = True  # a failure ends in the user's line

_NUMBERED = re.compile(r"\$\d")
_CONNECT_SECONDS = 10
_NEAR = ("localhost", "127.0.0.1", "::1")


class Place(NamedTuple):
    """A server, and who connects there."""

    host: str
    port: int
    user: str
    password: str = ""

    @classmethod
    def of(cls, url: str) -> Place:
        """Return the server of a URL."""
        parts = urlsplit(url)
        options = dict(pair.partition("=")[::2] for pair in parts.query.split("&"))
        return cls(
            host=unquote(parts.hostname or options.get("host", "")) or "localhost",
            port=parts.port or int(options.get("port", "") or 5432),
            user=unquote(parts.username or options.get("user", "")) or "postgres",
            password=unquote(parts.password or ""),
        )

    @classmethod
    def of_address(cls, address: Mapping[str, Any]) -> Place:
        """Return the server of a store's address."""
        return cls(address["host"], address["port"], address["user"], address["password"])

    @property
    def is_near(self) -> bool:
        """Whether the server is on this machine."""
        return self.host.startswith("/") or self.host in _NEAR

    def url(self, name: str, *, scheme: str = "postgresql") -> str:
        """Return the URL of a database there."""
        password = f":{quote(self.password, safe='')}" if self.password else ""
        user = f"{quote(self.user, safe='')}{password}"
        if self.host.startswith("/"):
            return f"{scheme}://{user}@/{name}?host={quote(self.host, safe='')}&port={self.port}"
        return f"{scheme}://{user}@{self.host}:{self.port}/{name}"


class Connection:
    """One connection of ours; every statement is a transaction of its own."""

    def __init__(self, place: Place, name: str) -> None:
        self._connection = _connect(place, name)
        self._prepared: dict[str, bytes] = {}
        self._answers: dict[tuple[str, ...], list[tuple[Any, ...]]] = {}

    @property
    def version(self) -> int:
        """The server's version, as libpq writes it: 180001."""
        return self._connection.info.server_version

    @property
    def is_usable(self) -> bool:
        """Whether the server is still there."""
        return not self._connection.closed

    def set(self, settings: Mapping[str, str]) -> None:
        """Change settings of the connection."""
        calls = ", ".join(["set_config(%s, %s, false)"] * len(settings))
        self.run(f"select {calls}", [text for pair in settings.items() for text in pair])

    def run(
        self, statement: str | Composed, parameters: Sequence[Any] = ()
    ) -> list[tuple[Any, ...]]:
        """Run a statement, or several without parameters, and return its rows."""
        query = statement.encode() if isinstance(statement, str) else statement
        with self._connection.cursor(row_factory=tuple_row) as cursor:
            cursor.execute(query, parameters or None)
            return cursor.fetchall() if cursor.description else []

    def call(
        self, statement: str, parameters: Sequence[str | None] = ()
    ) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Run a statement with `$1` that is run often; return the names of its columns, its rows.

        It is prepared once. This takes a fifth of the time that a cursor takes.
        """
        result = self._call(statement, parameters)
        transformer = Transformer(self._connection)
        transformer.set_pgresult(result)
        names = [(result.fname(number) or b"").decode() for number in range(result.nfields)]
        return names, transformer.load_rows(0, result.ntuples, tuple)

    def call_once(self, statement: str, parameters: tuple[str, ...]) -> list[tuple[Any, ...]]:
        """Return the rows of such a statement, which are the same whenever it is run."""
        known = self._answers.get((statement, *parameters))
        if known is None:
            known = self._answers[statement, *parameters] = self.call(statement, parameters)[1]
        return known

    def load(
        self, types: Sequence[int], rows: Iterable[Sequence[bytes | None]]
    ) -> list[tuple[Any, ...]]:
        """Return rows, given what the server would have sent as text, and their types."""
        transformer = Transformer(self._connection)
        transformer.set_loader_types(types, Format.TEXT)
        return [transformer.load_sequence(row) for row in rows]

    def _call(self, statement: str, parameters: Sequence[str | None]) -> PGresult:
        connection = self._connection.pgconn
        name = self._prepared.get(statement)
        if name is None:
            name = f"pytest_asgi_{len(self._prepared)}".encode()
            _check(connection.prepare(name, statement.encode()))
            self._prepared[statement] = name
        values: list[Any] = [None if text is None else text.encode() for text in parameters]
        return _check(connection.exec_prepared(name, values))

    def fetch(
        self, statement: str | Composed, parameters: Sequence[Any] = ()
    ) -> list[dict[str, Any]]:
        """Run a statement, with `%s` or `$1` for its parameters, and return its rows."""
        kind: type[psycopg.Cursor[Any]] = psycopg.Cursor
        if isinstance(statement, str) and parameters and _NUMBERED.search(statement):
            kind = psycopg.RawCursor
        query = statement.encode() if isinstance(statement, str) else statement
        with kind(self._connection, row_factory=dict_row) as cursor:
            cursor.execute(query, [*parameters] or None)
            return cursor.fetchall() if cursor.description else []

    def copy_out(self, query: Composed) -> bytes:
        """Return the rows of a query in the text format of COPY."""
        with self._connection.cursor() as cursor, cursor.copy(query) as copy:
            return b"".join(map(bytes, copy))

    def copy_in(self, statement: str, rows: bytes) -> None:
        """Write such rows into a table."""
        with self._connection.cursor() as cursor, cursor.copy(statement.encode()) as copy:
            copy.write(rows)

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


def _check(result: PGresult) -> PGresult:
    if result.status in {ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK}:
        return result
    raise psycopg.errors.error_from_result(result, "utf-8")


def _connect_politely(conninfo: str) -> abc.PGconn:
    """Connect, and let other threads go on meanwhile: one of them may be who answers."""
    raw = PGconn.connect_start(conninfo.encode())
    deadline = time.monotonic() + _CONNECT_SECONDS
    while raw.status != ConnStatus.BAD and (left := deadline - time.monotonic()) > 0:
        match raw.connect_poll():
            case PollingStatus.OK:
                raw.nonblocking = 0
                break
            case PollingStatus.READING:
                select.select([raw.socket], [], [], left)
            case PollingStatus.WRITING:
                select.select([], [raw.socket], [], left)
            case _:
                break
    return raw


def _connect(place: Place, name: str) -> psycopg.Connection[Any]:
    conninfo = make_conninfo(
        host=place.host,
        port=place.port,
        user=place.user,
        password=place.password or None,
        dbname=name,
        application_name="pytest-asgi",
        client_encoding="UTF8",
    )
    # Not `psycopg.connect`: that one is redirected.
    raw = _connect_politely(conninfo)
    if raw.status != ConnStatus.OK:
        raise DatabaseError(
            f"The PostgreSQL server at {place.host} cannot be reached.",
            why=raw.get_error_message().strip() or f"Nobody answers in {_CONNECT_SECONDS} s.",
            fix="Start it, or name another one (`asgi_database`).",
        )
    connection = psycopg.Connection[Any](raw)
    connection.autocommit = True
    connection.prepare_threshold = None  # We prepare ourselves.
    # A `dict` can only mean jsonb.
    connection.adapters.register_dumper(dict, JsonbDumper)
    return connection
