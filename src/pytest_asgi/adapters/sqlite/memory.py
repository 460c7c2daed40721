"""Databases in memory: each connection has one of its own, and they live as long as it does.

An engine that keeps one connection for ever keeps its rows for ever too, so they are put back
after each test like those of a file. What code connects to by hand is its own affair.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_asgi.adapters.sqlite.store import Mark, SqliteStore

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from pytest_asgi.adapters.sqlite.connections import Lead


class MemoryStore(SqliteStore):
    """The databases in memory that engines have made.

    The first connection gets the one that tests can look into. When it is closed, the next one
    gets it; those that are open at the same time get others.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._others: dict[SqliteStore, Mark] = {}  # and what each was in the beginning

    def connect(
        self, open_at: Callable[[str], sqlite3.Connection], lead: Lead | None = None
    ) -> sqlite3.Connection:
        """Open a connection of the app's."""
        with self._lock:
            self._forget_closed()
            if not self.connections.are_open():
                return super().connect(open_at, lead)
            other = SqliteStore(self.target, self._places)
            self._others[other] = other.mark()
            return other.connect(open_at, lead)

    def mark(self) -> Mark:
        """Return this moment, to come back to."""
        with self._lock:
            self._forget_closed()
            others = {other: other.mark() for other in self._others}
            return super().mark()._replace(others=others)

    def restore(self, mark: Mark) -> None:
        """Put everything back; what was opened since is put back to its beginning."""
        with self._lock:
            self._forget_closed()
            super().restore(mark)
            for other, beginning in self._others.items():
                other.restore(mark.others.get(other, beginning))

    def close(self) -> None:
        """Remove all."""
        super().close()
        while self._others:
            self._others.popitem()[0].close()

    def _forget_closed(self) -> None:
        for other in [each for each in self._others if not each.connections.are_open()]:
            del self._others[other]
            other.close()
