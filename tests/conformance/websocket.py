"""A WebSocket client of a few lines: an app, what it receives, and the rules in between."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from pytest_asgi.asgi.rules import WebSocketRules
from pytest_asgi.asgi.types import ASGIApp, Message, Scope


def websocket_scope(offered: Iterable[str] = ()) -> Scope:
    return {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": "ws",
        "path": "/echo",
        "raw_path": b"/echo",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"test")],
        "client": ("127.0.0.1", 1),
        "server": ("test", 80),
        "subprotocols": ["chat", "mqtt"],
        "extensions": {name: {} for name in offered},
        "state": {},
    }


async def converse(app: ASGIApp, *said: str, offered: Iterable[str] = ()) -> list[Message]:
    """Connect, say something, and return what the app has sent."""
    scope = websocket_scope(offered)
    rules = WebSocketRules(scope)
    sent: list[Message] = []
    inbox: asyncio.Queue[Message] = asyncio.Queue()
    inbox.put_nowait({"type": "websocket.connect"})
    for text in said:
        inbox.put_nowait({"type": "websocket.receive", "text": text})

    async def send(message: Message) -> None:
        if rules.check(message):
            sent.append(message)
        if message["type"] == "websocket.close":
            inbox.put_nowait({"type": "websocket.disconnect", "code": 1000})

    await app(scope, inbox.get, send)
    rules.check_return()
    return sent
