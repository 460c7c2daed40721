"""The rules that hold even when the code forgets them, and the engine's life."""

from pathlib import Path

import pytest
from pytest_asgi import AsyncClient
from sqlalchemy import delete, insert, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql import Executable

from shop.database import Database
from shop.main import create_app
from shop.models import Order, OrderLine, Product, User
from tests.people import Person
from tests.pools import pool_of


@pytest.mark.parametrize(
    "statement",
    [
        update(Product).values(stock=-1),
        update(Product).values(price_cents=0),
        update(Product).values(seller_id=99),
        delete(User),
        insert(Order).values(buyer_id=99),
        insert(OrderLine).values(order_id=99, product_id=1, quantity=1, price_cents=1),
        text("INSERT INTO orders (buyer_id, status) VALUES (1, 'lost')"),
    ],
    ids=[
        "stock below zero",
        "price of nothing",
        "seller who is not there",
        "users who sell something",
        "buyer who is not there",
        "line without an order",
        "unknown status",
    ],
)
async def test_the_database_refuses(
    session: AsyncSession, lamp: Product, statement: Executable
) -> None:
    with pytest.raises(IntegrityError):
        await session.execute(statement)


async def test_the_lifespan_makes_the_tables_and_closes_the_engine(tmp_path: Path) -> None:
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'other.db'}")

    async with AsyncClient(app=create_app(database)) as client:
        response = await client.get("/products")
        open_connections = pool_of(database).checkedin()

    assert (response.status_code, response.json()) == (200, [])
    assert open_connections == 1
    assert pool_of(database).checkedin() == 0


async def test_apps_with_their_own_databases_do_not_meet(
    client: AsyncClient, alice: Person, tmp_path: Path
) -> None:
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'other.db'}")

    async with AsyncClient(app=create_app(database)) as elsewhere:
        here = await client.get("/users/me", headers=alice.headers)
        there = await elsewhere.get("/users/me", headers=alice.headers)

    assert (here.status_code, there.status_code) == (200, 401)
