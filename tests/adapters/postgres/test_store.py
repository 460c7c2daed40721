"""Marks, changes, copies, and what else a store of PostgreSQL does."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import MetaData, create_engine

from pytest_asgi.adapters.postgres import PostgresOpener
from pytest_asgi.adapters.postgres.store import PostgresStore
from pytest_asgi.database.changes import Deleted, Inserted, Updated
from pytest_asgi.database.stores import WouldWaitError
from pytest_asgi.errors import DatabaseError, IsolationError
from tests.adapters.postgres.conftest import TARGET, Connect, Open
from tests.adapters.postgres.fingerprint import fingerprint
from tests.promises import promise

_USERS = """
    create table users (id serial primary key, name text not null);
    insert into users (name) values ('ada'), ('grace');
"""


# --- marks ---------------------------------------------------------------------------------------


@promise("database.postgres-marks")
def test_marks_nest_and_an_older_one_stays_good(open_store: Open, connect: Connect) -> None:
    store = open_store(_USERS)
    app = connect(store)
    schema, at_schema = store.mark(), fingerprint(app)
    app.execute("insert into users (name) values ('of the module')")
    app.execute("update users set name = 'changed' where id = 1")
    module, at_module = store.mark(), fingerprint(app)

    for _ in range(3):
        app.execute("update users set name = name || '!'; delete from users where id = 1")
        app.execute("insert into users (name) values ('of the test')")
        store.restore(module)
        assert fingerprint(app) == at_module

    store.restore(schema)
    assert fingerprint(app) == at_schema


@promise("database.postgres-marks")
def test_a_schema_that_a_test_changes_is_back_as_a_wider_fixture_left_it(
    open_store: Open, connect: Connect
) -> None:
    store = open_store(
        _USERS + "create table log (what text); insert into log values ('x'), ('x')"
    )
    schema, at_schema = store.mark(), fingerprint(connect(store))
    app = connect(store)
    app.execute("update users set name = 'twice'; update users set name = 'thrice' where id = 2")
    store.restore(schema)  # moves rows within the tables
    app.execute(
        "insert into users (name) values ('of the module'); delete from users where id = 1"
    )
    app.execute("delete from log where ctid = '(0,1)'")
    module, at_module = store.mark(), fingerprint(app)
    old_address = store.address

    app.execute("drop table log; alter table users drop column name")
    store.restore(module)

    assert store.address != old_address
    assert fingerprint(connect(store)) == at_module
    connect(store).execute("update users set name = 'again'")
    store.restore(module)
    assert fingerprint(connect(store)) == at_module
    store.restore(schema)
    assert fingerprint(connect(store)) == at_schema


def test_tables_that_a_wider_fixture_makes_are_put_back_too(
    open_store: Open, connect: Connect
) -> None:
    store = open_store(_USERS)
    app = connect(store)
    app.execute("create table late (id serial primary key); insert into late default values")
    mark, before = store.mark(), fingerprint(app)

    app.execute("insert into late default values; update late set id = id + 5")
    assert list(store.changes(mark)) == ["late"]
    store.restore(mark)

    assert fingerprint(app) == before


def test_a_change_of_a_schema_that_no_template_has_is_an_error_that_names_the_setting(
    open_store: Open, connect: Connect
) -> None:
    store = open_store(_USERS)
    app = connect(store)
    app.execute("create table late (id int)")
    mark = store.mark()
    app.execute("insert into users (name) values ('x'); create table later (id int)")

    with pytest.raises(IsolationError, match="asgi_schema"):
        store.restore(mark)
    with pytest.raises(IsolationError, match="asgi_schema"):
        store.fork()

    assert store.count("users", {}) == 2, "the rows at least are back"
    store.restore(mark)


def test_writes_of_a_transaction_that_began_before_a_mark_and_ended_after_it_are_undone(
    open_store: Open, connect: Connect
) -> None:
    store = open_store(_USERS)
    slow, quick = connect(store), connect(store)
    slow.execute("begin; insert into users (name) values ('slow')")
    quick.execute("insert into users (name) values ('quick')")
    mark = store.mark()

    slow.execute("commit")

    assert store.changes(mark) == {"users": [Inserted({"id": 3, "name": "slow"})]}
    store.restore(mark)
    assert [row["name"] for row in store.select("users", {})] == ["ada", "grace", "quick"]


# --- transactions that are still open ------------------------------------------------------------


@promise("database.postgres-open-transaction")
@pytest.mark.parametrize(
    "statement",
    [
        "insert into users (name) values ('uncommitted')",
        "lock table users",
        "select id from users order by id for update",
    ],
)
def test_a_transaction_that_is_still_open_is_ended_and_named(
    statement: str, open_store: Open, connect: Connect
) -> None:
    store = open_store(_USERS)
    mark, before = store.mark(), fingerprint(connect(store))
    connect(store).execute("update users set name = 'committed'")
    idle = connect(store)
    idle.execute(f"begin; {statement}".encode())

    with pytest.raises(IsolationError) as caught:
        store.restore(mark)

    assert statement in caught.value.why
    assert fingerprint(connect(store)) == before
    with pytest.raises(psycopg.OperationalError):
        idle.execute("commit")


def test_a_transaction_that_only_reads_is_left_alone(open_store: Open, connect: Connect) -> None:
    store = open_store(_USERS)
    mark = store.mark()
    reader = connect(store)
    reader.execute("begin; select * from users")
    connect(store).execute("update users set name = 'x'")

    store.restore(mark)

    assert reader.execute("select name from users order by id").fetchall() == [
        ("ada",),
        ("grace",),
    ]


def test_a_transaction_that_is_about_to_end_is_waited_for(
    open_store: Open, connect: Connect
) -> None:
    store = open_store(_USERS)
    mark, before = store.mark(), fingerprint(connect(store))
    busy = connect(store)
    busy.execute("begin; update users set name = 'x'")

    thread = threading.Timer(0.05, lambda: busy.execute("commit"))
    thread.start()
    store.restore(mark)
    thread.join()

    assert fingerprint(connect(store)) == before


# --- changes -------------------------------------------------------------------------------------


@promise("database.postgres-changes")
def test_changes_are_the_net_effect_in_python_values(open_store: Open, connect: Connect) -> None:
    store = open_store(
        "create table t (id uuid primary key, n numeric, at timestamptz, b bytea, j jsonb,"
        " a int[], twice numeric generated always as (n * 2) stored);"
        "insert into t values ('00000000-0000-0000-0000-000000000001', 1.50,"
        " '2024-02-03T04:05:06Z', '\\x00ff', '{\"a\": [1]}', '{1,2}')"
    )
    app = connect(store)
    mark = store.mark()

    app.execute("update t set n = 2; update t set n = 2.25")
    app.execute("insert into t (id) values ('00000000-0000-0000-0000-000000000002')")
    app.execute("delete from t where n is null")

    before = {
        "id": UUID(int=1),
        "n": Decimal("1.50"),
        "at": datetime(2024, 2, 3, 4, 5, 6, tzinfo=UTC),
        "b": b"\x00\xff",
        "j": {"a": [1]},
        "a": [1, 2],
        "twice": Decimal("3.00"),
    }
    after = before | {"n": Decimal("2.25"), "twice": Decimal("4.50")}
    assert store.changes(mark) == {"t": [Updated(before, after)]}


@promise("database.postgres-changes")
def test_changes_come_by_table_in_the_order_of_writing_with_all_that_was_caused(
    open_store: Open, connect: Connect
) -> None:
    store = open_store(
        _USERS + "create schema shop; create table shop.orders (id int primary key, user_id int"
        " references users on delete cascade); insert into shop.orders values (1, 2)"
    )
    app = connect(store)
    mark = store.mark()

    app.execute("begin; update users set name = 'lost'; rollback")
    app.execute("insert into shop.orders values (2, 1)")
    app.execute("delete from users where id = 2")
    app.execute("update users set name = name")

    assert store.changes(mark) == {
        "shop.orders": [
            Inserted({"id": 2, "user_id": 1}),
            Deleted({"id": 1, "user_id": 2}),
        ],
        "users": [Deleted({"id": 2, "name": "grace"})],
    }


def test_rows_that_a_trigger_changes_again_at_once_are_one_change(
    open_store: Open, connect: Connect
) -> None:
    store = open_store(
        "create table t (id int primary key, n int default 0);"
        "create function touch() returns trigger language plpgsql as $$ begin"
        " update t set n = n + 1; return null; end $$;"
        "create trigger a_touch after insert on t for each row execute function touch();"
    )
    mark = store.mark()

    connect(store).execute("insert into t values (1), (2)")

    assert store.changes(mark) == {"t": [Inserted({"id": 1, "n": 2}), Inserted({"id": 2, "n": 2})]}


def test_a_partition_goes_by_the_name_of_its_table(open_store: Open, connect: Connect) -> None:
    store = open_store(
        "create table t (id int) partition by list (id);"
        "create table t_one partition of t for values in (1)"
    )
    mark = store.mark()

    connect(store).execute("insert into t values (1)")

    assert store.changes(mark) == {"t": [Inserted({"id": 1})]}


def test_columns_that_are_computed_when_read_are_in_the_changes(
    open_store: Open, connect: Connect
) -> None:
    virtual = "virtual" if _version_of(open_store, connect) >= 180000 else "stored"
    store = open_store(
        f'create table t (id int, "100 %" int generated always as (id * 100) {virtual})'
    )
    mark = store.mark()

    connect(store).execute("insert into t values (3)")

    assert store.changes(mark) == {"t": [Inserted({"id": 3, "100 %": 300})]}
    store.restore(mark)
    assert store.count("t", {}) == 0


def _version_of(open_store: Open, connect: Connect) -> int:
    return connect(open_store("select 1")).info.server_version


def test_changes_are_told_when_a_table_has_other_columns_than_before(
    open_store: Open, connect: Connect
) -> None:
    store = open_store(_USERS)
    app = connect(store)
    app.execute("insert into users (name) values ('x')")
    mark = store.mark()
    app.execute("insert into users (name) values ('y')")
    store.changes(mark)
    app.execute("alter table users add column age int")
    mark = store.mark()

    app.execute("insert into users (name, age) values ('z', 3)")

    assert store.changes(mark) == {"users": [Inserted({"id": 5, "name": "z", "age": 3})]}


# --- changes at once: without waiting for anybody ------------------------------------------------

_VALUES = {
    "int": "-3",
    "bigint": "9223372036854775807",
    "bool": "true",
    "numeric(9, 3)": "'1.50'",
    "float8": "'1e-300'",
    "real": "'NaN'",
    "text": """E'a "b" (c), d\\\\ \\n e\\'f é'""",
    "varchar": "''",
    "char(5)": "'a '",
    "bytea": "'\\x00ff22'",
    "uuid": "'00000000-0000-0000-0000-000000000001'",
    "date": "'2024-02-03'",
    "time": "'04:05:06.7'",
    "timestamp": "'2024-02-03 04:05:06'",
    "timestamptz": "'2024-02-03T04:05:06Z'",
    "interval": "'-1 day 02:03:04.5'",
    "json": """'{"a": "b, \\"c\\""}'""",
    "jsonb": "'[1, null, {}]'",
    "mood": "'so so'",
    "email": "'a@b.c'",
    "text[]": """'{a,NULL,"b \\"c\\", d"}'""",
    "varchar[]": "'{}'",
    "int[]": "'{1,2}'",
    "bigint[]": "'{{1},{2}}'",
    "bool[]": "'{t,NULL}'",
    "float8[]": "'{1.5,Infinity}'",
    "numeric[]": "'{1.50}'",
    "uuid[]": "'{00000000-0000-0000-0000-000000000001}'",
    "smallint": "3",
    "inet": "'10.0.0.1/8'",
}


def _begin(store: PostgresStore) -> Any:
    store.mark()  # as ever when a store is opened
    return store.moment_at_once()


def test_rows_are_read_from_the_log_as_the_server_would_tell_them(
    open_store: Open, connect: Connect
) -> None:
    columns = ", ".join(f"c{number} {kind}" for number, kind in enumerate(_VALUES))
    store = open_store(
        "create type mood as enum ('so so'); create domain email as text;"
        f"create table t (id int primary key, {columns})"
    )
    moment = _begin(store)

    app = connect(store)
    app.execute("set timezone to 'Asia/Kathmandu'; set datestyle to 'German'")
    app.execute(f"insert into t values (1, {', '.join(_VALUES.values())})")
    app.execute("insert into t values (2)")

    written = store.changes_at_once(moment)["t"]
    assert list(map(repr, written)) == [repr(Inserted(row)) for row in store.select("t", {})]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("regclass", "'users'"),  # is written in another way by those who know the schema
        ("money", "'1.50'"),
        ("tstzrange", "'[2024-02-03, 2024-02-04)'"),
        ("users", "'(1,x)'"),
        ("int generated always as (id * 2) virtual", "default"),
        ("timestamptz", "'9999-12-31 23:59:59Z'"),  # is in no year of Python's in Kathmandu
    ],
)
def test_what_the_log_does_not_tell_is_asked_for_in_a_thread(
    open_store: Open, connect: Connect, kind: str, value: str
) -> None:
    if "virtual" in kind and _version_of(open_store, connect) < 180000:
        pytest.skip("from PostgreSQL 18 on")
    store = open_store(f"{_USERS}; create table t (id int primary key, c {kind})")
    moment = _begin(store)

    app = connect(store)
    app.execute("set timezone to 'Asia/Kathmandu'")
    app.execute(f"insert into t values (1, {value})")

    with pytest.raises(WouldWaitError):
        store.changes_at_once(moment)
    assert store.changes(moment) == {"t": [Inserted(row) for row in store.select("t", {})]}


def test_who_has_locked_a_table_is_not_waited_for(open_store: Open, connect: Connect) -> None:
    store = open_store(f"{_USERS}; create table t (id int primary key, n money)")
    moment = _begin(store)
    app, other = connect(store), connect(store)
    app.execute("insert into users (name) values ('x')")

    other.execute("begin; lock table users, t")
    assert list(store.changes_at_once(moment)) == ["users"]
    app.execute("rollback")
    other.execute("rollback")
    app.execute("insert into t values (1, 1)")
    other.execute("begin; lock table users, t")
    with pytest.raises(WouldWaitError):
        store.changes_at_once(moment)
    other.execute("rollback")


def test_new_tables_are_made_known_in_a_thread(open_store: Open, connect: Connect) -> None:
    store = open_store(_USERS)
    moment = _begin(store)
    app = connect(store)

    app.execute("insert into users (name) values ('x')")
    app.execute("create table more (id int primary key)")

    with pytest.raises(WouldWaitError):
        store.changes_at_once(moment)
    with pytest.raises(WouldWaitError):
        store.moment_at_once()
    assert store.changes(moment) == {"users": [Inserted({"id": 3, "name": "x"})]}
    app.execute("insert into more values (1)")
    assert store.changes_at_once(moment)["more"] == [Inserted({"id": 1})]


def test_who_uses_the_store_is_not_waited_for(open_store: Open) -> None:
    store = open_store(_USERS)

    with ThreadPoolExecutor() as another, store._lock, pytest.raises(WouldWaitError):
        another.submit(store.moment_at_once).result()
    store.disconnect()
    with pytest.raises(WouldWaitError):
        store.moment_at_once()


# --- what is there -------------------------------------------------------------------------------


def test_rows_are_selected_and_counted_by_columns_of_any_type(open_store: Open) -> None:
    store = open_store(
        "create type mood as enum ('sad', 'ok'); create schema other;"
        "create table t (id int primary key, m mood, j json, b jsonb, p point, n text, l jsonb);"
        "create table other.t (id int);"
        """insert into t values (1, 'ok', '{"a":  1}', '{"b": 2}', '(1,2)', null, '[1, 2]'),
            (2, 'sad', null, null, null, 'x', null)"""
    )
    wanted: dict[str, Any] = {"m": "ok", "j": {"a": 1}, "b": {"b": 2}, "p": "(1,2)", "l": [1, 2]}

    for column, value in (wanted | {"n": None}).items():
        assert [row["id"] for row in store.select("t", {column: value})] == [1], column
        assert store.count("t", {column: value}) == 1, column
    assert store.select("t", wanted, limit=0) == []
    assert len(store.select("t", {}, limit=1)) == 1
    assert store.tables() == ["t", "other.t"]
    assert store.count("other.t", {}) == 0


@pytest.mark.parametrize(
    ("table", "where", "similar"), [("usres", {}, "'users'"), ("users", {"nam": 1}, "'name'")]
)
def test_a_name_that_is_not_there_is_an_error_with_similar_ones(
    table: str, where: dict[str, object], similar: str, open_store: Open
) -> None:
    store = open_store(_USERS)

    with pytest.raises(DatabaseError) as caught:
        store.select(table, where)

    assert similar in caught.value.fix


def test_statements_take_parameters_as_either_driver_writes_them(open_store: Open) -> None:
    store = open_store(_USERS)
    mark = store.mark()

    assert store.fetch("select name from users where id = $1", [2]) == [{"name": "grace"}]
    assert store.fetch("select name from users where id = %s", [2]) == [{"name": "grace"}]
    assert store.fetch("select '100%' as share, '$1' as price") == [
        {"share": "100%", "price": "$1"}
    ]
    assert store.fetch("update users set name = 'x'") == []
    assert store.changes(mark) == {
        "users": [
            Updated({"id": 1, "name": "ada"}, {"id": 1, "name": "x"}),
            Updated({"id": 2, "name": "grace"}, {"id": 2, "name": "x"}),
        ]
    }


@promise("database.postgres-hidden")
def test_what_is_ours_is_not_in_the_schema_that_tools_see(open_store: Open) -> None:
    store = open_store(_USERS)
    engine = create_engine(store.engine_url(asynchronous=False))

    metadata = MetaData()
    metadata.reflect(engine)
    engine.dispose()

    assert list(metadata.tables) == ["users"]
    assert store.tables() == ["users"]


# --- copies and templates ------------------------------------------------------------------------


@promise("database.postgres-fork")
def test_a_fork_holds_what_the_store_holds_and_neither_sees_the_other(
    open_store: Open, connect: Connect
) -> None:
    store = open_store(_USERS)
    schema = store.mark()
    connect(store).execute("insert into users (name) values ('of the module')")
    mark, before = store.mark(), fingerprint(connect(store))

    with closing(store.fork()) as fork:
        assert fingerprint(connect(fork)) == before
        of_fork = fork.mark()
        connect(fork).execute("drop table users")
        assert fingerprint(connect(store)) == before
        fork.restore(of_fork)
        assert fingerprint(connect(fork)) == before

    store.restore(mark)
    assert fingerprint(connect(store)) == before
    store.restore(schema)
    assert store.count("users", {}) == 2


def test_a_schema_is_built_once_for_the_same_key(postgres: PostgresOpener) -> None:
    built: list[str] = []

    def build(store: PostgresStore) -> None:
        built.append(str(store.address["dbname"]))
        store.run_script(_USERS)

    stores = [postgres.open(TARGET, build=build, key="built once") for _ in range(2)]
    unknown = [postgres.open(TARGET, build=build, key=None) for _ in range(2)]

    assert len(built) == 3, "without a key nobody knows whether it is the same"
    assert len({store.address["dbname"] for store in (*stores, *unknown)}) == 4
    assert all(store.count("users", {}) == 2 for store in (*stores, *unknown))
    for store in (*stores, *unknown):
        store.close()


def test_a_schema_that_cannot_be_built_raises_its_own_error_and_leaves_nothing(
    postgres: PostgresOpener, open_store: Open
) -> None:
    unfinished: list[str] = []

    def build(store: PostgresStore) -> None:
        unfinished.append(str(store.address["dbname"]))
        store.run_script("create table half (id int)")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        postgres.open(TARGET, build=build, key="fails")

    assert not _databases(open_store("select 1")).intersection(unfinished)


def test_the_app_connects_as_whom_it_says(open_store: Open, connect: Connect) -> None:
    store = open_store(_USERS)

    assert store.address["user"] == "app"
    assert connect(store).execute("select current_user").fetchone() == ("app",)


def test_a_build_may_leave_connections_open(postgres: PostgresOpener) -> None:
    held: list[psycopg.Connection[Any]] = []

    def build(store: PostgresStore) -> None:
        held.append(psycopg.connect(**store.address))
        held[0].execute("create table t (id int)")
        held[0].commit()

    with closing(postgres.open(TARGET, build=build, key=None)) as store:
        assert store.tables() == ["t"]

    held[0].close()


def _databases(store: PostgresStore) -> set[str]:
    return {row["datname"] for row in store.fetch("select datname from pg_database")}
