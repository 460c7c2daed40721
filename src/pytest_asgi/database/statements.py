"""Record the statements that an app executes: each with its line, its time and its outcome.

Drivers' adapters call `recording` around what sends a statement. While nobody listens it costs one
look at a variable.
"""

from __future__ import annotations

import re
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal, Self

from pytest_asgi import events
from pytest_asgi.asgi.stacks import calling_frames, users_place
from pytest_asgi.database.redaction import redact_statement

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator
    from types import TracebackType

    from pytest_asgi.database.connections import OpenConnection, Place

_CONTROL = re.compile(
    r"(?:\s+|--[^\n]*\n|/\*.*?\*/)*"
    r"(?:BEGIN|START\s+TRANSACTION|COMMIT|END|ROLLBACK|ABORT|SAVEPOINT|RELEASE"
    r"|PREPARE\s+TRANSACTION|SET\s+TRANSACTION|SET\s+SESSION\s+CHARACTERISTICS)\b",
    re.IGNORECASE | re.DOTALL,
)

# Some drivers send statements in a thread of their own, which has no line of the user's.
_sender: ContextVar[Place | None] = ContextVar("pytest_asgi_sender", default=None)


def is_recording() -> bool:
    """Tell whether anybody listens."""
    return events.listener.get() is not None


def place_of_caller() -> Place | None:
    """Return the innermost line of the user's own code that the caller runs in."""
    return users_place(calling_frames()) or _sender.get()


@contextmanager
def sent_from(place: Place | None) -> Generator[None]:
    """Let what the block sends come from `place`, also in another thread with this context."""
    token = _sender.set(place)
    try:
        yield
    finally:
        _sender.reset(token)


class Recording:
    """One statement, from sending it to its outcome; a context manager around that.

    Args:
        opened: The connection.
        sql: The statement.
        parameters: Its parameters; for a batch all sets of them.
        is_batch: Whether there are several sets of parameters.
        is_upkeep: Whether the driver needs the statement for itself.

    Attributes:
        rows: How many rows it returned or changed; to be set as soon as that is known.
    """

    __slots__ = ("_begin", "_is_batch", "_kind", "_opened", "_place", "parameters", "rows", "sql")

    def __init__(
        self,
        opened: OpenConnection,
        sql: str,
        parameters: Any = (),
        *,
        is_batch: bool = False,
        is_upkeep: bool = False,
    ) -> None:
        self.sql = sql
        self.parameters = parameters
        self.rows: int | None = None
        self._opened = opened
        self._is_batch = is_batch
        self._kind = kind_of(sql, is_upkeep=is_upkeep or opened.is_upkeep)
        self._place = place_of_caller()
        self._begin = perf_counter()

    def __enter__(self) -> Self:
        """Begin to measure."""
        self._begin = perf_counter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Tell whoever listens."""
        seconds = perf_counter() - self._begin
        sql, parameters, batch = self._redact()
        events.emit(
            events.StatementExecuted(
                connection=self._opened.number,
                sql=sql,
                parameters=parameters,
                batch=batch,
                seconds=seconds,
                rows=None if exception is not None else self.rows,
                kind=self._kind,
                place=self._place,
                exception=exception,
            )
        )

    def _redact(self) -> tuple[str, Any, int | None]:
        if not self._is_batch:
            return (*redact_statement(self.sql, self.parameters), None)
        sets = _redact_all(self.sql, self.parameters)
        return redact_statement(self.sql, ())[0], sets, len(sets)


def remembering(sets: Iterable[Any], sent: list[Any]) -> Iterator[Any]:
    """Yield the sets of parameters of a batch, and put each into `sent` when it is asked for."""
    for parameters in sets:
        sent.append(parameters)
        yield parameters


class Unrecorded(nullcontext["Unrecorded"]):
    """In the place of a recording while nobody listens."""

    rows: int | None = None


def kind_of(sql: str, *, is_upkeep: bool = False) -> Literal["query", "transaction", "upkeep"]:
    """Tell what a statement is there for."""
    if _CONTROL.match(sql):
        return "transaction"
    return "upkeep" if is_upkeep else "query"


def _redact_all(sql: str, sets: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(redact_statement(sql, parameters)[1] for parameters in sets)
