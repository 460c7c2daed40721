"""Each statement is told of once, with its rows, its outcome and the line of the app."""

import inspect
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import psycopg
import pytest
from sqlalchemy import create_engine, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncAttrs, AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from pytest_asgi.database.redirect import Redirect, connecting_directly
from pytest_asgi.events import ConnectionOpened, StatementExecuted
from tests.promises import promise

ADDRESS = "postgresql://shop:geheim@db.example.com/shop"


def _statements(told: list[Any], kind: str = "query") -> list[StatementExecuted]:
    return [each for each in told if isinstance(each, StatementExecuted) and each.kind == kind]


def _summary(told: list[Any]) -> list[tuple[Any, ...]]:
    return [(each.sql, each.parameters, each.batch, each.rows) for each in _statements(told)]


async def test_asyncpg(redirect: Redirect, told: list[Any]) -> None:
    connection = await asyncpg.connect(ADDRESS)
    insert = "INSERT INTO users (id, name) VALUES ($1, $2)"
    async with connection.transaction():
        await connection.execute(insert, 1, "Ada")
        await connection.executemany(insert, ((n, "Bob") for n in (2, 3)))
        assert len(await connection.fetch("SELECT * FROM users WHERE id > $1", 1)) == 2
        prepared = await connection.prepare("SELECT name FROM users WHERE id = $1")
        assert await prepared.fetchval(1) == "Ada"
        assert (
            len([row async for row in connection.cursor("SELECT * FROM users", prefetch=2)]) == 3
        )
    await connection.copy_records_to_table("users", records=[(4, "Eve", None)])
    await connection.execute("UPDATE users SET name = 'x'")
    await connection.close()

    assert _summary(told) == [
        (insert, (1, "Ada"), None, 1),
        (insert, ((2, "Bob"), (3, "Bob")), 2, None),
        ("SELECT * FROM users WHERE id > $1", (1,), None, 2),
        ("SELECT name FROM users WHERE id = $1", (1,), None, 1),
        ("SELECT * FROM users", (), None, 2),
        ('COPY "users" FROM STDIN (FORMAT binary) ', (), None, 1),
        ("UPDATE users SET name = 'x'", (), None, 4),
    ]
    assert [each.sql for each in _statements(told, "transaction")] == ["BEGIN;", "COMMIT;"]


async def test_psycopg(redirect: Redirect, told: list[Any]) -> None:
    insert = "INSERT INTO users (id, name) VALUES (%s, %s)"
    async with await psycopg.AsyncConnection.connect(ADDRESS) as connection:
        cursor = connection.cursor()
        await cursor.execute(insert, (1, "Ada"))
        await cursor.executemany(insert, [(n, "Bob") for n in (2, 3)])
        await cursor.execute("SELECT * FROM users WHERE id > %(id)s", {"id": 1})
        async with cursor.copy("COPY users (id) FROM STDIN") as copy:
            await copy.write_row((4,))
        async with connection.cursor("some") as served:
            await served.execute("SELECT * FROM users")
            assert len(await served.fetchall()) == 4
        await cursor.execute(
            psycopg.sql.SQL("DELETE FROM {}").format(psycopg.sql.Identifier("users"))
        )

    assert _summary(told) == [
        (insert, (1, "Ada"), None, 1),
        (insert, ((2, "Bob"), (3, "Bob")), 2, 2),
        ("SELECT * FROM users WHERE id > %(id)s", {"id": 1}, None, 2),
        ("COPY users (id) FROM STDIN", (), None, None),
        ("SELECT * FROM users", (), None, None),
        ('DELETE FROM "users"', (), None, 4),
    ]
    assert [each.sql for each in _statements(told, "transaction")] == ["BEGIN", "COMMIT"]


def test_synchronous_psycopg(redirect: Redirect, told: list[Any]) -> None:
    with psycopg.connect(ADDRESS) as connection:
        connection.execute("INSERT INTO users (id) VALUES (1)")
        with connection.transaction():
            connection.execute("SELECT 1")

    assert [each.sql for each in _statements(told)] == [
        "INSERT INTO users (id) VALUES (1)",
        "SELECT 1",
    ]
    assert len(_statements(told, "transaction")) == 4  # with a savepoint


async def test_a_failure_is_told(redirect: Redirect, told: list[Any]) -> None:
    connection = await asyncpg.connect(ADDRESS)
    with pytest.raises(asyncpg.DivisionByZeroError) as caught:
        await connection.fetch("SELECT 1 / 0 FROM generate_series(1, $1)", 3)
    with psycopg.connect(ADDRESS) as synchronous, pytest.raises(psycopg.errors.DivisionByZero):
        synchronous.execute("SELECT 1 / 0")
    await connection.close()

    first, second = _statements(told)
    assert first.exception is caught.value
    assert isinstance(second.exception, psycopg.errors.DivisionByZero)
    assert first.rows is second.rows is None


@promise("database.secrets")
async def test_secrets_are_not_kept(redirect: Redirect, told: list[Any]) -> None:
    connection = await asyncpg.connect(ADDRESS)
    insert = "INSERT INTO users (id, token) VALUES ($1, $2)"
    await connection.execute(insert, 1, "geheim")
    await connection.executemany(insert, [(2, "geheim")])
    await connection.close()
    with psycopg.connect(ADDRESS) as synchronous:
        synchronous.execute("SELECT 1 FROM users WHERE token = %s", ("geheim",))
        synchronous.execute("SELECT 1 FROM users WHERE token = 'geheim'")

    assert "geheim" not in repr(told)
    assert _statements(told)[0].parameters == (1, "(redacted)")


async def test_nobody_listens_to_our_own_work(redirect: Redirect, told: list[Any]) -> None:
    with psycopg.connect(ADDRESS):
        address = redirect.stores[0].address
    told.clear()
    with connecting_directly(), psycopg.connect(**address) as ours:
        ours.execute("SELECT 1")

    assert told == []


# --- the line of the app -------------------------------------------------------------------------


class Base(AsyncAttrs, DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    token: Mapped[str | None] = mapped_column(deferred=True)


async def _add(session: AsyncSession) -> int:
    session.add(User(id=1, name="Ada"))
    await session.commit()
    return _line() - 1


def _line() -> int:
    frame = inspect.currentframe()
    assert frame is not None
    assert frame.f_back is not None
    return frame.f_back.f_lineno


def _places(told: list[Any]) -> list[tuple[str, int, str]]:
    return [
        (each.sql.split()[0], each.place[1], each.place[2])
        for each in _statements(told)
        if each.place
    ]


@pytest.fixture(params=["asyncpg", "psycopg"])
async def engine(request: pytest.FixtureRequest) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(f"postgresql+{request.param}://shop:geheim@db.example.com/shop")
    yield engine
    await engine.dispose()


@promise("database.statements")
async def test_under_sqlalchemy_the_line_is_the_one_that_awaited(
    redirect: Redirect, told: list[Any], engine: AsyncEngine
) -> None:
    async with AsyncSession(engine) as session:
        added = await _add(session)
        user = await session.scalar(select(User))
        selected = _line() - 1
        assert user is not None
        await user.awaitable_attrs.token
        loaded = _line() - 1

    here = test_under_sqlalchemy_the_line_is_the_one_that_awaited.__qualname__
    assert _places(told) == [
        ("INSERT", added, "_add"),
        ("SELECT", selected, here),
        ("SELECT", loaded, here),
    ]
    commits = [each for each in _statements(told, "transaction") if "COMMIT" in each.sql]
    assert [each.place[1] for each in commits if each.place] == [added]


def test_under_synchronous_sqlalchemy(redirect: Redirect, told: list[Any]) -> None:
    engine = create_engine("postgresql+psycopg://shop:geheim@db.example.com/shop")
    with Session(engine) as session:
        session.execute(text("SELECT 1"))
        line = _line() - 1
    engine.dispose()

    here = test_under_synchronous_sqlalchemy.__qualname__
    assert _places(told) == [("SELECT", line, here)]


async def test_what_sqlalchemy_asks_for_itself_is_upkeep(
    redirect: Redirect, told: list[Any], engine: AsyncEngine
) -> None:
    for _ in range(2):
        async with engine.connect() as connection:
            await connection.execute(text("SELECT 7"))

    assert [each.sql for each in _statements(told)] == ["SELECT 7", "SELECT 7"]
    opened = [each for each in told if isinstance(each, ConnectionOpened)]
    assert [(each.driver, each.asked, each.is_private) for each in opened] == [
        (engine.dialect.driver, "postgresql://shop@db.example.com/shop", True)
    ]


async def test_an_asyncpg_pools_own_statements_are_upkeep(
    redirect: Redirect, told: list[Any]
) -> None:
    async with asyncpg.create_pool(ADDRESS, min_size=1, max_size=1) as pool:
        await pool.fetch("SELECT 1")
        await pool.fetch("SELECT 2")

    assert [each.sql for each in _statements(told)] == ["SELECT 1", "SELECT 2"]
    assert len(_statements(told, "upkeep")) == 2  # resets


async def test_a_batch_that_fails(
    redirect: Redirect, told: list[Any], engine: AsyncEngine
) -> None:
    async with AsyncSession(engine) as session:
        session.add_all([User(id=1, name="Ada"), User(id=1, name="Bob")])
        with pytest.raises(IntegrityError):
            await session.commit()

    (insert,) = _statements(told)
    assert insert.exception is not None
