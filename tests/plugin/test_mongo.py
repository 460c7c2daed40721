"""An app that uses MongoDB: its own clients, made when its module is imported."""

from __future__ import annotations

import pytest

from tests.plugin.world import World
from tests.promises import promise

MOTOR = """
    from fastapi import FastAPI
    from motor.motor_asyncio import AsyncIOMotorClient

    client = AsyncIOMotorClient("mongodb://app:secret@prod.example.com/?replicaSet=rs0&tls=true")
    items = client.shop.items
    app = FastAPI()

    @app.post("/items/{name}")
    async def add(name: str):
        await items.insert_one({"_id": name})

    @app.get("/items")
    async def names():
        return [each["_id"] async for each in items.find()]
"""
PYMONGO = MOTOR.replace("from motor.motor_asyncio", "from pymongo").replace(
    "AsyncIOMotorClient", "AsyncMongoClient"
)
BEANIE = """
    from contextlib import asynccontextmanager

    from beanie import Document, init_beanie
    from fastapi import FastAPI
    from pymongo import AsyncMongoClient

    class Item(Document):
        id: str

        class Settings:
            name = "items"

    client = AsyncMongoClient("mongodb://prod.example.com")

    @asynccontextmanager
    async def lifespan(app):
        await init_beanie(database=client.shop, document_models=[Item])
        yield

    app = FastAPI(lifespan=lifespan)

    @app.post("/items/{name}")
    async def add(name: str):
        await Item(id=name).insert()

    @app.get("/items")
    async def names():
        return [each.id for each in await Item.find_all().to_list()]
"""
ADD = """
    import pytest
    from pytest_asgi import Inserted

    @pytest.mark.parametrize("time", [1, 2])
    async def test_add(client, db, time):
        assert (await client.get("/items")).json() == []
        async with db.changes() as changes:
            assert (await client.post("/items/pen")).status_code == 200
        assert changes == {"items": [Inserted(_id="pen")]}
        assert (await client.get("/items")).json() == ["pen"]
        assert await db.count("items") == 1
        assert await db.has("items", _id="pen")
"""
# The case of FastAPI's page: a client of a module, and tests and fixtures that query it.
CATALOGUE = """
    import pytest

    from main import items

    @pytest.fixture(scope="session")
    async def catalogue():
        await items.insert_one({"_id": "of the session"})
        yield
        await items.delete_one({"_id": "of the session"})
"""
EVERY_SCOPE = """
    import pytest

    from main import client as motor, items

    @pytest.fixture(scope="module")
    async def shelf(catalogue):
        await items.insert_one({"_id": "of the module"})
        yield
        await items.delete_one({"_id": "of the module"})

    @pytest.fixture
    async def pen(shelf):
        await items.insert_one({"_id": "of the test"})

    @pytest.mark.parametrize("time", [1, 2, 3])
    async def test_a_fixture_of_every_scope(client, pen, time):
        assert (await client.post("/items/by-the-app")).status_code == 200
        assert await items.distinct("_id") == [
            "of the session", "of the module", "of the test", "by-the-app"
        ]

    async def test_the_next_one(catalogue):
        assert await items.count_documents({"_id": "of the test"}) == 0

    class TestMore:
        async def test_another_class(self):
            assert (await motor.admin.command("ping"))["ok"] == 1
"""


def project(world: World, app: str) -> World:
    world.configure("asgi_database = mongodb\npythonpath = .")
    world.write(main=app)
    return world


@promise("database.mongo-redirected", "database.mongo-restored", "database.mongo-changes")
@pytest.mark.parametrize("app", [MOTOR, PYMONGO, BEANIE], ids=["motor", "pymongo", "beanie"])
def test_what_a_test_writes_is_told_and_gone_for_the_next(world: World, app: str) -> None:
    project(world, app).write(test_a=ADD)

    world.passes(2)


@promise("database.motor-one-loop")
def test_a_motor_client_of_a_module_serves_fixtures_of_every_scope(world: World) -> None:
    project(world, MOTOR).write(conftest=CATALOGUE, test_a=EVERY_SCOPE, test_b=EVERY_SCOPE)

    world.passes(10)


def test_the_app_tells_that_it_uses_mongodb(world: World) -> None:
    world.configure("pythonpath = .")
    world.write(main=MOTOR, test_a=ADD)

    world.passes(2)


def test_a_test_may_have_databases_of_its_own(world: World) -> None:
    project(world, MOTOR).write(
        test_a="""
            import pytest

            from main import client as motor

            @pytest.fixture(scope="session", autouse=True)
            async def stock():
                await motor.shop.items.insert_one({"_id": "stock"})

            @pytest.mark.asgi(isolation="clone")
            @pytest.mark.parametrize("time", [1, 2])
            async def test_index(client, db, time):
                await motor.shop.items.create_index("price")
                await motor.drop_database("shop")
                assert (await client.get("/items")).json() == []

            async def test_stock(client, db):
                assert (await client.get("/items")).json() == ["stock"]
                assert await db.count("items") == 1
                assert await motor.list_database_names() == ["shop"]
        """
    )

    world.passes(3)


def test_workers_do_not_meet(world: World) -> None:
    project(world, MOTOR).write(test_a=ADD, test_b=ADD)

    world.passes(4, "-n2", plugins=("xdist.plugin",))
