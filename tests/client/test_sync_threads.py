"""`TestClient` in several threads, and with a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fastapi import FastAPI

from pytest_asgi import loop_driver
from pytest_asgi.asgi.types import Receive, Scope, Send
from pytest_asgi.client.portal import run_coroutine
from pytest_asgi.client.sync import TestClient
from pytest_asgi.errors import BridgeError
from tests.apps.plain import hello, require_http
from tests.promises import promise


@pytest.fixture
def alone() -> Iterator[None]:
    """Nobody gives the client a loop, as in a plain script."""
    token = run_coroutine.set(None)
    yield
    run_coroutine.reset(token)


class Meeting:
    """An app that answers when two requests are there."""

    def __init__(self) -> None:
        self.loops: set[asyncio.AbstractEventLoop] = set()
        self.threads: set[int] = set()
        self._present = 0
        self._complete: asyncio.Event | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        require_http(scope)
        self.loops.add(asyncio.get_running_loop())
        self.threads.add(threading.get_ident())
        self._complete = self._complete or asyncio.Event()
        self._present += 1
        if self._present == 2:
            self._complete.set()
        await self._complete.wait()
        await hello(scope, receive, send)


def _get_twice(client: TestClient) -> list[str]:
    with ThreadPoolExecutor(2) as pool:
        return [response.text for response in pool.map(client.get, ["/", "/"])]


@promise("client.threads")
@pytest.mark.parametrize("place", ["inside", "outside"])
def test_threads_share_the_loop_of_the_test(place: str) -> None:
    app = Meeting()
    client = TestClient(app)

    if place == "inside":
        with client:
            assert _get_twice(client) == ["hello", "hello"]
    else:
        assert _get_twice(client) == ["hello", "hello"]

    client.get("/")  # in the test's own thread
    assert len(app.loops) == 1


@promise("client.threads")
def test_the_test_waits_beside_a_thread() -> None:
    app = Meeting()
    client = TestClient(app)
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(client.get, "/")
        assert client.get("/").text == "hello"
        assert other.result().text == "hello"

    assert len(app.loops) == 1


@promise("client.threads")
def test_threads_share_the_loop_of_a_client_that_is_alone(alone: None) -> None:
    app = Meeting()
    client = TestClient(app)

    assert _get_twice(client) == ["hello", "hello"]

    assert len(app.loops) == 1
    client.close()


async def test_a_thread_of_an_async_test_uses_the_loop_of_the_test() -> None:
    app = Meeting()
    client = TestClient(app)

    async with asyncio.timeout(60):
        await asyncio.gather(*(asyncio.to_thread(client.get, "/") for _ in range(2)))

    assert app.loops == {asyncio.get_running_loop()}


def test_a_thread_with_a_loop_of_its_own_may_use_the_client(alone: None) -> None:
    client = TestClient(hello)

    async def get() -> str:
        return client.get("/").text

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(asyncio.run, get()).result() == "hello"
    client.close()


def test_the_exception_of_the_app_is_raised_in_the_thread() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise ConnectionError("down")

    client = TestClient(app)
    with ThreadPoolExecutor(1) as pool, pytest.raises(ConnectionError, match="down"):
        pool.submit(client.get, "/").result()


async def test_a_thread_does_not_wait_for_a_loop_whose_thread_waits_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loop_driver, "_GLANCE_SECONDS", 0.02)
    client = TestClient(hello)

    with ThreadPoolExecutor(1) as pool, pytest.raises(BridgeError, match="waits as well") as error:
        pool.submit(client.get, "/").result()

    assert "in_thread=True" in error.value.fix


async def test_a_thread_waits_for_a_loop_that_is_only_busy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Counting(loop_driver._Standstill):
        def has_lasted(self, thread: int | None) -> bool:
            glances.append(thread)
            return super().has_lasted(thread)

    glances: list[int | None] = []
    number = 0
    monkeypatch.setattr(loop_driver, "_GLANCE_SECONDS", 0.005)
    monkeypatch.setattr(loop_driver, "_Standstill", Counting)
    client = TestClient(hello)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(int).result()  # starting a thread waits for a lock
        response = pool.submit(client.get, "/")
        while len(glances) < 2 * loop_driver._GLANCES:  # no lock: it computes
            number += 1
        assert (await asyncio.wrap_future(response)).text == "hello"


def test_an_app_that_asks_itself_is_told(alone: None) -> None:
    def ask() -> None:
        client.get("/")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        ask()

    client = TestClient(app)

    with pytest.raises(BridgeError, match="inside a task"):
        client.get("/")
    client.close()


def test_what_ends_the_loop_of_a_client_that_is_alone_cancels_the_app(alone: None) -> None:
    happened: list[str] = []

    async def leave() -> None:
        raise SystemExit("enough")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        leaving = asyncio.create_task(leave())
        try:
            await asyncio.Event().wait()
        finally:
            happened.append(f"cancelled after {leaving.exception()}")

    client = TestClient(app)

    with pytest.raises(SystemExit, match="enough"):
        client.get("/")

    assert happened == ["cancelled after enough"]
    client.close()


def test_a_loop_that_the_app_stops_is_told_of_as_ever(alone: None) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        require_http(scope)
        asyncio.get_running_loop().stop()
        await asyncio.Event().wait()

    with TestClient(app) as client, pytest.raises(RuntimeError, match="stopped before"):
        client.get("/")


# --- a thread of its own -----------------------------------------------------------------------


@promise("client.in-thread")
@pytest.mark.parametrize("place", ["inside", "outside"])
async def test_the_app_goes_on_while_the_test_blocks_its_thread(place: str) -> None:
    app = Meeting()
    client = TestClient(app, in_thread=True)

    if place == "inside":
        with client:
            assert _get_twice(client) == ["hello", "hello"]
    else:
        assert _get_twice(client) == ["hello", "hello"]

    assert asyncio.get_running_loop() not in app.loops
    assert threading.get_ident() not in app.threads
    client.close()


@promise("client.in-thread")
def test_a_task_of_the_app_goes_on_between_two_requests() -> None:
    app = FastAPI()
    worked = threading.Event()
    tasks: list[asyncio.Task[Any]] = []

    async def work() -> None:
        await asyncio.sleep(0)
        worked.set()

    @app.post("/")
    async def start() -> None:
        tasks.append(asyncio.create_task(work()))

    client = TestClient(app, in_thread=True)
    client.post("/")

    assert worked.wait(60)
    client.close()


def test_the_thread_ends_with_the_block() -> None:
    threads: list[threading.Thread] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        threads.append(threading.current_thread())
        await hello(scope, receive, send)

    with TestClient(app, in_thread=True) as client:
        client.get("/")
        assert threads[0].is_alive()

    assert not threads[0].is_alive()


def test_the_thread_runs_the_chosen_loop() -> None:
    class MyLoop(asyncio.SelectorEventLoop): ...

    app = Meeting()
    with TestClient(app, in_thread=True, backend_options={"loop_factory": MyLoop}) as client:
        _get_twice(client)

    assert {type(loop) for loop in app.loops} == {MyLoop}


def test_what_interrupts_the_test_cancels_the_app(monkeypatch: pytest.MonkeyPatch) -> None:
    cancelled = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        require_http(scope)
        running.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    class Interrupted(BaseException): ...

    def interrupt(self: object, timeout: float | None = None) -> None:
        running.wait()
        raise Interrupted

    running = threading.Event()
    client = TestClient(app, in_thread=True)
    monkeypatch.setattr("concurrent.futures.Future.result", interrupt)

    with pytest.raises(Interrupted):
        client.get("/")

    assert cancelled.wait(60)
    client.close()
