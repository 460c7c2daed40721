"""Pools, connections and clients of libraries are named by what the user calls them."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType

import httpx2
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from tests.runner.foreign_loops.errors import (
    Explain,
    failure,
    pending_future,
    required,
    unwrapped,
)


async def query(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        await connection.execute(text("select 1"))
        await asyncio.sleep(0)


async def query_twice(engine: AsyncEngine) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(query(engine))
        group.create_task(query(engine))


def test_a_pool_of_sqlalchemy_is_named_by_its_engine(
    tmp_path: Path,
    session_loop: asyncio.AbstractEventLoop,
    note: Callable[..., str],
) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'shop.db'}"
    engine = create_async_engine(url, pool_size=1, max_overflow=0)
    asyncio.run(query_twice(engine))

    text_of_note = unwrapped(note(lambda: query_twice(engine)))

    assert "`engine`, of type sqlalchemy.ext.asyncio.engine.AsyncEngine" in text_of_note
    assert "`engine.sync_engine.pool._pool._queue`, of type" in text_of_note
    assert "async with engine.connect() as connection:" in text_of_note
    session_loop.run_until_complete(engine.dispose())


class KeepAlive(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(204)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    block_on_close = False

    def handle_error(self, *_: object) -> None:
        """Let clients go as they like."""


@pytest.fixture
def server_port() -> Iterator[int]:
    with Server(("127.0.0.1", 0), KeepAlive) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_a_connection_of_httpx2_is_named_by_its_client(
    server_port: int,
    session_loop: asyncio.AbstractEventLoop,
    other_loop: asyncio.AbstractEventLoop,
    note_of: Explain,
) -> None:
    def use_in_both_loops() -> None:
        client = httpx2.AsyncClient(
            base_url=f"http://127.0.0.1:{server_port}",
            limits=httpx2.Limits(keepalive_expiry=None),  # a slow machine may need long
            trust_env=False,
        )

        async def test() -> None:
            await client.get("/")

        try:
            other_loop.run_until_complete(test())
            session_loop.run_until_complete(test())
        finally:
            other_loop.run_until_complete(client.aclose())

    def use_until_a_connection_is_kept() -> None:
        for _ in range(20):  # the client may take a new one, and then nothing is wrong
            use_in_both_loops()

    text_of_note = required(note_of(failure(use_until_a_connection_is_kept)))

    assert "`client`, of type httpx2.AsyncClient" in text_of_note
    assert "  through   an object of type asyncio.locks.Event" in text_of_note
    assert 'await client.get("/")' in text_of_note


# Keeps the loop it first meets and gives a database or a collection for every attribute, as
# Motor does (https://motor.readthedocs.io/en/stable/api-asyncio/asyncio_motor_client.html).
MOTOR_LIKE = """\
import asyncio

class Collection:
    def __init__(self, client):
        self.client = client

    def find_one(self):
        return self.client.io_loop.run_in_executor(None, dict)

class Client:
    _io_loop = None

    @property
    def io_loop(self):
        if self._io_loop is None:
            self._io_loop = asyncio.get_running_loop()
        return self._io_loop

    def __getattr__(self, name):
        return Collection(self)
"""


@pytest.mark.parametrize("state", ["closed", "open"])
def test_a_client_that_keeps_its_loop_as_motor_does_is_named(
    state: str,
    world: Callable[[str, str], ModuleType],
    other_loop: asyncio.AbstractEventLoop,
    note: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = world("site-packages/motor_asyncio", MOTOR_LIKE).Client()
    monkeypatch.chdir(Path(__file__).parent)

    async def test() -> None:
        await client.users.find_one()

    other_loop.run_until_complete(test())
    if state == "closed":
        other_loop.close()

    text_of_note = note(test)

    assert "  object    `client`, of type motor_asyncio.Client\n" in text_of_note
    assert "await client.users.find_one()" in text_of_note
    assert f"  its loop  {state}, made by asyncio.new_event_loop at" in text_of_note


def test_a_protocol_that_only_notices_that_it_is_busy_is_explained(
    note: Callable[..., str],
) -> None:
    interface_error = type("InterfaceError", (Exception,), {"__module__": "asyncpg.exceptions"})
    connection = asyncio.run(pending_future())

    async def test() -> None:
        assert not connection.done()
        raise interface_error("cannot perform operation: another operation is in progress")

    assert "`connection`, of type asyncio.Future" in note(test)
