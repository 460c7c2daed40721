"""One call of an app: what it receives, what it may send, what is told about it."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import warnings
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_asgi import events
from pytest_asgi.asgi.exchange import BufferedExchange
from pytest_asgi.asgi.rules import Mode
from pytest_asgi.asgi.scope import ScopeTemplate, locate
from pytest_asgi.asgi.types import ASGIApp, Message, Receive, Scope, Send
from pytest_asgi.errors import ProtocolError
from tests.apps.plain import BODY, START, hello, respond, sending


def scope() -> Scope:
    template = ScopeTemplate(
        client=("127.0.0.1", 1), root_path="", http_version="1.1", extensions={}, state=None
    )
    return template.build_http("GET", locate("http", "test", None, "/items", b"/items?q=1"), [])


async def run(app: ASGIApp, body: bytes | AsyncIterator[bytes] = b"") -> BufferedExchange:
    exchange = BufferedExchange(scope(), body)
    await exchange.run(app)
    return exchange


def receiving(count: int, into: list[Message]) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        into.extend([await receive() for _ in range(count)])
        await respond(send, b"")

    return app


@pytest.fixture
def heard() -> Iterator[list[events.Event]]:
    heard: list[events.Event] = []
    token = events.listener.set(heard.append)
    yield heard
    events.listener.reset(token)


async def test_what_an_app_does_carries_the_number_of_its_exchange(
    heard: list[events.Event],
) -> None:
    numbers: list[int | None] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        numbers.append(events.exchange.get())
        if scope["path"] == "/":
            await BufferedExchange({**scope, "path": "/inner"}, b"").run(app)
            numbers.append(events.exchange.get())
        await respond(send, b"")

    exchange = BufferedExchange({**scope(), "path": "/"}, b"")
    await exchange.run(app)

    outer, inner, afterwards = numbers
    assert outer == afterwards == exchange.extensions[events.EXCHANGE]
    assert inner not in (None, outer)
    assert events.exchange.get() is None


async def test_the_response_is_kept_whole() -> None:
    exchange = await run(
        sending(
            {
                "type": "http.response.start",
                "status": 201,
                "headers": [[b"a", b"1"], (b"a", b"2")],
            },
            {"type": "http.response.body", "body": b"one ", "more_body": True},
            {"type": "http.response.body", "body": memoryview(b"two"), "more_body": True},
            {"type": "http.response.body"},
        )
    )

    assert exchange.status == 201
    assert exchange.headers == [(b"a", b"1"), (b"a", b"2")]
    assert exchange.body == b"one two"


async def test_headers_may_come_from_a_generator() -> None:
    headers = ((name, b"1") for name in (b"a", b"b"))

    exchange = await run(sending({**START, "headers": headers}, BODY))

    assert exchange.headers == [(b"a", b"1"), (b"b", b"1")]


async def test_a_body_at_hand_is_one_message() -> None:
    received: list[Message] = []

    await run(receiving(1, received), b"whole")

    assert received == [{"type": "http.request", "body": b"whole", "more_body": False}]


async def test_a_body_in_chunks_is_read_as_the_app_asks_for_it() -> None:
    received: list[Message] = []

    async def chunks() -> AsyncIterator[bytes]:
        assert received == []
        yield b"one"
        yield b"two"

    await run(receiving(3, received), chunks())

    assert received == [
        {"type": "http.request", "body": b"one", "more_body": True},
        {"type": "http.request", "body": b"two", "more_body": True},
        {"type": "http.request", "body": b"", "more_body": False},
    ]


async def test_a_body_may_be_an_iterator_that_cannot_be_closed() -> None:
    class Chunks:
        def __aiter__(self) -> Chunks:
            return self

        async def __anext__(self) -> bytes:
            return b"one"

    received: list[Message] = []

    await run(receiving(2, received), Chunks())

    assert [message["body"] for message in received] == [b"one", b"one"]


async def test_after_the_body_the_app_waits_for_the_end_of_its_response() -> None:
    happened: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def listen() -> None:
            await receive()
            happened.append((await receive())["type"])

        listener = asyncio.create_task(listen())
        await asyncio.sleep(0)
        await send(START)
        await send({**BODY, "more_body": True})
        await asyncio.sleep(0)
        happened.append("answering")
        await send(BODY)
        await listener

    async with asyncio.timeout(10):
        await run(app)

    assert happened == ["answering", "http.disconnect"]


async def test_everyone_who_waits_for_the_client_hears_the_disconnect() -> None:
    heard: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def listen() -> None:
            heard.append(await receive())

        await receive()
        async with asyncio.TaskGroup() as group:
            group.create_task(listen())
            group.create_task(listen())
            await asyncio.sleep(0)
            await respond(send, b"")

    async with asyncio.timeout(10):
        await run(app)

    assert heard == [{"type": "http.disconnect"}] * 2


async def test_after_its_response_the_app_hears_the_disconnect_at_once() -> None:
    received: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, b"")
        received.extend([await receive(), await receive(), await receive()])

    await run(app)

    assert [message["type"] for message in received] == [
        "http.request",
        "http.disconnect",
        "http.disconnect",
    ]


async def test_an_app_that_fails_wakes_whoever_waits_for_its_client() -> None:
    heard: list[Message] = []
    tasks: list[asyncio.Task[None]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def listen() -> None:
            await receive()
            heard.append(await receive())

        tasks.append(asyncio.create_task(listen()))
        await asyncio.sleep(0)
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await run(app)
    async with asyncio.timeout(10):
        await tasks[0]

    assert heard == [{"type": "http.disconnect"}]


@pytest.mark.parametrize(
    ("messages", "what"),
    [
        ([START, START], "'http.response.start' after the response started"),
        ([BODY], "'http.response.body' before the response started"),
        ([START, BODY, BODY], "'http.response.body' after the response was complete"),
        ([{"type": "http.response.begin"}], "unknown type 'http.response.begin'"),
        ([{**START, "status": "200"}], "whose 'status' is '200'"),
        ([{**START, "headers": [("a", "b")]}], "whose 'headers' is"),
        ([], "returned without a response"),
        ([START], "returned before its response was complete"),
    ],
)
async def test_a_broken_rule_is_an_error(messages: list[Message], what: str) -> None:
    with pytest.raises(ProtocolError, match=what):
        await run(sending(*messages))


async def test_a_broken_rule_names_the_request() -> None:
    with pytest.raises(ProtocolError) as caught:
        await run(sending(BODY))

    assert caught.value.__notes__ == ["While answering GET /items"]


async def test_a_broken_rule_counts_even_if_the_app_catches_the_error() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, b"")
        with contextlib.suppress(Exception):
            await send(BODY)

    with pytest.raises(ProtocolError, match="after the response was complete"):
        await run(app)


async def test_a_broken_rule_is_raised_where_the_app_sent_the_message() -> None:
    caught: list[Exception] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send(BODY)
        except ProtocolError as error:
            caught.append(error)
            raise

    with pytest.raises(ProtocolError) as raised:
        await run(app)

    assert caught == [raised.value]


async def test_an_exchange_is_told_from_request_to_response(heard: list[Any]) -> None:
    await run(hello)

    request, started, completed = heard
    assert isinstance(request, events.RequestSent)
    assert (request.method, request.path, request.query_string) == ("GET", "/items", b"q=1")
    assert isinstance(started, events.ResponseStarted)
    assert (started.status, started.headers[0]) == (200, (b"content-type", b"text/plain"))
    assert isinstance(completed, events.ResponseCompleted)
    assert completed.body_size == len(b"hello")
    assert request.exchange == started.exchange == completed.exchange


async def test_two_exchanges_have_two_numbers(heard: list[Any]) -> None:
    await run(hello)
    await run(hello)

    assert len({event.exchange for event in heard}) == 2


async def test_an_exception_of_the_app_is_told(heard: list[Any]) -> None:
    error = ConnectionError()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise error

    with pytest.raises(ConnectionError):
        await run(app)

    assert isinstance(heard[-1], events.AppRaised)
    assert heard[-1].exception is error


async def test_a_cancelled_exchange_is_no_exception_of_the_app(heard: list[Any]) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await run(app)

    assert [type(event) for event in heard] == [events.RequestSent]


def test_the_app_can_wait_for_the_disconnect_on_trio_too() -> None:
    heard: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def listen() -> None:
            await receive()
            heard.append((await receive())["type"])

        async with trio.open_nursery() as nursery:
            nursery.start_soon(listen)
            await trio.testing.wait_all_tasks_blocked()
            await respond(send, b"")

    trio.run(run, app)

    assert heard == ["http.disconnect"]


# --- two ways of taking messages -------------------------------------------------------------


class Checked(BufferedExchange):
    """An exchange whose every message is checked by the referee."""

    async def run(self, app: ASGIApp) -> None:
        self._call_referee()
        await super().run(app)


async def outcome(
    kind: type[BufferedExchange], messages: list[Message], mode: Mode, method: str
) -> Any:
    """Return what becomes of an app that sends the messages, and what is told about it."""
    heard: list[Any] = []
    token = events.listener.set(heard.append)
    exchange = kind({**scope(), "method": method}, b"", mode)
    failure = ""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            await exchange.run(sending(*map(dict, messages)))
        except ProtocolError as error:
            failure = error.rule
    events.listener.reset(token)
    return (
        failure,
        [str(warning.message) for warning in warned],
        (exchange.status, exchange.headers, exchange.body, exchange.is_complete),
        [(type(event), {**vars_of(event), "exchange": 0, "at": 0}) for event in heard],
    )


def vars_of(event: events.Event) -> dict[str, Any]:
    return {field.name: rule_of(getattr(event, field.name)) for field in dataclasses.fields(event)}


def rule_of(value: object) -> object:
    return value.rule if isinstance(value, ProtocolError) else value


USUAL_HEADERS = st.sampled_from(
    [(b"content-length", b"3"), (b"Content-Length", b"5"), (b"x-view", b"1")]
)
ODD_HEADERS = st.sampled_from(
    [
        (b"content-length", b"x"),
        [b"x-list", b"1"],
        (b"x-view", memoryview(b"1")),
        (b"x-three", b"1", b"2"),
        (b"x-line", b"a\nb"),
        ("text", b"1"),
    ]
)
USUAL_STARTS = st.fixed_dictionaries(
    {
        "type": st.just("http.response.start"),
        "status": st.sampled_from([200, 201]),
        "headers": st.lists(USUAL_HEADERS, max_size=2),
    }
)
ODD_STARTS = st.fixed_dictionaries(
    {"type": st.just("http.response.start"), "status": st.sampled_from([200, 204, 304, 99, None])},
    optional={
        "headers": st.lists(USUAL_HEADERS | ODD_HEADERS, max_size=2),
        "trailers": st.booleans(),
    },
)
USUAL_BODIES = st.fixed_dictionaries(
    {"type": st.just("http.response.body"), "body": st.sampled_from([b"", b"abc", b"Hello"])},
    optional={"more_body": st.booleans()},
)
ODD_BODIES = st.fixed_dictionaries(
    {"type": st.just("http.response.body")},
    optional={
        "body": st.sampled_from(["text", bytearray(b"abc"), None]),
        "more_body": st.sampled_from([0, 1, None]),
        "unknown": st.just(1),
    },
)
STARTS = USUAL_STARTS | ODD_STARTS
BODIES = USUAL_BODIES | ODD_BODIES


@settings(max_examples=500)
@given(
    messages=st.tuples(STARTS, BODIES).map(list)
    | st.lists(STARTS | BODIES | st.just({"type": "unknown"}), max_size=4),
    mode=st.sampled_from(["error", "strict", "warn", "off"]),
    method=st.sampled_from(["GET", "HEAD"]),
)
async def test_messages_that_are_taken_at_once_are_what_the_referee_lets_pass(
    messages: list[Message], mode: Mode, method: str
) -> None:
    quick = await outcome(BufferedExchange, messages, mode, method)

    assert quick == await outcome(Checked, messages, mode, method)
