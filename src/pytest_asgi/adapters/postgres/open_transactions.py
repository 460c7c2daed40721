"""Transactions that are still open when a database is to be put back: waited for, ended, named."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pytest_asgi.errors import IsolationError

if TYPE_CHECKING:
    from pytest_asgi.adapters.postgres.connection import Connection

_PATIENCE_SECONDS = 0.5
_POLL_SECONDS = 0.005
_LONGEST = 300
_WRITING = """
    select pid, query from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid() and backend_xid is not null
"""
# One that only holds a lock may have written nothing.
_OPEN = """
    select pid, query from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid() and xact_start is not null
        and (backend_xid is not null or pid in (
            select pid from pg_locks where granted and locktype = 'relation'
                and mode not in ('AccessShareLock', 'RowShareLock', 'RowExclusiveLock')))
"""
_END = "select pg_terminate_backend(pid, 5000) from unnest(%s::int[]) pid"


def end_transactions(connection: Connection) -> IsolationError | None:
    """Wait a moment for others' transactions, then end them; return the error that names them."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while connection.run(_WRITING) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    still_open = connection.run(_OPEN)
    if not still_open:
        return None
    connection.run(_END, ([pid for pid, _ in still_open],))
    statements = "\n\n".join(f"    {_shorten(query)}" for _, query in still_open)
    return IsolationError(
        "A transaction was still open when the database was to be put back.",
        why=f"Its last statement was:\n\n{statements}\n\nIt was rolled back and its connection"
        " was closed, for the next test would have waited for it, or seen what it writes.",
        fix="Commit it, roll it back, or close its session before the test ends; wait for what"
        " the app does in the background.",
    )


def _shorten(query: str) -> str:
    text = " ".join(query.split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
