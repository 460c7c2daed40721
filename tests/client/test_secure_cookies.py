"""Cookies marked Secure: sent where it is https, and never lost in silence."""

from __future__ import annotations

import warnings
from typing import Any

import httpx2
import pytest

from pytest_asgi.asgi.types import Receive, Scope, Send
from pytest_asgi.client.client import AsyncClient
from pytest_asgi.errors import AsgiWarning
from tests.apps.plain import BODY, START, echo, sending
from tests.promises import promise


def setting(*cookies: bytes) -> Any:
    """Return an app that sets cookies at `/login` and echoes the rest."""
    headers = [(b"set-cookie", cookie) for cookie in cookies]
    login = sending({**START, "headers": headers}, BODY)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await (login if scope["path"] == "/login" else echo)(scope, receive, send)

    return app


def cookies_of(response: httpx2.Response) -> str | None:
    return dict(response.json()["headers"]).get("cookie")


@promise("client.secure-cookies")
async def test_a_secure_cookie_that_is_not_sent_is_told() -> None:
    client = AsyncClient(setting(b"session=1; Secure", b"theme=dark"))
    await client.get("/login")

    with pytest.warns(AsgiWarning) as caught:
        response = await client.get("/items")

    assert cookies_of(response) == "theme=dark"
    (warning,) = caught
    assert str(warning.message) == (
        "The cookie 'session' was not sent with GET http://test/items: it is marked Secure, and "
        "the URL begins with http. Give the client a base_url that is encrypted: "
        'base_url="https://test"'
    )
    assert warning.filename == __file__


async def test_it_is_told_once_for_each_name_and_client() -> None:
    app = setting(b"a=1; Secure", b"b=1; Secure")
    client = AsyncClient(app)
    await client.get("/login")

    with pytest.warns(AsgiWarning) as caught:
        await client.get("/")

    assert len(caught) == 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        await client.get("/")
        await client.post("/", data={"a": "1"})


async def test_a_request_that_takes_the_long_way_is_looked_at_too() -> None:
    client = AsyncClient(setting(b"session=1; Secure"))
    await client.get("/login")

    with pytest.warns(AsgiWarning, match="'session' was not sent with PUT"):
        await client.put("/", data={"a": "1"})


async def test_a_redirect_is_looked_at_too() -> None:
    headers = [(b"set-cookie", b"session=1; Secure"), (b"location", b"/home")]
    login = sending({**START, "status": 303, "headers": headers}, BODY)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await (login if scope["path"] == "/login" else echo)(scope, receive, send)

    with pytest.warns(AsgiWarning, match="'session' was not sent with GET http://test/home"):
        await AsyncClient(app).post("/login", follow_redirects=True)


@pytest.mark.parametrize(
    ("cookie", "options"),
    [
        (b"session=1; Secure", {"base_url": "https://test"}),
        (b"session=1", {}),
        (b"session=1; Secure; Path=/admin", {}),
        (b"session=1; Secure; Max-Age=0", {}),
    ],
    ids=["https", "not secure", "other path", "expired"],
)
async def test_nothing_else_is_told(cookie: bytes, options: dict[str, Any]) -> None:
    client = AsyncClient(setting(cookie), **options)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        await client.get("/login")
        await client.get("/items")


async def test_a_cookie_for_another_host_is_not_told() -> None:
    client = AsyncClient(setting(b"session=1; Secure"))
    await client.get("/login")

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        await client.get("http://other.example/")


async def test_over_https_a_secure_cookie_is_sent() -> None:
    client = AsyncClient(setting(b"session=1; Secure"), base_url="https://test")
    await client.get("/login")

    assert cookies_of(await client.get("/")) == "session=1"
