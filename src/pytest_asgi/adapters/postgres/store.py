"""One private PostgreSQL database, and how it is put back."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple

import psycopg
from psycopg import sql

from pytest_asgi.adapters.postgres import tables
from pytest_asgi.adapters.postgres.changes import read_changes
from pytest_asgi.adapters.postgres.connection import Place
from pytest_asgi.adapters.postgres.open_transactions import end_transactions
from pytest_asgi.database.stores import WouldWaitError
from pytest_asgi.errors import IsolationError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from pytest_asgi.adapters.postgres.connection import Connection
    from pytest_asgi.adapters.postgres.templates import Template
    from pytest_asgi.database.changes import Change
    from pytest_asgi.database.stores import Row
    from pytest_asgi.database.targets import Target

__tracebackhide__ = True  # a failure ends in the user's line

_BUSY = "a transaction is open"
_CHANGED = """
    select 1 from pytest_asgi.schema_change
    where command <> 'TRUNCATE' and pg_visible_in_snapshot(xid, %s)
"""
_FORGET = "delete from pytest_asgi.schema_change where not pg_visible_in_snapshot(xid, %s)"
_MOMENT = """
    select pg_current_snapshot()::text,
        exists (select from pytest_asgi.schema_change where not is_tracked)
"""
_COPY_OUT = """
    copy (
        select xid, rel, file, old_at, old_xmin, old, new_at, new_xmin, new
        from pytest_asgi.log where pg_visible_in_snapshot(xid, {}) order by seq
    ) to stdout
"""
_COPY_IN = """
    copy pytest_asgi.log (xid, rel, file, old_at, old_xmin, old, new_at, new_xmin, new) from stdin
"""


class Moment(NamedTuple):
    """What had been committed at some moment."""

    snapshot: str


class Mark(NamedTuple):
    """A moment: what was committed then, and what the log does not tell.

    Attributes:
        snapshot: Which transactions had been committed.
        seqs: The sequences' numbers.
        lasts: The sequences' last values.
        called: Whether those were given out.
        blobs: What large objects there were, in one number.
        schema: What schema there was, in one number, if no event trigger tells.
    """

    snapshot: str
    seqs: str | None
    lasts: str | None
    called: str | None
    blobs: str
    schema: str | None


class PostgresStore:
    """A database that was copied from a template.

    Args:
        target: What it stands in for.
        template: What it was copied from.
        name: Its name.
    """

    def __init__(self, target: Target, template: Template, name: str) -> None:
        self._target = target
        self._template = template
        self._name = name
        self._left: list[str] = []
        self._connections: dict[str, Connection] = {}
        self._origin: Mark | None = None
        self._lock = threading.RLock()

    @property
    def target(self) -> Target:
        """The database that this one stands in for."""
        return self._target

    @property
    def address(self) -> Mapping[str, Any]:
        """Where it is, in the words of the drivers."""
        return self._template.address_of(self._name)

    # --- marks -----------------------------------------------------------------------------------

    def mark(self) -> Mark:
        """Return this moment, to come back to."""
        with self._lock:
            mark = _mark(self._undoing, self._template)
            if self._origin is None:
                self._origin = mark
            return mark

    def restore(self, mark: Mark) -> None:
        """Put everything back to what it was at `mark`.

        Raises:
            IsolationError: A transaction was still open; or it cannot be put back.
        """
        with self._lock:
            left_open = None
            obstacle = self._undo(mark)
            if obstacle == _BUSY:
                left_open = end_transactions(self._undoing)
                obstacle = self._undo(mark)
            if obstacle is not None:
                self._move_to(mark, obstacle)
            self._drop_left()
            if left_open is not None:
                raise left_open

    def changes(self, since: Moment | Mark) -> dict[str, list[Change]]:
        """Return the net effect since `since`, by table, in the order of writing."""
        with self._lock:
            return read_changes(self._undoing, since.snapshot)

    def moment_at_once(self) -> Moment:
        """Return this moment, for `changes` only."""
        with self._at_once() as connection:
            snapshot, has_untracked = connection.call(_MOMENT)[1][0]
            if has_untracked:
                raise WouldWaitError  # for who is writing to the new tables
            return Moment(snapshot)

    def changes_at_once(self, since: Moment | Mark) -> dict[str, list[Change]]:
        """Return what `changes` does, if that takes nothing but to read the log."""
        with self._at_once() as connection:
            return read_changes(connection, since.snapshot, at_once=True)

    def fork(self) -> PostgresStore:
        """Return a new store that holds what this one holds now."""
        with self._lock:
            mark = self.mark()
            log = self._read_log(mark, "The database cannot be copied.")
            fork = PostgresStore(self._target, self._template, self._template.copy())
            try:
                fork._redo(log, mark)
            except BaseException:
                fork.close()
                raise
            return fork

    def _undo(self, mark: Mark) -> str | None:
        """Undo what was written since; return what is in the way, if anything."""
        statement = "select pytest_asgi.undo($1, $2, $3, $4, $5, $6)"
        try:
            obstacle: str | None = self._undoing.call(statement, mark)[1][0][0]
        except psycopg.errors.LockNotAvailable:
            return _BUSY
        except psycopg.errors.DatabaseError as error:
            return str(error)
        return obstacle

    # --- a fresh copy ----------------------------------------------------------------------------

    def _move_to(self, mark: Mark, obstacle: str) -> None:
        """Live in a fresh copy of the template from now on, as it was at `mark`."""
        try:
            log = self._read_log(mark, f"The database cannot be put back: {obstacle}.")
        except IsolationError:
            # The rows at least, for the sake of the tests that follow.
            self._undoing.run(_FORGET, (mark.snapshot,))
            self._undoing.run("select pytest_asgi.track()")
            self._undo(mark)
            raise
        fresh = self._template.copy()
        self._left.append(self._name)
        self.disconnect()
        self._name = fresh
        self._redo(log, mark)

    def _read_log(self, mark: Mark, problem: str) -> bytes:
        """Return what the log tells of the time from the template to `mark`."""
        origin = self._origin
        assert origin is not None
        has_changed = bool(self._undoing.run(_CHANGED, (mark.snapshot,)))
        if has_changed or (origin.blobs, origin.schema) != (mark.blobs, mark.schema):
            raise _cannot_be_copied(problem)
        return self._undoing.copy_out(sql.SQL(_COPY_OUT).format(sql.Literal(mark.snapshot)))

    def _redo(self, log: bytes, mark: Mark) -> None:
        """Do in a copy of the template what the log tells."""
        if log:
            self._undoing.copy_in(_COPY_IN, log)
        try:
            self._undoing.run(
                "select pytest_asgi.redo(%s, %s, %s)", (mark.seqs, mark.lasts, mark.called)
            )
        except psycopg.errors.DatabaseError as error:
            raise _cannot_redo(self.address["user"]) from error

    def _drop_left(self) -> None:
        """Drop the databases that it lived in before; the last one not while it is still used."""
        still_used = []
        for name in self._left:
            if name == self._left[-1] and self._template.is_in_use(name):
                still_used.append(name)
            else:
                self._template.drop(name)
        self._left = still_used

    # --- what is there ---------------------------------------------------------------------------

    def tables(self) -> list[str]:
        """Return the tables there are."""
        with self._lock:
            return tables.list_tables(self._looking)

    def select(self, table: str, where: Row, *, limit: int | None = None) -> list[dict[str, Any]]:
        """Return the rows of `table` whose columns equal those of `where`."""
        with self._lock:
            return tables.select_rows(self._looking, table, where, limit=limit)

    def count(self, table: str, where: Row) -> int:
        """Return how many rows `select` would find."""
        with self._lock:
            return tables.count_rows(self._looking, table, where)

    def fetch(self, statement: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """Run one statement, with `%s` or `$1` for its parameters, and return its rows."""
        with self._lock:
            return self._looking.fetch(statement, parameters)

    def run_script(self, script: str) -> None:
        """Run several statements, in one transaction unless they say otherwise."""
        with self._lock:
            self._looking.run(script)

    def engine_url(self, *, asynchronous: bool) -> str:
        """Return a URL with which SQLAlchemy reaches the store."""
        driver = "asyncpg" if asynchronous and find_spec("asyncpg") else "psycopg"
        return Place.of_address(self.address).url(self._name, scheme=f"postgresql+{driver}")

    # --- its connection --------------------------------------------------------------------------

    @property
    def _looking(self) -> Connection:
        """The connection that looks and writes, as anybody's would."""
        return self._connect("looking", self._template.connect)

    @property
    def _undoing(self) -> Connection:
        """The connection that marks and puts back."""
        return self._connect("undoing", self._template.connect_to_undo)

    @contextmanager
    def _at_once(self) -> Generator[Connection]:
        """Give the connection that marks, if the server is near and nobody else uses it."""
        connection = self._connections.get("undoing")
        if connection is None or not self._template.is_near:
            raise WouldWaitError
        if not self._lock.acquire(blocking=False):
            raise WouldWaitError
        try:
            if not connection.is_usable:
                raise WouldWaitError
            yield connection
        finally:
            self._lock.release()

    def _connect(self, purpose: str, connect: Callable[[str], Connection]) -> Connection:
        connection = self._connections.get(purpose)
        if connection is None or not connection.is_usable:
            connection = self._connections[purpose] = connect(self._name)
        return connection

    def disconnect(self) -> None:
        """Hang up; the next call connects again."""
        while self._connections:
            _, connection = self._connections.popitem()
            connection.close()

    def close(self) -> None:
        """Drop the database."""
        with self._lock:
            self.disconnect()
            for name in (*self._left, self._name):
                self._template.drop(name)
            self._left.clear()


def _mark(connection: Connection, template: Template) -> Mark:
    statement = (
        "select at::text, seqs::text, lasts::text, called::text, blobs::text, schema::text"
        " from pytest_asgi.mark($1)"
    )
    return Mark(*connection.call(statement, (str(template.has_event_triggers),))[1][0])


def _cannot_be_copied(problem: str) -> IsolationError:
    return IsolationError(
        problem,
        why="A copy is made from the database that was built first. Since then its schema was"
        " changed, or large objects were written, by the app when it started or by a fixture: and"
        " that is not in the copy.",
        fix="Let the schema be built before: name what makes it (`asgi_schema`).",
    )


def _cannot_redo(user: str) -> IsolationError:
    return IsolationError(
        "What fixtures and the app's lifespan wrote cannot be written to a fresh copy.",
        why="Foreign keys and triggers are in the way: only a superuser may do without them.",
        fix=f"Grant it (PostgreSQL 15 or later):\n\n    GRANT SET ON PARAMETER"
        f' session_replication_role TO "{user}"\n\nor write it when the schema is built'
        " (`asgi_schema`).",
    )
