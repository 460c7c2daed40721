"""Libraries that connect with sqlite3 or aiosqlite reach the private database, unchanged."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from databases import Database
from piccolo.columns import Varchar
from piccolo.engine.sqlite import SQLiteEngine
from piccolo.table import Table
from sqlalchemy import MetaData, create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool, QueuePool
from sqlmodel import Field, Session, SQLModel, select
from tortoise import Tortoise
from tortoise.fields import CharField, IntField
from tortoise.models import Model

from pytest_asgi.adapters.sqlite.store import SqliteStore
from pytest_asgi.database.changes import Inserted
from pytest_asgi.database.redirect import Redirect
from tests.promises import promise

_INSERT = "INSERT INTO users(name) VALUES ('new')"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "app.db"


def _check(redirect: Redirect, path: Path) -> None:
    """See that one user was added, put the store back, and see that nothing else is there."""
    (store,) = redirect.stores
    assert isinstance(store, SqliteStore)
    assert store.target.name == str(path)
    assert store.count("users", {"name": "new"}) == 1
    assert not path.exists()


@pytest.mark.parametrize("pool", [None, NullPool, QueuePool])
def test_sqlalchemy(redirect: Redirect, path: Path, pool: Any) -> None:
    engine = create_engine(f"sqlite:///{path}", poolclass=pool)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM users")) == 1
    mark = redirect.stores[0].mark()
    with engine.begin() as connection:
        connection.execute(text(_INSERT))
    _check(redirect, path)

    redirect.stores[0].restore(mark)

    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM users")) == 1
    engine.dispose()


@pytest.mark.parametrize("pool", [None, NullPool])
async def test_sqlalchemy_asynchronously(redirect: Redirect, path: Path, pool: Any) -> None:
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}", poolclass=pool)
    async with engine.connect() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM users")) == 1
    mark = redirect.stores[0].mark()
    async with engine.begin() as connection:
        await connection.execute(text(_INSERT))
    assert redirect.stores[0].changes(mark) == {"users": [Inserted(id=2, name="new", n=0)]}
    _check(redirect, path)

    redirect.stores[0].restore(mark)

    async with engine.connect() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM users")) == 1
    await engine.dispose()


async def test_what_sqlalchemy_connected_before_the_redirect_was_on_is_not_handed_out(
    redirect: Redirect, path: Path
) -> None:
    redirect.is_on = False
    sync, asynchronous = (
        create_engine(f"sqlite:///{path}"),
        create_async_engine(f"sqlite+aiosqlite:///{path}"),
    )
    scratch = create_engine("sqlite://")
    for engine in (sync, scratch):
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE early(x)"))
    async with asynchronous.begin() as connecting:
        await connecting.execute(text("SELECT * FROM early"))
    redirect.is_on = True

    with sync.begin() as connection:
        assert connection.scalar(text("SELECT count(*) FROM users")) == 1
    async with asynchronous.begin() as connecting:
        assert await connecting.scalar(text("SELECT count(*) FROM users")) == 1
    with scratch.begin() as connection:
        assert connection.scalar(text("SELECT count(*) FROM early")) == 0
    for engine in (sync, scratch):
        engine.dispose()
    await asynchronous.dispose()


class User(SQLModel, table=True):
    metadata = MetaData()  # of its own: the models of all tests share SQLModel's
    __tablename__ = "users"

    id: int | None = Field(default=None, primary_key=True)
    name: str


def test_sqlmodel(redirect: Redirect, path: Path) -> None:
    engine = create_engine(f"sqlite:///{path}")
    with Session(engine) as session:
        session.add(User(name="new"))
        session.commit()
        assert len(session.exec(select(User)).all()) == 2
    _check(redirect, path)
    engine.dispose()


class TortoiseUser(Model):
    id = IntField(primary_key=True)
    name = CharField(100)

    class Meta:
        table = "users"


@promise("database.redirect-sqlite")
async def test_tortoise(redirect: Redirect, path: Path) -> None:
    await Tortoise.init(db_url=f"sqlite://{path}", modules={"models": [__name__]})
    await TortoiseUser.create(name="new")
    assert await TortoiseUser.all().count() == 2
    await Tortoise.close_connections()
    _check(redirect, path)


async def test_databases(redirect: Redirect, path: Path) -> None:
    async with Database(f"sqlite+aiosqlite:///{path}") as database:
        await database.execute(_INSERT)
        assert await database.fetch_val("SELECT count(*) FROM users") == 2
    _check(redirect, path)


class PiccoloUser(Table, tablename="users"):
    name = Varchar()


async def test_piccolo(redirect: Redirect, path: Path) -> None:
    engine = SQLiteEngine(path=str(path))
    PiccoloUser._meta._db = engine
    await PiccoloUser(name="new").save()
    assert await PiccoloUser.count() == 2
    _check(redirect, path)


_DJANGO = """
import sqlite3, sys
from pathlib import Path

from pytest_asgi.adapters import drivers
from pytest_asgi.adapters.sqlite.opener import SqliteOpener
from pytest_asgi.database.redirect import Redirect

opener = SqliteOpener()
redirect = Redirect(lambda target: opener.open(target, build=None, key=None))
uninstall = drivers.install(redirect)
redirect.is_on = True

import django
from django.conf import settings
from django.db import connection, models

path = Path("app.db").absolute()
database = {"ENGINE": "django.db.backends.sqlite3", "NAME": path}
settings.configure(DATABASES={"default": database}, USE_TZ=True)
django.setup()

class User(models.Model):
    name = models.CharField(max_length=100)

    class Meta:
        app_label = "users"

with connection.schema_editor() as editor:
    editor.create_model(User)
store, = redirect.stores
mark = store.mark()
User.objects.create(name="new")
assert store.changes(mark)["users_user"][0].row == {"id": 1, "name": "new"}
store.restore(mark)
assert User.objects.count() == 0
assert store.target.name == str(path) and not path.exists()
connection.close()
uninstall()
redirect.close()
opener.close()
"""


@promise("database.redirect-sqlite")
def test_django(tmp_path: Path) -> None:
    # In a process of its own: it can be configured only once in each.
    subprocess.run(
        [sys.executable, "-W", "error", "-c", _DJANGO],
        check=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        timeout=60,
    )
