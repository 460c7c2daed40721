"""What an error says, and what the package offers."""

from __future__ import annotations

import pickle

import pytest

import pytest_asgi
from pytest_asgi import AsgiError, FixtureError


def test_an_error_has_its_three_parts_in_its_text() -> None:
    error = FixtureError("It broke.", why="It was old.", fix="Buy a new one.")

    assert (error.what, error.why, error.fix) == ("It broke.", "It was old.", "Buy a new one.")
    assert str(error) == "It broke.\n\nWhy: It was old.\n\nFix: Buy a new one."


def test_an_error_survives_the_way_home_from_a_worker() -> None:
    error = FixtureError("It broke.", why="It was old.", fix="Buy a new one.")
    error.add_note("It was a gift.")

    copy = pickle.loads(pickle.dumps(error))

    assert type(copy) is FixtureError
    assert str(copy) == str(error)
    assert copy.__notes__ == ["It was a gift."]


def test_the_public_names_are_those_that_the_package_lists() -> None:
    assert dir(pytest_asgi) == pytest_asgi.__all__
    assert issubclass(pytest_asgi.FixtureError, AsgiError)


def test_a_name_that_is_not_public_is_refused() -> None:
    with pytest.raises(AttributeError, match="module 'pytest_asgi' has no attribute 'plugin_'"):
        _ = pytest_asgi.plugin_
