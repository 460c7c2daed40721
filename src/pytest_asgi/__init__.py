"""Test async Python web apps: one loop, one task and one context per test.

The names below are imported when they are first used, so that loading the pytest plugin loads
no HTTP client.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_asgi.asgi.departures import Departure
    from pytest_asgi.client.client import AsyncClient
    from pytest_asgi.client.sync import TestClient
    from pytest_asgi.client.transport import ASGITransport
    from pytest_asgi.database.changes import Deleted, Inserted, Updated
    from pytest_asgi.database.database import Database, SyncDatabase
    from pytest_asgi.database.queries import Queries
    from pytest_asgi.errors import (
        AppError,
        AppNotFoundError,
        AsgiError,
        AsgiWarning,
        BlockedLoopError,
        BridgeError,
        CancelledTestError,
        ClockError,
        DatabaseError,
        DatabaseRefusedError,
        DeadlockError,
        FixtureError,
        HungTestError,
        IsolationError,
        LeakError,
        LifespanError,
        MissingExtraError,
        ProtocolError,
        ProtocolWarning,
        RunnerError,
        SettingsError,
        VerificationError,
        WebSocketDisconnect,
        WebSocketError,
        WebSocketInvalidTypeReceived,
        WebSocketRejectedError,
        WebSocketUpgradeError,
    )
    from pytest_asgi.runner.clock.clock import Clock, SyncClock

__all__ = [
    "ASGITransport",
    "AppError",
    "AppNotFoundError",
    "AsgiError",
    "AsgiWarning",
    "AsyncClient",
    "BlockedLoopError",
    "BridgeError",
    "CancelledTestError",
    "Clock",
    "ClockError",
    "Database",
    "DatabaseError",
    "DatabaseRefusedError",
    "DeadlockError",
    "Deleted",
    "Departure",
    "FixtureError",
    "HungTestError",
    "Inserted",
    "IsolationError",
    "LeakError",
    "LifespanError",
    "MissingExtraError",
    "ProtocolError",
    "ProtocolWarning",
    "Queries",
    "RunnerError",
    "SettingsError",
    "SyncClock",
    "SyncDatabase",
    "TestClient",
    "Updated",
    "VerificationError",
    "WebSocketDisconnect",
    "WebSocketError",
    "WebSocketInvalidTypeReceived",
    "WebSocketRejectedError",
    "WebSocketUpgradeError",
]

_HOMES = {
    "ASGITransport": "pytest_asgi.client.transport",
    "AsyncClient": "pytest_asgi.client.client",
    "Clock": "pytest_asgi.runner.clock.clock",
    "Database": "pytest_asgi.database.database",
    "Deleted": "pytest_asgi.database.changes",
    "Departure": "pytest_asgi.asgi.departures",
    "Inserted": "pytest_asgi.database.changes",
    "Queries": "pytest_asgi.database.queries",
    "SyncClock": "pytest_asgi.runner.clock.clock",
    "SyncDatabase": "pytest_asgi.database.database",
    "TestClient": "pytest_asgi.client.sync",
    "Updated": "pytest_asgi.database.changes",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES.get(name, "pytest_asgi.errors")), name)


def __dir__() -> list[str]:
    return __all__
