"""`AsyncClient.websocket`: sessions with httpx2's surface."""

from __future__ import annotations

import asyncio
import gc
import inspect
import pickle
import subprocess
import sys
import weakref
from contextvars import ContextVar
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI, WebSocket

from pytest_asgi import (
    WebSocketDisconnect,
    WebSocketError,
    WebSocketInvalidTypeReceived,
    WebSocketRejectedError,
    WebSocketUpgradeError,
)
from pytest_asgi.asgi.types import Receive, Scope, Send
from pytest_asgi.client.client import AsyncClient
from pytest_asgi.client.sync import TestClient
from pytest_asgi.client.websockets.session import WebSocketOptions
from tests.apps.plain import hello
from tests.apps.websockets import (
    ACCEPT,
    CLOSE,
    Hearing,
    accepting,
    app,
    echo,
    room,
    text,
)
from tests.promises import promise


async def failing(scope: Scope, receive: Receive, send: Send) -> None:
    """Fail at the first message."""
    await receive()
    await send(ACCEPT)
    await receive()
    raise LookupError("lost")


@promise("websocket.messages")
async def test_text_bytes_and_json_go_both_ways() -> None:
    async with AsyncClient(app).websocket("/echo") as ws:
        await ws.send_text("text")
        await ws.send_bytes(b"bytes")
        await ws.send_json({"ä": 1})
        await ws.send_json([2], mode="binary")

        assert await ws.receive_text() == "text"
        assert await ws.receive_bytes() == b"bytes"
        assert await ws.receive_json() == {"ä": 1}
        assert await ws.receive_json(mode="binary") == [2]


async def test_receive_gives_an_event_with_the_data() -> None:
    async with AsyncClient(echo).websocket("/") as ws:
        await ws.send("text")
        event = await ws.receive()
        await ws.send(event)

        assert (await ws.receive()).data == event.data == "text"


async def test_a_ping_is_answered_at_once() -> None:
    async with AsyncClient(echo).websocket("/") as ws:
        pong = await ws.ping(b"payload")
        async with asyncio.timeout(10):
            await pong.wait()
        await ws.close()
        with pytest.raises(WebSocketDisconnect):
            await ws.ping()


async def test_the_handshake_is_that_of_a_server() -> None:
    client = AsyncClient(app)
    async with client.websocket("/negotiate", subprotocols=["v1", "v2"]) as ws:
        assert ws.subprotocol == "v2"
        assert ws.response.status_code == 101
        assert ws.response.headers["x-chosen"] == "1"
        assert ws.response.headers["sec-websocket-protocol"] == "v2"


async def test_the_key_of_the_handshake_is_answered() -> None:
    # https://www.rfc-editor.org/rfc/rfc6455#section-1.3
    async with (
        AsyncClient(echo) as client,
        client.stream(
            "GET", "ws://test/", headers={"sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ=="}
        ) as response,
    ):
        assert response.headers["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        assert [chunk async for chunk in response.aiter_raw()] == []


@promise("websocket.cookies")
async def test_cookies_go_both_ways() -> None:
    async with AsyncClient(app, cookies={"user": "ada"}) as client:
        async with client.websocket("/negotiate", subprotocols=["v1"]):
            pass
        async with client.websocket("/whoami") as ws:
            assert await ws.receive_json() == {"user": "ada", "seat": "7"}


@pytest.mark.parametrize(
    ("base_url", "url", "scheme", "path"),
    [
        ("http://test", "/ws", "ws", "/ws"),
        ("https://test/api/", "ws", "wss", "/api/ws"),
        ("http://test", "wss://test/ws", "wss", "/ws"),
        ("http://test", httpx2.URL("ws://test/ws"), "ws", "/ws"),
    ],
)
async def test_the_url_joins_the_base_url(base_url: str, url: Any, scheme: str, path: str) -> None:
    app = Hearing()

    async with AsyncClient(app, base_url=base_url).websocket(url, params={"a": "1"}):
        pass

    scope = app.scopes[0]
    assert (scope["scheme"], scope["path"], scope["query_string"]) == (scheme, path, b"a=1")


async def test_headers_and_auth_of_a_request_work() -> None:
    app = Hearing()

    client = AsyncClient(app, headers={"x-client": "1"})
    async with client.websocket("/", headers={"x-call": "2"}, auth=("ada", "secret")):
        pass

    headers = dict(app.scopes[0]["headers"])
    assert (headers[b"x-client"], headers[b"x-call"]) == (b"1", b"2")
    assert headers[b"authorization"].startswith(b"Basic ")


async def test_the_scope_can_be_given() -> None:
    app = Hearing()

    client = AsyncClient(app, state={"pool": 1}, root_path="/api")
    async with client.websocket("/", extensions={"asgi.scope": {"user": "ada"}}):
        pass

    scope = app.scopes[0]
    assert (scope["state"], scope["root_path"], scope["user"]) == ({"pool": 1}, "/api", "ada")


def test_the_options_are_those_of_httpx2() -> None:
    theirs = inspect.signature(httpx2.AsyncClient.websocket).parameters.keys()

    ours = {
        *inspect.signature(AsyncClient.websocket).parameters,
        *WebSocketOptions.__annotations__,
    }

    assert ours - {"options"} == set(theirs)


async def test_options_about_the_network_have_no_effect() -> None:
    async with AsyncClient(echo).websocket(
        "/", max_message_size_bytes=1, queue_size=1, keepalive_ping_interval_seconds=0.001
    ) as ws:
        await ws.send_text("long enough")
        assert await ws.receive_text() == "long enough"


# --- iteration -----------------------------------------------------------------------------------


async def test_iteration_ends_when_the_app_closes() -> None:
    async with AsyncClient(app).websocket("/count") as ws:
        assert [message async for message in ws] == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("method", "expected"),
    [("iter_text", ["1", "2"]), ("iter_json", [1, 2])],
)
async def test_iteration_over_one_kind_of_message(method: str, expected: list[Any]) -> None:
    app = accepting(text("1"), text("2"), {**CLOSE, "code": 1001})
    async with AsyncClient(app).websocket("/") as ws:
        assert [item async for item in getattr(ws, method)()] == expected


async def test_iteration_over_bytes() -> None:
    app = accepting({"type": "websocket.send", "bytes": b"1"}, CLOSE)
    async with AsyncClient(app).websocket("/") as ws:
        assert [item async for item in ws.iter_bytes()] == [b"1"]


async def test_iteration_raises_for_another_end_than_a_normal_one() -> None:
    async with AsyncClient(accepting({**CLOSE, "code": 1011})).websocket("/") as ws:
        with pytest.raises(WebSocketDisconnect) as closed:
            await anext(aiter(ws))

    assert closed.value.code == 1011


# --- closing -------------------------------------------------------------------------------------


@promise("websocket.close")
async def test_a_close_of_the_app_is_raised_after_its_messages() -> None:
    app = accepting(text("last"), {**CLOSE, "code": 4000, "reason": "tired"})
    async with AsyncClient(app).websocket("/") as ws:
        assert await ws.receive_text() == "last"
        with pytest.raises(WebSocketDisconnect, match="with 4000: tired") as closed:
            await ws.receive_text()

    assert (closed.value.code, closed.value.reason) == (4000, "tired")


async def test_sending_on_a_closed_connection_raises() -> None:
    async with AsyncClient(accepting(CLOSE)).websocket("/") as ws:
        with pytest.raises(WebSocketDisconnect):
            await ws.send_text("too late")


async def test_an_app_that_just_returns_is_told_about() -> None:
    async with AsyncClient(app).websocket("/return") as ws:
        assert await ws.receive_text() == "bye"
        with pytest.raises(WebSocketDisconnect, match="without closing") as closed:
            await ws.receive_text()

    assert closed.value.code == 1006


@promise("websocket.leave")
async def test_leaving_the_block_tells_the_app_and_waits_for_it() -> None:
    app = Hearing()

    async with AsyncClient(app).websocket("/") as ws:
        await ws.send_text("hello")

    assert app.heard == [
        {"type": "websocket.receive", "text": "hello"},
        {"type": "websocket.disconnect", "code": 1000, "reason": ""},
    ]


async def test_a_close_of_the_client_has_its_code_and_reason() -> None:
    app = Hearing()

    async with AsyncClient(app).websocket("/") as ws:
        await ws.close(4001, "enough")
        assert app.heard[-1]["code"] == 4001
        assert app.heard[-1]["reason"] == "enough"
        with pytest.raises(WebSocketDisconnect, match="The test has closed") as closed:
            await ws.receive()
        await ws.close()

    assert closed.value.code == 4001


async def test_an_app_that_answers_a_client_that_left_is_no_failure() -> None:
    async with AsyncClient(app) as client:
        async with client.websocket("/chat/ada") as ada:
            await ada.send_json("hi")
        assert not room.members


async def test_an_app_that_stays_is_cancelled() -> None:
    cancelled: list[bool] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    async with AsyncClient(app).websocket("/"):
        pass

    assert cancelled == [True]


# --- refusals ------------------------------------------------------------------------------------


@promise("websocket.refusal")
async def test_a_connection_closed_instead_of_accepted_is_a_403_with_its_code() -> None:
    with pytest.raises(WebSocketRejectedError, match="with 1008: no ticket instead") as refused:
        async with AsyncClient(app).websocket("/reject"):
            pass

    error = refused.value
    assert isinstance(error, WebSocketUpgradeError)
    assert isinstance(error, WebSocketDisconnect)
    assert (error.code, error.reason) == (1008, "no ticket")
    assert (error.response.status_code, error.response.content) == (403, b"")


async def list_pages() -> list[str]:
    return []


def app_with_routes() -> FastAPI:
    inner, outer = FastAPI(), FastAPI()
    outer.mount("/inner", inner)
    outer.get("/page")(list_pages)

    @outer.websocket("/refusing")
    async def refuse(websocket: WebSocket) -> None:
        await websocket.close()

    return outer


@promise("websocket.route")
@pytest.mark.parametrize("path", ["/nowhere", "/page", "/inner/nowhere"])
async def test_a_path_without_a_route_is_told_as_such(path: str) -> None:
    with pytest.raises(WebSocketRejectedError, match=f"no WebSocket route for {path}\\.") as no:
        async with AsyncClient(app_with_routes()).websocket(path):
            pass

    assert f'@app.websocket("{path}")' in no.value.fix


async def test_a_route_that_refuses_is_not_taken_for_none() -> None:
    with pytest.raises(
        WebSocketRejectedError, match=r"^The app closed .*/refusing with 1000"
    ) as refused:
        async with AsyncClient(app_with_routes()).websocket("/refusing"):
            pass

    assert "route" not in refused.value.fix


async def test_a_denial_is_a_response() -> None:
    with pytest.raises(WebSocketUpgradeError, match="answered with 409 Conflict") as refused:
        async with AsyncClient(app).websocket("/deny"):
            pass

    error = refused.value
    assert not isinstance(error, WebSocketDisconnect)
    assert error.response.status_code == 409
    assert error.response.headers["x-reason"] == "sold out"
    assert error.response.json() == {"detail": "sold out"}


async def test_a_redirect_is_followed_on_request() -> None:
    async with (
        AsyncClient(app) as client,
        client.websocket("/moved", follow_redirects=True) as ws,
    ):
        await ws.send_text("there")
        assert await ws.receive_text() == "there"


async def test_an_app_that_does_not_know_websockets_fails_with_its_own_error() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise NotImplementedError(scope["type"])

    with pytest.raises(NotImplementedError, match="websocket"):
        async with AsyncClient(app).websocket("/"):
            pass


async def test_a_transport_that_answers_without_a_connection_is_refused() -> None:
    transport = httpx2.MockTransport(lambda _: httpx2.Response(418, text="tea"))

    with pytest.raises(WebSocketUpgradeError) as refused:
        async with AsyncClient(transport=transport).websocket("/"):
            pass

    assert refused.value.response.text == "tea"


# --- failures ------------------------------------------------------------------------------------


@promise("websocket.exception")
async def test_what_the_app_raises_is_raised_by_the_receive_that_waits() -> None:
    async with AsyncClient(failing).websocket("/") as ws:
        await ws.send_text("go")
        with pytest.raises(LookupError, match="lost") as raised:
            await ws.receive_text()
        with pytest.raises(LookupError):
            await ws.send_text("more")

    assert "failing" in [entry.name for entry in raised.traceback]


async def test_what_the_app_raises_is_raised_at_the_end_of_the_block() -> None:
    with pytest.raises(LookupError, match="lost"):
        async with AsyncClient(failing).websocket("/") as ws:
            await ws.send_text("go")


async def test_what_the_app_raises_is_raised_by_close() -> None:
    async with AsyncClient(failing).websocket("/") as ws:
        await ws.send_text("go")
        with pytest.raises(LookupError, match="lost"):
            await ws.close()


async def test_what_the_app_raises_wins_over_the_close_that_came_before() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        await send({**CLOSE, "code": 1011})
        await receive()
        await asyncio.sleep(0)
        raise LookupError("lost")

    with pytest.raises(LookupError) as raised:
        async with AsyncClient(app).websocket("/") as ws:
            await ws.receive()

    assert isinstance(raised.value.__context__, WebSocketDisconnect)


async def test_what_the_test_raises_wins_over_what_the_app_raises() -> None:
    async def test() -> None:
        async with AsyncClient(failing).websocket("/") as ws:
            await ws.send_text("go")
            raise AssertionError("mine")

    with pytest.raises(AssertionError, match="mine") as raised:
        await test()

    (note,) = raised.value.__notes__
    assert "LookupError: lost" in note
    assert "mine" not in note


async def test_exceptions_are_answered_on_request() -> None:
    client = AsyncClient(app, raise_app_exceptions=False)

    with pytest.raises(WebSocketUpgradeError) as refused:
        async with client.websocket("/broken-before"):
            pass
    async with client.websocket("/broken") as ws:
        assert await ws.receive_text() == "still well"
        with pytest.raises(WebSocketDisconnect) as closed:
            await ws.receive_text()

    assert refused.value.response.status_code == 500
    assert closed.value.code == 1006


@promise("websocket.deadline")
async def test_a_deadline_tells_where_the_app_waits() -> None:
    async with AsyncClient(echo).websocket("/") as ws:
        with pytest.raises(TimeoutError, match=r"for 0\.01 seconds: it waits at .* in echo"):
            await ws.receive_text(timeout=0.01)


async def test_a_read_timeout_is_a_deadline_for_the_handshake() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.Event().wait()

    with pytest.raises(httpx2.ReadTimeout, match="it waits at"):
        async with AsyncClient(app).websocket("/", timeout=0.01):
            pass


async def test_a_timeout_of_the_app_is_its_own() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise TimeoutError("of the app")

    with pytest.raises(TimeoutError, match="of the app"):
        async with AsyncClient(app).websocket("/"):
            pass


async def test_a_test_that_is_cancelled_does_not_wait_for_the_app() -> None:
    cancelled: list[bool] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise LookupError from None

    client = AsyncClient(app, disconnect_grace=600.0)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01), client.websocket("/") as ws:
            await ws.receive()

    assert cancelled == [True]


async def test_a_message_of_the_other_kind_is_an_error_of_its_own() -> None:
    async with AsyncClient(echo).websocket("/") as ws:
        await ws.send_bytes(b"bytes")
        with pytest.raises(WebSocketInvalidTypeReceived, match="sent bytes: b'bytes'") as raised:
            await ws.receive_text()
        await ws.send_text("text")
        with pytest.raises(WebSocketInvalidTypeReceived, match="sent text: 'text'"):
            await ws.receive_bytes()

    assert raised.value.event.data == b"bytes"


# --- the world around ----------------------------------------------------------------------------


@promise("websocket.several")
async def test_several_connections_talk_to_each_other() -> None:
    async with (
        AsyncClient(app) as client,
        client.websocket("/chat/ada") as ada,
        client.websocket("/chat/bob") as bob,
    ):
        await ada.send_json("hi")
        assert await bob.receive_json() == {"ada": "hi"}
        assert await ada.receive_json() == {"ada": "hi"}
        await bob.close()
        assert await ada.receive_text() == "bob left"


async def test_requests_work_beside_an_open_connection() -> None:
    async with AsyncClient(app) as client, client.websocket("/echo") as ws:
        assert (await client.get("/openapi.json")).status_code == 200
        await ws.send_text("still here")
        assert await ws.receive_text() == "still here"


async def test_context_variables_flow_both_ways() -> None:
    of_test: ContextVar[str] = ContextVar("of_test")
    of_app: ContextVar[str] = ContextVar("of_app")
    of_test.set("test")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        of_app.set(of_test.get() + " and app")
        await echo(scope, receive, send)

    async with AsyncClient(app).websocket("/"):
        assert of_app.get() == "test and app"


async def test_nothing_is_left_behind() -> None:
    async with AsyncClient(echo) as client:
        async with client.websocket("/") as ws:
            await ws.send_text("x")
            session = weakref.ref(ws)
            exchange = weakref.ref(ws._connection.exchange)
        del ws
        await asyncio.sleep(0)  # The loop has a callback of the task that has just ended.
        gc.collect()

        assert (session(), exchange()) == (None, None)


async def test_exceptions_can_be_sent_to_another_process() -> None:
    errors: list[WebSocketError] = []
    async with AsyncClient(app) as client:
        for path in ("/count", "/reject", "/deny"):
            with pytest.raises(WebSocketError) as raised:
                async with client.websocket(path) as ws:
                    await ws.receive_bytes()
            errors.append(raised.value)

    for error in errors:
        copy = pickle.loads(pickle.dumps(error))
        assert type(copy).__name__ == type(error).__name__
        assert str(copy) == str(error)
    assert [type(error).__name__ for error in errors] == [
        "WebSocketInvalidTypeReceived",
        "WebSocketRejectedError",
        "WebSocketUpgradeError",
    ]


TRIO = """
import sys
import trio
from pytest_asgi import AsyncClient, WebSocketDisconnect

async def app(scope, receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        if message["text"] == "wait":
            await trio.sleep_forever()
        await send({"type": "websocket.send", "text": message["text"]})
    trio.lowlevel.current_task()

async def main():
    async with AsyncClient(app).websocket("/") as ws:
        await ws.send_text("hello")
        assert await ws.receive_text() == "hello"
        await (await ws.ping()).wait()
        try:
            await ws.receive_text(timeout=0.01)
        except TimeoutError as error:
            assert "it waits at" in str(error), error
    with trio.move_on_after(0.01) as scope:
        async with AsyncClient(app).websocket("/") as ws:
            await ws.send_text("wait")
            await ws.receive_text()
    assert scope.cancelled_caught

trio.run(main)
print("done")
"""


@promise("websocket.trio")
def test_trio_runs_it_too() -> None:
    done = subprocess.run(
        [sys.executable, "-c", TRIO], check=True, capture_output=True, text=True, timeout=60
    )

    assert done.stdout == "done\n"


PLAIN = """
import asyncio, sys
from pytest_asgi import AsyncClient, WebSocketDisconnect

async def app(scope, receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": "hello"})
    await send({"type": "websocket.close"})

async def main():
    async with AsyncClient(app).websocket("/") as ws:
        event = await ws.receive()
        assert event.data == "hello", event
        try:
            await ws.receive()
        except WebSocketDisconnect as error:
            assert type(error) is WebSocketDisconnect

asyncio.run(main())
print(sorted({"anyio", "starlette", "wsproto"} & sys.modules.keys()))
"""


def test_no_other_package_is_needed() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PLAIN], check=True, capture_output=True, text=True, timeout=60
    )

    assert done.stdout == "[]\n"


TLS: Any = {
    "server_cert": None,
    "client_cert_chain": ["-----BEGIN CERTIFICATE-----"],
    "client_cert_name": "CN=ada",
    "client_cert_error": None,
    "tls_version": 0x0304,
    "cipher_suite": 0x1301,
}


@promise("client.tls")
async def test_requests_and_connections_tell_the_app_of_certificates() -> None:
    seen: list[object] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["extensions"].pop("tls"))  # of one request, and no other
        await (hello if scope["type"] == "http" else echo)(scope, receive, send)

    client = AsyncClient(app, base_url="https://test", extensions={"tls": TLS})
    await client.get("/")
    await client.post("/", json=1, auth=("ada", "secret"))
    async with client.stream("GET", "/"), client.websocket("/"):
        pass
    with TestClient(app, extensions={"tls": TLS}).websocket_connect("/"):
        pass

    assert [each is TLS for each in seen] == [True] * 5
