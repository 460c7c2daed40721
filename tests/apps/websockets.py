"""Apps with WebSocket connections: bare ones, and one of FastAPI that has every shape of them."""

from __future__ import annotations

import json
from queue import SimpleQueue
from typing import Any

from fastapi import FastAPI, WebSocket, WebSocketDisconnect, WebSocketException
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse

from pytest_asgi.asgi.types import ASGIApp, Message, Receive, Scope, Send

ACCEPT: Message = {"type": "websocket.accept"}
CLOSE: Message = {"type": "websocket.close"}


def text(data: str) -> Message:
    return {"type": "websocket.send", "text": data}


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Send back what comes, until the client leaves."""
    if scope["type"] != "websocket":
        raise NotImplementedError(scope["type"])
    assert await receive() == {"type": "websocket.connect"}
    await send(ACCEPT)
    while (message := await receive())["type"] == "websocket.receive":
        await send({**message, "type": "websocket.send"})


def accepting(*messages: Message) -> ASGIApp:
    """Return an app that accepts a connection and sends exactly these messages."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        for message in (ACCEPT, *messages):
            await send(message)

    return app


class Hearing:
    """An app that accepts, and keeps what it hears until the client leaves."""

    def __init__(self) -> None:
        self.heard: list[Message] = []
        self.scopes: list[Scope] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        await receive()
        await send(ACCEPT)
        while True:
            self.heard.append(await receive())
            if self.heard[-1]["type"] == "websocket.disconnect":
                return


app = FastAPI()

# What the endpoints heard last, for a test that may run beside the server's thread.
heard: SimpleQueue[dict[str, Any]] = SimpleQueue()


def describe(scope: Scope) -> dict[str, Any]:
    """Return what an app can see of a connection, in JSON's types."""
    return {
        "type": scope["type"],
        "asgi": scope.get("asgi"),
        "scheme": scope["scheme"],
        "http_version": scope.get("http_version"),
        "path": scope["path"],
        "raw_path": scope["raw_path"].decode("ascii"),
        "query_string": scope["query_string"].decode("ascii"),
        "root_path": scope["root_path"],
        "server": list(scope["server"]),
        "client": scope["client"][0],
        "subprotocols": scope["subprotocols"],
        "extensions": sorted(scope["extensions"]),
        "headers": [
            [name.decode("latin-1"), value.decode("latin-1")]
            for name, value in scope["headers"]
            if name != b"sec-websocket-key"
        ],
    }


@app.websocket("/scope/{rest:path}")
async def see(websocket: WebSocket, rest: str) -> None:
    await websocket.accept()
    await websocket.send_json(describe(websocket.scope))
    await websocket.close()


@app.websocket("/echo")
async def repeat(websocket: WebSocket) -> None:
    await websocket.accept()
    while True:
        message = await websocket.receive()
        if message["type"] == "websocket.disconnect":
            heard.put(dict(message))
            return
        if message.get("text") is not None:
            await websocket.send_text(message["text"])
        else:
            await websocket.send_bytes(message["bytes"])


@app.websocket("/negotiate")
async def negotiate(websocket: WebSocket) -> None:
    await websocket.accept(
        subprotocol=websocket.scope["subprotocols"][-1],
        headers=[(b"x-chosen", b"1"), (b"set-cookie", b"seat=7; Path=/")],
    )
    await websocket.close(4001, "done")


@app.websocket("/whoami")
async def whoami(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_json(websocket.cookies)
    await websocket.close()


@app.websocket("/reject")
async def reject(websocket: WebSocket) -> None:
    raise WebSocketException(1008, "no ticket")


@app.websocket("/deny")
async def deny(websocket: WebSocket) -> None:
    await websocket.send_denial_response(
        JSONResponse({"detail": "sold out"}, 409, headers={"x-reason": "sold out"})
    )


@app.websocket("/deny-by-exception")
async def deny_by_exception(websocket: WebSocket) -> None:
    raise HTTPException(401, headers={"www-authenticate": "Bearer"})


@app.websocket("/moved")
async def moved(websocket: WebSocket) -> None:
    await websocket.send_denial_response(RedirectResponse("/echo", 307))


@app.websocket("/count")
async def count(websocket: WebSocket) -> None:
    await websocket.accept()
    for number in range(3):
        await websocket.send_text(str(number))
    await websocket.close()


@app.websocket("/return")
async def leave_open(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text("bye")


@app.websocket("/broken")
async def broken(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text("still well")
    raise ConnectionError


@app.websocket("/broken-before")
async def broken_before(websocket: WebSocket) -> None:
    raise ConnectionError


class Room:
    """Who is in the chat, as tutorials keep it."""

    def __init__(self) -> None:
        self.members: list[WebSocket] = []

    async def tell(self, text: str) -> None:
        for member in self.members:
            await member.send_text(text)


room = Room()


@app.websocket("/chat/{name}")
async def chat(websocket: WebSocket, name: str) -> None:
    await websocket.accept()
    room.members.append(websocket)
    try:
        while True:
            message = await websocket.receive_json()
            await room.tell(json.dumps({name: message}))
    except WebSocketDisconnect:
        room.members.remove(websocket)
        await room.tell(f"{name} left")
