"""`TestClient(backend="trio")`: the app runs on trio, whatever the test runs on."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import AsyncIterator
from concurrent.futures import CancelledError, Future
from contextlib import asynccontextmanager
from contextvars import ContextVar
from importlib import import_module
from typing import Any

import pytest
import sniffio
import trio
from starlette.applications import Starlette
from starlette.background import BackgroundTasks
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from pytest_asgi import MissingExtraError, SettingsError, TestClient
from pytest_asgi.asgi.types import Receive, Scope, Send
from tests.promises import promise

variable: ContextVar[str] = ContextVar("variable", default="unset")
happened: list[str] = []


@asynccontextmanager
async def live(app: Starlette) -> AsyncIterator[dict[str, Any]]:
    async with trio.open_nursery() as nursery:
        yield {"nursery": nursery}
        happened.append("shutdown")
        nursery.cancel_scope.cancel()


async def tell(request: Request) -> Response:
    await trio.sleep(0)
    return PlainTextResponse(f"{sniffio.current_async_library()} {variable.get()}")


def block(request: Request) -> Response:
    return PlainTextResponse(threading.current_thread().name)


async def thread(request: Request) -> Response:
    return PlainTextResponse(str(threading.get_ident()))


async def stream(request: Request) -> Response:
    async def count() -> AsyncIterator[str]:
        for number in range(3):
            yield f"{number} "
            await trio.sleep(0)

    return StreamingResponse(count())


async def note(what: str) -> None:
    await trio.sleep(0)
    happened.append(what)


async def begin(task_status: trio.TaskStatus[None]) -> None:
    happened.append("started")
    task_status.started()
    await trio.sleep_forever()


async def work(request: Request) -> Response:
    tasks = BackgroundTasks()
    tasks.add_task(note, "worked")
    await request.state.nursery.start(begin)
    return PlainTextResponse("later", background=tasks)


async def fail(request: Request) -> Response:
    raise {"key": KeyError("app"), "exit": SystemExit(3)}[request.query_params["by"]]


async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_text(f"{text} {sniffio.current_async_library()}")


app = Starlette(
    lifespan=live,
    routes=[
        Route("/", tell),
        Route("/block", block),
        Route("/thread", thread),
        Route("/stream", stream),
        Route("/work", work),
        Route("/fail", fail),
        WebSocketRoute("/echo", echo),
    ],
)


@pytest.fixture
def client() -> Any:
    happened.clear()
    with TestClient(app, backend="trio") as client:
        yield client
    assert happened[-1] == "shutdown"


@promise("client.trio")
def test_requests_streams_and_websockets_are_answered_on_trio(client: TestClient) -> None:
    assert client.get("/").text == "trio unset"
    assert client.get("/block").text != threading.current_thread().name
    with client.stream("GET", "/stream") as response:
        assert "".join(response.iter_text()) == "0 1 2 "
    with client.websocket_connect("/echo") as websocket:
        websocket.send_text("hello")
        assert websocket.receive_text() == "hello trio"


@promise("client.trio")
async def test_in_an_async_test_too(client: TestClient) -> None:
    assert client.get("/").text == "trio unset"


def test_without_a_block_too() -> None:
    client = TestClient(app, backend="trio")
    token = variable.set("the test's")
    try:
        assert [client.get("/").text for _ in range(2)] == ["trio the test's"] * 2
    finally:
        variable.reset(token)
        client.close()


def test_background_tasks_are_done_and_nurseries_of_the_lifespan_work(client: TestClient) -> None:
    client.get("/work")

    assert happened == ["started", "worked"]


def test_whatever_an_app_raises_reaches_the_test_and_the_next_request_works(
    client: TestClient,
) -> None:
    with pytest.raises(KeyError, match="app"):
        client.get("/fail", params={"by": "key"})
    with pytest.raises(SystemExit):
        client.get("/fail", params={"by": "exit"})

    assert client.get("/").status_code == 200


def test_an_app_that_listens_for_its_client_is_cancelled_when_it_goes() -> None:
    async def wait(scope: Scope, receive: Receive, send: Send) -> None:
        await trio.sleep_forever()

    departure = TestClient(wait, backend="trio", disconnect_grace=0).disconnect("GET", "/")

    assert departure.was_cancelled


@promise("client.portal")
def test_the_portal_calls_functions_on_trio(client: TestClient) -> None:
    portal = client.portal
    assert portal is not None

    async def serve(*, task_status: Any) -> str:
        task_status.started(80)
        return sniffio.current_async_library()

    future, port = portal.start_task(serve)
    assert (port, future.result()) == (80, "trio")
    assert portal.call(sniffio.current_async_library) == "trio"
    with portal.wrap_async_context_manager(live(app)) as state:
        assert isinstance(state["nursery"], trio.Nursery)


@promise("client.portal")
def test_the_block_waits_for_the_tasks_that_are_left() -> None:
    with TestClient(app, backend="trio") as client:
        assert client.portal is not None
        left = client.portal.start_task_soon(trio.sleep, 0.001)

    assert left.done()


def test_a_block_that_fails_cancels_the_tasks_that_are_left() -> None:
    left: list[Future[Any]] = []

    def work(portal: Any) -> None:
        left.append(portal.start_task_soon(trio.sleep_forever))
        raise ConnectionError

    with pytest.raises(ConnectionError), TestClient(app, backend="trio") as client:
        work(client.portal)

    with pytest.raises(CancelledError):
        left[0].result()


def test_a_client_that_is_forgotten_ends_its_thread_wherever_it_is_collected(
    client: TestClient,
) -> None:
    def forget() -> None:
        forgotten = TestClient(app, backend="trio")
        threads.append(forgotten.get("/thread").text)
        del forgotten
        gc.collect()

    threads: list[str] = []
    assert client.portal is not None
    forget()
    kept = TestClient(app, backend="trio")
    threads.append(kept.get("/thread").text)
    held = [kept]
    del kept

    def collect() -> None:
        held.clear()
        gc.collect()

    client.portal.call(collect)

    assert not {thread.ident for thread in threading.enumerate()} & set(map(int, threads))


def test_an_option_that_trio_refuses_is_raised() -> None:
    client = TestClient(app, backend="trio", backend_options={"instruments": 1})

    with pytest.raises(TypeError):
        client.get("/")
    gc.collect()  # no coroutine is left that was never awaited


def test_the_options_are_those_of_trio() -> None:
    TestClient(app, backend="trio", backend_options={"strict_exception_groups": True}).get("/")

    with pytest.raises(SettingsError, match="'debug'"):
        TestClient(app, backend="trio", backend_options={"debug": True})


def test_without_trio_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "pytest_asgi.adapters.trio.thread", raising=False)
    monkeypatch.setitem(sys.modules, "trio", None)

    with pytest.raises(MissingExtraError, match="'trio'") as missing:
        TestClient(app, backend="trio")

    assert "pip install trio anyio" in missing.value.fix
    monkeypatch.undo()
    import_module("pytest_asgi.adapters.trio.thread")
