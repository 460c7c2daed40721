"""`ASGITransport`: for a plain client of httpx2, and of HTTPX 0.28."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextvars import ContextVar
from typing import Any

import httpx
import httpx2
import pytest

import pytest_asgi.httpx
from pytest_asgi.asgi.types import Receive, Scope, Send
from pytest_asgi.client.transport import ASGITransport
from tests.apps.lifespans import Recording
from tests.apps.plain import BODY, START, echo, hello, sending
from tests.promises import promise

GENERATIONS = pytest.mark.parametrize(
    ("http", "transport"),
    [(httpx2, ASGITransport), (httpx, pytest_asgi.httpx.ASGITransport)],
    ids=["httpx2", "httpx"],
)


@promise("client.httpx")
@GENERATIONS
async def test_a_plain_client_reaches_the_app(http: Any, transport: Any) -> None:
    async with http.AsyncClient(transport=transport(app=echo), base_url="http://test") as client:
        response = await client.post("/caf%C3%A9?q=1", json={"a": 1}, headers={"X-Id": "1"})

    seen = response.json()
    assert isinstance(response, http.Response)
    assert (seen["method"], seen["path"], seen["query_string"]) == ("POST", "/café", "q=1")
    assert (seen["raw_path"], seen["body"]) == ("/caf%C3%A9", '{"a":1}')
    assert ["x-id", "1"] in seen["headers"]


@GENERATIONS
async def test_context_variables_flow_both_ways(http: Any, transport: Any) -> None:
    of_test: ContextVar[str] = ContextVar("of_test")
    of_app: ContextVar[str] = ContextVar("of_app")
    of_test.set("test")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        of_app.set(of_test.get() + " and app")
        await hello(scope, receive, send)

    await http.AsyncClient(transport=transport(app)).get("http://test/")

    assert of_app.get() == "test and app"


@GENERATIONS
async def test_a_body_is_read_while_the_app_sends_it(http: Any, transport: Any) -> None:
    go_on = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        await send({**BODY, "body": b"one", "more_body": True})
        await go_on.wait()
        await send({**BODY, "body": b"two"})

    client = http.AsyncClient(transport=transport(app))
    async with client.stream("GET", "http://test/") as response:
        parts = response.aiter_raw()
        assert await anext(parts) == b"one"
        go_on.set()
        assert await anext(parts) == b"two"


@GENERATIONS
async def test_a_request_body_may_be_streamed(http: Any, transport: Any) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"one "
        yield b"two"

    client = http.AsyncClient(transport=transport(echo))
    response = await client.post("http://test/", content=chunks())

    assert response.json()["body"] == "one two"


@GENERATIONS
async def test_a_followed_redirect_carries_the_body_on(http: Any, transport: Any) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/new":
            await echo(scope, receive, send)
        else:
            headers = [(b"location", b"/new")]
            await sending({**START, "status": 307, "headers": headers}, BODY)(scope, receive, send)

    client = http.AsyncClient(transport=transport(app), follow_redirects=True)
    response = await client.post("http://test/old", content=b"kept")

    assert response.json()["body"] == "kept"


@GENERATIONS
async def test_the_arguments_of_httpx_keep_their_meaning_and_place(
    http: Any, transport: Any
) -> None:
    app = Recording()
    arguments = (app, True, "/root", ("10.0.0.1", 7))

    await http.AsyncClient(transport=transport(*arguments)).get("http://test/")

    assert app.scopes[0]["root_path"] == "/root"
    assert app.scopes[0]["client"] == ("10.0.0.1", 7)


@GENERATIONS
async def test_exceptions_are_answered_on_request(http: Any, transport: Any) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise ConnectionError

    raising = http.AsyncClient(transport=transport(app))
    answering = http.AsyncClient(transport=transport(app, raise_app_exceptions=False))

    with pytest.raises(ConnectionError):
        await raising.get("http://test/")
    assert (await answering.get("http://test/")).status_code == 500


@GENERATIONS
async def test_requests_have_a_state_only_if_one_is_given(http: Any, transport: Any) -> None:
    app = Recording()

    await http.AsyncClient(transport=transport(app)).get("http://test/")
    await http.AsyncClient(transport=transport(app, state={"pool": 1})).get("http://test/")

    assert "state" not in app.scopes[0]
    assert app.scopes[1]["state"] == {"pool": 1}


@GENERATIONS
def test_the_transport_knows_its_app(http: Any, transport: Any) -> None:
    assert transport(hello).app is hello


@GENERATIONS
async def test_the_time_of_a_request_is_known(http: Any, transport: Any) -> None:
    response = await http.AsyncClient(transport=transport(hello)).get("http://test/")

    assert response.elapsed.total_seconds() >= 0


def test_the_module_for_httpx_has_one_name() -> None:
    with pytest.raises(AttributeError, match="'Client'"):
        _ = pytest_asgi.httpx.Client


def test_httpx_is_loaded_when_its_transport_is_asked_for() -> None:
    code = (
        "import sys, pytest_asgi.httpx as module\n"
        "assert 'httpx' not in sys.modules\n"
        "module.ASGITransport\n"
        "assert 'httpx' in sys.modules\n"
    )

    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_missing_httpx_is_answered_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "httpx", None)
    monkeypatch.delitem(sys.modules, "pytest_asgi.adapters.httpx", raising=False)

    with pytest.raises(pytest_asgi.errors.MissingExtraError) as caught:
        _ = pytest_asgi.httpx.ASGITransport

    assert "pip install 'pytest-asgi[httpx]'" in caught.value.fix
