"""The note says what happened, where, why, and what to change; it fits into a report."""

import asyncio
from collections.abc import Callable
from types import ModuleType
from typing import Any

from tests.runner.foreign_loops.errors import (
    contended_lock,
    pending_future,
)

DB = """\
import asyncio

class Pool:
    def __init__(self):
        self.lock = asyncio.Lock()

    async def use(self):
        async with self.lock:
            await asyncio.sleep(0)

async def open_pool():
    pool = Pool()
    await asyncio.gather(pool.use(), pool.use())
    return pool

pool = asyncio.run(open_pool())
"""

REPOSITORY = """\
import asyncio
import db

async def save_two():
    async with db.pool.lock:
        await db.pool.lock.acquire()
"""


def test_the_note_names_the_object_both_loops_where_the_other_was_made_and_the_fix(
    world: Callable[[str, str], ModuleType], note: Callable[..., str]
) -> None:
    world("db", DB)
    repository = world("repository", REPOSITORY)

    assert note(repository.save_two) == NOTE


NOTE = """\
`db.pool.lock` belongs to an event loop that is closed.

  object    `db.pool.lock`, of type asyncio.locks.Lock
  used at   repository.py:6 in save_two
              await db.pool.lock.acquire()
  its loop  closed, made by asyncio.run at db.py:16
              pool = asyncio.run(open_pool())
  used in   the session's loop, open

Why: What is opened in one event loop works in that loop only.
Fixtures, tests and the app share the session's loop; db.py:16 made
another, which asyncio.run closes when it returns.

Fix: Make no loop for `db.pool.lock`: open it in the app's lifespan
or in an async fixture. Both run in the session's loop.

    @pytest.fixture(scope="session")
    async def pool():
        pool = await open_pool()
        yield pool"""

SEEDED_DB = """\
import asyncio

lock = asyncio.Lock()

async def use():
    async with lock:
        await asyncio.sleep(0)

async def use_twice():
    await asyncio.gather(use(), use())

asyncio.run(use_twice())
"""


def test_what_was_run_at_import_is_moved_to_a_fixture_that_runs_before_all_tests(
    world: Callable[[str, str], ModuleType], note: Callable[..., str]
) -> None:
    db = world("db", SEEDED_DB)

    text_of_note = note(db.use_twice)

    assert '@pytest.fixture(scope="session", autouse=True)' in text_of_note
    assert "        await use_twice()" in text_of_note


def test_what_a_test_runs_by_itself_is_not_moved_before_all_tests(
    note: Callable[..., str],
) -> None:
    locks: list[asyncio.Lock] = []

    async def seed() -> None:
        locks.append(await contended_lock())

    async def test() -> None:
        await locks[0].acquire()

    asyncio.run(seed())

    text_of_note = note(test)
    assert "              asyncio.run(seed())\n" in text_of_note
    assert "@pytest.fixture" not in text_of_note


RUN_ON_SEVERAL_LINES = """\
import asyncio

async def connect():
    return asyncio.get_running_loop().create_future()

connection = asyncio.run(
    connect()
)
"""


def test_a_run_written_on_several_lines_leaves_the_opening_to_the_reader(
    world: Callable[[str, str], ModuleType], note: Callable[..., str]
) -> None:
    db = world("db", RUN_ON_SEVERAL_LINES)

    async def test() -> None:
        await db.connection

    text_of_note = note(test)

    assert "              connection = asyncio.run(\n" in text_of_note
    assert "        connection = ...  # open it here\n" in text_of_note


def test_code_without_a_file_is_shown_by_its_place_alone(note: Callable[..., str]) -> None:
    namespace: dict[str, Any] = {"asyncio": asyncio, "make": pending_future, "__name__": "gone"}
    exec(compile("thing = asyncio.run(make())", "gone.py", "exec"), namespace)
    thing = namespace["thing"]

    async def test() -> None:
        await thing

    assert "made by asyncio.run at gone.py:1\n  used in   " in note(test)
