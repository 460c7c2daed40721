"""The fast path: when it is taken, and that nothing stays behind.

That it does what httpx2's own code does is proved in tests/differential/test_fast_path.py.
"""

from __future__ import annotations

import ast
import gc
import inspect
import logging
import weakref
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from pytest_asgi.asgi.types import Receive, Scope, Send
from pytest_asgi.client import client as async_client
from pytest_asgi.client import fast_path, plans, sync
from pytest_asgi.client.client import AsyncClient
from pytest_asgi.client.lazy_response import LazyResponse
from tests.apps.plain import echo, hello, respond


async def test_a_plain_request_is_answered_with_a_lazy_response() -> None:
    response = await AsyncClient(hello).get("/")

    assert (response.status_code, response.content) == (200, b"hello")
    assert type(response) is LazyResponse


async def test_a_lazy_response_becomes_a_plain_one_at_a_closer_look() -> None:
    response = await AsyncClient(hello).get("/")

    assert str(response.url) == "http://test/"
    assert type(response) is httpx2.Response


async def test_the_headers_alone_are_no_closer_look() -> None:
    response = await AsyncClient(hello).get("/")
    headers = response.headers
    headers["x-own"] = "1"

    assert type(response) is LazyResponse
    assert str(response.url) == "http://test/"
    assert response.headers is headers


async def test_what_was_set_before_the_closer_look_stays() -> None:
    response = await AsyncClient(hello).get("/")
    response.default_encoding = "latin-1"
    response.status_code = 201

    assert (response.encoding, response.reason_phrase) == ("latin-1", "Created")


@pytest.mark.parametrize(
    "request_",
    [
        {"params": {"q": 1}},
        {"headers": {"authorization": "Bearer 1"}},
        {"json": {"a": [1, None]}},
        {"content": b"bytes"},
        {"content": "text"},
    ],
    ids=str,
)
async def test_what_tests_usually_send_takes_the_fast_path(request_: dict[str, Any]) -> None:
    response = await AsyncClient(echo).post("/items", **request_)

    assert type(response) is LazyResponse


async def test_json_that_cannot_be_encoded_is_refused_as_httpx2_refuses_it() -> None:
    circle: list[Any] = []
    circle.append(circle)

    with pytest.raises(ValueError, match="Circular reference"):
        await AsyncClient(echo).post("/", json=circle)
    with pytest.raises(TypeError, match="not JSON serializable"):
        await AsyncClient(echo).post("/", json=object())
    with pytest.raises(ValueError, match="not JSON compliant"):
        await AsyncClient(echo).post("/", json=float("nan"))


def with_hook(client: AsyncClient) -> None:
    async def hook(request: httpx2.Request) -> None:
        request.headers["x-hook"] = "1"

    client.event_hooks["request"].append(hook)


def with_auth(client: AsyncClient) -> None:
    client.auth = ("user", "secret")


def with_timeout(client: AsyncClient) -> None:
    client.timeout = httpx2.Timeout(10)


def with_cookie_header(client: AsyncClient) -> None:
    client.headers["cookie"] = "own=1"


@pytest.mark.parametrize("change", [with_hook, with_auth, with_timeout, with_cookie_header])
async def test_a_client_that_is_changed_leaves_the_fast_path(
    change: Callable[[AsyncClient], None],
) -> None:
    client = AsyncClient(hello)
    await client.get("/")
    change(client)

    assert type(await client.get("/")) is httpx2.Response


@pytest.mark.parametrize(
    "options",
    [
        {"params": {"flag": True}},
        {"params": {"many": ["a", "b"]}},
        {"params": [("q", "1")]},
        {"headers": [("x-repeated", "1"), ("x-repeated", "2")]},
        {"headers": {"content-length": "0"}},
        {"auth": ("user", "secret")},
        {"extensions": {"asgi.scope": {"root_path": "/api"}}},
        {"timeout": 10},
    ],
    ids=str,
)
async def test_unusual_requests_leave_the_fast_path(options: dict[str, Any]) -> None:
    response = await AsyncClient(hello).get("/", **options)

    assert type(response) is httpx2.Response


async def test_changed_headers_of_the_client_are_sent() -> None:
    client = AsyncClient(echo)
    await client.get("/")
    client.headers["x-token"] = "1"

    response = await client.get("/")

    assert type(response) is LazyResponse
    assert ["x-token", "1"] in response.json()["headers"]


async def test_the_request_of_a_response_is_what_was_sent_then() -> None:
    client = AsyncClient(echo, headers={"x-token": "then"})
    response = await client.post("/items", json={"a": 1})
    client.headers["x-token"] = "now"
    client.base_url = httpx2.URL("http://elsewhere")
    client.cookies.set("late", "1")

    request = response.request

    assert str(request.url) == "http://test/items"
    assert request.headers["x-token"] == "then"
    assert "cookie" not in request.headers
    assert request.content == b'{"a":1}'


async def test_a_request_is_logged_if_somebody_listens(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "httpx2"):
        await AsyncClient(hello).get("/")

    assert caplog.messages == ['HTTP Request: GET http://test/ "HTTP/1.1 200 OK"']


async def test_cookies_that_the_app_sets_are_sent_from_then_on() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/login":
            start = {"type": "http.response.start", "status": 204}
            await send({**start, "headers": [(b"set-cookie", b"session=1")]})
            await send({"type": "http.response.body"})
        else:
            cookies = [value for name, value in scope["headers"] if name == b"cookie"]
            await respond(send, b"".join(cookies))

    client = AsyncClient(app)
    await client.get("/login")

    response = await client.get("/")

    assert response.content == b"session=1"
    assert type(response) is LazyResponse
    assert response.request.headers["cookie"] == "session=1"


async def test_a_release_of_httpx2_without_what_it_needs_has_no_fast_path(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fast_path, "_ATTRIBUTES", ("_auth", "_moved"))

    response = await AsyncClient(hello).get("/")

    assert type(response) is httpx2.Response


@pytest.mark.parametrize("path", ["/users/{}", "/users?id={}", "/users/{}/ä"])
async def test_plans_are_kept_but_not_without_end(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plans, "_MOST_KEPT", 10)
    client = AsyncClient(hello)
    for number in range(25):
        await client.get(path.format(number))

    fast = client._fast
    assert fast is not None
    assert fast._plans is not None
    assert len(fast._found) <= 10
    assert len(fast._plans._plans) <= 10


async def test_clients_that_are_configured_alike_share_their_plans() -> None:
    clients = [AsyncClient(hello, headers={"x-token": token}) for token in ("one", "two", "two")]
    for client in clients:
        await client.get("/")

    first, second, third = (client._fast._plans for client in clients if client._fast is not None)
    assert second is third
    assert first is not second


def test_what_httpx2_may_move_is_listed() -> None:
    trees = (ast.parse(inspect.getsource(module)) for module in (async_client, sync, fast_path))
    asked = {
        node.attr
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and not node.attr.startswith("__")
    }
    private = {name for name in dir(httpx2.AsyncClient()) if name[0] == "_"}

    assert asked & private == {*fast_path._ATTRIBUTES}


async def test_nothing_stays_of_a_client_and_its_responses() -> None:
    client = AsyncClient(hello)
    responses = [await client.get("/") for _ in range(3)]
    kept = [weakref.ref(thing) for thing in (client, *responses)]

    del client, responses
    gc.collect()

    assert [reference() for reference in kept] == [None] * 4


@pytest.mark.parametrize("send", ["get", "stream"])
async def test_many_requests_leave_nothing_behind(send: str) -> None:
    async def ask(times: int) -> None:
        for _ in range(times):
            if send == "get":
                await client.get("/")
            else:
                async with client.stream("GET", "/") as response:
                    await response.aread()

    client = AsyncClient(hello)
    await ask(100)
    gc.collect()
    before = len(gc.get_objects())

    await ask(2_000)

    gc.collect()
    assert len(gc.get_objects()) - before < 100
