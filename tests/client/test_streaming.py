"""Responses that are read while the app sends them, and requests that it reads meanwhile."""

from __future__ import annotations

import asyncio
import gc
import json
import pickle
import weakref
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
from starlette.requests import Request

from pytest_asgi.asgi.streaming import HIGH_WATER
from pytest_asgi.asgi.types import Message, Receive, Scope, Send
from pytest_asgi.client.client import AsyncClient
from tests.apps.plain import BODY, START, echo, hello, read_body, respond, sending
from tests.apps.streams import (
    Endless,
    Waiting,
    chunks_of,
    end,
    send_part,
    sending_parts,
    start,
)
from tests.client.generations import ALL, MakeClient, ours
from tests.promises import promise


@pytest.fixture(autouse=True)
async def time_limit() -> AsyncIterator[None]:
    async with asyncio.timeout(10):
        yield


# --- responses -------------------------------------------------------------------------------


@promise("client.streaming")
@ALL
async def test_parts_arrive_as_the_app_sends_them(make_client: MakeClient) -> None:
    async with make_client(sending_parts(b"one", b"two", b"three")).stream("GET", "/") as response:
        parts = [part async for part in response.aiter_raw()]

    assert parts == [b"one", b"two", b"three"]


@ALL
async def test_the_response_is_there_before_its_first_part(make_client: MakeClient) -> None:
    go_on = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({**START, "status": 201, "headers": [(b"x-id", b"1")]})
        await go_on.wait()
        await end(send)

    async with make_client(app).stream("GET", "/") as response:
        assert (response.status_code, response.headers["x-id"]) == (201, "1")
        go_on.set()
        assert await response.aread() == b""


@promise("client.streaming")
@ALL
async def test_an_app_is_as_far_ahead_of_its_reader_as_a_buffer_lets_it(
    make_client: MakeClient,
) -> None:
    app = Endless(part=1_000, pause=False)

    async with make_client(app).stream("GET", "/") as response:
        ahead = app.sent
        parts = response.aiter_raw()
        for _ in range(20):
            await anext(parts)
        assert ahead * 1_000 <= HIGH_WATER < (ahead + 1) * 1_000
        assert app.sent == ahead

        await anext(parts)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert ahead < app.sent <= ahead + 21


@ALL
async def test_an_endless_response_is_read_and_left(make_client: MakeClient) -> None:
    app = Endless()

    async with make_client(app).stream("GET", "/") as response:
        lines = [part async for part in _first(3, response.aiter_raw())]

    assert [int(line) for line in lines] == [0, 1, 2]
    assert isinstance(app.error, OSError)


async def test_server_sent_events_are_read_one_by_one() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({**START, "headers": [(b"content-type", b"text/event-stream")]})
        for number in range(1_000_000):
            await send_part(send, b'id: %d\ndata: {"n": %d}\n\n' % (number, number))

    async with ours(app).sse("/") as events:
        seen = [event async for event in _first(3, aiter(events))]

    assert [(event.id, event.json()) for event in seen] == [
        (str(number), {"n": number}) for number in range(3)
    ]


@ALL
async def test_lines_of_json_are_read_one_by_one(make_client: MakeClient) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await start(send)
        for number in range(1_000_000):
            await send_part(send, b'{"n": %d}\n' % number)

    async with make_client(app).stream("GET", "/") as response:
        lines = [line async for line in _first(3, response.aiter_lines())]

    assert [json.loads(line)["n"] for line in lines] == [0, 1, 2]


@ALL
async def test_a_head_request_gets_no_body(make_client: MakeClient) -> None:
    async with make_client(hello).stream("HEAD", "/") as response:
        assert await response.aread() == b""

    assert response.headers["content-length"] == "5"


@ALL
async def test_many_responses_may_be_open_at_once(make_client: MakeClient) -> None:
    client = make_client(sending_parts(b"one", b"two"))

    async def read() -> list[bytes]:
        async with client.stream("GET", "/") as response:
            return [part async for part in response.aiter_raw()]

    assert await asyncio.gather(*(read() for _ in range(50))) == [[b"one", b"two"]] * 50


@ALL
async def test_what_two_tasks_of_the_app_send_arrives(make_client: MakeClient) -> None:
    part = b"x" * HIGH_WATER

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await start(send)
        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(send_part(send, part))
        await end(send)

    async with make_client(app).stream("GET", "/") as response:
        await asyncio.sleep(0)

        assert len(await response.aread()) == 3 * HIGH_WATER


def test_nothing_is_left_of_a_thousand_responses() -> None:
    exchanges: weakref.WeakSet[Any] = weakref.WeakSet()

    class App:
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            exchanges.add(send.__self__)  # type: ignore[attr-defined]
            await sending_parts(b"one", b"two")(scope, receive, send)

    async def visit() -> None:
        client = AsyncClient(App())
        for number in range(1_000):
            async with client.stream("GET", "/") as response:
                if number % 2:
                    await response.aread()
        assert len(exchanges) < 20

    gc.collect()
    gc.disable()
    try:
        asyncio.run(visit())
    finally:
        gc.enable()


# --- what a response has besides -------------------------------------------------------------

TRAILERS: Message = {
    "type": "http.response.trailers",
    "headers": [(b"x-checksum", b"1")],
    "more_trailers": False,
}
ANNOUNCED = {**START, "headers": [(b"trailer", b"x-checksum")], "trailers": True}


@ALL
async def test_trailers_are_there_when_the_body_was_read(make_client: MakeClient) -> None:
    go_on = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await sending(ANNOUNCED, BODY)(scope, receive, send)
        await go_on.wait()
        await send(TRAILERS)

    client = make_client(app, extensions={"http.response.trailers": {}})

    async with client.stream("GET", "/") as response:
        assert "http.response.trailers" not in response.extensions
        go_on.set()
        await response.aread()

    assert response.extensions["http.response.trailers"] == [(b"x-checksum", b"1")]
    whole = await client.get("/")
    assert whole.extensions["http.response.trailers"] == [(b"x-checksum", b"1")]


@ALL
async def test_early_hints_come_before_the_response(make_client: MakeClient) -> None:
    links = [b"</style.css>; rel=preload"]
    hint = {"type": "http.response.early_hint", "links": links}
    client = make_client(
        sending(hint, hint, START, BODY), extensions={"http.response.early_hint": {}}
    )

    async with client.stream("GET", "/") as response:
        assert response.extensions["http.response.early_hint"] == links * 2


@ALL
async def test_pushed_responses_are_kept(make_client: MakeClient) -> None:
    push = {"type": "http.response.push", "path": "/style.css", "headers": []}
    client = make_client(sending(push, START, BODY), extensions={"http.response.push": {}})

    assert (await client.get("/")).extensions["http.response.push"] == [push]


@ALL
async def test_debug_information_is_kept(make_client: MakeClient) -> None:
    debug = {"type": "http.response.debug", "info": {"template": "root.html"}}

    response = await make_client(sending(debug, START, BODY)).get("/")

    assert response.extensions["http.response.debug"] == {"template": "root.html"}


@ALL
async def test_what_a_user_adds_to_the_extensions_stays_there(make_client: MakeClient) -> None:
    client = make_client(hello)

    response = await client.get("/")
    response.extensions["mine"] = 1

    assert "mine" not in (await client.get("/")).extensions


@ALL
async def test_files_are_sent_by_their_path(make_client: MakeClient, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_bytes(b"content")
    app = sending(START, {"type": "http.response.pathsend", "path": str(file)})

    response = await make_client(app, extensions={"http.response.pathsend": {}}).get("/")

    assert response.content == b"content"


@ALL
async def test_open_files_are_sent_in_parts(make_client: MakeClient, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_bytes(b"0123456789")
    kind = "http.response.zerocopysend"

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        with path.open("rb") as file:
            await start(send)
            await send({"type": kind, "file": file, "count": 2, "more_body": True})
            await send({"type": kind, "file": file, "count": 2, "more_body": True})
            await send({"type": kind, "file": file, "offset": 7})

    response = await make_client(app, extensions={kind: {}}).get("/")

    assert response.content == b"0123789"


async def test_a_response_that_was_streamed_can_be_pickled() -> None:
    async with ours(sending_parts(b"one")).stream("GET", "/") as response:
        await response.aread()

    copy = pickle.loads(pickle.dumps(response))
    await copy.aclose()

    assert copy.content == b"one"


# --- requests --------------------------------------------------------------------------------


@promise("client.upload")
@ALL
async def test_the_body_of_a_request_is_read_when_the_app_asks_for_it(
    make_client: MakeClient,
) -> None:
    happened: list[str] = []

    async def chunks() -> AsyncIterator[bytes]:
        for number in range(2):
            happened.append(f"chunk {number}")
            yield b"%d" % number

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while True:
            happened.append("asking")
            if not (await receive())["more_body"]:
                break
        await respond(send, b"")

    await make_client(app).post("/", content=chunks())

    assert happened == ["asking", "chunk 0", "asking", "chunk 1", "asking"]


@ALL
async def test_empty_chunks_are_not_sent(make_client: MakeClient) -> None:
    received: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while not received or received[-1]["more_body"]:
            received.append(await receive())
        await respond(send, b"")

    await make_client(app).post("/", content=chunks_of(b"", b"one", b"", b""))

    assert [(message["body"], message["more_body"]) for message in received] == [
        (b"one", True),
        (b"", False),
    ]


@ALL
@pytest.mark.parametrize("count", [0, 1])
async def test_the_generator_of_a_body_that_is_not_read_to_its_end_is_closed(
    make_client: MakeClient, count: int
) -> None:
    happened: list[str] = []

    async def chunks() -> AsyncIterator[bytes]:
        try:
            happened.append("begun")
            yield b"one"
            yield b"two"
        finally:
            happened.append("closed")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for _ in range(count):
            await receive()
        await respond(send, b"")

    await make_client(app).post("/", content=chunks())
    gc.collect()  # HTTPX 0.28 leaves it to the collector, which leaves it to the loop.
    while len(happened) < 2 * count:
        await asyncio.sleep(0)

    assert happened == ["begun", "closed"][: 2 * count]


@ALL
async def test_an_app_may_end_while_a_task_that_it_left_reads_the_body(
    make_client: MakeClient,
) -> None:
    left: list[asyncio.Task[Message]] = []
    go_on = asyncio.Event()

    async def chunks() -> AsyncIterator[bytes]:
        await go_on.wait()
        yield b"one"

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def read() -> Message:
            return await receive()

        left.append(asyncio.create_task(read()))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await respond(send, b"")

    assert (await make_client(app).post("/", content=chunks())).status_code == 200
    go_on.set()
    assert (await left[0])["type"] in {"http.request", "http.disconnect"}


@ALL
async def test_both_sides_may_talk_at_the_same_time(make_client: MakeClient) -> None:
    questions: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def chunks() -> AsyncIterator[bytes]:
        while (question := await questions.get()) is not None:
            yield question

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await start(send)
        while (message := await receive())["more_body"]:
            await send_part(send, message["body"].upper())
        await end(send)

    async with make_client(app).stream("POST", "/", content=chunks()) as response:
        answers = response.aiter_raw()
        for question in (b"one", b"two"):
            questions.put_nowait(question)
            assert await anext(answers) == question.upper()
        questions.put_nowait(None)
        assert [answer async for answer in answers] == []


@ALL
async def test_an_app_may_listen_to_its_client_while_it_reads_the_body(
    make_client: MakeClient,
) -> None:
    go_on = asyncio.Event()

    async def chunks() -> AsyncIterator[bytes]:
        await go_on.wait()
        yield b"one"

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def listen() -> Message:
            return await receive()

        async with asyncio.TaskGroup() as group:
            messages = [group.create_task(listen()) for _ in range(3)]
            await asyncio.sleep(0)
            go_on.set()
            await messages[1]
            await respond(send, b"")
        assert [message.result()["type"] for message in messages] == [
            "http.request",
            "http.request",
            "http.disconnect",
        ]

    assert (await make_client(app).post("/", content=chunks())).status_code == 200


@ALL
@pytest.mark.parametrize("is_streamed", [False, True])
async def test_what_the_generator_of_a_body_raises_is_raised(
    make_client: MakeClient, *, is_streamed: bool
) -> None:
    error = ConnectionError("of the test")

    async def chunks() -> AsyncIterator[bytes]:
        yield b"one"
        raise error

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["type"] == "http.request":
            pass
        raise KeyError("what the app makes of it")

    client = make_client(app)
    with pytest.raises(ConnectionError) as caught:
        await client.send(client.build_request("POST", "/", content=chunks()), stream=is_streamed)

    assert caught.value is error
    assert isinstance(error.__cause__, KeyError)


@ALL
@pytest.mark.parametrize("is_streamed", [False, True])
async def test_it_is_raised_also_where_exceptions_of_the_app_are_answered(
    make_client: MakeClient, *, is_streamed: bool
) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"one"
        raise KeyError("of the test")

    client = make_client(echo, raise_app_exceptions=False)
    request = client.build_request("POST", "/", content=chunks())
    with pytest.raises(KeyError, match="of the test"):
        await client.send(request, stream=is_streamed)


@ALL
async def test_a_framework_that_takes_it_for_a_disconnect_does_not_hide_it(
    make_client: MakeClient,
) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"one"
        raise KeyError("of the test")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await Request(scope, receive).body()

    with pytest.raises(KeyError, match="of the test"):
        await make_client(app).post("/", content=chunks())


# --- exceptions ------------------------------------------------------------------------------


class Halt(BaseException):
    """What is no `Exception`: a test that is skipped, a program that exits."""


def failing(error: BaseException, *parts: bytes, responding: bool = True) -> Any:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if responding:
            await start(send)
        for part in parts:
            await send_part(send, part)
        raise error

    return app


ERRORS: tuple[BaseException, ...] = (
    ConnectionError("gone"),
    ExceptionGroup("several", [KeyError(1), ValueError(2)]),
    TimeoutError("the app's own"),
    Halt("stop"),
    SystemExit(3),
)


@promise("client.exceptions")
@ALL
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
async def test_an_exception_before_the_response_is_raised(
    make_client: MakeClient, error: BaseException
) -> None:
    with pytest.raises(type(error)) as caught:
        async with make_client(failing(error, responding=False)).stream("GET", "/"):
            pass

    assert caught.value is error


@ALL
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
async def test_an_exception_in_the_middle_is_raised_where_the_body_is_read(
    make_client: MakeClient, error: BaseException
) -> None:
    async with make_client(failing(error, b"one")).stream("GET", "/") as response:
        parts = response.aiter_raw()
        assert await anext(parts) == b"one"
        with pytest.raises(type(error)) as caught:
            await anext(parts)

    assert caught.value is error


@ALL
async def test_an_exception_in_the_middle_is_raised_when_the_block_is_left(
    make_client: MakeClient,
) -> None:
    with pytest.raises(KeyError, match="app"):
        async with make_client(failing(KeyError("app"))).stream("GET", "/"):
            pass


@ALL
async def test_an_assertion_of_the_block_is_what_the_test_shows(make_client: MakeClient) -> None:
    with pytest.raises(AssertionError, match="of the test") as caught:
        async with make_client(failing(KeyError("app"), b"one")).stream("GET", "/") as response:
            assert response.status_code == 500, "of the test"

    assert "KeyError: 'app'" in "".join(caught.value.__notes__)


@ALL
async def test_a_failure_counts_also_where_another_exception_is_handled(
    make_client: MakeClient,
) -> None:
    try:
        await make_client(failing(ConnectionError())).get("/")
    except ConnectionError:
        with pytest.raises(KeyError, match="app"):
            async with make_client(failing(KeyError("app"))).stream("GET", "/"):
                pass


@ALL
@pytest.mark.parametrize("is_streamed", [False, True])
async def test_an_exception_is_a_response_that_breaks_off_on_request(
    make_client: MakeClient, *, is_streamed: bool
) -> None:
    client = make_client(failing(KeyError("app"), b"one"), raise_app_exceptions=False)

    async def visit() -> None:
        async with client.stream("GET", "/") as response:
            await response.aread()

    with pytest.raises((httpx.RemoteProtocolError, httpx2.RemoteProtocolError)):
        await (visit() if is_streamed else client.get("/"))


@ALL
@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize("failure", [KeyError("app"), None])
async def test_a_response_that_lacks_only_its_trailers_is_an_answer_on_request(
    make_client: MakeClient, failure: Exception | None, *, is_streamed: bool
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({**START, "headers": [], "trailers": True})
        await send({"type": "http.response.body", "body": b"whole"})
        if failure is not None:
            raise failure

    offered: dict[str, Any] = {"http.response.trailers": {}}
    client = make_client(app, raise_app_exceptions=False, extensions=offered)

    async def visit() -> bytes:
        async with client.stream("GET", "/") as response:
            content: bytes = await response.aread()
            return content

    content = await visit() if is_streamed else (await client.get("/")).content
    assert content == b"whole"


@ALL
async def test_a_request_that_fails_at_once_is_answered_on_request(
    make_client: MakeClient,
) -> None:
    client = make_client(failing(KeyError("app"), responding=False), raise_app_exceptions=False)

    async with client.stream("GET", "/") as response:
        assert (response.status_code, await response.aread()) == (500, b"")


@ALL
async def test_exit_is_raised_though_exceptions_are_answered(make_client: MakeClient) -> None:
    client = make_client(failing(SystemExit(3), responding=False), raise_app_exceptions=False)

    with pytest.raises(SystemExit):
        async with client.stream("GET", "/"):
            pass


async def test_an_app_that_ends_without_an_end_breaks_off_when_rules_are_off() -> None:
    client = ours(sending(START), rules="off")

    with pytest.raises(httpx2.RemoteProtocolError):
        await client.get("/")


# --- cancellation ----------------------------------------------------------------------------


@promise("client.cancellation")
@ALL
@pytest.mark.parametrize("is_responding", [False, True])
async def test_a_test_that_is_cancelled_cancels_the_app(
    make_client: MakeClient, *, is_responding: bool
) -> None:
    app = Waiting(responding=is_responding)

    async def visit() -> None:
        async with make_client(app).stream("GET", "/") as response:
            await response.aread()

    visiting = asyncio.create_task(visit())
    await app.waits.wait()
    visiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await visiting

    assert app.ended == ["cancelled", "torn down"]


@ALL
async def test_a_test_that_is_cancelled_before_the_app_has_begun_ends(
    make_client: MakeClient,
) -> None:
    async def visit() -> None:
        current = asyncio.current_task()
        assert current is not None
        current.cancel()
        async with make_client(hello).stream("GET", "/"):
            pass

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(visit())


async def test_a_response_without_an_end_can_be_cancelled() -> None:
    app = Endless(part=10_000, pause=False)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await ours(app).get("/")

    assert isinstance(app.error, asyncio.CancelledError)


@ALL
async def test_a_client_that_is_closed_ends_its_open_responses(make_client: MakeClient) -> None:
    app = Waiting(b"one", listening=True)

    async with make_client(app) as client:
        response = await client.send(client.build_request("GET", "/"), stream=True)
        assert response.status_code == 200

    assert app.ended == ["http.disconnect", "torn down"]


async def test_the_echo_of_a_streamed_request_is_streamed() -> None:
    async with ours(echo).stream("PUT", "/", content=chunks_of(b"a", b"b")) as response:
        assert json.loads(await response.aread())["body"] == "ab"


async def test_a_redirect_in_a_stream_is_followed() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/old":
            await send({**START, "status": 302, "headers": [(b"location", b"/new")]})
            await send(BODY)
        else:
            await sending_parts(await read_body(receive), b"new")(scope, receive, send)

    async with ours(app).stream("GET", "/old", follow_redirects=True) as response:
        assert await response.aread() == b"new"

    assert len(response.history) == 1


async def _first(count: int, items: AsyncIterator[Any]) -> AsyncIterator[Any]:
    for _ in range(count):
        yield await anext(items)
