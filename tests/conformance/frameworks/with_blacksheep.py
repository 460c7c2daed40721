"""BlackSheep."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from blacksheep import (
    Application,
    Content,
    Cookie,
    Request,
    Response,
    StreamedContent,
    WebSocket,
    html,
    json,
    redirect,
    text,
)
from blacksheep.server.responses import file
from blacksheep.server.routing import Router

router = Router()
app = Application(router=router)


async def _parts() -> AsyncIterator[bytes]:
    for number in range(3):
        yield b"%d\n" % number


@router.get("/html")
async def get_html() -> Response:
    return html("<p>Hello</p>")


@router.head("/html")
async def head_html() -> Response:
    return html("<p>Hello</p>")


@router.get("/json")
async def get_json() -> Response:
    return json({"got": None})


@router.post("/json")
async def post_json(request: Request) -> Response:
    return json({"got": await request.json()})


@router.post("/form")
async def form(request: Request) -> Response:
    return text(",".join(sorted(await request.form() or {})))


@router.get("/empty")
async def empty() -> Response:
    return Response(204)


@router.get("/unchanged")
async def unchanged() -> Response:
    return Response(304)


@router.get("/moved")
async def moved() -> Response:
    return redirect("/html")


@router.get("/stream")
async def stream() -> Response:
    return Response(200, content=StreamedContent(b"text/plain", _parts))


@router.get("/file")
async def get_file() -> Response:
    return file(__file__, "text/plain")


@router.get("/broken")
async def broken() -> Response:
    raise ConnectionError


@router.get("/cookies")
async def cookies() -> Response:
    response = Response(200, content=Content(b"text/plain", b"set"))
    response.set_cookie(Cookie("user", "ada"))
    response.set_cookie(Cookie("theme", "dark"))
    return response


@router.ws("/echo")
async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text(await websocket.receive_text())
    await websocket.close(1000, "done")


@app.on_start
async def start(_: Any) -> None: ...
