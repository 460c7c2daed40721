"""How changes differ from those that a test expects, in lines that show both side by side.

Pure functions from values to text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_asgi.database.changes import Change

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


def explain_tables(written: Mapping[str, Any], expected: Mapping[Any, Any]) -> list[str]:
    """Return the lines for each table whose changes are not the expected ones."""
    lines = []
    for table in dict.fromkeys([*written, *expected]):
        found, wanted = written.get(table, []), expected.get(table, [])
        if found != wanted:
            lines += [f"{table}:", *(f"  {line}" for line in explain_table(found, wanted))]
    return lines


def explain_table(written: Any, expected: Any) -> list[str]:
    """Return the lines for the changes of one table."""
    if not isinstance(written, list) or not isinstance(expected, list):
        return [f"written   {written!r}", f"expected  {expected!r}"]
    matches = _match(written, expected)
    if all(match.is_equal for match in matches):
        return ["the same changes in another order", *_columns([*_ordered(written, expected)])]
    return [line for match in matches if not match.is_equal for line in _explain(match)]


def explain_change(written: Change, expected: Change) -> list[str]:
    """Return the lines for one row, with each column that differs."""
    if type(written) is not type(expected):
        return [f"written   {written!r}", f"expected  {expected!r}"]
    return [f"differs     {written!r}", *_differing(written, expected)]


class _Match(NamedTuple):
    """A change that was written, one that was expected, or one of each that belong together."""

    written: Any = None
    expected: Any = None

    @property
    def is_equal(self) -> bool:
        return bool(self.written == self.expected)


def _match(written: Sequence[Any], expected: Sequence[Any]) -> list[_Match]:
    """Pair what is equal, then what is most alike; the rest is unexpected or missing."""
    open_expected = list(expected)
    partners: dict[int, Any] = {}
    for number, change in enumerate(written):
        place = next((i for i, each in enumerate(open_expected) if change == each), None)
        if place is not None:
            partners[number] = open_expected.pop(place)
    likenesses = sorted(
        (-likeness, number, place)
        for number, change in enumerate(written)
        if number not in partners
        for place, each in enumerate(open_expected)
        if (likeness := _likeness(change, each))
    )
    taken = set()
    for _, number, place in likenesses:
        if number not in partners and place not in taken:
            partners[number] = open_expected[place]
            taken.add(place)
    return [
        *(_Match(change, partners.get(number)) for number, change in enumerate(written)),
        *(_Match(None, each) for place, each in enumerate(open_expected) if place not in taken),
    ]


def _likeness(change: Any, other: Any) -> int:
    """Return how many columns are the same, and one more if the changes are of one kind."""
    if not isinstance(change, Change) or type(change) is not type(other):
        return 0
    return 1 + len({*change.columns()} & {*other.columns()} - {*change.differences(other)})


def _explain(match: _Match) -> Iterator[str]:
    if match.expected is None:
        yield f"unexpected  {match.written!r}"
    elif match.written is None:
        yield f"missing     {match.expected!r}"
    else:
        yield from explain_change(match.written, match.expected)


def _differing(written: Change, expected: Change) -> list[str]:
    rows = [
        (column, written.show(column) or "no such column", expected.show(column) or "not expected")
        for column in written.differences(expected)
    ]
    table = _columns([("", "written", "expected"), *rows])
    return [f"  {line}" for line in table]


def _ordered(written: Sequence[Any], expected: Sequence[Any]) -> Iterator[tuple[str, ...]]:
    yield "", "written", "expected"
    for number, (found, wanted) in enumerate(zip(written, expected, strict=True), start=1):
        yield str(number), repr(found), repr(wanted)


def _columns(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
