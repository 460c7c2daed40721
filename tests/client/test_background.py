"""Background tasks of the app: awaited by a response, or behind it."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncIterator
from contextvars import ContextVar
from typing import Any

import httpx2
import pytest
from fastapi import BackgroundTasks, FastAPI

from pytest_asgi.asgi.types import Receive, Scope, Send
from pytest_asgi.client.client import AsyncClient
from tests.apps.plain import respond
from tests.client.generations import ALL, MakeClient, ours
from tests.promises import promise


@pytest.fixture(autouse=True)
async def time_limit() -> AsyncIterator[None]:
    async with asyncio.timeout(10):
        yield


class Mailing:
    """A FastAPI app whose background task waits until the test lets it go on."""

    def __init__(self, error: Exception | None = None) -> None:
        self.may_send = asyncio.Event()
        self.sent: list[str] = []
        self.error = error
        self.app = FastAPI()
        self.app.get("/{name}")(self.order)

    async def order(self, name: str, tasks: BackgroundTasks) -> str:
        tasks.add_task(self.send, name)
        return "ordered"

    async def send(self, name: str) -> None:
        await self.may_send.wait()
        if self.error is not None:
            raise self.error
        self.sent.append(name)


@promise("client.background")
async def test_a_streamed_response_is_read_before_its_background_tasks_are_done() -> None:
    mailing = Mailing()

    async with ours(mailing.app).stream("GET", "/ada") as response:
        assert await response.aread() == b'"ordered"'
        assert mailing.sent == []
        mailing.may_send.set()

    assert mailing.sent == ["ada"]


async def test_a_block_that_reads_nothing_waits_for_the_background_tasks_too() -> None:
    mailing = Mailing()
    mailing.may_send.set()

    async with ours(mailing.app).stream("GET", "/ada"):
        pass

    assert mailing.sent == ["ada"]


async def test_closing_a_response_by_hand_waits_for_the_background_tasks() -> None:
    mailing = Mailing()
    client = ours(mailing.app)

    response = await client.send(client.build_request("GET", "/ada"), stream=True)
    await response.aread()
    mailing.may_send.set()
    await response.aclose()

    assert mailing.sent == ["ada"]


async def test_a_failure_behind_a_streamed_response_is_raised_when_the_block_is_left() -> None:
    mailing = Mailing(ConnectionError("no mail server"))

    async def visit() -> None:
        async with ours(mailing.app).stream("GET", "/ada") as response:
            await response.aread()
            mailing.may_send.set()

    with pytest.raises(ConnectionError, match="no mail server"):
        await visit()


async def test_an_assertion_comes_before_a_failure_behind_the_response() -> None:
    mailing = Mailing(ConnectionError("no mail server"))

    async def visit() -> None:
        async with ours(mailing.app).stream("GET", "/ada") as response:
            await response.aread()
            mailing.may_send.set()
            assert mailing.sent == ["ada"], "of the test"

    with pytest.raises(AssertionError, match="of the test") as caught:
        await visit()

    assert "no mail server" in caught.value.__notes__[0]


@ALL
async def test_a_response_does_not_wait_on_request(make_client: MakeClient) -> None:
    mailing = Mailing()
    client = make_client(mailing.app, await_background=False)

    assert (await client.get("/ada")).json() == "ordered"
    assert mailing.sent == []


@promise("client.background")
async def test_settle_waits_for_what_responses_have_not_waited_for() -> None:
    mailing = Mailing()
    client = ours(mailing.app, await_background=False)

    await client.get("/ada")
    await client.get("/bob")
    mailing.may_send.set()
    await client.settle()

    assert mailing.sent == ["ada", "bob"]


@ALL
async def test_a_client_that_is_closed_waits_for_them(make_client: MakeClient) -> None:
    mailing = Mailing()

    async with make_client(mailing.app, await_background=False) as client:
        await client.get("/ada")
        mailing.may_send.set()

    assert mailing.sent == ["ada"]


async def test_a_failure_is_raised_by_settle_with_its_own_traceback() -> None:
    error = ConnectionError("no mail server")
    mailing = Mailing(error)
    client = ours(mailing.app, await_background=False)

    await client.get("/ada")
    mailing.may_send.set()
    with pytest.raises(ConnectionError) as caught:
        await client.settle()
    await client.settle()

    assert caught.value is error
    assert traceback.extract_tb(error.__traceback__)[-1].name == "send"


async def test_several_failures_are_a_group() -> None:
    mailing = Mailing(ConnectionError("no mail server"))
    client = ours(mailing.app, await_background=False)

    await client.get("/ada")
    await client.get("/bob")
    mailing.may_send.set()
    with pytest.raises(ExceptionGroup) as caught:
        await client.settle()

    assert caught.value.exceptions == (mailing.error, mailing.error)


async def test_failures_are_not_raised_where_exceptions_are_answered() -> None:
    mailing = Mailing(ConnectionError("no mail server"))
    client = ours(mailing.app, await_background=False, raise_app_exceptions=False)

    await client.get("/ada")
    mailing.may_send.set()
    await client.settle()


@ALL
async def test_a_failure_is_a_note_to_what_the_block_raises(make_client: MakeClient) -> None:
    mailing = Mailing(ConnectionError("no mail server"))
    mailing.may_send.set()

    async def visit() -> None:
        async with make_client(mailing.app, await_background=False) as client:
            await client.get("/ada")
            assert mailing.sent == ["ada"], "of the test"

    with pytest.raises(AssertionError, match="of the test") as caught:
        await visit()

    assert "no mail server" in caught.value.__notes__[0]


async def test_a_client_forgets_the_apps_that_have_ended() -> None:
    mailing = Mailing()
    mailing.may_send.set()
    client = ours(mailing.app, await_background=False)

    for _ in range(100):
        await client.get("/ada")

    assert len(client._gateway._open) < 5
    assert mailing.sent.count("ada") >= 95


async def test_context_variables_of_the_app_are_seen_though_it_goes_on() -> None:
    variable: ContextVar[str] = ContextVar("variable")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        variable.set("from the app")
        await respond(send, b"")

    await ours(app, await_background=False).get("/")

    assert variable.get() == "from the app"


async def test_settling_nothing_is_fine() -> None:
    clients: list[Any] = [
        ours(Mailing().app),
        AsyncClient(transport=httpx2.MockTransport(lambda _: httpx2.Response(200))),
    ]

    for client in clients:
        await client.settle()


@ALL
async def test_a_failure_is_raised_when_the_client_is_closed(make_client: MakeClient) -> None:
    mailing = Mailing(ConnectionError("no mail server"))
    mailing.may_send.set()

    async def visit() -> None:
        async with make_client(mailing.app, await_background=False) as client:
            await client.get("/ada")

    with pytest.raises(ConnectionError, match="no mail server"):
        await visit()


@promise("client.stream-failure")
async def test_a_reader_that_is_closed_early_raises_what_failed_behind_it() -> None:
    mailing = Mailing(ConnectionError("no mail server"))
    mailing.may_send.set()

    async def read_a_part() -> None:
        async with ours(mailing.app).stream("GET", "/ada") as response:
            parts = response.aiter_raw()
            await anext(parts)
            await parts.aclose()  # which, in an older httpx2, leaves the response open

    with pytest.raises(ConnectionError, match="no mail server"):
        await read_a_part()
