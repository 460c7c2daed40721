"""The worker threads of synchronous endpoints: the same for all requests, and none at the end."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TypeAlias

import anyio.to_thread
import pytest

from pytest_asgi.asgi.types import Receive, Scope, Send
from pytest_asgi.client.client import AsyncClient
from pytest_asgi.client.portal import run_coroutine
from pytest_asgi.client.sync import TestClient
from tests.apps.plain import require_http, respond
from tests.promises import promise


@pytest.fixture
def alone() -> Iterator[None]:
    """Nobody gives the client a loop, as in a plain script."""
    token = run_coroutine.set(None)
    yield
    run_coroutine.reset(token)


class Working:
    """An app that answers in a worker thread."""

    def __init__(self) -> None:
        # Threads, because their numbers are given again.
        self.workers: list[threading.Thread] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        require_http(scope)
        await anyio.to_thread.run_sync(self._work)
        await respond(send, b"")

    def _work(self) -> None:
        self.workers.append(threading.current_thread())


Use: TypeAlias = Callable[[TestClient], AbstractContextManager[object]]


def enter(client: TestClient) -> TestClient:
    return client


USES = pytest.mark.parametrize("use", [nullcontext, enter])


def ask(client: TestClient, use: Use) -> None:
    with use(client):
        for _ in range(3):
            client.get("/")


@promise("client.workers")
@USES
def test_requests_of_a_sync_test_share_a_worker(use: Use) -> None:
    app = Working()

    ask(TestClient(app), use)

    assert len(set(app.workers)) == 1


@promise("client.workers")
@USES
def test_requests_of_a_script_share_a_worker(use: Use, alone: None) -> None:
    app = Working()
    client = TestClient(app)

    ask(client, use)

    assert len(set(app.workers)) == 1
    client.close()


@promise("client.workers")
@USES
async def test_requests_of_an_async_test_share_a_worker(use: Use) -> None:
    app = Working()

    ask(TestClient(app), use)
    await AsyncClient(app).get("/")

    assert len(set(app.workers)) == 1


@USES
def test_requests_to_an_app_in_its_own_thread_share_a_worker(use: Use) -> None:
    app = Working()
    client = TestClient(app, in_thread=True)

    ask(client, use)

    assert len(set(app.workers)) == 1
    client.close()


@promise("client.workers")
@pytest.mark.parametrize("end", [TestClient.close, id], ids=["closed", "forgotten"])
def test_a_worker_ends_with_its_client(end: Callable[[TestClient], object], alone: None) -> None:
    app = Working()
    client = TestClient(app)
    client.get("/")
    end(client)

    del client
    gc.collect()

    app.workers[0].join(timeout=30)
    assert not app.workers[0].is_alive()


SCRIPT = """
import threading

import anyio.to_thread
from pytest_asgi import TestClient


async def app(scope, receive, send):
    await anyio.to_thread.run_sync(int)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body"})


client = TestClient(app)
for _ in range(2):
    client.get("/")
thread = threading.Thread(target=client.get, args=["/"])
thread.start()
thread.join()
print("last line")
"""


@promise("client.workers")
def test_a_client_that_nobody_closes_does_not_keep_python_from_ending(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")

    ended = subprocess.run(
        [sys.executable, "-W", "error", script],
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=True,
    )

    assert (ended.stdout, ended.stderr) == ("last line\n", "")
