"""The net effect that the log of a database tells, as rows of Python values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_asgi.database.changes import Deleted, Inserted, Updated

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_asgi.adapters.postgres.connection import Connection
    from pytest_asgi.database.changes import Change

_ENTRIES = "select * from pytest_asgi.entries($1)"
# PostgreSQL does not notice that a row's type changes: the version is there to make it another
# statement then.
_IMAGES = """
    select /* {version} */
        pytest_asgi_side, pytest_asgi_seq, pytest_asgi_image, columns.*{virtuals}
    from (
        select *, pytest_asgi_image::{relation} as pytest_asgi_row
        from (
            select 0, seq, old from pytest_asgi.log where seq = any($1)
            union all
            select 1, seq, new from pytest_asgi.log where seq = any($2)
        ) images (pytest_asgi_side, pytest_asgi_seq, pytest_asgi_image)
        offset 0
    ) rows, lateral (select (pytest_asgi_row).*) columns
"""
_OLD, _NEW = 0, 1


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

    @property
    def ended(self) -> tuple[object, ...] | None:
        """The version that is no more."""
        return None if self.old_at is None else (self.rel, self.file, self.old_at, self.old_xmin)

    @property
    def made(self) -> tuple[object, ...] | None:
        """The version that is new."""
        return None if self.new_at is None else (self.rel, self.file, self.new_at, self.new_xmin)


class _Image(NamedTuple):
    """A row, and the text that it was kept as."""

    text: str
    row: dict[str, Any]


_Chain = tuple[_Entry, _Entry]


def read_changes(
    connection: Connection, snapshot: str, *, later_than: int = 0
) -> dict[str, list[Change]]:
    """Return the net effect since a snapshot, by table, in the order of writing.

    Args:
        connection: Reads it.
        snapshot: What was committed by then is left out.
        later_than: So are the log's entries up to this number.
    """
    logged = (_Entry(*row) for row in connection.call(_ENTRIES, (snapshot,))[1])
    entries = [entry for entry in logged if entry.seq > later_than]
    chains = list(_chain(entries))
    images = _read_images(connection, chains)
    changes: dict[str, list[Change]] = {entry.table: [] for entry in entries}
    for first, last in chains:
        before = images[_OLD, first.seq] if first.ended else None
        after = images[_NEW, last.seq] if last.made else None
        changes[first.table].extend(_compare(before, after))
    return {table: rows for table, rows in changes.items() if rows}


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


def _read_images(
    connection: Connection, chains: Iterable[_Chain]
) -> dict[tuple[int, int], _Image]:
    """Return the rows before the first and after the last entries, by side and number."""
    seqs: dict[tuple[str, str, int], tuple[list[int], list[int]]] = {}
    for first, last in chains:
        kind = first.relation, first.virtuals, first.version
        old, new = seqs.setdefault(kind, ([], []))
        if first.ended:
            old.append(first.seq)
        if last.made:
            new.append(last.seq)
    images = {}
    for (relation, virtuals, version), wanted in seqs.items():
        statement = _IMAGES.format(relation=relation, virtuals=virtuals, version=version)
        arrays = [f"{{{','.join(map(str, numbers))}}}" for numbers in wanted]
        names, rows = connection.call(statement, arrays)
        for side, seq, text, *values in rows:
            images[side, seq] = _Image(text, dict(zip(names[3:], values, strict=True)))
    return images


def _compare(before: _Image | None, after: _Image | None) -> Iterator[Change]:
    if before is None and after is not None:
        yield Inserted(after.row)
    elif before is not None and after is None:
        yield Deleted(before.row)
    elif before is not None and after is not None and before.text != after.text:
        yield Updated(before.row, after.row)
