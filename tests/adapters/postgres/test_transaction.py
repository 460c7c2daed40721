"""All connections share one transaction: it looks like commits, and is rolled back in the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from functools import partial
from typing import Any

import asyncpg
import psycopg
import pytest
from psycopg import sql

from pytest_asgi.adapters.postgres.store import PostgresStore
from pytest_asgi.adapters.postgres.transaction import sharing
from pytest_asgi.adapters.postgres.transaction.store import TransactionStore
from pytest_asgi.database.changes import Deleted, Inserted, Updated
from pytest_asgi.database.stores import WouldWaitError
from pytest_asgi.errors import IsolationError
from tests.adapters.postgres.fingerprint import fingerprint
from tests.promises import promise

_SCHEMA = """
create table users (id serial primary key, name text unique);
create table posts (
    id serial primary key, author int references users deferrable initially deferred, title text
);
insert into users (name) values ('seed');
"""


@pytest.fixture
def base(open_store: Callable[[str], PostgresStore]) -> PostgresStore:
    return open_store(_SCHEMA)


@pytest.fixture
def store(base: PostgresStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[TransactionStore]:
    """A store in a transaction; nothing was refused, and nothing is left of it."""
    monkeypatch.setattr(sharing, "_PATIENCE_SECONDS", 30)
    mark = base.mark()
    with psycopg.connect(**base.address, autocommit=True) as connection:
        before = fingerprint(connection)
        with closing(TransactionStore(base)) as store:
            yield store
        base.restore(mark)
        assert fingerprint(connection) == before


@pytest.fixture
def strict(base: PostgresStore) -> Iterator[TransactionStore]:
    """A store in a transaction, in which something is refused."""
    store = TransactionStore(base)
    yield store
    with suppress(IsolationError):
        store.close()


def _connect(store: TransactionStore, **options: Any) -> Any:
    return psycopg.connect(**store.address, **options)


async def _connect_async(store: TransactionStore) -> Any:
    address = dict(store.address)
    return await asyncpg.connect(database=address.pop("dbname"), ssl=False, **address)


def _names(connection: Any) -> list[str]:
    return [row[0] for row in connection.execute("select name from users order by id")]


@promise("database.transaction")
def test_what_psycopg_commits_is_seen_by_others_and_gone_in_the_end(
    store: TransactionStore,
) -> None:
    with _connect(store) as one, _connect(store) as other:
        one.execute("insert into users (name) values (%s)", ["ada"])
        one.commit()
        assert _names(other) == ["seed", "ada"]
        other.rollback()

        one.execute("delete from users")
        with one.transaction(), suppress(psycopg.errors.UniqueViolation), one.transaction():
            one.execute("insert into users (name) values ('bob'), ('bob')")
        one.rollback()
        assert _names(other) == ["seed", "ada"]
        other.commit()

        assert store.count("users", {"name": "ada"}) == 1
        with one.cursor() as cursor:
            cursor.executemany("insert into users (name) values (%s)", [["eve"], ["kim"]])
            with cursor.copy("copy users (name) from stdin") as copy:
                copy.write_row(["zoe"])
            with cursor.copy("copy users (name) to stdout") as copy:
                assert b"".join(map(bytes, copy)) == b"seed\nada\neve\nkim\nzoe\n"
        one.commit()
        with other.cursor("on_server") as server_cursor:
            server_cursor.execute("select name from users order by id")
            assert server_cursor.fetchmany(2) == [("seed",), ("ada",)]
            other.commit()
            one.execute("declare on_server cursor for select 1")
            one.commit()


@promise("database.transaction")
async def test_asyncpg_commits_and_rolls_back_as_ever(store: TransactionStore) -> None:
    one, other = await _connect_async(store), await _connect_async(store)

    async with one.transaction():
        await one.execute("insert into users (name) values ($1)", "ada")
        with suppress(asyncpg.UniqueViolationError):
            async with one.transaction():
                await one.executemany("insert into users (name) values ($1)", [("x",), ("x",)])
    transaction = other.transaction()
    await transaction.start()
    await other.execute("delete from users")
    await transaction.rollback()
    assert not one.is_in_transaction()
    assert await other.fetchval("select count(*) from users") == 2
    with pytest.raises(asyncpg.UniqueViolationError):
        await one.execute("insert into users (name) values ('ada')")
    async with one.transaction():
        assert [row["name"] async for row in one.cursor("select name from users")] == [
            "seed",
            "ada",
        ]
    await one.copy_records_to_table("users", records=[(7, "copied")])
    with pytest.raises(TimeoutError):
        await one.execute("select pg_sleep(60)", timeout=0.05)
    assert await one.fetchval("select name from users where id = $1", 7) == "copied"
    await one.reset()

    await asyncio.gather(one.close(), other.close())


def test_it_undoes_the_schema_too(store: TransactionStore) -> None:
    with _connect(store, autocommit=True) as connection:
        connection.execute("create table more (id int)")
        connection.execute("alter table users add column age int")
        connection.execute("drop table posts")
        connection.execute("insert into more values (1)")

    assert sorted(store.tables()) == ["more", "users"]


def test_changes_are_told_since_any_moment(store: TransactionStore) -> None:
    with _connect(store, autocommit=True) as connection:
        connection.execute("insert into users (name) values ('ada')")
        mark = store.mark()
        connection.execute("insert into posts (author, title) values (1, 'first')")
        connection.execute("update users set name = 'eve' where name = 'ada'")
        connection.execute("delete from users where name = 'nobody'")
        with suppress(psycopg.Error):
            connection.execute("insert into users (name) values ('eve')")

        assert store.changes(mark) == {
            "posts": [Inserted({"id": 1, "author": 1, "title": "first"})],
            "users": [Updated({"id": 2, "name": "ada"}, {"id": 2, "name": "eve"})],
        }
        connection.execute("delete from posts")
        mark = store.mark()
        connection.execute("delete from users where name = 'seed'")
        assert store.changes(mark) == {"users": [Deleted({"id": 1, "name": "seed"})]}
        for ask in (store.moment_at_once, partial(store.changes_at_once, mark)):
            with pytest.raises(WouldWaitError):  # for the statement of the app's that runs
                ask()


@promise("database.transaction")
async def test_constraints_are_checked_at_what_the_app_takes_for_a_commit(
    store: TransactionStore,
) -> None:
    orphan = "insert into posts (author) values (4711)"
    with _connect(store) as connection:
        connection.execute(orphan)
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            connection.commit()
        assert store.count("posts", {}) == 0
        for _ in range(2):  # and they are deferred again after it
            connection.execute("insert into posts (id, author) values (1, 9)")
            connection.execute("insert into users (id, name) values (9, 'late')")
            connection.commit()
            connection.execute("delete from posts")
            connection.execute("delete from users where id = 9")
            connection.commit()
    with (
        _connect(store, autocommit=True) as connection,
        pytest.raises(psycopg.errors.ForeignKeyViolation),
    ):
        connection.execute(orphan)
    asynchronous = await _connect_async(store)
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await asynchronous.execute(orphan)
    await asynchronous.close()


def test_settings_are_each_connections_own(store: TransactionStore) -> None:
    one = _connect(store, autocommit=True, options="-c search_path=pg_catalog")
    other = _connect(store, autocommit=True)
    one.execute("set timezone to 'Asia/Tokyo'")
    other.execute("set statement_timeout to '7s'")
    with other.transaction():
        other.execute("set local lock_timeout to '3s'")
        other.execute("select set_config('app.who', 'ada', true)")

    def settings(connection: Any) -> list[str]:
        names = ("search_path", "timezone", "statement_timeout", "lock_timeout")
        shown = [connection.execute(f"show {name}").fetchone()[0] for name in names]
        who = connection.execute("select current_setting('app.who', true)").fetchone()[0]
        return [*shown, who or ""]

    with (
        _connect(store, options="-c timezone=Nowhere") as wrong,
        pytest.raises(psycopg.errors.InvalidParameterValue),
    ):
        wrong.execute("select 1")
    for _ in range(2):
        assert settings(one) == ["pg_catalog", "Asia/Tokyo", "0", "0", ""]
        assert settings(other)[0] == '"$user", public'
        assert settings(other)[2:] == ["7s", "0", ""]
    one.close()
    other.close()


REFUSED = {
    "begin isolation level serializable": "isolation level",
    "set transaction isolation level repeatable read": "isolation level",
    "begin read only": "read-only",
    "select pg_advisory_xact_lock(1)": "advisory lock",
    "listen news": "listens or notifies",
    "select pg_notify('news', '')": "listens or notifies",
    "create temp table own (id int)": "temporary table",
    "declare kept cursor with hold for select 1": "outlive its transaction",
    "prepare transaction 'x'": "two phases",
    "begin; insert into users (name) values ('x'); commit": "several statements",
    "vacuum users": "cannot be in a transaction",
    "create database other": "cannot be in a transaction",
    "create index concurrently on users (name)": "cannot be in a transaction",
    "do $$ begin commit; end $$": "cannot be in a transaction",
}


@promise("database.transaction-refuses")
@pytest.mark.parametrize("statement", REFUSED)
async def test_what_would_be_wrong_is_refused(strict: TransactionStore, statement: str) -> None:
    with _connect(strict, autocommit=True) as connection:
        with pytest.raises(psycopg.Error):
            connection.execute(statement)
        assert _names(connection) == ["seed"]
    asynchronous = await _connect_async(strict)
    with pytest.raises(asyncpg.PostgresError):
        await asynchronous.execute(statement)
    assert await asynchronous.fetchval("select count(*) from users") == 1
    await asynchronous.close()

    with pytest.raises(IsolationError, match=REFUSED[statement]) as caught:
        strict.close()

    assert 'isolation="restore"' in str(caught.value)


@promise("database.transaction-refuses")
async def test_two_transactions_at_a_time_are_refused(
    strict: TransactionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharing, "_PATIENCE_SECONDS", 0.01)
    with _connect(strict) as one:
        one.execute("insert into users (name) values ('ada')")
        asynchronous = await _connect_async(strict)
        with pytest.raises(asyncpg.FeatureNotSupportedError, match="in a transaction"):
            await asynchronous.fetch("select 1")
        with pytest.raises(psycopg.errors.FeatureNotSupported):
            strict.count("users", {})
        one.commit()
        assert await asynchronous.fetchval("select count(*) from users") == 2
        await asynchronous.close()

    with pytest.raises(IsolationError, match="a second connection is used"):
        strict.close()


@promise("database.transaction-refuses")
def test_the_time_is_told_to_one_transaction_only(strict: TransactionStore) -> None:
    with _connect(strict) as connection:
        first = connection.execute("select now()").fetchone()
        assert connection.execute("select 'now()', current_timestamp").fetchone()[1] == first[0]
        connection.commit()
        connection.execute("select 'now()', \"name\" from users -- now()")
        with pytest.raises(psycopg.errors.FeatureNotSupported):
            connection.execute("select now()")
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            connection.execute("select 1")
        connection.rollback()
        connection.execute("select 1")

    with pytest.raises(IsolationError, match="when it began"):
        strict.close()


def test_who_hangs_up_in_a_transaction_rolls_it_back(store: TransactionStore) -> None:
    connection = _connect(store)
    connection.execute(sql.SQL("insert into users (name) values ({})").format("ada"))
    connection.close()

    assert store.count("users", {}) == 1


async def test_a_transaction_waits_for_another_one_that_ends(store: TransactionStore) -> None:
    connections = await asyncio.gather(*(_connect_async(store) for _ in range(3)))

    async def add(connection: Any, name: str) -> int:
        async with connection.transaction():
            await connection.execute("insert into users (name) values ($1)", name)
            await asyncio.sleep(0)
            return int(await connection.fetchval("select count(*) from users"))

    counts = await asyncio.gather(*map(add, connections, "abc"))

    assert sorted(counts) == [2, 3, 4]
    for each in connections:
        await each.close()
