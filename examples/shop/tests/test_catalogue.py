"""Look at what is for sale. These tests only read, so they share their products."""

import pytest
from pytest_asgi import AsyncClient

from shop.database import Database
from shop.products import offer_product
from shop.schemas import ProductIn
from shop.users import sign_up


@pytest.fixture(scope="module", autouse=True)
async def products(database: Database) -> None:
    """What is written here stays for this module and is gone for the next."""
    async with database.session() as session:
        bob, _ = await sign_up(session, email="bob@example.com", name="Bob")
        for sku, price_cents in {"lamp": 2500, "desk": 19900, "chair": 7900}.items():
            wanted = ProductIn(sku=sku, name=sku.title(), price_cents=price_cents, stock=5)
            await offer_product(session, bob, wanted)


async def test_products_are_listed_by_sku(client: AsyncClient) -> None:
    response = await client.get("/products")

    assert [product["sku"] for product in response.json()] == ["chair", "desk", "lamp"]


@pytest.mark.parametrize(
    ("query", "skus"),
    [
        ({"max_price_cents": 7900}, ["chair", "lamp"]),
        ({"max_price_cents": 2499}, []),
        ({"limit": 2}, ["chair", "desk"]),
        ({"max_price_cents": 7900, "limit": 1}, ["chair"]),
    ],
)
async def test_a_query_narrows_the_list(
    client: AsyncClient, query: dict[str, int], skus: list[str]
) -> None:
    response = await client.get("/products", params=query)

    assert [product["sku"] for product in response.json()] == skus


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 101}, {"max_price_cents": "cheap"}])
async def test_a_query_that_makes_no_sense_is_refused(
    client: AsyncClient, query: dict[str, int | str]
) -> None:
    response = await client.get("/products", params=query)

    assert response.status_code == 422


async def test_a_product_is_found_by_its_sku(client: AsyncClient) -> None:
    response = await client.get("/products/desk")

    assert response.json() == {"sku": "desk", "name": "Desk", "price_cents": 19900, "stock": 5}


async def test_an_unknown_product_is_not_found(client: AsyncClient) -> None:
    response = await client.get("/products/sofa")

    assert response.status_code == 404
    assert response.json() == {"detail": "There is no product sofa."}
