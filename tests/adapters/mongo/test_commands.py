"""What commands of MongoDB write, and the databases that they name."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_asgi.adapters.mongo.commands import rename_databases, writes_of


@pytest.mark.parametrize(
    ("command", "writes"),
    [
        ({"find": "items"}, []),
        ({"ping": 1}, []),
        ({"aggregate": "items", "pipeline": []}, []),
        ({"aggregate": 1, "pipeline": [{"$match": {}}]}, []),
        ({"insert": "items"}, [("shop", "items", False)]),
        ({"findAndModify": "items"}, [("shop", "items", False)]),
        ({"createIndexes": "items"}, [("shop", "items", True)]),
        ({"dropDatabase": 1}, [("shop", None, True)]),
        ({"aggregate": "a", "pipeline": [{"$out": "b"}]}, [("shop", "b", True)]),
        (
            {"aggregate": "a", "pipeline": [{"$out": {"db": "audit", "coll": "b"}}]},
            [("audit", "b", True)],
        ),
        ({"aggregate": "a", "pipeline": [{"$merge": "b"}]}, [("shop", "b", False)]),
        ({"aggregate": "a", "pipeline": [{"$merge": {"into": "b"}}]}, [("shop", "b", False)]),
        (
            {"renameCollection": "shop.a", "to": "audit.b.c"},
            [("shop", "a", True), ("audit", "b.c", True)],
        ),
        (
            {"bulkWrite": 1, "nsInfo": [{"ns": "shop.a"}, {"ns": "audit.b"}]},
            [("shop", "a", False), ("audit", "b", False)],
        ),
        ({"whatever": 1}, [(None, None, True)]),
    ],
    ids=str,
)
def test_a_command_writes(command: dict[str, Any], writes: list[tuple[Any, ...]]) -> None:
    assert list(writes_of("shop", next(iter(command)), command)) == writes


@pytest.mark.parametrize(
    ("command", "renamed"),
    [
        ({"find": "items"}, {"find": "items"}),
        (
            {"renameCollection": "shop.a", "to": "shop.b", "dropTarget": True},
            {"renameCollection": "ours_shop.a", "to": "ours_shop.b", "dropTarget": True},
        ),
        (
            {"bulkWrite": 1, "nsInfo": [{"ns": "shop.a"}]},
            {"bulkWrite": 1, "nsInfo": [{"ns": "ours_shop.a"}]},
        ),
        (
            {"aggregate": "a", "pipeline": [{"$match": {}}, {"$out": {"db": "x", "coll": "b"}}]},
            {
                "aggregate": "a",
                "pipeline": [{"$match": {}}, {"$out": {"db": "ours_x", "coll": "b"}}],
            },
        ),
        (
            {"aggregate": "a", "pipeline": [{"$merge": {"into": {"db": "x", "coll": "b"}}}]},
            {"aggregate": "a", "pipeline": [{"$merge": {"into": {"db": "ours_x", "coll": "b"}}}]},
        ),
        (
            {"aggregate": "a", "pipeline": [{"$lookup": {"from": "b"}}, {"$merge": "c"}]},
            {"aggregate": "a", "pipeline": [{"$lookup": {"from": "b"}}, {"$merge": "c"}]},
        ),
    ],
    ids=str,
)
def test_databases_are_renamed(command: dict[str, Any], renamed: dict[str, Any]) -> None:
    assert rename_databases(command, lambda name: f"ours_{name}") == renamed
