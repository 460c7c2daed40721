"""`pytest-asgi doctor`: what there is, and what it means for a test run."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from pytest_asgi.plugin.discovery import find_app, not_found

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_NEEDED = ("pytest-asgi", "pytest", "httpx2", "greenlet")
_PEERS = {
    "pytest-asyncio": "stands aside: its tests and fixtures run on the session's loop",
    "anyio": "its plugin runs the tests whose anyio_backend is not asyncio",
    "pytest-trio": "runs the tests marked trio",
    "pytest-xdist": "each worker has a loop of its own",
    "uvloop": "can be the loop: asgi_loop = uvloop",
    "httpx": "can use pytest_asgi.httpx.ASGITransport",
}


def describe_project(folder: Path) -> Iterator[str]:
    """Describe the project in `folder`, a line at a time."""
    yield f"Python          {platform.python_version()} ({platform.system()})"
    for name in _NEEDED:
        yield f"{name:<15} {_version(name) or 'not installed'}"
    for name, meaning in _PEERS.items():
        installed = _version(name)
        if installed is not None:
            yield f"{name:<15} {installed} - {meaning}"
    found = find_app(folder, "")
    if found is None:
        yield f"app             {not_found(folder)}"
    else:
        yield f"app             {found.path} ({found.source})"


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
