"""A private database with a few tables, and connections to it as an app makes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import psycopg
import pytest

from pytest_asgi.adapters.postgres import PostgresOpener
from pytest_asgi.adapters.postgres.store import PostgresStore
from pytest_asgi.database.targets import Target

App = psycopg.Connection[Any]
Connect = Callable[[PostgresStore], App]
Open = Callable[[str], PostgresStore]

TARGET = Target("postgresql", "shop", "db.example", user="app")


@pytest.fixture
def open_store(postgres: PostgresOpener) -> Iterator[Open]:
    """Open stores with the schema of a script; they are closed after the test."""
    with ExitStack() as stores:

        def open_store(script: str) -> PostgresStore:
            store = postgres.open(TARGET, build=lambda new: new.run_script(script), key=script)
            return stores.enter_context(closing(store))

        yield open_store


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Connect as an app does; everything commits by itself."""
    with ExitStack() as connections:

        def connect(store: PostgresStore) -> App:
            connection = psycopg.connect(**store.address, autocommit=True)
            return connections.enter_context(closing(connection))

        yield connect
