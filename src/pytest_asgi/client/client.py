"""AsyncClient: `httpx2.AsyncClient` plus the app and its lifespan."""

from __future__ import annotations

import sys
from contextlib import suppress
from time import perf_counter
from typing import TYPE_CHECKING, Any, Self, cast

import httpx2

from pytest_asgi.asgi.lifespan import Lifespan
from pytest_asgi.client.app_transport import Leaving, Left, leaving, reading_at_once
from pytest_asgi.client.fast_path import REDIRECTS, FastPath, make_fast_path
from pytest_asgi.client.lifespan_advice import LifespanAdvice
from pytest_asgi.client.moments import choose_moment, nobody_to_leave
from pytest_asgi.client.options import CallOptions, refuse_unknown, require_valid
from pytest_asgi.client.secure_cookies import SecureCookies
from pytest_asgi.client.transport import ASGITransport
from pytest_asgi.client.verbs import make_verb
from pytest_asgi.client.websockets.session import open_session
from pytest_asgi.errors import AppError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable, Mapping
    from contextlib import AbstractAsyncContextManager
    from types import TracebackType
    from typing import TypedDict, Unpack

    # Type checkers only: httpx2 gives these types no public names.
    from httpx2._client import UseClientDefault
    from httpx2._types import (
        AuthTypes,
        CertTypes,
        CookieTypes,
        HeaderTypes,
        ProxyTypes,
        QueryParamTypes,
        RequestContent,
        RequestData,
        RequestExtensions,
        RequestFiles,
        TimeoutTypes,
    )

    from pytest_asgi.asgi.departures import Departure, During
    from pytest_asgi.asgi.types import Address
    from pytest_asgi.client.gateway import Gateway
    from pytest_asgi.client.options import BuildOptions
    from pytest_asgi.client.websockets.session import WebSocketOptions, WebSocketSession

    class HTTPXOptions(TypedDict, total=False):
        """Every other option of `httpx2.AsyncClient`, handed on as it is."""

        auth: AuthTypes | None
        params: QueryParamTypes | None
        headers: HeaderTypes | None
        cookies: CookieTypes | None
        verify: ssl.SSLContext | str | bool
        cert: CertTypes | None
        http1: bool
        http2: bool
        proxy: ProxyTypes | None
        mounts: Mapping[str, httpx2.AsyncBaseTransport | None] | None
        timeout: TimeoutTypes
        follow_redirects: bool
        limits: httpx2.Limits
        max_redirects: int
        event_hooks: Mapping[str, list[Callable[..., Any]]] | None
        trust_env: bool
        default_encoding: str | Callable[[bytes], str | None]

    class ClientOptions(CallOptions, HTTPXOptions, total=False):
        """What `AsyncClient` takes beside its own arguments."""


_DEFAULT = httpx2.USE_CLIENT_DEFAULT

_OPEN_CLIENT = "Open the client: async with AsyncClient(app=app) as client."


class AsyncClient(httpx2.AsyncClient):
    """An `httpx2.AsyncClient` that talks to an app in process.

    `async with` runs the app's lifespan; without it requests work too, on an app that was
    never started. `get()`, `post()` and their kin await the app in the caller's own task and
    context. `stream()`, `sse()` and `websocket()` give it a task of its own, so that it and its
    reader take turns. Nothing times out unless a timeout is given, to the client or to a request:
    a read timeout is then a deadline for the app.

    Args:
        app: The ASGI app.
        base_url: What relative URLs are relative to.
        lifespan: Whether `async with` starts and shuts down the app.
        lifespan_variables: Whether requests see the context variables that the lifespan sets.
            `async with` then sets them where it stands.
        state: The lifespan's state; give that of a lifespan which is already running together
            with `lifespan=False`.
        raise_app_exceptions: Raise what the app lets escape, instead of answering 500.
        root_path: Where the app is mounted.
        client: The address that the app sees as the client's.
        transport: A transport of your own, instead of an app.
        options: `http_version` (`"1.1"`, what the app is told), `extensions` (of ASGI, offered to
            the app as in `scope["extensions"]`), `rules` (`"error"`, `"strict"`, `"warn"` or
            `"off"`: what a broken rule of ASGI does), `disconnect_grace` (5.0, for how many
            seconds an app may go on after it learnt that its client left), `await_background`
            (`True`: a response waits for the app's background tasks); and everything that
            `httpx2.AsyncClient` takes.

    Example:
        ```python
        async with AsyncClient(app=app) as client:
            response = await client.get("/")
        ```
    """

    def __init__(
        self,
        app: object = None,
        *,
        base_url: httpx2.URL | str = "http://test",
        lifespan: bool = True,
        lifespan_variables: bool = False,
        state: dict[str, Any] | None = None,
        raise_app_exceptions: bool = True,
        root_path: str = "",
        client: Address = ("127.0.0.1", 123),
        transport: httpx2.AsyncBaseTransport | None = None,
        **options: Unpack[ClientOptions],
    ) -> None:
        __tracebackhide__ = True
        _require_one(app, transport)
        require_valid("lifespan", lifespan, (True, False))
        self._lifespan: Lifespan | None = None
        self._gateway: Gateway | None = None
        self._shares_variables = lifespan_variables
        refuse_unknown("AsyncClient", options.keys() & {"raise_server_exceptions"}, "")
        calling, others = _split(options)
        if transport is None:
            is_state_given, state = state is not None, {} if state is None else state
            transport = ASGITransport(
                app,
                raise_app_exceptions,
                root_path,
                client,
                state=state,
                obey_timeouts=True,
                **calling,
            )
            transport.is_left_later = True
            transport.gateway.before_request = SecureCookies(self).check
            if lifespan:
                self._lifespan = Lifespan(transport.app, state=state)
                if not is_state_given:
                    transport.gateway.advice = LifespanAdvice(transport.app, _OPEN_CLIENT)
            others.setdefault("timeout", None)
        if isinstance(transport, ASGITransport):
            self._gateway = transport.gateway
        super().__init__(base_url=base_url, transport=transport, **others)
        self._fast: FastPath | None = None
        if self._gateway is not None and app is not None and "mounts" not in others:
            self._fast = make_fast_path(self, self._gateway)

    async def __aenter__(self) -> Self:
        """Open the client and start the app."""
        __tracebackhide__ = True
        await super().__aenter__()
        if self._lifespan is not None:
            try:
                await self._start(self._lifespan)
            except BaseException:
                await super().__aexit__(*sys.exc_info())
                raise
        return self

    async def _start(self, lifespan: Lifespan) -> None:
        __tracebackhide__ = True
        await lifespan.start()
        if self._shares_variables:
            lifespan.share_context()
        assert self._gateway is not None, "a lifespan comes with an app"
        self._gateway.advice = None

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        """Close the client, then shut the app down: the order of a server."""
        __tracebackhide__ = True
        try:
            await super().__aexit__(exc_type, exc_value, traceback)
        finally:
            if self._lifespan is not None:
                await self._lifespan.__aexit__(exc_type, exc_value, traceback)

    def websocket(  # type: ignore[override]  # Our session needs neither wsproto nor anyio.
        self,
        url: httpx2.URL | str,
        *,
        subprotocols: list[str] | None = None,
        **options: Unpack[WebSocketOptions],
    ) -> AbstractAsyncContextManager[WebSocketSession]:
        """Open a WebSocket connection for as long as an `async with` block.

        Args:
            url: The URL; `http` is taken for `ws`, and relative URLs are relative to `base_url`.
            subprotocols: What the app may choose from.
            options: The other options of httpx2. Those about sizes, queues and pings have no
                effect: there is no network in between.

        Raises:
            WebSocketDisconnect: The app closes the connection instead of accepting it.
            WebSocketUpgradeError: The app does not accept the connection.
        """
        return open_session(self, url, subprotocols, options)

    async def settle(self) -> None:
        """Wait for the background tasks that `await_background=False` left running.

        Closing the client waits for them too.

        Raises:
            Exception: What the app let escape in one of them; an `ExceptionGroup` if several did.
        """
        __tracebackhide__ = True
        if self._gateway is not None:
            await self._gateway.settle()

    async def disconnect(
        self,
        method: str,
        url: httpx2.URL | str,
        *,
        during: During = "work",
        parts: int = 1,
        once: Callable[[], Awaitable[object]] | None = None,
        **options: Unpack[BuildOptions],
    ) -> Departure:
        """Send a request and go away before the response is complete.

        The app learns of it as it does under a server: `receive()` gives `http.disconnect`, and
        `send()` raises an `OSError`. It may then take as long to end as `disconnect_grace` says.

        Args:
            method: The method of the request.
            url: Its URL.
            during: What the client is in the middle of when it goes: `"upload"`, sending the body
                of its request, which lacks its end; `"work"`, waiting for a response; or
                `"download"`, reading the body of the response.
            parts: How many parts of the response's body it reads before it goes.
            once: An async function that the client waits for besides, such as `event.wait`.
            options: The other options of a request, as for `request()`.

        Returns:
            What the app did.

        Raises:
            AppError: The app had answered before the client could go.
            Exception: What the app let escape, unless it only says that its client left.
        """
        __tracebackhide__ = True
        if self._gateway is None:
            raise nobody_to_leave("AsyncClient")
        moment = choose_moment(during, parts, once)
        token = leaving.set(Leaving(self._gateway, moment))
        try:
            await super().request(method, url, **options)
        except Left as left:
            return left.departure
        finally:
            leaving.reset(token)
        raise nobody_to_leave("AsyncClient")

    if not TYPE_CHECKING:  # The signatures are httpx2's.
        get = make_verb(httpx2.AsyncClient.get)
        options = make_verb(httpx2.AsyncClient.options)
        head = make_verb(httpx2.AsyncClient.head)
        delete = make_verb(httpx2.AsyncClient.delete)
        post = make_verb(httpx2.AsyncClient.post, takes_body=True)
        put = make_verb(httpx2.AsyncClient.put, takes_body=True)
        patch = make_verb(httpx2.AsyncClient.patch, takes_body=True)

    async def request(
        self,
        method: str,
        url: httpx2.URL | str,
        *,
        content: RequestContent | None = None,
        data: RequestData | None = None,
        files: RequestFiles | None = None,
        json: Any | None = None,
        params: QueryParamTypes | None = None,
        headers: HeaderTypes | None = None,
        cookies: CookieTypes | None = None,
        auth: AuthTypes | UseClientDefault | None = httpx2.USE_CLIENT_DEFAULT,
        follow_redirects: bool | UseClientDefault = httpx2.USE_CLIENT_DEFAULT,
        timeout: TimeoutTypes | UseClientDefault = httpx2.USE_CLIENT_DEFAULT,  # noqa: ASYNC109
        extensions: RequestExtensions | None = None,
    ) -> httpx2.Response:
        """Build a request and send it, as in httpx2 but for the time it takes."""
        __tracebackhide__ = True
        fast, call = self._fast, None
        if (
            fast is not None
            and data is None
            and files is None
            and cookies is None
            and auth is _DEFAULT
            and timeout is _DEFAULT
            and extensions is None
        ):
            call = fast.prepare(method, url, content, json, params, headers)
        if call is None or fast is None:
            return await super().request(
                method,
                url,
                content=content,
                data=data,
                files=files,
                json=json,
                params=params,
                headers=headers,
                cookies=cookies,
                auth=auth,
                follow_redirects=follow_redirects,
                timeout=timeout,
                extensions=extensions,
            )
        start = perf_counter()
        try:
            await call[0].run(fast.app)
        except Exception as failure:
            if fast.is_raised(failure, call):
                raise
        response = fast.finish(call, perf_counter() - start)
        if response.status_code in REDIRECTS and response.has_redirect_location:
            return await self._redirect(response, follow=follow_redirects)
        return response

    async def _redirect(
        self, response: httpx2.Response, *, follow: bool | UseClientDefault
    ) -> httpx2.Response:
        """Go on after a redirect of the fast path with httpx2's own code."""
        __tracebackhide__ = True
        if follow is _DEFAULT:
            follow = self.follow_redirects
        if not follow:
            with suppress(httpx2.RemoteProtocolError):
                response.next_request = self._build_redirect_request(response.request, response)
            return response
        token = reading_at_once.set(self._gateway)
        try:
            request = self._build_redirect_request(response.request, response)
            final = await self._send_handling_redirects(
                request, follow_redirects=True, history=[response]
            )
            await final.aread()
        finally:
            reading_at_once.reset(token)
        return final

    async def send(
        self,
        request: httpx2.Request,
        *,
        stream: bool = False,
        auth: AuthTypes | UseClientDefault | None = httpx2.USE_CLIENT_DEFAULT,
        follow_redirects: bool | UseClientDefault = httpx2.USE_CLIENT_DEFAULT,
    ) -> httpx2.Response:
        """Send a request as it is; with `stream`, return when its response starts."""
        __tracebackhide__ = True
        token = reading_at_once.set(None if stream else self._gateway)
        try:
            return await super().send(
                request, stream=stream, auth=auth, follow_redirects=follow_redirects
            )
        finally:
            reading_at_once.reset(token)


def _split(options: ClientOptions) -> tuple[CallOptions, HTTPXOptions]:
    """Return the options that say how the app is called, and those of `httpx2.AsyncClient`."""
    calling: dict[str, Any] = {}
    others: dict[str, Any] = {}
    for name, value in options.items():
        (calling if name in CallOptions.__optional_keys__ else others)[name] = value
    return cast("CallOptions", calling), cast("HTTPXOptions", others)


def _require_one(app: object, transport: httpx2.AsyncBaseTransport | None) -> None:
    """Raise unless there is exactly one thing to talk to."""
    __tracebackhide__ = True
    if app is None and transport is None:
        raise AppError(
            "AsyncClient has no app to talk to.",
            why="Neither `app` nor `transport` was given, or what was given is None.",
            fix="Name the app:\n\n    AsyncClient(app=app)",
        )
    if app is not None and transport is not None:
        raise AppError(
            "AsyncClient was given an app and a transport.",
            why="Requests go to one of them; a guess could test the wrong one.",
            fix="Leave one out. A transport of your own can be reached beside the app:\n\n"
            '    AsyncClient(app=app, mounts={"https://other.example": transport})',
        )
