"""A database in memory that an engine keeps is put back like a file; others are left alone."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import aiosqlite
import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import StaticPool

from pytest_asgi.adapters.sqlite.memory import MemoryStore
from pytest_asgi.adapters.sqlite.opener import SqliteOpener
from pytest_asgi.database.changes import Inserted
from pytest_asgi.database.redirect import Redirect
from pytest_asgi.database.targets import Target
from tests.promises import promise

_OPTIONS: dict[str, Any] = {
    "poolclass": StaticPool,
    "connect_args": {"check_same_thread": False},
}


@pytest.fixture
def store(redirect: Redirect, opener: SqliteOpener) -> MemoryStore:
    redirect.open_store = lambda target: opener.open(target, build=None, key=None)
    store: Any = redirect.store_for(Target("sqlite", ":memory:"))
    return store  # type: ignore[no-any-return]  # Made by our opener.


def _write(engine: Engine, name: str) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE IF NOT EXISTS users(name TEXT)"))
        connection.execute(text("INSERT INTO users VALUES (:name)"), {"name": name})


def _read(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return list(connection.scalars(text("SELECT name FROM users")))


@promise("database.sqlite-restored")
def test_an_engine_in_memory_is_put_back(store: MemoryStore) -> None:
    engine = create_engine("sqlite://", **_OPTIONS)
    _write(engine, "before")
    mark = store.mark()
    _write(engine, "during")

    assert store.changes(mark) == {"users": [Inserted(name="during")]}
    store.restore(mark)

    assert _read(engine) == ["before"]
    assert store.count("users", {}) == 1
    engine.dispose()


async def test_an_async_engine_in_memory_is_put_back(store: MemoryStore) -> None:
    engine = create_async_engine("sqlite+aiosqlite://")
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE users(name TEXT)"))
    mark = store.mark()
    async with engine.begin() as connection:
        await connection.execute(text("INSERT INTO users VALUES ('during')"))

    store.restore(mark)

    async with engine.connect() as connection:
        assert (await connection.scalars(text("SELECT name FROM users"))).all() == []
    await engine.dispose()


def test_engines_that_live_at_the_same_time_have_databases_of_their_own(
    store: MemoryStore,
) -> None:
    first, second = create_engine("sqlite://", **_OPTIONS), create_engine("sqlite://", **_OPTIONS)
    _write(first, "first")
    _write(second, "second")
    mark = store.mark()
    _write(second, "during")
    third = create_engine("sqlite://", **_OPTIONS)
    _write(third, "third")

    store.restore(mark)

    assert (_read(first), _read(second)) == (["first"], ["second"])
    with third.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM sqlite_schema")) == 0
    for engine in (first, second, third):
        engine.dispose()
    store.restore(mark)


def test_an_engine_of_one_test_leaves_nothing_to_the_next(store: MemoryStore) -> None:
    mark = store.mark()
    for _ in range(2):
        engine = create_engine("sqlite://", **_OPTIONS)
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE users(name TEXT)"))
        engine.dispose()
        store.restore(mark)
        assert store.tables() == []


async def test_a_connection_by_hand_is_as_ever(redirect: Redirect) -> None:
    async with aiosqlite.connect(":memory:") as connection:
        await connection.execute("CREATE TABLE users(name TEXT)")
    with closing(sqlite3.connect(":memory:")) as by_hand:
        assert by_hand.execute("PRAGMA database_list").fetchall() == [(0, "main", "")]
    assert redirect.stores == []


def test_a_name_that_connections_share_is_a_database_of_its_own(
    redirect: Redirect, opener: SqliteOpener
) -> None:
    redirect.open_store = lambda target: opener.open(target, build=None, key=None)
    uris = ("file:a?mode=memory&cache=shared", "file:b?mode=memory&cache=shared")
    for uri in uris:
        connection = sqlite3.connect(uri, uri=True)
        connection.execute("CREATE TABLE users(name TEXT)")
        connection.close()

    assert [store.target.name for store in redirect.stores] == ["memory:a", "memory:b"]
    for store in redirect.stores:
        assert store.tables() == ["users"]
