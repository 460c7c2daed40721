"""The page's "attached to a different loop", with MongoDB's client: it does not happen."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from pytest_asgi import AsyncClient, Inserted

from catalogue import app, items


@pytest.fixture(scope="session")
async def pen() -> str:
    await items.insert_one({"_id": "pen"})
    return "pen"


@pytest.fixture(scope="module")
async def ink(pen: str) -> AsyncIterator[str]:
    await items.insert_one({"_id": "ink"})
    yield "ink"
    await items.delete_one({"_id": "ink"})


@pytest.fixture
async def cap() -> str:
    await items.insert_one({"_id": "cap"})
    return "cap"


@pytest.mark.parametrize("name", ["rule", "book"])
async def test_the_backend_writes_what_it_was_sent(name: str, pen: str, ink: str, db: Any) -> None:
    async with AsyncClient(app=app) as ac, db.changes() as changes:
        response = await ac.post(f"/items/{name}")
    assert response.status_code == 201
    assert changes == {"items": [Inserted(_id=name)]}
    assert await items.distinct("_id") == [pen, ink, name]


@pytest.mark.asyncio
async def test_with_the_mark_of_the_page(cap: str, ink: str) -> None:
    assert await items.count_documents({}) == 3


class TestInAClass:
    async def test_the_fixtures_of_wider_scopes_are_still_there(self, pen: str, ink: str) -> None:
        assert await items.count_documents({"_id": {"$in": [pen, ink]}}) == 2
