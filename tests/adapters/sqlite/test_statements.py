"""The statements of sqlite3 and aiosqlite are told of, with their lines, rows and outcomes."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiosqlite
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from pytest_asgi import events

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_asgi.database.redirect import Redirect

_INSERT = "INSERT INTO users(name) VALUES (?)"


@pytest.fixture
def told() -> Iterator[list[events.Event]]:
    told: list[events.Event] = []
    token = events.listener.set(told.append)
    yield told
    events.listener.reset(token)


def _statements(told: list[events.Event]) -> list[tuple[Any, ...]]:
    return [
        (each.sql, each.kind, each.rows, each.batch)
        for each in told
        if isinstance(each, events.StatementExecuted)
    ]


def test_statements_of_sqlite3(
    redirect: Redirect, tmp_path: Path, told: list[events.Event]
) -> None:
    with closing(sqlite3.connect(tmp_path / "app.db")) as connection:
        connection.execute(_INSERT, ("one",))
        connection.cursor().executemany(_INSERT, iter([("two",), ("three",)]))
        connection.commit()
        connection.commit()
        connection.execute("DELETE FROM users")
        connection.rollback()
        connection.executescript("SELECT 1; SELECT 2")
        with pytest.raises(sqlite3.OperationalError):
            connection.execute("SELECT nothing")

    assert _statements(told) == [
        (_INSERT, "query", 1, None),
        (_INSERT, "query", 2, 2),
        ("COMMIT", "transaction", None, None),
        ("DELETE FROM users", "query", 4, None),
        ("ROLLBACK", "transaction", None, None),
        ("SELECT 1; SELECT 2", "query", None, None),
        ("SELECT nothing", "query", None, None),
    ]
    opened = [each for each in told if isinstance(each, events.ConnectionOpened)]
    assert [(each.driver, each.is_private) for each in opened] == [("sqlite3", True)]


async def test_statements_of_aiosqlite_have_the_line_that_awaits_them(
    redirect: Redirect, tmp_path: Path, told: list[events.Event]
) -> None:
    async with aiosqlite.connect(tmp_path / "app.db") as connection:
        await connection.execute(_INSERT, ("one",))
        await connection.commit()

    assert _statements(told) == [
        (_INSERT, "query", 1, None),
        ("COMMIT", "transaction", None, None),
    ]
    places = [each.place for each in told if isinstance(each, events.StatementExecuted)]
    assert [place is not None and place[0] for place in places] == [__file__, __file__]
    opened = [each for each in told if isinstance(each, events.ConnectionOpened)]
    assert [each.driver for each in opened] == ["aiosqlite"]


async def test_statements_by_sqlalchemy_have_the_line_of_the_user(
    redirect: Redirect, tmp_path: Path, told: list[events.Event]
) -> None:
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'app.db'}")
    async with engine.begin() as connection:
        await connection.execute(text("DELETE FROM users"))
    await engine.dispose()

    (statement,) = [
        each
        for each in told
        if isinstance(each, events.StatementExecuted) and each.kind == "query"
    ]
    assert (statement.sql, statement.rows) == ("DELETE FROM users", 1)
    assert statement.place is not None
    assert statement.place[0] == __file__


def test_a_cursor_of_an_own_class_and_an_untold_statement_work_as_ever(
    redirect: Redirect, tmp_path: Path
) -> None:
    class Own(sqlite3.Cursor):
        pass

    with closing(sqlite3.connect(tmp_path / "app.db")) as connection:
        assert type(connection.cursor(Own)) is Own
        cursor = connection.execute(_INSERT, ("one",))
        assert repr(cursor).startswith("<sqlite3.Cursor object")
        assert cursor.executemany(_INSERT, [("two",)]) is cursor
        assert cursor.executescript("SELECT 1") is cursor
        connection.row_factory = sqlite3.Row
        assert [*map(dict, connection.execute("SELECT 1 AS one"))] == [{"one": 1}]
