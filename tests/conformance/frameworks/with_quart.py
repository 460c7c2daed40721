"""Quart."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from quart import Quart, Response, jsonify, make_response, redirect, request, send_file, websocket

app = Quart(__name__)


@app.route("/html")
async def html() -> str:
    return "<p>Hello</p>"


@app.route("/json", methods=["GET", "POST"])
async def json() -> Any:
    return jsonify(got=await request.get_json() if request.method == "POST" else None)


@app.route("/form", methods=["POST"])
async def form() -> str:
    return ",".join(sorted([*(await request.form), *(await request.files)]))


@app.route("/empty")
async def empty() -> tuple[str, int]:
    return "", 204


@app.route("/unchanged")
async def unchanged() -> tuple[str, int]:
    return "", 304


@app.route("/moved")
async def moved() -> Any:
    return redirect("/html")


@app.route("/stream")
async def stream() -> Any:
    async def parts() -> AsyncIterator[bytes]:
        for number in range(3):
            yield b"%d\n" % number

    return parts(), 200


@app.route("/file")
async def file() -> Any:
    return await send_file(__file__, mimetype="text/plain")


@app.route("/broken")
async def broken() -> str:
    raise ConnectionError


@app.route("/cookies")
async def cookies() -> Any:
    response = await make_response("set")
    assert isinstance(response, Response)
    response.set_cookie("user", "ada")
    response.set_cookie("theme", "dark")
    return response


@app.websocket("/echo")
async def echo() -> None:
    await websocket.send(await websocket.receive())
    await websocket.close(1000, "done")


@app.before_serving
async def start() -> None: ...
