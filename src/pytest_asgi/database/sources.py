"""Where rows come from that a test asks for: a table by its name, or what a library calls one."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Protocol

from pytest_asgi.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractAsyncContextManager, AbstractContextManager

    from pytest_asgi.database.stores import Row, Store

__tracebackhide__ = True  # a failure ends in the user's line


class Source(Protocol):
    """The rows of one table or query.

    Attributes:
        name: How messages call it.
        conditions: What its rows are narrowed down to already, for messages.
    """

    name: str
    conditions: str

    def rows(self, where: Row, *, limit: int | None = None) -> list[Any]:
        """Return the rows whose columns equal those of `where`, as the library gives them."""

    def count(self, where: Row) -> int:
        """Return how many rows there would be."""

    def show(self, row: Any) -> Mapping[str, Any]:
        """Return the columns of one of the rows."""


class Library(Protocol):
    """What knows tables, queries and rows under names of its own: SQLAlchemy, for example."""

    def table_name(self, what: object) -> str | None:
        """Return the name of the table that `what` stands for, if it is one of this library's."""

    def source(self, store: Store, what: object, criteria: Sequence[Any]) -> Source | None:
        """Return the rows of `what`, if it is one of this library's."""

    def execute(self, store: Store, statement: object, parameters: Sequence[Any]) -> bool:
        """Run a statement and commit; tell whether it was one of this library's."""

    def make(self, store: Store, model: type[Any], values: Mapping[str, Any], seed: int) -> Any:
        """Make a row with these values and made up ones, commit it, and return it.

        The same seed gives the same values.
        """

    def session(self, store: Store, **options: Any) -> AbstractContextManager[Any]:
        """Return a session that is open in a block."""

    def async_session(self, store: Store, **options: Any) -> AbstractAsyncContextManager[Any]:
        """Return a session for async code that is open in a block."""

    def close(self) -> None:
        """Close the connections that are held."""


class NamedTable:
    """The rows of a table, or a collection, that is asked for by its name."""

    conditions = ""

    def __init__(self, store: Store, name: str) -> None:
        self.name = name
        self._store = store

    def rows(self, where: Row, *, limit: int | None = None) -> list[dict[str, Any]]:
        """Return the rows as dictionaries."""
        return self._store.select(self.name, where, limit=limit)

    def count(self, where: Row) -> int:
        """Return how many rows there would be."""
        return self._store.count(self.name, where)

    def show(self, row: dict[str, Any]) -> dict[str, Any]:
        """Return the row."""
        return row


def require_table(store: Store, name: str) -> str:
    """Return the name of a table.

    Raises:
        DatabaseError: There is no such table.
    """
    tables = store.tables()
    if name in tables:
        return name
    similar = get_close_matches(name, tables)
    raise DatabaseError(
        f"There is no table {name!r} in {store.target}.",
        why=f"Its tables are: {', '.join(sorted(tables)) or 'none'}.",
        fix=f"Did you mean {similar[0]!r}?"
        if similar
        else "Name one of them, or let `asgi_schema` make it.",
    )
