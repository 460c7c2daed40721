"""The statements that the app executes in one test: how many, which again and again, and where.

It listens to events; only this module knows when two statements are the same.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, overload

from pytest_asgi import events
from pytest_asgi.errors import DatabaseError, VerificationError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

__tracebackhide__ = True  # a failure ends in the user's line

_LITERALS = re.compile(r"'(?:[^']|'')*'|\b\d+(?:\.\d+)?\b|\$\d+|%s|%\(\w+\)s|(?<![:\w]):\w+|\?")
_LISTS = re.compile(r"\(\s*\?(?:(?:::\w+)?\s*,\s*\?)*(?:::\w+)?\s*\)")
_SHOWN_SQL = 160  # characters
_SHOWN_PARAMETERS = 80
_SHOWN_QUERIES = 20


class Query(NamedTuple):
    """One statement that the app has executed.

    Attributes:
        sql: The statement, as the driver sent it.
        parameters: Its parameters; those that look like secrets are removed.
        seconds: How long it took.
        rows: How many rows it returned or changed, as far as that is known.
        place: File, line and function of the app's code that executed it, as far as that is known.
        exchange: The number of the request that it belongs to, if it belongs to one.
        exception: What the driver raised.
    """

    sql: str
    parameters: Any
    seconds: float
    rows: int | None
    place: tuple[str, int, str] | None
    exchange: int | None
    exception: BaseException | None

    def __str__(self) -> str:
        """Return one line: time, rows, statement, parameters and place."""
        rows = "" if self.rows is None else f"{self.rows} row{'' if self.rows == 1 else 's'}"
        failed = "" if self.exception is None else f"  {type(self.exception).__name__}"
        sql = _shorten(" ".join(self.sql.split()), _SHOWN_SQL)
        parameters = _shorten(repr(self.parameters), _SHOWN_PARAMETERS) if self.parameters else ""
        place = "" if self.place is None else f"at {show_place(self.place)}"
        parts = [f"{self.seconds * 1000:.1f} ms", rows, sql, parameters, place]
        return "  ".join(filter(None, parts)) + failed


class Repetition(NamedTuple):
    """A statement that was executed several times, with whatever parameters.

    Attributes:
        sql: The statement with a mark in place of each value.
        queries: Each time it was executed.
    """

    sql: str
    queries: list[Query]

    @property
    def times(self) -> int:
        """How often it was executed."""
        return len(self.queries)

    @property
    def places(self) -> list[tuple[str, int, str]]:
        """The lines of the app that it was executed at."""
        return list(dict.fromkeys(query.place for query in self.queries if query.place))

    def __str__(self) -> str:
        """Return one line."""
        at = ", ".join(map(show_place, self.places))
        sql = _shorten(self.sql, _SHOWN_SQL)
        return f"{self.times} times  {sql}" + (f"  at {at}" if at else "")


class Queries(Sequence[Query]):
    """The statements of a test, in their order, without those that begin or end a transaction."""

    def __init__(self, queries: Iterable[Query] = ()) -> None:
        self._queries = list(queries)

    @overload
    def __getitem__(self, index: int) -> Query: ...
    @overload
    def __getitem__(self, index: slice) -> Queries: ...
    def __getitem__(self, index: int | slice) -> Query | Queries:
        found = self._queries[index]
        return found if isinstance(found, Query) else Queries(found)

    def __len__(self) -> int:
        return len(self._queries)

    def __repr__(self) -> str:
        return f"<{_count(len(self))}>"

    def __str__(self) -> str:
        """Return a line for each."""
        return "\n".join(_numbered(self._queries)) or "no queries"

    def take(self, queries: Iterable[Query]) -> None:
        """Add these."""
        self._queries += queries

    def of(self, response: Any) -> Queries:
        """Return the statements of the request that `response` answers, redirects included.

        Raises:
            DatabaseError: The response is not one of a client of pytest-asgi.
        """
        answers = [*getattr(response, "history", ()), response]
        numbers = {answer.extensions.get(events.EXCHANGE) for answer in answers}
        if None in numbers:
            raise DatabaseError(
                f"It is not known which queries belong to {response!r}.",
                why="Only a response of a client of pytest-asgi in this test says which it is.",
                fix="Use the `client` fixture, or `pytest_asgi.AsyncClient`.",
            )
        return Queries(query for query in self if query.exchange in numbers)

    def at_most(self, count: int) -> AtMost:
        """Return a block that fails if more statements than `count` are executed in it.

        It gives its own queries, which are there at its end.
        """
        return AtMost(self, count)

    def repeated(self, more_than: int = 1) -> list[Repetition]:
        """Return the statements that were executed more often than that, the most frequent first.

        Statements are the same if they differ in values only.
        """
        groups: dict[str, list[Query]] = {}
        for query in self:
            groups.setdefault(generalize(query.sql), []).append(query)
        found = [Repetition(sql, same) for sql, same in groups.items() if len(same) > more_than]
        return sorted(found, key=lambda repetition: -repetition.times)


class AtMost:
    """A block that fails if too many statements are executed in it."""

    def __init__(self, queries: Queries, count: int) -> None:
        self._all = queries
        self._count = count

    def __enter__(self) -> Queries:
        self._begin, self._block = len(self._all), Queries()
        return self._block

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._block.take(self._all[self._begin :])
        if error is None and len(self._block) > self._count:
            raise _too_many(self._block, self._count)


class RecordedQueries(Queries):
    """Queries that grow while the test runs: a listener."""

    def __init__(self) -> None:
        super().__init__()
        self._requests: dict[int, str] = {}

    def hear(self, event: events.Event) -> None:
        """Take note of a request or a statement."""
        if isinstance(event, events.StatementExecuted):
            if event.kind == "query":
                self._queries.append(_query(event))
        elif isinstance(event, events.RequestSent):
            self._requests[event.exchange] = f"{event.method} {event.path}"

    def for_each_row(self, least: int) -> list[ForEachRow]:
        """Return what looks like one query for each row of another query (N+1).

        Args:
            least: How often one request has to read with the same statement, at the same line.
        """
        groups: dict[tuple[int | None, str, Any], list[Query]] = {}
        for query in self:
            if query.exchange in self._requests and query.place and _is_read(query.sql):
                key = query.exchange, generalize(query.sql), query.place
                groups.setdefault(key, []).append(query)
        return [
            ForEachRow(sql, len(same), place, self._requests[exchange])
            for (exchange, sql, place), same in groups.items()
            if exchange is not None and len(same) >= least
        ]


class ForEachRow(NamedTuple):
    """A statement that one request has executed at one line, again and again.

    Attributes:
        sql: The statement with a mark in place of each value.
        times: How often.
        place: File, line and function of the app's code.
        request: Method and path.
    """

    sql: str
    times: int
    place: tuple[str, int, str]
    request: str

    def __str__(self) -> str:
        """Return one line."""
        sql = _shorten(self.sql, _SHOWN_SQL)
        return f"{self.request}: {self.times} times at {show_place(self.place)}: {sql}"


@lru_cache(maxsize=1024)
def generalize(sql: str) -> str:
    """Return a statement with `?` in place of each value, and `(?)` for a list of them."""
    return _LISTS.sub("(?)", _LITERALS.sub("?", " ".join(sql.split())))


def show_place(place: tuple[str, int, str]) -> str:
    """Return a place as an editor can open it."""
    file, line, function = place
    path, here = Path(file), Path.cwd()
    shown = path.relative_to(here) if path.is_relative_to(here) else path
    return f"{shown}:{line} in {function}"


def _query(event: events.StatementExecuted) -> Query:
    return Query(
        event.sql,
        event.parameters,
        event.seconds,
        event.rows,
        event.place,
        events.exchange.get(),
        event.exception,
    )


def _too_many(queries: Queries, count: int) -> VerificationError:
    repeated = queries.repeated()
    why = "They are:\n\n" + str(queries)
    if repeated:
        why += "\n\nAmong them, again and again:\n\n" + "\n".join(f"  {each}" for each in repeated)
    return VerificationError(
        f"The app executed {_count(len(queries))}; at most {count} expected.",
        why=why,
        fix="Read what belongs together at once: with a join, or `selectinload(…)`."
        if repeated
        else "Leave out those that are not needed, or expect more.",
    )


def _is_read(sql: str) -> bool:
    return sql.lstrip(" \t\n(").upper().startswith(("SELECT", "WITH"))


def _numbered(queries: Sequence[Query]) -> list[str]:
    lines = [f"{number:3}. {query}" for number, query in enumerate(queries[:_SHOWN_QUERIES], 1)]
    hidden = len(queries) - _SHOWN_QUERIES
    return [*lines, f"     and {hidden} more"] if hidden > 0 else lines


def _count(number: int) -> str:
    return "1 query" if number == 1 else f"{number} queries"


def _shorten(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"
