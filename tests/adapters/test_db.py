"""What `db` says of an app's own writing, on each database, through each driver.

The app is real: its own engine, its own sessions, its own commits. `db` is what the fixture gives.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, suppress
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.pool import NullPool

from pytest_asgi.adapters import drivers
from pytest_asgi.adapters.postgres import PostgresOpener
from pytest_asgi.adapters.sqlalchemy_models import Models
from pytest_asgi.adapters.sqlite import SqliteOpener
from pytest_asgi.database.changes import Deleted, Inserted, Updated
from pytest_asgi.database.database import Database, SyncDatabase
from pytest_asgi.database.redirect import Redirect
from pytest_asgi.database.stores import SqlStore
from pytest_asgi.database.targets import Target
from pytest_asgi.errors import DatabaseError, VerificationError
from pytest_asgi.plugin.assertions import explain
from tests.promises import promise

# On both databases in the same words, and the trigger in each one's own.
_TABLES = """
CREATE TABLE users (
    id INTEGER PRIMARY KEY, email VARCHAR(40) NOT NULL UNIQUE, active BOOLEAN NOT NULL
);
CREATE TABLE orders (
    id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
    price NUMERIC(8, 2) NOT NULL, placed TIMESTAMP
);
CREATE TABLE audit (what VARCHAR(40));
INSERT INTO users VALUES (1, 'ada@b.c', true), (2, 'grace@b.c', false);
INSERT INTO orders VALUES (1, 1, 9.5, NULL), (2, 1, 12.25, NULL);
"""
_SQLITE_TRIGGER = """
CREATE TRIGGER note AFTER UPDATE ON users
BEGIN INSERT INTO audit VALUES (old.email || ' > ' || new.email); END;
"""
_POSTGRES_TRIGGER = """
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN INSERT INTO audit VALUES (old.email || ' > ' || new.email); RETURN NULL; END $$;
CREATE TRIGGER note AFTER UPDATE ON users FOR EACH ROW EXECUTE FUNCTION note();
"""


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(sa.String(40))
    active: Mapped[bool]


class Order(Base):
    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(sa.ForeignKey(User.id))
    price: Mapped[Decimal] = mapped_column(sa.Numeric(8, 2))
    placed: Mapped[datetime | None]


class Place(NamedTuple):
    """A database, and the driver that the app uses."""

    url: str
    target: Target
    trigger: str
    marker: str

    @property
    def is_sqlite(self) -> bool:
        return self.target.kind == "sqlite"


_SQLITE = Target("sqlite", "/app/shop.db")
_POSTGRES = Target("postgresql", "shop", "db.example", user="app")
PLACES = {
    "aiosqlite": Place("sqlite+aiosqlite:////app/shop.db", _SQLITE, _SQLITE_TRIGGER, "?"),
    "asyncpg": Place(
        "postgresql+asyncpg://app@db.example/shop", _POSTGRES, _POSTGRES_TRIGGER, "$1"
    ),
    "psycopg": Place(
        "postgresql+psycopg://app@db.example/shop", _POSTGRES, _POSTGRES_TRIGGER, "%s"
    ),
}


@pytest.fixture(scope="module", params=PLACES.values(), ids=list(PLACES))
def place(request: pytest.FixtureRequest) -> Place:
    place: Place = request.param
    return place


@pytest.fixture(scope="module")
def store(place: Place, request: pytest.FixtureRequest) -> Iterator[SqlStore]:
    """A private database with the tables, for a driver's tests."""
    script = _TABLES + place.trigger
    with closing(SqliteOpener()) as sqlite:
        postgres: Callable[[], PostgresOpener] = lambda: request.getfixturevalue("postgres")  # noqa: E731
        opener: Any = sqlite if place.is_sqlite else postgres()
        opened: Any = opener.open(
            place.target, build=lambda new: new.run_script(script), key=script
        )
        with closing(opened):
            yield opened


class _Stores:
    """The databases of a session in which there is one."""

    def __init__(self, store: SqlStore) -> None:
        self.store = store
        self.began = store.mark()

    def main_store(self) -> SqlStore:
        return self.store

    def main_store_if_open(self) -> SqlStore:
        return self.store

    def stores(self) -> list[SqlStore]:
        return [self.store]

    def mark_of(self, store: object) -> Any:
        return self.began


@pytest.fixture
def db(store: SqlStore) -> Iterator[Database]:
    stores = _Stores(store)
    with closing(Models()) as models:
        yield Database(SyncDatabase(stores, models))
    store.restore(stores.began)


@pytest.fixture
async def app(db: Database, store: SqlStore, place: Place) -> AsyncIterator[AsyncEngine]:
    """The app's engine, which knows nothing of tests."""
    redirect = Redirect(lambda _: store)
    uninstall = drivers.install(redirect)
    redirect.is_on = True
    engine = create_async_engine(place.url, poolclass=NullPool)
    if place.is_sqlite:

        @sa.event.listens_for(engine.sync_engine, "connect")
        def enforce_foreign_keys(connection: Any, _: object) -> None:
            connection.execute("PRAGMA foreign_keys = ON")

    yield engine
    await engine.dispose()
    uninstall()


async def run(app: AsyncEngine | AsyncConnection, *statements: str) -> None:
    """Run statements in one transaction, and commit it if it is not the caller's."""
    if isinstance(app, AsyncConnection):
        for statement in statements:
            await app.execute(sa.text(statement))
        return
    async with app.begin() as connection:
        await run(connection, *statements)


async def add(app: AsyncEngine, *rows: Base) -> None:
    async with AsyncSession(app) as session:
        session.add_all(rows)
        await session.commit()


# --- what is there -------------------------------------------------------------------------------


@promise("database.verification")
async def test_what_the_app_has_committed_is_there(app: AsyncEngine, db: Database) -> None:
    await add(app, User(id=3, email="alan@b.c", active=True))

    assert await db.has(User, email="alan@b.c", active=True)
    assert await db.has("users", email="alan@b.c", active=True)
    assert await db.count(User) == await db.count("users") == 3
    assert (await db.one(User, id=3)).email == "alan@b.c"
    assert await db.one("users", id=3) == {"id": 3, "email": "alan@b.c", "active": True}
    assert [user.id for user in await db.all(User, active=True)] == [1, 3]
    assert [row["id"] for row in await db.all("users", active=True)] == [1, 3]


async def test_what_the_app_has_not_committed_is_not(app: AsyncEngine, db: Database) -> None:
    async with app.connect() as connection:
        await run(connection, "INSERT INTO audit VALUES ('soon')")
        assert not await db.has("audit", what="soon")
        await connection.commit()

    assert await db.has("audit", what="soon")


@promise("database.verification")
async def test_a_check_that_fails_shows_the_nearest_rows(app: AsyncEngine, db: Database) -> None:
    await add(app, Order(id=3, user_id=2, price=Decimal("7.00")))

    for users in ("users", User):
        found = await db.has(users, email="Ada@b.c", active=True)
        assert not found
        assert str(found).splitlines()[1:] == [
            "  The nearest:",
            "  id=1, email='ada@b.c', active=True",
            "    email  is 'ada@b.c', not 'Ada@b.c'",
        ]
    with pytest.raises(VerificationError, match=r"price  is Decimal\('7\.00'\), not Decimal"):
        await db.one(Order, user_id=2, price=Decimal("7.50"))
    with pytest.raises(VerificationError, match=r"2 rows of orders with user_id=1"):
        await db.one("orders", user_id=1)


async def test_what_is_not_there_is_said(db: Database) -> None:
    with pytest.raises(DatabaseError, match=r"no column 'emial'(.|\n)*'email'"):
        await db.has("users", emial="x")
    with pytest.raises(DatabaseError, match=r"no table 'user'(.|\n)*'users'"):
        await db.count("user")


async def test_sql_with_the_drivers_own_parameters(
    app: AsyncEngine, db: Database, place: Place
) -> None:
    await add(app, User(id=3, email="alan@b.c", active=True))

    await db.execute(f"DELETE FROM users WHERE id = {place.marker}", 3)

    question = f"SELECT count(*) AS n FROM users WHERE email <> {place.marker}"
    assert await db.fetch(question, "x") == [{"n": 2}]


async def test_what_db_writes_the_app_reads(app: AsyncEngine, db: Database) -> None:
    await db.make(User, id=7)
    order = await db.make(Order, id=7, user_id=7)
    async with db.session() as session:
        session.add(User(id=8, email="alan@b.c", active=True))
        await session.commit()
    await db.execute(sa.update(User).where(User.id == 1).values(active=False))

    async with AsyncSession(app) as session:
        assert await session.get(User, order.user_id) is not None
        assert await session.get(User, 8) is not None
        assert (await session.get_one(User, 1)).active is False


# --- what was written ----------------------------------------------------------------------------


@promise("database.changes")
async def test_the_net_effect_of_a_block(app: AsyncEngine, db: Database) -> None:
    async with db.changes() as changes:
        await add(app, User(id=3, email="alan@b.c", active=True))
        await run(app, "UPDATE orders SET price = 10 WHERE id = 1")
        await run(app, "UPDATE orders SET price = 11 WHERE id = 1")
        await run(app, "DELETE FROM orders WHERE id = 2")

    assert changes == {
        "users": [Inserted(id=3, email="alan@b.c", active=True)],
        "orders": [Updated(price=(Decimal("9.5"), 11)), Deleted(..., id=2, price=12.25)],
    }
    assert changes[User] == changes["users"]


@promise("database.changes")
async def test_cascades_and_triggers_are_part_of_it(app: AsyncEngine, db: Database) -> None:
    async with db.changes() as changes:
        await run(app, "UPDATE users SET email = 'x@b.c' WHERE id = 2")
        await run(app, "DELETE FROM users WHERE id = 1")

    assert changes == {
        "users": [Updated(email=("grace@b.c", "x@b.c")), Deleted(..., id=1)],
        "orders": [Deleted(..., id=1, user_id=1), Deleted(..., id=2, user_id=1)],
        "audit": [Inserted(what="grace@b.c > x@b.c")],
    }


@promise("database.changes")
async def test_what_was_rolled_back_is_not(app: AsyncEngine, db: Database) -> None:
    async with db.changes() as changes:
        with suppress(LookupError):
            async with app.begin() as connection:
                await run(connection, "DELETE FROM orders")
                raise LookupError
        async with app.begin() as connection:
            await run(connection, "INSERT INTO audit VALUES ('kept')")
            savepoint = await connection.begin_nested()
            await run(connection, "INSERT INTO audit VALUES ('not kept')", "DELETE FROM users")
            await savepoint.rollback()

    assert changes == {"audit": [Inserted(what="kept")]}


async def test_what_was_undone_is_not(app: AsyncEngine, db: Database) -> None:
    async with db.changes() as changes:
        await run(app, "INSERT INTO audit VALUES ('once')", "DELETE FROM audit")
        await run(app, "UPDATE orders SET price = 1", "UPDATE orders SET price = 9.5 WHERE id = 1")
        await run(app, "UPDATE orders SET price = 12.25 WHERE id = 2")

    assert changes == {}


async def test_blocks_one_after_the_other_and_the_whole_test(
    app: AsyncEngine, db: Database
) -> None:
    async with db.changes() as first:
        await run(app, "INSERT INTO audit VALUES ('one')")
    async with db.changes() as second:
        await run(app, "UPDATE audit SET what = 'two'")

    assert first == {"audit": [Inserted(what="one")]}
    assert second == {"audit": [Updated(what=("one", "two"))]} or second == {
        "audit": [Inserted(what="two"), Deleted(what="one")]
    }
    assert await db.changes() == {"audit": [Inserted(what="two")]}


async def test_of_synchronous_tests_too(app: AsyncEngine, db: Database) -> None:
    sync = db._database

    with sync.changes() as changes:
        await run(app, "INSERT INTO audit VALUES ('one')")

    assert changes == {"audit": [Inserted(what="one")]}
    assert sync.has("audit", what="one")


@promise("database.diff-shown")
async def test_what_differs_is_shown_in_the_same_words(app: AsyncEngine, db: Database) -> None:
    async with db.changes() as changes:
        await add(app, User(id=3, email="alan@b.c", active=True))
        await run(app, "DELETE FROM orders WHERE id = 1")
        await run(app, "INSERT INTO audit VALUES ('one')")

    expected = {
        "users": [Inserted(id=3, email="Alan@b.c", active=True)],
        "orders": [Deleted(..., id=1)],
    }
    assert explain("==", changes, expected) == [
        "written == expected, except for users, audit",
        "",
        "users:",
        "  differs     Inserted(id=3, email='alan@b.c', active=True)",
        "           written     expected",
        "    email  'alan@b.c'  'Alan@b.c'",
        "audit:",
        "  unexpected  Inserted(what='one')",
    ]
