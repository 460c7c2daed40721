"""Every promise has a test, and every test that names one names one that exists."""

from __future__ import annotations

import re
from pathlib import Path

from tests.promises import PROMISES

_TESTS = Path(__file__).parents[1]
_USE = re.compile(r"@promise\(([^)]*)\)")


def _kept() -> set[str]:
    return {
        name
        for file in _TESTS.rglob("test_*.py")
        for use in _USE.findall(file.read_text(encoding="utf-8"))
        for name in re.findall(r"\"([^\"]+)\"", use)
    }


def test_every_promise_is_kept_by_a_test() -> None:
    assert {promise.id for promise in PROMISES} - _kept() == set()


def test_every_promise_that_a_test_names_is_listed() -> None:
    assert _kept() - {promise.id for promise in PROMISES} == set()


def test_no_promise_is_listed_twice() -> None:
    ids = [promise.id for promise in PROMISES]
    assert sorted(ids) == sorted(set(ids))
