"""What is said when SQLAlchemy cannot do what a test asks: short, and what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from pytest_asgi.database.sources import require_table
from pytest_asgi.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from pytest_asgi.database.stores import Store

__tracebackhide__ = True  # a failure ends in the user's line

_UNDEFINED_TABLE = "42P01"  # https://www.postgresql.org/docs/current/errcodes-appendix.html


class EndingInTheTest:
    """A block whose failures end in the user's line, and not among SQLAlchemy's own.

    Args:
        store: Where the statement runs.
        statement: What is run; its tables are those that may be missing.

    Raises:
        DatabaseError: A table is not there.
    """

    def __init__(self, store: Store, statement: Any) -> None:
        self._store = store
        self._statement = statement

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        from sqlalchemy.exc import SQLAlchemyError

        if isinstance(error, SQLAlchemyError):
            self._tell(error)

    def _tell(self, error: Exception) -> NoReturn:
        if _is_table_missing(error):
            self._require_tables()
        # The driver's own message is part of SQLAlchemy's.
        raise error.with_traceback(None) from None

    def _require_tables(self) -> None:
        try:
            for table in _tables_of(self._statement):
                require_table(self._store, table)
        except DatabaseError as missing:
            raise missing from None  # which says all that SQLAlchemy's would


def _is_table_missing(error: Exception) -> bool:
    original = getattr(error, "orig", None)
    return getattr(original, "sqlstate", "") == _UNDEFINED_TABLE or (
        "no such table" in str(original)
    )


def _tables_of(statement: Any) -> Iterator[str]:
    from sqlalchemy import Table
    from sqlalchemy.sql import visitors

    yield from (each.fullname for each in visitors.iterate(statement) if isinstance(each, Table))
