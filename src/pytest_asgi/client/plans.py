"""What httpx2 makes of requests, kept for the requests that are like them.

httpx2 itself says what it makes, of a sample. Plans belong to no client: most clients live for one
test, and the next one asks for the same.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import httpx2

from pytest_asgi.asgi.scope import Target, locate

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from pytest_asgi.asgi.types import RawHeaders

_T = TypeVar("_T")

# Bounds, because tests make up paths and tokens.
_MOST_KEPT = 2_000
_MOST_CONFIGURATIONS = 64

# Bodies of one byte: the length of the real one takes the place of theirs.
SAMPLES: Mapping[str, dict[str, Any]] = {
    "empty": {},
    "content": {"content": b"0"},
    "json": {"json": 0},
}
SAMPLE_COOKIE = {"sample": "1"}

_SCHEMES = frozenset({"http", "https"})

# What httpx2 sends as it is written: nothing that is escaped, resolved or read as a host.
_QUERY = r"(?:\?(?:[\w~.&=+-]|%[0-9A-F]{2})*)?"
_match_plain_url = re.compile(rf"/((?!/)[\w~/.-]*)({_QUERY})", re.ASCII).fullmatch
_is_plain_query = re.compile(_QUERY, re.ASCII).fullmatch
_LONGEST_PLAIN = 2_000


class Shape:
    """The headers that httpx2 gives to every request of one shape, whatever its URL.

    Args:
        sample: A request of that shape, with a body of one byte or none, and with a cookie.
        names_host: Whether the user names the host.

    Attributes:
        method: The method in upper case.
        length_at: Where the length of the body goes; `None` if there is no body.
        cookie_at: Where a cookie goes.
    """

    __slots__ = (
        "_extensions",
        "_headers",
        "_host_at",
        "_names",
        "cookie_at",
        "length_at",
        "method",
    )

    def __init__(self, sample: httpx2.Request, *, names_host: bool) -> None:
        sent = sample.headers.raw
        lower = [name.lower() for name, _ in sent]
        self.cookie_at = lower.index(b"cookie")
        del sent[self.cookie_at], lower[self.cookie_at]
        self._host_at = None if names_host else lower.index(b"host")
        self.length_at = lower.index(b"content-length") if sample.content else None
        self._names = [name for name, _ in sent]
        self._headers = [(name, value) for name, (_, value) in zip(lower, sent, strict=True)]
        self.method = sample.method
        self._extensions = sample.extensions

    def build_headers(self, netloc: bytes) -> RawHeaders:
        """Return the headers as the app sees them, all but the length of the body."""
        headers = self._headers.copy()
        if self._host_at is not None:
            headers[self._host_at] = (b"host", netloc)
        return headers

    def restore_names(self, headers: RawHeaders) -> RawHeaders:
        """Return headers as httpx2 writes them."""
        return [(name, value) for name, (_, value) in zip(self._names, headers, strict=True)]

    def build_extensions(self) -> dict[str, Any]:
        """Return the extensions of a request, with nothing in them that another one has too."""
        return {
            name: value.copy() if isinstance(value, dict) else value
            for name, value in self._extensions.items()
        }


class Place(NamedTuple):
    """Where a request goes.

    Attributes:
        target: The part of the scope that the URL makes.
        netloc: What the header `host` says.
        base: The URL, perhaps with another path and query.
        raw_path: Its own path and query, if they are not those of `base`.
    """

    target: Target
    netloc: bytes
    base: httpx2.URL
    raw_path: bytes | None = None


class Plan:
    """What httpx2 makes of every request of one shape to one place.

    Attributes:
        method: The method in upper case.
        target: The part of the scope that the URL makes.
        headers: The headers as the app sees them, all but the length of the body and cookies.
        length_at: Where the length of the body goes; `None` if there is no body.
        cookie_at: Where a cookie goes.
        has_answer: Whether the body of a response is for the client.
    """

    __slots__ = (
        "_place",
        "_shape",
        "_url",
        "cookie_at",
        "has_answer",
        "headers",
        "length_at",
        "method",
    )

    def __init__(self, shape: Shape, place: Place) -> None:
        self.method = shape.method
        self.has_answer = shape.method != "HEAD"
        self.headers = shape.build_headers(place.netloc)
        self.length_at = shape.length_at
        self.cookie_at = shape.cookie_at
        self._shape = shape
        self._place = place
        self._url: httpx2.URL | None = None

    @property
    def target(self) -> Target:
        """The part of the scope that the URL makes."""
        return self._place.target

    @property
    def url(self) -> httpx2.URL:
        """The URL, which few tests look at."""
        if self._url is None:
            base, raw_path = self._place.base, self._place.raw_path
            self._url = base if raw_path is None else base.copy_with(raw_path=raw_path)
        return self._url

    def build_request(self, body: bytes, cookie: bytes | None) -> httpx2.Request:
        """Return the request that httpx2 would have built for this body."""
        headers = self._shape.restore_names(self.headers)
        if self.length_at is not None:
            headers[self.length_at] = (headers[self.length_at][0], b"%d" % len(body))
        if cookie is not None:
            headers.insert(self.cookie_at, (b"Cookie", cookie))
        request = httpx2.Request(
            self.method,
            self.url,
            headers=headers,
            stream=httpx2.ByteStream(body),
            extensions=self._shape.build_extensions(),
        )
        request.read()
        return request


class Plans:
    """The plans for all clients that are configured alike.

    Args:
        base: Their base URL.
    """

    def __init__(self, base: httpx2.URL) -> None:
        self._base = base
        self._plans: dict[Hashable, Plan] = {}
        self._shapes: dict[Hashable, Shape] = {}
        self._stem = find_place(base)
        if self._stem is not None and b"?" in base.raw_path:
            self._stem = None  # Nothing can be put after it.

    def find(self, key: Hashable) -> Plan | None:
        """Return the plan that was kept under this key."""
        return self._plans.get(key)

    def find_shape(self, key: Hashable) -> Shape | None:
        """Return the shape that was kept under this key."""
        return self._shapes.get(key)

    def keep(self, key: Hashable, plan: Plan) -> None:
        """Keep a plan."""
        keep(self._plans, key, plan)

    def keep_shape(self, key: Hashable, shape: Shape) -> None:
        """Keep a shape."""
        keep(self._shapes, key, shape)

    def find_plain_place(self, url: str, query: str | None) -> Place | None:
        """Return where a URL leads that is put after the base as it is; `None` for others.

        Args:
            url: The URL as the test wrote it.
            query: The query, `?` included, that takes the place of that of the URL, if any does.
        """
        stem, found = self._stem, _match_plain_url(url)
        if stem is None or found is None or len(url) > _LONGEST_PLAIN or "/." in url:
            return None
        path, own_query = found.groups()
        if query is None:
            query = own_query
        elif not _is_plain_query(query):
            return None
        (scheme, server, decoded, raw_path, _), netloc, base, _ = stem
        raw_path += path.encode()
        raw_query = query.encode()
        target = Target(scheme, server, decoded + path, raw_path, raw_query[1:])
        return Place(target, netloc, base, raw_path + raw_query)


@lru_cache(_MOST_CONFIGURATIONS)
def share_plans(base: httpx2.URL, *configuration: Hashable) -> Plans:  # noqa: ARG001 - told apart by it
    """Return the plans that all clients of one configuration share."""
    return Plans(base)


def keep(cache: dict[Hashable, _T], key: Hashable, value: _T) -> None:
    """Keep a value, if need be in the place of all others."""
    if len(cache) >= _MOST_KEPT:
        cache.clear()
    cache[key] = value


def find_place(url: httpx2.URL) -> Place | None:
    """Return where a URL leads; `None` if a request to it needs more than the app."""
    if url.userinfo or url.scheme not in _SCHEMES or not url.host:
        return None
    target = locate(url.scheme, url.host, url.port, url.path, url.raw_path)
    return Place(target, url.netloc, url)
