"""The frames of a connection, for the sessions of httpx2 and httpx-ws, which expect a network.

These import wsproto, so it is looked up and never imported here.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from pytest_asgi.asgi.websocket import ABNORMAL_CLOSURE

if TYPE_CHECKING:
    from pytest_asgi.client.websockets.connection import Connection


class FrameStream:
    """What these libraries find as `network_stream`: the bytes that a server would exchange."""

    def __init__(self, connection: Connection) -> None:
        self._wsproto: Any = sys.modules["wsproto"]
        self._protocol = self._wsproto.connection.Connection(self._wsproto.ConnectionType.SERVER)
        self._connection = connection
        self._exchange = connection.exchange
        self._outgoing = bytearray()
        self._parts: list[Any] = []

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        """Return the next bytes that a server would send.

        Raises:
            ReadError: There are no more; the class of httpcore that the session knows.
            Exception: What the app let escape.
        """
        __tracebackhide__ = True
        exchange = self._exchange
        while not self._outgoing:
            data = exchange.take()
            if data is not None:
                self._frame(self._wsproto.events.Message(data))
            elif exchange.closing is not None:
                if not self._close():
                    self._connection.raise_failure()
                    raise _make_end()
            else:
                await exchange.wait_until(
                    lambda: bool(self._outgoing) or exchange.has_news, timeout
                )
        part = bytes(self._outgoing[:max_bytes])
        del self._outgoing[:max_bytes]
        return part

    async def write(
        self,
        buffer: bytes,
        timeout: float | None = None,  # noqa: ARG002, ASYNC109 - the interface; it never waits
    ) -> None:
        """Take bytes from the client."""
        events = self._wsproto.events
        self._protocol.receive_data(buffer)
        for event in self._protocol.events():
            if isinstance(event, events.Ping):
                self._frame(event.response())
            elif isinstance(event, events.CloseConnection):
                if self._exchange.closing is None:
                    self._exchange.leave(int(event.code), event.reason or "")
                    self._frame(event.response())
            elif isinstance(event, events.Message):
                self._collect(event)
        self._exchange.ring()

    async def aclose(self) -> None:
        """Take the end of the connection; its response waits for the app."""
        self._exchange.leave(ABNORMAL_CLOSURE)

    def _frame(self, event: Any) -> None:
        self._outgoing += self._protocol.send(event)

    def _close(self) -> bool:
        """Send the app's close frame; tell whether there is one to send."""
        closing = self._exchange.closing
        state = self._wsproto.connection.ConnectionState.OPEN
        if closing is None or closing.code == ABNORMAL_CLOSURE or self._protocol.state != state:
            return False
        self._frame(self._wsproto.events.CloseConnection(closing.code, closing.reason))
        return True

    def _collect(self, event: Any) -> None:
        self._parts.append(event.data)
        if event.message_finished:
            self._exchange.push(type(event.data)().join(self._parts))
            self._parts.clear()


def _make_end() -> Exception:
    """Return what says that the other side is gone, for the libraries that are loaded."""
    libraries = [sys.modules[name] for name in ("httpcore", "httpcore2") if name in sys.modules]
    kind = type("ReadError", tuple(library.ReadError for library in libraries), {})
    error: Exception = kind("The app has ended the connection.")
    return error
