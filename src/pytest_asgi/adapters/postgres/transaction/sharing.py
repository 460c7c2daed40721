"""What connections share: the transaction, whose turn it is, and what was refused."""

from __future__ import annotations

import secrets
import threading
from typing import TYPE_CHECKING

from pytest_asgi.errors import IsolationError

if TYPE_CHECKING:
    from pytest_asgi.adapters.postgres.transaction.backend import Backend

_LONGEST = 200
_PATIENCE_SECONDS = 2.0


class Sharing:
    """One transaction, for as many connections as come; each is known by its number.

    Attributes:
        backend: The connection to PostgreSQL.
        secret: What a client says who wants to stop a statement.
        active: The connection that has its turn.
        refusals: What was refused.
    """

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.secret = secrets.randbits(31)
        self.active: int | None = None
        self.refusals: list[IsolationError] = []
        self._turn = threading.Condition()
        self._in_transaction: int | None = None
        self._transactions = 0
        self._asked_time: int | None = None

    def take_turn(self, number: int) -> bool:
        """Wait for one's turn; return whether no other connection is in a transaction then.

        It may come to an end: then one after the other is as good as both at the same time. If it
        does not for a while, it may itself be waiting for what this one has to say.
        """

        def is_free() -> bool:
            return self.active is None and self._in_transaction in (None, number)

        with self._turn:
            is_alone = self._turn.wait_for(is_free, _PATIENCE_SECONDS)
            self._turn.wait_for(lambda: self.active is None)
            self.active = number
            return is_alone

    def end_turn(self, number: int, *, in_transaction: bool) -> None:
        """Let others have their turn."""
        with self._turn:
            if in_transaction:
                self._in_transaction = number
            elif self._in_transaction == number:
                self._in_transaction = None
            self.active = None
            self._turn.notify_all()

    def close(self) -> None:
        """Roll back, as soon as whoever has the turn has come to an end."""
        if self.active is not None:
            self.backend.cancel()
        with self._turn:
            self._turn.wait_for(lambda: self.active is None)
            self.backend.close()

    def begin_transaction(self) -> None:
        """Begin what is a transaction to the app."""
        self.backend.savepoint()
        self._transactions += 1

    def may_ask_time(self) -> bool:
        """Tell whether no other transaction has asked for the time of its beginning."""
        if self._asked_time is None:
            self._asked_time = self._transactions
        return self._asked_time == self._transactions

    def refuse(self, reason: tuple[str, str], statement: str = "") -> str:
        """Remember that something is refused; return what the client is told."""
        what, why = reason
        text = " ".join(statement.split())[:_LONGEST]
        shown = f":\n\n    {text}" if text else "."
        self.refusals.append(
            IsolationError(
                f'In a test with isolation="transaction", {what}{shown}',
                why=why,
                fix='Let the app commit as it does in production: isolation="restore".',
            )
        )
        return f'{what}. {why} Use isolation="restore" for this test.'
