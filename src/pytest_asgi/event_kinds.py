"""What can happen in a test: frozen, ordered facts. Past tense: an event is a fact.

`events` has them too, with the way to whoever listens: this module takes a while to import, which
a run in which nobody listens does not have to pay for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened at a moment.

    Attributes:
        at: When, in seconds of `time.perf_counter`.
    """

    at: float = field(default_factory=perf_counter)


@dataclass(frozen=True, slots=True, kw_only=True)
class TestStarted(Event):
    """A test's task began; set-up comes next."""

    __test__ = False

    test: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TestFinished(Event):
    """A test's tear-down is over."""

    __test__ = False

    test: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BackgroundFailed(Event):
    """A task that nobody awaited, or a callback of the loop, raised an exception."""

    source: str
    exception: BaseException


@dataclass(frozen=True, slots=True, kw_only=True)
class LifespanStarted(Event):
    """The app answered `lifespan.startup.complete`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LifespanStopped(Event):
    """The app answered `lifespan.shutdown.complete`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestSent(Event):
    """A request was handed to the app.

    Attributes:
        exchange: A number that all events of one call of the app share.
    """

    exchange: int
    method: str
    path: str
    query_string: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseStarted(Event):
    """The app sent the status and the headers."""

    exchange: int
    status: int
    headers: tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseCompleted(Event):
    """The app sent the last byte of the body."""

    exchange: int
    body_size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AppRaised(Event):
    """The app let an exception escape from one exchange."""

    exchange: int
    exception: BaseException


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSocketOpened(Event):
    """The app accepted a WebSocket connection."""

    exchange: int
    path: str
    query_string: bytes
    subprotocol: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSocketRefused(Event):
    """The app closed a WebSocket connection instead of accepting it, or denied it.

    Attributes:
        status: The status of the answer to the handshake.
    """

    exchange: int
    path: str
    query_string: bytes
    status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSocketMessageSent(Event):
    """One message went over an open connection.

    Attributes:
        by: Who sent it.
    """

    exchange: int
    by: Literal["app", "client"]
    data: str | bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSocketClosed(Event):
    """An open connection ended.

    Attributes:
        by: Who closed it; the app as well if it returned without closing it, with 1006.
    """

    exchange: int
    by: Literal["app", "client"]
    code: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionOpened(Event):
    """The app connected to a database.

    Attributes:
        connection: A number that all events of one connection share.
        driver: The package that connected.
        asked: The database that the app asked for, as a URL without a password.
        is_private: Whether it leads to a private database instead.
        place: File, line and function of the user's own code that connected.
    """

    connection: int
    driver: str
    asked: str
    is_private: bool
    place: tuple[str, int, str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementExecuted(Event):
    """The app sent a statement to a database, and it was executed or failed.

    Attributes:
        connection: The number of the connection.
        sql: The statement as the driver sent it, without secrets.
        parameters: Its parameters, without secrets; for a batch a tuple of them.
        batch: How many sets of parameters it was executed with, if it was a batch.
        seconds: How long it took, from sending it to the last row that was asked for at once.
        rows: How many rows it returned or changed, as far as that is known.
        kind: Whether it is a query of the app's, begins or ends a transaction, or is what a driver
            or a pool needs for itself.
        place: File, line and function of the user's own code that executed it.
        exception: What the driver raised.
    """

    connection: int
    sql: str
    parameters: Any
    batch: int | None
    seconds: float
    rows: int | None
    kind: Literal["query", "transaction", "upkeep"]
    place: tuple[str, int, str] | None
    exception: BaseException | None
