"""One server for all tests here; a store of it for each."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pymongo import MongoClient

from pytest_asgi.adapters.mongo import MongoOpener, clients
from pytest_asgi.adapters.mongo.store import MongoStore
from pytest_asgi.database.redirect import Redirect
from pytest_asgi.database.targets import Target
from tests.mongodb import HAS_MONGODB

if not HAS_MONGODB:
    collect_ignore = ["test_store.py", "test_clients.py", "test_opener.py"]

Open = Callable[[], MongoStore]


@pytest.fixture(scope="session")
def opener() -> Iterator[MongoOpener]:
    opener = MongoOpener()
    yield opener
    opener.close()


@pytest.fixture(scope="session")
def open_store(opener: MongoOpener) -> Open:
    numbers = itertools.count()

    def open_next() -> MongoStore:
        target = Target("mongodb", "", f"db{next(numbers)}.internal")
        return opener.open(target, build=None, key=None)

    return open_next


@pytest.fixture
def store(open_store: Open) -> Iterator[MongoStore]:
    store = open_store()
    yield store
    store.close()


@pytest.fixture
def app(store: MongoStore) -> Iterator[Any]:
    """A synchronous client of an app, for which the store stands in."""
    redirect = Redirect(lambda _: store)
    redirect.is_on = True
    uninstall = clients.install(redirect)
    client: Any = MongoClient("prod.example.com")
    yield client
    client.close()
    uninstall()
