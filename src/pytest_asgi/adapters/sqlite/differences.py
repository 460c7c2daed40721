"""The rows in which two states of a database differ.

The earlier state is shown to SQLite as a second database beside the present one. Which tables may
differ is told from the pages; only their rows are compared.
"""

from __future__ import annotations

import os
import sqlite3
from typing import TYPE_CHECKING, Any

from pytest_asgi.adapters.sqlite.image import Image, without_wal
from pytest_asgi.adapters.sqlite.media import PageFile
from pytest_asgi.adapters.sqlite.schema import Schema, Table, quoted, read_schema
from pytest_asgi.database.changes import Deleted, Inserted, Updated

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pytest_asgi.database.changes import Change

    Row = dict[str, Any]

_BEFORE = "pytest_asgi_before"


class Differences:
    """Compares what a connection reads with earlier states of the same database.

    Args:
        connection: Our own connection to the database.
        path: A file for the earlier state.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path
        self._file: PageFile | None = None
        self._shown: tuple[Image, int] | None = None
        self._schemas: dict[int, Schema] = {}

    def show(self, before: Image) -> None:
        """Take what to compare with; outside of a transaction of the connection."""
        if self._shown == (before, before.cookie):
            return
        content = Image(without_wal(before.content))
        content.cookie = before.cookie
        if self._file is None:
            self._file = PageFile(self._path, content.content)
            # Said because a file beside a database in memory would be looked for in memory too.
            uri = f"{self._path.as_uri()}?vfs={'win32' if os.name == 'nt' else 'unix'}"
            self._connection.execute(f"ATTACH ? AS {_BEFORE}", (uri,))
        self._file.overwrite(content, self._file.first_chunk())
        self._shown = before, before.cookie

    def find(self, changed: Iterable[int], cookie: int) -> dict[str, list[Change]]:
        """Return what has become of the rows; inside of a transaction of the connection.

        Args:
            changed: The pages of the earlier state that are others now.
            cookie: The cookie that the database has now.
        """
        assert self._shown is not None
        before = self._shown[0]
        was, is_ = self._schema_of(before.cookie, _BEFORE), self.schema(cookie)
        roots = before.roots_of(changed, was.owners)
        touched = None if roots is None else {was.owners[root] for root in roots}
        found = {}
        for name in _names_to_compare(was, is_, touched):
            rows = self._compare(was.tables.get(name), is_.tables.get(name))
            if rows:
                found[name] = rows
        return found

    def schema(self, cookie: int) -> Schema:
        """Return the present schema."""
        return self._schema_of(cookie, "main")

    def close(self) -> None:
        """Remove the file; the connection has been closed."""
        if self._file is not None:
            self._file.close()

    def _schema_of(self, cookie: int, database: str) -> Schema:
        if cookie not in self._schemas:
            self._schemas[cookie] = read_schema(self._connection, database)
        return self._schemas[cookie]

    def _compare(self, was: Table | None, is_: Table | None) -> list[Change]:
        if was is None or is_ is None or was.columns != is_.columns or not is_.names_rows:
            before = [] if was is None else self._rows(was, _BEFORE)
            after = [] if is_ is None else self._rows(is_, "main")
            return _pair_up(before, after, key=is_.key if is_ is not None else ())
        try:
            return self._changes_of(is_)
        except sqlite3.OperationalError:
            if is_.is_virtual:  # its module is known to the app's connections only
                return []
            raise

    def _changes_of(self, table: Table) -> list[Change]:
        same_row = " AND ".join(f"n.{each} = s.{each}" for each in map(quoted, table.names_rows))
        name, columns = quoted(table.name), [quoted(column) for column in table.columns]
        is_there = f"s.{quoted(table.names_rows[0])} IS NOT NULL"
        now = ", ".join(f"n.{column} COLLATE BINARY" for column in columns)
        before = ", ".join(f"s.{column}" for column in columns)
        differs = f"({now}) IS NOT ({before})"
        for column in map(quoted, sorted(table.untyped)):
            differs += f" OR typeof(n.{column}) IS NOT typeof(s.{column})"
        written = self._connection.execute(
            f"SELECT {is_there}, {before}, {now}"  # noqa: S608 - quoted
            f" FROM main.{name} n LEFT JOIN {_BEFORE}.{name} s ON {same_row}"
            f" WHERE NOT {is_there} OR {differs}"
        ).fetchall()
        gone = self._connection.execute(
            f"SELECT {before} FROM {_BEFORE}.{name} s"  # noqa: S608 - quoted
            f" WHERE NOT EXISTS (SELECT 1 FROM main.{name} n WHERE {same_row})"
        ).fetchall()
        width = len(columns)
        was = [table.row(row[1 : width + 1]) for row in written if row[0]]
        was += map(table.row, gone)
        after = [table.row(row[width + 1 :]) for row in written]
        if table.key or not table.rowid:
            return _pair_up(was, after, key=table.key)
        updated = iter(was)
        changes: list[Change] = [
            Updated(next(updated), row) if old[0] else Inserted(row)
            for old, row in zip(written, after, strict=True)
        ]
        return changes + [Deleted(row) for row in updated]

    def _rows(self, table: Table, database: str) -> list[Row]:
        names = ", ".join(map(quoted, table.columns))
        try:
            rows = self._connection.execute(
                f"SELECT {names} FROM {database}.{quoted(table.name)}"  # noqa: S608 - quoted
            )
        except sqlite3.OperationalError:
            if table.is_virtual:
                return []
            raise
        return [*map(table.row, rows)]


def _names_to_compare(was: Schema, is_: Schema, touched: set[str] | None) -> Iterable[str]:
    """Return the tables whose rows may differ: those that were touched, made, changed or dropped.

    A table whose trees begin where they began, and none of whose pages differ, is the same.
    """
    if touched is None:
        return dict.fromkeys([*was.tables, *is_.tables])
    if was is is_:
        return sorted(touched & was.tables.keys(), key=list(was.tables).index)
    return [
        name
        for name in dict.fromkeys([*was.tables, *is_.tables])
        if name in touched or was.tables.get(name) != is_.tables.get(name)
    ]


def _pair_up(before: list[Row], after: list[Row], *, key: tuple[str, ...]) -> list[Change]:
    """Return the changes between rows that are the same row when their keys are.

    Without a key, rows are the same if all of their values are; nothing is updated then.
    """
    left: dict[tuple[Any, ...], list[Row]] = {}
    for row in before:
        left.setdefault(_identity(row, key), []).append(row)
    changes: list[Change] = []
    for row in after:
        same = left.get(_identity(row, key))
        if not same:
            changes.append(Inserted(row))
        elif _typed(old := same.pop(0)) != _typed(row):
            changes.append(Updated(old, row))
    return changes + [Deleted(row) for rows in left.values() for row in rows]


def _typed(row: Row) -> list[tuple[type, Any]]:
    return [(type(value), value) for value in row.values()]  # 1 is not 1.0


def _identity(row: Row, key: tuple[str, ...]) -> tuple[Any, ...]:
    if not key:
        return tuple(row.items())
    return tuple(row.get(column) for column in key)
