"""The same connections behind a real server and behind us look the same from both ends."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeAlias

import httpx2
import pytest
from httpx2.websockets import (
    HTTPXWSException,
    WebSocketDisconnect,
    WebSocketInvalidTypeReceived,
    WebSocketNetworkError,
    WebSocketUpgradeError,
    _api,
)

from pytest_asgi.client.client import AsyncClient
from pytest_asgi.client.transport import ASGITransport
from tests.apps.websockets import app, heard
from tests.promises import promise

Seen: TypeAlias = list[Any]

# Making the default one takes longer than all of a test's connections.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

# What the server adds for its own connection, and fills in for an app that leaves it out.
OF_THE_CONNECTION = {"connection", "content-length", "content-type", "date", "server"}


def describe(response: httpx2.Response) -> Seen:
    headers = {
        name: value
        for name, value in response.headers.items()
        if name not in {*OF_THE_CONNECTION, "sec-websocket-accept"}
    }
    return [response.status_code, headers, dict(response.cookies)]


def tell(error: BaseException) -> Seen:
    """Return what a test can learn from an exception."""
    if isinstance(error, WebSocketUpgradeError):
        return ["refused", *describe(error.response)]
    if isinstance(error, WebSocketNetworkError):
        return ["closed", 1006, ""]
    if isinstance(error, WebSocketDisconnect):
        return ["closed", error.code, error.reason]
    assert isinstance(error, WebSocketInvalidTypeReceived)
    event: Any = error.event
    return ["other type", event.data]


async def receive_all(ws: Any) -> Seen:
    """Return the messages until the app closes the connection, and how it does."""
    seen: Seen = []
    while True:
        try:
            seen.append((await ws.receive()).data)
        except HTTPXWSException as error:
            return [*seen, *tell(error)]


async def listen(client: httpx2.AsyncClient, url: str, **options: Any) -> Seen:
    """Connect and return all that a test can learn."""
    seen: Seen = []
    try:
        async with client.websocket(url, **options) as ws:
            assert ws.response is not None
            seen += [ws.subprotocol, *describe(ws.response)]
            seen += await receive_all(ws)
    except HTTPXWSException as error:
        seen += tell(error)
    return [*seen, dict(client.cookies)]


async def talk(client: httpx2.AsyncClient) -> Seen:
    ws: Any
    async with client.websocket("/echo") as ws:
        await ws.send_text("tëxt")
        await ws.send_bytes(b"\0\xff")
        await ws.send_json({"ä": [1, None]})
        await ws.send_json("x", mode="binary")
        await ws.send_text("")
        seen = [(await ws.receive()).data for _ in range(5)]
    return [*seen, heard.get(timeout=10)]


async def mistake(client: httpx2.AsyncClient) -> Seen:
    async with client.websocket("/echo") as ws:
        await ws.send_text("text")
        with pytest.raises(WebSocketInvalidTypeReceived) as raised:
            await ws.receive_bytes()
    return [*tell(raised.value), heard.get(timeout=10)]


async def close(client: httpx2.AsyncClient, *arguments: Any) -> Seen:
    async with client.websocket("/echo") as ws:
        await ws.close(*arguments)
    return [heard.get(timeout=10)]


async def leave(client: httpx2.AsyncClient) -> Seen:
    async with client.websocket("/echo"):
        pass
    return [heard.get(timeout=10)]


async def log_in_and_look(client: httpx2.AsyncClient) -> Seen:
    return [
        *await listen(client, "/negotiate", subprotocols=["v1"]),
        *await listen(client, "/whoami"),
    ]


VISITS: dict[str, Callable[[httpx2.AsyncClient], Awaitable[Seen]]] = {
    "scope": lambda client: listen(client, "/scope/"),
    "query string": lambda client: listen(client, "/scope/?a=1&b=%20+", params=None),
    "parameters": lambda client: listen(client, "/scope/", params={"ä": ["1", "2"]}),
    "escaped path": lambda client: listen(client, "/scope/a%2Fb%20c/%E2%82%AC"),
    "headers": lambda client: listen(client, "/scope/", headers={"X-One": "1", "upgrade": "no"}),
    "cookies": lambda client: listen(client, "/scope/", cookies={"a": "1"}),
    "basic authentication": lambda client: listen(client, "/scope/", auth=("ada", "secret")),
    "subprotocols": lambda client: listen(client, "/negotiate", subprotocols=["v1", "v2"]),
    "cookies of the app": log_in_and_look,
    "messages": lambda client: listen(client, "/count"),
    "echo": talk,
    "other type": mistake,
    "rejected": lambda client: listen(client, "/reject"),
    "denied": lambda client: listen(client, "/deny"),
    "denied by an exception": lambda client: listen(client, "/deny-by-exception"),
    "unknown route": lambda client: listen(client, "/nowhere"),
    "redirect": lambda client: listen(client, "/moved"),
    "left open": lambda client: listen(client, "/return"),
    "broken": lambda client: listen(client, "/broken"),
    "broken before": lambda client: listen(client, "/broken-before"),
    "closed by the client": lambda client: close(client, 4001, "enough"),
    "closed without a reason": lambda client: close(client, 1001),
    "left by the client": leave,
}


# The server ends these connections without a close frame.
LEFT_BY_THE_SERVER = {"left open", "broken"}


@pytest.fixture(autouse=True)
def _forget_what_was_heard() -> None:
    while not heard.empty():
        heard.get()


def _cases() -> Iterator[Any]:
    for name in VISITS:
        is_slow = name in LEFT_BY_THE_SERVER and not hasattr(_api, "EndOfStream")
        reason = "this httpx2 waits 40 seconds for a server that is gone"
        yield pytest.param(name, marks=pytest.mark.skipif(is_slow, reason=reason))


@promise("websocket.scope")
@pytest.mark.parametrize("name", list(_cases()))
async def test_a_real_server_shows_the_same(websocket_server: str, name: str) -> None:
    transport = ASGITransport(app, raise_app_exceptions=False)
    async with (
        httpx2.AsyncClient(base_url=websocket_server, verify=NO_TLS) as real,
        AsyncClient(app, base_url=websocket_server, raise_app_exceptions=False) as ours,
        httpx2.AsyncClient(base_url=websocket_server, transport=transport) as plain,
    ):
        expected = await VISITS[name](real)

        assert await VISITS[name](ours) == expected
        assert await VISITS[name](plain) == expected
