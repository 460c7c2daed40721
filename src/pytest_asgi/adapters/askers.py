"""Who asks for a connection: the package whose code does, in this thread or for another one.

aiosqlite has a thread for each connection, and it is that thread which calls `sqlite3.connect`.
"""

from __future__ import annotations

import sys
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

# Between the one who asks and what connects.
_DRIVERS = frozenset(
    {"MySQLdb", "aiosqlite", "oracledb", "psycopg", "psycopg2", "pytest_asgi", "sqlite3"}
)

_asker: ContextVar[str | None] = ContextVar("pytest_asgi_asker", default=None)


def find_asker() -> str:
    """Return the package whose code asks."""
    asker = _asker.get()
    return _package_of_caller() if asker is None else asker


def remember_asker(asker: str) -> None:
    """Let what the calling context opens be asked for by this package."""
    _asker.set(asker)


def asks_for_another_thread() -> bool:
    """Tell whether the calling thread opens the connection for another one."""
    return _asker.get() is not None


def is_left_to_pytest_django(asker: str) -> bool:
    """Tell whether a database is Django's, and pytest-django makes, guards and empties it."""
    return asker == "django" and "pytest_django" in sys.modules


def _package_of_caller() -> str:
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if package not in _DRIVERS:
            return package
        frame = frame.f_back
    return ""
