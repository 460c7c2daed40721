"""TestClient: the synchronous twin, with the constructor of Starlette's class of this name."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager, suppress
from time import perf_counter
from typing import TYPE_CHECKING, Any, Self

import httpx2

from pytest_asgi.asgi.apps import modernize
from pytest_asgi.asgi.lifespan import Lifespan
from pytest_asgi.client.app_transport import Leaving, Left, leaving, reading_at_once
from pytest_asgi.client.fast_path import REDIRECTS, make_fast_path
from pytest_asgi.client.lifespan_advice import LifespanAdvice
from pytest_asgi.client.moments import choose_moment, nobody_to_leave
from pytest_asgi.client.options import CallOptions, refuse_unknown
from pytest_asgi.client.secure_cookies import SecureCookies
from pytest_asgi.client.sync_portal import Portal
from pytest_asgi.client.sync_transport import SyncTransport, add_template
from pytest_asgi.client.verbs import make_verb
from pytest_asgi.client.waiting import Waiter
from pytest_asgi.client.websockets.sync_session import WebSocketTestSession, make_session

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
    from types import TracebackType
    from typing import Unpack

    # Type checkers only: httpx2 gives these types no public names.
    from httpx2._client import UseClientDefault
    from httpx2._types import (
        AuthTypes,
        CookieTypes,
        HeaderTypes,
        QueryParamTypes,
        RequestContent,
        RequestData,
        RequestExtensions,
        RequestFiles,
        TimeoutTypes,
    )

    from pytest_asgi.asgi.departures import Departure, During
    from pytest_asgi.asgi.types import Address
    from pytest_asgi.client.options import BuildOptions, RequestOptions


# What Starlette's client offers beside what ours all do.
_EXTENSIONS: Mapping[str, Any] = {"http.response.trailers": {}}
_DEFAULT = httpx2.USE_CLIENT_DEFAULT

_ADVICE = (
    "It takes what Starlette's takes; what else an httpx2.Client has is set on the client, "
    "`client.timeout = 3`."
)
_OPEN_CLIENT = "Open the client: with TestClient(app) as client."


class TestClient(httpx2.Client):
    """A synchronous client that talks to an app in process.

    Works in synchronous and in asynchronous tests, on the loop of the test, so it can be used
    beside everything else that lives on that loop. `with` runs the app's lifespan. `stream()`
    gives the response while the app sends it. Nothing times out unless a request is given a
    timeout, which is then a deadline for the app.

    Args:
        app: The ASGI app, of ASGI 2 too.
        base_url: What relative URLs are relative to.
        raise_server_exceptions: Raise what the app lets escape, instead of answering 500.
        root_path: Where the app is mounted.
        backend: `"asyncio"`, or `"trio"`: the app then runs on trio, in a thread of its own.
        backend_options: `debug`, `loop_factory` and `use_uvloop` of a loop that is made only if
            the test brings none; or what `trio.run` takes.
        cookies: Cookies of every request.
        headers: Headers of every request.
        follow_redirects: Whether redirects are followed.
        client: The address that the app sees as the client's.
        in_thread: Run the app on a loop of its own, in a thread of its own: for a test that blocks
            its thread while the app has to go on.
        options: How the app is called, as for `AsyncClient`.

    Attributes:
        app: The ASGI app.
        app_state: The lifespan's state.
        portal: In a `with` block, what calls functions on the app's loop, as anyio's portal does.

    Example:
        ```python
        def test_root():
            with TestClient(app) as client:
                assert client.get("/").status_code == 200
        ```
    """

    __test__ = False  # Its name begins as a test class does.
    portal: Portal | None = None

    def __init__(  # noqa: PLR0917 - Starlette's order
        self,
        app: object,
        base_url: httpx2.URL | str = "http://testserver",
        raise_server_exceptions: bool = True,  # noqa: FBT001, FBT002 - positional in Starlette
        root_path: str = "",
        backend: str = "asyncio",
        backend_options: dict[str, Any] | None = None,
        cookies: CookieTypes | None = None,
        headers: Mapping[str, str] | None = None,
        follow_redirects: bool = True,  # noqa: FBT001, FBT002 - positional in Starlette
        client: Address = ("testclient", 50000),
        *,
        in_thread: bool = False,
        **options: Unpack[CallOptions],
    ) -> None:
        __tracebackhide__ = True
        refuse_unknown("TestClient", options.keys() - CallOptions.__optional_keys__, _ADVICE)
        options["extensions"] = {**_EXTENSIONS, **(options.get("extensions") or {})}
        self.app_state: dict[str, Any] = {}
        self._lifespans: list[Lifespan] = []
        self._waiter = Waiter(backend_options or {}, in_thread=in_thread, backend=backend)
        self._app_transport = SyncTransport(
            self._waiter,
            modernize(app),
            raise_server_exceptions,
            root_path,
            client,
            state=self.app_state,
            **options,
        )
        self.app = self._app_transport.app
        self._app_transport.gateway.before_request = SecureCookies(self).check
        self._app_transport.gateway.advice = LifespanAdvice(self.app, _OPEN_CLIENT)
        super().__init__(
            base_url=base_url,
            headers={"user-agent": "testclient", **(headers or {})},
            cookies=cookies,
            follow_redirects=follow_redirects,
            transport=self._app_transport,
            timeout=None,
        )
        self._fast = make_fast_path(self, self._app_transport.gateway)

    if not TYPE_CHECKING:  # The signatures are httpx2's.
        get = make_verb(httpx2.Client.get)
        options = make_verb(httpx2.Client.options)
        head = make_verb(httpx2.Client.head)
        delete = make_verb(httpx2.Client.delete)
        post = make_verb(httpx2.Client.post, takes_body=True)
        put = make_verb(httpx2.Client.put, takes_body=True)
        patch = make_verb(httpx2.Client.patch, takes_body=True)

    def request(
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
        timeout: TimeoutTypes | UseClientDefault = httpx2.USE_CLIENT_DEFAULT,
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
            return super().request(
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
            self._waiter.run(call[0].run(self.app))
        except Exception as failure:
            if fast.is_raised(failure, call):
                raise
        response = fast.finish(call, perf_counter() - start)
        if type(response) is httpx2.Response:
            add_template(response)
        if response.status_code in REDIRECTS and response.has_redirect_location:
            return self._redirect(response, follow=follow_redirects)
        return response

    def _redirect(
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
        token = reading_at_once.set(self._app_transport.gateway)
        try:
            request = self._build_redirect_request(response.request, response)
            final = self._send_handling_redirects(
                request, follow_redirects=True, history=[response]
            )
            final.read()
        finally:
            reading_at_once.reset(token)
        return final

    def send(
        self,
        request: httpx2.Request,
        *,
        stream: bool = False,
        auth: AuthTypes | UseClientDefault | None = httpx2.USE_CLIENT_DEFAULT,
        follow_redirects: bool | UseClientDefault = httpx2.USE_CLIENT_DEFAULT,
    ) -> httpx2.Response:
        """Send a request as it is; with `stream`, return when its response starts."""
        __tracebackhide__ = True
        token = reading_at_once.set(None if stream else self._app_transport.gateway)
        try:
            return super().send(
                request, stream=stream, auth=auth, follow_redirects=follow_redirects
            )
        finally:
            reading_at_once.reset(token)

    @contextmanager
    def stream(
        self, method: str, url: httpx2.URL | str, **options: Unpack[RequestOptions]
    ) -> Generator[httpx2.Response]:
        """Send a request and give its response when it starts; it is closed after the block.

        Raises:
            Exception: What the app let escape, in a background task too.
        """
        __tracebackhide__ = True
        try:
            with super().stream(method, url, **options) as response:
                yield response
        except BaseException as error:
            self._app_transport.raise_hidden(error)
            raise
        self._app_transport.raise_hidden()

    def websocket_connect(
        self,
        url: httpx2.URL | str,
        subprotocols: Sequence[str] | None = None,
        **options: Any,
    ) -> WebSocketTestSession:
        """Return a WebSocket connection that `with` opens and closes.

        Args:
            url: The URL; `http` is taken for `ws`, and relative URLs are relative to `base_url`.
            subprotocols: What the app may choose from.
            options: The options of `get`, such as `headers`, `params` and `cookies`.
        """
        __tracebackhide__ = True
        return make_session(self, self._waiter, url, subprotocols, **options)

    def settle(self) -> None:
        """Wait for the background tasks that `await_background=False` left running.

        Raises:
            Exception: What the app let escape in one of them; an `ExceptionGroup` if several did.
        """
        __tracebackhide__ = True
        self._waiter.run(self._app_transport.gateway.settle())
        self._app_transport.raise_hidden()

    def disconnect(
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

        Args:
            method: The method of the request.
            url: Its URL.
            during: What the client is in the middle of when it goes: `"upload"`, `"work"` or
                `"download"`, as for `AsyncClient`.
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
        moment = choose_moment(during, parts, once)
        token = leaving.set(Leaving(self._app_transport.gateway, moment))
        try:
            super().request(method, url, **options)
        except Left as left:
            return left.departure
        finally:
            leaving.reset(token)
        raise nobody_to_leave("TestClient")

    def share_lifespan(self, state: dict[str, Any]) -> None:
        """Take the state of a lifespan that somebody else runs."""
        self.app_state.update(state)
        self._app_transport.gateway.advice = None

    # Neither calls its parent: Starlette's client can be used before, after and repeatedly
    # inside `with`, which an `httpx2.Client` forbids.

    def __enter__(self) -> Self:
        """Start the app."""
        __tracebackhide__ = True
        self._waiter.pin()
        lifespan = Lifespan(self.app, state=self.app_state, raise_doubtful=True)
        try:
            self._waiter.run(lifespan.start())
            self._app_transport.gateway.advice = None
        except BaseException:
            self._release()
            raise
        self._lifespans.append(lifespan)
        self.portal = self.portal or self._waiter.portal or Portal(self._waiter)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        """End the open responses, shut the app down, and wait for the tasks of the portal."""
        __tracebackhide__ = True
        lifespan = self._lifespans.pop()
        with ExitStack() as last_first:
            last_first.callback(self._release, cancel=exc_value is not None)
            last_first.callback(
                lambda: self._waiter.run(lifespan.__aexit__(exc_type, exc_value, traceback))
            )
            self._app_transport.__exit__(exc_type, exc_value, traceback)

    def close(self) -> None:
        """Close the client and the loop that it may have made."""
        super().close()
        self._waiter.close()

    def _release(self, *, cancel: bool = True) -> None:
        if self._lifespans:
            return
        try:
            if self.portal is not None:
                self.portal.finish(cancel=cancel)
        finally:
            self.portal = None
            self._waiter.close()
