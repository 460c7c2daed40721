"""The same client on trio: under `trio.run`, and under anyio's trio half."""

from __future__ import annotations

import re
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, TypeAlias

import anyio
import httpx2
import pytest
import trio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from trio.testing import MockClock

from pytest_asgi.asgi.types import Receive, Scope, Send
from pytest_asgi.client.client import AsyncClient
from tests.apps.plain import hello, respond
from tests.apps.streams import end, send_part, start
from tests.client.generations import ALL, MakeClient, ours
from tests.promises import promise

Run: TypeAlias = Callable[[Callable[[], Awaitable[Any]]], Any]

variable: ContextVar[str] = ContextVar("variable", default="unset")


@pytest.fixture(params=["trio", "anyio"])
def run(request: pytest.FixtureRequest) -> Run:
    # Time passes only while every task waits, so no limit is over before that.
    clock = MockClock(autojump_threshold=0)
    start: Run = {
        "trio": partial(trio.run, clock=clock),
        "anyio": partial(anyio.run, backend="trio", backend_options={"clock": clock}),
    }[request.param]

    async def limited(function: Callable[[], Awaitable[Any]]) -> Any:
        with trio.fail_after(10):
            return await function()

    return lambda function: start(partial(limited, function))


async def numbers() -> AsyncIterator[bytes]:
    number = 0
    while True:
        yield b"%d\n" % number
        number += 1
        await trio.lowlevel.checkpoint()


async def endless(request: Request) -> Response:
    return StreamingResponse(numbers())


@asynccontextmanager
async def live(app: Starlette) -> AsyncIterator[dict[str, str]]:
    variable.set("of the lifespan")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.sleep_forever)
        yield {"pool": "the pool"}
        nursery.cancel_scope.cancel()


async def root(request: Request) -> Response:
    return PlainTextResponse(request.state.pool + ", " + variable.get())


app = Starlette(routes=[Route("/", root), Route("/endless", endless)], lifespan=live)


class Stuck:
    """An app that starts a response and waits for ever, in a task of its own."""

    def __init__(self) -> None:
        self.ended: list[str] = []
        self.is_waiting = trio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await start(send)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.sleep_forever)
                self.is_waiting.set()
        finally:
            self.ended.append("torn down")


@promise("client.trio")
def test_a_lifespan_and_a_request(run: Run) -> None:
    async def visit() -> str:
        async with AsyncClient(app, lifespan_variables=True) as client:
            return (await client.get("/")).text

    assert run(visit) == "the pool, of the lifespan"


@ALL
def test_a_request_of_every_client(run: Run, make_client: MakeClient) -> None:
    async def visit() -> str:
        text: str = (await make_client(hello).get("/")).text
        return text

    assert run(visit) == "hello"


@ALL
@pytest.mark.filterwarnings("ignore:Async generator 'httpx")  # They leave each other behind.
def test_an_endless_response_is_read_and_left(run: Run, make_client: MakeClient) -> None:
    async def visit() -> list[str]:
        async with make_client(app).stream("GET", "/endless") as response:
            lines = response.aiter_lines()
            return [await anext(lines), await anext(lines)]

    assert run(visit) == ["0", "1"]


def test_both_sides_may_talk_at_the_same_time(run: Run) -> None:
    async def echo(scope: Scope, receive: Receive, send: Send) -> None:
        await start(send)
        while (message := await receive())["more_body"]:
            await send_part(send, message["body"].upper())
        await end(send)

    async def visit() -> list[bytes]:
        questions, theirs = trio.open_memory_channel[bytes](0)
        async with ours(echo).stream("POST", "/", content=theirs) as response:
            answers = response.aiter_raw()
            await questions.send(b"one")
            heard = [await anext(answers)]
            await questions.aclose()
            return [*heard, *[answer async for answer in answers]]

    assert run(visit) == [b"ONE"]


def test_an_app_that_can_notice_nothing_is_cancelled(run: Run) -> None:
    stuck = Stuck()

    async def visit() -> None:
        async with ours(stuck).stream("GET", "/"):
            pass

    run(visit)

    assert stuck.ended == ["torn down"]


def test_a_timeout_says_where_the_app_and_its_tasks_wait(run: Run) -> None:
    async def visit() -> str:
        with pytest.raises(httpx2.ReadTimeout) as caught:
            await ours(Stuck()).get("/", timeout=0.01)
        return str(caught.value)

    message = run(visit)

    assert "The app sent nothing for 0.01 seconds: it waits at " in message
    assert f"{__file__}:" in message
    assert re.search(r"its task '\S*sleep_forever' waits at \S+trio", message)


def test_a_test_that_is_cancelled_cancels_the_app(run: Run) -> None:
    stuck = Stuck()

    async def visit() -> None:
        async with trio.open_nursery() as nursery:

            async def cancel() -> None:
                await stuck.is_waiting.wait()
                nursery.cancel_scope.cancel()

            nursery.start_soon(cancel)
            async with ours(stuck).stream("GET", "/") as response:
                await response.aread()

    run(visit)

    assert stuck.ended == ["torn down"]


@pytest.mark.parametrize("error", [KeyError("app"), SystemExit(3), KeyboardInterrupt()], ids=repr)
def test_an_exception_of_the_app_is_raised(run: Run, error: BaseException) -> None:
    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        raise error

    async def visit() -> BaseException:
        with pytest.raises(type(error)) as caught:
            async with ours(failing).stream("GET", "/"):
                pass
        return caught.value

    assert run(visit) is error


def test_a_client_goes_away_on_purpose(run: Run) -> None:
    heard: list[str] = []

    async def listening(scope: Scope, receive: Receive, send: Send) -> None:
        while True:
            heard.append((await receive())["type"])
            if heard[-1] == "http.disconnect":
                return

    async def visit() -> None:
        client = ours(listening)
        for during in ("upload", "work"):
            await client.disconnect("POST", "/", during=during, content=b"half")
        gone = await ours(app).disconnect("GET", "/endless", during="download", parts=3)
        assert gone.body == b"0\n1\n2\n"

    run(visit)

    assert heard == ["http.request", "http.disconnect"] * 2


def test_background_tasks_are_awaited_later(run: Run) -> None:
    sent: list[str] = []

    async def visit() -> None:
        may_send = trio.Event()

        async def ordering(scope: Scope, receive: Receive, send: Send) -> None:
            await respond(send, b"ordered")
            await may_send.wait()
            sent.append("mail")

        client = ours(ordering, await_background=False)
        assert (await client.get("/")).text == "ordered"
        assert sent == []
        may_send.set()
        await client.settle()

    run(visit)

    assert sent == ["mail"]


def test_nothing_is_left_running_without_a_word(run: Run) -> None:
    async def visit() -> None:
        client = ours(Stuck())
        await client.send(client.build_request("GET", "/"), stream=True)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(visit)
