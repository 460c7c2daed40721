"""Requests as most tests make them, at a fraction of what httpx2's own code costs.

A plan holds what httpx2 makes of a request: its URL and its headers, in their order. What is
unusual in any way has no plan and takes httpx2's own code.

Much here is asked for every request, so it is asked of httpx2's attributes and not of properties
over them. With a release that has moved one there is no fast path.
"""
# ruff: noqa: SLF001

from __future__ import annotations

from datetime import timedelta
from logging import INFO, getLogger
from typing import TYPE_CHECKING, Any, TypeAlias

import httpx2

from pytest_asgi.asgi.exchange import BufferedExchange
from pytest_asgi.client.lazy_response import LazyResponse
from pytest_asgi.client.plans import (
    SAMPLE_COOKIE,
    SAMPLES,
    Plan,
    Plans,
    Shape,
    find_place,
    keep,
    share_plans,
)
from pytest_asgi.client.quick_json import write_json

if TYPE_CHECKING:
    from collections.abc import Hashable
    from types import EllipsisType

    from pytest_asgi.asgi.types import RawHeaders
    from pytest_asgi.client.gateway import Gateway
    from pytest_asgi.client.plans import Place

_ATTRIBUTES = (
    "_auth",
    "_base_url",
    "_build_redirect_request",
    "_cookies",
    "_default_encoding",
    "_event_hooks",
    "_headers",
    "_merge_queryparams",
    "_merge_url",
    "_params",
    "_send_handling_redirects",
    "_state",
    "_timeout",
)

_new = object.__new__

_log = getLogger("httpx2")
# What the logger has found out about its levels; to ask it takes as long as to make the scope.
# Where there is no such thing, it is asked.
_levels: dict[int, bool] = getattr(_log, "_cache", {})

# A user's own header of these names changes what httpx2 makes of bodies and cookies.
_UNPLANNED = frozenset({b"content-length", b"cookie", b"transfer-encoding"})

# Values of a dict that may be part of a key: where two are equal, they mean the same.
_PLAIN = frozenset({str, int})

REDIRECTS = frozenset({301, 302, 303, 307, 308})


# Whether httpx2 acts upon a response's header of a name; apps use the same few.
_acted_upon: dict[Hashable, bool] = {}
_WITH_EFFECT = frozenset({b"content-encoding", b"set-cookie"})


# A request that is about to be sent: the exchange that will have its response, its plan, its body
# and its cookies. No class, which would cost as much as the rules.
Call: TypeAlias = "tuple[BufferedExchange, Plan, bytes, bytes | None]"


def make_fast_path(
    client: httpx2.AsyncClient | httpx2.Client, gateway: Gateway
) -> FastPath | None:
    """Return the fast path of a client whose requests all go to `gateway`, if it can have one."""
    if not gateway.await_background or not _is_supported(client):
        return None
    return FastPath(client, gateway)


def _is_supported(client: httpx2.AsyncClient | httpx2.Client) -> bool:
    """Tell whether this release of httpx2 has all that the fast path asks of it."""
    return all(hasattr(client, name) for name in _ATTRIBUTES) and hasattr(client.headers, "_list")


class FastPath:
    """The plans of one client.

    Args:
        client: The client whose base URL, headers and parameters requests are made with.
        gateway: Where its requests go.
    """

    def __init__(
        self,
        client: httpx2.AsyncClient | httpx2.Client,
        gateway: Gateway,
    ) -> None:
        self.app = gateway.app
        self._is_plain = gateway.version is None
        self._client = client
        self._gateway = gateway
        states = type(client._state)
        self._opened, self._closed = states.OPENED, states.CLOSED
        self._base_url: httpx2.URL | None = None
        self._params: httpx2.QueryParams | None = None
        self._timeout: httpx2.Timeout | None = None
        self._headers: list[Any] | None = None
        self._plans: Plans | None = None
        # Plans, each with what the scopes of its requests begin as.
        self._found: dict[Hashable, tuple[Plan, dict[str, Any]]] = {}

    def prepare(  # noqa: C901, PLR0917 - in one piece: all requests come here, and calls are dear
        self,
        method: str,
        url: object,
        content: object,
        json: object,
        params: object,
        headers: object,
    ) -> Call | None:
        """Return a request, ready to be sent; `None` if httpx2 itself has to make it."""
        client = self._client
        hooks = client._event_hooks
        if (
            client._state is self._closed
            or client._auth is not None
            or hooks["request"]
            or hooks["response"]
            or (_levels.get(INFO) is not False and _log.isEnabledFor(INFO))
            or url.__class__ is not str
            or method.__class__ is not str
        ):
            return None
        if not (
            client._base_url is self._base_url
            and client._headers._list == self._headers
            and client._params is self._params
            and client._timeout is self._timeout
        ):
            self._read_configuration()
        kind, body = "empty", b""
        if content is not None or json is not None:
            encoded = _encode_body(content, json)
            if encoded is None:
                return None
            kind, body = encoded
        key: Hashable = (method, url, kind)
        if params is not None or headers is not None:
            frozen_params, frozen_headers = _freeze(params), _freeze(headers)
            if frozen_params is ... or frozen_headers is ...:
                return None
            key = (method, url, kind, frozen_params, frozen_headers)
        found = self._found.get(key)
        if found is None:
            found = self._find(key, method, url, kind, params, headers)
            if found is None:
                return None
        client._state = self._opened  # As sending does in httpx2.
        plan, prepared = found
        sent = plan.headers.copy()
        if plan.length_at is not None:
            sent[plan.length_at] = (b"content-length", b"%d" % len(body))
        cookie = None
        if client._cookies.jar._cookies:  # type: ignore[attr-defined]  # of all Pythons
            cookie = self._find_cookie(plan)
            if cookie is not None:
                sent.insert(plan.cookie_at, (b"cookie", cookie))
        gateway = self._gateway
        scope = gateway.template.complete(prepared, sent)
        return BufferedExchange(scope, body, gateway.rules), plan, body, cookie

    def is_raised(self, failure: Exception, call: Call) -> bool:
        """Tell whether what the app let escape is raised, and not answered."""
        return self._gateway.is_raised(failure, call[0])

    def finish(self, call: Call, seconds: float) -> httpx2.Response:
        """Return the response to a request that the app has answered.

        Raises:
            httpx2.RemoteProtocolError: The response is not complete, and that breaks no rule.
        """
        __tracebackhide__ = True
        exchange, plan, body, cookie = call
        headers, status = exchange.headers, exchange.status
        encoding = self._client._default_encoding
        if (
            status is not None
            and exchange.is_complete
            and self._is_plain
            and not exchange.extensions
            and not _has_effects(headers)
        ):
            lazy = _new(LazyResponse)
            lazy.status_code = status
            lazy._content = exchange.body if plan.has_answer else b""
            lazy._raw_headers = headers
            lazy._finish = _make_response, plan, body, cookie, encoding, seconds
            return lazy
        answer = self._gateway.conclude(exchange)
        response = _build_response(*answer, plan, body, cookie, encoding)
        # First of all, as in httpx2: the body may be none that can be decoded.
        self._client.cookies.extract_cookies(response)
        return _read(response, seconds)

    def _find(  # noqa: PLR0917 - in the order of `prepare`
        self, key: Hashable, method: str, url: str, kind: str, params: Any, headers: Any
    ) -> tuple[Plan, dict[str, Any]] | None:
        """Return the plan of a kind of request that this client has not made before."""
        if self._plans is None:
            return None
        plan = self._plans.find(key)
        if plan is None:
            try:
                shape = self._find_shape(method, kind, headers)
                place = None if shape is None else self._find_place(url, params)
            except Exception:  # noqa: BLE001 - httpx2's own code raises it again, where it belongs
                return None
            if shape is None or place is None:
                return None
            plan = Plan(shape, place)
            self._plans.keep(key, plan)
        found = plan, self._gateway.template.prepare_http(plan.method, plan.target)
        keep(self._found, key, found)
        return found

    def _find_shape(self, method: str, kind: str, headers: Any) -> Shape | None:
        assert self._plans is not None
        key = method, kind, _freeze(headers)
        shape = self._plans.find_shape(key)
        if shape is None:
            client = self._client
            own = {name.lower() for name, _ in httpx2.Headers(headers).raw + client.headers.raw}
            if own & _UNPLANNED:
                return None
            sample = client.build_request(
                method, "http://sample", headers=headers, cookies=SAMPLE_COOKIE, **SAMPLES[kind]
            )
            shape = Shape(sample, names_host=b"host" in own)
            self._plans.keep_shape(key, shape)
        return shape

    def _find_place(self, url: str, params: Any) -> Place | None:
        assert self._plans is not None
        client = self._client
        params = client._merge_queryparams(params)
        query = None
        if params is not None:
            query = f"?{httpx2.QueryParams(params)}" if params else ""
        place = self._plans.find_plain_place(url, query)
        if place is not None:
            return place
        merged = client._merge_url(url)
        return find_place(merged if params is None else httpx2.URL(merged, params=params))

    def _read_configuration(self) -> None:
        client = self._client
        self._base_url = base = client.base_url
        self._params = client.params
        self._timeout = client.timeout
        self._headers = list(client._headers._list)
        self._found.clear()
        self._plans = None
        if self._timeout.read is None:  # A deadline for the app needs the long way.
            self._plans = share_plans(
                base,
                tuple(self._headers),
                str(self._params),
                tuple(self._timeout.as_dict().items()),
            )

    def _find_cookie(self, plan: Plan) -> bytes | None:
        """Return what the client's cookies say in a request to the plan's URL."""
        request = httpx2.Request(plan.method, plan.url)
        if self._gateway.before_request is not None:
            self._gateway.before_request(request)
        self._client.cookies.set_cookie_header(request)
        if self._gateway.before_request is not None:
            self._gateway.before_request(request)
        return dict(request.headers.raw).get(b"Cookie")


def _has_effects(headers: RawHeaders) -> bool:
    """Tell whether httpx2 acts upon any of the headers."""
    try:
        for name, _ in headers:
            if _acted_upon[name]:
                return True
    except KeyError:
        return _has_unknown_effects(headers)
    return False


def _has_unknown_effects(headers: RawHeaders) -> bool:
    """Do the same, and remember the names for the next time."""
    for name, _ in headers:
        keep(_acted_upon, name, name.lower() in _WITH_EFFECT)
    return any(name.lower() in _WITH_EFFECT for name, _ in headers)


def _encode_body(content: object, json: object) -> tuple[str, bytes] | None:
    """Return the kind of a body and the body; `None` if httpx2's own code has to make it."""
    try:
        if content is None:
            return "json", write_json(json)
        body = content.encode() if isinstance(content, str) else content
    except (
        RecursionError,
        TypeError,
        ValueError,
    ):  # httpx2's own code raises it again, where it belongs.
        return None
    if body.__class__ is not bytes:
        return None
    return ("content" if body else "empty"), body


def _freeze(values: Any) -> tuple[Any, ...] | EllipsisType | None:
    """Return the items of a dict as part of a key; `...` if they cannot be that."""
    if values is None:
        return None
    if values.__class__ is not dict:
        return ...
    for name, value in values.items():
        if name.__class__ is not str or value.__class__ not in _PLAIN:
            return ...
    return tuple(values.items())


def _make_response(*parts: Any) -> httpx2.Response:
    """Return what a lazy response becomes, of the parts of `_build_response` and a time."""
    *built, seconds = parts
    return _read(_build_response(*built), seconds)


def _read(response: httpx2.Response, seconds: float) -> httpx2.Response:
    """Leave the response as httpx2's own code does: read, closed and timed."""
    response.read()
    response.elapsed = timedelta(seconds=seconds)
    return response


def _build_response(  # noqa: PLR0917 - in the order of an answer, and of a lazy response
    status: int,
    headers: RawHeaders,
    content: bytes,
    extensions: dict[str, Any],
    plan: Plan,
    body: bytes,
    cookie: bytes | None,
    default_encoding: Any,
) -> httpx2.Response:
    return httpx2.Response(
        status,
        headers=headers,
        stream=httpx2.ByteStream(content),
        request=plan.build_request(body, cookie),
        extensions=extensions,
        default_encoding=default_encoding,
    )
