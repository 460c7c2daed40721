"""What stands in for the databases of one MongoDB server that the app names.

A collection is read before the first command that may change it, and only then: a test pays for
what it writes to. The driver's clients tell of each command before they send it.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions
from pymongo.errors import PyMongoError

from pytest_asgi.adapters.mongo import snapshots
from pytest_asgi.adapters.mongo.commands import Write, writes_of
from pytest_asgi.adapters.mongo.names import SYSTEM_DATABASES, Names
from pytest_asgi.errors import IsolationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pymongo import MongoClient
    from pymongo.collection import Collection

    from pytest_asgi.adapters.mongo.snapshots import Snapshot
    from pytest_asgi.database.changes import Change
    from pytest_asgi.database.stores import Row
    from pytest_asgi.database.targets import Target

_READABLE: CodecOptions[Any] = CodecOptions(uuid_representation=UuidRepresentation.STANDARD)

Place = tuple[str, str]
"""A database, by the name it has on the server, and a collection in it."""


@dataclass(eq=False)
class _Mark:
    """A moment, and what was written since, up to the next mark.

    Attributes:
        known: Collections as they were at this moment, as far as they have been read.
        written: Those that may have changed since, in order, and whether more than documents.
        overrun: Databases of which any other collection may have been made; `None` for all.
    """

    known: dict[Place, Snapshot] = field(default_factory=dict)
    written: dict[Place, bool] = field(default_factory=dict)
    overrun: set[str | None] = field(default_factory=set)


class MongoStore:
    """The databases of one server: all of them together go back to a mark.

    A collection of the main database goes by its name, another one by `database.name`. The main
    database is the one that a connection string has named, else the first one that is used.

    Args:
        target: What the store stands in for.
        uri: Where the server is.
        names: What the app's databases are called there.
        client: For the store's own use.
        open_another: Opens an empty store for the same target.
    """

    def __init__(
        self,
        target: Target,
        *,
        uri: str,
        names: Names,
        client: MongoClient[Any],
        open_another: Callable[[], MongoStore],
    ) -> None:
        self.target = target
        self.names = names
        self.is_closed = False
        self._uri = uri
        self._client = client
        self._open_another = open_another
        self._before_closing: list[Callable[[], None]] = []
        self._main = target.name
        self._decode: CodecOptions[Any] = _READABLE
        self._marks: list[_Mark] = []
        self._failure: Exception | None = None
        self._lock = threading.RLock()

    @property
    def address(self) -> Mapping[str, Any]:
        """The server's `uri`, and the main database's `name` there."""
        return {"uri": self._uri, "name": self.names.on_server(self._main)}

    # --- the app's clients -----------------------------------------------------------------------

    def follow(self, options: CodecOptions[Any], default_database: str | None) -> None:
        """Show documents as a client of the app that begins to use the store sees them."""
        self._decode = self._decode.with_options(tz_aware=options.tz_aware, tzinfo=options.tzinfo)
        if not self._main and default_database:
            self._main = default_database

    def before_closing(self, callback: Callable[[], None]) -> None:
        """Call `callback` while the databases are still there."""
        self._before_closing.append(callback)

    def notice(self, database: str, name: str, command: Mapping[str, Any]) -> None:
        """Be told that a client is about to send a command."""
        for write in writes_of(database, name, command):
            self._notice_write(write)

    def _notice_write(self, write: Write) -> None:
        if write.database in SYSTEM_DATABASES:
            return
        with self._lock:
            if not self._main and write.database is not None:
                self._main = self.names.in_app(write.database)
            if not self._marks:
                return
            try:
                for place in list(self._places(write)):
                    self._remember(place, is_structural=write.is_structural)
            except PyMongoError as failure:
                self._failure = failure
            if write.collection is None:
                self._marks[-1].overrun.add(write.database)

    def _places(self, write: Write) -> Iterator[Place]:
        if write.database is not None and write.collection is not None:
            yield write.database, write.collection
            return
        databases = self._databases() if write.database is None else [write.database]
        for database in databases:
            for collection in self._collections(database):
                yield database, collection

    def _remember(self, place: Place, *, is_structural: bool) -> None:
        """Read a collection before it is written to for the first time since the latest mark."""
        mark = self._marks[-1]
        if place in mark.written:
            mark.written[place] |= is_structural
            return
        if place not in mark.known:
            known = self._known_before(place)
            database, collection = place
            mark.known[place] = known or snapshots.read(self._client[database], collection)
        mark.written[place] = is_structural

    def _known_before(self, place: Place) -> Snapshot | None:
        for mark in reversed(self._marks[:-1]):
            if place in mark.written:
                return None
            if place in mark.known:
                return mark.known[place]
        return None

    # --- marks -----------------------------------------------------------------------------------

    def mark(self) -> _Mark:
        """Return this moment."""
        with self._lock:
            self._marks.append(_Mark())
            return self._marks[-1]

    def restore(self, mark: _Mark) -> None:
        """Put every database back to what it was at `mark`.

        Raises:
            IsolationError: MongoDB refuses it, or refused to be read before a write.
        """
        with self._lock:
            if self._failure is not None:
                raise _unknown_state(self._failure) from self._failure
            try:
                since = self._written_since(mark)
                for (database, collection), (before, is_structural) in since.items():
                    snapshots.put_back(
                        self._client[database], collection, before, is_structural=is_structural
                    )
            except PyMongoError as failure:
                raise _not_restored(failure) from failure
            mark.known |= {place: before for place, (before, _) in since.items()}
            mark.written.clear()
            mark.overrun.clear()
            del self._marks[self._marks.index(mark) + 1 :]

    def fork(self) -> MongoStore:
        """Return a new store for the same target that holds what this one holds now."""
        with self._lock:
            another = self._open_another()
            another.copy(self)
            return another

    def copy(self, other: MongoStore) -> None:
        """Make what another store holds; this one is empty."""
        self._main, self._decode = other._main, other._decode
        for table, found in other.collections():
            database, _, name = table.partition(".")
            snapshots.make(self._client[self.names.on_server(database)], name, found)

    def collections(self) -> Iterator[tuple[str, Snapshot]]:
        """Yield every collection as it is now, by `database.name`."""
        for database in self._databases():
            for collection in self._collections(database):
                found = snapshots.read(self._client[database], collection)
                yield f"{self.names.in_app(database)}.{collection}", found

    def changes(self, since: _Mark) -> dict[str, list[Change]]:
        """Return the net effect since a mark, by collection, in the order of writing."""
        with self._lock:
            found = {}
            for (database, collection), (before, _) in self._written_since(since).items():
                now = snapshots.read(self._client[database], collection)
                if changes := snapshots.compare(before, now, self._decode):
                    found[self._name(database, collection)] = changes
            return found

    def _written_since(self, since: _Mark) -> dict[Place, tuple[Snapshot, bool]]:
        """Return what each collection was that may have changed, and if more than documents."""
        found: dict[Place, tuple[Snapshot, bool]] = {}
        for mark in self._marks[self._marks.index(since) :]:
            for place, is_structural in mark.written.items():
                before, was_structural = found.get(place, (mark.known[place], False))
                found[place] = before, was_structural or is_structural
            for database in mark.overrun:
                for place in self._places(Write(database, None, is_structural=True)):
                    found.setdefault(place, (snapshots.ABSENT, True))
        return found

    # --- looking at it ---------------------------------------------------------------------------

    def tables(self) -> list[str]:
        """Return the collections of all databases."""
        return [
            self._name(database, collection)
            for database in self._databases()
            for collection in self._collections(database)
        ]

    def select(self, table: str, where: Row, *, limit: int | None = None) -> list[dict[str, Any]]:
        """Return the documents that MongoDB finds with `where`; none if there is no collection."""
        return list(self._collection(table).find(dict(where), limit=limit or 0))

    def count(self, table: str, where: Row) -> int:
        """Return how many documents `select` would find."""
        return self._collection(table).count_documents(dict(where))

    def close(self) -> None:
        """Drop the databases."""
        if self.is_closed:
            return
        self.is_closed = True
        while self._before_closing:
            self._before_closing.pop()()
        with suppress(PyMongoError):  # A server that has gone has nothing left to drop.
            for database in self._databases():
                self._client.drop_database(database)
        self._client.close()

    def _collection(self, table: str) -> Collection[Any]:
        database, name = self._main, table
        first, dot, rest = table.partition(".")
        if dot and self.names.on_server(first) in self._databases():
            database, name = first, rest
        if not database:
            self._main = database = self._only_database()
        with_options = self._client[self.names.on_server(database)].get_collection
        return with_options(name, codec_options=self._decode)

    def _only_database(self) -> str:
        found = self._databases()
        return self.names.in_app(found[0]) if len(found) == 1 else "test"

    def _name(self, database: str, collection: str) -> str:
        named = self.names.in_app(database)
        return collection if named == (self._main or named) else f"{named}.{collection}"

    def _databases(self) -> Sequence[str]:
        """Return our databases, by the names they have on the server."""
        return [name for name in self._client.list_database_names() if self.names.are_of(name)]

    def _collections(self, database: str) -> Sequence[str]:
        names = self._client[database].list_collection_names()
        return sorted(name for name in names if not name.startswith("system."))


def _unknown_state(failure: Exception) -> IsolationError:
    return IsolationError(
        "MongoDB cannot be put back: what a collection was before the test is not known.",
        why=f"It could not be read before it was written to: {failure}",
        fix="Remove the cause; the databases are new in the next run.",
    )


def _not_restored(failure: Exception) -> IsolationError:
    return IsolationError(
        "MongoDB refused to be put back to what it was before the test.",
        why=str(failure),
        fix="Often a transaction of the test is still open: end it, `async with"
        " session.start_transaction():` does. The databases are new in the next run.",
    )
