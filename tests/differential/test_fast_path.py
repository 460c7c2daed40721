"""The fast paths beside httpx2's own client and transport: the app and the test see the same.

Whatever a test sends, whatever the app answers, in whatever order the test looks at it, and
whatever happens to the client meanwhile.
"""

from __future__ import annotations

import asyncio
import copy
import gzip
import inspect
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_asgi.asgi.types import Message, Receive, Scope, Send
from pytest_asgi.client.client import AsyncClient
from pytest_asgi.client.sync import TestClient
from tests.apps.plain import read_body, respond
from tests.promises import promise

# --- what requests and responses may look like ------------------------------------------------

NAMES = st.sampled_from(
    ["accept", "Authorization", "X-Token", "x-token", "User-Agent", "Host", "é"]
)
VALUES = st.sampled_from(["", "a", "Bearer 1", "ü", "text/html"])
HEADERS = st.none() | st.dictionaries(NAMES, VALUES, max_size=3)
SCALARS = st.sampled_from(["", "a b", "ü&=", 1, 0, -1, True, False, 1.0, None])
PARAMS = st.none() | st.dictionaries(
    st.sampled_from(["q", "a b", "ö"]), SCALARS | st.lists(SCALARS, max_size=2), max_size=3
)
URLS = st.sampled_from(
    [
        "/",
        "",
        "items",
        "/items/1",
        "/a b/%2F/ü",
        "/items?x=1",
        "/items?x=a%20b&y",
        "/items?x=%zz",
        "/items/../1",
        "/items/.hidden/v1.0/~a-b_c",
        "/users/2/",
        "/a//b",
        "/users/%2e%2e/x",
        "/a:b@c,d;e",
        "/items?",
        "//x",
        "/#part",
        "https://test/items",
        "http://other.example:8000/items?x=1",
        "http://user:secret@test/",
        "http://user@test/",
        "HTTP://TEST/x",
        "http://[::1]/",
        "mailto:x",
        "/\x00",
    ]
)
JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=4,
)
BODIES = st.one_of(
    st.just({}),
    st.builds(lambda value: {"json": value}, JSONS),
    st.builds(lambda value: {"content": value}, st.binary(max_size=5) | st.text(max_size=5)),
    st.builds(lambda value: {"data": value}, st.just({"field": "value"})),
    st.builds(lambda value: {"content": b"both", "json": value}, JSONS),
)
RESPONSE_HEADERS = st.lists(
    st.sampled_from(
        [
            (b"content-type", b"application/json"),
            (b"content-type", b"text/plain; charset=latin-1"),
            (b"set-cookie", b"a=1; Path=/"),
            (b"set-cookie", b"b=2; Max-Age=0"),
            (b"location", b"/next"),
            (b"location", b"http://other.example/next"),
            (b"location", b"http://["),
            (b"x-repeated", b"1"),
            (b"x-repeated", b"2"),
            (b"x-bytes", b"\xff"),
            (b"content-encoding", b"identity"),
            (b"content-encoding", b"gzip"),
        ]
    ),
    max_size=4,
)
RESPONSES = st.fixed_dictionaries(
    {
        "status": st.sampled_from([200, 201, 204, 301, 302, 303, 304, 307, 404, 500]),
        "headers": RESPONSE_HEADERS,
        "parts": st.lists(
            st.sampled_from(
                [b"", b"{}", b'{"a":', b"[1]}\n", b"\xe4", "ü".encode(), gzip.compress(b"{}")]
            ),
            max_size=3,
        ),
    }
)


# --- what may happen to the client, and to what was sent, before the test looks ---------------


def do_nothing(client: httpx2.AsyncClient | httpx2.Client, request: dict[str, Any]) -> None:
    pass


def change_headers(client: httpx2.AsyncClient | httpx2.Client, request: dict[str, Any]) -> None:
    client.headers["x-token"] = "later"


def change_base_url(client: httpx2.AsyncClient | httpx2.Client, request: dict[str, Any]) -> None:
    client.base_url = httpx2.URL("http://later/base/")


def change_params(client: httpx2.AsyncClient | httpx2.Client, request: dict[str, Any]) -> None:
    client.params = httpx2.QueryParams({"later": "1"})


def change_cookies(client: httpx2.AsyncClient | httpx2.Client, request: dict[str, Any]) -> None:
    client.cookies.set("later", "1")


def change_auth(client: httpx2.AsyncClient | httpx2.Client, request: dict[str, Any]) -> None:
    client.auth = ("later", "secret")


def change_request(client: httpx2.AsyncClient | httpx2.Client, request: dict[str, Any]) -> None:
    for name in ("headers", "params"):
        if request[name] is not None:
            request[name]["X-Later"] = "1"
    if isinstance(request["body"].get("json"), dict | list):
        request["body"]["json"].clear()


CHANGES = [
    do_nothing,
    change_headers,
    change_base_url,
    change_params,
    change_cookies,
    change_auth,
    change_request,
]
REQUESTS = st.fixed_dictionaries(
    {
        "method": st.sampled_from(
            ["GET", "get", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY", "BREW"]
        ),
        "url": URLS,
        "headers": HEADERS,
        "params": PARAMS,
        "body": BODIES,
        "options": st.sampled_from(
            [{}, {"follow_redirects": True}, {"follow_redirects": False}, {"auth": None}]
        ),
        "answer": RESPONSES,
        "then": st.sampled_from(CHANGES),
    }
)
CLIENTS = st.fixed_dictionaries(
    {
        "base_url": st.sampled_from(["http://test", "https://test/api", "http://test:81/a%20b/"]),
        "headers": st.sampled_from([None, {"x-token": "client"}, {"cookie": "own=1"}]),
        "params": st.sampled_from([None, {"p": "client"}]),
        "cookies": st.sampled_from([None, {"c": "client"}]),
        "follow_redirects": st.booleans(),
    }
)

LOOKS: dict[str, Any] = {
    "status_code": lambda response: response.status_code,
    "content": lambda response: response.content,
    "text": lambda response: response.text,
    "encoding": lambda response: response.encoding,
    "headers": lambda response: response.headers.raw,
    "cookies": lambda response: dict(response.cookies),
    "url": lambda response: str(response.url),
    "request": lambda response: look_at_request(response.request),
    "next_request": lambda response: look_at_request(response.next_request),
    "history": lambda response: [
        (step.status_code, look_at_request(step.request)) for step in response.history
    ],
    "extensions": lambda response: response.extensions,
    "http_version": lambda response: response.http_version,
    "reason_phrase": lambda response: response.reason_phrase,
    "is_closed": lambda response: response.is_closed,
    "is_stream_consumed": lambda response: response.is_stream_consumed,
    "num_bytes_downloaded": lambda response: response.num_bytes_downloaded,
    "default_encoding": lambda response: response.default_encoding,
    "is_success": lambda response: response.is_success,
    "has_redirect_location": lambda response: response.has_redirect_location,
    "links": lambda response: response.links,
    "repr": repr,
    "elapsed": lambda response: response.elapsed.total_seconds() >= 0,
    "read": lambda response: response.read(),
    "unknown": lambda response: hasattr(response, "unknown"),
    "pickle": lambda response: outcome(lambda: vars_of(pickle.loads(pickle.dumps(response)))),
    "copy": lambda response: vars_of(copy.copy(response)),
    "deepcopy": lambda response: outcome(lambda: vars_of(copy.deepcopy(response))),
    "raise_for_status": lambda response: outcome(response.raise_for_status),
    "json": lambda response: outcome(response.json),
}


def look_at_request(request: httpx2.Request | None) -> Any:
    if request is None:
        return None
    return (
        request.method,
        str(request.url),
        request.headers.raw,
        outcome(lambda: request.content),
        request.extensions,
    )


def vars_of(response: httpx2.Response) -> Any:
    return (type(response), response.status_code, response.content, response.headers.raw)


def outcome(call: Any) -> Any:
    """Return what a call gives, or what kind of exception it raises and its text."""
    try:
        value = call()
    except Exception as error:  # noqa: BLE001 - compared
        return type(error), str(error)
    return "itself" if isinstance(value, httpx2.Response) else repr(value)


# --- all ways ---------------------------------------------------------------------------------


class Answering:
    """An app that answers as it is told, and keeps what it sees."""

    def __init__(self) -> None:
        self.seen: list[Any] = []
        self.answers: list[dict[str, Any]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await read_body(receive)
        self.seen.append(({name: scope[name] for name in OF_REQUEST}, scope["server"], body))
        if scope["path"].endswith("/next"):
            await respond(send, b"next")
            return
        answer = self.answers[-1]
        start: Message = {"type": "http.response.start", "headers": answer["headers"]}
        await send({**start, "status": answer["status"]})
        for part in answer["parts"][:-1]:
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b"".join(answer["parts"][-1:])})


# What a client has no choice about. Of the server, httpx2's own transport does not tell the port.
OF_REQUEST = (
    "type",
    "http_version",
    "method",
    "scheme",
    "path",
    "raw_path",
    "query_string",
    "root_path",
    "headers",
    "client",
)

AGENT = {"user-agent": "testclient"}
ADDRESS = ("testclient", 50000)


def make_ours(app: Answering, options: dict[str, Any]) -> httpx2.AsyncClient:
    return AsyncClient(app, client=ADDRESS, rules="off", **options)


def make_sync(app: Answering, options: dict[str, Any]) -> httpx2.Client:
    options = {**options}
    params = options.pop("params")
    client = TestClient(app, client=ADDRESS, rules="off", **options)
    if params is not None:
        client.params = params
    return client


def make_httpx2s(app: Answering, options: dict[str, Any]) -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(app, client=ADDRESS)
    return httpx2.AsyncClient(transport=transport, timeout=None, trust_env=False, **options)


async def converse(
    make: Callable[[Answering, dict[str, Any]], httpx2.AsyncClient | httpx2.Client],
    options: dict[str, Any],
    requests: list[dict[str, Any]],
    order: list[str],
) -> Any:
    """Return what the app sees and what the responses show, in the order of the looks."""
    app = Answering()
    client = make(app, {**options, "headers": {**AGENT, **(options["headers"] or {})}})
    shown: list[Any] = []
    for described in requests:
        request = copy.deepcopy(described)
        app.answers.append(request["answer"])
        try:
            sending = client.request(
                request["method"],
                request["url"],
                headers=request["headers"],
                params=request["params"],
                **request["body"],
                **request["options"],
            )
            response = await sending if inspect.isawaitable(sending) else sending
        except Exception as error:  # noqa: BLE001 - compared
            shown.append((type(error), str(error)))
        else:
            request["then"](client, request)
            shown.append([(name, LOOKS[name](response)) for name in order])
            shown.append(sorted(vars(response).keys() - OF_THE_WAY))
        shown.append(sorted((c.name, c.value, c.domain) for c in client.cookies.jar))
    return app.seen, shown


# What depends on how the response was read, and not on what it is.
OF_THE_WAY = {"_decoder", "_elapsed", "_finish", "_raw_headers"}


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


def compare(make: Any, options: Any, requests: Any, order: Any, runner: asyncio.Runner) -> None:
    ours = converse(make, options, requests, order)
    if make is make_sync:
        with pytest.raises(StopIteration) as returned:
            ours.send(None)
        seen, shown = returned.value.value
    else:
        seen, shown = runner.run(ours)
    seen_by_httpx2s, shown_by_httpx2s = runner.run(
        converse(make_httpx2s, options, requests, order)
    )

    assert [one[0] for one in seen] == [one[0] for one in seen_by_httpx2s]
    assert seen == [
        (scope, (host, port or {"http": 80, "https": 443}[scope["scheme"]]), body)
        for scope, (host, port), body in seen_by_httpx2s
    ]
    for mine, httpx2s in zip(shown, shown_by_httpx2s, strict=True):
        assert mine == httpx2s


CASES = {
    "options": CLIENTS,
    "requests": st.lists(REQUESTS, min_size=1, max_size=3),
    "order": st.permutations(sorted(LOOKS)),
}
# Thousands of them take longer than one test may on a busy machine. Each share has its own random
# numbers: Hypothesis takes them from the whole name of a test, its parameters included.
SHARE = settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@promise("client.fast-path")
@pytest.mark.parametrize("share", range(4))
@SHARE
@given(**CASES)
def test_the_async_client_does_what_httpx2s_own_does(
    share: int, runner: asyncio.Runner, options: Any, requests: Any, order: Any
) -> None:
    compare(make_ours, options, requests, order, runner)


@promise("client.fast-path")
@pytest.mark.parametrize("share", range(2))
@SHARE
@given(**CASES)
def test_the_sync_client_does_what_httpx2s_own_does(
    share: int, runner: asyncio.Runner, options: Any, requests: Any, order: Any
) -> None:
    compare(make_sync, options, requests, order, runner)
