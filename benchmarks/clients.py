"""The clients that send the requests, each used as its documentation shows.

A client is opened for one call and yields a function that sends it once, looks at the answer as a
test does, and returns what the answer said, or an awaitable of it.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
)
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from benchmarks.apps import Call, Message


class WrongAnswerError(Exception):
    """A client did not bring back what the application said."""


SendAsync = Callable[[], Awaitable[object]]
SendSync = Callable[[], object]


@dataclass(frozen=True)
class AsyncPeer:
    """A client whose requests are awaited."""

    name: str
    package: str
    open: Callable[[Call], AbstractAsyncContextManager[SendAsync]]


@dataclass(frozen=True)
class SyncPeer:
    """A client whose requests block."""

    name: str
    package: str
    open: Callable[[Call], AbstractContextManager[SendSync]]


Peer = AsyncPeer | SyncPeer


@asynccontextmanager
async def _call_directly(call: Call) -> AsyncIterator[SendAsync]:
    """No client at all: the price of the application itself."""
    body = json.dumps(call.json).encode() if call.json else b""
    headers = [(b"host", b"test"), (b"content-length", str(len(body)).encode())]
    paths = call.list_paths()

    async def send_request() -> object:
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        await call.app(_build_scope(call.method, next(paths), headers), receive, send)
        return json.loads(sent[1]["body"])

    yield send_request


def _build_scope(method: str, path: str, headers: list[tuple[bytes, bytes]]) -> Message:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 123),
        "server": ("test", None),
    }


@asynccontextmanager
async def _open_ours(call: Call) -> AsyncIterator[SendAsync]:
    library = import_module("pytest_asgi")
    async with library.AsyncClient(app=call.app, base_url="http://test") as client:
        yield _await_content(client, call)


@asynccontextmanager
async def _open_httpx(call: Call, *, package: str) -> AsyncIterator[SendAsync]:
    library = import_module(package)
    transport = library.ASGITransport(app=call.app)
    async with library.AsyncClient(transport=transport, base_url="http://test") as client:
        yield _await_content(client, call)


@asynccontextmanager
async def _open_async_asgi_testclient(call: Call) -> AsyncIterator[SendAsync]:
    library = import_module("async_asgi_testclient")
    async with library.TestClient(call.app) as client:
        yield _await_content(client, call)


@contextmanager
def _open_test_client(call: Call, *, module: str, enter: bool) -> Iterator[SendSync]:
    client = import_module(module).TestClient(call.app)
    send = _bind_request(client, call)
    if enter:
        with client:
            yield lambda: _read(send(), call)
    else:
        yield lambda: _read(send(), call)


def _await_content(client: Any, call: Call) -> SendAsync:
    send = _bind_request(client, call)

    async def send_request() -> object:
        return _read(await send(), call)

    return send_request


def _bind_request(client: Any, call: Call) -> Callable[[], Any]:
    paths = call.list_paths()
    if call.json is None:
        return lambda: client.get(next(paths))
    return lambda: client.post(next(paths), json=call.json)


def _read(response: Any, call: Call) -> object:
    """Look at what a test looks at: a client may leave the rest unmade."""
    if response.status_code != HTTPStatus.OK:
        raise WrongAnswerError(f"The client brought the status {response.status_code}.")
    if call.reads_headers and response.headers["content-type"] != "application/json":
        raise WrongAnswerError(f"The client brought the headers {response.headers}.")
    return response.json()


DIRECT = AsyncPeer("direct ASGI call", "json", _call_directly)
OURS = AsyncPeer("pytest-asgi AsyncClient", "pytest_asgi", _open_ours)
HTTPX2 = AsyncPeer("httpx2", "httpx2", partial(_open_httpx, package="httpx2"))
OUR_TEST_CLIENT = SyncPeer(
    "pytest-asgi TestClient",
    "pytest_asgi",
    partial(_open_test_client, module="pytest_asgi", enter=False),
)
OUR_ENTERED_TEST_CLIENT = SyncPeer(
    "pytest-asgi TestClient, in a with block",
    "pytest_asgi",
    partial(_open_test_client, module="pytest_asgi", enter=True),
)
TEST_CLIENT = SyncPeer(
    "Starlette TestClient",
    "starlette",
    partial(_open_test_client, module="starlette.testclient", enter=False),
)
ENTERED_TEST_CLIENT = SyncPeer(
    "Starlette TestClient, in a with block",
    "starlette",
    partial(_open_test_client, module="starlette.testclient", enter=True),
)
_PEERS: tuple[Peer, ...] = (
    DIRECT,
    OURS,
    HTTPX2,
    AsyncPeer("httpx", "httpx", partial(_open_httpx, package="httpx")),
    AsyncPeer("async-asgi-testclient", "async_asgi_testclient", _open_async_asgi_testclient),
    OUR_TEST_CLIENT,
    OUR_ENTERED_TEST_CLIENT,
    TEST_CLIENT,
    ENTERED_TEST_CLIENT,
)


def list_installed_peers() -> list[Peer]:
    """Return the clients that this environment has, the direct call first."""
    return [peer for peer in _PEERS if find_spec(peer.package) is not None]
