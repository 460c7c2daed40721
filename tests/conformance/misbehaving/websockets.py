"""WebSocket connections gone wrong."""

from __future__ import annotations

from typing import Any

from pytest_asgi.asgi.types import Message
from tests.apps.plain import sending
from tests.conformance.cases import Case

ACCEPT: Message = {"type": "websocket.accept"}
SEND: Message = {"type": "websocket.send", "text": "Hello"}
CLOSE: Message = {"type": "websocket.close"}
DENY: Message = {"type": "websocket.http.response.start", "status": 401, "headers": []}
DENIAL: Message = {"type": "websocket.http.response.body", "body": b"No"}
RESPONSE = "websocket.http.response"


def accept(rule: str, name: str, **fields: Any) -> Case:
    return Case(rule, name, sending({**ACCEPT, **fields}))


def send(rule: str, name: str, **fields: Any) -> Case:
    return Case(rule, name, sending(ACCEPT, {"type": "websocket.send", **fields}))


def close(rule: str, name: str, **fields: Any) -> Case:
    return Case(rule, name, sending(ACCEPT, {**CLOSE, **fields}))


CASES = (
    Case("message.dict", "sends no message", sending({})),
    Case("message.type", "misspells a type", sending({"type": "websocket.acept"})),
    Case("message.scope", "answers as http", sending({"type": "http.response.start"})),
    Case("message.keys", "misspells 'text'", sending(ACCEPT, {**SEND, "txt": "Hello"})),
    # --- accept ------------------------------------------------------------------------------
    accept("websocket.accept.subprotocol", "chooses a protocol in bytes", subprotocol=b"chat"),
    accept("websocket.accept.subprotocol", "chooses two protocols", subprotocol=["chat", "mqtt"]),
    accept("websocket.accept.subprotocol-offered", "chooses another", subprotocol="soap"),
    accept(
        "websocket.accept.protocol-header",
        "chooses in a header",
        headers=[(b"sec-websocket-protocol", b"chat")],
    ),
    accept("header.pairs", "accepts with headers of text", headers=[("x-a", "1")]),
    accept("header.name-lowercase", "accepts with a capital", headers=[(b"X-A", b"1")]),
    accept("header.value-characters", "accepts with a break", headers=[(b"x-a", b"1\r\n")]),
    Case("websocket.accept.twice", "accepts twice", sending(ACCEPT, ACCEPT)),
    # --- send --------------------------------------------------------------------------------
    Case("websocket.send.before-accept", "sends at once", sending(SEND)),
    send("websocket.send.content", "sends neither"),
    send("websocket.send.content", "sends None twice", text=None, bytes=None),
    send("websocket.send.content", "sends both", text="Hello", bytes=b"Hello"),
    send("websocket.send.text", "sends a dict", text={"greeting": "Hello"}),
    send("websocket.send.text", "sends bytes as text", text=b"Hello"),
    send("websocket.send.bytes", "sends text as bytes", bytes="Hello"),
    # --- close -------------------------------------------------------------------------------
    close("websocket.close.code", "closes with a code of text", code="1000"),
    close("websocket.close.code", "closes with None", code=None),
    close("websocket.close.code-range", "closes with a status of HTTP", code=403),
    close("websocket.close.code-range", "closes with 1006", code=1006),
    close("websocket.close.code-range", "closes with 1005", code=1005),
    close("websocket.close.code-range", "closes with an unregistered code", code=2000),
    close("websocket.close.code-range", "closes with 5000", code=5000),
    close("websocket.close.reason", "closes with a reason of bytes", reason=b"done"),
    close("websocket.close.reason-length", "closes with a story", reason="x" * 124),
    close("websocket.close.reason-length", "counts characters", reason="ü" * 62),
    Case(
        "websocket.close.unsent-reason",
        "refuses with a list",
        sending({**CLOSE, "reason": ["no"]}),
    ),
    Case("websocket.close.code-range", "refuses with 401", sending({**CLOSE, "code": 401})),
    Case("websocket.end.more", "closes twice", sending(ACCEPT, CLOSE, CLOSE)),
    Case("websocket.end.more", "sends after it closed", sending(ACCEPT, CLOSE, SEND)),
    Case("websocket.end.more", "accepts after it refused", sending(CLOSE, ACCEPT)),
    Case("websocket.end.no-answer", "returns at once", sending()),
    # --- denial response -----------------------------------------------------------------------
    Case("message.extension", "denies unasked", sending(DENY, DENIAL)),
    Case("websocket.denial.late", "denies after all", sending(ACCEPT, DENY), (RESPONSE,)),
    Case("websocket.denial.mixed", "denies and accepts", sending(DENY, ACCEPT), (RESPONSE,)),
    Case("websocket.denial.mixed", "denies and closes", sending(DENY, CLOSE), (RESPONSE,)),
    Case("websocket.end.more", "denies, then closes", sending(DENY, DENIAL, CLOSE), (RESPONSE,)),
    Case("http.body.before-start", "denies without a start", sending(DENIAL), (RESPONSE,)),
    Case("http.start.twice", "denies twice", sending(DENY, DENY), (RESPONSE,)),
    Case("http.end.no-end", "begins to deny", sending(DENY), (RESPONSE,)),
    Case(
        "http.start.status-range",
        "denies with a close code",
        sending({**DENY, "status": 4001}),
        (RESPONSE,),
    ),
    Case(
        "http.body.too-long",
        "denies at length",
        sending({**DENY, "headers": [(b"content-length", b"1")]}, DENIAL),
        (RESPONSE,),
    ),
)
