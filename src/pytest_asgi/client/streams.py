"""The body of a response that is read while the app sends it, and how its reading ends."""

from __future__ import annotations

import sys
from traceback import format_exception
from typing import TYPE_CHECKING, Any, Self

from pytest_asgi.asgi.streaming import AppSilentError
from pytest_asgi.client.gateway import cut_short

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from pytest_asgi.asgi.streaming import StreamedExchange
    from pytest_asgi.client.gateway import Gateway


class AppStream:
    """The body of a response, read while the app sends it.

    The stream classes of our transports add the base class of their library.

    Args:
        timeout: How many seconds the app may take for each part of the body.
        is_left_later: Whether there is a `leave` to come after the body was read to its end:
            background tasks are awaited then, and not by the reader of the body.
    """

    package: Any  # httpx2 or httpx, for its exceptions

    def __init__(
        self,
        gateway: Gateway,
        exchange: StreamedExchange,
        *,
        timeout: float | None,
        is_left_later: bool,
    ) -> None:
        self._gateway = gateway
        self._exchange = exchange
        self._timeout = timeout
        self.is_left_later = is_left_later
        self._is_read = False
        self._is_closed = False
        self._handled = sys.exception()

    def __aiter__(self) -> Self:
        """Return the body, its own iterator: trio complains of generators that are left behind."""
        return self

    async def __anext__(self) -> bytes:
        """Return the next part of the body as the app sent it."""
        __tracebackhide__ = True
        exchange = self._exchange
        while (part := await self._read()) is not None:
            if exchange.scope["method"] != "HEAD":
                return part
        self._is_read = True
        if not exchange.is_complete and not self._is_closed:
            self._is_closed = True
            is_cut_short = not exchange.has_whole_body  # asked before the client leaves
            await self._gateway.close(exchange)
            if is_cut_short:
                raise cut_short(self.package)
        raise StopAsyncIteration

    async def _read(self) -> bytes | None:
        __tracebackhide__ = True
        try:
            return await self._exchange.read(self._timeout)
        except AppSilentError as error:
            raise self.package.ReadTimeout(str(error)) from None

    async def aclose(self) -> None:
        """Let the client go; what the app lets escape is raised once."""
        __tracebackhide__ = True
        if self._is_closed:
            return
        self._is_closed = True
        if not (self._is_read and self.is_left_later):
            await self._finish(self._gateway.close(self._exchange))

    async def leave(self) -> None:
        """Wait for the background tasks behind a body that was read to its end."""
        __tracebackhide__ = True
        await self._finish(self._gateway.close(self._exchange))

    async def _finish(self, closing: Awaitable[None]) -> None:
        """Let a failure of the app be a note to an exception that is on its way already."""
        __tracebackhide__ = True
        cause, self._handled = find_cause(self._handled), None
        try:
            await closing
        except Exception as failure:
            if cause is None or cause is failure:
                raise
            add_failure(cause, failure)


def find_cause(handled: BaseException | None) -> BaseException | None:
    """Return the exception on whose way a response is closed.

    Args:
        handled: What was being handled when the response came; it does not leave its block.
    """
    cause = sys.exception()
    # One that closes a generator, as a reader that stops early does, is seen by nobody.
    return None if cause is handled or isinstance(cause, GeneratorExit) else cause


def add_failure(error: BaseException, failure: BaseException) -> None:
    """Tell of a failure of the app beside the exception that the test's author looks for."""
    text = "".join(format_exception(failure))
    error.add_note(f"The app failed as well:\n{text}")
