"""Two databases: what the app asks for leads to the first one, and later to the other.

A `Redirect` is installed by hand, so these tests are about the drivers and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any, cast

import pytest

from pytest_asgi import events
from pytest_asgi.adapters import drivers
from pytest_asgi.adapters.postgres import PostgresOpener
from pytest_asgi.adapters.postgres.store import PostgresStore
from pytest_asgi.database.redirect import Redirect
from pytest_asgi.database.stores import Store
from pytest_asgi.database.targets import Target

_SCHEMA = """
CREATE TABLE users (id int PRIMARY KEY, name text, token text);
CREATE TABLE here (name text);
"""


class Place:
    """A store as far as drivers know it; `move` is what happens to it after DDL."""

    def __init__(self, target: Target, databases: Mapping[str, PostgresStore], name: str) -> None:
        self.target = target
        self._databases = databases
        self._name = name

    @property
    def address(self) -> Mapping[str, Any]:
        return self._databases[self._name].address

    def move(self, name: str) -> None:
        self._name = name

    def at(self, name: str) -> Place:
        return Place(self.target, self._databases, name)


@pytest.fixture(scope="session")
def databases(postgres: PostgresOpener) -> Iterator[dict[str, PostgresStore]]:
    def open_store(name: str) -> PostgresStore:
        script = f"{_SCHEMA} INSERT INTO here VALUES ('{name}')"
        target = Target("postgresql", name)
        return postgres.open(target, build=lambda new: new.run_script(script), key=script)

    with closing(open_store("private_a")) as one, closing(open_store("private_b")) as other:
        yield {"private_a": one, "private_b": other}


@pytest.fixture
def redirect(databases: dict[str, PostgresStore]) -> Iterator[Redirect]:
    def open_store(target: Target) -> Store:
        place: Any = Place(target, databases, "private_a")
        return cast("Store", place)

    mark = databases["private_a"].mark()
    redirect = Redirect(open_store)
    redirect.is_on = True
    uninstall = drivers.install(redirect)
    yield redirect
    uninstall()
    databases["private_a"].restore(mark)


@pytest.fixture
def told() -> Iterator[list[Any]]:
    """The events of the test."""
    told: list[Any] = []
    token = events.listener.set(told.append)
    yield told
    events.listener.reset(token)
