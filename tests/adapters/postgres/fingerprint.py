"""All that a database holds, so that two moments can be compared."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

_RELATIONS = """
    select n.nspname, c.relname, c.relkind from pg_class c join pg_namespace n
        on n.oid = c.relnamespace
    where c.relkind in ('r', 'S', 'm') and n.nspname !~ '^pg_|^information_schema$|^pytest_asgi$'
    order by 1, 2
"""
_SCHEMA = """
    select c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull
    from pg_class c join pg_attribute a on a.attrelid = c.oid
    where c.relnamespace = 'public'::regnamespace and a.attnum > 0 and not a.attisdropped
    order by 1, a.attnum
"""


def fingerprint(connection: psycopg.Connection[Any]) -> dict[str, Any]:
    """Return every row as text, every sequence and every column."""
    found: dict[str, Any] = {"schema": connection.execute(_SCHEMA).fetchall()}
    for schema, name, kind in connection.execute(_RELATIONS).fetchall():
        wanted = "last_value, is_called" if kind == "S" else "(row.*)::text"
        query = sql.SQL("select {} from only {} row order by 1").format(
            sql.SQL(wanted), sql.Identifier(schema, name)
        )
        found[f"{schema}.{name}"] = connection.execute(query).fetchall()
    return found
