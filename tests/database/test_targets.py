"""What an app asks for, and whether a project allows it."""

from __future__ import annotations

import pytest

from pytest_asgi.database.targets import Target

SHOP = Target("postgresql", "shop", host="db.internal", port=5433, user="app")


@pytest.mark.parametrize(
    ("target", "text"),
    [
        (SHOP, "postgresql://app@db.internal:5433/shop"),
        (Target("sqlite", "/srv/shop.db"), "sqlite:////srv/shop.db"),
        (Target("postgresql", "shop", host="/run/pg"), "postgresql://%2Frun%2Fpg/shop"),
        (Target("redis", "0", host="cache", user="a@b"), "redis://a%40b@cache/0"),
    ],
)
def test_a_target_is_shown_as_a_url(target: Target, text: str) -> None:
    assert str(target) == text


def test_two_users_of_one_database_mean_the_same_database() -> None:
    assert SHOP.database == SHOP._replace(user="admin").database
    assert SHOP.database != SHOP._replace(name="archive").database


@pytest.mark.parametrize("pattern", ["shop", "postgresql://*@db.internal*", "sh?p", "*"])
def test_a_pattern_allows_by_name_or_by_url(pattern: str) -> None:
    assert SHOP.matches(["nothing", pattern])


@pytest.mark.parametrize("pattern", ["SHOP", "db.internal", "postgresql://db.internal/shop"])
def test_a_pattern_means_the_whole_name_or_url(pattern: str) -> None:
    assert not SHOP.matches([pattern])
