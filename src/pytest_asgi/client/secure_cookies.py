"""Cookies that stay in the jar because a request is not encrypted: told, not lost in silence."""

from __future__ import annotations

import urllib.request
import weakref
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING

from pytest_asgi.asgi.stacks import warn_user
from pytest_asgi.errors import AsgiWarning

if TYPE_CHECKING:
    from collections.abc import Iterator
    from http.cookiejar import Cookie

    import httpx2


class SecureCookies:
    """Warns, once for each name, of a cookie that only its `Secure` flag keeps from being sent.

    Args:
        client: The client whose cookies these are. It outlives its requests, and is not kept.
    """

    def __init__(self, client: httpx2.AsyncClient | httpx2.Client) -> None:
        self._client = weakref.ref(client)
        self._told: set[str] = set()

    def check(self, request: httpx2.Request) -> None:
        """Look for such cookies in a request that is about to be sent."""
        client = self._client()
        if client is None or request.url.scheme != "http":
            return
        method, url = request.method, str(request.url)
        jar = client.cookies.jar
        secure = [cookie for cookie in jar if cookie.secure and cookie.name not in self._told]
        names = set(_names_that_would_be_sent(url, secure) if secure else ())
        self._told |= names
        for name in sorted(names):
            warn_user(_describe(name, method, url), AsgiWarning)


def _names_that_would_be_sent(url: str, cookies: list[Cookie]) -> Iterator[str]:
    """Yield the names of the cookies that would go to the URL if they were not secure."""
    jar = CookieJar(DefaultCookiePolicy(secure_protocols=("http", "https")))
    for cookie in cookies:
        jar.set_cookie(cookie)
    request = urllib.request.Request(url)  # noqa: S310 - never opened
    jar.add_cookie_header(request)
    header = request.get_header("Cookie")
    for pair in header.split("; ") if header else ():
        yield pair.partition("=")[0]


def _describe(name: str, method: str, url: str) -> str:
    return (
        f"The cookie {name!r} was not sent with {method} {url}: it is marked Secure, and the URL "
        'begins with http. Give the client a base_url that is encrypted: base_url="https://test"'
    )
