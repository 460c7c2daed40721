"""Answer HTTP requests with the app: what all our transports share.

It knows requests only by the few attributes that every generation of HTTPX gives them, so
one implementation serves httpx2 and HTTPX 0.28, asynchronous and synchronous.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, get_args

from pytest_asgi.asgi.apps import require_app
from pytest_asgi.asgi.departures import visit
from pytest_asgi.asgi.exchange import BufferedExchange
from pytest_asgi.asgi.modes import Mode
from pytest_asgi.asgi.runs import runs
from pytest_asgi.asgi.scope import ScopeTemplate, locate
from pytest_asgi.asgi.streaming import DEFAULT_GRACE, StreamedExchange
from pytest_asgi.asgi.websocket import WebSocketExchange
from pytest_asgi.client.options import require_valid

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from pytest_asgi.asgi.departures import Departure, Moment
    from pytest_asgi.asgi.types import Address, RawHeaders, Scope
    from pytest_asgi.client.lifespan_advice import LifespanAdvice

# A connection may be asked for by a URL of either kind; the app sees the second.
_WEBSOCKET_SCHEMES = {"http": "ws", "https": "wss"}


# https://asgi.readthedocs.io/en/latest/specs/www.html#http-connection-scope
_HTTP_VERSIONS = ("1.0", "1.1", "2", "3")


class RequestURL(Protocol):
    """The parts of a request's URL that a scope is made of."""

    @property
    def scheme(self) -> str: ...  # noqa: D102 - named as in HTTPX
    @property
    def host(self) -> str: ...  # noqa: D102
    @property
    def port(self) -> int | None: ...  # noqa: D102
    @property
    def path(self) -> str: ...  # noqa: D102
    @property
    def raw_path(self) -> bytes: ...  # noqa: D102


class RequestHeaders(Protocol):
    """The headers of a request as they would be sent."""

    @property
    def raw(self) -> RawHeaders: ...  # noqa: D102
    def get_list(self, key: str, split_commas: bool = False) -> list[str]: ...  # noqa: D102, FBT001, FBT002


class Request(Protocol):
    """A request of httpx2 or HTTPX, as far as the app can see it."""

    @property
    def method(self) -> str: ...  # noqa: D102
    @property
    def url(self) -> RequestURL: ...  # noqa: D102
    @property
    def headers(self) -> RequestHeaders: ...  # noqa: D102
    @property
    def extensions(self) -> Mapping[str, Any]: ...  # noqa: D102


class Answer(NamedTuple):
    """The whole response, ready to be given to a response class of HTTPX."""

    status: int
    headers: RawHeaders
    body: bytes
    extensions: dict[str, Any]


class Gateway:
    """The app and how it is called.

    Args:
        app: The ASGI app.
        library: httpx2 or httpx, for the exception that an incomplete response is; `None` to
            answer with what there is.
        raise_app_exceptions: Raise what the app lets escape, instead of answering 500.
        root_path: Where the app is mounted.
        client: The address that the app sees as the client's.
        state: What the lifespan left for requests; `None` if there is no such thing.
        http_version: The version of HTTP that the app is told.
        extensions: Extensions of ASGI that the app is offered, as in `scope["extensions"]`.
        rules: What to do about broken rules of ASGI: `"error"`, `"strict"`, `"warn"` or `"off"`;
            `None` for what the test's settings say.
        disconnect_grace: For how many seconds an app may go on after it learnt that its client
            left.
        await_background: Whether a response waits for the app's background tasks.

    Attributes:
        advice: For an app that fails because its lifespan was not run; `None` if it is running,
            or is not to run.
        version: What a response says of its version of HTTP; `None` for 1.1, which HTTPX takes it
            for if it does not say.
        before_request: What a client does before each of its requests, redirected ones too.
    """

    def __init__(
        self,
        app: object,
        *,
        library: Any | None = None,
        raise_app_exceptions: bool = True,
        root_path: str = "",
        client: Address = ("127.0.0.1", 123),
        state: dict[str, Any] | None = None,
        http_version: str = "1.1",
        extensions: Mapping[str, Any] | None = None,
        rules: Mode | None = None,
        disconnect_grace: float = DEFAULT_GRACE,
        await_background: bool = True,
    ) -> None:
        __tracebackhide__ = True
        self.app = require_app(app)
        require_valid("rules", rules, (None, *get_args(Mode)))
        require_valid("http_version", http_version, _HTTP_VERSIONS)
        self.raise_app_exceptions = raise_app_exceptions
        self.await_background = await_background
        self.advice: LifespanAdvice | None = None
        self.before_request: Callable[[Any], None] | None = None
        self.rules = rules
        self._library = library
        self.version = (
            None if http_version == "1.1" else {"http_version": f"HTTP/{http_version}".encode()}
        )
        self._grace = disconnect_grace
        self._open: dict[StreamedExchange, None] = {}
        self.template = ScopeTemplate(
            client=client,
            root_path=root_path,
            http_version=http_version,
            extensions=extensions or {},
            state=state,
        )

    async def answer(self, request: Request, body: bytes | AsyncIterator[bytes]) -> Answer:
        """Call the app in the caller's own task and context, and return its response."""
        __tracebackhide__ = True
        return await self.call(self._build_scope(request), body)

    async def call(self, scope: Scope, body: bytes | AsyncIterator[bytes]) -> Answer:
        """Call the app as `answer` does, with a scope that is ready."""
        __tracebackhide__ = True
        exchange = BufferedExchange(scope, body, self.rules)
        try:
            await exchange.run(self.app)
        except Exception as failure:
            if self.is_raised(failure, exchange):
                raise
        return self.conclude(exchange)

    def is_raised(self, failure: Exception, exchange: BufferedExchange) -> bool:
        """Tell whether what an exchange let escape is raised, and not answered."""
        self._explain(failure)
        return self.raise_app_exceptions or failure is exchange.body_error

    def _explain(self, failure: BaseException) -> None:
        """Say of what the app let escape what its lifespan may have to do with it."""
        if self.advice is not None:
            self.advice.consider(failure, is_raised=self.raise_app_exceptions)
        runs.explain(self.app, failure)

    def conclude(self, exchange: BufferedExchange) -> Answer:
        """Return the response of an exchange whose app has returned.

        Raises:
            Exception: The library's own for a response that is not complete.
        """
        __tracebackhide__ = True
        if exchange.status is None:
            return self._answer_failure()
        if self._library is not None and not exchange.has_whole_body:
            raise cut_short(self._library)
        # No server sends a body here, whatever the app says.
        # https://www.rfc-editor.org/rfc/rfc9110#section-9.3.2
        content = b"" if exchange.scope["method"] == "HEAD" else exchange.body
        extensions = exchange.extensions
        if self.version is not None:
            extensions = {**self.version, **extensions}
        return Answer(exchange.status, exchange.headers, content, extensions)

    async def open(
        self,
        request: Request,
        body: bytes | AsyncIterator[bytes],
        timeout: float | None,  # noqa: ASYNC109 - the request's own
    ) -> StreamedExchange | Answer:
        """Call the app in a task of its own; return when its response starts.

        Returns:
            The exchange to be read and closed, or the answer to a failure.

        Raises:
            AppSilentError: The response did not start within `timeout` seconds.
        """
        __tracebackhide__ = True
        exchange = self._make_exchange(request, body)
        await exchange.start(self.app, timeout)
        if exchange.status is not None:
            self._forget_the_settled()
            self._open[exchange] = None
            return exchange
        self.raise_failure(exchange)
        return self._answer_failure()

    async def connect(
        self,
        request: Request,
        timeout: float | None = None,  # noqa: ASYNC109 - the request's own
    ) -> WebSocketExchange:
        """Call the app with a WebSocket connection; return when it has answered the handshake.

        Returns:
            The exchange, whose status is `None` if the app failed and that is to be answered.

        Raises:
            AppSilentError: The app did not answer within `timeout` seconds.
            Exception: What the app let escape.
        """
        __tracebackhide__ = True
        scope = self._build_websocket_scope(request)
        exchange = WebSocketExchange(scope, self.rules, grace=self._grace)
        await exchange.start(self.app, timeout)
        if exchange.status is None:
            self.raise_failure(exchange)
        return exchange

    async def depart(
        self, request: Request, body: bytes | AsyncIterator[bytes], moment: Moment
    ) -> Departure:
        """Call the app and go away at a moment, whatever it does then.

        Raises:
            AppError: The app was done before.
            Exception: What the app let escape, unless it only says that its client left.
        """
        __tracebackhide__ = True
        exchange = self._make_exchange(request, _part(body) if moment.during == "upload" else body)
        departure = await visit(exchange, self.app, moment)
        self.raise_failure(exchange)
        return departure

    async def close(self, exchange: StreamedExchange) -> None:
        """End an exchange, or let its app go on in the background.

        Raises:
            Exception: What the app let escape, if that is to be raised.
        """
        __tracebackhide__ = True
        if exchange not in self._open or (exchange.is_complete and not self.await_background):
            return
        del self._open[exchange]
        await exchange.close()
        self.raise_failure(exchange)

    async def settle(self) -> None:
        """Wait for the apps behind the responses that did not wait for them.

        Raises:
            Exception: What an app let escape; an `ExceptionGroup` if more than one did.
        """
        __tracebackhide__ = True
        await self._end_all(lambda exchange: exchange.is_complete)

    async def aclose(self) -> None:
        """Settle, and end the exchanges whose responses were never closed.

        Raises:
            Exception: As for `settle`.
        """
        __tracebackhide__ = True
        await self._end_all(lambda _: True)

    async def _end_all(self, is_meant: Callable[[StreamedExchange], bool]) -> None:
        __tracebackhide__ = True
        failures: list[Exception] = []
        while meant := [exchange for exchange in self._open if is_meant(exchange)]:
            del self._open[meant[0]]
            await meant[0].close()
            try:
                self.raise_failure(meant[0])
            except Exception as failure:  # noqa: BLE001 - raised below
                failures.append(failure)
        raise_failures(failures)

    def _forget_the_settled(self) -> None:
        for exchange in list(self._open):
            if exchange.is_complete and exchange.task.is_finished and not self.to_raise(exchange):
                del self._open[exchange]

    def to_raise(self, exchange: StreamedExchange | WebSocketExchange) -> BaseException | None:
        """Return what the app let escape, unless that is to be answered."""
        failure = exchange.failure
        is_the_apps = isinstance(failure, Exception) and failure is not exchange.body_error
        return failure if self.raise_app_exceptions or not is_the_apps else None

    def raise_failure(self, exchange: StreamedExchange | WebSocketExchange) -> None:
        """Raise what the app let escape, unless that is to be answered."""
        __tracebackhide__ = True
        failure = exchange.failure
        if failure is not None:
            self._explain(failure)
        if self.to_raise(exchange) is not None:
            assert failure is not None
            raise failure

    def _make_exchange(
        self, request: Request, body: bytes | AsyncIterator[bytes]
    ) -> StreamedExchange:
        exchange = StreamedExchange(
            self._build_scope(request), body, self.rules, grace=self._grace
        )
        exchange.extensions.update(self.version or {})
        return exchange

    @staticmethod
    def _answer_failure() -> Answer:
        """Return what servers answer if a response never starts."""
        return Answer(500, [], b"", {})

    def _build_scope(self, request: Request) -> Scope:
        url = request.url
        target = locate(url.scheme, url.host, url.port, url.path, url.raw_path)
        scope = self.template.build_http(request.method, target, _lower(request.headers))
        scope.update(request.extensions.get("asgi.scope", {}))
        return scope

    def _build_websocket_scope(self, request: Request) -> Scope:
        url = request.url
        scheme = _WEBSOCKET_SCHEMES.get(url.scheme, url.scheme)
        target = locate(scheme, url.host, url.port, url.path, url.raw_path)
        headers = request.headers
        subprotocols = headers.get_list("sec-websocket-protocol", split_commas=True)
        scope = self.template.build_websocket(target, _lower(headers), subprotocols)
        scope.update(request.extensions.get("asgi.scope", {}))
        return scope


def _lower(headers: RequestHeaders) -> RawHeaders:
    return [(name.lower(), value) for name, value in headers.raw]


async def _part(body: bytes | AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the chunks of a body that is read while the app asks for it."""
    if isinstance(body, bytes):
        yield body
    else:
        async for chunk in body:
            yield chunk


def raise_failures(failures: list[Exception]) -> None:
    """Raise what apps let escape behind their responses: one as it is, several as a group."""
    __tracebackhide__ = True
    if len(failures) > 1:
        raise ExceptionGroup("The app failed behind its responses.", failures)
    if failures:
        raise failures[0]


def cut_short(library: Any) -> Exception:
    """Return what a client raises when its server goes away in the middle of a response."""
    error: Exception = library.RemoteProtocolError(
        "The app ended before its response was complete."
    )
    return error
