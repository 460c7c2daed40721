"""Errors of two event loops, made for tests, and what stands in the notes about them."""

import asyncio
import contextlib
from collections.abc import Callable

import pytest

Explain = Callable[[BaseException], str | None]

WIDTH = 68  # pytest puts some twelve columns in front
MARGIN = 14  # of a row's label, or of a line of source


def failure(function: Callable[[], object]) -> BaseException:
    try:
        function()
    except BaseException as error:  # noqa: BLE001 - the test looks at it
        return error
    pytest.fail("nothing was raised")


def required(note: str | None) -> str:
    assert note is not None
    long = (line for line in note.splitlines() if len(line) > WIDTH)
    assert not [line for line in long if not is_one_word(line)]
    return note


def is_one_word(line: str) -> bool:
    """Tell whether a line could not be shorter: a path stays whole, so that it can be clicked."""
    return " " not in line[MARGIN:].strip()


def unwrapped(note: str) -> str:
    return " ".join(note.split())


async def contended_lock() -> asyncio.Lock:
    lock = asyncio.Lock()

    async def use() -> None:
        async with lock:
            await asyncio.sleep(0)

    await asyncio.gather(use(), use())
    await lock.acquire()
    return lock


async def awaited_queue() -> asyncio.Queue[int]:
    queue: asyncio.Queue[int] = asyncio.Queue()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(queue.get(), 0.001)
    return queue


async def awaited_event() -> asyncio.Event:
    event = asyncio.Event()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), 0.001)
    return event


async def pending_future() -> asyncio.Future[int]:
    return asyncio.get_running_loop().create_future()


async def pending_task() -> asyncio.Task[None]:
    return asyncio.create_task(asyncio.Event().wait(), name="forever")  # type: ignore[arg-type]


def use_it(holder: object, use: object) -> None:
    raise RuntimeError("Task 1 got Future 2 attached to a different loop")


def closed() -> RuntimeError:
    return RuntimeError("Event loop is closed")
