"""WebSocket beside its peers: their exceptions, and their sessions over our transports."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import httpx2
import httpx2.websockets
import httpx_ws
import pytest
import starlette.testclient
import starlette.websockets
import wsproto.events

import pytest_asgi.httpx
from pytest_asgi.asgi.types import Receive, Scope, Send
from pytest_asgi.client.client import AsyncClient
from pytest_asgi.client.sync import TestClient
from pytest_asgi.client.transport import ASGITransport
from tests.apps.websockets import ACCEPT, CLOSE, Hearing, accepting, app, echo, text
from tests.promises import promise


@promise("websocket.peers")
@pytest.mark.parametrize(
    "kind",
    [
        httpx2.websockets.WebSocketDisconnect,
        httpx_ws.WebSocketDisconnect,
        starlette.websockets.WebSocketDisconnect,
    ],
    ids=lambda kind: kind.__module__,
)
async def test_a_close_is_caught_by_the_class_of_a_peer(kind: Any) -> None:
    async with AsyncClient(accepting({**CLOSE, "code": 4000, "reason": "no"})).websocket(
        "/"
    ) as ws:
        with pytest.raises(kind) as closed:
            await ws.receive()

    assert (closed.value.code, closed.value.reason) == (4000, "no")


@pytest.mark.parametrize(
    "kind",
    [
        httpx2.websockets.WebSocketUpgradeError,
        httpx2.websockets.WebSocketDisconnect,
        httpx_ws.WebSocketUpgradeError,
        starlette.websockets.WebSocketDisconnect,
    ],
    ids=lambda kind: f"{kind.__module__}.{kind.__name__}",
)
async def test_a_rejection_is_caught_by_the_class_of_a_peer(kind: Any) -> None:
    with pytest.raises(kind) as refused:
        async with AsyncClient(app).websocket("/reject"):
            pass

    error: Any = refused.value
    assert (error.code, error.reason, error.response.status_code) == (1008, "no ticket", 403)
    assert not isinstance(error, starlette.testclient.WebSocketDenialResponse)


@pytest.mark.parametrize(
    "kind",
    [httpx2.websockets.WebSocketUpgradeError, httpx_ws.WebSocketUpgradeError],
    ids=["httpx2", "httpx_ws"],
)
async def test_a_denial_is_caught_by_the_class_of_a_peer(kind: Any) -> None:
    with pytest.raises(kind) as refused:
        async with AsyncClient(app).websocket("/deny"):
            pass

    assert refused.value.response.json() == {"detail": "sold out"}


async def test_a_denial_is_a_response_as_in_starlette() -> None:
    with pytest.raises(starlette.testclient.WebSocketDenialResponse) as refused:
        async with AsyncClient(app).websocket("/deny"):
            pass

    response = refused.value
    assert (response.status_code, response.headers["x-reason"]) == (409, "sold out")
    assert response.json() == {"detail": "sold out"}


async def test_a_message_of_the_other_kind_is_caught_by_the_class_of_a_peer() -> None:
    async with AsyncClient(accepting(text("text"), CLOSE)).websocket("/") as ws:
        with pytest.raises(httpx2.websockets.WebSocketInvalidTypeReceived) as raised:
            await ws.receive_bytes()

    assert raised.value.event == wsproto.events.TextMessage("text")


async def test_receive_gives_the_events_of_wsproto() -> None:
    async with AsyncClient(echo).websocket("/") as ws:
        await ws.send(wsproto.events.TextMessage("text"))
        await ws.send(wsproto.events.BytesMessage(b"bytes"))

        assert await ws.receive() == wsproto.events.TextMessage("text")
        assert await ws.receive() == wsproto.events.BytesMessage(b"bytes")


# --- the sessions of peers -----------------------------------------------------------------------


@contextlib.asynccontextmanager
async def connect_httpx2(app: Any, url: str, **options: Any) -> AsyncIterator[Any]:
    client = httpx2.AsyncClient(transport=ASGITransport(app), base_url="http://test")
    async with client, client.websocket(url, **options) as ws:
        yield ws


@contextlib.asynccontextmanager
async def connect_httpx(app: Any, url: str, **options: Any) -> AsyncIterator[Any]:
    transport = pytest_asgi.httpx.ASGITransport(app)
    async with (
        httpx.AsyncClient(transport=transport, base_url="http://test") as client,
        httpx_ws.aconnect_ws(url, client, **options) as ws,
    ):
        yield ws


LIBRARIES = pytest.mark.parametrize(
    ("connect", "library"),
    [(connect_httpx2, httpx2.websockets), (connect_httpx, httpx_ws)],
    ids=["httpx2", "httpx-ws"],
)


@promise("websocket.plain-client")
@LIBRARIES
async def test_a_peers_session_talks_to_the_app(connect: Any, library: Any) -> None:
    async with connect(app, "/echo") as ws:
        await ws.send_text("text")
        assert await ws.receive_text() == "text"
        await ws.send_bytes(b"bytes")
        assert await ws.receive_bytes() == b"bytes"
        await ws.send_text("x" * 60_000)
        assert await ws.receive_text() == "x" * 60_000


@LIBRARIES
async def test_a_peers_session_is_answered_in_the_handshake(connect: Any, library: Any) -> None:
    async with connect(app, "/negotiate", subprotocols=["v1", "v2"]) as ws:
        assert ws.subprotocol == "v2"
        with pytest.raises(library.WebSocketDisconnect) as closed:
            await ws.receive()

    assert (closed.value.code, closed.value.reason) == (4001, "done")


@LIBRARIES
async def test_a_peers_ping_is_answered(connect: Any, library: Any) -> None:
    async with connect(app, "/echo") as ws, asyncio.timeout(10):
        await (await ws.ping()).wait()
        await ws.send(wsproto.events.Pong(b"which nobody asked for"))
        await ws.send_text("still here")
        assert await ws.receive_text() == "still here"


@LIBRARIES
async def test_a_peers_fragments_are_one_message(connect: Any, library: Any) -> None:
    async with connect(app, "/echo") as ws:
        await ws.send(wsproto.events.TextMessage("one ", message_finished=False))
        await ws.send(wsproto.events.TextMessage("two"))
        assert await ws.receive_text() == "one two"


@LIBRARIES
async def test_a_peers_close_reaches_the_app(connect: Any, library: Any) -> None:
    app = Hearing()

    async with connect(app, "/") as ws:
        await ws.send_text("hello")
        await ws.close(4001, "enough")

    assert app.heard == [
        {"type": "websocket.receive", "text": "hello"},
        {"type": "websocket.disconnect", "code": 4001, "reason": "enough"},
    ]


@LIBRARIES
async def test_a_peers_session_sees_an_app_go_that_just_returns(
    connect: Any, library: Any
) -> None:
    async with connect(app, "/return") as ws:
        assert await ws.receive_text() == "bye"
        with pytest.raises(library.WebSocketNetworkError):
            await ws.receive_text()


@LIBRARIES
async def test_a_peers_session_is_refused_as_by_a_server(connect: Any, library: Any) -> None:
    for url, status in (("/reject", 403), ("/deny", 409)):
        with pytest.raises(library.WebSocketUpgradeError) as refused:
            async with connect(app, url):
                pass
        assert refused.value.response.status_code == status


@LIBRARIES
async def test_what_the_app_raises_reaches_a_peers_session(connect: Any, library: Any) -> None:
    with pytest.RaisesGroup(ConnectionError, flatten_subgroups=True):
        async with connect(app, "/broken") as ws:
            assert await ws.receive_text() == "still well"
            await ws.receive_text()


@LIBRARIES
async def test_a_peers_session_that_goes_without_a_word_is_told_to_the_app(
    connect: Any, library: Any
) -> None:
    app = Hearing()

    async with connect(app, "/") as ws:
        await ws.stream.aclose()

    assert [message["type"] for message in app.heard] == ["websocket.disconnect"]
    assert app.heard[0]["code"] == 1006


# --- Starlette's exceptions in synchronous tests -------------------------------------------------


def test_starlettes_exceptions_are_those_of_its_test_client() -> None:
    client = TestClient(app)

    with (
        pytest.raises(starlette.websockets.WebSocketDisconnect) as closed,
        client.websocket_connect("/reject"),
    ):
        pass
    with (
        pytest.raises(starlette.testclient.WebSocketDenialResponse) as denied,
        client.websocket_connect("/deny"),
    ):
        pass

    assert closed.value.code == 1008
    assert denied.value.json() == {"detail": "sold out"}


async def test_an_app_that_waits_does_not_hold_up_a_peers_close() -> None:
    async def waiting(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        await asyncio.Event().wait()

    async with asyncio.timeout(10), connect_httpx2(waiting, "/") as ws:
        await ws.send_text("hello")
