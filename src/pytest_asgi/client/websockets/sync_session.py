"""The session that a synchronous test talks to: the surface of Starlette's class of this name."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias

import httpx2

from pytest_asgi.asgi.tasks import let_others_run
from pytest_asgi.asgi.websocket import NORMAL_CLOSURE, SWITCHING_PROTOCOLS
from pytest_asgi.client.websockets.handshake import CONNECTION
from pytest_asgi.client.websockets.peers import make_invalid_type, make_upgrade_error
from pytest_asgi.client.websockets.session import make_event
from pytest_asgi.errors import WebSocketDisconnect

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from pytest_asgi.asgi.types import Message, RawHeaders, Scope
    from pytest_asgi.asgi.websocket import Data
    from pytest_asgi.client.waiting import Waiter
    from pytest_asgi.client.websockets.connection import Connection

JSONMode: TypeAlias = Literal["text", "binary"]

_SCHEMES = {"http": "ws", "https": "wss"}


class WebSocketTestSession:
    """A WebSocket connection to the app, which `with` opens and closes.

    Args:
        client: The client that asks for the connection.
        request: How it asks.
        waiter: How the client waits.
        options: The options of the client's `send`.

    Attributes:
        accepted_subprotocol: What the app chose of the subprotocols that were offered.
        extra_headers: The headers that the app sent when it accepted.
        scope: The scope that the app was called with.

    Example:
        ```python
        with client.websocket_connect("/ws") as websocket:
            websocket.send_text("hello")
            assert websocket.receive_text() == "hello, too"
        ```
    """

    accepted_subprotocol: str | None
    extra_headers: RawHeaders
    scope: Scope
    _connection: Connection

    def __init__(
        self, client: httpx2.Client, request: httpx2.Request, waiter: Waiter, **options: Any
    ) -> None:
        self._client = client
        self._request = request
        self._waiter = waiter
        self._options = options

    def __enter__(self) -> Self:
        """Open the connection.

        Raises:
            WebSocketDisconnect: The app closes it instead of accepting it.
            WebSocketUpgradeError: The app does not accept it.
            Exception: What the app let escape.
        """
        __tracebackhide__ = True
        response = self._client.send(self._request, stream=True, **self._options)
        self._connection = response.extensions[CONNECTION]
        exchange = self._connection.exchange
        if response.status_code != SWITCHING_PROTOCOLS:
            response.read()
            raise make_upgrade_error(response, exchange)
        self.accepted_subprotocol = exchange.subprotocol
        self.extra_headers = exchange.headers
        self.scope = exchange.scope
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        """Close the connection and wait for the app."""
        __tracebackhide__ = True
        self._waiter.run(self._connection.end(exc_value))

    def send(self, message: Message) -> None:
        """Send a message of ASGI as the app receives it; it is lost on a closed connection."""
        __tracebackhide__ = True
        self._waiter.run(self._send(message))

    def send_text(self, data: str) -> None:
        """Send text."""
        __tracebackhide__ = True
        self.send({"type": "websocket.receive", "text": data})

    def send_bytes(self, data: bytes) -> None:
        """Send bytes."""
        __tracebackhide__ = True
        self.send({"type": "websocket.receive", "bytes": data})

    def send_json(self, data: Any, mode: JSONMode = "text") -> None:
        """Send a value as JSON, as text or (`"binary"`) as bytes."""
        __tracebackhide__ = True
        text = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
        if mode == "text":
            self.send_text(text)
        else:
            self.send_bytes(text.encode())

    def close(self, code: int = NORMAL_CLOSURE, reason: str | None = None) -> None:
        """Close the connection; what the app has sent before can still be received."""
        __tracebackhide__ = True
        self.send({"type": "websocket.disconnect", "code": code, "reason": reason})

    def receive(self) -> Message:
        """Return the next message of ASGI, as the app sends it.

        Raises:
            Exception: What the app let escape.
        """
        __tracebackhide__ = True
        try:
            data = self._receive()
        except WebSocketDisconnect as closed:
            return {"type": "websocket.close", "code": closed.code, "reason": closed.reason}
        return {"type": "websocket.send", "text" if isinstance(data, str) else "bytes": data}

    def receive_text(self) -> str:
        """Return the next message, which is text.

        Raises:
            WebSocketDisconnect: The connection is closed, and all messages have been read.
            WebSocketInvalidTypeReceived: The message is bytes.
            Exception: What the app let escape.
        """
        __tracebackhide__ = True
        data = self._receive()
        if not isinstance(data, str):
            raise make_invalid_type(make_event(data), "text")
        return data

    def receive_bytes(self) -> bytes:
        """Return the next message, which is bytes; raises as `receive_text` does."""
        __tracebackhide__ = True
        data = self._receive()
        if not isinstance(data, bytes):
            raise make_invalid_type(make_event(data), "bytes")
        return data

    def receive_json(self, mode: JSONMode = "text") -> Any:
        """Return the value of the next message; raises as `receive_text` does."""
        __tracebackhide__ = True
        return json.loads(self.receive_text() if mode == "text" else self.receive_bytes())

    def _receive(self) -> Data:
        __tracebackhide__ = True
        return self._waiter.run(self._connection.receive())

    async def _send(self, message: Message) -> None:
        exchange = self._connection.exchange
        data = message.get("bytes") if message.get("text") is None else message["text"]
        if message["type"] == "websocket.disconnect":
            exchange.leave(message.get("code", NORMAL_CLOSURE), message.get("reason") or "")
        elif message["type"] == "websocket.receive" and isinstance(data, (str, bytes)):
            exchange.push(data)
        else:
            exchange.push_raw(message)
        await let_others_run()  # Let the app see it, as if it ran beside the test.


def make_session(
    client: httpx2.Client,
    waiter: Waiter,
    url: httpx2.URL | str,
    subprotocols: Sequence[str] | None,
    *,
    auth: Any = httpx2.USE_CLIENT_DEFAULT,
    follow_redirects: bool = False,
    **options: Any,
) -> WebSocketTestSession:
    """Return the session of a connection that has still to be opened."""
    headers = httpx2.Headers(options.pop("headers", None))
    # What Starlette's client sends, for suites that compare the headers.
    headers.setdefault("connection", "upgrade")
    headers.setdefault("sec-websocket-key", "testserver==")
    headers.setdefault("sec-websocket-version", "13")
    if subprotocols is not None:
        headers.setdefault("sec-websocket-protocol", ", ".join(subprotocols))
    request = client.build_request("GET", url, headers=headers, **options)
    scheme = _SCHEMES.get(request.url.scheme, request.url.scheme)
    request.url = request.url.copy_with(scheme=scheme)
    return WebSocketTestSession(
        client, request, waiter, auth=auth, follow_redirects=follow_redirects
    )
