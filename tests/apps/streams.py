"""Apps that answer part by part, and keep what happened to them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from pytest_asgi.asgi.types import ASGIApp, Receive, Scope, Send
from tests.apps.plain import BODY, START, require_http


async def start(send: Send) -> None:
    await send(START)


async def send_part(send: Send, part: bytes) -> None:
    await send({**BODY, "body": part, "more_body": True})


async def end(send: Send) -> None:
    await send({"type": "http.response.body"})


def sending_parts(*parts: bytes) -> ASGIApp:
    """Return an app that sends these parts as one response."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        require_http(scope)
        await start(send)
        for part in parts:
            await send_part(send, part)
        await end(send)

    return app


class Endless:
    """An app that sends numbers for ever; it never waits for anything but its reader.

    Args:
        part: How many bytes a part has.
        pause: Whether others have a turn after each part.
    """

    def __init__(self, *, part: int = 8, pause: bool = True) -> None:
        self.sent = 0
        self.error: BaseException | None = None
        self._size = part
        self._pause = pause

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        require_http(scope)
        try:
            await start(send)
            while True:
                await send_part(send, (b"%d" % self.sent).rjust(self._size))
                self.sent += 1
                if self._pause:
                    await asyncio.sleep(0)
        except BaseException as error:
            self.error = error
            raise


class Waiting:
    """An app that waits for ever, and tells when it does and how it ended.

    Args:
        parts: What it sends before; `None` to wait before its response.
        listening: Whether it listens to its client while it waits.
    """

    def __init__(self, *parts: bytes, listening: bool = False, responding: bool = True) -> None:
        self.waits = asyncio.Event()
        self.ended: list[str] = []
        self._parts = parts
        self._is_listening = listening
        self._is_responding = responding

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        require_http(scope)
        try:
            if self._is_responding:
                await start(send)
            for part in self._parts:
                await send_part(send, part)
            self.waits.set()
            if self._is_listening:
                await receive()
                self.ended.append((await receive())["type"])
            else:
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.ended.append("cancelled")
            raise
        finally:
            self.ended.append("torn down")


async def chunks_of(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk
