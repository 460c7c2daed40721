"""Messages at the wrong moment."""

from __future__ import annotations

import contextlib

from pytest_asgi.asgi.types import Receive, Scope, Send
from tests.apps.plain import respond, sending
from tests.conformance.cases import BODY, MORE, START, Case


async def only_listens(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()


async def catches_its_own_failure(scope: Scope, receive: Receive, send: Send) -> None:
    with contextlib.suppress(KeyError):
        await respond(send, scope["body"])


async def answers_again_in_a_handler(scope: Scope, receive: Receive, send: Send) -> None:
    await send(START)
    try:
        await send({**MORE, "body": scope["body"]})
    except KeyError:
        await respond(send, b"Internal Server Error", status=500)


async def hides_its_fault(scope: Scope, receive: Receive, send: Send) -> None:
    await respond(send, b"Hello")
    with contextlib.suppress(Exception):
        await send(BODY)


CASES = (
    Case("http.body.before-start", "sends a body only", sending(BODY)),
    Case("http.body.before-start", "sends the body first", sending(BODY, START)),
    Case("http.start.twice", "starts twice", sending(START, START)),
    Case("http.start.twice", "answers again in a handler", answers_again_in_a_handler),
    Case("http.start.twice", "starts anew after a part", sending(START, MORE, START)),
    Case("http.end.more", "sends two whole bodies", sending(START, BODY, BODY)),
    Case("http.end.more", "answers twice", sending(START, BODY, START, BODY)),
    Case("http.end.more", "hides its fault", hides_its_fault),
    Case("http.end.no-start", "returns at once", sending()),
    Case("http.end.no-start", "only listens", only_listens),
    Case("http.end.no-start", "catches its own failure", catches_its_own_failure),
    Case("http.end.no-end", "sends no body", sending(START)),
    Case("http.end.no-end", "promises more and returns", sending(START, MORE)),
    Case("http.end.no-end", "sends no body after HEAD", sending(START), method="HEAD"),
)
