"""The app's clients of Redis go to the database that stands in for theirs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
import redis.asyncio
import redis.retry
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff

from pytest_asgi.adapters.redis import RedisOpener, connections
from pytest_asgi.database.redirect import Redirect, diverted_to
from pytest_asgi.database.targets import Target
from pytest_asgi.errors import DatabaseRefusedError
from tests.promises import promise

NO_RETRY: Any = Retry(NoBackoff(), 0)
NO_RETRY_SYNC: Any = redis.retry.Retry(NoBackoff(), 0)
URL = "rediss://ada:secret@prod.example.com:6380/3"

sentinel: Any = Sentinel
sentinel_sync: Any = redis.Sentinel

# Made before anything is redirected, as a module of the app makes it.
early: Any = redis.asyncio.Redis.from_url(URL, decode_responses=True)
early_sync: Any = redis.Redis.from_url(URL, decode_responses=True)


@pytest.fixture
def redirect(opener: RedisOpener) -> Iterator[Redirect]:
    redirect = Redirect(lambda target: opener.open(target, build=None, key=None))
    redirect.is_on = True
    uninstall = connections.install(redirect)
    yield redirect
    redirect.close()
    uninstall()


@promise("database.redis-redirected")
async def test_a_client_made_at_import_time_reaches_the_private_database(
    redirect: Redirect,
) -> None:
    await early.set("greeting", "hello")

    [store] = redirect.stores
    assert str(store.target) == "redis://ada@prod.example.com:6380/3"
    assert store.select("string", {}) == [{"key": "greeting", "value": "hello"}]


def test_a_synchronous_client_reaches_it_too(redirect: Redirect) -> None:
    early_sync.set("greeting", "hello")

    [store] = redirect.stores
    assert store.count("string", {"key": "greeting"}) == 1


async def test_clients_of_one_database_meet_there(redirect: Redirect) -> None:
    other = redis.asyncio.Redis(host="prod.example.com", port=6380, db=3, password="other")

    await early.set("greeting", "hello")

    assert await other.get("greeting") == b"hello"
    assert len(redirect.stores) == 1
    await other.aclose()


async def test_numbers_and_servers_are_kept_apart(redirect: Redirect) -> None:
    def keys(**where: Any) -> Any:
        return redis.asyncio.Redis(decode_responses=True, **where)

    clients = {
        "one": keys(host="one"),
        "one, 1": keys(host="one", db=1),
        "two": keys(host="two"),
        "socket": keys(unix_socket_path="/run/redis.sock"),
    }
    for name, client in clients.items():
        await client.set(name, 1)

    assert {name: await client.keys() for name, client in clients.items()} == {
        name: [name] for name in clients
    }
    assert [str(store.target) for store in redirect.stores] == [
        "redis://one/0",
        "redis://one/1",
        "redis://two/0",
        "redis://%2Frun%2Fredis.sock/0",
    ]
    for client in clients.values():
        await client.aclose()


async def test_pipelines_pubsub_and_locks_work(redirect: Redirect) -> None:
    async with early.pipeline(transaction=True) as pipeline:
        assert await pipeline.incr("n").incr("n").execute() == [1, 2]
    async with early.pubsub() as subscriber, early.lock("lock"):
        await subscriber.subscribe("news")
        await early.publish("news", "hello")
        message = None
        while message is None:
            message = await subscriber.get_message(ignore_subscribe_messages=True, timeout=5)

    assert message["data"] == "hello"


async def test_another_database_selected_on_a_connection_is_put_back_too(
    redirect: Redirect,
) -> None:
    client: Any = redis.asyncio.Redis(host="one", single_connection_client=True)
    await client.set("first", 1)
    await client.execute_command("SELECT", 7)
    marks = [(store, store.mark()) for store in redirect.stores]
    await client.set("seventh", 1)

    assert [store.target.name for store in redirect.stores] == ["0", "7"]
    for store, mark in marks:
        store.restore(mark)
    assert await client.keys() == []
    await client.aclose()


def test_the_same_of_a_synchronous_connection(redirect: Redirect) -> None:
    with redis.Redis(host="one", single_connection_client=True) as client:
        client.set("first", 1)
        client.select(7)
        client.set("seventh", 1)

    assert [store.target.name for store in redirect.stores] == ["0", "7"]
    assert [store.count("string", {}) for store in redirect.stores] == [1, 1]


async def test_the_context_of_a_test_may_have_a_database_of_its_own(
    redirect: Redirect, opener: RedisOpener
) -> None:
    await early.set("shared", 1)
    [store] = redirect.stores
    own = opener.open(store.target, build=None, key=None)

    with diverted_to(own):
        assert await early.keys() == []
        await early.set("own", 1)

    assert await early.keys() == ["shared"]
    assert own.count("string", {}) == 1
    own.close()


async def test_a_connection_is_real_again_when_nothing_is_redirected(
    redirect: Redirect, unused_tcp_port: int
) -> None:
    client: Any = redis.asyncio.Redis(port=unused_tcp_port, retry=NO_RETRY)
    await client.set("greeting", "hello")

    redirect.is_on = False

    with pytest.raises(redis.ConnectionError, match=str(unused_tcp_port)):
        await client.get("greeting")
    await client.aclose()


async def test_an_allowed_server_is_really_asked(redirect: Redirect, unused_tcp_port: int) -> None:
    redirect.allowed = ("redis://localhost:*",)

    with pytest.raises(redis.ConnectionError, match=str(unused_tcp_port)):
        await redis.asyncio.Redis(port=unused_tcp_port, retry=NO_RETRY).ping()
    assert redirect.stores == []


@promise("database.redis-refused")
@pytest.mark.parametrize(
    "connect",
    [
        lambda: RedisCluster(host="prod.example.com").ping(),
        lambda: sentinel([("prod.example.com", 26379)]).master_for("shop").ping(),
    ],
    ids=["cluster", "sentinel"],
)
async def test_what_nothing_can_stand_in_for_is_refused(
    redirect: Redirect, connect: Callable[[], Any]
) -> None:
    with pytest.raises(DatabaseRefusedError, match=r"redis://prod\.example\.com"):
        await connect()


def test_the_same_without_async(redirect: Redirect) -> None:
    with pytest.raises(DatabaseRefusedError, match="RedisCluster"):
        redis.RedisCluster(host="prod.example.com")
    with pytest.raises(DatabaseRefusedError, match="Sentinel"):
        sentinel_sync([("prod.example.com", 26379)]).master_for("shop").ping()


def test_a_connection_is_closed_before_its_loop_and_free_afterwards(opener: RedisOpener) -> None:
    redirect = Redirect(lambda target: opener.open(target, build=None, key=None))
    redirect.is_on = True
    uninstall = connections.install(redirect)
    client: Any = redis.asyncio.Redis(host="prod.example.com", single_connection_client=True)
    loop = asyncio.new_event_loop()
    loop.run_until_complete(client.set("greeting", "hello"))
    connection: Any = client.connection

    redirect.close()

    assert not connection.is_connected
    assert connection.db == 0
    loop.run_until_complete(client.aclose())
    loop.close()
    uninstall()


def test_a_synchronous_connection_is_real_again_too(
    redirect: Redirect, unused_tcp_port: int
) -> None:
    with redis.Redis(port=unused_tcp_port, retry=NO_RETRY_SYNC) as client:
        client.set("greeting", "hello")
        redirect.is_on = False

        with pytest.raises(redis.ConnectionError, match=str(unused_tcp_port)):
            client.get("greeting")


async def test_what_is_allowed_is_not_refused(redirect: Redirect, unused_tcp_port: int) -> None:
    redirect.allowed = ("redis://127.0.0.1:*",)

    with pytest.raises(redis.ConnectionError):
        sentinel_sync([("127.0.0.1", unused_tcp_port)]).discover_master("shop")
    with pytest.raises(redis.exceptions.RedisClusterException):
        redis.RedisCluster(host="127.0.0.1", port=unused_tcp_port)


async def test_an_opener_that_fails_is_not_taken_for_a_server_that_does_not_answer() -> None:
    def refuse(target: Target) -> Any:
        raise DatabaseRefusedError("no", why="no", fix="no")

    redirect = Redirect(refuse)
    redirect.is_on = True
    uninstall = connections.install(redirect)
    with pytest.raises(DatabaseRefusedError):
        await redis.asyncio.Redis(host="prod.example.com").ping()
    uninstall()
