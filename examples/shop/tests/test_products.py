"""Offer products and restock them."""

import pytest
from fastapi import FastAPI
from pytest_asgi import AsyncClient
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from shop.dependencies import current_user
from shop.models import Product
from shop.products import find_product
from tests.people import Person

CHAIR = {"sku": "chair", "name": "Chair", "price_cents": 7900, "stock": 4}


class TestOffering:
    async def test_a_product_belongs_to_whoever_offers_it(
        self, client: AsyncClient, session: AsyncSession, bob: Person
    ) -> None:
        response = await client.post("/products", json=CHAIR, headers=bob.headers)

        assert (response.status_code, response.json()) == (201, CHAIR)
        assert (await find_product(session, "chair")).seller_id == bob.user.id

    async def test_the_seller_is_the_current_user_whoever_decides_that(
        self, app: FastAPI, client: AsyncClient, session: AsyncSession, bob: Person
    ) -> None:
        app.dependency_overrides[current_user] = lambda: bob.user

        response = await client.post("/products", json=CHAIR)

        assert response.status_code == 201
        assert await session.scalar(select(Product.seller_id)) == bob.user.id

    async def test_strangers_offer_nothing(
        self, client: AsyncClient, session: AsyncSession
    ) -> None:
        response = await client.post("/products", json=CHAIR)

        assert response.status_code == 401
        assert await session.scalar(select(Product.id)) is None

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
        self, client: AsyncClient, session: AsyncSession, bob: Person
    ) -> None:
        response = await client.post(
            "/products/lamp/restock", json={"quantity": 7}, headers=bob.headers
        )

        assert response.json()["stock"] == 10
        assert await session.scalar(select(Product.stock)) == 10

    async def test_nobody_else_does(
        self, client: AsyncClient, session: AsyncSession, alice: Person
    ) -> None:
        response = await client.post(
            "/products/lamp/restock", json={"quantity": 7}, headers=alice.headers
        )

        assert response.status_code == 403
        assert await session.scalar(select(Product.stock)) == 3
