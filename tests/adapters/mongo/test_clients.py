"""The app's clients of MongoDB go to the databases that stand in for theirs."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from typing import Any

import beanie
import pymongo
import pytest
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import AsyncMongoClient, MongoClient
from pymongo.errors import DuplicateKeyError, ServerSelectionTimeoutError

from pytest_asgi.adapters.mongo import MongoOpener, clients
from pytest_asgi.database.changes import Inserted
from pytest_asgi.database.redirect import Redirect, diverted_to
from pytest_asgi.errors import DatabaseRefusedError
from tests.promises import promise

# PyMongo leaves the socket of a client open that is closed while it connects.
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

URI = (
    "mongodb://ada:secret@one.example.com,two.example.com/shop"
    "?replicaSet=rs0&tls=true&authSource=admin&uuidRepresentation=standard&retryWrites=false"
)

# Made before anything is redirected, as a module of the app makes it.
motor: Any = AsyncIOMotorClient(URI, tz_aware=True)
pymongo_async: Any = AsyncMongoClient(URI)
pymongo_sync: Any = MongoClient(URI, connect=False)


class Item(beanie.Document):
    name: str

    class Settings:
        name = "items"


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """Let what is left open be found here, and not during the test of another module."""
    yield
    gc.collect()


@pytest.fixture
def redirect(opener: MongoOpener) -> Iterator[Redirect]:
    redirect = Redirect(lambda target: opener.open(target, build=None, key=None))
    redirect.is_on = True
    uninstall = clients.install(redirect)
    yield redirect
    redirect.close()
    uninstall()


@promise("database.mongo-redirected")
@pytest.mark.parametrize("client", [motor, pymongo_async], ids=["motor", "pymongo"])
async def test_a_client_made_at_import_time_reaches_the_private_databases(
    redirect: Redirect, client: Any
) -> None:
    await client.shop.items.insert_one({"_id": 1})

    [store] = redirect.stores
    assert str(store.target) == "mongodb://ada@one.example.com,two.example.com/"
    assert store.select("items", {}) == [{"_id": 1}]
    assert client.shop.name == "shop"
    assert await client.list_database_names() == ["shop"]
    assert (await client.get_default_database().items.find_one({}))["_id"] == 1


def test_a_synchronous_client_reaches_them_too(redirect: Redirect) -> None:
    pymongo_sync.shop.items.insert_one({"_id": 1})

    [store] = redirect.stores
    assert store.count("items", {"_id": 1}) == 1


async def test_clients_of_one_server_meet_there(redirect: Redirect) -> None:
    await motor.shop.items.insert_one({"_id": 1})
    assert await pymongo_async.shop.items.find_one({}) == {"_id": 1}
    assert await asyncio.to_thread(pymongo_sync.shop.items.find_one) == {"_id": 1}
    assert len(redirect.stores) == 1


async def test_what_a_client_was_made_with_stays(redirect: Redirect) -> None:
    await motor.shop.items.insert_one({"_id": 1})

    assert motor.codec_options.tz_aware
    assert motor.codec_options.uuid_representation == 4
    assert not motor.options.retry_writes
    assert motor.options.pool_options._credentials is None
    assert motor.options.replica_set_name is None


async def test_servers_are_kept_apart_and_names_stay_what_they_are(redirect: Redirect) -> None:
    one: Any = AsyncMongoClient("mongodb://one.example.com")
    other: Any = AsyncMongoClient("other.example.com", 27018)
    await one.shop.items.create_index("name", unique=True)
    for client, name in ((one, "one"), (other, "other")):
        await client.shop.items.insert_many([{"name": name}, {"name": "both"}])

    for client, name in ((one, "one"), (other, "other")):
        assert await client.list_database_names() == ["shop"]
        assert await client.shop.list_collection_names() == ["items"]
        assert sorted(await client.shop.items.distinct("name")) == ["both", name]
        assert [each async for each in client.shop.items.find({}, {"_id": 0}, batch_size=1)] == [
            {"name": name},
            {"name": "both"},
        ]
        await client.shop.items.update_many({}, {"$set": {"seen": True}})
        cursor = await client.shop.items.aggregate([{"$match": {"seen": True}}])
        assert len(await cursor.to_list()) == 2
        await client.shop.items.delete_one({"name": "both"})
        assert await client.shop.items.count_documents({}) == 1
    with pytest.raises(DuplicateKeyError):
        await one.shop.items.insert_one({"name": "one"})
    await one.drop_database("shop")
    assert await other.shop.items.count_documents({}) == 1
    assert [str(store.target) for store in redirect.stores] == [
        "mongodb://one.example.com/",
        "mongodb://other.example.com:27018/",
    ]


@promise("database.mongo-redirected")
async def test_beanie_works(redirect: Redirect) -> None:
    await beanie.init_beanie(database=pymongo_async.shop, document_models=[Item])
    [store] = redirect.stores
    mark = store.mark()

    item = await Item(name="pen").insert()
    await item.set({Item.name: "ink"})

    assert await Item.find(Item.name == "ink").count() == 1
    assert store.changes(mark) == {"items": [Inserted(_id=item.id, name="ink")]}
    store.restore(mark)
    assert await Item.count() == 0


async def test_the_context_of_a_test_may_have_databases_of_its_own(redirect: Redirect) -> None:
    await motor.shop.items.insert_one({"_id": "shared"})
    [store] = redirect.stores
    own = store.fork()

    with diverted_to(own):
        await motor.shop.items.insert_one({"_id": "own"})
        assert sorted(await motor.shop.items.distinct("_id")) == ["own", "shared"]

    assert await motor.shop.items.distinct("_id") == ["shared"]
    assert await motor.list_database_names() == ["shop"]
    own.close()


async def test_no_real_server_is_asked_while_the_client_is_made(redirect: Redirect) -> None:
    client: Any = MongoClient("prod.example.com", connect=True)

    assert not client._opened
    assert redirect.stores == []


async def test_an_allowed_server_is_really_asked(redirect: Redirect, unused_tcp_port: int) -> None:
    redirect.allowed = ("mongodb://127.0.0.1:*",)
    place = f"mongodb://127.0.0.1:{unused_tcp_port}"
    client: Any = AsyncMongoClient(place, serverSelectionTimeoutMS=1)

    with pytest.raises(ServerSelectionTimeoutError, match=str(unused_tcp_port)):
        await client.admin.command("ping")
    assert redirect.stores == []
    await client.close()


async def test_a_client_is_asked_again_when_redirection_begins(
    redirect: Redirect, unused_tcp_port: int
) -> None:
    redirect.is_on = False
    place = f"mongodb://127.0.0.1:{unused_tcp_port}"
    for client in (AsyncMongoClient, AsyncIOMotorClient):
        used: Any = client(place, serverSelectionTimeoutMS=1)
        redirect.is_on = False
        with pytest.raises(ServerSelectionTimeoutError):
            await used.admin.command("ping")

        redirect.is_on = True

        assert (await used.admin.command("ping"))["ok"] == 1
        if (closing := used.close()) is not None:
            await closing


async def test_an_opener_that_fails_is_not_taken_for_a_server_that_does_not_answer() -> None:
    def refuse(target: object) -> Any:
        raise DatabaseRefusedError("no", why="no", fix="no")

    redirect = Redirect(refuse)
    redirect.is_on = True
    uninstall = clients.install(redirect)
    client: Any = AsyncMongoClient("prod.example.com")
    with pytest.raises(DatabaseRefusedError):
        await client.shop.items.find_one({})
    uninstall()


def test_a_client_is_what_the_app_made_when_the_run_is_over(opener: MongoOpener) -> None:
    redirect = Redirect(lambda target: opener.open(target, build=None, key=None))
    redirect.is_on = True
    uninstall = clients.install(redirect)
    made: list[Any] = [AsyncMongoClient(URI), AsyncIOMotorClient(URI)]
    loop = asyncio.new_event_loop()

    async def use() -> None:
        for client in made:
            await client.shop.items.find_one({})

    loop.run_until_complete(use())

    redirect.close()

    assert not asyncio.all_tasks(loop)
    for client in (made[0], made[1].delegate):
        assert not client._opened
        assert {host for host, _ in client._topology_settings.seeds} == {
            "one.example.com",
            "two.example.com",
        }
    loop.close()
    uninstall()


def test_a_client_that_the_app_has_closed_stays_closed(redirect: Redirect) -> None:
    client: Any = MongoClient("prod.example.com")
    client.shop.items.find_one({})
    client.close()

    redirect.close()

    with pytest.raises(pymongo.errors.InvalidOperation):
        client.shop.items.find_one({})
