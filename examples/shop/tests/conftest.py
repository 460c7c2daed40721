"""One app and one engine for the whole run, clean tables and known people for each test.

`client` and `db` come from pytest-asgi. `client` talks to this file's `app`, whose lifespan is
running. The URLs below are the shop's own: the tests reach private databases in their place.
"""

import asyncio
from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncSession

from shop.database import Database
from shop.dependencies import get_mailer
from shop.feed import Feed
from shop.main import create_app
from shop.models import Product
from shop.products import offer_product
from shop.schemas import ProductIn
from shop.users import sign_up
from tests.people import Outbox, Person
from tests.pools import pool_of

POSTGRESQL = "postgresql+asyncpg://shop:secret@db.example.com/shop"
SQLITE = "sqlite+aiosqlite:///shop.db"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--sqlite", action="store_true", help="SQLite in the place of PostgreSQL")


@pytest.fixture(scope="session")
async def database(pytestconfig: pytest.Config) -> AsyncIterator[Database]:
    """One engine for all tests: they share a loop with it and with the app."""
    is_sqlite = pytestconfig.getoption("--sqlite")
    database = Database(SQLITE if is_sqlite else POSTGRESQL)
    yield database
    assert pool_of(database).checkedout() == 0, "something kept a connection"
    await database.engine.dispose()


@pytest.fixture(scope="session")
def feed() -> Feed:
    return Feed()


@pytest.fixture(scope="session")
def app(database: Database, feed: Feed) -> FastAPI:
    return create_app(database, feed)


@pytest.fixture(autouse=True)
async def deadline() -> AsyncIterator[None]:
    """Stop a test that waits for something that never comes."""
    async with asyncio.timeout(20):
        yield


@pytest.fixture
async def session(database: Database) -> AsyncIterator[AsyncSession]:
    async with database.session() as session:
        yield session


@pytest.fixture(autouse=True)
def outbox(app: FastAPI) -> Outbox:
    """No test sends real letters; pytest-asgi takes the override back."""
    outbox = Outbox()
    app.dependency_overrides[get_mailer] = lambda: outbox
    return outbox


@pytest.fixture
async def alice(session: AsyncSession) -> Person:
    return Person(*await sign_up(session, email="alice@example.com", name="Alice"))


@pytest.fixture
async def bob(session: AsyncSession) -> Person:
    return Person(*await sign_up(session, email="bob@example.com", name="Bob"))


@pytest.fixture
async def lamp(session: AsyncSession, bob: Person) -> Product:
    """Three lamps, sold by Bob."""
    wanted = ProductIn(sku="lamp", name="Lamp", price_cents=2500, stock=3)
    return await offer_product(session, bob.user, wanted)


@pytest.fixture
async def desk(session: AsyncSession, bob: Person) -> Product:
    """A single desk, sold by Bob."""
    wanted = ProductIn(sku="desk", name="Desk", price_cents=19900, stock=1)
    return await offer_product(session, bob.user, wanted)
