"""What a test says with SQLAlchemy's classes, tables and statements, on a store.

Everything is read in a session of its own, so that no identity map keeps what the app has changed
meanwhile; instances come detached, with all their columns. SQLAlchemy is imported when a test
names something of its.
"""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager, contextmanager
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from pytest_asgi.adapters.sqlalchemy_failures import EndingInTheTest
from pytest_asgi.adapters.sqlalchemy_mappers import mapper_of
from pytest_asgi.database.redirect import connecting_directly
from pytest_asgi.errors import DatabaseError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Mapping, Sequence

    from sqlalchemy import Engine, Select
    from sqlalchemy.orm import Session

    from pytest_asgi.database.sources import Source
    from pytest_asgi.database.stores import Row, Store

__tracebackhide__ = True  # a failure ends in the user's line

# Each keeps a connection for the next call. A store that moves leaves an engine behind, and a
# session has few stores.
_KEPT_ENGINES = 3


class Models:
    """Knows the classes of SQLAlchemy and SQLModel, tables, and statements."""

    def __init__(self) -> None:
        self._engines: dict[str, Engine] = {}

    def table_name(self, what: object) -> str | None:
        """Return the name of the table that a class or a `Table` stands for."""
        table = getattr(mapper_of(what), "local_table", what)
        name = getattr(table, "fullname", None)
        return name if isinstance(name, str) else None

    def source(self, store: Store, what: object, criteria: Sequence[Any]) -> Source | None:
        """Return the rows of a class, a table or a `select()`."""
        statement = _select(what)
        if statement is None:
            return None
        _require_conditions(criteria)
        return _Query(store, self._engine(store), what, statement, criteria)

    def execute(self, store: Store, statement: object, parameters: Sequence[Any]) -> bool:
        """Run a statement and commit."""
        if "sqlalchemy" not in sys.modules:
            return False
        from sqlalchemy import Executable

        if not isinstance(statement, Executable):
            return False
        values = parameters[0] if len(parameters) == 1 else [*parameters] or None
        with EndingInTheTest(store, statement), self.session(store) as session:
            session.execute(statement, values)
            session.commit()
        return True

    def make(self, store: Store, model: type[Any], values: Mapping[str, Any], seed: int) -> Any:
        """Write a row with these values and made up ones, and the rows that it refers to."""
        from pytest_asgi.adapters.sqlalchemy_making import Maker, require_mapper

        table = require_mapper(model).local_table
        with EndingInTheTest(store, table), self.session(store) as session:
            made = Maker(session, seed).make(model, values)
            session.commit()
            session.refresh(made)
            return made

    @contextmanager
    def session(self, store: Store, *, class_: Any = None, **options: Any) -> Generator[Session]:
        """Return a session that is open in a block."""
        _require_sqlalchemy()
        from sqlalchemy.orm import Session

        make = class_ or Session
        with make(self._engine(store), **{"expire_on_commit": False, **options}) as session:
            yield session

    @asynccontextmanager
    async def async_session(
        self, store: Store, *, class_: Any = None, **options: Any
    ) -> AsyncGenerator[Any]:
        """Return a session for async code that is open in a block; then its connection closes."""
        _require_sqlalchemy()
        from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
        from sqlalchemy.pool import NullPool

        url = _url(store, asynchronous=True)
        engine = create_async_engine(url, poolclass=NullPool)
        _connect_directly(engine.sync_engine)
        make = class_ or AsyncSession
        try:
            async with make(engine, **{"expire_on_commit": False, **options}) as session:
                yield session
        finally:
            await engine.dispose()

    def close(self) -> None:
        """Close the connections that are held."""
        while self._engines:
            _, engine = self._engines.popitem()
            engine.dispose()

    def _engine(self, store: Store) -> Engine:
        from sqlalchemy import create_engine
        from sqlalchemy.pool import NullPool

        url = _url(store, asynchronous=False)
        engine = self._engines.pop(url, None)
        if engine is None:
            # A file is opened in no time; and a connection of SQLite's stays with its thread.
            options = {"poolclass": NullPool} if store.target.kind == "sqlite" else {}
            engine = create_engine(url, **options)
            _connect_directly(engine)
        self._engines[url] = engine  # the latest last
        while len(self._engines) > _KEPT_ENGINES:
            self._engines.pop(next(iter(self._engines))).dispose()
        return engine


class _Query:
    """The rows of a `select()`."""

    def __init__(
        self,
        store: Store,
        engine: Engine,
        what: Any,
        statement: Select[Any],
        criteria: Sequence[Any],
    ) -> None:
        self.name = str(getattr(what, "__name__", getattr(what, "fullname", "the query")))
        self.conditions = ", ".join(map(_text, criteria))
        self._store = store
        self._engine = engine
        self._statement = statement.where(*criteria)
        self._is_table = what is not statement and mapper_of(what) is None

    def rows(self, where: Row, *, limit: int | None = None) -> list[Any]:
        """Return instances of a class, dictionaries of a table, single values, or rows."""
        from sqlalchemy.orm import Session

        statement = self._narrow(where)
        if limit is not None:
            statement = statement.limit(limit)
        with self._ending_in_the_test(), Session(self._engine, expire_on_commit=False) as session:
            result = session.execute(statement)
            if self._is_table:
                return [dict(row) for row in result.mappings()]
            columns = statement.column_descriptions
            if len(columns) > 1:
                return [*result]
            scalars = result.scalars()
            # Joined collections repeat an instance; a value may be there twice.
            return [*(scalars.unique() if mapper_of(columns[0]["expr"]) else scalars)]

    def count(self, where: Row) -> int:
        """Return how many rows there would be."""
        from sqlalchemy import func, select
        from sqlalchemy.orm import Session

        rows = self._narrow(where).order_by(None).subquery()
        with self._ending_in_the_test(), Session(self._engine) as session:
            return session.scalar(select(func.count()).select_from(rows)) or 0

    def show(self, row: Any) -> Mapping[str, Any]:
        """Return the columns of a row, by the names of the class's attributes."""
        mapper = mapper_of(type(row))
        if mapper is not None:
            loaded = vars(row)
            return {
                each.key: loaded[each.key] for each in mapper.column_attrs if each.key in loaded
            }
        if isinstance(row, dict):
            return row
        mapping = getattr(row, "_mapping", None)
        return dict(mapping) if mapping is not None else {self._value_name(): row}

    def _ending_in_the_test(self) -> EndingInTheTest:
        return EndingInTheTest(self._store, self._statement)

    def _value_name(self) -> str:
        return str(self._statement.column_descriptions[0]["name"])

    def _narrow(self, where: Row) -> Select[Any]:
        from sqlalchemy.exc import InvalidRequestError

        try:
            return self._statement.filter_by(**where)
        except InvalidRequestError:
            raise self._unknown_column(where) from None

    def _unknown_column(self, where: Row) -> DatabaseError:
        known = _names(self._statement)
        unknown = next((column for column in where if column not in known), "")
        similar = get_close_matches(unknown, known)
        return DatabaseError(
            f"{self.name} has no column {unknown!r}.",
            why=f"Its columns are: {', '.join(known)}.",
            fix=f"Did you mean {similar[0]!r}?" if similar else "Name one of them.",
        )


def _require_conditions(criteria: Sequence[Any]) -> None:
    from sqlalchemy import ColumnElement

    for criterion in criteria:
        has_clause = isinstance(criterion, ColumnElement) or hasattr(
            criterion, "__clause_element__"
        )
        if not has_clause:
            raise DatabaseError(
                f"{criterion!r} is no condition.",
                why="Beside keywords, `db` takes conditions of SQLAlchemy's, as `User.id > 1`.",
                fix="Write the columns as keywords: `db.has(User, email=…)`, or `**values`.",
            )


def _select(what: object) -> Select[Any] | None:
    if "sqlalchemy" not in sys.modules:
        return None
    from sqlalchemy import FromClause, Select, select

    if isinstance(what, Select):
        return what
    mapper = mapper_of(what)
    if mapper is not None:
        return select(what).order_by(*mapper.primary_key)  # type: ignore[call-overload,no-any-return]  # a class that is mapped
    return select(what).order_by(*what.primary_key) if isinstance(what, FromClause) else None


def _names(statement: Select[Any]) -> list[str]:
    mapper = mapper_of(statement.column_descriptions[0]["expr"])
    if mapper is not None:
        return [each.key for each in mapper.attrs]
    return [str(column["name"]) for column in statement.column_descriptions]


def _text(criterion: Any) -> str:
    from sqlalchemy.exc import CompileError

    try:
        return str(criterion.compile(compile_kwargs={"literal_binds": True}))
    except (AttributeError, CompileError, NotImplementedError):
        return str(criterion)


def _url(store: Store, *, asynchronous: bool) -> str:
    engine_url = getattr(store, "engine_url", None)
    if engine_url is None:
        raise DatabaseError(
            f"{store.target} does not speak SQL.",
            why="SQLAlchemy's classes and statements need a database that does.",
            fix='Name the collection: `db.one("users", …)`.',
        )
    url: str = engine_url(asynchronous=asynchronous)
    return url


def _connect_directly(engine: Engine) -> None:
    from sqlalchemy import event

    @event.listens_for(engine, "do_connect")
    def connect(dialect: Any, _record: Any, arguments: Any, options: Any) -> Any:
        with connecting_directly():
            return dialect.connect(*arguments, **options)


def _require_sqlalchemy() -> None:
    try:
        import sqlalchemy  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(
            "db.session() needs SQLAlchemy, which is not installed.",
            why="The session that it opens is one of SQLAlchemy's.",
            fix="Install it:\n\n    pip install 'sqlalchemy[asyncio]'",
        ) from error
