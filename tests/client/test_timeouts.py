"""A read timeout is a deadline for the app, and its message says where the app was waiting."""

from __future__ import annotations

import asyncio
import re
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import anyio
import httpx
import httpx2
import pytest

import pytest_asgi.httpx
from pytest_asgi.asgi.types import Receive, Scope, Send
from pytest_asgi.client.client import AsyncClient
from pytest_asgi.client.transport import ASGITransport
from tests.apps.plain import hello
from tests.apps.streams import Waiting, send_part, start
from tests.client.generations import ours
from tests.promises import promise

HERE = re.escape(__file__)


@pytest.fixture(autouse=True)
async def time_limit() -> AsyncIterator[None]:
    async with asyncio.timeout(10):
        yield


@promise("client.timeout")
async def test_an_app_that_takes_too_long_to_respond_times_out() -> None:
    app = Waiting(responding=False)

    with pytest.raises(httpx2.ReadTimeout, match=r"sent nothing for 0.01 seconds") as caught:
        await ours(app).get("/items", timeout=0.01)

    assert caught.value.request.url.path == "/items"
    assert app.ended == ["cancelled", "torn down"]


async def test_a_timeout_of_the_client_is_one_for_each_request() -> None:
    with pytest.raises(httpx2.ReadTimeout):
        await ours(Waiting(), timeout=0.01).get("/")


async def test_each_part_of_a_response_has_the_time() -> None:
    app = Waiting(b"one")

    async with ours(app).stream("GET", "/", timeout=0.01) as response:
        parts = response.aiter_raw()
        assert await anext(parts) == b"one"
        with pytest.raises(httpx2.ReadTimeout, match=r"sent nothing for 0.01 seconds"):
            await anext(parts)

    assert app.ended == ["cancelled", "torn down"]


async def test_other_timeouts_mean_nothing_to_an_app() -> None:
    timeout = httpx2.Timeout(connect=0.0001, write=0.0001, pool=0.0001, read=None)

    assert (await ours(hello).get("/", timeout=timeout)).text == "hello"


async def test_an_app_in_time_is_answered() -> None:
    assert (await ours(hello).get("/", timeout=10)).text == "hello"


@pytest.mark.parametrize(
    ("http", "transport"),
    [(httpx2, ASGITransport), (httpx, pytest_asgi.httpx.ASGITransport)],
    ids=["httpx2", "httpx"],
)
async def test_a_plain_client_times_out_on_request_only(http: Any, transport: Any) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(0.05)
        await hello(scope, receive, send)

    patient = http.AsyncClient(transport=transport(app), timeout=0.01)
    obeying = http.AsyncClient(transport=transport(app, obey_timeouts=True), timeout=0.01)

    assert (await patient.get("http://test/")).text == "hello"
    with pytest.raises(http.ReadTimeout):
        await obeying.get("http://test/")


async def test_a_timeout_error_of_the_app_is_its_own() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async with asyncio.timeout(0.001):
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError) as caught:
        await ours(app).get("/", timeout=10)

    assert not isinstance(caught.value, httpx2.ReadTimeout)


# --- where the app waits ---------------------------------------------------------------------


async def an_await() -> None:
    await asyncio.get_running_loop().create_future()


async def a_sleep() -> None:
    await asyncio.sleep(100)


async def a_lock() -> None:
    lock = asyncio.Lock()
    async with lock, lock:
        pass


async def a_queue() -> None:
    await asyncio.Queue[int]().get()


async def a_generator() -> None:
    async def numbers() -> AsyncIterator[int]:
        yield 1
        await asyncio.sleep(100)

    async for _ in numbers():
        pass


async def an_awaitable() -> None:
    class Query:
        def __await__(self) -> Any:
            return asyncio.sleep(100).__await__()

    await Query()


async def a_thread() -> None:
    released = threading.Event()
    try:
        await anyio.to_thread.run_sync(released.wait, abandon_on_cancel=True)
    finally:
        released.set()


async def a_task() -> None:
    await asyncio.create_task(a_sleep())


async def a_task_group() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(a_sleep(), name="sleeper")


async def a_group_of_anyio() -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(a_sleep, name="sleeper")


async def a_gathering() -> None:
    await asyncio.gather(a_sleep())


def waiting_in(wait: Callable[[], Awaitable[None]]) -> Any:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await start(send)
        await send_part(send, b"one")
        await wait()

    return app


async def _message(wait: Callable[[], Awaitable[None]]) -> str:
    with pytest.raises(httpx2.ReadTimeout) as caught:
        await ours(waiting_in(wait)).get("/", timeout=0.05)
    return str(caught.value)


@promise("client.timeout")
@pytest.mark.parametrize(
    ("wait", "where"),
    [
        (an_await, rf"it waits at {HERE}:\d+ in an_await\.$"),
        (a_sleep, rf"it waits at {HERE}:\d+ in a_sleep, which waits at \S+tasks\.py:\d+ in sleep"),
        (a_lock, rf"{HERE}:\d+ in a_lock, which waits at \S+locks\.py:\d+ in Lock\.acquire"),
        (a_queue, rf"{HERE}:\d+ in a_queue, which waits at \S+queues\.py:\d+ in Queue\.get"),
        (
            a_generator,
            rf"{HERE}:\d+ in a_generator\.<locals>\.numbers, which waits at \S+ in sleep",
        ),
        (an_awaitable, rf"{HERE}:\d+ in an_awaitable, which waits at \S+tasks\.py:\d+ in sleep"),
        (a_thread, rf"{HERE}:\d+ in a_thread, which waits at \S+anyio\S+:\d+ in \S*run_sync"),
        (a_task, rf"it waits at {HERE}:\d+ in a_sleep, which waits at \S+ in sleep\.$"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_the_message_says_where_the_app_waits(
    wait: Callable[[], Awaitable[None]], where: str
) -> None:
    assert re.search(where, await _message(wait))


@pytest.mark.skipif(sys.version_info < (3, 12), reason="a task does not tell its context")
@pytest.mark.parametrize(
    ("wait", "name"),
    [(a_task_group, "sleeper"), (a_group_of_anyio, "sleeper"), (a_gathering, r"Task-\d+")],
)
async def test_the_message_says_where_the_tasks_of_the_app_wait(
    wait: Callable[[], Awaitable[None]], name: str
) -> None:
    message = await _message(wait)

    assert re.search(rf"it waits at {HERE}:\d+ in {wait.__name__}", message)
    assert re.search(rf"its task '{name}' waits at {HERE}:\d+ in a_sleep, which", message)


async def test_a_client_with_a_lifespan_times_out_too() -> None:
    async with AsyncClient(Waiting(), timeout=0.01, lifespan=False) as client:
        with pytest.raises(httpx2.ReadTimeout):
            await client.get("/")
