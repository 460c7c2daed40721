"""An app whose requests and responses take their time: streams, events, uploads, challenges."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from queue import SimpleQueue
from typing import Any

from fastapi import FastAPI, File, Form, Request, Response, UploadFile
from starlette.background import BackgroundTask
from starlette.responses import StreamingResponse

from pytest_asgi.asgi.types import Receive, Scope, Send
from tests.apps.plain import BODY, START, echo

# What the app saw, for a test that may run beside the server's thread.
seen: SimpleQueue[Any] = SimpleQueue()

app = FastAPI()
app.mount("/echo", echo)


@app.get("/events")
async def events() -> Response:
    async def lines() -> AsyncIterator[str]:
        number = 0
        while True:
            yield f"id: {number}\nevent: tick\ndata: {number}\n\n"
            number += 1
            await asyncio.sleep(0)

    return StreamingResponse(lines(), media_type="text/event-stream")


@app.get("/numbers")
async def numbers(count: int) -> Response:
    async def lines() -> AsyncIterator[str]:
        for number in range(count):
            yield f"{number}\n"

    return StreamingResponse(lines(), media_type="application/x-ndjson")


@app.post("/upload")
async def upload(file: UploadFile = File(), title: str = Form()) -> dict[str, Any]:  # noqa: B008, FAST002
    return {"name": file.filename, "size": len(await file.read()), "title": title}


@app.post("/lengths")
async def lengths(request: Request) -> int:
    return sum([len(chunk) async for chunk in request.stream()])


@app.get("/challenge")
async def challenge(request: Request) -> Response:
    """Answer a challenge of one's own making: a second request has to carry a token."""
    if request.headers.get("x-token") == "secret":
        return Response("welcome", headers={"set-cookie": "visited=1; Path=/"})
    return Response(status_code=401, headers={"x-challenge": "secret"})


@app.get("/background")
async def background() -> Response:
    return Response("ordered", background=BackgroundTask(seen.put, "mail"))


async def breaking(scope: Scope, receive: Receive, send: Send) -> None:
    """Fail in the middle of a response."""
    await send(START)
    await send({**BODY, "more_body": True})
    raise ConnectionError


async def reporting(scope: Scope, receive: Receive, send: Send) -> None:
    """Begin a response, and report how the client leaves it."""
    types = [(await receive())["type"]]
    await send(START)
    await send({**BODY, "more_body": True})
    types.append((await receive())["type"])
    seen.put(types)


async def stalling(scope: Scope, receive: Receive, send: Send) -> None:
    """Begin a response, and go on when the client has left."""
    await send(START)
    await send({**BODY, "more_body": True})
    while (await receive())["type"] != "http.disconnect":
        pass


async def cut(scope: Scope, receive: Receive, send: Send) -> None:
    """Report what comes of an upload that breaks off."""
    types: list[str] = []
    while not types or types[-1] != "http.disconnect":
        types.append((await receive())["type"])
    seen.put(types)


for path, part in {
    "/breaking": breaking,
    "/reporting": reporting,
    "/stalling": stalling,
    "/cut": cut,
}.items():
    app.mount(path, part)
