"""Where a connection goes."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import pytest

from pytest_asgi.database.redirect import Redirect, building, current, diverted_to
from pytest_asgi.database.targets import Target
from pytest_asgi.errors import DatabaseRefusedError

if TYPE_CHECKING:
    from pytest_asgi.database.stores import Store

SHOP = Target("postgresql", "shop", host="db.internal")
ARCHIVE = Target("postgresql", "archive", host="db.internal")
CACHE = Target("redis", "0", host="cache")


@dataclass(eq=False)
class Place:
    """A store as far as the redirect looks at it."""

    target: Target
    is_closed: bool = False

    def close(self) -> None:
        self.is_closed = True


@dataclass
class Places:
    """Opens stores, and remembers what it was asked for."""

    opened: list[Place] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)

    def open(self, target: Target) -> Store:
        self.threads.append(threading.get_ident())
        self.opened.append(Place(target))
        return store(self.opened[-1])


def store(place: Place) -> Store:
    return cast("Store", place)


@pytest.fixture
def places() -> Places:
    return Places()


@pytest.fixture
def redirect(places: Places) -> Redirect:
    redirect = Redirect(places.open, allowed=["metrics"])
    redirect.is_on = True
    return redirect


def test_while_it_is_off_connections_go_where_the_app_says(
    redirect: Redirect, places: Places
) -> None:
    redirect.is_on = False

    assert redirect.store_for(SHOP) is None
    assert places.opened == []


def test_a_database_gets_one_store_however_often_it_is_connected_to(
    redirect: Redirect, places: Places
) -> None:
    first = redirect.store_for(SHOP)

    assert redirect.store_for(SHOP._replace(user="another")) is first
    assert redirect.store_for(ARCHIVE) is not first
    assert [place.target for place in places.opened] == [SHOP, ARCHIVE]


def test_what_the_project_allows_is_reached_for_real(redirect: Redirect, places: Places) -> None:
    assert redirect.store_for(Target("postgresql", "metrics", host="db.internal")) is None
    assert places.opened == []


def test_threads_that_ask_at_the_same_time_get_one_store(
    redirect: Redirect, places: Places
) -> None:
    both = threading.Barrier(2)
    found: list[Store | None] = []

    def ask() -> None:
        both.wait(10)
        found.append(redirect.store_for(SHOP))

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert len(places.opened) == 1
    assert found[0] is found[1]


async def test_a_store_is_opened_outside_of_the_loop(redirect: Redirect, places: Places) -> None:
    awaited = await redirect.await_store_for(SHOP)
    blocking = redirect.store_for(ARCHIVE)

    assert awaited is not blocking
    assert threading.get_ident() not in places.threads
    assert await redirect.await_store_for(SHOP) is awaited


async def test_a_diversion_holds_in_the_tasks_and_threads_of_its_own_context(
    redirect: Redirect,
) -> None:
    home = redirect.store_for(SHOP)
    clone = store(Place(SHOP))

    async def ask() -> Store | None:
        return redirect.store_for(SHOP)

    before = asyncio.create_task(ask())
    with diverted_to(clone):
        inside = asyncio.create_task(ask())
        in_thread = await asyncio.to_thread(redirect.store_for, SHOP)
        other = redirect.store_for(ARCHIVE)

    assert await before is home
    assert await inside is clone
    assert in_thread is clone
    assert other is not clone
    assert redirect.store_for(SHOP) is home


def test_what_is_asked_for_by_a_store_finds_its_diversion(redirect: Redirect) -> None:
    home = redirect.store_for(SHOP)
    assert home is not None
    clone = store(Place(SHOP))

    with diverted_to(clone):
        assert current(home) is clone
    assert current(home) is home


def test_a_schema_is_built_where_its_code_connects_to_whatever_that_is(
    redirect: Redirect, places: Places
) -> None:
    template = store(Place(SHOP))

    with building(template):
        assert redirect.store_for(ARCHIVE) is template
        assert redirect.store_for(CACHE) is not template
    assert [place.target for place in places.opened] == [CACHE]


def test_at_the_end_every_store_is_closed_and_nothing_is_reached(
    redirect: Redirect, places: Places
) -> None:
    redirect.store_for(SHOP)
    redirect.store_for(CACHE)

    redirect.close()

    assert [place.is_closed for place in places.opened] == [True, True]
    assert redirect.stores == []
    with pytest.raises(DatabaseRefusedError, match="after the last test"):
        redirect.store_for(SHOP)
