"""The same app behind a real server and behind us gives the same responses and sees the same."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_asgi.client.client import AsyncClient
from pytest_asgi.client.sync import TestClient
from tests.apps.web import app, heard

# What the server adds for its own connection; no app sends these.
OF_THE_CONNECTION = {"date", "server", "transfer-encoding"}

# Making the default one takes longer than all of a test's requests.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

# What may stand in a path as it is; the rest is httpx2's business.
TEXT = st.text(st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="?#"), max_size=8)

Values = dict[str, Any]


@pytest.fixture
def clients(server: str) -> Iterator[tuple[httpx2.Client, httpx2.Client]]:
    """A client of the real server and ours, which look the same to the app."""
    agent = {"user-agent": "testclient"}
    with (
        httpx2.Client(
            base_url=server, headers=agent, follow_redirects=True, verify=NO_TLS
        ) as real,
        TestClient(app, server, client=("127.0.0.1", 1)) as ours,
    ):
        yield real, ours


async def chunks() -> AsyncIterator[bytes]:
    for number in range(3):
        yield b"%d" % number


REQUESTS: dict[str, Callable[[], Values]] = {
    "json response": lambda: {"url": "/"},
    "endpoint in a thread": lambda: {"url": "/sync"},
    "json body": lambda: {
        "method": "POST",
        "url": "/items",
        "json": {"name": "café", "price": 1.5},
    },
    "invalid body": lambda: {"method": "POST", "url": "/items", "json": {"name": 1}},
    "body that is no json": lambda: {"method": "POST", "url": "/items", "content": b"{"},
    "204": lambda: {"method": "DELETE", "url": "/items/a"},
    "304": lambda: {"url": "/not-modified"},
    "404 of the app": lambda: {"url": "/items/missing"},
    "404 of the router": lambda: {"url": "/nowhere"},
    "405": lambda: {"method": "PATCH", "url": "/items/a"},
    "head": lambda: {"method": "HEAD", "url": "/echo/"},
    "options": lambda: {"method": "OPTIONS", "url": "/echo/"},
    "method of one's own": lambda: {"method": "BREW", "url": "/echo/"},
    "query string": lambda: {"url": "/echo/?a=1&a=2&b=%20+&c"},
    "empty query string": lambda: {"url": "/echo/?"},
    "parameters": lambda: {"url": "/echo/", "params": {"ä": "ö&=", "list": ["1", "2"]}},
    "unicode path": lambda: {"url": "/echo/straße/日本"},
    "escaped path": lambda: {"url": "/echo/a%2Fb%20c/%E2%82%AC"},
    "path that is no utf-8": lambda: {"url": "/echo/%FF"},
    "double slash": lambda: {"url": "/echo//a//"},
    "headers": lambda: {
        "url": "/echo/",
        "headers": [
            (b"X-One", b"1"),
            (b"x-one", b"2"),
            (b"X-Empty", b""),
            (b"X-Latin", b"caf\xe9"),
        ],
    },
    "cookies": lambda: {"url": "/echo/", "headers": {"cookie": "a=1; b=2"}},
    "cookies of the app": lambda: {"url": "/login"},
    "basic authentication": lambda: {"url": "/echo/", "auth": ("ada", "secret")},
    "redirect": lambda: {"url": "/moved"},
    "followed redirect": lambda: {"url": "/moved", "follow_redirects": True},
    "redirect of the router": lambda: {"url": "/items/a/", "follow_redirects": True},
    "redirect with a body": lambda: {
        "method": "POST",
        "url": "/kept",
        "content": b"body",
        "follow_redirects": True,
    },
    "text body": lambda: {"method": "POST", "url": "/echo/", "content": "text"},
    "empty post": lambda: {"method": "POST", "url": "/echo/"},
    "form": lambda: {"method": "POST", "url": "/echo/", "data": {"a": ["1", "2"], "b": "ä"}},
    "file": lambda: {
        "method": "POST",
        "url": "/echo/",
        "data": {"title": "notes"},
        "files": {"file": ("a.txt", b"content")},
        "headers": {"content-type": "multipart/form-data; boundary=here"},
    },
    "streamed request": lambda: {"method": "POST", "url": "/echo/", "content": chunks()},
    "large request": lambda: {"method": "PUT", "url": "/echo/", "content": b"x" * 300_000},
    "streamed response": lambda: {"url": "/stream"},
    "large response": lambda: {"url": "/large"},
    "empty response": lambda: {"url": "/empty"},
    "response in latin-1": lambda: {"url": "/latin"},
}


def read(response: httpx2.Response) -> Values:
    """Return all that a test can learn from a response."""
    return {
        "status": response.status_code,
        "http_version": response.http_version,
        "headers": [
            (name.lower(), value)
            for name, value in response.headers.raw
            if name.lower().decode() not in OF_THE_CONNECTION
        ],
        "content": response.content,
        "text": response.text,
        "cookies": dict(response.cookies),
        "url": str(response.url),
        "history": [read(earlier) for earlier in response.history],
        "next": str(response.next_request and response.next_request.url),
    }


@pytest.mark.parametrize("name", REQUESTS)
async def test_a_real_server_gives_the_same_response(server: str, name: str) -> None:
    async with (
        httpx2.AsyncClient(base_url=server, verify=NO_TLS) as real,
        AsyncClient(app, base_url=server) as ours,
    ):
        expected = await real.request(**{"method": "GET", **REQUESTS[name]()})
        response = await ours.request(**{"method": "GET", **REQUESTS[name]()})

    assert read(response) == read(expected)


@pytest.mark.parametrize("name", [name for name in REQUESTS if name != "streamed request"])
def test_the_synchronous_client_gives_the_same_response(
    clients: tuple[httpx2.Client, httpx2.Client], name: str
) -> None:
    real, ours = clients

    expected = real.request(**{"method": "GET", **REQUESTS[name]()})
    response = ours.request(**{"method": "GET", **REQUESTS[name]()})

    assert read(response) == read(expected)


async def test_a_real_server_gives_the_same_answer_to_an_exception(server: str) -> None:
    async with (
        httpx2.AsyncClient(base_url=server, verify=NO_TLS) as real,
        AsyncClient(app, base_url=server, raise_app_exceptions=False) as ours,
    ):
        expected = await real.get("/broken")
        response = await ours.get("/broken")

    assert read(response) == read(expected)


async def test_a_real_server_gives_the_app_the_same_messages(server: str) -> None:
    async with (
        httpx2.AsyncClient(base_url=server, verify=NO_TLS) as real,
        AsyncClient(app, base_url=server) as ours,
    ):
        for client in (real, ours):
            await client.post("/messages/", content=chunks())

            assert heard.get(timeout=10) == {"body": b"012", "after": "http.disconnect"}


async def test_a_session_of_several_requests_goes_the_same_way(server: str) -> None:
    async def visit(client: httpx2.AsyncClient) -> list[Values]:
        return [read(await client.get(path)) for path in ("/whoami", "/login", "/whoami")]

    async with (
        httpx2.AsyncClient(base_url=server, verify=NO_TLS) as real,
        AsyncClient(app, base_url=server) as ours,
    ):
        assert await visit(ours) == await visit(real)


# The server and both clients are the same for all examples, on purpose.
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    segments=st.lists(TEXT, max_size=3),
    query=st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3),
    headers=st.dictionaries(
        st.from_regex(r"x-[a-z]{1,5}", fullmatch=True),
        st.from_regex(r"([!-~]{1,8})?", fullmatch=True),
        max_size=3,
    ),
    body=st.binary(max_size=200),
)
def test_every_request_looks_the_same_to_the_app(
    clients: tuple[httpx2.Client, httpx2.Client],
    segments: list[str],
    query: dict[str, str],
    headers: dict[str, str],
    body: bytes,
) -> None:
    url = "/echo/" + "/".join(segments)
    real, ours = clients

    expected = real.post(url, params=query, headers=headers, content=body)
    response = ours.post(url, params=query, headers=headers, content=body)

    assert read(response) == read(expected)
