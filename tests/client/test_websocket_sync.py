"""`TestClient.websocket_connect`: sessions with Starlette's surface, on the test's loop."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import starlette.testclient
import starlette.websockets

from pytest_asgi import WebSocketDisconnect, WebSocketInvalidTypeReceived
from pytest_asgi.asgi.types import Message, Receive, Scope, Send
from pytest_asgi.client.sync import TestClient
from tests.apps.websockets import (
    ACCEPT,
    CLOSE,
    Hearing,
    accepting,
    app,
    describe,
    echo,
    room,
    text,
)
from tests.promises import promise

# The same test passes with Starlette's client.
CLIENTS = pytest.mark.parametrize(
    "client_type", [TestClient, starlette.testclient.TestClient], ids=["ours", "starlette"]
)


@promise("websocket.sync")
@CLIENTS
def test_text_bytes_and_json_go_both_ways(client_type: Any) -> None:
    with client_type(app).websocket_connect("/echo") as websocket:
        websocket.send_text("text")
        assert websocket.receive_text() == "text"
        websocket.send_bytes(b"bytes")
        assert websocket.receive_bytes() == b"bytes"
        websocket.send_json({"ä": [1, 2]})
        assert websocket.receive_text() == '{"ä":[1,2]}'
        websocket.send_json({"a": 1}, mode="binary")
        assert websocket.receive_json(mode="binary") == {"a": 1}
        websocket.send_json({"a": 1}, "text")
        assert websocket.receive_json("text") == {"a": 1}


@CLIENTS
def test_messages_of_asgi_go_both_ways(client_type: Any) -> None:
    with client_type(app).websocket_connect("/echo") as websocket:
        websocket.send({"type": "websocket.receive", "text": "text"})
        assert websocket.receive() == {"type": "websocket.send", "text": "text"}
        websocket.send({"type": "websocket.receive", "bytes": b"bytes"})
        assert websocket.receive() == {"type": "websocket.send", "bytes": b"bytes"}


@CLIENTS
def test_the_answer_to_the_handshake_is_known(client_type: Any) -> None:
    client = client_type(app)
    with client.websocket_connect("/negotiate", subprotocols=["v1", "v2"]) as websocket:
        assert websocket.accepted_subprotocol == "v2"
        assert (b"x-chosen", b"1") in websocket.extra_headers
        assert websocket.receive() == {"type": "websocket.close", "code": 4001, "reason": "done"}


def test_the_app_sees_the_same_connection_as_with_starlettes_client() -> None:
    def look(client: Any) -> dict[str, Any]:
        url = "/scope/stra%C3%9Fe?a=1"
        with client.websocket_connect(url, ["v1"], headers={"X-Call": "2"}) as websocket:
            seen: dict[str, Any] = websocket.receive_json()
        seen["headers"].sort()
        return {name: value for name, value in seen.items() if value is not None}

    options: dict[str, Any] = {"cookies": {"user": "ada"}, "headers": {"x-client": "1"}}
    ours = look(TestClient(app, **options))

    # Starlette's leaves out some keys that the specification wants.
    assert ours == {**ours, **look(starlette.testclient.TestClient(app, **options))}
    assert (ours["server"], ours["client"]) == (["testserver", 80], "testclient")


@CLIENTS
def test_the_options_of_a_request_work(client_type: Any) -> None:
    client = client_type(app)
    with client.websocket_connect("/scope/", params={"a": "1"}, auth=("ada", "x")) as websocket:
        seen = websocket.receive_json()

    assert seen["query_string"] == "a=1"
    assert "authorization" in dict(seen["headers"])


@CLIENTS
def test_a_close_of_the_app_is_raised(client_type: Any) -> None:
    with client_type(app).websocket_connect("/count") as websocket:
        assert [websocket.receive_text() for _ in range(3)] == ["0", "1", "2"]
        with pytest.raises(starlette.websockets.WebSocketDisconnect) as closed:
            websocket.receive_text()

    assert (closed.value.code, closed.value.reason) == (1000, "")


@CLIENTS
def test_what_the_app_raises_is_raised(client_type: Any) -> None:
    with (
        pytest.raises(ConnectionError),
        client_type(app).websocket_connect("/broken") as websocket,
    ):
        assert websocket.receive_text() == "still well"


@CLIENTS
def test_what_the_app_raises_before_it_accepts_is_raised(client_type: Any) -> None:
    with (
        pytest.raises(ConnectionError),
        client_type(app).websocket_connect("/broken-before"),
    ):
        pass


@CLIENTS
def test_a_close_of_the_client_reaches_the_app(client_type: Any) -> None:
    app = Hearing()

    with client_type(app).websocket_connect("/") as websocket:
        websocket.send_text("hello")
        websocket.close(4001, "enough")

    assert app.heard[:2] == [
        {"type": "websocket.receive", "text": "hello"},
        {"type": "websocket.disconnect", "code": 4001, "reason": "enough"},
    ]


@CLIENTS
def test_several_connections_hear_each_other(client_type: Any) -> None:
    with (
        client_type(app) as client,
        client.websocket_connect("/chat/ada") as ada,
        client.websocket_connect("/chat/bob") as bob,
    ):
        ada.send_json("hi")
        assert bob.receive_json() == {"ada": "hi"}
        assert ada.receive_json() == {"ada": "hi"}
        assert client.get("/openapi.json").status_code == 200
        bob.close()
        assert ada.receive_text() == "bob left"

    assert not room.members


@CLIENTS
def test_a_redirect_is_not_followed(client_type: Any) -> None:
    with (
        pytest.raises(starlette.testclient.WebSocketDenialResponse) as denied,
        client_type(app).websocket_connect("/moved"),
    ):
        pass

    assert (denied.value.status_code, denied.value.headers["location"]) == (307, "/echo")


# --- what is ours --------------------------------------------------------------------------------


async def test_it_works_in_an_asynchronous_test() -> None:
    with TestClient(app).websocket_connect("/echo") as websocket:
        websocket.send_text("text")
        assert websocket.receive_text() == "text"


async def test_the_app_shares_the_loop_of_the_test() -> None:
    ready = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        ready.set()
        await receive()

    with TestClient(app).websocket_connect("/"):
        async with asyncio.timeout(10):
            await ready.wait()


def test_the_app_sees_a_message_before_the_test_goes_on() -> None:
    app = Hearing()

    with TestClient(app).websocket_connect("/") as websocket:
        websocket.send_text("hello")
        assert app.heard == [{"type": "websocket.receive", "text": "hello"}]
        assert websocket.scope is app.scopes[0]


def test_cookies_of_the_handshake_are_kept() -> None:
    client = TestClient(app)
    with client.websocket_connect("/negotiate", ["v1"]):
        pass
    with client.websocket_connect("/whoami") as websocket:
        assert websocket.receive_json() == {"seat": "7"}


def test_the_url_joins_the_base_url() -> None:
    app = Hearing()

    with TestClient(app, base_url="https://api.test/v1").websocket_connect("ws"):
        pass
    with TestClient(app).websocket_connect("wss://elsewhere/ws"):
        pass

    seen = [describe(scope) for scope in app.scopes]
    assert [(scope["scheme"], scope["path"]) for scope in seen] == [
        ("wss", "/v1/ws"),
        ("wss", "/ws"),
    ]
    assert [scope["server"] for scope in seen] == [["api.test", 443], ["elsewhere", 443]]


def test_an_app_that_just_returns_does_not_hang_the_test() -> None:
    with TestClient(app).websocket_connect("/return") as websocket:
        assert websocket.receive_text() == "bye"
        assert websocket.receive() == {"type": "websocket.close", "code": 1006, "reason": ""}
        with pytest.raises(WebSocketDisconnect, match="without closing"):
            websocket.receive_text()


def test_what_the_app_raises_is_raised_by_the_receive_that_waits() -> None:
    with TestClient(app).websocket_connect("/broken") as websocket:
        assert websocket.receive_text() == "still well"
        with pytest.raises(ConnectionError):
            websocket.receive_text()


def test_what_the_test_raises_wins_over_what_the_app_raises() -> None:
    with (
        pytest.raises(AssertionError, match="mine") as raised,
        TestClient(app).websocket_connect("/broken") as websocket,
    ):
        assert websocket.receive_text() == "mine"

    assert "ConnectionError" in raised.value.__notes__[-1]


def test_what_was_sent_before_the_close_can_be_received_after_it() -> None:
    with TestClient(accepting(text("one"), CLOSE)).websocket_connect("/") as websocket:
        websocket.close()
        assert websocket.receive_text() == "one"


def test_a_message_of_the_other_kind_is_an_error_of_its_own() -> None:
    with TestClient(echo).websocket_connect("/") as websocket:
        websocket.send_bytes(b"bytes")
        with pytest.raises(WebSocketInvalidTypeReceived, match="sent bytes"):
            websocket.receive_text()
        websocket.send_text("text")
        with pytest.raises(WebSocketInvalidTypeReceived, match="sent text"):
            websocket.receive_bytes()


def test_a_client_with_a_thread_of_its_own_works_too() -> None:
    with (
        TestClient(app, in_thread=True) as client,
        client.websocket_connect("/echo") as websocket,
    ):
        websocket.send_text("text")
        assert websocket.receive_text() == "text"


@pytest.mark.parametrize(
    "message",
    [{"type": "websocket.connect"}, {"type": "websocket.receive"}, {"type": "websocket.odd"}],
    ids=str,
)
def test_a_message_that_no_server_sends_reaches_the_app_as_it_is(message: Message) -> None:
    received: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        received.append(await receive())

    with TestClient(app).websocket_connect("/") as websocket:
        websocket.send(message)
        websocket.close()
        websocket.send(message)  # lost, and no error

    assert received == [message]
