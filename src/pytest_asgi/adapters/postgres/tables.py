"""Look into tables by their names and columns."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from psycopg import sql
from psycopg.types.json import Jsonb

from pytest_asgi.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_asgi.adapters.postgres.connection import Connection
    from pytest_asgi.database.stores import Row

__tracebackhide__ = True  # a failure ends in the user's line

_TABLES = """
    select case when n.nspname = current_schema() then c.relname
        else n.nspname || '.' || c.relname end, n.nspname, c.relname
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind = any(%s) and not c.relispartition and c.relpersistence <> 't'
        and n.nspname not in ('pg_catalog', 'information_schema', 'pytest_asgi', 'pg_toast')
    order by n.nspname <> current_schema(), 1
"""
_COLUMNS = """
    select a.attname, format_type(a.atttypid, a.atttypmod)
    from pg_attribute a
    where a.attrelid = %s::regclass and a.attnum > 0 and not a.attisdropped
    order by a.attnum
"""
_TABLE_KINDS = ["r", "p", "f"]
_READABLE_KINDS = [*_TABLE_KINDS, "v", "m"]


# The types without an equality of their own are compared by what they look like.
_BY_TEXT = frozenset({"xml", "point", "box", "polygon", "line", "lseg", "path", "circle"})


def list_tables(connection: Connection) -> list[str]:
    """Return the tables there are, those of the default schema first, by name alone."""
    return [name for name, *_ in connection.run(_TABLES, (_TABLE_KINDS,))]


def select_rows(
    connection: Connection, table: str, where: Row, *, limit: int | None
) -> list[dict[str, Any]]:
    """Return the rows whose columns equal those of `where`.

    Raises:
        DatabaseError: There is no such table or column.
    """
    query, parameters = _from_where(connection, table, where)
    statement = sql.SQL("select * ") + query
    if limit is not None:
        statement += sql.SQL(" limit {}").format(sql.Literal(limit))
    return connection.fetch(statement, parameters)


def count_rows(connection: Connection, table: str, where: Row) -> int:
    """Return how many rows there are whose columns equal those of `where`."""
    query, parameters = _from_where(connection, table, where)
    count: int = connection.run(sql.SQL("select count(*) ") + query, parameters)[0][0]
    return count


def _from_where(
    connection: Connection, table: str, where: Row
) -> tuple[sql.Composed, list[object]]:
    relation = _find_table(connection, table)
    query = sql.SQL("from {}").format(relation)
    if not where:
        return query, []
    columns = dict(connection.run(_COLUMNS, (relation.as_string(),)))
    conditions = []
    for name in where:
        if name not in columns:
            raise _no_such("column", name, columns, f"Table {table!r}")
        conditions.append(_condition(name, columns[name]))
    parameters = [
        Jsonb(value) if columns[name] in {"json", "jsonb"} and value is not None else value
        for name, value in where.items()
    ]
    return query + sql.SQL(" where ") + sql.SQL(" and ").join(conditions), parameters


def _condition(name: str, type_name: str) -> sql.Composed:
    left, right = sql.Identifier(name).as_string(), f"%s::{type_name}"
    if type_name in _BY_TEXT:
        left, right = f"{left}::text", f"{right}::text"
    elif type_name == "json":
        left, right = f"{left}::jsonb", "%s::jsonb"
    return sql.Composed([sql.SQL(f"{left} is not distinct from {right}")])


def _find_table(connection: Connection, table: str) -> sql.Identifier:
    found = {name: names for name, *names in connection.run(_TABLES, (_READABLE_KINDS,))}
    if table not in found:
        raise _no_such("table", table, found, "The database")
    return sql.Identifier(*found[table])


def _no_such(what: str, name: str, there_are: Iterable[str], where: str) -> DatabaseError:
    names = list(there_are)
    similar = get_close_matches(name, names, n=3)
    return DatabaseError(
        f"There is no {what} {name!r}.",
        why=f"{where} has {', '.join(map(repr, names)) or 'none'}.",
        fix=f"Did you mean {' or '.join(map(repr, similar))}?"
        if similar
        else f"Name a {what} that is there.",
    )
