"""Locks, queues, events, futures and tasks of another loop are named."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tests.runner.foreign_loops.errors import (
    awaited_event,
    awaited_queue,
    contended_lock,
    pending_future,
    pending_task,
)


@pytest.mark.parametrize(
    ("make", "use", "kind"),
    [
        (contended_lock, lambda thing: thing.acquire(), "asyncio.locks.Lock"),
        (awaited_queue, lambda thing: thing.get(), "asyncio.queues.Queue"),
        (awaited_event, lambda thing: thing.wait(), "asyncio.locks.Event"),
        (pending_future, lambda thing: thing, "asyncio.Future"),
    ],
)
def test_a_thing_of_asyncio_is_named_by_its_variable(
    make: Callable[[], Coroutine[Any, Any, object]],
    use: Callable[[Any], Any],
    kind: str,
    note: Callable[..., str],
) -> None:
    thing = asyncio.run(make())

    async def test() -> None:
        await use(thing)

    assert f"  object    `thing`, of type {kind}\n" in note(test)


def test_a_loop_that_is_still_open_is_told_from_a_closed_one(
    note: Callable[..., str], other_loop: asyncio.AbstractEventLoop
) -> None:
    future = other_loop.run_until_complete(pending_future())

    async def test() -> None:
        await future

    text_of_note = note(test)

    assert "`future` belongs to one event loop and was used in another." in text_of_note
    assert "its loop  open, made by asyncio.new_event_loop at" in text_of_note


def test_a_task_of_another_loop_is_named(
    note: Callable[..., str], other_loop: asyncio.AbstractEventLoop
) -> None:
    task = other_loop.run_until_complete(pending_task())

    async def test() -> None:
        await task

    assert "`task`, of type asyncio.Task" in note(test)
    task.cancel()
    other_loop.run_until_complete(asyncio.wait([task]))


def test_a_future_of_another_loop_is_named_when_asyncio_wraps_it(
    note: Callable[..., str], other_loop: asyncio.AbstractEventLoop
) -> None:
    future = other_loop.run_until_complete(pending_future())

    async def test() -> None:
        await asyncio.ensure_future(future, loop=asyncio.get_running_loop())

    assert "`future`, of type asyncio.Future" in note(test)


def test_a_thread_that_calls_into_the_wrong_loop_in_debug_mode_is_explained(
    note: Callable[..., str], other_loop: asyncio.AbstractEventLoop
) -> None:
    future = other_loop.run_until_complete(pending_future())
    other_loop.set_debug(True)

    async def test() -> None:
        started = threading.Event()
        other_loop.call_soon_threadsafe(started.set)
        thread = threading.Thread(target=other_loop.run_forever)
        thread.start()
        try:
            await asyncio.to_thread(started.wait, 5)
            future.add_done_callback(print)
            future.set_result(1)
        finally:
            other_loop.call_soon_threadsafe(other_loop.stop)
            await asyncio.to_thread(thread.join, 5)

    assert "`future`, of type asyncio.Future" in note(test)
