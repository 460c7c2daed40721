"""Lifespans that answer wrongly, too often, or never."""

from __future__ import annotations

import contextlib
from typing import Any

from pytest_asgi.asgi.types import ASGIApp, Message, Receive, Scope, Send
from tests.conformance.cases import Case

STARTED: Message = {"type": "lifespan.startup.complete"}
STOPPED: Message = {"type": "lifespan.shutdown.complete"}


def living(*answers: Message | None) -> ASGIApp:
    """Return an app that sends these after one message each, and listens for `None`."""

    async def app(scope: Scope, receive: Receive, send: Any) -> None:
        for answer in answers:
            await receive()
            if answer is not None:
                await send(answer)

    return app


async def starts_twice(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send(STARTED)
    await send(STARTED)


async def stops_before_it_is_asked(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send(STARTED)
    await send(STOPPED)


async def stops_twice(scope: Scope, receive: Receive, send: Send) -> None:
    await living(STARTED, STOPPED)(scope, receive, send)
    await send(STOPPED)


async def hides_a_wrong_answer(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    with contextlib.suppress(Exception):
        await send(STOPPED)
    await receive()


async def hides_an_early_stop(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send(STARTED)
    with contextlib.suppress(Exception):
        await send(STOPPED)
    await receive()
    await send(STOPPED)


CASES = (
    Case("message.dict", "sends no message", living({})),
    Case("message.type", "misspells its answer", living({"type": "lifespan.startup.completed"})),
    Case("message.scope", "answers as http", living({"type": "http.response.start"})),
    Case("message.keys", "says more", living({**STARTED, "message": "well"}, STOPPED)),
    Case("lifespan.answer.other", "stops when it is to start", living(STOPPED)),
    Case("lifespan.answer.other", "starts when it is to stop", living(STARTED, STARTED)),
    Case("lifespan.answer.other", "hides a wrong answer", hides_a_wrong_answer),
    Case("lifespan.answer.twice", "starts twice", starts_twice),
    Case("lifespan.answer.twice", "stops before it is asked", stops_before_it_is_asked),
    Case("lifespan.answer.twice", "stops twice", stops_twice),
    Case("lifespan.answer.twice", "hides an early stop", hides_an_early_stop),
    Case("lifespan.startup.no-answer", "returns at startup", living(None)),
    Case("lifespan.shutdown.no-answer", "returns at shutdown", living(STARTED, None)),
    Case(
        "lifespan.failed.message",
        "fails with an exception for a text",
        living({"type": "lifespan.startup.failed", "message": ConnectionError()}),
    ),
)
