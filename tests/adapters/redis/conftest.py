"""One server for all tests here; a database of it for each."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest
import redis

from pytest_asgi.adapters.redis import RedisOpener
from pytest_asgi.adapters.redis.store import RedisStore
from pytest_asgi.database.targets import Target


@pytest.fixture(scope="session")
def opener() -> Iterator[RedisOpener]:
    opener = RedisOpener()
    yield opener
    opener.close()


@pytest.fixture(scope="session")
def open_store(opener: RedisOpener) -> Callable[[], RedisStore]:
    numbers = itertools.count()

    def open_next() -> RedisStore:
        target = Target("redis", str(next(numbers) % 100), "cache.internal")
        return opener.open(target, build=None, key=None)

    return open_next


@pytest.fixture
def store(open_store: Callable[[], RedisStore]) -> Iterator[RedisStore]:
    store = open_store()
    yield store
    store.close()


@pytest.fixture
def client(store: RedisStore) -> Iterator[redis.Redis]:
    """A client that goes where the store is by itself: no redirection here."""
    with redis.Redis(**store.address) as client:
        yield client
