"""A private SQLite database: put back, compared and asked."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from pytest_asgi.adapters.sqlite.connections import AppConnections
from pytest_asgi.adapters.sqlite.differences import Differences
from pytest_asgi.adapters.sqlite.media import InUseError, OwnConnection, is_in_use
from pytest_asgi.adapters.sqlite.rows import find_table, source_of
from pytest_asgi.database.stores import WouldWaitError
from pytest_asgi.errors import IsolationError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from pytest_asgi.adapters.sqlite.connections import Lead
    from pytest_asgi.adapters.sqlite.image import Image
    from pytest_asgi.adapters.sqlite.media import Medium
    from pytest_asgi.adapters.sqlite.places import Places
    from pytest_asgi.adapters.sqlite.schema import Schema
    from pytest_asgi.database.changes import Change
    from pytest_asgi.database.stores import Row
    from pytest_asgi.database.targets import Target

__tracebackhide__ = True  # a failure ends in the user's line

_LAST_CALL_MILLISECONDS = 500
_READING_MILLISECONDS = 5_000
_QUICKLY_READ_BYTES = 4 << 20


class Mark(NamedTuple):
    """A moment of one store.

    Attributes:
        image: What was committed then.
        transactions: The connections that were in a transaction, which may go on.
        others: The same of databases that the store has beside its own.
    """

    image: Image
    transactions: list[sqlite3.Connection]
    others: Mapping[SqliteStore, Mark] = {}


class SqliteStore:
    """One private database.

    Args:
        target: The database that it stands in for.
        places: Where its files may be, and those that are made of it.
        content: What it holds at first.

    Attributes:
        connections: The app's connections to it.
    """

    def __init__(self, target: Target, places: Places, content: bytes = b"") -> None:
        self.target = target
        self.connections = AppConnections()
        self._places = places
        self._lock = threading.RLock()
        self._statements: OwnConnection | None = None
        self._known: tuple[object, Image] | None = None
        self._patience_milliseconds = _READING_MILLISECONDS
        self._begin(places.new_medium(target, content))

    @property
    def address(self) -> Mapping[str, Any]:
        """Where it is: a `uri`."""
        return {"uri": self._medium.uri}

    def connect(
        self, open_at: Callable[[str], sqlite3.Connection], lead: Lead | None = None
    ) -> sqlite3.Connection:
        """Open a connection of the app's.

        Args:
            open_at: Opens one, given a URI.
            lead: What is known of it.
        """
        connection = open_at(self._medium.uri)
        if self._places.is_on_disk:
            connection.execute("PRAGMA synchronous = OFF")  # nothing of it is to survive
        self.connections.add(connection, lead)
        return connection

    # --- back and forth -------------------------------------------------------------------------

    def mark(self) -> Mark:
        """Return this moment, to come back to."""
        with self._lock:
            return Mark(self._image(), self.connections.in_transaction())

    def restore(self, mark: Mark) -> None:
        """Put everything back to what it was at `mark`.

        Raises:
            IsolationError: A connection does not let go of it. The store is somewhere else then.
        """
        with self._lock:
            self.connections.roll_back(but=mark.transactions)
            version = self._medium.version()
            if self._known == (version, mark.image):
                return
            try:
                self._known = self._put(mark.image), mark.image
            except InUseError:
                places = self.connections.places()
                self._move(mark.image)
                raise self._still_in_use(places) from None

    def changes(self, since: Mark) -> dict[str, list[Change]]:
        """Return what has become of the rows since `since`, by table."""
        with self._lock:
            if self._known == (self._medium.version(), since.image):
                return {}
            self._differences.show(since.image)
            with self._reading():
                return self._differences.find(*self._medium.compare(since.image))

    def moment_at_once(self) -> Mark:
        """Return this moment, if nobody is writing."""
        with self._at_once():
            return self.mark()

    def changes_at_once(self, since: Mark) -> dict[str, list[Change]]:
        """Return what `changes` does, if nobody is writing."""
        with self._at_once():
            return self.changes(since)

    def fork(self) -> Self:
        """Return a new store for the same target that holds what this one holds now."""
        with self._lock:
            return type(self)(self.target, self._places, self._image().content)

    def close(self) -> None:
        """Remove the database."""
        with self._lock:
            self._end()

    # --- asking ---------------------------------------------------------------------------------

    def tables(self) -> list[str]:
        """Return the tables there are, in the order in which they were made."""
        return list(self._schema().tables)

    def select(self, table: str, where: Row, *, limit: int | None = None) -> list[dict[str, Any]]:
        """Return the rows of `table` whose columns equal those of `where`."""
        known = find_table(self._schema(), table)
        source, values = source_of(known, where)
        limited = "" if limit is None else f" LIMIT {int(limit)}"
        return [*map(known.typed, self.fetch(f"SELECT * {source}{limited}", values))]

    def count(self, table: str, where: Row) -> int:
        """Return how many rows `select` would find."""
        source, values = source_of(find_table(self._schema(), table), where)
        rows = self.fetch(f"SELECT count(*) AS n {source}", values)
        return int(rows[0]["n"])

    def fetch(self, statement: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """Run one statement in a transaction of its own and return its rows."""
        with self._lock:
            cursor = self._connection().execute(statement, parameters)
            names = [column[0] for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor]

    def run_script(self, script: str) -> None:
        """Run several statements."""
        with self._lock:
            connection = self._connection()
            try:
                connection.executescript(script)
            finally:
                if connection.in_transaction:
                    connection.rollback()

    def engine_url(self, *, asynchronous: bool) -> str:
        """Return a URL with which SQLAlchemy reaches it."""
        driver = "sqlite+aiosqlite" if asynchronous else "sqlite"
        uri = self._medium.uri
        return f"{driver}:///{uri}{'&' if '?' in uri else '?'}uri=true"

    # --- inside ---------------------------------------------------------------------------------

    def _begin(self, medium: Medium) -> None:
        self._medium = medium
        self._differences = Differences(medium.keeper, self._places.new_path())

    def _end(self) -> None:
        if self._statements is not None:
            self._statements.close()
            self._statements = None
        self._medium.close()
        self._differences.close()

    def _image(self) -> Image:
        """Return what is committed now; the same image as long as nothing changes."""
        version = self._medium.version()
        if self._known is None or self._known[0] != version:
            with self._reading():
                self._known = self._medium.version(), self._medium.read()
        return self._known[1]

    def _schema(self) -> Schema:
        with self._lock, self._reading():
            return self._differences.schema(self._medium.keeper.cookie())

    @contextmanager
    def _reading(self) -> Generator[None]:
        """Let nobody commit during the block; in it, the keeper is in a transaction."""
        keeper = self._medium.keeper
        if keeper.in_transaction:
            yield
            return
        keeper.wait_at_most(self._patience_milliseconds).execute("BEGIN")
        try:
            keeper.execute("SELECT 1 FROM sqlite_schema").fetchone()
            yield
        finally:
            keeper.execute("ROLLBACK")

    @contextmanager
    def _at_once(self) -> Generator[None]:
        """Let the block neither wait for others nor read a lot."""
        if not self._lock.acquire(blocking=False):
            raise WouldWaitError
        self._patience_milliseconds = 0
        try:
            if self._known is None or len(self._known[1].content) > _QUICKLY_READ_BYTES:
                raise WouldWaitError
            self._medium.keeper.wait_at_most(0)
            yield
        except sqlite3.OperationalError as error:
            if is_in_use(error):
                raise WouldWaitError from error
            raise
        finally:
            self._patience_milliseconds = _READING_MILLISECONDS
            self._lock.release()

    def _put(self, image: Image) -> object:
        try:
            return self._medium.put(image, milliseconds=0)
        except InUseError:
            self.connections.interrupt()
            return self._medium.put(image, milliseconds=_LAST_CALL_MILLISECONDS)

    def _move(self, image: Image) -> None:
        self._end()
        self._begin(self._places.new_medium(self.target, image.content))
        self._known = self._medium.version(), image

    def _connection(self) -> OwnConnection:
        if self._statements is None:
            self._statements = OwnConnection(self._medium.uri)
        return self._statements

    def _still_in_use(self, places: list[str]) -> IsolationError:
        opened = "".join(f"\n    {place}" for place in places)
        where = f" It was opened at{opened}" if len(places) == 1 else ""
        if len(places) > 1:
            where = f" These lines have opened the connections there are:{opened}"
        return IsolationError(
            f"The database {self.target} could not be put back after the test:"
            " a connection to it is still in the middle of reading or writing.",
            why="A transaction was begun and not ended, or the rows of a query were not all read,"
            f" in a thread whose connections only that thread may use.{where}",
            fix="Commit or roll back, close cursors, and close the connection before the test"
            " ends; `with` and `async with` do it. Later tests have a fresh database, and"
            " connections that are opened from now on reach it.",
        )
