"""The handshake: which requests ask for a connection, and what a server would answer."""

from __future__ import annotations

import base64
import hashlib
import secrets
import sys
from typing import TYPE_CHECKING, Any

from pytest_asgi.asgi.websocket import SWITCHING_PROTOCOLS
from pytest_asgi.client.gateway import Answer
from pytest_asgi.client.websockets.connection import Connection
from pytest_asgi.client.websockets.frames import FrameStream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_asgi.asgi.types import RawHeaders
    from pytest_asgi.client.gateway import Gateway, Request

# Where a response keeps its connection, for sessions of ours.
CONNECTION = "pytest_asgi.websocket"

_SCHEMES = frozenset({"ws", "wss"})

# https://www.rfc-editor.org/rfc/rfc6455#section-1.3
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def is_handshake(request: Request) -> bool:
    """Tell whether a request asks for a WebSocket connection."""
    if request.url.scheme in _SCHEMES:
        return True
    return any(value.lower() == "websocket" for value in request.headers.get_list("upgrade"))


def make_headers(subprotocols: Sequence[str] | None) -> dict[str, str]:
    """Return the headers that ask for a connection."""
    # https://www.rfc-editor.org/rfc/rfc6455#section-4.1
    headers = {
        "connection": "upgrade",
        "upgrade": "websocket",
        "sec-websocket-key": base64.b64encode(secrets.token_bytes(16)).decode(),
        "sec-websocket-version": "13",
    }
    if subprotocols is not None:
        headers["sec-websocket-protocol"] = ", ".join(subprotocols)
    return headers


async def shake_hands(
    gateway: Gateway,
    request: Request,
    timeout: float | None = None,  # noqa: ASYNC109 - the request's own
) -> Answer:
    """Call the app with the connection that a request asks for, and return the answer.

    Returns:
        The answer, whose `extensions` have the connection. It is open if the status is 101, and
        whoever gets it has to end it; else it has ended.

    Raises:
        TimeoutError: The app did not answer within `timeout` seconds.
        Exception: What the app let escape.
    """
    __tracebackhide__ = True
    exchange = await gateway.connect(request, timeout)
    connection = Connection(gateway, exchange)
    extensions: dict[str, Any] = {CONNECTION: connection}
    if exchange.status != SWITCHING_PROTOCOLS:
        await connection.end()
        return Answer(exchange.status or 500, exchange.headers, exchange.body, extensions)
    if "wsproto" in sys.modules:
        extensions["network_stream"] = FrameStream(connection)
    headers = [*_acceptance(request), *exchange.headers]
    if exchange.subprotocol is not None:
        headers.append((b"sec-websocket-protocol", exchange.subprotocol.encode()))
    return Answer(SWITCHING_PROTOCOLS, headers, b"", extensions)


def _acceptance(request: Request) -> RawHeaders:
    """Return the headers with which a server accepts."""
    # https://www.rfc-editor.org/rfc/rfc6455#section-4.2.2
    key = "".join(request.headers.get_list("sec-websocket-key")).encode()
    digest = hashlib.sha1(key + _GUID, usedforsecurity=False).digest()
    return [
        (b"upgrade", b"websocket"),
        (b"connection", b"Upgrade"),
        (b"sec-websocket-accept", base64.b64encode(digest)),
    ]


class ConnectionStream:
    """The body of a 101: there is none, and closing it ends the connection.

    The stream classes of our transports add the base class of their library.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __aiter__(self) -> ConnectionStream:
        """Return the body, which is its own iterator."""
        return self

    async def __anext__(self) -> bytes:
        """End the body."""
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """End the connection; what the app lets escape is raised once."""
        __tracebackhide__ = True
        await self._connection.end()
