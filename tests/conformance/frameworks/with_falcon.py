"""Falcon."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import falcon
import falcon.asgi
from falcon.asgi import Request, Response, WebSocket


class HTML:
    async def on_get(self, request: Request, response: Response) -> None:
        response.content_type = falcon.MEDIA_HTML
        response.text = "<p>Hello</p>"

    on_head = on_get


class JSON:
    async def on_get(self, request: Request, response: Response) -> None:
        response.media = {"got": None}

    async def on_post(self, request: Request, response: Response) -> None:
        response.media = {"got": await request.get_media()}


class Form:
    async def on_post(self, request: Request, response: Response) -> None:
        media = await request.get_media()
        if request.content_type == falcon.MEDIA_URLENCODED:
            response.text = ",".join(sorted(media))
        else:
            response.text = ",".join(sorted([part.name async for part in media]))


class Empty:
    async def on_get(self, request: Request, response: Response) -> None:
        response.status = 204


class Unchanged:
    async def on_get(self, request: Request, response: Response) -> None:
        response.status = 304


class Moved:
    async def on_get(self, request: Request, response: Response) -> None:
        raise falcon.HTTPFound("/html")


class Stream:
    async def on_get(self, request: Request, response: Response) -> None:
        async def parts() -> AsyncIterator[bytes]:
            for number in range(3):
                yield b"%d\n" % number

        response.stream = parts()


class File:
    async def on_get(self, request: Request, response: Response) -> None:
        async def parts() -> AsyncIterator[bytes]:
            yield Path(__file__).read_bytes()

        response.set_stream(parts(), Path(__file__).stat().st_size)


class Broken:
    async def on_get(self, request: Request, response: Response) -> None:
        raise ConnectionError


class Cookies:
    async def on_get(self, request: Request, response: Response) -> None:
        response.set_cookie("user", "ada")
        response.set_cookie("theme", "dark")
        response.text = "set"


class Echo:
    async def on_websocket(self, request: Request, socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text(await socket.receive_text())
        await socket.close(1000, "done")


class Live:
    async def process_startup(
        self, scope: Mapping[str, Any], event: Mapping[str, Any]
    ) -> None: ...

    async def process_shutdown(
        self, scope: Mapping[str, Any], event: Mapping[str, Any]
    ) -> None: ...


app = falcon.asgi.App(middleware=[Live()])
for resource in (HTML, JSON, Form, Empty, Unchanged, Moved, Stream, File, Broken, Cookies, Echo):
    app.add_route(f"/{resource.__name__.lower()}", resource())
