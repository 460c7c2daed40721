"""Offer products and restock them."""

import pytest
from fastapi import FastAPI
from pytest_asgi import AsyncClient, Database, Inserted, Updated

from shop.dependencies import current_user
from shop.models import Product
from tests.people import Person

CHAIR = {"sku": "chair", "name": "Chair", "price_cents": 7900, "stock": 4}


class TestOffering:
    async def test_a_product_belongs_to_whoever_offers_it(
        self, client: AsyncClient, db: Database, bob: Person
    ) -> None:
        async with db.changes() as changes:
            response = await client.post("/products", json=CHAIR, headers=bob.headers)

        assert (response.status_code, response.json()) == (201, CHAIR)
        assert changes == {"products": [Inserted(id=1, seller_id=bob.user.id, **CHAIR)]}

    async def test_the_seller_is_the_current_user_whoever_decides_that(
        self, app: FastAPI, client: AsyncClient, db: Database, bob: Person
    ) -> None:
        app.dependency_overrides[current_user] = lambda: bob.user

        response = await client.post("/products", json=CHAIR)

        assert response.status_code == 201
        assert await db.has(Product, sku="chair", seller_id=bob.user.id)

    async def test_strangers_offer_nothing(self, client: AsyncClient, db: Database) -> None:
        response = await client.post("/products", json=CHAIR)

        assert response.status_code == 401
        assert await db.count(Product) == 0

    @pytest.mark.usefixtures("lamp")
    async def test_a_sku_is_offered_only_once(self, client: AsyncClient, bob: Person) -> None:
        response = await client.post(
            "/products", json=CHAIR | {"sku": "lamp"}, headers=bob.headers
        )

        assert response.status_code == 409

    @pytest.mark.parametrize(
        "change", [{"sku": "My Chair"}, {"price_cents": 0}, {"stock": -1}], ids=str
    )
    async def test_nonsense_is_not_offered(
        self, client: AsyncClient, bob: Person, change: dict[str, object]
    ) -> None:
        response = await client.post("/products", json=CHAIR | change, headers=bob.headers)

        assert response.status_code == 422


@pytest.mark.usefixtures("lamp")
class TestRestocking:
    async def test_the_seller_adds_to_what_is_there(
        self, client: AsyncClient, db: Database, bob: Person
    ) -> None:
        async with db.changes() as changes:
            response = await client.post(
                "/products/lamp/restock", json={"quantity": 7}, headers=bob.headers
            )

        assert response.json()["stock"] == 10
        assert changes == {"products": [Updated(stock=(3, 10))]}

    async def test_nobody_else_does(
        self, client: AsyncClient, db: Database, alice: Person
    ) -> None:
        async with db.changes() as changes:
            response = await client.post(
                "/products/lamp/restock", json={"quantity": 7}, headers=alice.headers
            )

        assert response.status_code == 403
        assert not changes
