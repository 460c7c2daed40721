"""The transport of the synchronous client: it waits for what the asynchronous one does."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import httpx2

from pytest_asgi.client.gateway import raise_failures
from pytest_asgi.client.streams import add_failure, find_cause
from pytest_asgi.client.transport import ASGITransport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from types import TracebackType
    from typing import Unpack

    from pytest_asgi.asgi.types import Address, ASGIApp
    from pytest_asgi.client.gateway import Gateway
    from pytest_asgi.client.options import CallOptions
    from pytest_asgi.client.waiting import Waiter


class SyncTransport(httpx2.BaseTransport):
    """Sends the requests of a synchronous client to `app`.

    Args:
        waiter: How the client waits.
        app: The ASGI app.
        raise_app_exceptions: Raise what the app lets escape, instead of answering 500.
        root_path: Where the app is mounted.
        client: The address that the app sees as the client's.
        state: The lifespan's state.
        options: How the app is called.
    """

    def __init__(
        self,
        waiter: Waiter,
        app: object,
        raise_app_exceptions: bool,  # noqa: FBT001
        root_path: str,
        client: Address,
        *,
        state: dict[str, Any],
        **options: Unpack[CallOptions],
    ) -> None:
        __tracebackhide__ = True
        self._waiter = waiter
        self._has_streamed = False
        self._hidden: list[Exception] = []
        self._transport = ASGITransport(
            app,
            raise_app_exceptions,
            root_path,
            client,
            state=state,
            obey_timeouts=True,
            **options,
        )

    @property
    def gateway(self) -> Gateway:
        """How the app is called."""
        return self._transport.gateway

    @property
    def app(self) -> ASGIApp:
        """The app that answers."""
        return self._transport.app

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Return the app's response as soon as it starts; the body of the request is read before.

        Raises:
            httpx2.ReadTimeout: The app took longer than the request allows.
        """
        __tracebackhide__ = True
        if not isinstance(request.stream, httpx2.ByteStream):
            request.read()
        answering = self._transport.handle_async_request(request)
        response: httpx2.Response = self._waiter.run(answering)
        if not isinstance(response.stream, httpx2.ByteStream):
            self._has_streamed = True
            response.stream = _Stream(response.stream, self._waiter, self._hidden.append)
        add_template(response)
        return response

    def raise_hidden(self, error: BaseException | None = None) -> None:
        """Raise what an app let escape while a reader that stopped early was closed.

        Nobody may see what the closing of a generator raises, for it is often the garbage
        collector that closes it.

        Args:
            error: What is on its way already, and is told of it instead.

        Raises:
            Exception: What the app let escape; an `ExceptionGroup` if it did so more than once.
        """
        __tracebackhide__ = True
        failures = self._hidden[:]
        self._hidden.clear()
        if error is not None:
            for failure in failures:
                add_failure(error, failure)
        else:
            raise_failures(failures)

    def close(self) -> None:
        """End the responses that are still open, and wait for the app's background tasks.

        Raises:
            Exception: What the app let escape; an `ExceptionGroup` if it did so more than once.
        """
        __tracebackhide__ = True
        if self._has_streamed:
            self._has_streamed = False
            self._waiter.run(self._transport.aclose())
        self.raise_hidden()

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        """Close; what the block raised comes before what the app let escape."""
        __tracebackhide__ = True
        try:
            self.close()
        except Exception as failure:
            if exc_value is None:
                raise
            add_failure(exc_value, failure)


class _Stream(httpx2.SyncByteStream):
    """The body of a response, read while the app sends it."""

    def __init__(self, stream: Any, waiter: Waiter, hide: Callable[[Exception], None]) -> None:
        self._stream = stream
        self._waiter = waiter
        self._hide = hide
        self._parts: AsyncIterator[bytes] | None = None
        # What was being handled when the response came does not leave its block.
        self._handled = sys.exception()

    def __iter__(self) -> Iterator[bytes]:
        __tracebackhide__ = True
        self._parts = aiter(self._stream)
        while (part := self._waiter.run(_next(self._parts))) is not None:
            yield part

    def close(self) -> None:
        __tracebackhide__ = True
        is_unseen = isinstance(sys.exception(), GeneratorExit)
        cause, self._handled = find_cause(self._handled), None
        try:
            self._waiter.run(self._end())
        except Exception as failure:
            if is_unseen:
                self._hide(failure)
            elif cause is None or cause is failure:
                raise
            else:
                add_failure(cause, failure)

    async def _end(self) -> None:
        __tracebackhide__ = True
        parts, self._parts = self._parts, None
        if parts is not None:
            await parts.aclose()  # type: ignore[attr-defined]  # always a generator
        await self._stream.aclose()


async def _next(parts: AsyncIterator[bytes]) -> bytes | None:
    __tracebackhide__ = True
    return await anext(parts, None)


def add_template(response: httpx2.Response) -> None:
    """Give the response the template it was rendered from, where Starlette's client has it."""
    debug = response.extensions.get("http.response.debug", {})
    for name in debug.keys() & {"template", "context"}:
        setattr(response, name, debug[name])
