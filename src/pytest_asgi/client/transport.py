"""The httpx2 transport over an exchange with the app."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx2

from pytest_asgi.client.app_transport import AppTransport
from pytest_asgi.client.streams import AppStream
from pytest_asgi.client.websockets.handshake import ConnectionStream

if TYPE_CHECKING:
    from pytest_asgi.asgi.streaming import StreamedExchange


class _Stream(AppStream, httpx2.AsyncByteStream):
    """An `AppStream` for httpx2."""

    package = httpx2


class _ConnectionStream(ConnectionStream, httpx2.AsyncByteStream):
    """A `ConnectionStream` for httpx2."""


class StreamedResponse(httpx2.Response):
    """A response whose second closing, at the end of its block, waits for background tasks."""

    # Not among the attributes that a pickle keeps.
    __slots__ = ("app_stream",)

    app_stream: AppStream

    async def aclose(self) -> None:
        """Close the response: once when its body was read, and once more to leave."""
        __tracebackhide__ = True
        if self.is_closed:
            await self._leave()
        await super().aclose()

    async def _leave(self) -> None:
        __tracebackhide__ = True
        stream: AppStream | None = getattr(self, "app_stream", None)  # Not in a copy.
        if stream is not None:
            del self.app_stream
            await stream.leave()


class ASGITransport(AppTransport, httpx2.AsyncBaseTransport):
    """Send requests to `app` in process.

    Takes the arguments of httpx2's own class of this name, and more. Responses stream: the app
    runs in a task of its own, beside the reader, and context variables that it sets are seen by
    the caller. (Only our `AsyncClient` knows which responses are not streamed, and awaits the
    app in the task of the caller for these.)

    Args:
        app: The ASGI app.
        raise_app_exceptions: Raise what the app lets escape, instead of answering 500.
        root_path: Where the app is mounted.
        client: The address that the app sees as the client's.
        state: What a running lifespan left for requests; each gets a shallow copy.
        obey_timeouts: Whether the read timeout of a request is a deadline for the app.
        options: How the app is called, as for `AsyncClient`.

    Example:
        ```python
        transport = ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
            response = await client.get("/")
        ```
    """

    package = httpx2
    stream_type = _Stream
    connection_stream_type = _ConnectionStream

    def _respond_streaming(self, exchange: StreamedExchange, stream: AppStream) -> httpx2.Response:
        if not stream.is_left_later:
            plain: httpx2.Response = super()._respond_streaming(exchange, stream)
            return plain
        response: StreamedResponse = self._make_streaming(StreamedResponse, exchange, stream)
        response.app_stream = stream
        return response
