"""What a check has found, and what it says: how many rows there are, and the nearest if none.

Pure logic over a source of rows; it knows no store.
"""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_asgi.errors import VerificationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pytest_asgi.database.sources import Source
    from pytest_asgi.database.stores import Row

__tracebackhide__ = True  # a failure ends in the user's line

_SHOWN = 3  # rows
_LOOKED_AT = 100  # rows, for the nearest
_LONG_VALUE = 60  # characters


class NearRow(NamedTuple):
    """A row that is not what was asked for, and the columns that keep it from being it."""

    row: Mapping[str, Any]
    differing: Sequence[str]

    def is_seen_in(self, where: Row) -> bool:
        """Tell whether the row has all the columns that were asked for."""
        return all(column in self.row for column in where)


class Finding:
    """Whether rows were found: true or false, and a text that says why.

    Attributes:
        count: How many rows there are.
        nearest: If there are none, those that differ in the fewest columns.
    """

    def __init__(
        self, source: Source, where: Row, count: int, examples: Sequence[Mapping[str, Any]]
    ) -> None:
        self.count = count
        self.nearest = [] if count else find_nearest(source, where)
        self._where = where
        self._asked = describe(source, where)
        self._examples = examples

    def __bool__(self) -> bool:
        return self.count > 0

    def __repr__(self) -> str:
        """Return one line: pytest shows the beginning of it behind `assert`."""
        if self.count:
            return f"<{_rows(self.count)} of {self._asked}: {_some(map(_row, self._examples))}>"
        nearest = _some(_difference(near, self._where) for near in self.nearest)
        return f"<no row of {self._asked}; {f'nearest: {nearest}' if nearest else 'none at all'}>"

    def __str__(self) -> str:
        """Return the lines that show the nearest rows beside what was asked for."""
        if self.count:
            lines = [_row(row) for row in self._examples]
            return "\n".join([f"{_rows(self.count)} of {self._asked}:", *lines])
        return f"No row of {self._asked}.\n" + "\n".join(compare(self.nearest, self._where))


def check(source: Source, where: Row) -> Finding:
    """Return whether there are rows."""
    count = source.count(where)
    examples = source.rows(where, limit=_SHOWN) if count else []
    return Finding(source, where, count, [source.show(row) for row in examples])


def one_row(source: Source, where: Row) -> Any:
    """Return the one row there is.

    Raises:
        VerificationError: There is none, or several.
    """
    rows = source.rows(where, limit=_SHOWN + 1)
    if len(rows) == 1:
        return rows[0]
    asked = describe(source, where)
    if not rows:
        lines = compare(find_nearest(source, where), where)
        raise VerificationError(
            f"There is no row of {asked}.\n\n" + "\n".join(lines),
            why="No row that is committed has all these values.",
            fix="Look whether the app has written it, and has committed it; or ask for the values"
            " that are there.",
        )
    shown = [_row(source.show(row)) for row in rows[:_SHOWN]]
    raise VerificationError(
        f"There are {source.count(where)} rows of {asked}; one was expected.\n\n"
        + "\n".join(f"  {row}" for row in shown)
        + ("\n  …" if len(rows) > _SHOWN else ""),
        why="These values are not those of one row alone.",
        fix="Ask for a column more that tells them apart, or take them all: `db.all(…)`.",
    )


def describe(source: Source, where: Row) -> str:
    """Return what was asked for, in words."""
    wanted = [f"{column}={_value(value)}" for column, value in where.items()]
    conditions = ", ".join(filter(None, [source.conditions, *wanted]))
    return f"{source.name} with {conditions}" if conditions else source.name


def find_nearest(source: Source, where: Row) -> list[NearRow]:
    """Return the rows that differ from `where` in the fewest columns, and by the least."""
    candidates = [
        row
        for left_out in where
        for row in source.rows(
            {column: where[column] for column in where if column != left_out}, limit=_LOOKED_AT
        )
    ] or (source.rows({}, limit=_LOOKED_AT) if len(where) > 1 else [])
    shown = [dict(source.show(row)) for row in candidates]
    distinct = [row for number, row in enumerate(shown) if row not in shown[:number]]
    near = [
        NearRow(row, [c for c in where if c not in row or row[c] != where[c]]) for row in distinct
    ]
    near = [each for each in near if each.differing and each.is_seen_in(where)]
    return sorted(near, key=lambda each: (len(each.differing), -_alike(each, where)))[:_SHOWN]


def compare(nearest: Sequence[NearRow], where: Row) -> list[str]:
    """Return the lines that show what each near row has in place of what was asked for."""
    if not nearest:
        return ["  There is no row that comes near it."]
    lines = ["  The nearest:"]
    for near in nearest:
        width = max(map(len, near.differing))
        lines.append(f"  {_row(near.row)}")
        for column in near.differing:
            found, wanted = _value(near.row[column]), _value(where[column])
            lines.append(f"    {column.ljust(width)}  is {found}, not {wanted}")
    return lines


def _difference(near: NearRow, where: Row) -> str:
    known = {column: near.row[column] for column in near.differing}
    names = [column for column in near.row if column not in where][:1]  # the key, mostly
    which = {column: near.row[column] for column in names}
    return ", ".join(f"{column}={_value(value)}" for column, value in {**which, **known}.items())


def _alike(near: NearRow, where: Row) -> float:
    return sum(
        SequenceMatcher(None, str(near.row[column]), str(where[column])).ratio()
        for column in near.differing
    )


def _some(texts: Iterable[str]) -> str:
    return "; ".join(texts)


def _row(row: Mapping[str, Any]) -> str:
    return ", ".join(f"{column}={_value(value)}" for column, value in row.items())


def _value(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONG_VALUE else f"{text[: _LONG_VALUE - 1]}…"


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count} rows"
