"""For suites on HTTPX 0.28: `pytest_asgi.httpx.ASGITransport`. Loads HTTPX at its first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_asgi.adapters.httpx import ASGITransport

__all__ = ["ASGITransport"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from pytest_asgi.adapters.httpx import ASGITransport  # noqa: PLC0415 - optional, on demand

    return ASGITransport
