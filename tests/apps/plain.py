"""Bare ASGI apps that keep every rule: what a request looks like to an app, echoed."""

from __future__ import annotations

import json
from typing import Any

from pytest_asgi.asgi.types import ASGIApp, Message, Receive, Scope, Send


def require_http(scope: Scope) -> None:
    """Refuse other scopes, as the specification asks of an app that does not know them."""
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])


async def read_body(receive: Receive) -> bytes:
    parts: list[bytes] = []
    while True:
        message = await receive()
        parts.append(message["body"])
        if not message.get("more_body"):
            return b"".join(parts)


async def respond(send: Send, body: bytes, *, status: int = 200, kind: str = "text/plain") -> None:
    headers = [(b"content-type", kind.encode()), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def describe(scope: Scope, body: bytes) -> dict[str, Any]:
    """Return what an app can see of a request, in JSON's types."""
    return {
        "method": scope["method"],
        "scheme": scope["scheme"],
        "http_version": scope["http_version"],
        "path": scope["path"],
        "raw_path": scope["raw_path"].decode("ascii"),
        "query_string": scope["query_string"].decode("ascii"),
        "root_path": scope["root_path"],
        "server": list(scope["server"]),
        "client": scope["client"][0],
        "headers": [
            [name.decode("latin-1"), value.decode("latin-1")] for name, value in scope["headers"]
        ],
        "state": sorted(scope.get("state", {})),
        "body": body.decode("latin-1"),
    }


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with a description of the request."""
    require_http(scope)
    body = await read_body(receive)
    answer = json.dumps(describe(scope, body)).encode()
    await respond(send, answer, kind="application/json")


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    require_http(scope)
    await respond(send, b"hello")


def sending(*messages: Message) -> ASGIApp:
    """Return an app that sends exactly these messages, and has no lifespan."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            raise NotImplementedError(scope["type"])
        for message in messages:
            await send(message)

    return app


START: Message = {"type": "http.response.start", "status": 200, "headers": []}
BODY: Message = {"type": "http.response.body", "body": b"done"}
