"""A real server for the app that the tests also call in process."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvicorn

from pytest_asgi.asgi.types import ASGIApp
from tests.apps import web, websockets


class Server(uvicorn.Server):
    """A server in a thread, which tells when it is ready."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


@contextmanager
def serve(app: ASGIApp, **options: Any) -> Iterator[str]:
    """Run the app behind uvicorn; the URL is the value of the block."""
    server = Server(uvicorn.Config(app, http="h11", log_level="critical", **options))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        assert server.ready.wait(timeout=30)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The URL of the app behind uvicorn."""
    with serve(web.app, ws="none", lifespan="on") as url:
        yield url


@pytest.fixture(scope="session")
def websocket_server() -> Iterator[str]:
    """The URL of the app with WebSocket connections behind uvicorn."""
    with serve(websockets.app, ws="wsproto", lifespan="off") as url:
        yield url
