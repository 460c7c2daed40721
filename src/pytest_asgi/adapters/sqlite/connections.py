"""The app's connections to the private databases: where they lead, and how they come to an end.

A transaction that is still open after its test would keep the next one waiting, and could write
into it.
"""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from weakref import ref

from pytest_asgi.adapters.connecting import register
from pytest_asgi.database.connections import describe
from pytest_asgi.database.statements import Recording, is_recording, remembering

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from pytest_asgi.database.connections import OpenConnection
    from pytest_asgi.database.redirect import Redirect
    from pytest_asgi.database.stores import Store
    from pytest_asgi.database.targets import Target


class Lead:
    """Where a connection of the app's leads.

    Attributes:
        target: What the app asked for.
        store: What it leads to instead.
        address: Where that was when the connection began.
        opened: What is known of the connection, if the redirect knows it.
    """

    def __init__(self, target: Target, store: Store) -> None:
        self.target = target
        self.store = store
        self.address: Mapping[str, Any] = store.address
        self.opened: OpenConnection | None = None
        self._check: Callable[[Any], None] | None = None

    @property
    def place(self) -> str:
        """The line that has the connection in use; empty if it is not known."""
        place = None if self.opened is None else self.opened.held_at
        return "" if place is None else describe(place)

    def register(
        self, redirect: Redirect, connection: Any, handle: Handle, *, loop: Any = None
    ) -> None:
        """Let the redirect know the connection, by the object that the app has of it."""
        self._check = redirect.check
        with suppress(TypeError):  # a class of the app's own, which nothing can refer to weakly
            self.opened = register(
                redirect,
                connection,
                handle,
                target=self.target,
                store=self.store,
                address=self.address,
                loop=loop,
            )

    def check(self, connection: sqlite3.Connection) -> None:
        """Be told that the app uses a connection, closed or not."""
        if self._check is not None:
            self._check(connection)


class Attaching(Protocol):
    """Knows where to lead what a connection attaches."""

    def is_meant(self, sql: Any, *, in_script: bool = False) -> bool:
        """Tell whether a statement attaches a database, or whether a script may."""

    def lead(self, sql: str, parameters: Any) -> tuple[str, Any, Any]:
        """Return a statement as it is to be executed, and the databases that it attaches then."""

    def lead_script(self, script: str) -> tuple[str, Any]:
        """Return a script as it is to be executed, and the databases that it attaches then."""

    def note(self, connection: AppConnection, stores: Any) -> None:
        """Be told that the databases have been attached."""

    def forbid(self, connection: AppConnection) -> None:
        """Let a connection attach nothing that is not private."""


class AppConnection(sqlite3.Connection):
    """What `sqlite3.connect` returns: the same as ever, and it tells of its statements.

    Attributes:
        lead: Where it leads.
        attaching: Leads what it attaches.
    """

    lead: Lead | None = None
    attaching: Attaching | None = None

    def cursor(self, factory: Any = None) -> Any:
        """Return a cursor."""
        if self.lead is not None:
            self.lead.check(self)
        if factory is not None and self.attaching is not None:
            self.attaching.forbid(self)
        return super().cursor(AppCursor if factory is None else factory)

    # The usual class does not make its cursors with its own method.

    def execute(self, sql: str, *parameters: Any) -> Any:
        """Execute a statement."""
        return self.cursor().execute(sql, *parameters)

    def executemany(self, sql: str, sets: Any, /) -> Any:
        """Execute a statement for each set of parameters."""
        return self.cursor().executemany(sql, sets)

    def executescript(self, script: str, /) -> Any:
        """Execute several statements."""
        return self.cursor().executescript(script)

    def commit(self) -> None:
        """Commit."""
        self._end("COMMIT", super().commit)

    def rollback(self) -> None:
        """Roll back."""
        self._end("ROLLBACK", super().rollback)

    def _end(self, statement: str, end: Callable[[], None]) -> None:
        opened = opened_of(self)
        if opened is None or not is_recording() or not self.in_transaction:
            end()
            return
        with Recording(opened, statement):
            end()


class AppCursor(sqlite3.Cursor):
    """A cursor that tells of its statements."""

    connection: AppConnection

    def execute(self, sql: str, parameters: Any = (), /) -> AppCursor:
        """Execute a statement."""
        opened = opened_of(self.connection) if is_recording() else None
        if opened is None:
            self._execute(sql, parameters)
            return self
        with Recording(opened, sql, parameters) as recording:
            self._execute(sql, parameters)
            recording.rows = self._rows()
        return self

    def _execute(self, sql: str, parameters: Any) -> None:
        attaching = self.connection.attaching
        if attaching is None or not attaching.is_meant(sql):
            super().execute(sql, parameters)
            return
        sql, parameters, stores = attaching.lead(sql, parameters)
        super().execute(sql, parameters)
        attaching.note(self.connection, stores)

    def executemany(self, sql: str, sets: Iterable[Any], /) -> AppCursor:
        """Execute a statement for each set of parameters."""
        opened = opened_of(self.connection) if is_recording() else None
        if opened is None:
            super().executemany(sql, sets)
            return self
        sent: list[Any] = []
        with Recording(opened, sql, sent, is_batch=True) as recording:
            super().executemany(sql, remembering(sets, sent))
            recording.rows = self._rows()
        return self

    def executescript(self, script: str, /) -> AppCursor:
        """Execute several statements."""
        opened = opened_of(self.connection) if is_recording() else None
        if opened is None:
            self._execute_script(script)
            return self
        with Recording(opened, script):
            self._execute_script(script)
        return self

    def _execute_script(self, script: str) -> None:
        attaching = self.connection.attaching
        if attaching is None or not attaching.is_meant(script, in_script=True):
            super().executescript(script)
            return
        script, stores = attaching.lead_script(script)
        super().executescript(script)
        attaching.note(self.connection, stores)

    def _rows(self) -> int | None:
        return self.rowcount if self.rowcount >= 0 else None  # not known of a query


for _kind, _usual in ((AppConnection, sqlite3.Connection), (AppCursor, sqlite3.Cursor)):
    _kind.__name__ = _kind.__qualname__ = _usual.__name__
    _kind.__module__ = _usual.__module__


class Handle:
    """What can be asked of a connection of sqlite3."""

    driver = "sqlite3"

    def is_closed(self, connection: Any) -> bool:
        """Tell whether nothing can be sent any more."""
        return not _is_open(connection)

    def is_in_transaction(self, connection: Any) -> bool:
        """Tell whether a transaction is open."""
        return bool(connection.in_transaction)

    def close(self, connection: Any) -> None:
        """Close it, if this thread may."""
        with suppress(sqlite3.ProgrammingError):
            connection.close()


class _Opened(NamedTuple):
    reference: ref[sqlite3.Connection]
    lead: Lead | None


class AppConnections:
    """The connections of one database that the app has open."""

    def __init__(self) -> None:
        self._opened: list[_Opened] = []

    def add(self, connection: sqlite3.Connection, lead: Lead | None) -> None:
        """Take note of a connection."""
        if isinstance(connection, AppConnection) and connection.lead is None:
            connection.lead = lead
        self._opened = [each for each in self._opened if _is_open(each.reference())]
        with suppress(TypeError):  # a class of the app's own, which nothing can refer to weakly
            self._opened.append(_Opened(ref(connection), lead))

    def are_open(self) -> bool:
        """Tell whether any is open."""
        return next(self._open(), None) is not None

    def in_transaction(self) -> list[sqlite3.Connection]:
        """Return those that are in the middle of a transaction."""
        return [connection for connection, _ in self._open() if connection.in_transaction]

    def roll_back(self, *, but: list[sqlite3.Connection]) -> None:
        """End the transactions that are open, except for those of some connections."""
        for connection in self.in_transaction():
            if not any(connection is each for each in but):
                with suppress(sqlite3.ProgrammingError):  # of another thread, or closed just now
                    connection.rollback()

    def interrupt(self) -> None:
        """Stop the statements that are running."""
        for connection, _ in self._open():
            connection.interrupt()

    def places(self) -> list[str]:
        """Return the lines that have them in use: those in a transaction, if there are any."""
        opened = list(self._open())
        busy = [each for each in opened if each[0].in_transaction] or opened
        places = [lead.place for _, lead in busy if lead is not None]
        return list(dict.fromkeys(place for place in places if place))

    def _open(self) -> Iterator[tuple[sqlite3.Connection, Lead | None]]:
        for reference, lead in self._opened:
            connection = reference()
            if connection is not None and _is_open(connection):
                yield connection, lead


def opened_of(connection: Any) -> OpenConnection | None:
    """Return what the redirect knows of a connection."""
    lead = getattr(connection, "lead", None)
    return None if lead is None else lead.opened


def _is_open(connection: Any) -> bool:
    if connection is None:
        return False
    try:
        return int(connection.total_changes) >= 0
    except sqlite3.ProgrammingError:
        return False
