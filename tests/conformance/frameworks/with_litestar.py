"""Litestar."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from litestar import Litestar, MediaType, Request, Response, WebSocket, get, head, post, websocket
from litestar.response import File, Redirect, Stream


@get("/html", media_type=MediaType.HTML)
async def html() -> str:
    return "<p>Hello</p>"


@head("/html", media_type=MediaType.HTML)
async def html_head() -> None: ...


@get("/json")
async def get_json() -> dict[str, Any]:
    return {"got": None}


@post("/json", status_code=200)
async def post_json(request: Request[Any, Any, Any]) -> dict[str, Any]:
    return {"got": await request.json()}


@post("/form", status_code=200)
async def form(request: Request[Any, Any, Any]) -> str:
    return ",".join(sorted(await request.form()))


@get("/empty", status_code=204)
async def empty() -> None: ...


@get("/unchanged", status_code=304)
async def unchanged() -> None: ...


@get("/moved", status_code=302)
async def moved() -> Redirect:
    return Redirect("/html", status_code=302)


@get("/stream")
async def stream() -> Stream:
    async def parts() -> AsyncIterator[str]:
        for number in range(3):
            yield f"{number}\n"

    return Stream(parts())


@get("/file")
async def file() -> File:
    return File(__file__)


@get("/broken")
async def broken() -> None:
    raise ConnectionError


@get("/cookies")
async def cookies() -> Response[str]:
    response = Response("set")
    response.set_cookie("user", "ada")
    response.set_cookie("theme", "dark")
    return response


@websocket("/echo")
async def echo(socket: WebSocket[Any, Any, Any]) -> None:
    await socket.accept()
    await socket.send_text(await socket.receive_text())
    await socket.close(1000, "done")


@contextlib.asynccontextmanager
async def live(app: Litestar) -> AsyncIterator[None]:
    yield


app = Litestar(
    [
        html,
        html_head,
        get_json,
        post_json,
        form,
        empty,
        unchanged,
        moved,
        stream,
        file,
        broken,
        cookies,
        echo,
    ],
    lifespan=[live],
    openapi_config=None,
    logging_config=None,
)
