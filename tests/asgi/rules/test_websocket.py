"""What an app may send on a WebSocket connection, and how a lenient server goes on."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_asgi.asgi.rules import Mode, WebSocketRules, WebSocketState
from pytest_asgi.asgi.types import Message, Scope

ACCEPT: Message = {"type": "websocket.accept"}
SEND: Message = {"type": "websocket.send", "text": "Hello"}
CLOSE: Message = {"type": "websocket.close"}
DENY: Message = {"type": "websocket.http.response.start", "status": 401, "headers": []}
DENIAL: Message = {"type": "websocket.http.response.body", "body": b"No"}


def make_rules(mode: Mode = "error", *, denial: bool = True) -> WebSocketRules:
    scope: Scope = {
        "type": "websocket",
        "subprotocols": ["chat"],
        "extensions": {"websocket.http.response": {}} if denial else None,
    }
    return WebSocketRules(scope, mode)


@pytest.mark.parametrize("mode", ["error", "strict"])
@pytest.mark.parametrize(
    ("messages", "state"),
    [
        ([ACCEPT], WebSocketState.CONNECTED),
        (
            [{**ACCEPT, "subprotocol": "chat", "headers": [(b"x-a", b"1")]}],
            WebSocketState.CONNECTED,
        ),
        ([{**ACCEPT, "subprotocol": None}, SEND, CLOSE], WebSocketState.CLOSED),
        ([ACCEPT, {**SEND, "bytes": None}], WebSocketState.CONNECTED),
        ([ACCEPT, {**SEND, "text": ""}], WebSocketState.CONNECTED),
        ([ACCEPT, {"type": "websocket.send", "bytes": b""}], WebSocketState.CONNECTED),
        ([ACCEPT, {**SEND, "text": None, "bytes": memoryview(b"a")}], WebSocketState.CONNECTED),
        ([CLOSE], WebSocketState.CLOSED),
        ([{**CLOSE, "code": 1008, "reason": "no"}], WebSocketState.CLOSED),
        ([ACCEPT, {**CLOSE, "code": 1014, "reason": None}], WebSocketState.CLOSED),
        ([ACCEPT, {**CLOSE, "code": 3000, "reason": "x" * 123}], WebSocketState.CLOSED),
        ([ACCEPT, {**CLOSE, "code": 4999}], WebSocketState.CLOSED),
        ([DENY, {**DENIAL, "more_body": True}, DENIAL], WebSocketState.CLOSED),
        ([{**DENY, "headers": [(b"content-length", b"2")]}, DENIAL], WebSocketState.CLOSED),
    ],
)
def test_a_connection_that_keeps_the_rules(
    mode: Mode, messages: list[Message], state: WebSocketState
) -> None:
    rules = make_rules(mode)

    assert [rules.check(message) for message in messages] == [True] * len(messages)
    rules.check_return()

    assert rules.state is state


@pytest.mark.parametrize("before", [[], [ACCEPT], [DENY]])
def test_once_the_client_has_gone_nothing_is_a_fault_and_nothing_counts(
    before: list[Message],
) -> None:
    rules = make_rules()
    for message in before:
        rules.check(message)

    rules.disconnect()

    assert not rules.check({**SEND, "text": 1})
    rules.check_return()
    assert rules.state is WebSocketState.CLIENT_GONE


def test_a_connection_that_was_closed_stays_so_when_the_client_goes() -> None:
    rules = make_rules()
    rules.check(CLOSE)

    rules.disconnect()

    assert rules.state is WebSocketState.CLOSED


@pytest.mark.parametrize(
    ("messages", "counts"),
    [
        ([SEND, ACCEPT, SEND], [False, True, True]),
        ([ACCEPT, ACCEPT, {**SEND, "text": 1}, SEND], [True, False, False, True]),
        ([ACCEPT, {"type": "websocket.send"}, {**CLOSE, "code": 1}], [True, False, True]),
        ([{**ACCEPT, "subprotocol": "soap"}, None], [True, False]),
        ([CLOSE, CLOSE], [True, False]),
        ([DENIAL, DENY, {**DENIAL, "body": "No"}, DENIAL], [False, True, False, True]),
    ],
)
def test_with_the_rules_off_a_server_drops_what_it_cannot_use(
    messages: list[Any], counts: list[bool]
) -> None:
    rules = make_rules("off")

    assert [rules.check(message) for message in messages] == counts


def test_a_message_of_an_extension_that_only_its_client_knows_is_no_fault() -> None:
    rules = WebSocketRules({"type": "websocket", "extensions": {"ping": {}}}, "error")

    assert not rules.check({"type": "websocket.ping"})


def test_with_the_rules_off_a_denial_that_nobody_takes_is_dropped() -> None:
    rules = make_rules("off", denial=False)

    assert not rules.check(DENY)
    assert rules.state is WebSocketState.CONNECTING
