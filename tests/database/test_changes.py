"""When two changes are equal, and how they are written."""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from dirty_equals import IsInt, IsNow, IsPositive, IsStr
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_asgi.database.changes import Change, Deleted, Inserted, Updated

SOLD = Updated({"id": 1, "name": "pen", "stock": 3}, {"id": 1, "name": "pen", "stock": 2})


def test_a_row_is_compared_whole() -> None:
    assert Inserted({"id": 1, "email": "a@b.c"}) == Inserted(id=1, email="a@b.c")
    assert Inserted(id=1, email="a@b.c") != Inserted(email="a@b.c")
    assert Inserted(id=1) != Inserted(id=2)


def test_the_kind_counts() -> None:
    assert Inserted(id=1) != Deleted(id=1)
    assert Inserted(id=1) != {"id": 1}
    assert Updated(id=1) != Inserted(id=1)


@pytest.mark.parametrize("kind", [Inserted, Deleted])
def test_three_dots_leave_the_other_columns_open(kind: Any) -> None:
    row = kind(id=1, email="a@b.c", active=True)

    assert row == kind(..., email="a@b.c")
    assert kind(..., email="a@b.c") == row
    assert row == kind(...)
    assert row != kind(..., email="A@b.c")
    assert row != kind(..., emial="a@b.c")


@pytest.mark.parametrize(
    "expected",
    [
        SOLD,
        Updated(stock=(3, 2)),
        Updated(stock=2),
        Updated(id=1, stock=(3, 2)),
        Updated(id=1, name="pen", stock=2),
        Updated(..., name="pen"),
        Updated(..., stock=(3, 2)),
        Updated(...),
    ],
)
def test_an_update_may_say_less(expected: Updated) -> None:
    assert expected == SOLD
    assert SOLD == expected  # noqa: SIM300 - either side may say less


@pytest.mark.parametrize(
    "expected",
    [
        Updated(stock=(2, 2)),
        Updated(stock=3),
        Updated(id=2, stock=(3, 2)),
        Updated(id=1),
        Updated(name=("pencil", "pen"), stock=2),
        Updated(),
        Updated(..., stock=(4, 2)),
        Updated(..., price=1),
        Updated({"stock": 3}, {"stock": 2}),
    ],
)
def test_what_an_update_says_has_to_be_so(expected: Updated) -> None:
    assert expected != SOLD
    assert SOLD != expected  # noqa: SIM300 - either side may say less


def test_an_update_tells_what_has_changed() -> None:
    assert SOLD.before["stock"] == 3
    assert SOLD.after["stock"] == 2
    assert SOLD.changed == {"stock": (3, 2)}


def test_a_column_may_come_and_go() -> None:
    with_price = Updated({"id": 1}, {"id": 1, "price": None})

    assert with_price != Updated(id=1)
    assert with_price == Updated({"id": 1}, {"id": 1, "price": None})
    assert repr(with_price) == "Updated({'id': 1}, {'id': 1, 'price': None})"


@pytest.mark.parametrize("arguments", [(..., {}), ({"id": 1},), (None, {"id": 1})])
def test_an_update_takes_two_mappings_or_keywords(arguments: Any) -> None:
    with pytest.raises(TypeError, match="two mappings, or keywords"):
        Updated(*arguments)


def test_matchers_may_stand_for_values() -> None:
    now = datetime.now(UTC)

    assert Inserted(id=7, email="a@b.c", at=now) == Inserted(
        id=IsInt, email=IsStr, at=IsNow(tz=UTC)
    )
    assert Inserted(id=-7) != Inserted(id=IsPositive)
    assert Updated(stock=(IsInt, IsPositive)) == SOLD


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (Inserted(id=1, email="a@b.c"), "Inserted(id=1, email='a@b.c')"),
        (Inserted(..., id=1), "Inserted(..., id=1)"),
        (Inserted({"first name": "A", "class": 1}), "Inserted({'first name': 'A', 'class': 1})"),
        (Inserted(..., **{"first name": "A"}), "Inserted(..., **{'first name': 'A'})"),
        (Inserted(self=1, row=2), "Inserted(self=1, row=2)"),
        (Deleted(price=Decimal("1.50")), "Deleted(price=Decimal('1.50'))"),
        (SOLD, "Updated(id=1, name='pen', stock=(3, 2))"),
        (Updated(stock=2), "Updated(stock=2)"),
        (Updated(..., stock=(3, 2)), "Updated(..., stock=(3, 2))"),
        (Updated({"a b": 1}, {"a b": 2}), "Updated(**{'a b': (1, 2)})"),
        (
            Updated({"id": 1, "place": (4, 5)}, {"id": 2, "place": (4, 5)}),
            "Updated({'id': 1, 'place': (4, 5)}, {'id': 2, 'place': (4, 5)})",
        ),
    ],
)
def test_a_change_is_written_as_the_code_that_makes_it(change: Change, code: str) -> None:
    assert repr(change) == code
    assert eval(code) == change


_values = (
    st.none() | st.booleans() | st.integers() | st.text() | st.tuples(st.integers(), st.text())
)
_rows = st.dictionaries(st.text(min_size=1, max_size=3), _values, max_size=4)


@given(before=_rows, after=_rows)
def test_every_change_is_equal_to_its_code_and_to_its_copy(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    for change in (Inserted(before), Deleted(before), Updated(before, after)):
        assert eval(repr(change)) == change
        assert deepcopy(change) == change


@settings(max_examples=30)
@given(before=_rows, after=_rows, other=_rows)
def test_equality_is_the_same_from_both_sides(
    before: dict[str, Any], after: dict[str, Any], other: dict[str, Any]
) -> None:
    changes = [
        Updated(before, after),
        Updated(before, other),
        Updated(**after),
        Updated(..., **other),
        Inserted(before),
        Inserted(..., **other),
    ]
    for one in changes:
        for another in changes:
            assert (one == another) is (another == one)


def test_a_change_is_no_key() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(Inserted(id=1))
