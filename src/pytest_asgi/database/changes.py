"""The net effect of some code on a database, row by row, and how it compares.

Only this module knows when two changes are equal. It knows no store and no driver.
"""

from __future__ import annotations

from keyword import iskeyword
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import EllipsisType

# What may be said of columns that a change does not name: there are none, they have not changed,
# or nothing.
Others = Literal["none", "unchanged", "any"]


class Change:
    """What happened to one row.

    Two changes are equal if they are of one kind and no column differs. One side may say less:
    see the kinds.
    """

    __slots__ = ("_others",)
    __hash__ = None  # type: ignore[assignment]  # Equality is looser than any hash could be.

    _others: Others

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Change):
            return NotImplemented
        return type(other) is type(self) and next(self.differences(other), None) is None

    def columns(self) -> list[str]:
        """Return the names of the columns that it names."""
        raise NotImplementedError

    def show(self, column: str) -> str:
        """Return what it says about one column; nothing if it says nothing."""
        raise NotImplementedError

    def differences(self, other: Change) -> Iterator[str]:
        """Yield the columns in which two changes of one kind cannot be the same."""
        mine, others = set(self.columns()), set(other.columns())
        for column in dict.fromkeys([*self.columns(), *other.columns()]):
            if column not in others:
                is_same = self._fits(column, other)
            elif column not in mine:
                is_same = other._fits(column, self)
            else:
                is_same = self._is_same(column, other)
            if not is_same:
                yield column

    def _fits(self, column: str, other: Change) -> bool:
        """Tell whether a column that only this one names is in line with the other."""
        return other._others == "any" or (
            other._others == "unchanged" and not self._has_changed(column)
        )

    def _has_changed(self, column: str) -> bool:
        raise NotImplementedError

    def _is_same(self, column: str, other: Change) -> bool:
        raise NotImplementedError


class _RowChange(Change):
    __slots__ = ("row",)

    row: dict[str, Any]

    def __init__(
        self, row: Mapping[str, Any] | EllipsisType | None = None, /, **columns: Any
    ) -> None:
        given = None if row is ... else row
        self.row = dict(given or {}, **columns)
        self._others = "any" if row is ... else "none"

    def __repr__(self) -> str:
        return _call(type(self).__name__, self.row, is_partial=self._others == "any")

    def columns(self) -> list[str]:
        """Return the names of the columns that it names."""
        return list(self.row)

    def show(self, column: str) -> str:
        """Return the column's value."""
        return repr(self.row[column]) if column in self.row else ""

    def _is_same(self, column: str, other: Change) -> bool:
        assert isinstance(other, _RowChange)
        return _equal(self.row[column], other.row[column])


class Inserted(_RowChange):
    """A row that is there now and was not before.

    `Inserted(id=1, email="a@b.c")` names every column of the row, as keywords or as one mapping.
    `Inserted(..., email="a@b.c")`, with three dots first, leaves the other columns open.

    Attributes:
        row: The row, a dictionary.
    """

    __slots__ = ()


class Deleted(_RowChange):
    """A row that was there before and is not any more. Written like `Inserted`.

    Attributes:
        row: The row as it was, a dictionary.
    """

    __slots__ = ()


class Updated(Change):
    """A row that was there before and has other values now.

    `Updated(stock=(3, 2))` says that the stock was 3 and is 2, and that no other column has
    changed. `Updated(id=1, stock=2)` says what the columns hold now. With three dots first, as in
    `Updated(..., stock=(3, 2))`, other columns may have changed too. Two mappings are the row
    before and the row after, each with all its columns.

    Attributes:
        before: The row as it was, a dictionary.
        after: The row as it is, a dictionary.
        changed: The columns that have changed: a dictionary of values before and after.
    """

    __slots__ = ("after", "before")

    before: dict[str, Any]
    after: dict[str, Any]

    def __init__(
        self,
        before: Mapping[str, Any] | EllipsisType | None = None,
        after: Mapping[str, Any] | None = None,
        /,
        **columns: Any,
    ) -> None:
        if before is None or before is ...:
            if after is not None:
                raise TypeError("Updated takes two mappings, or keywords")
            self._others = "unchanged" if before is None else "any"
            pairs = {name: _pair(value) for name, value in columns.items()}
            self.before = {name: pair[0] for name, pair in pairs.items() if len(pair) > 1}
            self.after = {name: pair[-1] for name, pair in pairs.items()}
        else:
            if after is None or columns:
                raise TypeError("Updated takes two mappings, or keywords")
            self._others = "none"
            self.before, self.after = dict(before), dict(after)

    @property
    def changed(self) -> dict[str, tuple[Any, Any]]:
        """The columns whose value is another one now."""
        return {
            name: (self.before[name], self.after[name])
            for name in self.after
            if name in self.before and self._has_changed(name)
        }

    def __repr__(self) -> str:
        values = {**self.after, **self.changed}
        is_readable = self._others != "none" or self.before.keys() == self.after.keys()
        if not is_readable or any(len(_pair(values[name])) > 1 for name in self._unchanged()):
            return f"Updated({_braced(self.before)}, {_braced(self.after)})"
        return _call("Updated", values, is_partial=self._others == "any")

    def columns(self) -> list[str]:
        """Return the names of the columns that it names."""
        return list({**self.before, **self.after})

    def says_before(self, column: str) -> bool:
        """Tell whether it says what the column was before."""
        return self._others == "none" or column in self.before

    def show(self, column: str) -> str:
        """Return the value before and after, or the one value if there is one."""
        texts = [
            repr(row[column])
            for row in (self.before, self.after)
            if column in row and (row is self.after or self._has_changed(column))
        ]
        return " → ".join(texts)

    def _unchanged(self) -> list[str]:
        return [name for name in self.after if name not in self.changed]

    def _has_changed(self, column: str) -> bool:
        return self.says_before(column) and not _same_in(self.before, self.after, column)

    def _is_same(self, column: str, other: Change) -> bool:
        assert isinstance(other, Updated)
        return _same_in(self.after, other.after, column) and (
            not (self.says_before(column) and other.says_before(column))
            or _same_in(self.before, other.before, column)
        )


_NOT_THERE = object()


def _same_in(row: dict[str, Any], other: dict[str, Any], column: str) -> bool:
    return _equal(row.get(column, _NOT_THERE), other.get(column, _NOT_THERE))


def _equal(value: Any, other: Any) -> bool:
    return value is other or bool(value == other)


def _pair(value: Any) -> tuple[Any, ...]:
    return value if type(value) is tuple and len(value) == 2 else (value,)  # noqa: PLR2004


# What follows calls `repr` by its name, where `!r` would be shorter: inline-snapshot puts its own
# in place to learn how values are written as code.


def _call(name: str, values: Mapping[str, Any], *, is_partial: bool) -> str:
    dots = ["..."] if is_partial else []
    if all(map(_is_keyword_argument, values)):
        arguments = [f"{column}={repr(value)}" for column, value in values.items()]  # noqa: RUF010
    elif is_partial or name == "Updated":
        arguments = [f"**{_braced(values)}"]
    else:
        arguments = [_braced(values)]
    return f"{name}({', '.join([*dots, *arguments])})"


def _is_keyword_argument(column: str) -> bool:
    # Python normalises other letters than ASCII's, and the name would be another one.
    return column.isidentifier() and column.isascii() and not iskeyword(column)


def _braced(values: Mapping[str, Any]) -> str:
    return repr(dict(values))
