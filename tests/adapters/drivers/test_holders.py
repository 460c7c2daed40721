"""Who has a connection in use, and since which line."""

import asyncio
import contextvars
import gc
import inspect
from pathlib import Path
from typing import Any

import asyncpg
import psycopg
import psycopg_pool
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from pytest_asgi.database.connections import describe
from pytest_asgi.database.redirect import Redirect
from tests.promises import promise

ADDRESS = "postgresql://shop:geheim@db.example.com/shop"
URL = "shop:geheim@db.example.com/shop"


def _line() -> int:
    frame = inspect.currentframe()
    assert frame is not None
    assert frame.f_back is not None
    return frame.f_back.f_lineno


def _held(redirect: Redirect) -> list[int]:
    """Return the lines of this file that have left a connection in use."""
    places = [each.held_at for each in redirect.connections.left_behind()]
    assert {Path(place[0]) for place in places if place} <= {Path(__file__)}
    return [place[1] for place in places if place]


@pytest.fixture(autouse=True)
def _test_begins(redirect: Redirect) -> None:
    redirect.connections.begin_test()


async def test_a_transaction_that_is_left_open(redirect: Redirect) -> None:
    connection = await asyncpg.connect(ADDRESS)
    line = _line() - 1
    idle = await asyncpg.connect(ADDRESS)
    await connection.execute("BEGIN")

    assert _held(redirect) == [line]

    await connection.execute("ROLLBACK")
    assert _held(redirect) == []
    await connection.close()
    await idle.close()


async def test_what_was_taken_from_an_asyncpg_pool(redirect: Redirect) -> None:
    async with asyncpg.create_pool(ADDRESS, min_size=1, max_size=2) as pool:
        assert _held(redirect) == []
        taken = await pool.acquire()
        line = _line() - 1
        assert _held(redirect) == [line]
        await pool.release(taken)
        assert _held(redirect) == []


async def test_what_was_taken_from_a_psycopg_pool(redirect: Redirect) -> None:
    async with psycopg_pool.AsyncConnectionPool(ADDRESS, min_size=1, open=False) as pool:
        taken = await pool.getconn()
        line = _line() - 1
        assert _held(redirect) == [line]
        await pool.putconn(taken)
        assert _held(redirect) == []


@promise("database.holders")
@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
async def test_a_session_that_is_left_open(redirect: Redirect, driver: str) -> None:
    engine = create_async_engine(f"postgresql+{driver}://{URL}")
    session = AsyncSession(engine)
    await session.execute(text("SELECT 1"))
    line = _line() - 1

    assert _held(redirect) == [line]

    await session.close()
    assert _held(redirect) == []
    await engine.dispose()


def test_what_was_taken_from_a_synchronous_engine(redirect: Redirect) -> None:
    engine = create_engine(f"postgresql+psycopg://{URL}")
    connection = engine.connect()
    line = _line() - 1
    assert _held(redirect) == [line]
    connection.close()
    assert _held(redirect) == []
    engine.dispose()


def test_what_a_wider_fixture_holds_is_meant_to_be_held(redirect: Redirect) -> None:
    wider = psycopg.connect(ADDRESS)
    wider.execute("SELECT 1")
    redirect.connections.accept_held()

    tests = psycopg.connect(ADDRESS)
    line = _line() - 1
    tests.execute("SELECT 1")

    assert _held(redirect) == [line]
    wider.close()
    tests.close()


async def test_what_is_left_is_closed_with_its_loop_and_nothing_complains(
    redirect: Redirect,
) -> None:
    connection = await asyncpg.connect(ADDRESS)
    engine = create_async_engine(f"postgresql+asyncpg://{URL}")
    async with engine.connect() as taken:
        await taken.execute(text("SELECT 1"))
    other = psycopg.connect(ADDRESS)

    redirect.connections.close_of(asyncio.get_running_loop())
    assert [each.driver for each in redirect.connections] == ["psycopg"]
    redirect.connections.close_of(None)
    await asyncio.sleep(0)

    assert list(redirect.connections) == []
    del connection, engine, taken, other
    gc.collect()  # warnings are errors


async def _take(pool: asyncpg.Pool) -> Any:
    return await pool.acquire()


async def test_what_goes_on_in_the_background_is_not_the_tests(redirect: Redirect) -> None:
    async with asyncpg.create_pool(ADDRESS, min_size=1, max_size=2) as pool:
        taking: Any = _take(pool)
        taken = await asyncio.create_task(taking, context=contextvars.Context())
        assert _held(redirect) == []
        await pool.release(taken)


def test_a_line_that_is_not_known_is_said_to_be_so() -> None:
    assert describe(None) == "a line that is not the project's own"
    assert describe(("app.py", 3, "connect")) == "app.py:3 in connect"


def test_what_cannot_be_referred_to_weakly_is_not_known(redirect: Redirect) -> None:
    unknown: Any = 1
    assert redirect.connections.get(unknown) is None
