"""Whose a leak is follows from the context, whatever runs at the same time."""

from __future__ import annotations

import asyncio
from contextvars import copy_context

from pytest_asgi.runner.leaks.keepers import Keeper, keeper
from pytest_asgi.runner.leaks.tasks import TaskWatch, end_tasks
from tests.promises import promise


@promise("leaks.blamed")
async def test_tests_that_run_at_the_same_time_are_blamed_each_for_its_own() -> None:
    loop = asyncio.new_event_loop()
    TaskWatch().install(loop)
    keepers = [Keeper("the first"), Keeper("the second")]
    other_is_there = asyncio.Barrier(2)

    async def leave_behind() -> None:
        await asyncio.Event().wait()

    async def run_test(mine: Keeper) -> None:
        keeper.set(mine)
        await other_is_there.wait()
        asyncio.create_task(leave_behind(), name=f"of {mine.name}")  # noqa: RUF006 - left
        await other_is_there.wait()

    async def run_both() -> list[tuple[str, ...]]:
        tasks = [loop.create_task(run_test(each), context=copy_context()) for each in keepers]
        await asyncio.wait(tasks)
        found = [await end_tasks(each, ()) for each in keepers]
        return [leak.names for leaks in found for leak in leaks]

    names = await asyncio.to_thread(loop.run_until_complete, run_both())
    loop.close()

    assert [each[-1] for each in names] == ["of the first", "of the second"]
