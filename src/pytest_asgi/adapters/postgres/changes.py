"""The net effect that the log of a database tells, as rows of Python values."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pytest_asgi.adapters.postgres.images import (
    NEW,
    OLD,
    Kind,
    Rows,
    Wanted,
    ask_for_rows,
    read_rows,
)
from pytest_asgi.database.changes import Deleted, Inserted, Updated
from pytest_asgi.database.stores import WouldWaitError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_asgi.adapters.postgres.connection import Connection
    from pytest_asgi.database.changes import Change
    from pytest_asgi.database.stores import Row

# A connection that is not silent may have settings with which it reads images as something else.
_ENTRIES = """
    select l.seq, l.rel::regclass::text, l.rel, l.file, l.old_at, l.old_xmin, l.new_at, l.new_xmin,
        coalesce(t.name, ''), coalesce(t.virtuals, ''), t.version,
        t.types is not null and current_setting('pytest_asgi.is_silent', true) = 'on',
        l.old, l.new,
        exists (select from pytest_asgi.schema_change where not is_tracked)
    from pytest_asgi.log l left join pytest_asgi.tracked t on t.rel = l.rel
    where not pg_visible_in_snapshot(l.xid, $1) and l.seq > $2
    order by l.seq
"""
_TRACK = "select pytest_asgi.track()"


class _Entry(NamedTuple):
    """What the log tells of one change of one row: the versions that it ended and made."""

    seq: int
    relation: str
    rel: int
    file: int
    old_at: str | None
    old_xmin: int | None
    new_at: str | None
    new_xmin: int | None
    table: str
    virtuals: str
    version: int
    is_readable: bool
    old: str
    new: str
    is_stale: bool

    @property
    def kind(self) -> Kind:
        """What the row is one of."""
        return Kind(self.rel, self.relation, self.virtuals, self.version, self.is_readable)

    @property
    def ended(self) -> tuple[object, ...] | None:
        """The version that is no more."""
        return None if self.old_at is None else (self.rel, self.file, self.old_at, self.old_xmin)

    @property
    def made(self) -> tuple[object, ...] | None:
        """The version that is new."""
        return None if self.new_at is None else (self.rel, self.file, self.new_at, self.new_xmin)


_Chain = tuple[_Entry, _Entry]


def read_changes(
    connection: Connection, snapshot: str, *, later_than: int = 0, at_once: bool = False
) -> dict[str, list[Change]]:
    """Return the net effect since a snapshot, by table, in the order of writing.

    Args:
        connection: Reads it.
        snapshot: What was committed by then is left out.
        later_than: So are the log's entries up to this number.
        at_once: Whether never to wait for what the app does.

    Raises:
        WouldWaitError: It has to be waited for.
    """
    entries = _read_entries(connection, snapshot, later_than)
    if any(entry.is_stale for entry in entries):
        if at_once:
            raise WouldWaitError
        connection.run(_TRACK)
        entries = _read_entries(connection, snapshot, later_than)
    entries = [entry for entry in entries if entry.table]  # else it was dropped
    chains = list(_chain(entries))
    rows = _read_rows(connection, chains, at_once=at_once)
    changes: dict[str, list[Change]] = {entry.table: [] for entry in entries}
    for first, last in chains:
        if first.old != last.new:
            before = rows.get((OLD, first.seq))
            after = rows.get((NEW, last.seq))
            changes[first.table].extend(_compare(before, after))
    return {table: rows for table, rows in changes.items() if rows}


def _read_entries(connection: Connection, snapshot: str, later_than: int) -> list[_Entry]:
    rows = connection.call(_ENTRIES, (snapshot, str(later_than)))[1]
    return [_Entry(*row) for row in rows]


def _chain(entries: Iterable[_Entry]) -> Iterator[_Chain]:
    """Yield the first and the last entry of each row.

    The log's order does not tell which: a trigger may change a row again before the log hears of
    the change that fired it.
    """
    made = {entry.made for entry in entries}
    next_of = {entry.ended: entry for entry in entries if entry.ended}
    for first in entries:
        if first.ended is None or first.ended not in made:
            last = first
            while last.made in next_of:
                last = next_of[last.made]
            yield first, last


def _read_rows(connection: Connection, chains: Iterable[_Chain], *, at_once: bool) -> Rows:
    """Return the rows before the first and after the last entries."""
    wanted: dict[Kind, list[Wanted]] = {}
    for first, last in chains:
        of_kind = wanted.setdefault(first.kind, [])
        if first.ended:
            of_kind.append(Wanted(OLD, first.seq, first.old))
        if last.made:
            of_kind.append(Wanted(NEW, last.seq, last.new))
    found: Rows = {}
    for kind, of_kind in wanted.items():
        rows = read_rows(connection, kind, of_kind)
        if rows is None and at_once:
            raise WouldWaitError
        found |= ask_for_rows(connection, kind, of_kind) if rows is None else rows
    return found


def _compare(before: Row | None, after: Row | None) -> Iterator[Change]:
    if before is None and after is not None:
        yield Inserted(after)
    elif before is not None and after is None:
        yield Deleted(before)
    elif before is not None and after is not None:
        yield Updated(before, after)
