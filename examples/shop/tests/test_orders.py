"""Place, read and cancel orders."""

import asyncio

import pytest
from pytest_asgi import AsyncClient
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from shop.models import EventKind, Order, OrderLine, Product
from shop.orders import find_order, place_order, read_history
from shop.schemas import OrderLineIn
from tests.people import Person


@pytest.fixture
async def order(session: AsyncSession, alice: Person, lamp: Product) -> Order:
    """Alice's order of two lamps."""
    return await place_order(session, alice.user, [OrderLineIn(sku="lamp", quantity=2)])


async def stock_of(session: AsyncSession, sku: str) -> int | None:
    return await session.scalar(select(Product.stock).where(Product.sku == sku))


async def count_orders(session: AsyncSession) -> int | None:
    return await session.scalar(select(func.count()).select_from(Order))


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
        self, client: AsyncClient, session: AsyncSession, alice: Person
    ) -> None:
        body = {"lines": [{"sku": "lamp", "quantity": 2}]}

        response = await client.post("/orders", json=body, headers=alice.headers)

        order = await find_order(session, alice.user, response.json()["id"])
        assert [(line.sku, line.quantity) for line in order.lines] == [("lamp", 2)]
        assert await stock_of(session, "lamp") == 1

    async def test_adds_up_lines_of_one_product(
        self, client: AsyncClient, session: AsyncSession, alice: Person
    ) -> None:
        body = {"lines": [{"sku": "lamp"}, {"sku": "lamp", "quantity": 2}]}

        response = await client.post("/orders", json=body, headers=alice.headers)

        assert [line["quantity"] for line in response.json()["lines"]] == [3]
        assert await stock_of(session, "lamp") == 0

    async def test_more_than_there_is_changes_nothing(
        self, client: AsyncClient, session: AsyncSession, alice: Person
    ) -> None:
        body = {"lines": [{"sku": "lamp"}, {"sku": "desk", "quantity": 2}]}

        response = await client.post("/orders", json=body, headers=alice.headers)

        assert response.status_code == 409
        assert response.json() == {"detail": "Only 1 of desk left."}
        assert await stock_of(session, "lamp") == 3
        assert await count_orders(session) == 0

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

    async def test_strangers_order_nothing(
        self, client: AsyncClient, session: AsyncSession
    ) -> None:
        response = await client.post("/orders", json={"lines": [{"sku": "lamp"}]})

        assert response.status_code == 401
        assert await stock_of(session, "lamp") == 3

    async def test_the_last_piece_is_sold_once(
        self, client: AsyncClient, session: AsyncSession, alice: Person, bob: Person
    ) -> None:
        body = {"lines": [{"sku": "desk"}]}

        async with asyncio.TaskGroup() as tasks:
            attempts = [
                tasks.create_task(client.post("/orders", json=body, headers=person.headers))
                for person in (alice, bob, alice, bob)
            ]

        statuses = sorted(attempt.result().status_code for attempt in attempts)
        assert statuses == [201, 409, 409, 409]
        assert await count_orders(session) == 1


class TestReading:
    async def test_lists_my_orders_newest_first(
        self, client: AsyncClient, session: AsyncSession, alice: Person, order: Order
    ) -> None:
        newer = await place_order(session, alice.user, [OrderLineIn(sku="lamp")])

        response = await client.get("/orders", headers=alice.headers)

        assert [body["id"] for body in response.json()] == [newer.id, order.id]

    async def test_keeps_the_price_of_the_day(
        self, client: AsyncClient, session: AsyncSession, alice: Person, order: Order
    ) -> None:
        await session.execute(update(Product).values(price_cents=9900))
        await session.commit()

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
        self, client: AsyncClient, session: AsyncSession, alice: Person, order: Order
    ) -> None:
        response = await client.post(f"/orders/{order.id}/cancel", headers=alice.headers)

        assert response.json()["status"] == "cancelled"
        assert await stock_of(session, "lamp") == 3
        history = await read_history(session, order.id)
        assert [event.kind for event in history] == [EventKind.PLACED, EventKind.CANCELLED]

    async def test_works_only_once(
        self, client: AsyncClient, session: AsyncSession, alice: Person, order: Order
    ) -> None:
        await client.post(f"/orders/{order.id}/cancel", headers=alice.headers)

        again = await client.post(f"/orders/{order.id}/cancel", headers=alice.headers)

        assert again.status_code == 409
        assert await stock_of(session, "lamp") == 3

    async def test_is_for_the_buyer_alone(
        self, client: AsyncClient, session: AsyncSession, bob: Person, order: Order
    ) -> None:
        response = await client.post(f"/orders/{order.id}/cancel", headers=bob.headers)

        assert response.status_code == 404
        assert await session.scalar(select(func.count()).select_from(OrderLine)) == 1
        assert await stock_of(session, "lamp") == 1
