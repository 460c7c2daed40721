"""When changes begin, end, and may be read."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from copy import deepcopy
from typing import Any, ClassVar

import pytest
from dirty_equals import IsPartialDict

from pytest_asgi.adapters.sqlalchemy_models import Models
from pytest_asgi.database.changes import Deleted, Inserted, Updated
from pytest_asgi.database.database import Database, SyncDatabase
from pytest_asgi.database.stores import WouldWaitError
from pytest_asgi.errors import DatabaseError
from tests.database.small_store import SmallStore
from tests.promises import promise

_SCHEMA = """
create table users (id integer primary key, email text);
create table orders (id integer primary key, total int);
insert into users values (1, 'a@b.c'), (2, 'b@b.c');
"""


@pytest.fixture
def store() -> Iterator[SmallStore]:
    with closing(SmallStore(_SCHEMA)) as store:
        yield store


@pytest.fixture
def db(store: SmallStore) -> SyncDatabase:
    return SyncDatabase(store, Models())


@pytest.fixture
def async_db(db: SyncDatabase) -> Database:
    return Database(db)


@promise("database.changes")
async def test_a_block_gives_its_net_effect(async_db: Database, store: SmallStore) -> None:
    store.fetch("update users set email = 'before the block' where id = 1")

    async with async_db.changes() as changes:
        store.fetch("insert into orders values (1, 10)")
        store.fetch("update orders set total = 20")
        store.fetch("delete from users where id = 2")
        store.fetch("update users set email = 'x@b.c' where id = 1")

    assert changes == {
        "orders": [Inserted(id=1, total=20)],
        "users": [Updated(email=("before the block", "x@b.c")), Deleted(id=2, email="b@b.c")],
    }
    assert changes["orders"][0].row["total"] == 20  # type: ignore[attr-defined]


async def test_nothing_written_is_false(async_db: Database) -> None:
    async with async_db.changes() as changes:
        pass

    assert not changes
    assert changes == {}
    assert str(changes) == "nothing was written"


@promise("database.changes")
async def test_without_a_block_it_is_the_whole_test(async_db: Database) -> None:
    await async_db.execute("delete from users")

    changes = await async_db.changes()

    assert changes == {"users": [Deleted(..., id=1), Deleted(..., id=2)]}


def test_in_a_synchronous_test(db: SyncDatabase) -> None:
    with db.changes() as changes:
        db.execute("insert into orders values (?, ?)", 1, 10)

    assert changes == {"orders": [Inserted(id=1, total=10)]}


def test_the_whole_of_a_synchronous_test(db: SyncDatabase) -> None:
    db.execute("insert into orders values (?, ?)", 1, 10)

    assert db.changes() == {"orders": [Inserted(id=1, total=10)]}


_READ: dict[str, Callable[[Any], object]] = {
    "compare": lambda changes: changes == {},
    "compare as the other side": lambda changes: {} == changes,  # noqa: SIM300
    "differ": lambda changes: changes != {},
    "test": bool,
    "index": lambda changes: changes["users"],
    "get": lambda changes: changes.get("users"),
    "ask for": lambda changes: "users" in changes,
    "iterate": list,
    "reverse": lambda changes: list(reversed(changes)),
    "items": lambda changes: changes.items(),
    "values": lambda changes: changes.values(),
    "copy": dict,
    "unpack": lambda changes: {**changes},
    "merge": lambda changes: changes | {},
    "merge into another": lambda changes: {} | changes,
    "write": repr,
    "show": str,
}


@pytest.mark.parametrize("read", _READ.values(), ids=_READ.keys())
async def test_reading_them_too_early_is_an_error(
    async_db: Database, db: SyncDatabase, read: Callable[[Any], object]
) -> None:
    with pytest.raises(DatabaseError, match=r"async with db\.changes"):
        read(async_db.changes())

    with db.changes() as changes, pytest.raises(DatabaseError, match="below the block"):
        read(changes)


async def test_a_block_that_fails_raises_its_own_error(
    async_db: Database, db: SyncDatabase
) -> None:
    with pytest.raises(LookupError):
        async with async_db.changes() as changes:
            raise LookupError
    with pytest.raises(LookupError), db.changes():
        raise LookupError

    with pytest.raises(DatabaseError):
        bool(changes)


async def test_a_block_that_is_entered_in_the_other_way(
    async_db: Database, db: SyncDatabase
) -> None:
    mistaken: Any = async_db.changes()
    with pytest.raises(DatabaseError, match="    async with"), mistaken:
        pass

    mistaken = db.changes()
    with pytest.raises(DatabaseError, match="    with"):
        async with mistaken:
            pass


async def test_a_table_that_nobody_wrote_to_is_empty(async_db: Database) -> None:
    changes = await async_db.changes()

    assert changes["orders"] == []
    assert "orders" not in changes


async def test_a_table_that_is_not_there_is_an_error(async_db: Database) -> None:
    changes = await async_db.changes()

    with pytest.raises(DatabaseError, match="Did you mean 'orders'"):
        changes["order"]
    with pytest.raises(DatabaseError, match="no table that `db` knows"):
        changes[1]


async def test_changes_are_a_dictionary_to_everybody(async_db: Database) -> None:
    await async_db.execute("insert into orders values (1, 10)")
    changes = await async_db.changes()

    assert changes == IsPartialDict(orders=[Inserted(...)])
    assert repr(changes) == "{'orders': [Inserted(id=1, total=10)]}"
    assert str(changes) == "orders\n  Inserted(id=1, total=10)"
    assert deepcopy(changes) == changes
    assert type(deepcopy(changes)) is dict


class _Quick(SmallStore):
    """A store that tells where it was asked."""

    threads: ClassVar[set[int]] = set()
    would_wait = False

    def moment_at_once(self) -> Any:
        self.threads.add(threading.get_ident())
        if self.would_wait:
            raise WouldWaitError
        return self.mark()

    def changes_at_once(self, since: Any) -> Any:
        self.moment_at_once()
        return self.changes(since)

    def changes(self, since: Any) -> Any:
        self.threads.add(threading.get_ident())
        return super().changes(since)


@pytest.mark.parametrize("would_wait", [False, True])
async def test_a_store_is_asked_in_a_thread_only_if_it_would_have_to_wait(
    monkeypatch: pytest.MonkeyPatch, *, would_wait: bool
) -> None:
    with closing(_Quick(_SCHEMA)) as store:
        monkeypatch.setattr(store, "would_wait", would_wait)
        monkeypatch.setattr(store, "threads", set())
        db = Database(SyncDatabase(store, Models()))

        async with db.changes() as changes:
            store.fetch("insert into orders values (1, 10)")

        assert changes == await db.changes() == {"orders": [Inserted(id=1, total=10)]}
        assert (store.threads == {threading.get_ident()}) is not would_wait


class _Unknown:
    """The stores of a test whose app has not connected yet."""

    def __init__(self, later: SmallStore) -> None:
        self.later = later
        self.is_known = False

    def main_store(self) -> SmallStore:
        if self.is_known:
            return self.later
        raise DatabaseError("Nobody knows it.", why="…", fix="…")

    def main_store_if_open(self) -> SmallStore | None:
        return self.later if self.is_known else None

    def stores(self) -> list[SmallStore]:
        return [self.later] if self.is_known else []

    def mark_of(self, store: object) -> Any:
        return self.later.baseline


async def test_a_database_that_the_block_is_the_first_to_connect_to(store: SmallStore) -> None:
    stores = _Unknown(store)

    async with Database(SyncDatabase(stores, Models())).changes() as changes:
        stores.is_known = True
        store.fetch("insert into orders values (1, 10)")

    assert changes == {"orders": [Inserted(id=1, total=10)]}


def test_a_database_that_is_not_known_in_the_end_is_an_error(store: SmallStore) -> None:
    with (
        pytest.raises(DatabaseError, match="Nobody knows it"),
        SyncDatabase(_Unknown(store), Models()).changes(),
    ):
        pass
