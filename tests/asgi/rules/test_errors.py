"""What the error about a broken rule tells: the rule, the message, and where it was sent."""

from __future__ import annotations

import asyncio
import pickle
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pytest_asgi import AsyncClient
from pytest_asgi.asgi.types import ASGIApp, Receive, Scope, Send
from pytest_asgi.errors import ProtocolError


async def provoke(app: ASGIApp) -> ProtocolError:
    with pytest.raises(ProtocolError) as caught:
        await AsyncClient(app).get("/")
    return caught.value


def line_of(text: str) -> int:
    """Return the number of the line of this file that holds a marker."""
    with open(__file__, encoding="utf-8") as file:  # noqa: PTH123 - tests a place in this file
        return next(number for number, line in enumerate(file, 1) if f"# {text}" in line)


async def answer_without_a_start(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.body", "body": b"Hello"})  # the fault


async def test_the_error_says_what_happened_and_why_and_what_to_change() -> None:
    error = await provoke(answer_without_a_start)

    assert error.rule == "http.body.before-start"
    assert str(error) == (
        "The app sent 'http.response.body' before the response started.\n"
        "\n"
        "    {'type': 'http.response.body', 'body': b'Hello'}\n"
        f"    sent at {__file__}:{line_of('the fault')} in answer_without_a_start\n"
        "\n"
        "Why: A response starts with its status and headers: "
        "https://asgi.readthedocs.io/en/latest/specs/www.html#response-start-send-event\n"
        "\n"
        "Fix: Send the start first:\n"
        "\n"
        '    await send({"type": "http.response.start", "status": 200, "headers": []})\n'
        "\n"
        "Rule: http.body.before-start"
    )


async def test_an_error_about_what_was_not_sent_shows_no_message() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None: ...

    error = await provoke(app)

    assert (error.sent, error.place) == ("", "")
    assert str(error).startswith("The app returned without a response.\n\nWhy: ")


async def test_a_line_of_a_framework_is_shown_with_the_users_own_above_it() -> None:
    async def endpoint(request: Request) -> Response:
        return Response(b"Hello", headers={"content-length": "3"})

    inner = Starlette(routes=[Route("/", endpoint)])

    async def middleware(scope: Scope, receive: Receive, send: Send) -> None:
        await inner(scope, receive, send)  # the user's own

    error = await provoke(middleware)

    where, _, by = error.place.partition(", awaited by ")
    assert "starlette/responses.py:" in where.replace("\\", "/")
    assert by.startswith(f"{__file__}:{line_of('the user')} in ")
    assert by.endswith("middleware")


async def test_a_users_line_that_sends_is_shown_alone() -> None:
    async def endpoint(request: Request) -> Response:
        return JSONResponse({})

    async def repeat(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_twice(message: Any) -> None:
            await send(message)
            await send(message)  # the second

        await Starlette(routes=[Route("/", endpoint)])(scope, receive, send_twice)

    error = await provoke(repeat)

    assert error.place.startswith(f"{__file__}:{line_of('the second')} in ")
    assert ", awaited by " not in error.place


async def test_what_sends_from_a_task_of_its_own_is_found_in_that_task() -> None:
    async def speak(send: Send) -> None:
        await send({"type": "http.response.body"})  # in a task

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.create_task(speak(send))

    error = await provoke(app)

    assert error.place == f"{__file__}:{line_of('in a task')} in {speak.__qualname__}"


async def test_a_long_message_is_shortened_and_keeps_its_order() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"x-a", b"1")] * 10
        more = {f"key{number}": "x" * 1000 for number in range(10)}
        start = {"type": "http.response.start", "status": "200", "headers": headers, **more}
        await send(start)

    error = await provoke(app)

    assert error.sent.startswith("{'type': 'http.response.start', 'status': '200', 'headers': [")
    assert error.sent.endswith(", ...}")
    assert len(error.sent) < 500


async def test_the_error_survives_the_way_home_from_a_worker() -> None:
    error = await provoke(answer_without_a_start)

    copy = pickle.loads(pickle.dumps(error))

    assert type(copy) is ProtocolError
    assert str(copy) == str(error)
    assert (copy.rule, copy.sent, copy.place) == (error.rule, error.sent, error.place)
