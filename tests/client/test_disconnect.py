"""What an app learns when its client goes away, and what becomes of what it raises then."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import litestar
import litestar.response
import pytest
import quart
from fastapi import FastAPI, Request
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import ClientDisconnect
from starlette.responses import Response, StreamingResponse

from pytest_asgi.asgi.types import Receive, Scope, Send
from pytest_asgi.client.client import AsyncClient
from pytest_asgi.client.sync import TestClient
from pytest_asgi.errors import AppError, SettingsError
from tests.apps.plain import hello, respond
from tests.apps.streams import Endless, Waiting, chunks_of, send_part, sending_parts, start
from tests.client.generations import ALL, MakeClient, ours
from tests.promises import promise


@pytest.fixture(autouse=True)
async def time_limit() -> AsyncIterator[None]:
    async with asyncio.timeout(10):
        yield


@pytest.fixture(params=["scope", "task"], autouse=True)
def way_to_cancel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cancel apps through anyio's scopes, and as asyncio does it without anyio."""
    if request.param == "task" and "anyio" not in request.node.name:
        monkeypatch.setattr("pytest_asgi.asgi.tasks._make_scope", _make_no_scope)


def _make_no_scope(trio: Any) -> Any:
    return None


async def leave_at_once(client: Any) -> None:
    async with client.stream("GET", "/"):
        pass


# --- closing a stream early ------------------------------------------------------------------


@promise("client.disconnect")
@ALL
async def test_an_app_that_listens_hears_the_disconnect_and_ends(make_client: MakeClient) -> None:
    app = Waiting(listening=True)

    await leave_at_once(make_client(app))

    assert app.ended == ["http.disconnect", "torn down"]


@ALL
async def test_an_app_that_sends_gets_an_os_error(make_client: MakeClient) -> None:
    app = Endless()

    await leave_at_once(make_client(app))

    assert isinstance(app.error, OSError)


@ALL
async def test_an_app_that_waits_for_its_reader_gets_an_os_error(make_client: MakeClient) -> None:
    app = Endless(part=100_000, pause=False)

    await leave_at_once(make_client(app))

    assert isinstance(app.error, OSError)


@promise("client.disconnect")
@ALL
async def test_an_app_that_can_notice_nothing_is_cancelled(make_client: MakeClient) -> None:
    app = Waiting()

    await leave_at_once(make_client(app))

    assert app.ended == ["cancelled", "torn down"]


@promise("client.disconnect")
@ALL
async def test_an_app_that_noticed_has_time_to_tidy_up(make_client: MakeClient) -> None:
    tidied = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await start(send)
        await receive()
        await receive()
        await asyncio.sleep(0.2)  # Longer than an app may take that has not noticed.
        tidied.set()

    await leave_at_once(make_client(app))

    assert tidied.is_set()


@ALL
async def test_an_app_that_takes_too_long_to_tidy_up_is_cancelled(make_client: MakeClient) -> None:
    ended: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await start(send)
        await receive()
        ended.append((await receive())["type"])
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    await leave_at_once(make_client(app, disconnect_grace=0.01))

    assert ended == ["http.disconnect", "cancelled"]


@ALL
async def test_an_app_that_waits_for_a_chunk_hears_the_disconnect(make_client: MakeClient) -> None:
    heard: list[str] = []
    waiting = asyncio.Event()

    async def chunks() -> AsyncIterator[bytes]:
        yield b"one"
        waiting.set()
        await asyncio.Event().wait()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await start(send)
        heard.extend([(await receive())["type"], (await receive())["type"]])

    async with make_client(app).stream("POST", "/", content=chunks()):
        await waiting.wait()

    assert heard == ["http.request", "http.disconnect"]


@ALL
async def test_other_exceptions_are_failures_also_after_the_disconnect(
    make_client: MakeClient,
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await start(send)
        await receive()
        await receive()
        raise KeyError("while tidying up")

    with pytest.raises(KeyError, match="while tidying up"):
        await leave_at_once(make_client(app))


@ALL
async def test_what_is_raised_because_of_a_disconnect_is_no_failure(
    make_client: MakeClient,
) -> None:
    class StorageError(Exception):
        pass

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await start(send)
        try:
            while True:
                await asyncio.sleep(0)
                await send_part(send, b"x")
        except OSError as error:
            raise StorageError from error

    await leave_at_once(make_client(app))


@ALL
async def test_a_group_is_a_failure_if_it_holds_one(make_client: MakeClient) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def fail() -> None:
            await receive()
            await receive()
            raise KeyError("beside it")

        await start(send)
        async with asyncio.TaskGroup() as group:
            group.create_task(fail())
            while True:
                await asyncio.sleep(0)
                await send_part(send, b"x")

    with pytest.raises(ExceptionGroup) as caught:
        await leave_at_once(make_client(app))

    assert caught.group_contains(KeyError)


# --- frameworks ------------------------------------------------------------------------------


async def numbers() -> AsyncIterator[str]:
    number = 0
    while True:
        yield f"{number}\n"
        number += 1
        await asyncio.sleep(0)


def fastapi_app() -> Any:
    app = FastAPI()

    @app.get("/")
    async def endless() -> Response:
        return StreamingResponse(numbers())

    @app.post("/upload")
    async def upload(request: Request) -> int:
        return len([chunk async for chunk in request.stream()])

    return app


def app_with_middleware() -> Any:
    app = fastapi_app()

    async def middleware(request: Request, call_next: RequestResponseEndpoint) -> Response:
        return await call_next(request)

    app.add_middleware(BaseHTTPMiddleware, dispatch=middleware)
    return app


def litestar_app() -> Any:
    @litestar.get("/")
    async def endless() -> litestar.response.Stream:
        return litestar.response.Stream(numbers())

    @litestar.post("/upload")
    async def upload(request: litestar.Request[Any, Any, Any]) -> int:
        return len([chunk async for chunk in request.stream()])

    return litestar.Litestar([endless, upload], logging_config=None)


def quart_app() -> Any:
    app = quart.Quart("app")

    @app.get("/")
    async def endless() -> Any:
        return numbers()

    @app.post("/upload")
    async def upload() -> Any:
        return str(len(await quart.request.get_data()))

    return app


FRAMEWORKS = pytest.mark.parametrize(
    "make_app", [fastapi_app, app_with_middleware, litestar_app, quart_app]
)


@FRAMEWORKS
async def test_what_a_framework_raises_for_a_reader_that_left_is_no_failure(
    make_app: Any,
) -> None:
    async with ours(make_app()).stream("GET", "/") as response:
        lines = response.aiter_lines()
        assert [await anext(lines), await anext(lines)] == ["0", "1"]


@FRAMEWORKS
async def test_what_a_framework_raises_for_an_upload_that_breaks_off_is_no_failure(
    make_app: Any,
) -> None:
    client = ours(make_app())

    gone = await client.disconnect(
        "POST", "/upload", during="upload", content=chunks_of(b"one", b"two")
    )

    assert gone.was_noticed
    assert not gone.was_cancelled


async def fail() -> None:
    raise KeyError("while tidying up")


async def test_an_exception_that_a_framework_answers_is_a_failure_also_after_the_disconnect() -> (
    None
):
    app = FastAPI()

    @app.post("/")
    async def upload(request: Request) -> None:
        try:
            await request.body()
        except ClientDisconnect:
            await fail()

    with pytest.raises(KeyError, match="while tidying up"):
        await ours(app).disconnect("POST", "/", during="upload")


async def test_an_answer_to_an_exception_that_nobody_reads_is_no_failure() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await receive()
        try:
            await fail()
        except KeyError:
            await respond(send, b"sorry")

    gone = await ours(app).disconnect("GET", "/")

    assert gone.exception is None


async def test_sending_on_and_on_is_ended_though_an_exception_is_handled() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await receive()
        try:
            await fail()
        except KeyError:
            await start(send)
            while True:
                await send_part(send, b"sorry")

    gone = await ours(app).disconnect("GET", "/")

    assert isinstance(gone.exception, OSError)


async def test_the_generator_of_a_body_is_closed_when_its_reader_has_left() -> None:
    happened: list[str] = []

    async def ticks() -> AsyncIterator[str]:
        try:
            while True:
                yield "tick"
        finally:
            happened.append("closed")

    app = FastAPI()
    app.get("/")(lambda: StreamingResponse(ticks()))

    async with ours(app).stream("GET", "/"):
        pass
    assert happened == ["closed"]

    gone = await ours(app).disconnect("GET", "/", during="download")
    assert isinstance(gone.exception, ClientDisconnect)
    assert happened == ["closed"] * 2


# --- going away on purpose -------------------------------------------------------------------


async def test_a_client_may_go_away_before_its_request_is_complete() -> None:
    received: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        received.extend([await receive(), await receive(), await receive()])

    client = ours(app)
    gone = await client.disconnect("POST", "/", during="upload", content=b"the first half")

    assert received == [
        {"type": "http.request", "body": b"the first half", "more_body": True},
        {"type": "http.disconnect"},
        {"type": "http.disconnect"},
    ]
    assert (gone.status, gone.body, gone.exception) == (None, b"", None)
    assert gone.was_noticed
    assert not gone.was_cancelled


@promise("client.disconnect-on-purpose")
async def test_a_client_may_go_away_while_the_app_works() -> None:
    works = asyncio.Event()
    happened: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        works.set()
        happened.append((await receive())["type"])
        await respond(send, b"too late")

    gone = await ours(app).disconnect("GET", "/", once=works.wait)

    assert happened == ["http.disconnect"]
    assert gone.status is None
    assert isinstance(gone.exception, OSError)


async def test_by_default_a_client_goes_away_when_the_app_first_waits() -> None:
    happened: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        happened.append("begun")
        await receive()
        happened.append((await receive())["type"])

    await ours(app).disconnect("POST", "/", json={"a": 1})

    assert happened == ["begun", "http.disconnect"]


async def test_a_client_may_go_away_after_some_parts_of_the_response() -> None:
    app = Endless()

    gone = await ours(app).disconnect("GET", "/", during="download", parts=2)

    assert (gone.status, gone.body) == (200, b"       0       1")
    assert gone.exception is app.error


async def test_a_client_may_go_away_when_the_response_starts() -> None:
    gone = await ours(Endless()).disconnect("GET", "/", during="download", parts=0)

    assert (gone.status, gone.body) == (200, b"")


async def test_an_app_that_works_on_is_given_the_whole_grace() -> None:
    done = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(0.2)  # Longer than a stream that is left waits for it.
        done.set()

    gone = await ours(app).disconnect("GET", "/")

    assert done.is_set()
    assert not gone.was_noticed


async def test_an_app_that_does_not_end_is_cancelled() -> None:
    app = Waiting(responding=False)

    gone = await ours(app, disconnect_grace=0.01).disconnect("GET", "/", once=app.waits.wait)

    assert gone.was_cancelled
    assert gone.exception is None
    assert app.ended == ["cancelled", "torn down"]


async def test_what_a_framework_raises_is_there_to_be_looked_at() -> None:
    gone = await ours(fastapi_app()).disconnect("GET", "/", during="download")

    assert isinstance(gone.exception, ClientDisconnect)


async def test_other_exceptions_of_the_app_are_raised() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await receive()
        raise KeyError("while tidying up")

    with pytest.raises(KeyError, match="while tidying up"):
        await ours(app).disconnect("GET", "/")
    gone = await ours(app, raise_app_exceptions=False).disconnect("GET", "/")

    assert isinstance(gone.exception, KeyError)


@pytest.mark.parametrize(
    ("options", "when"),
    [
        ({"during": "upload"}, "asked for more of the request's body than was sent"),
        ({"during": "work"}, "the app waited for something"),
        ({"during": "download", "parts": 3}, "3 parts of the response's body were there"),
        ({"once": asyncio.Event().wait}, "waited for something and `once` had returned"),
    ],
    ids=["upload", "work", "download", "once"],
)
async def test_a_client_that_had_its_response_is_told(options: Any, when: str) -> None:
    with pytest.raises(AppError) as caught:
        await ours(sending_parts(b"one", b"two")).disconnect("GET", "/items", **options)

    assert "had answered GET /items before its client could go away" in caught.value.what
    assert when in caught.value.why


async def test_an_app_that_fails_before_is_not_taken_for_one_that_answered() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise KeyError("app")

    with pytest.raises(KeyError, match="app"):
        await ours(app).disconnect("GET", "/", during="download")


async def test_an_exception_of_once_is_raised_and_the_app_ended() -> None:
    app = Waiting(responding=False)

    async def once() -> None:
        await app.waits.wait()
        raise KeyError("of the test")

    with pytest.raises(KeyError, match="of the test"):
        await ours(app).disconnect("GET", "/", once=once)

    assert app.ended == ["cancelled", "torn down"]


async def test_a_request_that_goes_away_is_built_as_any_other() -> None:
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)
        await receive()
        await receive()

    client = ours(app, headers={"x-team": "shop"}, cookies={"id": "1"}, auth=("ada", "secret"))
    await client.disconnect("PUT", "/items", params={"q": "1"}, headers={"x-id": "2"})

    headers = dict(seen[0]["headers"])
    assert (seen[0]["method"], seen[0]["path"], seen[0]["query_string"]) == (
        "PUT",
        "/items",
        b"q=1",
    )
    assert (headers[b"x-team"], headers[b"x-id"], headers[b"cookie"]) == (b"shop", b"2", b"id=1")
    assert headers[b"authorization"].startswith(b"Basic ")


async def test_the_app_of_another_transport_cannot_be_left() -> None:
    mocked = httpx2.MockTransport(lambda _: httpx2.Response(200))

    with pytest.raises(AppError, match="no app to go away from"):
        await AsyncClient(transport=mocked).disconnect("GET", "/")
    with pytest.raises(AppError, match="no app to go away from"):
        await AsyncClient(hello, mounts={"http://elsewhere": mocked}).disconnect(
            "GET", "http://elsewhere/"
        )


async def test_an_app_may_talk_to_others_while_its_client_goes_away() -> None:
    answers: list[Any] = []
    inner = AsyncClient(hello, lifespan=False)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        answers.append((await inner.get("/")).text)
        await receive()
        await receive()
        answers.append((await inner.get("/")).text)

    await ours(app).disconnect("GET", "/")

    assert answers == ["hello", "hello"]


async def test_a_disconnect_that_is_cancelled_cancels_the_app() -> None:
    app = Waiting(responding=False)
    leaving = asyncio.create_task(ours(app).disconnect("GET", "/", once=asyncio.Event().wait))
    await app.waits.wait()

    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving

    assert app.ended == ["cancelled", "torn down"]


async def test_a_moment_that_does_not_exist_is_refused() -> None:
    during: Any = "nap"

    with pytest.raises(SettingsError, match="'upload', 'work', 'download'"):
        await AsyncClient(hello).disconnect("GET", "/", during=during)


NO_MOMENTS: Any = [{"parts": -1}, {"parts": "2"}, {"once": 5}]


@pytest.mark.parametrize("options", NO_MOMENTS, ids=str)
async def test_what_says_no_moment_is_refused(options: Any) -> None:
    (name,) = options

    with pytest.raises(SettingsError, match=f"{name}=.* is not valid"):
        await AsyncClient(hello).disconnect("GET", "/", **options)
    with pytest.raises(SettingsError, match=f"{name}=.* is not valid"):
        TestClient(hello).disconnect("GET", "/", **options)


# --- of the synchronous client -----------------------------------------------------------------


@promise("client.sync-disconnect")
@pytest.mark.parametrize("place", ["test's loop", "thread"])
def test_the_synchronous_client_goes_away_too(place: str) -> None:
    with TestClient(Endless(), in_thread=place == "thread") as client:
        gone = client.disconnect("GET", "/", during="download", parts=2)

    assert (gone.status, gone.body) == (200, b"       0       1")
    assert gone.was_noticed


async def test_it_goes_away_when_it_is_told_to_in_async_tests_as_well() -> None:
    app = Waiting(listening=True, responding=False)

    gone = TestClient(app).disconnect("GET", "/", once=app.waits.wait)

    assert gone.status is None
    assert app.ended == ["http.disconnect", "torn down"]


def test_it_goes_away_during_an_upload() -> None:
    client = TestClient(fastapi_app())

    gone = client.disconnect("POST", "/upload", during="upload", content=b"half of it")

    assert isinstance(gone.exception, ClientDisconnect)


def test_it_says_so_when_the_app_had_answered() -> None:
    with pytest.raises(AppError, match="before its client could go away"):
        TestClient(hello).disconnect("GET", "/", during="download", parts=2)


def test_it_cannot_leave_another_app(monkeypatch: pytest.MonkeyPatch) -> None:
    client = TestClient(hello)
    mocked = httpx2.MockTransport(lambda _: httpx2.Response(200))
    monkeypatch.setattr(client, "_transport", mocked)

    with pytest.raises(AppError, match=r"TestClient\(app=app\)"):
        client.disconnect("GET", "/")
