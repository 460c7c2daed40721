"""`TestClient` reads a response while the app sends it."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable, Iterator
from typing import Any

import anyio.from_thread
import anyio.to_thread
import httpx2
import pytest

from pytest_asgi.asgi.types import Receive, Scope, Send
from pytest_asgi.client.portal import run_coroutine
from pytest_asgi.client.sync import TestClient
from tests.apps.plain import BODY, START, hello, require_http, sending
from tests.promises import promise

PART = {**BODY, "more_body": True}


class Ticking:
    """An endless response; notes what happened."""

    def __init__(self) -> None:
        self.sent = 0
        self.happened: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        require_http(scope)
        await receive()
        await send({**START, "headers": [(b"content-type", b"text/event-stream")]})
        try:
            while True:
                self.sent += 1
                await send({**PART, "body": b"data: tick\n\n"})
                await asyncio.sleep(0)
        except OSError:
            self.happened.append("the client has left")
            raise


@promise("client.sync-stream")
def test_an_endless_response_is_read_and_closed() -> None:
    app = Ticking()
    client = TestClient(app)

    with client.stream("GET", "/") as response:
        parts = response.iter_bytes()
        assert [next(parts) for _ in range(3)] == [b"data: tick\n\n"] * 3
        assert app.happened == []

    assert app.happened == ["the client has left"]


@promise("client.sync-stream")
async def test_it_is_in_an_async_test_too() -> None:
    app = Ticking()

    with TestClient(app).stream("GET", "/") as response:
        assert next(response.iter_bytes()) == b"data: tick\n\n"

    assert app.happened == ["the client has left"]


@promise("client.sync-stream")
def test_a_response_is_there_before_the_app_has_sent_its_body() -> None:
    released = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        require_http(scope)
        await send({**START, "status": 202})
        await released.wait()
        await send(BODY)

    client = TestClient(app)
    with client.stream("GET", "/") as response:
        assert response.status_code == 202
        released.set()
        assert response.read() == b"done"


def test_server_sent_events_are_read() -> None:
    with TestClient(Ticking()).sse("/") as events:
        assert next(iter(events)).data == "tick"


def test_a_response_that_nobody_closes_is_ended_with_the_block() -> None:
    app = Ticking()

    with TestClient(app) as client:
        client.send(client.build_request("GET", "/"), stream=True)
        assert app.happened == []

    assert app.happened == ["the client has left"]


def test_a_response_that_nobody_closes_is_ended_with_the_client() -> None:
    app = Ticking()
    client = TestClient(app)
    client.send(client.build_request("GET", "/"), stream=True)

    client.close()

    assert app.happened == ["the client has left"]


async def failing(scope: Scope, receive: Receive, send: Send) -> None:
    """Fail in the middle of a response."""
    require_http(scope)
    await send(START)
    await send(PART)
    raise ConnectionError("lost")


def test_the_exception_of_the_app_is_raised_to_the_reader() -> None:
    with (
        pytest.raises(ConnectionError, match="lost"),
        TestClient(failing).stream("GET", "/") as response,
    ):
        response.read()


def test_the_exception_of_the_app_is_raised_when_the_response_is_closed() -> None:
    response = TestClient(failing).stream("GET", "/")

    with pytest.raises(ConnectionError, match="lost"), response:
        pass


def test_the_exception_of_the_app_is_raised_when_the_block_ends() -> None:
    client = TestClient(failing)
    client.__enter__()
    client.send(client.build_request("GET", "/"), stream=True)

    with pytest.raises(ConnectionError, match="lost"):
        client.__exit__()


@pytest.mark.parametrize("way", ["response", "client"])
def test_the_failure_of_the_test_comes_before_that_of_the_app(way: str) -> None:
    def look(client: TestClient) -> None:
        if way == "response":
            with client.stream("GET", "/"):
                pytest.fail("the test's own")
        else:
            with client:
                client.send(client.build_request("GET", "/"), stream=True)
                pytest.fail("the test's own")

    with pytest.raises(pytest.fail.Exception, match="the test's own") as failure:
        look(TestClient(failing))

    assert "ConnectionError: lost" in "".join(failure.value.__notes__)


def test_the_app_fails_in_a_thread_while_it_is_being_cancelled() -> None:
    def fail() -> None:
        waiting = threading.Event()
        while True:
            try:
                anyio.from_thread.check_cancelled()
            except BaseException as cancelled:
                raise ConnectionError("rolled back") from cancelled
            waiting.wait(0.001)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        require_http(scope)
        await send(START)
        await anyio.to_thread.run_sync(fail)

    client = TestClient(app, disconnect_grace=0)

    with pytest.raises(ConnectionError, match="rolled back"), client.stream("GET", "/"):
        pass


def test_the_body_of_a_request_may_be_a_generator() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        message = await receive()
        await sending(START, {**BODY, "body": message["body"]})(scope, receive, send)

    def body() -> Iterator[bytes]:
        yield b"one "
        yield b"two"

    with TestClient(app).stream("POST", "/", content=body()) as response:
        assert response.read() == b"one two"


# --- time limits -----------------------------------------------------------------------------


async def silent(scope: Scope, receive: Receive, send: Send) -> None:
    require_http(scope)
    await asyncio.Event().wait()


def test_a_timeout_is_a_deadline_for_the_app() -> None:
    with pytest.raises(httpx2.ReadTimeout, match="in silent"):
        TestClient(silent).get("/", timeout=0.001)


def test_without_a_timeout_there_is_no_deadline() -> None:
    client = TestClient(hello)

    assert client.timeout == httpx2.Timeout(None)
    assert client.get("/", timeout=10).text == "hello"


# --- background tasks ------------------------------------------------------------------------


def test_background_tasks_can_be_awaited_later() -> None:
    done: list[str] = []
    allowed = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        require_http(scope)
        await sending(START, BODY)(scope, receive, send)
        await allowed.wait()
        done.append("afterwards")

    client = TestClient(app, await_background=False)
    client.get("/")
    assert done == []
    allowed.set()

    client.settle()

    assert done == ["afterwards"]


async def failing_afterwards(scope: Scope, receive: Receive, send: Send) -> None:
    require_http(scope)
    await sending(START, PART, BODY)(scope, receive, send)
    raise ConnectionError("afterwards")


def read_one_part(*, and_keep_the_reader: bool) -> None:
    with TestClient(failing_afterwards).stream("GET", "/") as response:
        parts: Iterator[bytes] | None = response.iter_raw()
        assert parts is not None
        next(parts)
        if not and_keep_the_reader:
            parts = None  # and so it is closed, where nobody sees what that raises


@promise("client.stream-failure")
@pytest.mark.parametrize("keep", [True, False])
def test_a_failure_behind_a_reader_that_stops_early_is_raised(keep: object) -> None:
    with pytest.raises(ConnectionError):
        read_one_part(and_keep_the_reader=bool(keep))


def test_it_is_a_note_to_what_the_block_raises() -> None:
    def stop() -> None:
        with TestClient(failing_afterwards).stream("GET", "/") as response:
            next(response.iter_raw())
            raise KeyError

    with pytest.raises(KeyError) as caught:
        stop()

    assert "ConnectionError: afterwards" in caught.value.__notes__[0]


@pytest.mark.parametrize("end", [TestClient.settle, TestClient.close])
def test_without_a_block_it_is_raised_when_the_client_settles(
    end: Callable[[TestClient], None],
) -> None:
    client = TestClient(failing_afterwards)
    for _ in range(2):
        response = client.send(client.build_request("GET", "/"), stream=True)
        next(response.iter_raw())

    with pytest.raises(ExceptionGroup) as caught:
        end(client)

    assert caught.group_contains(ConnectionError)
    client.close()


def test_options_say_how_the_app_is_called() -> None:
    seen: list[dict[str, Any]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(dict(scope))
        await hello(scope, receive, send)

    TestClient(app, http_version="2", extensions={"http.response.trailers": {}}).get("/")

    assert seen[0]["http_version"] == "2"
    assert "http.response.trailers" in seen[0]["extensions"]


def test_a_reader_that_is_left_behind_may_outlive_its_loop() -> None:
    app = Ticking()
    with asyncio.Runner() as runner:
        token = run_coroutine.set(runner.run)
        client = TestClient(app)
        response = client.send(client.build_request("GET", "/"), stream=True)
        parts = response.iter_bytes()
        assert next(parts) == b"data: tick\n\n"

    del client, response, parts
    gc.collect()  # A coroutine that nobody has awaited would fail the test here.
    run_coroutine.reset(token)
