"""What a benchmark found, as data, and how it reads as a table and as JSON.

Nothing here measures; the numbers arrive ready.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.rounds import Samples, Spread


@dataclass(frozen=True)
class Column:
    """One quantity of a table, with the number of digits worth showing."""

    title: str
    digits: int


@dataclass(frozen=True)
class Target:
    """What a median must not exceed, and what we would like it to reach."""

    limit: float
    goal: float | None = None


@dataclass(frozen=True)
class Verdict:
    """A measured median beside its target."""

    subject: str
    measured: float
    target: Target

    @property
    def is_met(self) -> bool:
        return self.measured <= self.target.limit

    def __str__(self) -> str:
        answer = "met" if self.is_met else "NOT MET"
        text = f"{self.subject}: {self.measured:.3f}, limit {self.target.limit:g} {answer}"
        if self.target.goal is None:
            return text
        reached = "met" if self.measured <= self.target.goal else "not met"
        return f"{text}, goal {self.target.goal:g} {reached}"


@dataclass(frozen=True)
class Table:
    """Rows of spreads under named columns; a row may leave a column out."""

    title: str
    columns: Sequence[Column]
    rows: Mapping[str, Mapping[str, Spread]]


@dataclass(frozen=True)
class Result:
    """Everything one benchmark has to say."""

    tables: Sequence[Table]
    samples: Samples
    verdicts: Sequence[Verdict] = ()
    notes: Sequence[str] = ()
    details: Mapping[str, Any] = field(default_factory=dict)


def render_result(result: Result) -> str:
    """Return the tables, notes and verdicts as text for a terminal."""
    parts = ["\n".join(_render_table(table)) for table in result.tables]
    remarks = [*result.notes, *map(str, result.verdicts)]
    return "\n\n".join([*parts, "\n".join(remarks)]).rstrip()


def result_as_json(result: Result) -> dict[str, Any]:
    """Return the same facts, and every single sample, as plain JSON values."""
    return {
        "tables": [_table_as_json(table) for table in result.tables],
        "verdicts": [
            {
                "subject": verdict.subject,
                "measured": verdict.measured,
                "limit": verdict.target.limit,
                "goal": verdict.target.goal,
                "met": verdict.is_met,
            }
            for verdict in result.verdicts
        ],
        "notes": list(result.notes),
        "details": dict(result.details),
        "samples": result.samples,
    }


def _table_as_json(table: Table) -> dict[str, Any]:
    return {
        "title": table.title,
        "rows": {
            name: {
                title: {"median": spread.median, "min": spread.low, "max": spread.high}
                for title, spread in row.items()
            }
            for name, row in table.rows.items()
        },
    }


def _render_table(table: Table) -> Iterator[str]:
    lines = [[table.title, *(column.title for column in table.columns)]]
    for name, row in table.rows.items():
        lines.append([name, *(_render_cell(row.get(c.title), c.digits) for c in table.columns)])
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    for number, (name, *cells) in enumerate(lines):
        aligned = (cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))
        yield "  ".join([name.ljust(widths[0]), *aligned]).rstrip()
        if number == 0:
            yield "  ".join("-" * width for width in widths)


def _render_cell(spread: Spread | None, digits: int) -> str:
    if spread is None:
        return ""
    low, median, high = (
        f"{value:.{digits}f}" for value in (spread.low, spread.median, spread.high)
    )
    return median if low == high else f"{median} ({low} to {high})"
