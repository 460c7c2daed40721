"""The synchronous client, like Starlette's in one more thing: its app runs in another thread."""

from __future__ import annotations

from typing import Any

from pytest_asgi.client import sync


class TestClient(sync.TestClient):
    """A `TestClient` that runs its app in a thread of its own unless it is told not to."""

    def __init__(self, *args: Any, in_thread: bool = True, **options: Any) -> None:
        __tracebackhide__ = True
        super().__init__(*args, in_thread=in_thread, **options)
