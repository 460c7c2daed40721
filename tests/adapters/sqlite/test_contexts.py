"""Each context reaches the database that it is meant to, through connections that are shared."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import cast

import aiosqlite
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from pytest_asgi.adapters.sqlite.store import SqliteStore
from pytest_asgi.database.redirect import Redirect, diverted_to
from pytest_asgi.errors import IsolationError
from tests.promises import promise

_QUESTION = "SELECT name FROM users"


@promise("database.contexts")
async def test_two_contexts_share_a_pool_and_never_a_database(
    redirect: Redirect, tmp_path: Path
) -> None:
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'app.db'}")
    async with engine.connect() as connection:
        await connection.scalar(text(_QUESTION))
    stores = {name: redirect.stores[0].fork() for name in ("one", "other")}
    both_have_one = asyncio.Barrier(2)

    async def see(name: str) -> list[set[str]]:
        with diverted_to(stores[name]):
            return [await write_and_read(name) for _ in range(3)]

    async def write_and_read(name: str) -> set[str]:
        async with engine.begin() as connection:
            await both_have_one.wait()  # so the pool has to hold connections to both
            await connection.execute(text("DELETE FROM users"))
            await connection.execute(text(f"INSERT INTO users(name) VALUES ('{name}')"))
        await both_have_one.wait()  # and they lie in it, for either to take
        async with engine.connect() as connection:
            return set(await connection.scalars(text(_QUESTION)))

    async with asyncio.timeout(10):
        seen = await asyncio.gather(*map(see, stores))

    assert seen == [[{"one"}] * 3, [{"other"}] * 3]
    assert redirect.stores[0].select("users", {"name": "seed"})
    await engine.dispose()
    for store in stores.values():
        store.close()


@promise("database.unpooled-refused")
async def test_a_connection_of_before_is_refused_where_another_database_is_meant(
    redirect: Redirect, tmp_path: Path
) -> None:
    synchronous = sqlite3.connect(tmp_path / "app.db")
    asynchronous = await aiosqlite.connect(tmp_path / "app.db")
    own = cast("SqliteStore", redirect.stores[0].fork())

    with diverted_to(own):
        with pytest.raises(IsolationError, match="and this test has one of its own"):
            synchronous.execute(_QUESTION)
        with pytest.raises(IsolationError, match="and this test has one of its own") as caught:
            await asynchronous.execute(_QUESTION)
        opened_here = sqlite3.connect(tmp_path / "app.db", check_same_thread=False)
        opened_here.execute(_QUESTION)
    redirect.connections.end_of(own)
    with pytest.raises(IsolationError, match="was opened for an earlier test"):
        opened_here.execute(_QUESTION)

    assert f"{__file__}:" in str(caught.value)
    assert synchronous.execute(_QUESTION).fetchall() == [("seed",)]
    synchronous.close()
    opened_here.close()
    await asynchronous.close()
    own.close()
