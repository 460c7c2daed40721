"""An answer that nobody has awaited is not taken for the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from pytest_asgi.adapters.sqlalchemy_models import Models
from pytest_asgi.database.answers import Answer
from pytest_asgi.database.database import Database, SyncDatabase
from pytest_asgi.errors import DatabaseError
from tests.database.small_store import SmallStore
from tests.promises import promise


@pytest.fixture
def db() -> Iterator[Database]:
    with closing(SmallStore("create table users (id int); insert into users values (1)")) as store:
        yield Database(SyncDatabase(store, Models()))


@promise("database.awaited")
async def test_it_is_neither_true_nor_equal_to_anything(db: Database) -> None:
    untyped: Any = db  # a type checker would not let it pass

    with pytest.raises(DatabaseError, match=r"assert await db\.has"):
        assert untyped.has("users", id=2)
    with pytest.raises(DatabaseError, match=r"assert await db\.count"):
        assert untyped.count("users") == 1


async def test_it_is_a_coroutine_to_everybody_else(db: Database) -> None:
    task = asyncio.create_task(db.count("users"))
    async with asyncio.timeout(10):
        answers = await asyncio.gather(db.count("users"), task, db.count("users", id=2))
    assert [*answers] == [1, 1, 0]
    answer = db.count("users")
    assert answer.__name__ == "count"  # type: ignore[attr-defined]  # as every coroutine has
    answer.close()


async def test_an_exception_is_thrown_into_it() -> None:
    caught: list[BaseException] = []

    async def ask() -> None:
        try:
            await asyncio.Event().wait()
        except LookupError as error:
            caught.append(error)

    for arguments in ((LookupError("now"),), (LookupError, LookupError("then"), None)):
        answer: Any = Answer(ask(), "count")
        answer.send(None)
        with pytest.raises(StopIteration):
            answer.throw(*arguments)

    assert [str(error) for error in caught] == ["now", "then"]
