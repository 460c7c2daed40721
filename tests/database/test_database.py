"""What `db` answers about tables that are asked for by their names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from pytest_asgi.adapters.sqlalchemy_models import Models
from pytest_asgi.database.database import Database, SyncDatabase
from pytest_asgi.database.targets import Target
from pytest_asgi.errors import DatabaseError, VerificationError
from tests.database.small_store import SmallStore
from tests.promises import promise

_SCHEMA = """
create table users (id integer primary key, email text, name text, age int);
insert into users values
    (1, 'ada@b.c', 'Ada', 36), (2, 'grace@b.c', 'Grace', 85), (3, 'alan@b.c', 'Alan', 41);
create table empty (id integer primary key);
"""


@pytest.fixture
def store() -> Iterator[SmallStore]:
    with closing(SmallStore(_SCHEMA)) as store:
        yield store


@pytest.fixture
def db(store: SmallStore) -> Database:
    return Database(SyncDatabase(store, Models()))


async def test_a_row_that_is_there(db: Database) -> None:
    found = await db.has("users", email="ada@b.c")

    assert found
    assert found.count == 1
    assert repr(found) == (
        "<1 row of users with email='ada@b.c': id=1, email='ada@b.c', name='Ada', age=36>"
    )


@promise("database.verification")
async def test_a_row_that_is_not_there_tells_what_is_near(db: Database) -> None:
    found = await db.has("users", email="Ada@b.c", name="Ada")

    assert not found
    assert found.count == 0
    assert repr(found) == (
        "<no row of users with email='Ada@b.c', name='Ada'; nearest: id=1, email='ada@b.c'>"
    )
    assert str(found).splitlines() == [
        "No row of users with email='Ada@b.c', name='Ada'.",
        "  The nearest:",
        "  id=1, email='ada@b.c', name='Ada', age=36",
        "    email  is 'ada@b.c', not 'Ada@b.c'",
    ]


async def test_the_nearest_row_differs_in_the_fewest_columns(db: Database) -> None:
    found = await db.has("users", name="Ada", age=37, email="ada@b.c")

    assert [near.row["id"] for near in found.nearest] == [1]
    assert found.nearest[0].differing == ["age"]


async def test_of_many_the_most_alike_come_first(db: Database) -> None:
    found = await db.has("users", email="alen@b.c")

    assert found.nearest[0].row["name"] == "Alan"
    assert len(found.nearest) == 3


async def test_rows_that_share_nothing_are_shown_too(db: Database) -> None:
    found = await db.has("users", email="x@y.z", name="Alen")

    assert found.nearest[0].row["name"] == "Alan"
    assert found.nearest[0].differing == ["email", "name"]


async def test_an_empty_table_has_no_near_rows(db: Database) -> None:
    found = await db.has("empty", id=1)

    assert repr(found) == "<no row of empty with id=1; none at all>"
    assert str(found) == "No row of empty with id=1.\n  There is no row that comes near it."


async def test_counting(db: Database) -> None:
    assert await db.count("users") == 3
    assert await db.count("users", name="Ada") == 1
    assert await db.count("users", name="Bob") == 0


async def test_the_one_row_there_is(db: Database) -> None:
    assert await db.one("users", name="Ada") == {
        "id": 1, "email": "ada@b.c", "name": "Ada", "age": 36,
    }  # fmt: skip


@promise("database.verification")
async def test_one_row_that_is_not_there(db: Database) -> None:
    with pytest.raises(VerificationError) as raised:
        await db.one("users", email="Ada@b.c", name="Ada")

    assert raised.value.what.splitlines() == [
        "There is no row of users with email='Ada@b.c', name='Ada'.",
        "",
        "  The nearest:",
        "  id=1, email='ada@b.c', name='Ada', age=36",
        "    email  is 'ada@b.c', not 'Ada@b.c'",
    ]


async def test_one_row_of_several(db: Database) -> None:
    await db.execute("insert into users values (4, 'x@b.c', 'Bob', 41)")

    with pytest.raises(VerificationError) as raised:
        await db.one("users", age=41)

    assert raised.value.what.splitlines() == [
        "There are 2 rows of users with age=41; one was expected.",
        "",
        "  id=3, email='alan@b.c', name='Alan', age=41",
        "  id=4, email='x@b.c', name='Bob', age=41",
    ]


async def test_of_very_many_rows_only_some_are_shown(db: Database) -> None:
    await db.execute("insert into users select id + 10, 'x', 'y', 1 from users")
    await db.execute("insert into users select id + 20, 'x', 'y', 1 from users")

    with pytest.raises(
        VerificationError, match=r"There are 12 rows of users; one.*\n\n.*\n.*\n.*\n  …"
    ):
        await db.one("users")


async def test_all_rows(db: Database) -> None:
    assert [row["name"] for row in await db.all("users")] == ["Ada", "Grace", "Alan"]
    assert await db.all("users", name="Bob") == []


async def test_sql_of_ones_own(db: Database) -> None:
    await db.execute("update users set age = age + ? where name = ?", 1, "Ada")

    assert await db.fetch("select age from users where name = ?", "Ada") == [{"age": 37}]


async def test_a_long_value_is_shortened(db: Database) -> None:
    await db.execute("update users set name = ?", "x" * 1000)

    assert len(repr(await db.has("users", id=1))) < 200


def test_the_same_in_a_synchronous_test(store: SmallStore) -> None:
    db = SyncDatabase(store, Models())

    db.execute("insert into empty values (?)", 1)

    assert db.has("empty", id=1)
    assert db.count("empty") == 1
    assert db.one("empty") == {"id": 1}
    assert db.all("empty", id=1) == [{"id": 1}]
    assert db.fetch("select * from empty") == [{"id": 1}]


class _Two:
    """The stores of an app with two databases."""

    def __init__(self, main: SmallStore, other: SmallStore) -> None:
        self.both = [main, other]

    def main_store(self) -> SmallStore:
        return self.both[0]

    def main_store_if_open(self) -> SmallStore:
        return self.both[0]

    def stores(self) -> list[SmallStore]:
        return self.both

    def mark_of(self, store: Any) -> object:
        return store.baseline


async def test_another_database_of_the_app(store: SmallStore) -> None:
    with closing(SmallStore("create table events (id int)", name="/app/events.db")) as events:
        db = Database(SyncDatabase(_Two(store, events), Models()))
        await db.on("/app/events.db").execute("insert into events values (1)")

        assert await db.on("sqlite:////app/events.db").count("events") == 1
        assert await db.on("/app/events.db").changes() == {"events": events.changes({})["events"]}
        assert await db.changes() == {}
        assert SyncDatabase(_Two(store, events), Models()).on("sqlite").count("users") == 3
        with pytest.raises(DatabaseError, match=r"no database 'mongodb'(.|\n)*shop.db"):
            await db.on("mongodb").count("events")


async def test_what_is_no_table(db: Database) -> None:
    for what in (1, int):
        with pytest.raises(DatabaseError, match="no table that `db` knows"):
            await db.count(what)
    with pytest.raises(DatabaseError, match="no table that `db` knows"):
        await db.count("users", "age > 3")
    with pytest.raises(DatabaseError, match="no table that `db` knows"):
        await db.execute(1)


async def test_sql_for_a_store_that_speaks_none(store: SmallStore) -> None:
    class Documents:
        target = Target("mongodb", "shop")

    class Stores(_Two):
        def main_store(self) -> SmallStore:
            return Documents()  # type: ignore[return-value]

    db = Database(SyncDatabase(Stores(store, store), Models()))

    with pytest.raises(DatabaseError, match="does not speak SQL"):
        await db.fetch("select 1")


async def test_sql_is_fetched_as_text(db: Database) -> None:
    statement: Any = ["select 1"]

    with pytest.raises(DatabaseError, match=r"cannot run \['select 1'\](.|\n)*db\.session"):
        await db.fetch(statement)
