"""`db`: what a test asks of its database, and writes to it. One class for each kind of test.

Thin over a store and over the libraries that know tables by other names. All work is done in
`SyncDatabase`; `Database` waits for it.
"""

from __future__ import annotations

from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast, overload

from pytest_asgi.database import findings
from pytest_asgi.database.answers import to_be_awaited
from pytest_asgi.database.recording import AsyncChanges, Recording, SyncChanges
from pytest_asgi.database.sources import NamedTable, require_table
from pytest_asgi.database.stores import WouldWaitError
from pytest_asgi.database.threads import in_thread
from pytest_asgi.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractAsyncContextManager, AbstractContextManager

    from pytest_asgi.database.findings import Finding
    from pytest_asgi.database.sources import Library, Source
    from pytest_asgi.database.stores import Mark, SqlStore, Store
    from pytest_asgi.database.threads import InThread

__tracebackhide__ = True  # a failure ends in the user's line

T = TypeVar("T")


class Stores(Protocol):
    """The databases of a session, as the running test sees them."""

    def main_store(self) -> Store:
        """Return the one that `db` looks into."""

    def main_store_if_open(self) -> Store | None:
        """Return the same if nothing has to be done for it."""

    def stores(self) -> Sequence[Store]:
        """Return all that are open."""

    def mark_of(self, store: Store) -> Mark:
        """Return the moment at which the running test began."""


class SyncDatabase:
    """The app's database, as a synchronous test sees it.

    A table is named by a SQLAlchemy or SQLModel class, by a `Table`, or by its name. Rows come as
    instances of the class, or as dictionaries. Everything is read afresh, and what is written is
    committed.
    """

    def __init__(self, stores: Stores, library: Library, name: str = "") -> None:
        self._stores = stores
        self._library = library
        self._name = name
        self._next_seed = count(1).__next__

    def on(self, name: str) -> SyncDatabase:
        """Return the same for another database of the app.

        Args:
            name: Its kind (`"redis"`), its name, or its URL.
        """
        return SyncDatabase(self._stores, self._library, name)

    # --- what was written -----------------------------------------------------------------------

    def changes(self) -> SyncChanges:
        """Return what a block writes, net: `with db.changes() as changes:`.

        Without `with`, what the test has written so far.
        """
        return SyncChanges(self.recording(), self.table_name)

    def recording(self) -> Recording:
        """Return what records the changes."""
        return Recording(self.store, self._stores.mark_of)

    # --- what is there --------------------------------------------------------------------------

    def has(self, table: object, /, *criteria: Any, **where: Any) -> Finding:
        """Tell whether there is a row with these values; if not, the answer says what is near."""
        return findings.check(self._source(table, criteria), where)

    def count(self, table: object, /, *criteria: Any, **where: Any) -> int:
        """Return how many rows have these values."""
        return self._source(table, criteria).count(where)

    @overload
    def one(self, table: type[T], /, *criteria: Any, **where: Any) -> T: ...
    @overload
    def one(self, table: str, /, *criteria: Any, **where: Any) -> dict[str, Any]: ...
    @overload
    def one(self, table: object, /, *criteria: Any, **where: Any) -> Any: ...
    def one(self, table: object, /, *criteria: Any, **where: Any) -> Any:
        """Return the one row that has these values.

        Raises:
            VerificationError: There is none, or there are several.
        """
        return findings.one_row(self._source(table, criteria), where)

    @overload
    def all(self, table: type[T], /, *criteria: Any, **where: Any) -> list[T]: ...
    @overload
    def all(self, table: str, /, *criteria: Any, **where: Any) -> list[dict[str, Any]]: ...
    @overload
    def all(self, table: object, /, *criteria: Any, **where: Any) -> list[Any]: ...
    def all(self, table: object, /, *criteria: Any, **where: Any) -> list[Any]:
        """Return the rows that have these values, in the order of their keys."""
        return self._source(table, criteria).rows(where)

    def fetch(self, statement: str, *parameters: Any) -> list[dict[str, Any]]:
        """Run SQL and return its rows.

        Parameters are written as the database's own drivers write them: `$1` or `%s` for
        PostgreSQL, `?` for SQLite.
        """
        if not isinstance(statement, str):
            raise _no_text(statement)
        return self._sql_store().fetch(statement, parameters)

    # --- writing --------------------------------------------------------------------------------

    def execute(self, statement: object, *parameters: Any) -> None:
        """Run SQL, or a statement of SQLAlchemy's, and commit it.

        The parameters of a statement of SQLAlchemy's are a mapping, or one for each row.
        """
        if isinstance(statement, str):
            self.fetch(statement, *parameters)
        elif not self._library.execute(self.store(), statement, parameters):
            raise _unknown(statement)

    def make(self, model: type[T], /, **values: Any) -> T:
        """Write a row with these values and made up ones, and the rows that it refers to."""
        return cast("T", self._library.make(self.store(), model, values, self._next_seed()))

    def session(self, **options: Any) -> AbstractContextManager[Any]:
        """Return a SQLAlchemy session for a block: `with db.session() as session:`.

        Args:
            options: What `sqlalchemy.orm.Session` takes, and `class_` for a class of your own.
        """
        return self._library.session(self.store(), **options)

    def async_session(self, **options: Any) -> AbstractAsyncContextManager[Any]:
        """Return the same for async code."""
        return self._library.async_session(self.store(), **options)

    # --- which database -------------------------------------------------------------------------

    def store(self, *, at_once: bool = False) -> Store:
        """Return the store that stands behind it; asked at once, only if it is open."""
        if not self._name and at_once:
            store = self._stores.main_store_if_open()
            if store is None:
                raise WouldWaitError
            return store
        if not self._name:
            return self._stores.main_store()
        stores = self._stores.stores()
        for store in stores:
            if self._name in (store.target.kind, store.target.name, str(store.target)):
                return store
        known = ", ".join(str(store.target) for store in stores)
        raise DatabaseError(
            f"The app has no database {self._name!r}.",
            why=f"It has connected to: {known or 'none'}.",
            fix="Name the kind (`redis`), the name or the URL of one of these, after the app has"
            " connected to it.",
        )

    def table_name(self, what: object) -> str:
        """Return the name of a table that is there."""
        name = what if isinstance(what, str) else self._library.table_name(what)
        if name is None:
            raise _unknown(what)
        return require_table(self.store(), name)

    def _source(self, table: object, criteria: Sequence[Any]) -> Source:
        store = self.store()
        source = (
            NamedTable(store, table)
            if isinstance(table, str) and not criteria
            else self._library.source(store, table, criteria)
        )
        if source is None:
            raise _unknown(table)
        return source

    def _sql_store(self) -> SqlStore:
        store = self.store()
        if not hasattr(store, "fetch"):
            raise DatabaseError(
                f"{store.target} does not speak SQL.",
                why=f"It is of the kind {store.target.kind}.",
                fix="Ask with `db.all(name)`, `db.one(name, …)` or `db.has(name, …)`.",
            )
        return cast("SqlStore", store)


class Database:
    """The app's database, as an async test sees it.

    A table is named by a SQLAlchemy or SQLModel class, by a `Table`, or by its name. Rows come as
    instances of the class, or as dictionaries. Everything is read afresh, and what is written is
    committed.
    """

    def __init__(self, database: SyncDatabase, wait: InThread = in_thread) -> None:
        self._database = database
        self._wait = wait

    def on(self, name: str) -> Database:
        """Return the same for another database of the app.

        Args:
            name: Its kind (`"redis"`), its name, or its URL.
        """
        return Database(self._database.on(name), self._wait)

    def changes(self) -> AsyncChanges:
        """Return what a block writes, net: `async with db.changes() as changes:`.

        `await db.changes()` gives what the test has written so far.
        """
        database = self._database
        return AsyncChanges(database.recording(), database.table_name, self._wait)

    @to_be_awaited
    async def has(self, table: object, /, *criteria: Any, **where: Any) -> Finding:
        """Tell whether there is a row with these values; if not, the answer says what is near."""
        return await self._call(self._database.has, table, *criteria, **where)

    @to_be_awaited
    async def count(self, table: object, /, *criteria: Any, **where: Any) -> int:
        """Return how many rows have these values."""
        return await self._call(self._database.count, table, *criteria, **where)

    @overload
    async def one(self, table: type[T], /, *criteria: Any, **where: Any) -> T: ...
    @overload
    async def one(self, table: str, /, *criteria: Any, **where: Any) -> dict[str, Any]: ...
    @overload
    async def one(self, table: object, /, *criteria: Any, **where: Any) -> Any: ...
    @to_be_awaited
    async def one(self, table: object, /, *criteria: Any, **where: Any) -> Any:
        """Return the one row that has these values.

        Raises:
            VerificationError: There is none, or there are several.
        """
        return await self._call(self._database.one, table, *criteria, **where)

    @overload
    async def all(self, table: type[T], /, *criteria: Any, **where: Any) -> list[T]: ...
    @overload
    async def all(self, table: str, /, *criteria: Any, **where: Any) -> list[dict[str, Any]]: ...
    @overload
    async def all(self, table: object, /, *criteria: Any, **where: Any) -> list[Any]: ...
    @to_be_awaited
    async def all(self, table: object, /, *criteria: Any, **where: Any) -> list[Any]:
        """Return the rows that have these values, in the order of their keys."""
        return cast("list[Any]", await self._call(self._database.all, table, *criteria, **where))

    @to_be_awaited
    async def fetch(self, statement: str, *parameters: Any) -> list[dict[str, Any]]:
        """Run SQL and return its rows.

        Parameters are written as the database's own drivers write them: `$1` or `%s` for
        PostgreSQL, `?` for SQLite.
        """
        return await self._call(self._database.fetch, statement, *parameters)

    @to_be_awaited
    async def execute(self, statement: object, *parameters: Any) -> None:
        """Run SQL, or a statement of SQLAlchemy's, and commit it.

        The parameters of a statement of SQLAlchemy's are a mapping, or one for each row.
        """
        await self._call(self._database.execute, statement, *parameters)

    @to_be_awaited
    async def make(self, model: type[T], /, **values: Any) -> T:
        """Write a row with these values and made up ones, and the rows that it refers to."""
        return await self._call(self._database.make, model, **values)

    def session(self, **options: Any) -> AbstractAsyncContextManager[Any]:
        """Return a SQLAlchemy session for a block: `async with db.session() as session:`.

        Args:
            options: What `sqlalchemy.ext.asyncio.AsyncSession` takes, and `class_` for a class of
                your own.
        """
        return self._database.async_session(**options)

    async def _call(self, method: Callable[..., T], *arguments: Any, **options: Any) -> T:
        __tracebackhide__ = True
        return await self._wait(partial(method, *arguments, **options))


def _unknown(what: object) -> DatabaseError:
    return DatabaseError(
        f"{what!r} is no table that `db` knows.",
        why="It takes SQLAlchemy and SQLModel classes, tables and statements, and names of tables;"
        " conditions beside keywords are for SQLAlchemy's only.",
        fix='Name the table: `db.count("users")`.',
    )


def _no_text(statement: object) -> DatabaseError:
    return DatabaseError(
        f"`db.fetch` cannot run {statement!r}.",
        why="It takes SQL as text, and gives dictionaries.",
        fix="Ask `db.all(select(…))` for the rows of a statement of SQLAlchemy's, or take a"
        " session:\n\n    async with db.session() as session:\n        await session.execute(…)",
    )
