"""One WebSocket connection at the level of ASGI's messages."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pytest_asgi import events
from pytest_asgi.asgi.disconnects import ClientDisconnectedError
from pytest_asgi.asgi.scope import ScopeTemplate, locate
from pytest_asgi.asgi.streaming import HIGH_WATER, AppSilentError
from pytest_asgi.asgi.types import ASGIApp, Message, Receive, Scope, Send
from pytest_asgi.asgi.websocket import Closing, WebSocketExchange
from pytest_asgi.errors import ProtocolError
from tests.apps.websockets import ACCEPT, CLOSE, Hearing, accepting, echo, text


def make_exchange(**options: Any) -> WebSocketExchange:
    template = ScopeTemplate(
        client=("127.0.0.1", 1), root_path="", http_version="1.1", extensions={}, state=None
    )
    target = locate("ws", "test", None, "/ws", b"/ws?a=1")
    return WebSocketExchange(template.build_websocket(target, [], ["v1"]), **options)


async def start(app: ASGIApp, **options: Any) -> WebSocketExchange:
    exchange = make_exchange(**options)
    await exchange.start(app, timeout=10)
    return exchange


async def receive(exchange: WebSocketExchange) -> str | bytes | None:
    await exchange.wait_for_message(timeout=10)
    return exchange.take()


async def finish(exchange: WebSocketExchange) -> None:
    async with asyncio.timeout(10):
        await exchange.close()


async def test_messages_go_both_ways() -> None:
    exchange = await start(echo)

    exchange.push("text")
    exchange.push(b"bytes")

    assert [await receive(exchange), await receive(exchange)] == ["text", b"bytes"]
    exchange.leave()
    await finish(exchange)
    assert exchange.failure is None


async def test_what_is_there_is_taken_without_a_turn_of_the_loop() -> None:
    exchange = await start(accepting(text("one"), text("two"), CLOSE))

    assert (exchange.take(), exchange.take(), exchange.take()) == ("one", "two", None)
    await finish(exchange)


async def test_the_answer_of_the_app_is_known() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = iter([(b"x-one", b"1")])
        await send({**ACCEPT, "subprotocol": "v1", "headers": headers})
        await receive()
        await receive()

    exchange = await start(app)

    assert (exchange.status, exchange.subprotocol) == (101, "v1")
    assert exchange.headers == [(b"x-one", b"1")]
    exchange.leave()
    await finish(exchange)


async def test_a_close_of_the_app_comes_after_its_messages() -> None:
    exchange = await start(accepting(text("last"), {**CLOSE, "code": 4000, "reason": "tired"}))

    assert await receive(exchange) == "last"
    assert await receive(exchange) is None
    assert exchange.closing == Closing(4000, "tired", "app")
    await finish(exchange)


async def test_a_close_without_a_code_is_a_normal_one() -> None:
    exchange = await start(accepting({**CLOSE, "reason": None}))

    assert exchange.closing == Closing(1000, "", "app")
    await finish(exchange)


async def test_an_app_that_returns_leaves_its_client_with_1006() -> None:
    exchange = await start(accepting(text("bye")))

    assert await receive(exchange) == "bye"
    assert await receive(exchange) is None
    assert exchange.closing == Closing(1006, "", "app")
    assert exchange.failure is None


async def test_an_app_learns_that_its_client_left_after_what_was_sent_before() -> None:
    app = Hearing()
    exchange = await start(app)

    exchange.push("one")
    exchange.leave(4001, "enough")
    exchange.push("lost")
    await finish(exchange)

    assert app.heard == [
        {"type": "websocket.receive", "text": "one"},
        {"type": "websocket.disconnect", "code": 4001, "reason": "enough"},
    ]


async def test_a_disconnect_is_told_as_often_as_the_app_asks() -> None:
    heard: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        heard.extend([await receive(), await receive()])

    exchange = await start(app)
    exchange.leave()
    await finish(exchange)

    assert heard == [{"type": "websocket.disconnect", "code": 1000, "reason": ""}] * 2


async def test_an_app_that_closed_is_told_so_as_by_a_server() -> None:
    heard: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        await send({**CLOSE, "code": 1001, "reason": "moved"})
        heard.append(await receive())

    await finish(await start(app))

    assert heard == [{"type": "websocket.disconnect", "code": 1001, "reason": "moved"}]


async def test_sending_to_a_client_that_left_raises_an_oserror() -> None:
    raised: list[Exception] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        await receive()
        try:
            await send(text("too late"))
        except OSError as error:
            raised.append(error)
            raise

    exchange = await start(app)
    exchange.leave()
    await finish(exchange)

    assert isinstance(raised[0], ClientDisconnectedError)
    assert exchange.failure is None


async def test_the_first_end_counts() -> None:
    exchange = await start(accepting(CLOSE))

    exchange.leave(4000, "late")

    assert exchange.closing == Closing(1000, "", "app")
    await finish(exchange)


@pytest.mark.parametrize(
    ("messages", "status", "body", "closing"),
    [
        ([{**CLOSE, "code": 1008, "reason": "no"}], 403, b"", Closing(1008, "no", "app")),
        (
            [
                {"type": "websocket.http.response.start", "status": 404, "headers": []},
                {"type": "websocket.http.response.body", "body": b"not ", "more_body": True},
                {"type": "websocket.http.response.body", "body": b"here"},
            ],
            404,
            b"not here",
            Closing(1006, "", "app"),
        ),
    ],
    ids=["closed", "denied"],
)
async def test_an_app_may_refuse(
    messages: list[Message], status: int, body: bytes, closing: Closing
) -> None:
    heard: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        for message in messages:
            await send(message)
        heard.append(await receive())

    exchange = await start(app)

    assert (exchange.status, exchange.body, exchange.closing) == (status, body, closing)
    await finish(exchange)
    assert heard == [{"type": "websocket.disconnect", "code": 1006, "reason": ""}]


async def test_an_app_that_fails_before_it_answers_has_no_status() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise ConnectionError

    exchange = await start(app)

    assert exchange.status is None
    assert isinstance(exchange.failure, ConnectionError)


async def test_an_app_that_never_answers_is_cancelled_and_told_where_it_waits() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await receive()

    exchange = make_exchange()

    with pytest.raises(AppSilentError, match=r"for 0\.01 seconds: it waits at \S+ in \S+app\.$"):
        await exchange.start(app, timeout=0.01)
    assert exchange.task.is_finished


async def test_a_broken_rule_fails_the_exchange_even_if_the_app_caught_it() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        try:
            await send({"type": "websocket.send"})
        except ProtocolError:
            await send(CLOSE)

    exchange = await start(app)
    await finish(exchange)

    failure = exchange.failure
    assert isinstance(failure, ProtocolError)
    assert failure.rule == "websocket.send.content"
    assert failure.__notes__ == ["While answering the WebSocket /ws"]


async def test_an_app_that_returns_without_an_answer_breaks_a_rule() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()

    exchange = await start(app)

    assert isinstance(exchange.failure, ProtocolError)
    assert exchange.failure.rule == "websocket.end.no-answer"


@pytest.mark.filterwarnings("ignore::pytest_asgi.ProtocolWarning")
async def test_a_lenient_exchange_drops_what_breaks_a_rule() -> None:
    exchange = await start(accepting({"type": "websocket.send"}, text("fine")), rules="warn")

    assert await receive(exchange) == "fine"
    await finish(exchange)
    assert exchange.failure is None


async def test_an_app_runs_no_further_ahead_than_a_servers_buffer() -> None:
    sent = 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal sent
        await receive()
        await send(ACCEPT)
        while True:
            await send({"type": "websocket.send", "bytes": b"x" * 1000})
            sent += 1

    exchange = await start(app)
    await exchange.wait_until(lambda: sent * 1000 > HIGH_WATER - 2000)
    assert sent * 1000 < HIGH_WATER

    for _ in range(20):
        assert await receive(exchange) == b"x" * 1000
    await exchange.wait_for_message(timeout=10)
    exchange.leave()
    await finish(exchange)
    assert exchange.failure is None


async def test_an_app_that_closed_is_not_held_up_by_what_nobody_reads() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)

        async def flood() -> None:
            await send({"type": "websocket.send", "bytes": b"x" * (HIGH_WATER + 1)})

        flooding = asyncio.create_task(flood())
        await asyncio.sleep(0)
        await send(CLOSE)
        await flooding

    exchange = await start(app, grace=600.0)
    await exchange.wait_until(lambda: exchange.closing is not None)

    await finish(exchange)

    assert exchange.failure is None


async def test_two_tasks_of_an_app_may_receive() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        both = await asyncio.gather(receive(), receive())
        await send(text("".join(message["text"] for message in both)))

    exchange = await start(app)
    await asyncio.sleep(0)
    exchange.push("a")
    exchange.push("b")

    assert await receive(exchange) in {"ab", "ba"}
    await finish(exchange)


async def test_an_app_that_does_not_notice_is_cancelled() -> None:
    cancelled: list[bool] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    exchange = await start(app)
    exchange.leave()
    await finish(exchange)

    assert cancelled == [True]
    assert exchange.failure is None


async def test_an_app_that_was_told_has_its_grace_and_is_cancelled_then() -> None:
    told = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        await receive()
        told.set()
        await asyncio.Event().wait()

    exchange = await start(app, grace=0.01)
    exchange.leave()
    await finish(exchange)

    assert told.is_set()
    assert exchange.task.was_cancelled


async def test_a_client_that_is_cancelled_cancels_the_app() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        await receive()
        await asyncio.Event().wait()

    exchange = await start(app, grace=600.0)
    exchange.leave()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await exchange.close()

    assert exchange.task.is_finished


async def test_an_aborted_exchange_does_not_wait() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        await receive()
        await asyncio.Event().wait()

    exchange = await start(app, grace=600.0)
    async with asyncio.timeout(10):
        await exchange.abort()

    assert exchange.task.was_cancelled


async def test_events_tell_what_happened() -> None:
    tape: list[events.Event] = []
    token = events.listener.set(tape.append)
    try:
        exchange = await start(echo)
        exchange.push("hi")
        await receive(exchange)
        exchange.leave(1001, "off")
        await finish(exchange)
        await finish(await start(accepting(CLOSE)))
    finally:
        events.listener.reset(token)

    opened, sent, answered, closed, second, closed_by_app = tape
    assert isinstance(opened, events.WebSocketOpened)
    assert (opened.path, opened.query_string, opened.subprotocol) == ("/ws", b"a=1", None)
    assert isinstance(sent, events.WebSocketMessageSent)
    assert (sent.by, sent.data) == ("client", "hi")
    assert isinstance(answered, events.WebSocketMessageSent)
    assert (answered.by, answered.data) == ("app", "hi")
    assert isinstance(closed, events.WebSocketClosed)
    assert (closed.by, closed.code, closed.reason) == ("client", 1001, "off")
    assert isinstance(second, events.WebSocketOpened)
    assert second.exchange != opened.exchange == closed.exchange
    assert isinstance(closed_by_app, events.WebSocketClosed)
    assert (closed_by_app.by, closed_by_app.code) == ("app", 1000)


async def test_events_tell_of_refusals_and_failures() -> None:
    async def reject(scope: Scope, receive: Receive, send: Send) -> None:
        await send(CLOSE)

    async def fail(scope: Scope, receive: Receive, send: Send) -> None:
        raise ConnectionError

    tape: list[events.Event] = []
    token = events.listener.set(tape.append)
    try:
        await finish(await start(reject))
        await finish(await start(fail))
    finally:
        events.listener.reset(token)

    refused, raised = tape
    assert isinstance(refused, events.WebSocketRefused)
    assert (refused.path, refused.query_string, refused.status) == ("/ws", b"a=1", 403)
    assert isinstance(raised, events.AppRaised)
    assert isinstance(raised.exception, ConnectionError)
