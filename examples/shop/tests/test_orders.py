"""Place, read and cancel orders."""

import asyncio

import pytest
from pytest_asgi import AsyncClient, Database, Inserted, Queries, Updated
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from shop.models import Order, OrderLine, Product
from shop.orders import place_order
from shop.schemas import OrderLineIn
from tests.people import Person


@pytest.fixture
async def order(session: AsyncSession, alice: Person, lamp: Product) -> Order:
    """Alice's order of two lamps."""
    return await place_order(session, alice.user, [OrderLineIn(sku="lamp", quantity=2)])


@pytest.mark.usefixtures("lamp", "desk")
class TestPlacing:
    async def test_answers_with_the_order(self, client: AsyncClient, alice: Person) -> None:
        lines = [{"sku": "lamp", "quantity": 2}, {"sku": "desk"}]

        response = await client.post("/orders", json={"lines": lines}, headers=alice.headers)

        assert response.status_code == 201
        body = response.json()
        assert (body["status"], body["total_cents"]) == ("placed", 24900)
        assert body["lines"] == [
            {"sku": "lamp", "quantity": 2, "price_cents": 2500},
            {"sku": "desk", "quantity": 1, "price_cents": 19900},
        ]

    async def test_writes_the_order_and_takes_from_stock(
        self, client: AsyncClient, db: Database, alice: Person
    ) -> None:
        body = {"lines": [{"sku": "lamp", "quantity": 2}]}

        async with db.changes() as changes:
            await client.post("/orders", json=body, headers=alice.headers)

        assert changes == {
            "products": [Updated(stock=(3, 1))],
            "orders": [Inserted(..., id=1, buyer_id=alice.user.id, status="placed")],
            "order_lines": [Inserted(order_id=1, product_id=1, quantity=2, price_cents=2500)],
            "order_events": [
                Inserted(id=1, order_id=1, kind="placed"),
                Inserted(id=2, order_id=1, kind="receipt_sent"),
            ],
        }

    async def test_adds_up_lines_of_one_product(
        self, client: AsyncClient, db: Database, alice: Person
    ) -> None:
        body = {"lines": [{"sku": "lamp"}, {"sku": "lamp", "quantity": 2}]}

        response = await client.post("/orders", json=body, headers=alice.headers)

        assert [line["quantity"] for line in response.json()["lines"]] == [3]
        assert await db.has(Product, sku="lamp", stock=0)

    async def test_more_than_there_is_changes_nothing(
        self, client: AsyncClient, db: Database, alice: Person
    ) -> None:
        body = {"lines": [{"sku": "lamp"}, {"sku": "desk", "quantity": 2}]}

        async with db.changes() as changes:
            response = await client.post("/orders", json=body, headers=alice.headers)

        assert response.status_code == 409
        assert response.json() == {"detail": "Only 1 of desk left."}
        assert not changes

    async def test_an_unknown_product_is_not_found(
        self, client: AsyncClient, alice: Person
    ) -> None:
        body = {"lines": [{"sku": "sofa"}]}

        response = await client.post("/orders", json=body, headers=alice.headers)

        assert response.status_code == 404

    @pytest.mark.parametrize(
        "lines",
        [[], [{"sku": "lamp", "quantity": 0}], [{"quantity": 1}], [{"sku": "lamp"}] * 51],
        ids=["nothing", "no piece", "no product", "too many"],
    )
    async def test_nonsense_is_refused(
        self, client: AsyncClient, alice: Person, lines: list[dict[str, object]]
    ) -> None:
        response = await client.post("/orders", json={"lines": lines}, headers=alice.headers)

        assert response.status_code == 422

    async def test_strangers_order_nothing(self, client: AsyncClient, db: Database) -> None:
        async with db.changes() as changes:
            response = await client.post("/orders", json={"lines": [{"sku": "lamp"}]})

        assert response.status_code == 401
        assert not changes

    async def test_the_last_piece_is_sold_once(
        self, client: AsyncClient, db: Database, alice: Person, bob: Person
    ) -> None:
        body = {"lines": [{"sku": "desk"}]}

        async with asyncio.TaskGroup() as tasks:
            attempts = [
                tasks.create_task(client.post("/orders", json=body, headers=person.headers))
                for person in (alice, bob, alice, bob)
            ]

        statuses = sorted(attempt.result().status_code for attempt in attempts)
        assert statuses == [201, 409, 409, 409]
        assert await db.count(Order) == 1


class TestReading:
    async def test_lists_my_orders_newest_first(
        self, client: AsyncClient, session: AsyncSession, alice: Person, order: Order
    ) -> None:
        newer = await place_order(session, alice.user, [OrderLineIn(sku="lamp")])

        response = await client.get("/orders", headers=alice.headers)

        assert [body["id"] for body in response.json()] == [newer.id, order.id]

    @pytest.mark.usefixtures("order")
    async def test_asks_no_more_for_many_orders_than_for_few(
        self, client: AsyncClient, session: AsyncSession, queries: Queries, alice: Person
    ) -> None:
        few = await client.get("/orders", headers=alice.headers)
        await place_order(session, alice.user, [OrderLineIn(sku="lamp")])

        with queries.at_most(len(queries.of(few))):
            many = await client.get("/orders", headers=alice.headers)

        assert len(many.json()) == 2

    async def test_keeps_the_price_of_the_day(
        self, client: AsyncClient, db: Database, alice: Person, order: Order
    ) -> None:
        await db.execute(update(Product).values(price_cents=9900))

        response = await client.get(f"/orders/{order.id}", headers=alice.headers)

        assert response.json()["total_cents"] == 5000

    async def test_hides_the_orders_of_others(
        self, client: AsyncClient, bob: Person, order: Order
    ) -> None:
        mine = await client.get("/orders", headers=bob.headers)
        theirs = await client.get(f"/orders/{order.id}", headers=bob.headers)

        assert mine.json() == []
        assert theirs.status_code == 404


class TestCancelling:
    async def test_puts_the_products_back(
        self, client: AsyncClient, db: Database, alice: Person, order: Order
    ) -> None:
        async with db.changes() as changes:
            response = await client.post(f"/orders/{order.id}/cancel", headers=alice.headers)

        assert response.json()["status"] == "cancelled"
        assert changes == {
            "orders": [Updated(status=("placed", "cancelled"))],
            "products": [Updated(stock=(1, 3))],
            "order_events": [Inserted(..., order_id=order.id, kind="cancelled")],
        }

    async def test_works_only_once(
        self, client: AsyncClient, db: Database, alice: Person, order: Order
    ) -> None:
        await client.post(f"/orders/{order.id}/cancel", headers=alice.headers)

        async with db.changes() as changes:
            again = await client.post(f"/orders/{order.id}/cancel", headers=alice.headers)

        assert again.status_code == 409
        assert not changes

    async def test_is_for_the_buyer_alone(
        self, client: AsyncClient, db: Database, bob: Person, order: Order
    ) -> None:
        async with db.changes() as changes:
            response = await client.post(f"/orders/{order.id}/cancel", headers=bob.headers)

        assert response.status_code == 404
        assert not changes
        assert await db.has(OrderLine, order_id=order.id, quantity=2)
