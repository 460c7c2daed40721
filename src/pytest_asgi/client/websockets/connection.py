"""One open connection as all our sessions use it: data in and out, and who raises what."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NoReturn

from pytest_asgi.client.streams import add_failure
from pytest_asgi.client.websockets.peers import make_disconnect
from pytest_asgi.errors import WebSocketError

if TYPE_CHECKING:
    from pytest_asgi.asgi.websocket import Data, WebSocketExchange
    from pytest_asgi.client.gateway import Gateway

# What stops a test, which then does not wait for the app.
_STOPS = (asyncio.CancelledError, GeneratorExit, KeyboardInterrupt, SystemExit)


class Connection:
    """A connection to the app behind a gateway.

    Args:
        exchange: The app's side of it, which has been started.
    """

    def __init__(self, gateway: Gateway, exchange: WebSocketExchange) -> None:
        self.exchange = exchange
        self._gateway = gateway
        self._is_failure_told = False

    def send(self, data: Data) -> None:
        """Send a message to the app.

        Raises:
            WebSocketDisconnect: The connection is closed.
            Exception: What the app let escape.
        """
        __tracebackhide__ = True
        if self.exchange.closing is not None:
            self._raise_end()
        self.exchange.push(data)

    async def receive(self, timeout: float | None = None) -> Data:  # noqa: ASYNC109
        """Return the next message of the app.

        Raises:
            TimeoutError: There was none for `timeout` seconds.
            WebSocketDisconnect: The connection is closed, and all messages have been read.
            Exception: What the app let escape.
        """
        __tracebackhide__ = True
        exchange = self.exchange
        while (data := exchange.take()) is None:
            if exchange.closing is not None:
                self._raise_end()
            await exchange.wait_for_message(timeout)
        return data

    async def close(self, code: int, reason: str) -> None:
        """Close the connection and wait for the app, which notices.

        Raises:
            Exception: What the app let escape.
        """
        __tracebackhide__ = True
        self.exchange.leave(code, reason)
        await self.exchange.close()
        self.raise_failure()

    async def end(self, error: BaseException | None = None) -> None:
        """Close the connection when whoever uses it is done.

        Args:
            error: What ended the user's block. An exception that the app let escape is noted on
                it, and raised only if it was the end of the connection that ended the block.

        Raises:
            Exception: What the app let escape, unless it has been raised already.
        """
        __tracebackhide__ = True
        if isinstance(error, _STOPS):
            self._is_failure_told = True
            await self.exchange.abort()
            return
        self.exchange.leave()
        await self.exchange.close()
        if self._is_failure_told:
            return
        failure = self._gateway.to_raise(self.exchange)
        if failure is None:
            return
        self._is_failure_told = True
        if (
            error is None
            or isinstance(error, WebSocketError)
            or not isinstance(failure, Exception)
        ):
            raise failure
        add_failure(error, failure)

    def raise_failure(self) -> None:
        """Raise what the app let escape, if that is to be raised."""
        __tracebackhide__ = True
        failure = self._gateway.to_raise(self.exchange)
        if failure is not None:
            self._is_failure_told = True
            raise failure

    def _raise_end(self) -> NoReturn:
        """Raise what ended the connection."""
        __tracebackhide__ = True
        closing = self.exchange.closing
        assert closing is not None
        self.raise_failure()
        raise make_disconnect(closing)
