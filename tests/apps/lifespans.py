"""Apps that record their lifespan, end it well, or end it badly."""

from __future__ import annotations

import asyncio
from typing import Any

from pytest_asgi.asgi.types import Receive, Scope, Send
from tests.apps.plain import hello


class Recording:
    """An app with a lifespan; keeps what happened, in order.

    Args:
        startup: What it sends as the answer to `lifespan.startup`.
        shutdown: What it sends as the answer to `lifespan.shutdown`.
        keys: What it leaves in the state.
    """

    def __init__(
        self,
        *,
        startup: dict[str, Any] | None = None,
        shutdown: dict[str, Any] | None = None,
        **keys: Any,
    ) -> None:
        self.startup = startup or {"type": "lifespan.startup.complete"}
        self.shutdown = shutdown or {"type": "lifespan.shutdown.complete"}
        self.keys = keys
        self.happened: list[str] = []
        self.tasks: list[object] = []
        self.scopes: list[Scope] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        if scope["type"] == "lifespan":
            await self.live(scope, receive, send)
        else:
            self.happened.append(scope["path"])
            await hello(scope, receive, send)

    async def live(self, scope: Scope, receive: Receive, send: Send) -> None:
        for answer in (self.startup, self.shutdown):
            message = await receive()
            self.happened.append(message["type"])
            self.tasks.append(asyncio.current_task())
            scope["state"].update(self.keys)
            await send(answer)


async def without_lifespan(scope: Scope, receive: Receive, send: Send) -> None:
    """Raise for every scope but http, before receiving anything."""
    if scope["type"] != "http":
        raise ValueError(scope["type"])
    await hello(scope, receive, send)


async def leaving_at_once(scope: Scope, receive: Receive, send: Send) -> None:
    """Return from a lifespan without a word."""
    if scope["type"] == "http":
        await hello(scope, receive, send)


async def listening_forever(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer every message and ask for the next, as loops without a `return` do."""
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})


class Blocking:
    """Middleware that raises before its app is reached, unless it is for a request."""

    def __init__(self, app: Any, error: Exception) -> None:
        self.app = app
        self.error = error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            raise self.error
        await self.app(scope, receive, send)
