"""Bodies that are not what status and headers say."""

from __future__ import annotations

from tests.apps.plain import sending
from tests.conformance.cases import BODY, MORE, START, Case, answering

LENGTH_3 = {**START, "headers": [(b"content-length", b"3")]}
LENGTH_9 = {**START, "headers": [(b"content-length", b"9")]}

CASES = (
    Case("http.body.too-long", "sends more than it said", sending(LENGTH_3, BODY)),
    Case("http.body.too-long", "sends too much in two parts", sending(LENGTH_9, MORE, BODY)),
    Case(
        "http.body.too-long",
        "counts characters instead of bytes",
        answering((b"content-length", b"%d" % len("für")), body="für".encode()),
    ),
    Case(
        "http.body.too-long",
        "counts the items of a view instead of its bytes",
        answering((b"content-length", b"2"), body=memoryview(b"12345678").cast("I")),
    ),
    Case("http.body.too-long", "says 0 and sends a body", answering((b"content-length", b"0"))),
    Case(
        "http.body.too-long",
        "sends more than it said with a capital",
        answering((b"Content-Length", b"3")),
    ),
    Case("http.body.too-short", "sends less than it said", sending(LENGTH_9, BODY)),
    Case("http.body.too-short", "sends nothing at all", sending(LENGTH_9, {**BODY, "body": b""})),
    Case(
        "http.body.too-short",
        "ends too early after two parts",
        sending(LENGTH_9, {**MORE, "body": b"1"}, BODY),
    ),
    Case("http.body.too-short", "leaves the body out", sending(LENGTH_9, {"type": BODY["type"]})),
    Case("http.body.without-content", "sends a body with 204", answering(status=204)),
    Case("http.body.without-content", "sends a body with 205", answering(status=205)),
    Case("http.body.without-content", "sends a body with 304", answering(status=304)),
    Case(
        "http.body.without-content",
        "sends the body that an unchanged answer only measures",
        answering((b"content-length", b"5"), status=304),
    ),
)
