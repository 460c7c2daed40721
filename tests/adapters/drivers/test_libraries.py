"""The libraries on top of the drivers, each as its own documentation uses it."""

from typing import Any

import pytest
from databases import Database
from piccolo.columns import Text
from piccolo.engine.postgres import PostgresEngine
from piccolo.table import Table
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool, StaticPool
from sqlmodel import Field, SQLModel, select
from sqlmodel.ext.asyncio.session import AsyncSession
from tortoise import Tortoise, fields
from tortoise.models import Model

from pytest_asgi.database.redirect import Redirect
from pytest_asgi.events import StatementExecuted
from tests.promises import promise

ADDRESS = "shop:geheim@db.example.com/shop"
QUESTION = "SELECT name FROM here"


class Customer(SQLModel, table=True):
    """A model of SQLModel."""

    __tablename__ = "users"

    id: int | None = Field(default=None, primary_key=True)
    name: str


class Buyer(Model):
    """A model of Tortoise."""

    id = fields.IntField(primary_key=True)
    name = fields.TextField()

    class Meta:
        """Where it is."""

        table = "users"


def _database_of_queries(told: list[Any]) -> set[str]:
    return {each.place[0] for each in told if isinstance(each, StatementExecuted) and each.place}


@promise("database.redirect-libraries")
async def test_sqlmodel(redirect: Redirect) -> None:
    engine = create_async_engine(f"postgresql+asyncpg://{ADDRESS}")
    async with AsyncSession(engine) as session:
        session.add(Customer(id=1, name="Ada"))
        await session.commit()
        assert (await session.exec(select(Customer.name))).all() == ["Ada"]
    await engine.dispose()


@promise("database.redirect-libraries")
async def test_tortoise(redirect: Redirect, told: list[Any]) -> None:
    config = {
        # Tortoise keeps statements by this name, also for another kind of database.
        "connections": {"shop": f"asyncpg://{ADDRESS}"},
        "apps": {"models": {"models": [__name__], "default_connection": "shop"}},
    }
    await Tortoise.init(config=config, _enable_global_fallback=True)
    await Buyer.create(id=1, name="Ada")
    assert await Buyer.filter(name="Ada").count() == 1
    await Tortoise.close_connections()

    assert _database_of_queries(told) == {__file__}


@promise("database.redirect-libraries")
@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+asyncpg"])
async def test_databases(redirect: Redirect, told: list[Any], scheme: str) -> None:
    async with Database(f"{scheme}://{ADDRESS}") as database:
        assert await database.fetch_val(QUESTION) == "private_a"

    assert _database_of_queries(told) == {__file__}


@promise("database.redirect-libraries")
async def test_piccolo(redirect: Redirect, told: list[Any]) -> None:
    config = {
        "host": "db.example.com",
        "database": "shop",
        "user": "shop",
        "password": "geheim",
    }
    engine = PostgresEngine(config=config)

    class Users(Table, db=engine, tablename="users"):
        name = Text()

    assert await Users.raw(QUESTION) == [{"name": "private_a"}]
    await engine.start_connection_pool()
    assert await Users.count() == 0
    await engine.close_connection_pool()


@promise("database.redirect-libraries")
@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
@pytest.mark.parametrize("pool", [NullPool, StaticPool])
async def test_every_kind_of_pool_of_sqlalchemy(
    redirect: Redirect, driver: str, pool: Any
) -> None:
    engine = create_async_engine(f"postgresql+{driver}://{ADDRESS}", poolclass=pool)
    for _ in range(2):
        async with engine.connect() as connection:
            assert await connection.scalar(text(QUESTION)) == "private_a"
    await engine.dispose()
