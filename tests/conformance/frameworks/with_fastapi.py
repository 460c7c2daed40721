"""FastAPI."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from fastapi import Body, FastAPI, Request, Response, WebSocket
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, StreamingResponse


@contextlib.asynccontextmanager
async def live(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    yield {}


app = FastAPI(lifespan=live)


@app.api_route("/html", methods=["GET", "HEAD"], response_class=HTMLResponse)
async def html() -> str:
    return "<p>Hello</p>"


@app.get("/json")
async def get_json() -> dict[str, Any]:
    return {"got": None}


@app.post("/json")
async def post_json(content: dict[str, Any] = Body()) -> dict[str, Any]:  # noqa: FAST002, B008
    return {"got": content}


@app.post("/form")
async def form(request: Request) -> str:
    async with request.form() as fields:
        return ",".join(sorted(fields))


@app.get("/empty", status_code=204)
async def empty() -> None: ...


@app.get("/unchanged", status_code=304)
async def unchanged(response: Response) -> None:
    response.headers["etag"] = '"1"'


@app.get("/moved")
async def moved() -> Response:
    return RedirectResponse("/html", 302)


@app.get("/stream")
async def stream() -> Response:
    async def parts() -> AsyncIterator[str]:
        for number in range(3):
            yield f"{number}\n"

    return StreamingResponse(parts())


@app.get("/file")
async def file() -> Response:
    return FileResponse(__file__)


@app.get("/broken")
async def broken() -> None:
    raise ConnectionError


@app.get("/cookies")
async def cookies(response: Response) -> str:
    response.set_cookie("user", "ada")
    response.set_cookie("theme", "dark")
    return "set"


@app.websocket("/echo")
async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text(await websocket.receive_text())
    await websocket.close(1000, "done")


@app.websocket("/numbers/{number}")
async def count(websocket: WebSocket, number: int) -> None:
    await websocket.accept()
