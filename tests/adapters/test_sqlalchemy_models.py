"""What `db` answers about SQLAlchemy's classes, tables and statements."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
import sqlmodel
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    MappedAsDataclass,
    Session,
    joinedload,
    mapped_column,
    relationship,
)
from sqlmodel.ext.asyncio.session import AsyncSession as SQLModelSession

from pytest_asgi.adapters.sqlalchemy_models import Models
from pytest_asgi.database.changes import Inserted
from pytest_asgi.database.database import Database, SyncDatabase
from pytest_asgi.database.targets import Target
from pytest_asgi.errors import DatabaseError, MissingExtraError, VerificationError
from tests.database.small_store import SmallStore
from tests.promises import promise


class Color(Enum):
    RED = 1
    BLUE = 2


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(sa.String(40), unique=True)
    nick: Mapped[str | None] = mapped_column("nickname")
    key: Mapped[UUID] = mapped_column(default=uuid4)
    is_active: Mapped[bool] = mapped_column(server_default=sa.true())
    orders: Mapped[list[Order]] = relationship(back_populates="user")


class Order(Base):
    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(sa.ForeignKey(User.id))
    price: Mapped[Decimal] = mapped_column(sa.Numeric(8, 2))
    color: Mapped[Color]
    at: Mapped[datetime] = mapped_column(sa.DateTime)
    notes: Mapped[dict[str, Any]] = mapped_column(sa.JSON)
    user: Mapped[User] = relationship(back_populates="orders")


class Line(MappedAsDataclass, Base):
    __tablename__ = "lines"

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    order_id: Mapped[int] = mapped_column(sa.ForeignKey(Order.id))
    text: Mapped[str]
    remark: Mapped[str | None]


class Animal(Base):
    __tablename__ = "animals"
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "animal"}  # noqa: RUF012 - SQLAlchemy's own way

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    name: Mapped[str]


class Dog(Animal):
    __tablename__ = "dogs"
    __mapper_args__ = {"polymorphic_identity": "dog"}  # noqa: RUF012 - SQLAlchemy's own way

    id: Mapped[int] = mapped_column(sa.ForeignKey(Animal.id), primary_key=True)
    breed: Mapped[str]


class Hero(sqlmodel.SQLModel, table=True):
    id: int | None = sqlmodel.Field(default=None, primary_key=True)
    name: str
    age: int | None = None


tags = sa.Table(
    "tags",
    Base.metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("at", sa.DateTime),
)


@pytest.fixture
def store() -> Iterator[SmallStore]:
    with closing(SmallStore()) as store:
        engine = sa.create_engine(store.engine_url(asynchronous=False), poolclass=sa.NullPool)
        Base.metadata.create_all(engine)
        sqlmodel.SQLModel.metadata.create_all(engine)
        with Session(engine) as session:
            session.add(User(email="ada@b.c", key=UUID(int=1), nick="Countess"))
            session.add(User(email="grace@b.c", key=UUID(int=2)))
            session.commit()
        store.baseline = store.mark()
        yield store


@pytest.fixture
def models() -> Iterator[Models]:
    with closing(Models()) as models:
        yield models


@pytest.fixture
def db(store: SmallStore, models: Models) -> Database:
    return Database(SyncDatabase(store, models))


@promise("database.models")
async def test_a_class_gives_its_instances(db: Database) -> None:
    user = await db.one(User, email="ada@b.c")

    assert isinstance(user, User)
    assert user.key == UUID(int=1)
    assert user.is_active is True
    assert sa.inspect(user).detached
    assert [each.email for each in await db.all(User)] == ["ada@b.c", "grace@b.c"]


async def test_values_are_compared_as_the_class_types_them(db: Database) -> None:
    assert await db.has(User, key=UUID(int=2), is_active=True)
    assert await db.count(User, nick=None) == 1
    assert not await db.has(User, key=UUID(int=3))


async def test_conditions_of_sqlalchemys_own(db: Database) -> None:
    assert await db.count(User, User.email.like("a%")) == 1
    assert (await db.one(User, User.id > 1, is_active=True)).id == 2

    found = await db.has(User, User.id > 5, nick="Countess")

    assert not found
    assert "users.id > 5" in repr(found)


async def test_the_nearest_instances_are_shown_by_their_attributes(db: Database) -> None:
    with pytest.raises(VerificationError) as raised:
        await db.one(User, email="ada@b.c", nick="Duchess")

    assert raised.value.what.splitlines() == [
        "There is no row of User with email='ada@b.c', nick='Duchess'.",
        "",
        "  The nearest:",
        f"  id=1, email='ada@b.c', nick='Countess', key={UUID(int=1)!r}, is_active=True",
        "    nick  is 'Countess', not 'Duchess'",
    ]


async def test_a_column_that_is_not_there(db: Database) -> None:
    with pytest.raises(
        DatabaseError, match=r"User has no column 'emial'(.|\n)*Did you mean 'email'"
    ):
        await db.count(User, emial="ada@b.c")
    with pytest.raises(DatabaseError, match=r"tags has no column 'xyz'(.|\n)*id, at"):
        await db.count(tags, xyz=1)


async def test_what_is_no_condition(db: Database) -> None:
    with pytest.raises(DatabaseError, match=r"is no condition(.|\n)*as keywords"):
        await db.has(User, {"email": "ada@b.c"})


async def test_a_class_whose_table_is_not_there(db: Database) -> None:
    await db.execute("drop table animals")

    for answer in (
        db.count(Animal),
        db.all(sa.select(Animal.id)),
        db.make(Animal),
        db.execute(sa.delete(Animal)),
    ):
        with pytest.raises(DatabaseError, match="There is no table 'animals'") as raised:
            await answer
        assert raised.value.__suppress_context__


async def test_what_a_driver_refuses_is_raised_without_what_lies_between(db: Database) -> None:
    with pytest.raises(sa.exc.IntegrityError, match=r"users\.email") as raised:
        await db.make(User, email="ada@b.c")

    assert not [entry for entry in raised.traceback if "sqlalchemy" in Path(entry.path).parts]


@promise("database.models")
async def test_a_table_gives_dictionaries(db: Database) -> None:
    at = datetime(2024, 2, 29, 12, 0)  # noqa: DTZ001 - a column without a zone
    await db.execute(tags.insert().values(id=1, at=at))

    assert await db.all(tags) == [{"id": 1, "at": at}]
    assert await db.has(tags, at=at)
    assert repr(await db.has(tags, id=2)).startswith("<no row of tags with id=2; nearest: at=")


@promise("database.models")
async def test_statements(db: Database) -> None:
    assert await db.all(sa.select(User.email).order_by(User.id.desc())) == ["grace@b.c", "ada@b.c"]
    assert await db.all(sa.select(User.id, User.nick)) == [(1, "Countess"), (2, None)]
    assert await db.count(sa.select(User).where(User.id > 1)) == 1
    assert await db.all(sa.select(sa.literal(1)).select_from(User)) == [1, 1]
    assert (await db.one(sa.select(User).where(User.id == 1))).email == "ada@b.c"
    assert not await db.has(sa.select(User), email="x")
    with pytest.raises(VerificationError, match=r"2 rows of the query(.|\n)*email='ada@b.c'"):
        await db.one(sa.select(User.email))
    with pytest.raises(VerificationError, match=r"2 rows(.|\n)*id=1, email='ada@b.c'"):
        await db.one(sa.select(User.id, User.email))


async def test_parameters_of_statements(db: Database) -> None:
    await db.execute(sa.text("update users set nickname = :nick"), {"nick": "X"})
    await db.execute(sa.insert(Hero), {"name": "A"}, {"name": "B"})

    assert await db.count(User, nick="X") == 2
    assert [hero.name for hero in await db.all(Hero)] == ["A", "B"]


async def test_a_joined_collection_does_not_repeat_its_owner(db: Database) -> None:
    await db.make(Order, user_id=1)
    await db.make(Order, user_id=1)

    user = await db.one(sa.select(User).where(User.id == 1).options(joinedload(User.orders)))

    assert len(user.orders) == 2


@promise("database.models")
async def test_sqlmodel(db: Database) -> None:
    made = await db.make(Hero, name="Deadpond")

    assert made == Hero(id=1, name="Deadpond")
    assert (await db.one(Hero, name="Deadpond")).id == 1
    assert await db.count(sqlmodel.select(Hero)) == 1


async def test_changes_of_a_class(db: Database) -> None:
    await db.make(Hero, name="Deadpond", age=3)

    changes = await db.changes()

    assert changes[Hero] == [Inserted(id=1, name="Deadpond", age=3)]
    assert changes[User] == []
    assert changes[tags] == []


# --- making rows ---------------------------------------------------------------------------------


async def test_what_a_row_needs_is_made_up(db: Database) -> None:
    user = await db.make(User)

    assert user.id == 3
    assert 0 < len(user.email) <= 40
    assert user.nick is None
    assert user.is_active is True
    assert await db.has(User, id=3, email=user.email, key=user.key)


async def test_values_that_are_given_are_kept(db: Database) -> None:
    user = await db.make(User, email="x@b.c", nick="X")

    assert await db.has(User, id=user.id, email="x@b.c", nick="X")


async def test_the_rows_it_refers_to_are_made_too(db: Database) -> None:
    line = await db.make(Line, text="Hello")

    order = await db.one(Order, id=line.order_id)
    assert await db.has(User, id=order.user_id)
    assert order.user_id == 3
    assert isinstance(order.color, Color)
    assert line.remark is None


async def test_a_row_it_refers_to_may_be_given(db: Database) -> None:
    user = await db.one(User, email="ada@b.c")

    order = await db.make(Order, user=user, price=Decimal("9.90"))

    assert (order.user_id, order.price) == (1, Decimal("9.90"))
    assert await db.count(User) == 2


async def test_a_class_that_inherits(db: Database) -> None:
    dog = await db.make(Dog, breed="Poodle")

    assert dog.kind == "dog"
    assert (await db.one(Animal)).name == dog.name


def test_made_up_values_are_the_same_in_every_test(store: SmallStore, models: Models) -> None:
    first, second = SyncDatabase(store, models), SyncDatabase(store, models)

    email, other = first.make(User).email, first.make(User).email
    first.execute(sa.delete(User).where(User.id > 2))

    assert email != other
    assert [second.make(User).email, second.make(User).email] == [email, other]


async def test_what_cannot_be_made(db: Database) -> None:
    with pytest.raises(DatabaseError, match="cannot be made"):
        await db.make(int)


async def test_an_attribute_that_is_not_there_is_not_made(db: Database) -> None:
    with pytest.raises(DatabaseError, match=r"User has no attribute 'emial'(.|\n)*'email'"):
        await db.make(User, emial="x")
    with pytest.raises(DatabaseError, match=r"Hero has no attribute 'x'(.|\n)*Name one"):
        await db.make(Hero, x=1)


async def test_making_needs_polyfactory(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "polyfactory.factories.sqlalchemy_factory", None)

    with pytest.raises(MissingExtraError, match="pip install polyfactory"):
        await db.make(User)


# --- sessions ------------------------------------------------------------------------------------


async def test_a_session_of_ones_own(db: Database) -> None:
    async with db.session() as session:
        user = await session.get(User, 1)
        user.nick = "Ada"
        await session.commit()

    assert await db.has(User, id=1, nick="Ada")
    assert user.nick == "Ada"


async def test_a_session_of_ones_own_class(db: Database) -> None:
    async with db.session(class_=SQLModelSession) as session:
        assert (await session.exec(sqlmodel.select(Hero))).all() == []


def test_a_session_in_a_synchronous_test(store: SmallStore, models: Models) -> None:
    with SyncDatabase(store, models).session() as session:
        session.add(Hero(name="X"))
        session.commit()

    assert SyncDatabase(store, models).count(Hero) == 1


def test_a_session_needs_sqlalchemy(store: SmallStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)

    with (
        pytest.raises(MissingExtraError, match="pip install"),
        SyncDatabase(store, Models()).session(),
    ):
        pass


def test_a_session_on_what_speaks_no_sql(store: SmallStore) -> None:
    class Documents:
        target = Target("mongodb", "shop")

    with pytest.raises(DatabaseError, match="does not speak SQL"):
        Models().source(Documents(), User, ())  # type: ignore[arg-type]


def test_few_engines_are_kept(models: Models) -> None:
    stores = [SmallStore("create table users (id int)") for _ in range(5)]
    for store in stores:
        models.source(store, User, ())

    assert len(models._engines) == 3
    for store in stores:
        store.close()
