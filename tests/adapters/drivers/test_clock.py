"""Drivers under the clock: a query holds the time up, an open connection does not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import asyncpg
import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from pytest_asgi import Clock
from pytest_asgi.database.redirect import Redirect
from tests.promises import promise

_HOST = "postgresql://shop@db.example.com/shop"
_SLOW = "SELECT pg_sleep(0.2)"
# More than fits into one message of the server, each part of it late.
_IN_PARTS = "SELECT repeat('x', 20000), pg_sleep(0.15) FROM generate_series(1, 3)"

Query = Callable[[str], Any]
Connect = Callable[[], AbstractAsyncContextManager[Query]]


@asynccontextmanager
async def _by_asyncpg() -> AsyncIterator[Query]:
    async with asyncpg.create_pool(_HOST, min_size=1) as pool:
        yield pool.fetch


@asynccontextmanager
async def _by_psycopg() -> AsyncIterator[Query]:
    async with await psycopg.AsyncConnection.connect(_HOST) as connection:

        async def query(statement: str) -> object:
            cursor = await connection.execute(statement)
            return await cursor.fetchall()

        yield query


@asynccontextmanager
async def _by_sqlalchemy() -> AsyncIterator[Query]:
    engine = create_async_engine(_HOST.replace("postgresql", "postgresql+asyncpg"))

    async def query(statement: str) -> object:
        async with engine.connect() as connection:
            return (await connection.execute(text(statement))).all()

    yield query
    await engine.dispose()


@promise("clock.real-work", "clock.idle")
@pytest.mark.parametrize(
    "connect",
    [_by_asyncpg, _by_psycopg, _by_sqlalchemy],
    ids=lambda connect: connect.__name__.removeprefix("_by_"),
)
async def test_a_query_takes_the_time_that_it_takes(
    redirect: Redirect, clock: Clock, connect: Connect
) -> None:
    async with asyncio.timeout(100), connect() as query:
        await query(_SLOW)
        await query(_IN_PARTS)
    assert clock.elapsed < 10  # psycopg looks ten times a second whether Ctrl-C was pressed

    async with connect() as query:
        await query("SELECT 1")
        before = clock.elapsed
        await asyncio.sleep(1e5)  # the connection stays open
        await query("SELECT 1")
        assert clock.elapsed - before == pytest.approx(1e5, abs=10)

        began = time.monotonic()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await query("SELECT pg_sleep(60)")
        assert time.monotonic() - began >= 0.2
