"""What pytest shows when changes of a database are not those that a test expects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_asgi.database.changes import Change
from pytest_asgi.database.comparison import explain_change, explain_table, explain_tables
from pytest_asgi.database.recording import Changes


def explain(op: str, left: object, right: object) -> list[str] | None:
    """Return the lines for a comparison, the first one behind `assert`; `None` if it is not ours.

    What was written stands on the left, unless only the right side can be that.
    """
    if op != "==":
        return None
    if isinstance(right, Changes) and not isinstance(left, Changes):
        left, right = right, left
    lines = _lines(left, right)
    if lines is None:
        return None
    tables = [line.removesuffix(":") for line in lines if line.endswith(":")]
    exceptions = f", except for {', '.join(tables)}" if isinstance(left, Changes) else ""
    return [f"written == expected{exceptions}", "", *lines]


def _lines(written: Any, expected: Any) -> list[str] | None:
    if isinstance(written, Changes) and isinstance(expected, Mapping):
        return explain_tables(written, expected)
    if _has_changes(written) and isinstance(expected, list):
        return explain_table(written, expected)
    if isinstance(written, list) and _has_changes(expected):
        return explain_table(written, expected)
    if isinstance(written, Change) and isinstance(expected, Change):
        return explain_change(written, expected)
    return None


def _has_changes(value: object) -> bool:
    return isinstance(value, list) and any(isinstance(each, Change) for each in value)
