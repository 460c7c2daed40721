"""Messages that are none, or have fields of the wrong type."""

from __future__ import annotations

from typing import Any

from pytest_asgi.asgi.types import Receive, Scope, Send
from tests.apps.plain import sending
from tests.conformance.cases import BODY, MORE, START, Case, answering


async def sends_a_string(scope: Scope, receive: Receive, send: Any) -> None:
    await send("http.response.start")


async def sends_nothing(scope: Scope, receive: Receive, send: Any) -> None:
    await send(None)


async def answers_every_scope_as_websocket(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "websocket.accept"})


CASES = (
    Case("message.dict", "sends a string", sends_a_string),
    Case("message.dict", "sends None", sends_nothing),
    Case("message.dict", "sends a message without a type", sending({"status": 200})),
    Case("message.dict", "sends a type that is bytes", sending({**START, "type": b"http"})),
    Case("message.dict", "sends a type that is a list", sending({**START, "type": ["http"]})),
    Case("message.type", "misspells a type", sending({**START, "type": "http.response.strat"})),
    Case("message.type", "invents a type", sending(START, {"type": "http.response.flush"})),
    Case("message.scope", "accepts a request as websocket", answers_every_scope_as_websocket),
    Case(
        "message.scope",
        "answers a request as lifespan",
        sending({"type": "lifespan.startup.complete"}),
    ),
    Case("message.keys", "misspells 'headers'", sending({**START, "header": []}, BODY)),
    Case("message.keys", "misspells 'more_body'", sending(START, {**BODY, "more": False})),
    Case("http.start.status", "sends a status as text", answering(status="200")),
    Case("http.start.status", "sends a status as a float", answering(status=200.0)),
    Case("http.start.status", "sends True as status", answering(status=True)),
    Case("http.start.status", "sends no status", sending({"type": "http.response.start"})),
    Case("http.start.status-range", "sends the status 999", answering(status=999)),
    Case("http.start.status-range", "sends the status 0", answering(status=0)),
    Case("http.start.status-range", "sends the status 600", answering(status=600)),
    Case("http.start.status-interim", "sends the status 103", answering(status=103, body=b"")),
    Case("http.start.trailers", "announces trailers as text", sending({**START, "trailers": "x"})),
    Case("http.body.bytes", "sends text as body", answering(body="Hello")),
    Case("http.body.bytes", "sends None as body", answering(body=None)),
    Case("http.body.bytes", "sends a list of bytes as body", answering(body=[b"Hello"])),
    Case(
        "http.body.more", "sends a number as more_body", sending(START, {**BODY, "more_body": 0})
    ),
    Case("http.body.more", "sends None as more_body", sending(START, {**MORE, "more_body": None})),
)
