"""Private SQLite databases without the plugin: a redirect and an opener, made by hand."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

import pytest

from pytest_asgi.adapters import drivers
from pytest_asgi.adapters.sqlite.connections import AppConnection
from pytest_asgi.adapters.sqlite.opener import SqliteOpener
from pytest_asgi.adapters.sqlite.store import SqliteStore
from pytest_asgi.database.redirect import Redirect
from pytest_asgi.database.targets import Target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SCHEMA = """
CREATE TABLE users(id INTEGER PRIMARY KEY, name TEXT UNIQUE, n INTEGER DEFAULT 0);
CREATE TABLE items(id INTEGER PRIMARY KEY, title TEXT,
    owner INTEGER REFERENCES users(id) ON DELETE CASCADE);
INSERT INTO users(name) VALUES ('seed');
"""


@pytest.fixture
def opener() -> Iterator[SqliteOpener]:
    with closing(SqliteOpener()) as opener:
        yield opener


@pytest.fixture
def open_store(opener: SqliteOpener) -> Iterator[Callable[[str], SqliteStore]]:
    """Open a store whose schema is the given script."""
    stores: list[SqliteStore] = []

    def open_store(script: str = _SCHEMA, name: str = "/project/app.db") -> SqliteStore:
        build = (lambda store: store.run_script(script)) if script else None
        stores.append(opener.open(Target("sqlite", name), build=build, key=None))
        return stores[-1]

    yield open_store
    for store in stores:
        store.close()


@pytest.fixture
def redirect(opener: SqliteOpener) -> Iterator[Redirect]:
    """Redirect every driver; each private database has users and items."""

    def open_store(target: Target) -> Any:
        return opener.open(target, build=lambda store: store.run_script(_SCHEMA), key="schema")

    redirect = Redirect(open_store)
    uninstall = drivers.install(redirect)
    redirect.is_on = True
    yield redirect
    uninstall()
    redirect.close()


@pytest.fixture
def connect() -> Iterator[Callable[..., sqlite3.Connection]]:
    """Connect to a store as an app does."""
    connections: list[sqlite3.Connection] = []

    def connect(store: SqliteStore, **options: Any) -> sqlite3.Connection:
        connections.append(store.connect(lambda uri: AppConnection(uri, uri=True, **options)))
        return connections[-1]

    yield connect
    for connection in connections:
        with suppress(sqlite3.ProgrammingError):  # another thread's, which has closed it
            connection.close()
