"""When a store has moved, or another is meant, nobody is handed a connection to the old one."""

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import asyncpg
import psycopg
import psycopg_pool
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine

from pytest_asgi.database.redirect import Redirect, diverted_to
from pytest_asgi.errors import IsolationError
from tests.promises import promise

ADDRESS = "postgresql://shop:geheim@db.example.com/shop"
QUESTION = "SELECT name FROM here"

Ask = Callable[[], Awaitable[str]]


@asynccontextmanager
async def asyncpg_pool() -> AsyncIterator[Ask]:
    async with asyncpg.create_pool(ADDRESS, min_size=2, max_size=2) as pool:

        async def ask() -> str:
            return str(await pool.fetchval(QUESTION))

        yield ask


@asynccontextmanager
async def psycopg_async_pool() -> AsyncIterator[Ask]:
    async with psycopg_pool.AsyncConnectionPool(ADDRESS, min_size=2, open=False) as pool:

        async def ask() -> str:
            async with pool.connection() as connection:
                cursor = await connection.execute(QUESTION)
                return str((await cursor.fetchall())[0][0])

        yield ask


@asynccontextmanager
async def psycopg_pool_() -> AsyncIterator[Ask]:
    with psycopg_pool.ConnectionPool(ADDRESS, min_size=2, open=True) as pool:

        async def ask() -> str:
            with pool.connection() as connection:
                return str(connection.execute(QUESTION).fetchall()[0][0])

        yield ask


def async_engine(driver: str) -> Any:
    @asynccontextmanager
    async def sqlalchemy() -> AsyncIterator[Ask]:
        engine = create_async_engine(f"postgresql+{driver}://shop@db.example.com/shop")

        async def ask() -> str:
            async with engine.connect() as connection:
                return str(await connection.scalar(text(QUESTION)))

        yield ask
        await engine.dispose()

    return sqlalchemy


@asynccontextmanager
async def sync_engine() -> AsyncIterator[Ask]:
    engine = create_engine("postgresql+psycopg://shop@db.example.com/shop")

    async def ask() -> str:
        with engine.connect() as connection:
            return str(connection.scalar(text(QUESTION)))

    yield ask
    engine.dispose()


pools = pytest.mark.parametrize(
    "pool",
    [
        pytest.param(asyncpg_pool, id="asyncpg"),
        pytest.param(psycopg_async_pool, id="psycopg_pool async"),
        pytest.param(psycopg_pool_, id="psycopg_pool"),
        pytest.param(async_engine("asyncpg"), id="sqlalchemy asyncpg"),
        pytest.param(async_engine("psycopg"), id="sqlalchemy psycopg async"),
        pytest.param(sync_engine, id="sqlalchemy psycopg"),
    ],
)


def _move(redirect: Redirect, name: str) -> None:
    place: Any = redirect.stores[0]
    place.move(name)


@promise("database.pools-follow")
@pools
async def test_a_pool_drops_what_leads_to_the_old_database(redirect: Redirect, pool: Any) -> None:
    async with pool() as ask:
        assert await ask() == "private_a"

        _move(redirect, "private_b")
        assert [await ask() for _ in range(3)] == ["private_b"] * 3

        redirect.connections.close_stale()
        _move(redirect, "private_a")
        redirect.connections.close_stale()
        assert [await ask() for _ in range(3)] == ["private_a"] * 3


@pools
async def test_a_pool_leads_where_the_context_says(redirect: Redirect, pool: Any) -> None:
    async with pool() as ask:
        assert await ask() == "private_a"
        first: Any = redirect.stores[0]

        with diverted_to(first.at("private_b")):
            assert [await ask() for _ in range(3)] == ["private_b"] * 3
        assert [await ask() for _ in range(3)] == ["private_a"] * 3


async def test_a_connection_without_a_pool_says_what_has_become_of_it(redirect: Redirect) -> None:
    connection = await asyncpg.connect(ADDRESS)
    _move(redirect, "private_b")
    redirect.connections.close_stale()

    with pytest.raises(IsolationError, match="was opened for an earlier test") as caught:
        await connection.fetch("SELECT 1")

    assert f"{__file__}:" in str(caught.value)


def test_a_connection_of_psycopg_says_it_too(redirect: Redirect) -> None:
    connection = psycopg.connect(ADDRESS)
    _move(redirect, "private_b")
    redirect.connections.close_stale()

    with pytest.raises(IsolationError, match="was opened for an earlier test"):
        connection.execute("SELECT 1")


async def test_a_connection_that_the_app_has_closed_is_just_closed(redirect: Redirect) -> None:
    connection = await asyncpg.connect(ADDRESS)
    await connection.close()

    with pytest.raises(asyncpg.InterfaceError, match="closed"):
        await connection.fetch("SELECT 1")


async def test_nothing_complains_of_what_was_closed_for_being_stale(redirect: Redirect) -> None:
    synchronous = psycopg.connect(ADDRESS)
    connection = await asyncpg.connect(ADDRESS)
    _move(redirect, "private_b")
    redirect.connections.close_stale()

    del synchronous, connection
    gc.collect()  # warnings are errors


@promise("database.unpooled-refused")
async def test_a_connection_of_before_is_refused_where_another_database_is_meant(
    redirect: Redirect,
) -> None:
    asynchronous = await asyncpg.connect(ADDRESS)
    synchronous = psycopg.connect(ADDRESS, autocommit=True)
    own: Any = cast("Any", redirect.stores[0]).at("private_b")

    with diverted_to(own):
        with pytest.raises(IsolationError, match="and this test has one of its own"):
            await asynchronous.fetch(QUESTION)
        with pytest.raises(IsolationError, match="and this test has one of its own") as caught:
            synchronous.execute(QUESTION)
        opened_here = await asyncpg.connect(ADDRESS)
        assert await opened_here.fetchval(QUESTION) == "private_b"
    redirect.connections.end_of(own)
    with pytest.raises(IsolationError, match="was opened for an earlier test"):
        await opened_here.fetchval(QUESTION)

    assert f"{__file__}:" in str(caught.value)
    assert await asynchronous.fetchval(QUESTION) == "private_a"
    synchronous.close()
    await asynchronous.close()
    await opened_here.close()


@promise("database.contexts")
@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
async def test_two_contexts_share_a_pool_and_never_a_database(
    redirect: Redirect, driver: str
) -> None:
    engine = create_async_engine(f"postgresql+{driver}://shop@db.example.com/shop")
    async with engine.connect() as connection:
        await connection.scalar(text(QUESTION))
    store: Any = redirect.stores[0]
    both_have_one = asyncio.Barrier(2)

    async def see(name: str) -> set[str]:
        with diverted_to(store.at(name)):
            return {await ask() for _ in range(3)}

    async def ask() -> str:
        async with engine.connect() as connection:
            await both_have_one.wait()  # so the pool has to hold connections to both
            name = str(await connection.scalar(text(QUESTION)))
        await both_have_one.wait()  # and they lie in it, for either to take
        return name

    async with asyncio.timeout(10):
        seen = await asyncio.gather(see("private_a"), see("private_b"))

    assert list(seen) == [{"private_a"}, {"private_b"}]
    await engine.dispose()
