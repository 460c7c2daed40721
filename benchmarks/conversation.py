"""What one part of a stream and one message of a WebSocket cost, client and application together.

CPU time of the whole process, threads included. A WebSocket's message is sent and echoed before
the next one.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from benchmarks.apps import Message
from benchmarks.clients import WrongAnswerError
from benchmarks.processes import Workspace
from benchmarks.results import Column, Result, Table, Target, Verdict
from benchmarks.rounds import Plan, Samples, Spread, measure_interleaved, ratios

FULL = Plan(rounds=5, size=2_000)
QUICK = Plan(rounds=3, size=300)

_OURS = "pytest-asgi AsyncClient"
_COST = Column("us each", 1)
_SHARE = Column("of AsyncClient's", 2)
_PART = b"part of a stream"

# What ours may cost beside the quickest of the other clients, which check no rules.
_TARGET = Target(1)


@dataclass(frozen=True)
class _Peer:
    """A client, and how many seconds it takes for a number of parts or messages."""

    name: str
    package: str
    measure: Callable[[int], float]


def run(plan: Plan, workspace: Workspace) -> Result:
    """Let every client hold the same conversations."""
    tables, samples, verdicts = [], {}, []
    for title, peers in {"parts of a stream": _STREAMS, "WebSocket echoes": _SOCKETS}.items():
        present = [peer for peer in peers if find_spec(peer.package) is not None]
        measured = measure_interleaved(
            {f"{title}: {peer.name}": partial(_seconds_each, peer, plan.size) for peer in present},
            rounds=plan.rounds,
        )
        tables.append(_tabulate(title, measured))
        samples.update(measured)
        if len(present) > 1:
            verdicts.append(_judge(title, measured))
    return Result(tables, samples, verdicts)


def _judge(title: str, samples: Samples) -> Verdict:
    ours = samples[f"{title}: {_OURS}"]
    others = {
        name: Spread.of(ratios(ours, costs)).median
        for name, costs in samples.items()
        if "pytest-asgi" not in name
    }
    quickest = max(others, key=others.__getitem__)
    return Verdict(f"{_OURS}, share of {quickest}", others[quickest], _TARGET)


def _seconds_each(peer: _Peer, count: int) -> float:
    return peer.measure(count) / count


def _tabulate(title: str, samples: Samples) -> Table:
    ours = samples[f"{title}: {_OURS}"]
    rows: dict[str, Mapping[str, Spread]] = {
        name.removeprefix(f"{title}: "): {
            _COST.title: Spread.of(costs).scaled(1e6),
            _SHARE.title: Spread.of(ratios(costs, ours)),
        }
        for name, costs in samples.items()
    }
    return Table(title, (_COST, _SHARE), rows)


# --- the application -----------------------------------------------------------------------------


async def _app(
    scope: Message,
    receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
) -> None:
    """Stream as many parts as the path says, or echo each message of a WebSocket."""
    if scope["type"] == "websocket":
        await _echo(receive, send)
    elif scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(int(scope["path"].strip("/"))):
            await send({"type": "http.response.body", "body": _PART, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    else:
        for phase in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{phase}.complete"})


async def _echo(
    receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})


# --- streams -------------------------------------------------------------------------------------


def _stream_ours(count: int) -> float:
    async def read() -> float:
        async with import_module("pytest_asgi").AsyncClient(app=_app) as client:
            start = time.process_time()
            async with client.stream("GET", f"/{count}") as response:
                _expect(sum([len(part) async for part in response.aiter_raw()]), count)
            return time.process_time() - start

    return asyncio.run(read())


def _stream_async_asgi_testclient(count: int) -> float:
    async def read() -> float:
        async with import_module("async_asgi_testclient").TestClient(_app) as client:
            start = time.process_time()
            response = await client.get(f"/{count}", stream=True)
            _expect(sum([len(part) async for part in response.iter_content(len(_PART))]), count)
            return time.process_time() - start

    return asyncio.run(read())


def _stream_test_client(count: int, *, module: str) -> float:
    with import_module(module).TestClient(_app) as client:
        start = time.process_time()
        with client.stream("GET", f"/{count}") as response:
            _expect(sum(len(part) for part in response.iter_raw()), count)
        return time.process_time() - start


def _expect(size: int, count: int) -> None:
    if size != count * len(_PART):
        raise WrongAnswerError(f"The client read {size} bytes instead of {count * len(_PART)}.")


# --- WebSockets ----------------------------------------------------------------------------------


def _socket_ours(count: int) -> float:
    async def talk() -> float:
        async with (
            import_module("pytest_asgi").AsyncClient(app=_app) as client,
            client.websocket("/") as socket,
        ):
            return await _talk(socket.send_text, socket.receive_text, count)

    return asyncio.run(talk())


def _socket_httpx2(count: int) -> float:
    async def talk() -> float:
        library = import_module("httpx2")
        transport = import_module("httpx2.websockets").ASGIWebSocketTransport(_app)
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(library.AsyncClient(transport=transport))
            socket = await stack.enter_async_context(client.websocket("ws://test/"))
            return await _talk(socket.send_text, socket.receive_text, count)

    return asyncio.run(talk())


def _socket_async_asgi_testclient(count: int) -> float:
    async def talk() -> float:
        async with (
            import_module("async_asgi_testclient").TestClient(_app) as client,
            client.websocket_connect("/") as socket,
        ):
            return await _talk(socket.send_text, socket.receive_text, count)

    return asyncio.run(talk())


def _socket_test_client(count: int, *, module: str) -> float:
    client = import_module(module).TestClient(_app)
    with client, client.websocket_connect("/") as socket:
        start = time.process_time()
        for _ in range(count):
            socket.send_text("hello")
            _expect_echo(socket.receive_text())
        return time.process_time() - start


async def _talk(
    send: Callable[[str], Awaitable[object]], receive: Callable[[], Awaitable[Any]], count: int
) -> float:
    start = time.process_time()
    for _ in range(count):
        await send("hello")
        _expect_echo(await receive())
    return time.process_time() - start


def _expect_echo(text: object) -> None:
    if text != "hello":
        raise WrongAnswerError(f"The app echoed {text!r}.")


_TEST_CLIENTS = {
    "pytest-asgi TestClient": "pytest_asgi",
    "Starlette TestClient": "starlette.testclient",
}
_STREAMS = (
    _Peer(_OURS, "pytest_asgi", _stream_ours),
    _Peer("async-asgi-testclient", "async_asgi_testclient", _stream_async_asgi_testclient),
    *(
        _Peer(name, module.partition(".")[0], partial(_stream_test_client, module=module))
        for name, module in _TEST_CLIENTS.items()
    ),
)
_SOCKETS = (
    _Peer(_OURS, "pytest_asgi", _socket_ours),
    _Peer("httpx2", "wsproto", _socket_httpx2),
    _Peer("async-asgi-testclient", "async_asgi_testclient", _socket_async_asgi_testclient),
    *(
        _Peer(name, module.partition(".")[0], partial(_socket_test_client, module=module))
        for name, module in _TEST_CLIENTS.items()
    ),
)
