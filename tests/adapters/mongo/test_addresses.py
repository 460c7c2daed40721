"""What a client's arguments ask for, and what they become."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_asgi.adapters.mongo.addresses import replace, target_of

OURS = "mongodb://127.0.0.1:31000/?directConnection=true"


@pytest.mark.parametrize(
    ("arguments", "target"),
    [
        ({}, "mongodb://localhost/"),
        ({"host": "db.internal", "port": 27017}, "mongodb://db.internal/"),
        ({"host": "db.internal", "port": 27018}, "mongodb://db.internal:27018/"),
        ({"host": "db.internal:27018"}, "mongodb://db.internal:27018/"),
        ({"host": "mongodb://ada:pw@db.internal:1/shop?tls=true"}, "mongodb://ada@db.internal:1/"),
        ({"host": "mongodb+srv://ada:pw@cluster.example/shop"}, "mongodb://ada@cluster.example/"),
        ({"host": ["two", "one:27018"]}, "mongodb://one:27018,two/"),
        ({"host": "mongodb://two,one/?replicaSet=rs"}, "mongodb://one,two/"),
        ({"host": "mongodb://%2Frun%2Fmongo.sock/"}, "mongodb://%2Frun%2Fmongo.sock/"),
        ({"host": "mongodb://[::1]:27018/"}, "mongodb://[::1]:27018/"),
    ],
)
def test_a_target_is_a_server_without_a_password(arguments: dict[str, Any], target: str) -> None:
    assert str(target_of(arguments)) == target


def test_what_belongs_to_the_server_of_the_app_is_left_out() -> None:
    moved = replace(
        {
            "host": "mongodb://ada:pw@one,two/shop?replicaSet=rs&tls=true&retryWrites=false&w=3",
            "port": 27018,
            "tz_aware": True,
            "authSource": "admin",
            "tlsCAFile": "/etc/ca.pem",
            "appname": "shop",
            "event_listeners": ["the app's"],
        },
        OURS,
        "ours",
    )

    assert moved == {
        "host": "mongodb://127.0.0.1:31000/shop?retryWrites=false&directConnection=true",
        "port": None,
        "tz_aware": True,
        "appname": "shop",
        "event_listeners": ["ours", "the app's"],
    }


def test_an_address_that_the_project_has_named_keeps_what_it_needs() -> None:
    moved = replace({"host": "mongodb://db/shop"}, "mongodb://tests:pw@ci/?tls=true", "ours")

    assert moved["host"] == "mongodb://tests:pw@ci/shop?tls=true&authSource=admin"
