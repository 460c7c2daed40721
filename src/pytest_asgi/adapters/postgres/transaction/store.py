"""A private database as the connections see it that share a transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from pytest_asgi.adapters.postgres.changes import read_changes
from pytest_asgi.adapters.postgres.connection import Connection, Place
from pytest_asgi.adapters.postgres.store import PostgresStore
from pytest_asgi.adapters.postgres.transaction.server import Server
from pytest_asgi.database.stores import WouldWaitError
from pytest_asgi.errors import IsolationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_asgi.database.changes import Change

__tracebackhide__ = True  # a failure ends in the user's line

_LAST = "select coalesce(max(seq), 0) from pytest_asgi.log"


class Mark(NamedTuple):
    """A moment of the transaction: the last change of a row by then."""

    seq: int


class TransactionStore(PostgresStore):
    """Stands in for a store until it is closed, and is rolled back then.

    Args:
        base: The store; nobody uses it meanwhile.
    """

    def __init__(self, base: PostgresStore) -> None:
        super().__init__(base.target, base._template, base._name)
        self._began = base.mark()
        self._at = base.address
        self._server = Server(Place.of_address(self._at), self._name)

    @property
    def address(self) -> Mapping[str, Any]:
        """Where drivers reach the transaction."""
        return {**self._at, "host": self._server.host, "port": self._server.port}

    def mark(self) -> Mark:  # type: ignore[override]  # What a mark is, only its store knows.
        """Return this moment; it is for `changes` only."""
        with self._lock:
            return Mark(self._looking.run(_LAST)[0][0])

    def changes(self, since: Mark) -> dict[str, list[Change]]:  # type: ignore[override]  # Same.
        """Return the net effect since `since`, by table, in the order of writing."""
        with self._lock:
            return read_changes(self._looking, self._began.snapshot, later_than=since.seq)

    def moment_at_once(self) -> NoReturn:
        """Refuse: in the transaction, everything waits for what the app does there."""
        raise WouldWaitError

    def changes_at_once(self, since: object) -> NoReturn:  # noqa: ARG002 - there is no such way
        """Refuse as well."""
        raise WouldWaitError

    def restore(self, mark: object) -> NoReturn:  # noqa: ARG002 - there is no such way
        """Refuse: only the end of the transaction puts things back."""
        raise _ends_as_a_whole("put back before it ends")

    def fork(self) -> NoReturn:
        """Refuse: nobody else sees what is in the transaction."""
        raise _ends_as_a_whole("copied")

    def close(self) -> None:
        """Roll back.

        Raises:
            IsolationError: The app has done what cannot be done in a transaction.
        """
        with self._lock:
            self.disconnect()
            self._server.close()

    @property
    def _looking(self) -> Connection:
        place = Place.of_address(self.address)
        return self._connect("looking", lambda name: Connection(place, name))


def _ends_as_a_whole(what: str) -> IsolationError:
    return IsolationError(
        f"A database cannot be {what} while a test is one transaction.",
        why="What the test has written is in the transaction, which is rolled back as a whole.",
        fix='Use isolation="restore" for this test.',
    )
