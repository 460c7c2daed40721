"""Headers that are none, or that contradict something."""

from __future__ import annotations

from tests.apps.plain import sending
from tests.conformance.cases import BODY, START, Case, answering

CASES = (
    Case(
        "header.pairs",
        "sends headers as a dict",
        sending({**START, "headers": {"content-type": "text/plain"}}),
    ),
    Case("header.pairs", "sends None as headers", sending({**START, "headers": None})),
    Case("header.pairs", "sends headers of text", answering(("content-type", "text/plain"))),
    Case("header.pairs", "sends a value of text", answering((b"content-type", "text/plain"))),
    Case("header.pairs", "sends a number as content-length", answering((b"content-length", 5))),
    Case(
        "header.pairs",
        "sends headers with three parts",
        sending({**START, "headers": [(b"a", b"b", b"c")]}),
    ),
    Case("header.name-lowercase", "sends a capital", answering((b"Content-Type", b"text/plain"))),
    Case("header.name-pseudo", "sends a pseudo header", answering((b":status", b"200"))),
    Case("header.name-characters", "sends an empty name", answering((b"", b"x"))),
    Case("header.name-characters", "sends a name with a space", answering((b"my header", b"x"))),
    Case("header.name-characters", "sends a name with a colon", answering((b"x-a:", b"x"))),
    Case("header.name-characters", "sends a name with a break", answering((b"x\r\nx-b", b"x"))),
    Case("header.name-characters", "sends a name beyond ASCII", answering(("ü".encode(), b"x"))),
    Case("header.value-characters", "sends a value with CR LF", answering((b"x-a", b"1\r\nx: 2"))),
    Case("header.value-characters", "sends a value with LF", answering((b"x-a", b"1\n2"))),
    Case("header.value-characters", "sends a value with CR", answering((b"x-a", b"1\r2"))),
    Case("header.value-characters", "sends a value with NUL", answering((b"x-a", b"1\x002"))),
    Case("header.value-whitespace", "sends a space before a value", answering((b"x-a", b" 1"))),
    Case("header.connection", "keeps the connection", answering((b"connection", b"keep-alive"))),
    Case(
        "header.content-length-number", "counts in words", answering((b"content-length", b"5 B"))
    ),
    Case("header.content-length-number", "sends no length", answering((b"content-length", b""))),
    Case("header.content-length-number", "counts below 0", answering((b"content-length", b"-5"))),
    Case(
        "header.content-length-number",
        "sends two lengths in one header",
        answering((b"content-length", b"5, 5")),
    ),
    Case(
        "header.content-length-number",
        "sends more digits than any body has bytes",
        answering((b"content-length", b"5" * 5000)),
    ),
    Case(
        "header.content-length-conflict",
        "sends two lengths",
        answering((b"content-length", b"5"), (b"content-length", b"6")),
    ),
    Case(
        "header.content-length-conflict",
        "sends two lengths in different case",
        answering((b"content-length", b"5"), (b"Content-Length", b"6")),
    ),
    Case(
        "header.content-length-chunked",
        "sends a length and a transfer-encoding",
        answering((b"content-length", b"5"), (b"transfer-encoding", b"chunked")),
    ),
    Case(
        "header.content-length-without-content",
        "sends a length with 204",
        sending(
            {**START, "status": 204, "headers": [(b"content-length", b"0")]}, {**BODY, "body": b""}
        ),
    ),
)
