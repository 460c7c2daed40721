"""SQLite: the app's database file becomes a private one that is put back after each test.

`redirect` sends the connections there. It is loaded with the plugin, so it imports nothing of the
rest, which needs sqlite3; the rest is imported with the first connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_asgi.adapters.sqlite.opener import SqliteOpener

__all__ = ["SqliteOpener"]


def __getattr__(name: str) -> Any:
    if name == "SqliteOpener":
        import sqlite3  # noqa: F401 - first: its import installs what needs half of this

        from pytest_asgi.adapters.sqlite.opener import SqliteOpener

        return SqliteOpener
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
