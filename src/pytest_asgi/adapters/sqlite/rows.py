"""How rows are asked for by what they hold, and what libraries store for richer types."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from difflib import get_close_matches
from enum import Enum
from typing import TYPE_CHECKING, Any
from uuid import UUID

from pytest_asgi.adapters.sqlite.schema import quoted
from pytest_asgi.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_asgi.adapters.sqlite.schema import Schema, Table
    from pytest_asgi.database.stores import Row

__tracebackhide__ = True  # a failure ends in the user's line


def find_table(schema: Schema, name: str) -> Table:
    """Return a table, however its name is written.

    Raises:
        DatabaseError: There is no such table.
    """
    known = {table.lower(): each for table, each in schema.tables.items()}.get(name.lower())
    if known is None:
        raise _unknown(f"There is no table {name!r}.", name, schema.tables)
    return known


def source_of(table: Table, where: Row) -> tuple[str, list[Any]]:
    """Return what comes behind `SELECT …`, and its parameters.

    Raises:
        DatabaseError: There is no such column.
    """
    columns = {column.lower() for column in table.columns}
    terms: list[str] = []
    values: list[Any] = []
    for column, value in where.items():
        if column.lower() not in columns:
            what = f"The table {table.name!r} has no column {column!r}."
            raise _unknown(what, column, table.columns)
        forms = [] if value is None else list(_stored_forms(value))
        is_one = f"IN ({', '.join('?' * len(forms))})" if forms else "IS NULL"
        terms.append(f"{quoted(column)} {is_one}")
        values += forms
    condition = f" WHERE {' AND '.join(terms)}" if terms else ""
    return f"FROM {quoted(table.name)}{condition}", values


def _unknown(what: str, name: str, known: Iterable[str]) -> DatabaseError:
    names = list(known)
    similar = get_close_matches(name, names, n=3, cutoff=0.5) or names
    return DatabaseError(
        what,
        why="The schema of the test database has no such name.",
        fix=f"There is {', '.join(map(repr, similar))}."
        if similar
        else "There are no tables at all: `asgi_schema` names what makes them.",
    )


def _stored_forms(value: Any) -> Iterable[Any]:
    """Return what libraries store for a value, if it is of a type that SQLite does not have."""
    match value:
        case Enum():
            return [*_stored_forms(value.value), value.name]
        case UUID():
            return [value.hex, str(value), value.bytes]
        case Decimal():
            return [str(value), float(value)]
        case dt.datetime():
            return _forms_of_moment(value)
        case dt.date() | dt.time():
            return [value.isoformat()]
        case _:
            return [value]


def _forms_of_moment(moment: dt.datetime) -> Iterable[str]:
    plain = moment.replace(tzinfo=None)
    return dict.fromkeys(
        each.isoformat(separator, precision)
        for each in (moment, plain)
        for separator in " T"
        for precision in ("auto", "microseconds")
    )
