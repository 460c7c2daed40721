"""`sqlite3.connect` leads to a private database, and to nothing else."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import aiosqlite
import pytest
from sqlalchemy import create_engine, text

from pytest_asgi.adapters.sqlite import connecting
from pytest_asgi.adapters.sqlite.opener import SqliteOpener
from pytest_asgi.database.redirect import Redirect, diverted_to
from tests.promises import promise


def _users(connection: sqlite3.Connection) -> list[Any]:
    return [row[0] for row in connection.execute("SELECT name FROM users ORDER BY id")]


@promise("database.redirect-sqlite")
def test_a_file_leads_to_the_private_database_and_is_not_made(
    redirect: Redirect, tmp_path: Path
) -> None:
    path = tmp_path / "app.db"

    for name in (str(path), path, bytes(path), path.as_uri()):
        connection = sqlite3.connect(name, uri=True)
        assert _users(connection) == ["seed"]
        connection.close()

    assert list(tmp_path.iterdir()) == []
    assert [store.target.name for store in redirect.stores] == [str(path)]


@promise("database.redirect-sqlite")
def test_a_file_that_is_there_is_neither_read_nor_written(
    redirect: Redirect, tmp_path: Path
) -> None:
    path = tmp_path / "production.db"
    path.write_bytes(b"not to be touched")

    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM users")
    connection.close()

    assert path.read_bytes() == b"not to be touched"


def test_another_file_is_another_database(redirect: Redirect, tmp_path: Path) -> None:
    first, second = (sqlite3.connect(tmp_path / name) for name in ("a.db", "b.db"))
    with first:
        first.execute("DELETE FROM users")

    assert (_users(first), _users(second)) == ([], ["seed"])
    first.close()
    second.close()


def test_a_link_to_a_file_is_the_same_database(redirect: Redirect, tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "app.db")

    for name in ("app.db", "link.db"):
        sqlite3.connect(tmp_path / name).close()

    assert len(redirect.stores) == 1


def test_a_read_only_uri_is_read_only(redirect: Redirect, tmp_path: Path) -> None:
    uri = f"{(tmp_path / 'app.db').as_uri()}?mode=ro&immutable=1&vfs=unix-none"
    connection = sqlite3.connect(uri, uri=True)

    assert _users(connection) == ["seed"]
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        connection.execute("DELETE FROM users")
    connection.close()


def test_all_arguments_pass_through(redirect: Redirect, tmp_path: Path) -> None:
    class Own(sqlite3.Connection):
        pass

    connection = sqlite3.connect(
        tmp_path / "app.db",
        timeout=1,
        detect_types=sqlite3.PARSE_COLNAMES,
        isolation_level=None,
        check_same_thread=False,
        factory=Own,
        cached_statements=7,
    )

    assert type(connection) is Own
    assert connection.isolation_level is None
    with pytest.raises(TypeError):
        sqlite3.connect(tmp_path / "app.db", nonsense=1)  # type: ignore[call-overload]  # It is.
    connection.close()


@pytest.mark.filterwarnings("ignore:Passing more than 1 positional:DeprecationWarning")
def test_arguments_by_position_pass_through(redirect: Redirect, tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "app.db", 1.0, 0, None)
    assert connection.isolation_level is None
    connection.close()


def test_the_usual_class_looks_as_usual(redirect: Redirect, tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "app.db")
    assert isinstance(connection, sqlite3.Connection)
    assert repr(connection).startswith("<sqlite3.Connection object at")
    connection.close()


def test_it_connects_as_ever_while_the_redirect_is_off(redirect: Redirect, tmp_path: Path) -> None:
    redirect.is_on = False

    sqlite3.connect(tmp_path / "app.db").execute("CREATE TABLE t(x)").connection.close()

    assert (tmp_path / "app.db").exists()
    with closing(sqlite3.connect(":memory:")) as connection:
        assert type(connection) is sqlite3.Connection


def test_an_allowed_file_is_opened_itself(redirect: Redirect, tmp_path: Path) -> None:
    redirect.allowed = ("*/reference.db",)

    sqlite3.connect(tmp_path / "reference.db").execute("CREATE TABLE t(x)").connection.close()

    assert (tmp_path / "reference.db").exists()
    assert redirect.stores == []


@pytest.mark.parametrize(
    "name", [".coverage", ".coverage.host.123", ".testmondata", ".mypy_cache/3.13/cache.db"]
)
def test_files_of_tools_are_left_alone(redirect: Redirect, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)

    sqlite3.connect(path).execute("CREATE TABLE t(x)").connection.close()

    assert path.exists()


def test_packages_of_tools_are_left_alone(redirect: Redirect, tmp_path: Path) -> None:
    code = "import sqlite3; sqlite3.connect(path).execute('CREATE TABLE t(x)').connection.close()"

    exec(code, {"__name__": "coverage.sqldata", "path": tmp_path / "any"})

    assert (tmp_path / "any").exists()


def test_a_database_in_memory_and_a_temporary_one_are_as_ever(redirect: Redirect) -> None:
    for name in ("", ":memory:"):
        connection = sqlite3.connect(name)
        assert connection.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,)
        connection.close()
    assert redirect.stores == []


async def test_aiosqlite_connects_in_its_thread_where_its_maker_would(
    redirect: Redirect, tmp_path: Path
) -> None:
    async with aiosqlite.connect(tmp_path / "app.db") as connection:
        await connection.execute("DELETE FROM users")
        await connection.commit()

    own = redirect.stores[0].fork()
    with diverted_to(own):
        async with aiosqlite.connect(tmp_path / "app.db") as connection:
            await connection.execute("INSERT INTO users(name) VALUES ('diverted')")
            await connection.commit()

    assert redirect.stores[0].count("users", {}) == 0
    assert own.count("users", {"name": "diverted"}) == 1
    own.close()


def test_the_driver_is_put_back_in_the_end(redirect: Redirect, opener: SqliteOpener) -> None:
    before = sqlite3.connect
    uninstall = connecting.install(
        Redirect(lambda target: opener.open(target, build=None, key=None))
    )
    assert sqlite3.connect is not before
    uninstall()
    assert sqlite3.connect is sqlite3.dbapi2.connect is before


def _make(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE own(x)")


def test_a_file_that_a_test_makes_by_hand_in_its_folder_is_its_own(
    redirect: Redirect, tmp_path: Path
) -> None:
    redirect.scratch_folder = lambda: tmp_path.parent
    path = tmp_path / "by-hand.db"

    _make(path)
    engine = create_engine(f"sqlite:///{path}")  # now it is there, so an engine gets it too
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM own")) == 0
    engine.dispose()

    assert path.exists()
    assert redirect.stores == []


def test_what_an_engine_makes_in_the_folder_of_a_test_is_private_for_all(
    redirect: Redirect, tmp_path: Path
) -> None:
    redirect.scratch_folder = lambda: tmp_path.parent
    engine = create_engine(f"sqlite:///{tmp_path / 'app.db'}")
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM users")) == 1
    engine.dispose()

    with closing(sqlite3.connect(tmp_path / "app.db")) as by_hand:
        assert _users(by_hand) == ["seed"]

    assert list(tmp_path.iterdir()) == []


def test_the_folder_of_tests_does_not_matter_for_other_files(
    redirect: Redirect, tmp_path: Path
) -> None:
    redirect.scratch_folder = lambda: tmp_path / "tests"

    with closing(sqlite3.connect(tmp_path / "app.db")) as connection:
        assert _users(connection) == ["seed"]
