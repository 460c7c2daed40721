"""Sanic."""

# Sanic says nothing about the types of its decorators.
# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

from sanic import Sanic
from sanic.request import Request
from sanic.response import HTTPResponse, empty, file, html, json, raw, redirect, text
from sanic.server.websockets.impl import WebsocketImplProtocol

app = Sanic("conformance", configure_logging=False)


@app.route("/html", methods=["GET", "HEAD"])
async def get_html(request: Request) -> HTTPResponse:
    return html("<p>Hello</p>")


@app.route("/json", methods=["GET", "POST"])
async def get_json(request: Request) -> HTTPResponse:
    return json({"got": request.json if request.method == "POST" else None})


@app.post("/form")
async def form(request: Request) -> HTTPResponse:
    return text(",".join(sorted([*(request.form or ()), *(request.files or ())])))


@app.get("/empty")
async def get_empty(request: Request) -> HTTPResponse:
    return empty()


@app.get("/unchanged")
async def unchanged(request: Request) -> HTTPResponse:
    return raw(b"", status=304)


@app.get("/moved")
async def moved(request: Request) -> HTTPResponse:
    return redirect("/html")


@app.get("/stream")
async def stream(request: Request) -> None:
    response = await request.respond(content_type="text/plain")
    for number in range(3):
        await response.send(f"{number}\n")
    await response.eof()


@app.get("/file")
async def get_file(request: Request) -> HTTPResponse:
    return await file(__file__, mime_type="text/plain")


@app.get("/broken")
async def broken(request: Request) -> HTTPResponse:
    raise ConnectionError


@app.get("/cookies")
async def cookies(request: Request) -> HTTPResponse:
    response = text("set")
    response.add_cookie("user", "ada")
    response.add_cookie("theme", "dark")
    return response


@app.websocket("/echo")
async def echo(request: Request, socket: WebsocketImplProtocol) -> None:
    message = await socket.recv()
    assert message is not None
    await socket.send(message)
    await socket.close()
