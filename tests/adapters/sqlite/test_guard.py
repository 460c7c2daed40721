"""No way past `sqlite3.connect` leads to a file that is not private."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from sqlite3 import connect as connect_imported_early
from typing import Any

import aiosqlite
import pytest
from sqlalchemy import create_engine, text

from pytest_asgi.adapters.sqlite.store import SqliteStore
from pytest_asgi.database.redirect import Redirect
from pytest_asgi.errors import AsgiWarning, DatabaseRefusedError
from tests.promises import promise


class Own(sqlite3.Connection):
    pass


@promise("database.sqlite-guard")
@pytest.mark.parametrize("connect", [sqlite3.Connection, Own, connect_imported_early])
def test_what_passes_by_is_refused(
    redirect: Redirect, tmp_path: Path, connect: Callable[[Any], sqlite3.Connection]
) -> None:
    path = tmp_path / "app.db"

    with pytest.raises(DatabaseRefusedError, match=r"past `sqlite3\.connect`") as caught:
        connect(path)

    assert f"{__file__}:" in str(caught.value)
    assert not path.exists()
    redirect.allowed = ("*/app.db",)
    connect(path).close()
    redirect.allowed = ()
    connect(":memory:").close()
    redirect.is_on = False
    connect(path).close()


@promise("database.sqlite-guard")
@pytest.mark.parametrize(
    ("statement", "parameters"),
    [
        ("ATTACH 'other.db' AS other", ()),
        ('attach database "other.db" as other', ()),
        ("/* ; */ ATTACH other_file AS other", ()),
        ("ATTACH ? AS ?", ("it's as other.db", "other")),
        ("ATTACH DATABASE :file AS other", {"file": "other.db"}),
        ("ATTACH 'file:' || ? || '?mode=rw' AS other", ("other.db",)),
        ("ATTACH CAST(? AS TEXT) AS other", ("other.db",)),
        ("ATTACH 'as as other.db' AS other;", ()),
    ],
)
def test_what_is_attached_is_private(
    redirect: Redirect,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    statement: str,
    parameters: Any,
) -> None:
    monkeypatch.chdir(tmp_path)
    connection = sqlite3.connect("app.db")

    connection.execute(statement, parameters)
    connection.execute("INSERT INTO other.users(name) VALUES ('attached')")
    connection.commit()

    main, other = redirect.stores
    assert main.count("users", {"name": "attached"}) == 0
    assert other.count("users", {"name": "attached"}) == 1
    assert list(tmp_path.iterdir()) == []
    connection.close()


def test_what_is_attached_is_put_back_from_the_middle_of_a_transaction(
    redirect: Redirect, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(
            f"CREATE TABLE own(x); ATTACH '{tmp_path / 'app.db'}' AS app; SELECT 'attach; it'"
        )
        (store,) = redirect.stores
        mark = store.mark()
        connection.execute("DELETE FROM app.users")

        store.restore(mark)

        assert connection.execute("SELECT name FROM users").fetchall() == [("seed",)]
        with pytest.raises(DatabaseRefusedError, match="not clear which"):
            connection.execute("ATTACH nonsense( AS other")


def test_a_scratch_pad_may_be_attached(redirect: Redirect, tmp_path: Path) -> None:
    redirect.allowed = ("*/reference.db",)
    with closing(sqlite3.connect(tmp_path / "app.db")) as connection:
        for number, name in enumerate(("", ":memory:", tmp_path / "reference.db")):
            connection.execute("ATTACH ? AS ?", (str(name), f"db{number}"))
            connection.execute(f"CREATE TABLE db{number}.own(x)")

    assert [path.name for path in tmp_path.iterdir()] == ["reference.db"]
    assert len(redirect.stores) == 1


async def test_libraries_attach_private_databases(redirect: Redirect, tmp_path: Path) -> None:
    async with aiosqlite.connect(tmp_path / "app.db") as connection:
        await connection.execute("ATTACH ? AS other", (str(tmp_path / "other.db"),))
        await connection.execute("DELETE FROM other.users")
        await connection.commit()
    engine = create_engine(f"sqlite:///{tmp_path / 'app.db'}")
    with engine.connect() as synchronous:
        synchronous.execute(text("ATTACH :file AS more"), {"file": str(tmp_path / "more.db")})
        assert synchronous.scalar(text("SELECT count(*) FROM more.users")) == 1
    engine.dispose()

    names = [Path(store.target.name).name for store in redirect.stores]
    assert names == ["app.db", "other.db", "more.db"]
    assert list(tmp_path.iterdir()) == []


@promise("database.sqlite-guard")
def test_classes_of_the_apps_own_attach_nothing_else(redirect: Redirect, tmp_path: Path) -> None:
    class Cursor(sqlite3.Cursor):
        pass

    statement = f"ATTACH '{tmp_path / 'other.db'}' AS other"
    connections = sqlite3.connect(tmp_path / "app.db", factory=Own), sqlite3.connect(":memory:")

    for connection in connections:
        cursor = connection.cursor(Cursor)
        with (
            pytest.warns(AsgiWarning, match="tests reach private databases only"),
            pytest.raises(sqlite3.DatabaseError, match="not authorized"),
        ):
            cursor.execute(statement)
        cursor.execute("ATTACH '' AS scratch")
        cursor.execute("VACUUM")
        connection.close()

    assert list(tmp_path.iterdir()) == []
    assert all(isinstance(store, SqliteStore) for store in redirect.stores)
