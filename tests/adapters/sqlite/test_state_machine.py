"""Whatever connections do, a store comes back to the very state that was marked."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pytest_asgi.adapters.sqlite.connections import AppConnection
from pytest_asgi.adapters.sqlite.opener import SqliteOpener
from pytest_asgi.adapters.sqlite.store import Mark, SqliteStore
from pytest_asgi.database.targets import Target

_SCHEMA = """
CREATE TABLE plain(id INTEGER PRIMARY KEY, a TEXT COLLATE NOCASE, b);
CREATE TABLE counted(id INTEGER PRIMARY KEY AUTOINCREMENT, a TEXT UNIQUE);
CREATE TABLE keyed(x TEXT, y INTEGER, z BLOB, PRIMARY KEY (x, y)) WITHOUT ROWID;
CREATE TABLE child(id INTEGER PRIMARY KEY, plain INTEGER REFERENCES plain(id) ON DELETE CASCADE);
CREATE TABLE logged(what TEXT);
CREATE TRIGGER log AFTER INSERT ON plain BEGIN INSERT INTO logged VALUES (new.a); END;
CREATE INDEX by_b ON plain(b);
CREATE VIEW seen AS SELECT a FROM plain;
CREATE VIRTUAL TABLE found USING fts5(body);
INSERT INTO plain(a, b) VALUES ('one', 1), ('two', 2.0), ('three', x'00');
INSERT INTO keyed VALUES ('k', 1, zeroblob(10000));
INSERT INTO found VALUES ('some words');
"""
_STATEMENTS = (
    "INSERT INTO plain(a, b) VALUES ('new', 5)",
    "INSERT INTO plain(id, a) VALUES (1, 'taken')",
    "UPDATE plain SET b = 1.0 WHERE b = 1",
    "UPDATE plain SET a = upper(a)",
    "DELETE FROM plain WHERE id = 2",
    "INSERT INTO child(plain) SELECT id FROM plain",
    "INSERT INTO counted(a) VALUES ('c'), (NULL)",
    "DELETE FROM counted",
    "INSERT OR REPLACE INTO keyed VALUES ('k', 1, zeroblob(20000))",
    "INSERT INTO keyed SELECT x, y + 1, z FROM keyed ON CONFLICT DO UPDATE SET z = NULL",
    "INSERT INTO found VALUES ('more words')",
    "INSERT INTO plain(a, b) SELECT 'many', randomblob(500) FROM plain LIMIT 100",
    "CREATE TABLE IF NOT EXISTS late(id INTEGER PRIMARY KEY, v)",
    "INSERT INTO late(v) VALUES ('late')",
    "ALTER TABLE plain ADD COLUMN c DEFAULT 7",
    "DROP TABLE IF EXISTS late",
    "DROP TABLE logged",
    "CREATE INDEX IF NOT EXISTS by_a ON plain(a)",
    "PRAGMA user_version = 9",
    "PRAGMA foreign_keys = ON",
    "VACUUM",
    "BEGIN",
    "BEGIN IMMEDIATE",
    "SAVEPOINT s",
    "ROLLBACK TO s",
    "RELEASE s",
    "COMMIT",
    "ROLLBACK",
)
_NAMES = ("first", "second", "third")


class Connections(RuleBasedStateMachine):
    journal = "delete"

    @initialize()
    def begin(self) -> None:
        self.opener = SqliteOpener()
        self.store: SqliteStore = self.opener.open(
            Target("sqlite", "/project/app.db"),
            build=lambda store: store.run_script(_SCHEMA),
            key=None,
        )
        self.connections = {name: self._connect() for name in _NAMES}
        self.marks: list[tuple[Mark, Any]] = [(self.store.mark(), self._fingerprint())]
        self.is_dirty = False

    def _connect(self) -> sqlite3.Connection:
        connection = AppConnection(
            self.store.address["uri"], uri=True, timeout=0, isolation_level=None
        )
        connection.execute(f"PRAGMA journal_mode = {self.journal}")
        self.store.connections.add(connection, None)
        return connection

    @rule(name=st.sampled_from(_NAMES), statement=st.sampled_from(_STATEMENTS))
    def execute(self, name: str, statement: str) -> None:
        self.is_dirty = True
        with suppress(sqlite3.Error):  # locked, taken, no transaction, no such table
            self.connections[name].execute(statement).fetchall()

    @rule(name=st.sampled_from(_NAMES))
    def connect_anew(self, name: str) -> None:
        self.connections[name].close()
        self.connections[name] = self._connect()

    @precondition(lambda self: len(self.marks) < 4)
    @rule()
    def mark(self) -> None:
        for connection in self.connections.values():
            connection.rollback()
        self.marks.append((self.store.mark(), self._fingerprint()))
        self.is_dirty = False

    @rule(older=st.booleans())
    def restore(self, older: bool) -> None:  # noqa: FBT001 - the drawn value
        if older and len(self.marks) > 1:
            self.marks.pop()
        mark, fingerprint = self.marks[-1]

        self.store.restore(mark)

        assert self._fingerprint() == fingerprint
        assert self.store.changes(mark) == {}
        for connection in self.connections.values():
            assert not connection.in_transaction
            assert _rows(connection) == fingerprint
        self.is_dirty = False

    @invariant()
    def changes_are_the_differences(self) -> None:
        if not hasattr(self, "marks"):
            return
        mark, (_, before) = self.marks[-1]
        with closing(self._connect()) as connection:
            _, after = _rows(connection)
        differ = {name for name in before | after if before.get(name) != after.get(name)}
        without_rows = {name for name in differ if not (before.get(name) or after.get(name))}

        assert self.store.changes(mark).keys() == differ - without_rows

    def _fingerprint(self) -> Any:
        with closing(self._connect()) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            return _rows(connection)

    def teardown(self) -> None:
        if hasattr(self, "store"):
            for connection in self.connections.values():
                connection.close()
            self.store.close()
            self.opener.close()


class ConnectionsWithWal(Connections):
    journal = "wal"


def _rows(connection: sqlite3.Connection) -> Any:
    schema = connection.execute(
        "SELECT type, name, sql FROM sqlite_schema ORDER BY type, name"
    ).fetchall()
    names = [
        name
        for kind, name, sql in schema
        if kind == "table" and not name.startswith(("found_", "sqlite_stat"))
    ]
    rows = {
        name: sorted(map(repr, connection.execute(f'SELECT * FROM "{name}"').fetchall()))
        for name in names
        if name != "sqlite_sequence"
    }
    rest = [
        connection.execute(statement).fetchall()
        for statement in (
            "SELECT * FROM sqlite_sequence ORDER BY name",
            "SELECT * FROM seen ORDER BY a",
            "PRAGMA user_version",
        )
    ]
    return (schema, rest), rows


_SETTINGS = settings(
    max_examples=30,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestConnections = pytest.mark.filterwarnings("default")(Connections.TestCase)
TestConnectionsWithWal = pytest.mark.filterwarnings("default")(ConnectionsWithWal.TestCase)
TestConnections.settings = TestConnectionsWithWal.settings = _SETTINGS
