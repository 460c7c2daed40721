"""Starlette."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import (
    FileResponse,
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket


async def html(request: Request) -> Response:
    return HTMLResponse("<p>Hello</p>")


async def json(request: Request) -> Response:
    return JSONResponse({"got": await request.json() if request.method == "POST" else None})


async def form(request: Request) -> Response:
    async with request.form() as fields:
        return PlainTextResponse(",".join(sorted(fields)))


async def empty(request: Request) -> Response:
    return Response(status_code=204)


async def unchanged(request: Request) -> Response:
    return Response(status_code=304, headers={"etag": '"1"'})


async def moved(request: Request) -> Response:
    return RedirectResponse("/html", 302)


async def stream(request: Request) -> Response:
    async def parts() -> AsyncIterator[str]:
        for number in range(3):
            yield f"{number}\n"

    return StreamingResponse(parts())


async def file(request: Request) -> Response:
    return FileResponse(__file__)


async def broken(request: Request) -> Response:
    raise ConnectionError


async def cookies(request: Request) -> Response:
    response = PlainTextResponse("set")
    response.set_cookie("user", "ada")
    response.set_cookie("theme", "dark")
    return response


async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text(await websocket.receive_text())
    await websocket.close(1000, "done")


@contextlib.asynccontextmanager
async def live(app: Starlette) -> AsyncIterator[dict[str, Any]]:
    yield {}


app = Starlette(
    routes=[
        Route("/html", html),
        Route("/json", json, methods=["GET", "POST"]),
        Route("/form", form, methods=["POST"]),
        Route("/empty", empty),
        Route("/unchanged", unchanged),
        Route("/moved", moved),
        Route("/stream", stream),
        Route("/file", file),
        Route("/broken", broken),
        Route("/cookies", cookies),
        WebSocketRoute("/echo", echo),
    ],
    lifespan=live,
)
