"""What is shown when changes are not those that were expected."""

from __future__ import annotations

from textwrap import dedent
from typing import Any

import pytest

from pytest_asgi.database.changes import Deleted, Inserted, Updated
from pytest_asgi.database.comparison import explain_change, explain_table, explain_tables


def _lines(text: str) -> list[str]:
    return dedent(text).strip("\n").splitlines()


def test_a_column_that_differs_is_shown_with_both_values() -> None:
    written = Inserted(id=1, email="a@b.c", active=True)

    assert explain_change(written, Inserted(id=1, email="A@b.c", active=True)) == _lines(
        """
        differs     Inserted(id=1, email='a@b.c', active=True)
                 written  expected
          email  'a@b.c'  'A@b.c'
    """
    )


def test_of_an_update_both_steps_are_shown() -> None:
    written = Updated({"id": 1, "stock": 3, "at": 5}, {"id": 1, "stock": 2, "at": 6})

    assert explain_change(written, Updated(stock=(3, 1))) == _lines(
        """
        differs     Updated(id=1, stock=(3, 2), at=(5, 6))
                 written  expected
          stock  3 → 2    3 → 1
          at     5 → 6    not expected
    """
    )


def test_a_column_that_is_not_there_is_said_to_be_so() -> None:
    assert explain_change(Inserted(id=1), Inserted(..., emial="x"))[-1] == (
        "  emial  no such column  'x'"
    )


def test_changes_of_two_kinds_stand_below_each_other() -> None:
    assert explain_change(Inserted(id=1), Deleted(id=1)) == [
        "written   Inserted(id=1)",
        "expected  Deleted(id=1)",
    ]


def test_what_is_alike_belongs_together() -> None:
    written = [Inserted(id=1, name="pen"), Inserted(id=2, name="ink"), Deleted(id=3)]
    expected = [Inserted(id=9, name="ink"), Deleted(id=3), Inserted(id=1, name="pen")]

    assert explain_table(written, expected) == _lines(
        """
        differs     Inserted(id=2, name='ink')
              written  expected
          id  2        9
    """
    )


def test_what_is_left_over_is_missing_or_unexpected() -> None:
    assert explain_table([Inserted(id=1)], [Deleted(id=1)]) == [
        "unexpected  Inserted(id=1)",
        "missing     Deleted(id=1)",
    ]
    assert explain_table([], [Inserted(id=1)]) == ["missing     Inserted(id=1)"]


def test_another_order_is_shown_side_by_side() -> None:
    pen, ink = Inserted(name="pen"), Inserted(name="ink")

    assert explain_table([pen, ink], [ink, pen]) == _lines(
        """
        the same changes in another order
           written               expected
        1  Inserted(name='pen')  Inserted(name='ink')
        2  Inserted(name='ink')  Inserted(name='pen')
    """
    )


def test_only_tables_that_differ_are_shown() -> None:
    written: dict[str, Any] = {"a": [Inserted(id=1)], "b": [Inserted(id=1)]}

    assert explain_tables(written, {"a": [Inserted(id=1)], "c": [Deleted(id=1)]}) == [
        "b:",
        "  unexpected  Inserted(id=1)",
        "c:",
        "  missing     Deleted(id=1)",
    ]


@pytest.mark.parametrize("expected", [7, [7]])
def test_whatever_is_expected_is_shown(expected: object) -> None:
    lines = explain_table([Inserted(id=1)], expected)

    assert any("7" in line for line in lines)
    assert any("Inserted(id=1)" in line for line in lines)
