"""A numbered database of Redis goes back to a mark, and tells what has changed since."""

from __future__ import annotations

import time

import pytest
import redis

from pytest_asgi.adapters.redis.store import RedisStore
from pytest_asgi.database.changes import Deleted, Inserted, Updated
from pytest_asgi.errors import DatabaseError, IsolationError
from tests.promises import promise


def fill(client: redis.Redis) -> None:
    client.set("greeting", "hello")
    client.set("picture", b"\xff\xd8")
    client.hset("user", mapping={"name": "Ada", "age": 36})
    client.rpush("queue", "first", "second")
    client.sadd("tags", "red", "blue")
    client.zadd("ranks", {"gold": 1.5, "silver": 2})
    client.xadd("log", {"event": "start"}, id="1-0")


def content(store: RedisStore) -> dict[str, list[dict[str, object]]]:
    return {kind: store.select(kind, {}) for kind in store.tables()}


@promise("database.redis-restored")
def test_keys_of_every_kind_come_back_as_they_were(store: RedisStore, client: redis.Redis) -> None:
    fill(client)
    before = content(store)
    mark = store.mark()

    client.delete("greeting", "log")
    client.append("picture", "more")
    client.hdel("user", "age")
    client.rename("queue", "another")
    client.sadd("tags", "green")
    client.zadd("ranks", {"gold": 9})
    client.set("new", 1)
    store.restore(mark)

    assert content(store) == before
    assert store.changes(mark) == {}


def test_everything_comes_back_after_a_flush(store: RedisStore, client: redis.Redis) -> None:
    fill(client)
    before = content(store)
    mark = store.mark()

    client.flushdb()
    client.set("greeting", "after the flush")
    store.restore(mark)

    assert content(store) == before


def test_marks_nest(store: RedisStore, client: redis.Redis) -> None:
    outer = store.mark()
    client.set("module", "set up")
    inner = store.mark()

    for _ in range(2):
        client.set("module", "changed")
        client.set("test", 1)
        store.restore(inner)
        assert content(store) == {"string": [{"key": "module", "value": "set up"}]}
    store.restore(outer)

    assert content(store) == {}


def test_an_outer_mark_is_good_without_the_inner_one_having_been_restored(
    store: RedisStore, client: redis.Redis
) -> None:
    client.set("kept", "first")
    outer = store.mark()
    client.set("kept", "second")
    store.mark()
    client.set("kept", "third")
    client.set("test", 1)

    assert store.changes(outer) == {
        "string": [
            Updated({"key": "kept", "value": "first"}, {"key": "kept", "value": "third"}),
            Inserted({"key": "test", "value": "1"}),
        ]
    }
    store.restore(outer)

    assert content(store) == {"string": [{"key": "kept", "value": "first"}]}


def test_a_key_has_as_long_to_live_as_it_had_at_the_mark(
    store: RedisStore, client: redis.Redis
) -> None:
    for key in ("changed", "forever", "left alone", "expired"):
        client.set(key, 1, ex=100_000)
    mark = store.mark()
    client.expire("changed", 5)
    client.persist("forever")
    client.pexpire("expired", 1)
    while client.exists("expired"):
        time.sleep(0.001)

    store.restore(mark)

    lifetimes = {row["key"]: row["ttl"] for row in store.select("string", {})}
    assert sorted(lifetimes) == ["changed", "expired", "forever", "left alone"]
    assert all(99_900 < lifetime <= 100_000 for lifetime in lifetimes.values())


def test_to_expire_at_another_moment_is_a_change(store: RedisStore, client: redis.Redis) -> None:
    client.set("session", "x", ex=60)
    mark = store.mark()

    client.expire("session", 3600)

    row = {"key": "session", "value": "x"}
    assert store.changes(mark) == {"string": [Updated({**row, "ttl": 60}, {**row, "ttl": 3600})]}


@promise("database.redis-changes")
def test_changes_are_typed_values_by_kind(store: RedisStore, client: redis.Redis) -> None:
    client.set("stays", 1)
    client.set("goes", 1)
    mark = store.mark()

    fill(client)
    client.delete("goes")

    assert store.changes(mark) == {
        "string": [
            Inserted({"key": "greeting", "value": "hello"}),
            Inserted({"key": "picture", "value": b"\xff\xd8"}),
            Deleted({"key": "goes", "value": "1"}),
        ],
        "hash": [Inserted({"key": "user", "value": {"name": "Ada", "age": "36"}})],
        "list": [Inserted({"key": "queue", "value": ["first", "second"]})],
        "set": [Inserted({"key": "tags", "value": {"red", "blue"}})],
        "zset": [Inserted({"key": "ranks", "value": {"gold": 1.5, "silver": 2.0}})],
        "stream": [Inserted({"key": "log", "value": [("1-0", {"event": "start"})]})],
    }


def test_a_key_of_another_kind_is_another_one(store: RedisStore, client: redis.Redis) -> None:
    client.set("key", "text")
    mark = store.mark()

    client.delete("key")
    client.rpush("key", "item")

    assert store.changes(mark) == {
        "string": [Deleted({"key": "key", "value": "text"})],
        "list": [Inserted({"key": "key", "value": ["item"]})],
    }


def test_what_was_undone_is_no_change(store: RedisStore, client: redis.Redis) -> None:
    client.rpush("queue", "first")
    mark = store.mark()

    client.rpush("queue", "second")
    client.rpop("queue")
    client.set("there and gone", 1)
    client.delete("there and gone")

    assert store.changes(mark) == {}


def test_scripts_and_transactions_are_seen(store: RedisStore, client: redis.Redis) -> None:
    mark = store.mark()

    client.eval("redis.call('SET', KEYS[1], ARGV[1])", 1, "by a script", "1")
    with client.pipeline(transaction=True) as pipeline:
        pipeline.set("in a transaction", "2")
        pipeline.execute()

    assert store.changes(mark) == {
        "string": [
            Inserted({"key": "by a script", "value": "1"}),
            Inserted({"key": "in a transaction", "value": "2"}),
        ]
    }


def test_keys_are_selected_by_their_columns(store: RedisStore, client: redis.Redis) -> None:
    client.set("one", "x")
    client.set("two", "x")
    client.set("three", "y")

    assert store.select("string", {"key": "two"}) == [{"key": "two", "value": "x"}]
    assert store.select("string", {"key": "none"}) == []
    assert store.select("string", {"value": "x"}, limit=1) == [{"key": "one", "value": "x"}]
    assert store.count("string", {"value": "x"}) == 2
    assert store.count("hash", {}) == 0


def test_a_kind_that_does_not_exist_is_an_error_that_names_the_similar_one(
    store: RedisStore,
) -> None:
    with pytest.raises(DatabaseError, match="Did you mean 'hash'"):
        store.count("hashes", {})
    with pytest.raises(DatabaseError, match="Did you mean 'value'"):
        store.select("string", {"values": 1})


def test_a_server_that_has_gone_is_an_error(store: RedisStore, client: redis.Redis) -> None:
    mark = store.mark()
    client.client_kill_filter(_type="normal", skipme=True)

    with pytest.raises(IsolationError, match="cannot be put back"):
        store.restore(mark)


def test_a_fork_holds_the_same_and_is_another_one(store: RedisStore, client: redis.Redis) -> None:
    fill(client)
    client.set("session", "x", ex=60)
    fork = store.fork()

    assert content(fork) == content(store)
    with redis.Redis(**fork.address) as other:
        other.flushdb()
    assert store.count("string", {}) == 3
    fork.close()
