"""`client.portal`: functions on the loop of the app, with the methods of anyio's portal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from pytest_asgi.asgi.types import Message, Receive, Scope, Send
from pytest_asgi.client.sync import TestClient
from pytest_asgi.client.sync_portal import Portal
from tests.apps.lifespans import Recording
from tests.promises import promise


@pytest.fixture(params=[False, True], ids=["test's loop", "own thread"])
def portal(request: pytest.FixtureRequest) -> Iterator[Portal]:
    with TestClient(Recording(), in_thread=request.param) as client:
        assert client.portal is not None
        yield client.portal


async def double(number: int) -> int:
    await asyncio.sleep(0)
    return 2 * number


async def fail() -> None:
    await asyncio.sleep(0)
    raise ConnectionError("lost")


@promise("client.portal")
def test_functions_are_called_on_the_loop_of_the_app(portal: Portal) -> None:
    assert portal.call(double, 2) == 4
    assert portal.call(str.upper, "a") == "A"
    assert portal.call(asyncio.get_running_loop) is portal.call(asyncio.get_running_loop)


@promise("client.portal")
def test_the_exception_of_a_function_is_raised(portal: Portal) -> None:
    with pytest.raises(ConnectionError, match="lost"):
        portal.call(fail)


@promise("client.portal")
def test_a_task_goes_on_while_the_test_waits_for_something_else(portal: Portal) -> None:
    letters: asyncio.Queue[int] = asyncio.Queue()

    future = portal.start_task_soon(letters.get, name="reader")
    assert not future.done()
    portal.call(letters.put, 1)

    assert future.result(10) == 1
    assert future.exception() is None


def test_the_exception_of_a_task_is_in_its_future(portal: Portal) -> None:
    future = portal.start_task_soon(fail)

    assert isinstance(future.exception(), ConnectionError)
    with pytest.raises(ConnectionError, match="lost"):
        future.result()


def test_waiting_for_a_task_may_have_a_time_limit(portal: Portal) -> None:
    future = portal.start_task_soon(asyncio.Event().wait)

    with pytest.raises(TimeoutError):
        future.result(0)
    assert future.cancel()


def test_a_task_can_be_cancelled(portal: Portal) -> None:
    future = portal.start_task_soon(asyncio.Event().wait)

    assert future.cancel()
    with pytest.raises(CancelledError):
        future.result()
    done = portal.start_task_soon(double, 1)
    done.result()
    assert not done.cancel()


def test_a_task_may_say_when_it_has_started(portal: Portal) -> None:
    async def serve(port: int, *, task_status: Any) -> str:
        await asyncio.sleep(0)
        task_status.started(port + 1)
        return "served"

    future, value = portal.start_task(serve, 80)

    assert value == 81
    assert future.result() == "served"


def test_a_task_that_fails_before_it_has_started_raises(portal: Portal) -> None:
    async def serve(*, task_status: Any) -> None:
        await fail()

    with pytest.raises(ConnectionError, match="lost"):
        portal.start_task(serve)


def test_a_task_that_never_says_so_is_an_error(portal: Portal) -> None:
    async def serve(*, task_status: Any) -> None: ...

    with pytest.raises(RuntimeError, match="started"):
        portal.start_task(serve, name="server")


class Scoped:
    """Makes context managers that hold a cancel scope, and notes how they were left."""

    def __init__(self, *, swallows: bool = False) -> None:
        self.left_with: list[BaseException | None] = []
        self._swallows = swallows

    @asynccontextmanager
    async def enter(self) -> AsyncIterator[str]:
        with anyio.CancelScope():
            try:
                yield "the value"
            except ConnectionError as error:
                self.left_with.append(error)
                if not self._swallows:
                    raise
            else:
                self.left_with.append(None)


@promise("client.portal")
def test_a_context_manager_is_entered_and_left_in_one_task(portal: Portal) -> None:
    scoped = Scoped()

    with portal.wrap_async_context_manager(scoped.enter()) as value:
        assert value == "the value"

    assert scoped.left_with == [None]


def test_a_context_manager_sees_the_exception_of_the_block(portal: Portal) -> None:
    scoped, error = Scoped(), ConnectionError("lost")

    with (
        pytest.raises(ConnectionError) as raised,
        portal.wrap_async_context_manager(scoped.enter()),
    ):
        raise error

    assert raised.value is error
    assert scoped.left_with == [error]


def test_a_context_manager_may_swallow_the_exception_of_the_block(portal: Portal) -> None:
    scoped = Scoped(swallows=True)

    with portal.wrap_async_context_manager(scoped.enter()):
        raise ConnectionError

    assert len(scoped.left_with) == 1


def test_a_context_manager_that_fails_when_it_is_left_raises(portal: Portal) -> None:
    @asynccontextmanager
    async def failing() -> AsyncIterator[None]:
        yield
        raise ConnectionError("lost")

    with (
        pytest.raises(ConnectionError, match="lost"),
        portal.wrap_async_context_manager(failing()),
    ):
        pass


@promise("client.portal")
def test_the_block_waits_for_the_tasks_that_are_left() -> None:
    done: list[str] = []

    async def work() -> None:
        await asyncio.sleep(0.001)
        done.append("work")

    with TestClient(Recording()) as client:
        assert client.portal is not None
        client.portal.start_task_soon(work)
        assert done == []

    assert done == ["work"]
    assert client.portal is None


@promise("client.portal")
@pytest.mark.parametrize("in_thread", [False, True])
def test_a_task_may_end_in_any_step_of_the_end_of_the_block(*, in_thread: bool) -> None:
    done: list[int] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_and_end(message: Message) -> None:
            if message["type"] == "lifespan.shutdown.complete":
                ends.set()
            await send(message)

        await Recording()(scope, receive, send_and_end)

    async def work(steps: int) -> None:
        await ends.wait()
        for _ in range(steps):
            await asyncio.sleep(0)
        done.append(steps)

    for steps in range(8):
        with TestClient(app, in_thread=in_thread) as client:
            assert client.portal is not None
            ends = asyncio.Event()
            client.portal.start_task_soon(work, steps)

    assert done == list(range(8))


def test_a_block_that_fails_cancels_the_tasks_that_are_left() -> None:
    started: list[Future[Any]] = []

    def work(portal: Portal | None) -> None:
        assert portal is not None
        started.append(portal.start_task_soon(asyncio.Event().wait))
        raise ConnectionError

    with pytest.raises(ConnectionError), TestClient(Recording()) as client:
        work(client.portal)

    assert started[0].cancelled()
