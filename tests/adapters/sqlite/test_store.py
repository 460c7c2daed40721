"""A SQLite store goes back to a mark, tells what changed, and answers questions."""

from __future__ import annotations

import datetime as dt
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine

from pytest_asgi.adapters.sqlite.store import SqliteStore
from pytest_asgi.database.changes import Deleted, Inserted, Updated
from pytest_asgi.database.stores import WouldWaitError
from pytest_asgi.errors import DatabaseError, IsolationError
from tests.promises import promise

Open = Callable[..., SqliteStore]
Connect = Callable[..., sqlite3.Connection]


def _names(connection: sqlite3.Connection) -> list[str]:
    return [row[0] for row in connection.execute("SELECT name FROM users ORDER BY id")]


# --- back and forth ------------------------------------------------------------------------------


@promise("database.sqlite-restored")
def test_commits_on_several_connections_are_undone(open_store: Open, connect: Connect) -> None:
    store = open_store()
    first, second = connect(store), connect(store)
    mark = store.mark()
    for connection in (first, second):
        connection.execute("INSERT INTO users(name) VALUES (?)", (str(id(connection)),))
        connection.execute("DELETE FROM users WHERE name = 'seed'")
        connection.commit()

    store.restore(mark)

    assert _names(first) == _names(second) == ["seed"]


def test_numbers_begin_again(open_store: Open, connect: Connect) -> None:
    store = open_store("CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT)")
    app = connect(store)
    mark = store.mark()
    for _ in range(2):
        with app:
            assert app.execute("INSERT INTO t DEFAULT VALUES RETURNING id").fetchall() == [(1,)]
        store.restore(mark)


@promise("database.sqlite-restored")
def test_a_changed_schema_is_undone_for_connections_that_know_it(
    open_store: Open, connect: Connect
) -> None:
    store = open_store()
    first, second = connect(store), connect(store)
    mark = store.mark()
    for column in ("late", "later"):
        first.execute(f"ALTER TABLE users ADD COLUMN {column} DEFAULT 1")
        first.execute("CREATE TABLE extra(x)")
        assert second.execute(f"SELECT {column} FROM users").fetchall() == [(1,)]
        assert "extra" in store.tables()

        store.restore(mark)

        for connection in (first, second):
            with pytest.raises(sqlite3.OperationalError, match="no such column"):
                connection.execute(f"SELECT {column} FROM users")
        assert store.tables() == ["users", "items"]


def test_an_idle_connection_does_not_take_a_later_state_for_one_that_it_knows(
    open_store: Open, connect: Connect
) -> None:
    # As many commits, and as many changes of the schema, as before it looked away.
    store = open_store("")
    writer, idle = connect(store), connect(store)
    mark = store.mark()
    for value in ("first", "second"):
        with writer:
            writer.execute(f"CREATE TABLE {value}(x)")
            writer.execute(f"INSERT INTO {value} VALUES ('{value}')")
        if value == "first":
            assert idle.execute("SELECT * FROM first").fetchall() == [("first",)]
            store.restore(mark)

    assert idle.execute("SELECT * FROM second").fetchall() == [("second",)]
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        idle.execute("SELECT * FROM first")


def test_marks_nest(open_store: Open, connect: Connect) -> None:
    store = open_store()
    app = connect(store)
    outer = store.mark()
    with app:
        app.execute("INSERT INTO users(name) VALUES ('fixture')")
    inner = store.mark()
    with app:
        app.execute("CREATE TABLE t(x)")
        app.execute("DELETE FROM users")

    store.restore(inner)
    assert _names(app) == ["seed", "fixture"]
    store.restore(outer)
    assert _names(app) == ["seed"]


def test_a_mark_costs_nothing_when_nothing_was_written(open_store: Open, connect: Connect) -> None:
    store = open_store()
    connect(store).execute("SELECT * FROM users").fetchall()
    assert store.mark().image is store.mark().image


@pytest.mark.parametrize("statement", ["VACUUM", "PRAGMA user_version = 5"])
def test_what_is_no_row_is_undone(open_store: Open, connect: Connect, statement: str) -> None:
    store = open_store()
    app = connect(store, isolation_level=None)
    with app:
        app.execute("CREATE TABLE gone(x)")
        app.execute("DROP TABLE gone")
    mark = store.mark()
    app.execute(statement)

    store.restore(mark)

    assert app.execute("PRAGMA user_version").fetchone() == (0,)
    assert app.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert _names(app) == ["seed"]


def test_a_settings_of_a_connection_stay(open_store: Open, connect: Connect) -> None:
    store = open_store()
    app = connect(store)
    app.execute("PRAGMA foreign_keys = ON")
    app.execute("CREATE TEMP TABLE own(x)")
    mark = store.mark()
    with app:
        app.execute("INSERT INTO users(name) VALUES ('new')")

    store.restore(mark)

    assert app.execute("PRAGMA foreign_keys").fetchone() == (1,)
    app.execute("SELECT * FROM own")


def test_a_large_database_grows_and_shrinks_back(open_store: Open, connect: Connect) -> None:
    store = open_store()
    app = connect(store)
    mark = store.mark()
    for _ in range(2):
        with app:
            app.executemany("INSERT INTO users(name) VALUES (hex(randomblob(?)))", [(999,)] * 300)
        store.restore(mark)
        assert _names(app) == ["seed"]
        assert app.execute("PRAGMA integrity_check").fetchone() == ("ok",)


# --- what is still open --------------------------------------------------------------------------


@promise("database.sqlite-restored")
def test_an_open_transaction_is_rolled_back(open_store: Open, connect: Connect) -> None:
    store = open_store()
    app = connect(store, check_same_thread=False)
    mark = store.mark()
    app.execute("INSERT INTO users(name) VALUES ('open')")

    store.restore(mark)

    assert not app.in_transaction
    assert _names(app) == ["seed"]
    app.close()


def test_a_transaction_that_was_open_before_goes_on(open_store: Open, connect: Connect) -> None:
    store = open_store()
    app = connect(store)
    app.execute("INSERT INTO users(name) VALUES ('fixture')")
    mark = store.mark()

    store.restore(mark)

    assert app.in_transaction
    app.close()


def test_what_does_not_let_go_is_named_and_left_behind(open_store: Open, connect: Connect) -> None:
    store = open_store()
    mark = store.mark()
    with connect(store) as other:
        other.execute("INSERT INTO users(name) VALUES ('committed')")
    reader = connect(store)
    rows = reader.execute("SELECT 1 UNION ALL SELECT id FROM users")
    rows.fetchone()
    before = store.address

    with pytest.raises(IsolationError) as raised:
        store.restore(mark)

    assert "could not be put back" in str(raised.value)
    assert store.address != before
    assert _names(connect(store)) == ["seed"]
    store.restore(mark)
    rows.close()
    reader.close()


def test_a_connection_of_another_thread_in_a_transaction_is_left_behind(
    open_store: Open, connect: Connect
) -> None:
    store = open_store()
    mark = store.mark()
    with connect(store) as other:
        other.execute("INSERT INTO users(name) VALUES ('committed')")
    opened = threading.Event()
    done = threading.Event()

    def write() -> None:
        with closing(connect(store)) as connection:
            connection.execute("INSERT INTO users(name) VALUES ('open')")
            opened.set()
            done.wait(60)

    thread = threading.Thread(target=write)
    thread.start()
    opened.wait(60)
    with pytest.raises(IsolationError):
        store.restore(mark)
    done.set()
    thread.join()

    assert _names(connect(store)) == ["seed"]


# --- what has changed ----------------------------------------------------------------------------


def test_changes_are_net_and_by_table(open_store: Open, connect: Connect) -> None:
    store = open_store()
    app = connect(store)
    app.execute("PRAGMA foreign_keys = ON")
    with app:
        app.execute("INSERT INTO users(name) VALUES ('gone')")
        app.execute("INSERT INTO items(title, owner) VALUES ('its', 2)")
    mark = store.mark()
    with app:
        app.execute("UPDATE users SET n = 5 WHERE id = 1")
        app.execute("UPDATE users SET n = 5 WHERE id = 2")
        app.execute("DELETE FROM users WHERE id = 2")
        app.execute("INSERT INTO users(name) VALUES ('new')")
        app.execute("INSERT INTO users(name) VALUES ('never')")
        app.execute("DELETE FROM users WHERE name = 'never'")
    app.execute("INSERT INTO users(name) VALUES ('open')")  # is not committed

    assert store.changes(mark) == {
        "users": [
            Updated({"id": 1, "name": "seed", "n": 0}, {"id": 1, "name": "seed", "n": 5}),
            Updated({"id": 2, "name": "gone", "n": 0}, {"id": 2, "name": "new", "n": 0}),
        ],
        "items": [Deleted(id=1, title="its", owner=2)],
    }


def test_nothing_and_the_same_again_are_no_changes(open_store: Open, connect: Connect) -> None:
    store = open_store()
    app = connect(store)
    mark = store.mark()
    assert store.changes(mark) == {}
    with app:
        app.execute("UPDATE users SET n = 5")
    with app:
        app.execute("UPDATE users SET n = 0")

    assert store.changes(mark) == {}


@pytest.mark.parametrize(
    ("table", "statements", "expected"),
    [
        pytest.param(
            "t(k TEXT PRIMARY KEY, v)",
            (
                "INSERT INTO t VALUES ('a', 1), ('b', 2)",
                "INSERT OR REPLACE INTO t VALUES ('a', 3)",
            ),
            [Updated({"k": "a", "v": 1}, {"k": "a", "v": 3})],
            id="by a key that is not the row's number",
        ),
        pytest.param(
            "t(k TEXT PRIMARY KEY, v)",
            ("INSERT INTO t VALUES ('a', 1)", "UPDATE t SET k = 'b'"),
            [Inserted(k="b", v=1), Deleted(k="a", v=1)],
            id="a key that is another one",
        ),
        pytest.param(
            "t(a, b, v, PRIMARY KEY (a, b)) WITHOUT ROWID",
            ("INSERT INTO t VALUES (1, 1, 'x'), (1, 2, 'y')", "UPDATE t SET v = 'z' WHERE b = 2"),
            [Updated({"a": 1, "b": 2, "v": "y"}, {"a": 1, "b": 2, "v": "z"})],
            id="without numbers",
        ),
        pytest.param(
            "t(v)",
            ("INSERT INTO t VALUES (1), (1), (2)", "DELETE FROM t WHERE rowid = 1"),
            [Deleted(v=1)],
            id="without a key, of two that are alike",
        ),
        pytest.param(
            "t(v)",
            ("INSERT INTO t VALUES (1)", "UPDATE t SET v = 1.0"),
            [Updated({"v": 1}, {"v": 1.0})],
            id="another type",
        ),
        pytest.param(
            "t(v TEXT COLLATE NOCASE)",
            ("INSERT INTO t VALUES ('a'), (NULL)", "UPDATE t SET v = upper(v)"),
            [Updated({"v": "a"}, {"v": "A"})],
            id="another case where that sorts alike",
        ),
        pytest.param(
            "t(rowid TEXT, _rowid_ TEXT, oid TEXT, v)",
            ("INSERT INTO t VALUES ('r', 'r', 'o', 1)", "UPDATE t SET v = 2"),
            [
                Inserted(rowid="r", _rowid_="r", oid="o", v=2),
                Deleted(rowid="r", _rowid_="r", oid="o", v=1),
            ],
            id="no name left for the number",
        ),
        pytest.param(
            "t(id INTEGER PRIMARY KEY, v INT, w INT AS (v * 2), x INT AS (v * 3) STORED) STRICT",
            ("", "INSERT INTO t(v) VALUES (2)"),
            [Inserted(id=1, v=2, w=4, x=6)],
            id="generated columns",
        ),
        pytest.param(
            't("the ""key""" INTEGER PRIMARY KEY, "a b" BLOB)',
            ("", "INSERT INTO t VALUES (1, x'00ff')"),
            [Inserted({'the "key"': 1, "a b": b"\x00\xff"})],
            id="names that need quotes",
        ),
        pytest.param(
            "t(v TEXT)",
            ("", "INSERT INTO t VALUES (CAST(x'ff' AS TEXT))"),
            [Inserted(v="\udcff")],
            id="a text that is no UTF-8",
        ),
    ],
)
def test_changes_of_tables_of_every_kind(
    open_store: Open,
    connect: Connect,
    table: str,
    statements: tuple[str, str],
    expected: list[Any],
) -> None:
    store = open_store(f"CREATE TABLE {table}; {statements[0]};")
    app = connect(store)
    mark = store.mark()
    with app:
        app.execute(statements[1])

    changes = store.changes(mark)

    assert changes == {"t": expected}
    if isinstance(expected[0], Updated):
        (change,) = changes["t"]
        assert isinstance(change, Updated)
        assert _types(change.after) == _types(expected[0].after)


def _types(row: dict[str, Any]) -> list[type]:
    return [type(value) for value in row.values()]  # 1 is not 1.0


def test_changes_of_a_full_text_table_are_its_own(open_store: Open, connect: Connect) -> None:
    store = open_store("CREATE VIRTUAL TABLE found USING fts5(body)")
    app = connect(store)
    mark = store.mark()
    with app:
        app.execute("INSERT INTO found VALUES ('some words')")

    assert store.tables() == ["found"]
    assert store.changes(mark) == {"found": [Inserted(body="some words")]}
    store.restore(mark)
    assert app.execute("SELECT * FROM found WHERE found MATCH 'words'").fetchall() == []


def test_changes_of_large_rows_are_found(open_store: Open, connect: Connect) -> None:
    store = open_store(
        "CREATE TABLE large(id INTEGER PRIMARY KEY, v BLOB); CREATE TABLE other(x);"
        "INSERT INTO large(v) VALUES (zeroblob(100000)), (zeroblob(100000));"
    )
    app = connect(store)
    mark = store.mark()
    with app, app.blobopen("large", "v", 2) as blob:  # writes into the middle of the row only
        blob.seek(50_000)
        blob.write(b"x")

    assert [*store.changes(mark)] == ["large"]
    (change,) = store.changes(mark)["large"]
    assert isinstance(change, Updated)
    assert change.after["v"][50_000:50_001] == b"x"


def test_tables_that_were_made_changed_and_dropped_are_told(
    open_store: Open, connect: Connect
) -> None:
    store = open_store(
        "CREATE TABLE a(id INTEGER PRIMARY KEY); CREATE TABLE b(x);"
        "CREATE TABLE c(x); INSERT INTO a VALUES (1); INSERT INTO b VALUES (2);"
    )
    app = connect(store)
    mark = store.mark()
    app.executescript(
        "DROP TABLE b; ALTER TABLE a ADD COLUMN y DEFAULT 3;"
        "CREATE TABLE d(x); INSERT INTO d VALUES (4); CREATE TABLE e(x)"
    )

    assert store.changes(mark) == {
        "a": [Updated({"id": 1}, {"id": 1, "y": 3})],
        "b": [Deleted(x=2)],
        "d": [Inserted(x=4)],
    }


def test_many_rows_lie_below_the_first_pages(open_store: Open, connect: Connect) -> None:
    store = open_store()
    app = connect(store)
    with app:
        app.executemany(
            "INSERT INTO users(name) VALUES (?)", [(f"{n:0200}",) for n in range(2000)]
        )
    mark = store.mark()
    with app:
        app.execute("UPDATE users SET n = 7 WHERE id = 1000")
        app.execute("DELETE FROM users WHERE id = 1500")
        app.execute("INSERT INTO items(title) VALUES ('one')")

    changes = store.changes(mark)

    assert {table: [type(each) for each in those] for table, those in changes.items()} == {
        "users": [Updated, Deleted],
        "items": [Inserted],
    }


# --- questions -----------------------------------------------------------------------------------


class _Colour(Enum):
    RED = "red"


_MOMENT = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("stored", "value"),
    [
        ("'a'", "a"),
        ("NULL", None),
        ("1", True),
        ("'0123456789abcdef0123456789abcdef'", UUID("0123456789abcdef0123456789abcdef")),
        ("'01234567-89ab-cdef-0123-456789abcdef'", UUID("0123456789abcdef0123456789abcdef")),
        ("'2026-01-02 03:04:05.000000'", _MOMENT),
        ("'2026-01-02T03:04:05+00:00'", _MOMENT),
        ("'2026-01-02'", dt.date(2026, 1, 2)),
        ("1.5", Decimal("1.5")),
        ("'RED'", _Colour.RED),
        ("'red'", _Colour.RED),
    ],
)
def test_rows_are_found_by_values_of_rich_types(
    open_store: Open, stored: str, value: object
) -> None:
    store = open_store(f"CREATE TABLE t(v); INSERT INTO t VALUES ({stored}), ('other');")

    assert store.count("t", {"v": value}) == 1
    assert len(store.select("T", {"V": value})) == 1


def test_questions_take_conditions_and_a_limit(open_store: Open) -> None:
    store = open_store("CREATE TABLE t(a, b); INSERT INTO t VALUES (1, 2), (1, 3), (2, 3)")

    assert store.select("t", {"a": 1, "b": 3}) == [{"a": 1, "b": 3}]
    assert len(store.select("t", {}, limit=2)) == 2
    assert store.count("t", {"a": 1}) == 2
    assert store.fetch("SELECT a + ? AS sum FROM t WHERE b = ?", [1, 2]) == [{"sum": 2}]
    assert store.fetch("DELETE FROM t RETURNING a") == [{"a": 1}, {"a": 1}, {"a": 2}]
    assert store.count("t", {}) == 0


def test_a_wrong_name_is_answered_with_similar_ones(open_store: Open) -> None:
    store = open_store()
    with pytest.raises(DatabaseError, match="There is 'users'"):
        store.count("user", {})
    with pytest.raises(DatabaseError, match="There is 'name'"):
        store.select("users", {"nam": 1})


def test_a_script_that_fails_leaves_no_transaction_open(
    open_store: Open, connect: Connect
) -> None:
    store = open_store()
    with pytest.raises(sqlite3.OperationalError):
        store.run_script("BEGIN; DELETE FROM users; SELECT nothing;")

    assert store.count("users", {}) == 1


@promise("database.sqlite-concurrency")
def test_while_somebody_writes_the_state_before_is_there_to_be_read(
    open_store: Open, connect: Connect
) -> None:
    store = open_store()
    app = connect(store)
    app.execute("DELETE FROM users")

    assert store.count("users", {}) == 1
    assert store.changes(store.mark()) == {}


def test_what_is_asked_at_once_waits_for_nobody(open_store: Open, connect: Connect) -> None:
    store = open_store()
    app = connect(store)
    store.mark()  # as ever when a store is opened
    moment = store.moment_at_once()
    app.execute("INSERT INTO users(name) VALUES ('ada')")
    app.commit()
    row = {"id": 2, "name": "ada", "n": 0}
    assert store.changes_at_once(moment) == {"users": [Inserted(row)]}

    app.execute("BEGIN EXCLUSIVE")
    with pytest.raises(WouldWaitError):
        store.changes_at_once(moment)
    with pytest.raises(WouldWaitError):
        store.moment_at_once()
    app.rollback()
    with ThreadPoolExecutor() as another, store._lock, pytest.raises(WouldWaitError):
        another.submit(store.moment_at_once).result()

    assert store.changes_at_once(moment) == {"users": [Inserted(row)]}


def test_a_large_database_is_not_read_at_once(open_store: Open, connect: Connect) -> None:
    store = open_store()
    app = connect(store)
    app.execute("INSERT INTO users(name) VALUES (zeroblob(5000000))")
    app.commit()
    mark = store.mark()

    with pytest.raises(WouldWaitError):
        store.changes_at_once(mark)
    assert store.changes(mark) == {}


async def test_sqlalchemy_reaches_it_by_its_urls(open_store: Open) -> None:
    store = open_store()
    engine = create_engine(store.engine_url(asynchronous=False))
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT name FROM users")) == "seed"
    engine.dispose()
    asynchronous = create_async_engine(store.engine_url(asynchronous=True))
    async with asynchronous.connect() as connecting:
        assert await connecting.scalar(text("SELECT name FROM users")) == "seed"
    await asynchronous.dispose()


# --- others --------------------------------------------------------------------------------------


def test_a_fork_holds_the_same_and_is_apart(open_store: Open, connect: Connect) -> None:
    store = open_store()
    fork = store.fork()
    with connect(fork) as app:
        app.execute("DELETE FROM users")

    assert fork.address != store.address
    assert (fork.count("users", {}), store.count("users", {})) == (0, 1)
    fork.close()
    assert store.count("users", {}) == 1


@promise("database.sqlite-restored")
def test_changes_and_restore_work_with_a_write_ahead_log(
    open_store: Open, connect: Connect
) -> None:
    store = open_store()
    first, second = connect(store), connect(store)
    assert first.execute("PRAGMA journal_mode = wal").fetchone() == ("wal",)
    mark = store.mark()
    for _ in range(2):
        with first:
            first.execute("INSERT INTO users(name) VALUES ('new')")
            first.execute("CREATE TABLE late(x)")
        assert _names(second) == ["seed", "new"]
        assert store.changes(mark) == {"users": [Inserted(id=2, name="new", n=0)]}

        store.restore(mark)

        assert _names(first) == _names(second) == ["seed"]
        assert store.tables() == ["users", "items"]
        assert first.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_write_ahead_log_that_is_in_use_is_left_behind(
    open_store: Open, connect: Connect
) -> None:
    store = open_store()
    app = connect(store)
    app.execute("PRAGMA journal_mode = wal")
    mark = store.mark()
    with app:
        app.execute("INSERT INTO users(name) VALUES ('new')")
    unknown = sqlite3.Connection(store.address["uri"], uri=True)
    unknown.execute("DELETE FROM users")

    with pytest.raises(IsolationError):
        store.restore(mark)

    unknown.close()
    assert _names(connect(store)) == ["seed"]
