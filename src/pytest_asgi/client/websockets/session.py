"""The session that an asynchronous test talks to: the methods of httpx2's own, and iteration."""

from __future__ import annotations

import json
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Literal, Self, TypeAlias, TypedDict, TypeVar

import httpx2

from pytest_asgi.asgi.tasks import make_flag
from pytest_asgi.asgi.websocket import NORMAL_CLOSURE, SWITCHING_PROTOCOLS
from pytest_asgi.client.websockets.handshake import CONNECTION, make_headers
from pytest_asgi.client.websockets.peers import (
    make_disconnect,
    make_invalid_type,
    make_upgrade_error,
)
from pytest_asgi.errors import WebSocketDisconnect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    # Type checkers only: httpx2 gives these types no public names.
    from httpx2._client import UseClientDefault
    from httpx2._types import (
        AuthTypes,
        CookieTypes,
        HeaderTypes,
        QueryParamTypes,
        RequestExtensions,
        TimeoutTypes,
    )

    from pytest_asgi.asgi.tasks import Flag
    from pytest_asgi.asgi.websocket import Data
    from pytest_asgi.client.websockets.connection import Connection

JSONMode: TypeAlias = Literal["text", "binary"]

_T = TypeVar("_T")

# Codes that say "done": iteration ends, and does not raise.
# https://www.rfc-editor.org/rfc/rfc6455#section-7.4.1
_DONE = frozenset({NORMAL_CLOSURE, 1001})


_OF_THE_NETWORK = frozenset(
    {
        "keepalive_ping_interval_seconds",
        "keepalive_ping_timeout_seconds",
        "max_message_size_bytes",
        "queue_size",
    }
)


class WebSocketOptions(TypedDict, total=False):
    """Every other option of httpx2's `websocket`."""

    max_message_size_bytes: int
    queue_size: int
    keepalive_ping_interval_seconds: float | None
    keepalive_ping_timeout_seconds: float | None
    params: QueryParamTypes | None
    headers: HeaderTypes | None
    cookies: CookieTypes | None
    auth: AuthTypes | UseClientDefault | None
    follow_redirects: bool | UseClientDefault
    timeout: TimeoutTypes | UseClientDefault
    extensions: RequestExtensions | None


@dataclass(frozen=True)
class Message:
    """What `receive` gives where wsproto, whose events have this attribute, is not loaded."""

    data: Data


class WebSocketSession:
    """An open WebSocket connection to the app.

    Attributes:
        response: The answer to the handshake.
        subprotocol: What the app chose of the subprotocols that were offered.

    Example:
        ```python
        async with client.websocket("/ws") as ws:
            await ws.send_text("hello")
            assert await ws.receive_text() == "hello, too"
        ```
    """

    def __init__(self, connection: Connection, response: httpx2.Response) -> None:
        self._connection = connection
        self.response = response
        self.subprotocol = connection.exchange.subprotocol

    async def send_text(self, data: str) -> None:
        """Send text."""
        __tracebackhide__ = True
        self._connection.send(data)

    async def send_bytes(self, data: bytes) -> None:
        """Send bytes."""
        __tracebackhide__ = True
        self._connection.send(data)

    async def send_json(self, data: Any, mode: JSONMode = "text") -> None:
        """Send a value as JSON, as text or (`"binary"`) as bytes."""
        __tracebackhide__ = True
        text = json.dumps(data)
        self._connection.send(text if mode == "text" else text.encode())

    async def send(self, event: Any) -> None:
        """Send what has `data`, as an event of wsproto has; or the data itself."""
        __tracebackhide__ = True
        self._connection.send(getattr(event, "data", event))

    async def ping(self, payload: bytes = b"") -> Flag:  # noqa: ARG002 - httpx2's signature
        """Return the event of the pong. No app ever sees a ping, so the pong is there already."""
        __tracebackhide__ = True
        closing = self._connection.exchange.closing
        if closing is not None:
            raise make_disconnect(closing)
        pong = make_flag()
        pong.set()
        return pong

    async def receive(self, timeout: float | None = None) -> Any:  # noqa: ASYNC109 - httpx2's
        """Return the next message, with its text or bytes as `data`.

        Raises:
            TimeoutError: There was none for `timeout` seconds.
            WebSocketDisconnect: The connection is closed, and all messages have been read.
            Exception: What the app let escape.
        """
        __tracebackhide__ = True
        return make_event(await self._connection.receive(timeout))

    async def receive_text(self, timeout: float | None = None) -> str:  # noqa: ASYNC109
        """Return the next message, which is text; raises as `receive` does.

        Raises:
            WebSocketInvalidTypeReceived: The message is bytes.
        """
        __tracebackhide__ = True
        data = await self._connection.receive(timeout)
        if not isinstance(data, str):
            raise make_invalid_type(make_event(data), "text")
        return data

    async def receive_bytes(self, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        """Return the next message, which is bytes; raises as `receive` does.

        Raises:
            WebSocketInvalidTypeReceived: The message is text.
        """
        __tracebackhide__ = True
        data = await self._connection.receive(timeout)
        if not isinstance(data, bytes):
            raise make_invalid_type(make_event(data), "bytes")
        return data

    async def receive_json(
        self,
        timeout: float | None = None,  # noqa: ASYNC109
        mode: JSONMode = "text",
    ) -> Any:
        """Return the value of the next message; raises as `receive_text` does."""
        __tracebackhide__ = True
        receive = self.receive_text if mode == "text" else self.receive_bytes
        return json.loads(await receive(timeout))

    async def close(self, code: int = NORMAL_CLOSURE, reason: str | None = None) -> None:
        """Close the connection and wait for the app to notice; nothing if it is closed already.

        Raises:
            Exception: What the app let escape.
        """
        __tracebackhide__ = True
        await self._connection.close(code, reason or "")

    def __aiter__(self) -> Messages[Data]:
        """Iterate over the messages until the app closes the connection.

        Raises:
            WebSocketDisconnect: It was closed with another code than 1000 or 1001.
        """
        return Messages(self._connection.receive)

    def iter_text(self) -> Messages[str]:
        """Iterate over messages which are text, until the app closes the connection."""
        return Messages(self.receive_text)

    def iter_bytes(self) -> Messages[bytes]:
        """Iterate over messages which are bytes, until the app closes the connection."""
        return Messages(self.receive_bytes)

    def iter_json(self) -> Messages[Any]:
        """Iterate over the values of messages, until the app closes the connection."""
        return Messages(self.receive_json)


class Messages(Generic[_T]):
    """The messages of a connection until it is closed in good order."""

    # No generator: a loop that is left early would leave one behind.

    def __init__(self, receive: Callable[[], Awaitable[_T]]) -> None:
        self._receive = receive

    def __aiter__(self) -> Self:
        """Return the iterator, which this is."""
        return self

    async def __anext__(self) -> _T:
        """Return the next message."""
        __tracebackhide__ = True
        try:
            return await self._receive()
        except WebSocketDisconnect as closed:
            if closed.code in _DONE:
                raise StopAsyncIteration from None
            raise


@asynccontextmanager
async def open_session(
    client: httpx2.AsyncClient,
    url: httpx2.URL | str,
    subprotocols: list[str] | None,
    options: WebSocketOptions,
) -> AsyncIterator[WebSocketSession]:
    """Open a connection with a client whose transport gives the app's answer."""
    __tracebackhide__ = True
    headers = httpx2.Headers(options.get("headers"))
    headers.update(make_headers(subprotocols))
    asking: dict[str, Any] = {
        name: value for name, value in options.items() if name not in _OF_THE_NETWORK
    }
    asking["headers"] = headers
    async with client.stream("GET", url, **asking) as response:
        connection: Connection | None = response.extensions.get(CONNECTION)
        if connection is None or response.status_code != SWITCHING_PROTOCOLS:
            await response.aread()
            raise make_upgrade_error(response, connection.exchange if connection else None)
        try:
            yield WebSocketSession(connection, response)
        except BaseException as error:
            await connection.end(error)
            raise
        await connection.end()


def make_event(data: Data) -> Any:
    """Return the event that a session of httpx2 would give."""
    events = sys.modules.get("wsproto.events")
    if events is None:
        return Message(data)
    return (events.TextMessage if isinstance(data, str) else events.BytesMessage)(data)
