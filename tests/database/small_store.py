"""A store that is small enough to be seen through: SQLite in memory, compared table by table."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from itertools import count
from typing import Any

from pytest_asgi.database.changes import Change, Deleted, Inserted, Updated
from pytest_asgi.database.stores import Row
from pytest_asgi.database.targets import Target

_next_number = count(1).__next__

Rows = dict[str, dict[int, dict[str, Any]]]


class SmallStore:
    """The stores of a test, too: itself is the only one."""

    def __init__(self, script: str = "", *, name: str = "/app/shop.db") -> None:
        self.target = Target("sqlite", name)
        self.uri = f"file:small{_next_number()}?mode=memory&cache=shared"
        self.address = {"uri": self.uri}
        self._anchor = self._connect()
        self._anchor.executescript(script)
        self.baseline = self.mark()

    def main_store(self) -> SmallStore:
        return self

    def main_store_if_open(self) -> SmallStore:
        return self

    def stores(self) -> list[SmallStore]:
        return [self]

    def mark_of(self, store: object) -> Rows:
        return self.baseline

    def mark(self) -> Rows:
        with closing(self._connect()) as connection:
            return {
                table: {
                    row["rowid"]: {name: row[name] for name in row.keys()[1:]}
                    for row in connection.execute(f"select rowid as rowid, * from {table}")
                }
                for table in self.tables()
            }

    def changes(self, since: Rows) -> dict[str, list[Change]]:
        now = self.mark()
        found = {table: list(_changes(since.get(table, {}), rows)) for table, rows in now.items()}
        return {table: changes for table, changes in found.items() if changes}

    def tables(self) -> list[str]:
        rows = self.fetch("select name from sqlite_schema where type = 'table'")
        return [row["name"] for row in rows]

    def select(self, table: str, where: Row, *, limit: int | None = None) -> list[dict[str, Any]]:
        return self.fetch(f"select * {_clauses(table, where)} limit {limit or -1}", _values(where))

    def count(self, table: str, where: Row) -> int:
        rows = self.fetch(f"select count(*) as count {_clauses(table, where)}", _values(where))
        return int(rows[0]["count"])

    def fetch(self, statement: str, parameters: Any = ()) -> list[dict[str, Any]]:
        with closing(self._connect()) as connection, connection:
            return [dict(row) for row in connection.execute(statement, parameters)]

    def engine_url(self, *, asynchronous: bool) -> str:
        driver = "sqlite+aiosqlite" if asynchronous else "sqlite"
        return f"{driver}:///{self.uri}&uri=true"

    def restore(self, mark: Rows) -> None:
        raise NotImplementedError

    def fork(self) -> SmallStore:
        raise NotImplementedError

    def close(self) -> None:
        self._anchor.close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.uri, uri=True, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        return connection


def _changes(before: dict[int, Any], after: dict[int, Any]) -> Any:
    for key in sorted({*before, *after}):
        old, new = before.get(key), after.get(key)
        if old is None:
            yield Inserted(new)
        elif new is None:
            yield Deleted(old)
        elif old != new:
            yield Updated(old, new)


def _clauses(table: str, where: Row) -> str:
    conditions = [f"{column} is ?" for column in where] or ["true"]
    return f"from {table} where {' and '.join(conditions)}"


def _values(where: Row) -> list[Any]:
    return list(where.values())
