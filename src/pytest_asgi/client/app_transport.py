"""What our transports for httpx2 and for HTTPX 0.28 share: all but the base class.

The two libraries are alike in everything that is used of them here.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_asgi.asgi.streaming import AppSilentError
from pytest_asgi.client.gateway import Answer, Gateway
from pytest_asgi.client.lifespan_advice import LifespanAdvice
from pytest_asgi.client.streams import add_failure
from pytest_asgi.client.websockets.handshake import CONNECTION, is_handshake, shake_hands

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from types import TracebackType
    from typing import Unpack

    from pytest_asgi.asgi.departures import Departure, Moment
    from pytest_asgi.asgi.streaming import StreamedExchange
    from pytest_asgi.asgi.types import Address, ASGIApp
    from pytest_asgi.client.options import CallOptions
    from pytest_asgi.client.streams import AppStream
    from pytest_asgi.client.websockets.handshake import ConnectionStream

# Set by our client while it sends a request whose response is read at once: to its own gateway,
# because an app that is called meanwhile may have clients of its own.
reading_at_once: ContextVar[Gateway | None] = ContextVar(
    "pytest_asgi_reading_at_once", default=None
)


_RUN_LIFESPAN = (
    "This client runs it: async with pytest_asgi.AsyncClient(app=app) as client. If something "
    "else has run it, give the transport its state."
)


class Leaving(NamedTuple):
    """A request of a client that goes away before it has its response."""

    gateway: Gateway
    moment: Moment


# Set by our client, for the reason above, while it sends such a request.
leaving: ContextVar[Leaving | None] = ContextVar("pytest_asgi_leaving", default=None)


class Left(Exception):  # noqa: N818 - what happened, not an error
    """The client has gone away, so there is no response to return."""

    def __init__(self, departure: Departure) -> None:
        super().__init__("The client has gone away.")
        self.departure = departure


class AppTransport:
    """Sends requests to an app in process; see the classes that are made of it."""

    package: Any
    stream_type: type[AppStream]
    connection_stream_type: type[ConnectionStream]

    # Whether closing a response is not the last that is heard of it; see `AppStream`.
    is_left_later = False

    def __init__(
        self,
        app: object,
        raise_app_exceptions: bool = True,  # noqa: FBT001, FBT002 - positional in HTTPX
        root_path: str = "",
        client: Address = ("127.0.0.1", 123),
        *,
        state: dict[str, Any] | None = None,
        obey_timeouts: bool = False,
        **options: Unpack[CallOptions],
    ) -> None:
        __tracebackhide__ = True
        self.gateway = Gateway(
            app,
            library=self.package,
            raise_app_exceptions=raise_app_exceptions,
            root_path=root_path,
            client=client,
            state=state,
            **options,
        )
        self._obey_timeouts = obey_timeouts
        if state is None:
            self.gateway.advice = LifespanAdvice(self.gateway.app, _RUN_LIFESPAN)

    @property
    def app(self) -> ASGIApp:
        """The app that answers."""
        return self.gateway.app

    async def handle_async_request(self, request: Any) -> Any:
        """Return the app's response as soon as it starts.

        Raises:
            ReadTimeout: The app took longer than the request allows.
        """
        __tracebackhide__ = True
        if self.gateway.before_request is not None:
            self.gateway.before_request(request)
        gateway, body = self.gateway, self._read_body(request)
        is_read_at_once = reading_at_once.get() is gateway
        left = leaving.get()
        if left is not None and left.gateway is gateway:
            raise Left(await gateway.depart(request, body, left.moment))
        timeout = _read_timeout(request) if self._obey_timeouts else None
        if is_read_at_once and timeout is None and gateway.await_background:
            return self._respond(await gateway.answer(request, body))
        try:
            if is_handshake(request):
                return self._respond_to_handshake(await shake_hands(gateway, request, timeout))
            opened = await gateway.open(request, body, timeout)
        except AppSilentError as error:
            raise self.package.ReadTimeout(str(error), request=request) from None
        if isinstance(opened, Answer):
            return self._respond(opened)
        stream = self.stream_type(
            gateway,
            opened,
            timeout=timeout,
            is_left_later=self.is_left_later and not is_read_at_once,
        )
        return self._respond_streaming(opened, stream)

    async def aclose(self) -> None:
        """End the responses that are still open, and wait for the app's background tasks.

        Raises:
            Exception: What the app let escape; an `ExceptionGroup` if it did so more than once.
        """
        __tracebackhide__ = True
        await self.gateway.aclose()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        """Close; what the block raised comes before what the app let escape."""
        __tracebackhide__ = True
        try:
            await self.aclose()
        except Exception as failure:
            if exc_value is None:
                raise
            add_failure(exc_value, failure)

    def _respond(self, answer: Answer) -> Any:
        return self.package.Response(
            answer.status,
            headers=answer.headers,
            stream=self.package.ByteStream(answer.body),
            extensions=answer.extensions,
        )

    def _respond_to_handshake(self, answer: Answer) -> Any:
        response = self._respond(answer)
        if answer.status == self.package.codes.SWITCHING_PROTOCOLS:
            response.stream = self.connection_stream_type(answer.extensions[CONNECTION])
        return response

    def _respond_streaming(self, exchange: StreamedExchange, stream: AppStream) -> Any:
        return self._make_streaming(self.package.Response, exchange, stream)

    @staticmethod
    def _make_streaming(
        make: Callable[..., Any], exchange: StreamedExchange, stream: AppStream
    ) -> Any:
        response = make(
            exchange.status,
            headers=exchange.headers,
            stream=stream,
            extensions=exchange.extensions,
        )
        # The response has made a copy, and trailers are still to come.
        exchange.extensions = response.extensions
        return response

    def _read_body(self, request: Any) -> bytes | AsyncIterator[bytes]:
        """Return the body whole if it is at hand, else the chunks still to be read."""
        if isinstance(request.stream, self.package.ByteStream):
            # And not `read()`, which would change the request: a followed redirect shows it.
            return b"".join(request.stream)
        chunks: AsyncIterator[bytes] = aiter(request.stream)
        return chunks


def _read_timeout(request: Any) -> float | None:
    timeout: float | None = request.extensions.get("timeout", {}).get("read")
    return timeout
