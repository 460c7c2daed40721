"""Whoever watches a product hears of every change, while requests are running."""

from collections.abc import AsyncIterator

import anyio
import pytest
from anyio.abc import TaskStatus
from pytest_asgi import AsyncClient

from shop.feed import Feed, StockChanged, stock_topic
from shop.models import Product
from tests.people import Person


class Listener:
    """Writes down the news of a product, in a task of its own."""

    def __init__(self) -> None:
        self.heard: list[int] = []
        self._more = anyio.Condition()

    async def listen(self, feed: Feed, sku: str, *, task_status: TaskStatus[None]) -> None:
        with feed.subscribe(stock_topic(sku)) as news:
            task_status.started()
            while True:
                await self._note(await news.get())

    async def _note(self, news: StockChanged) -> None:
        async with self._more:
            self.heard.append(news.stock)
            self._more.notify_all()

    async def has_heard(self, count: int) -> list[int]:
        async with self._more:
            while len(self.heard) < count:
                await self._more.wait()
        return self.heard


@pytest.fixture
async def lamp_news(feed: Feed, lamp: Product) -> AsyncIterator[Listener]:
    """Listens from before the test until after it: the task group stays open in between."""
    listener = Listener()
    async with anyio.create_task_group() as tasks:
        await tasks.start(listener.listen, feed, lamp.sku)
        yield listener
        tasks.cancel_scope.cancel()


async def test_orders_and_their_cancelling_are_news(
    client: AsyncClient, alice: Person, lamp_news: Listener
) -> None:
    body = {"lines": [{"sku": "lamp", "quantity": 2}]}
    order = (await client.post("/orders", json=body, headers=alice.headers)).json()
    await client.post(f"/orders/{order['id']}/cancel", headers=alice.headers)

    assert await lamp_news.has_heard(2) == [1, 3]


async def test_restocking_is_news(client: AsyncClient, bob: Person, lamp_news: Listener) -> None:
    await client.post("/products/lamp/restock", json={"quantity": 7}, headers=bob.headers)

    assert await lamp_news.has_heard(1) == [10]


async def test_a_refused_order_is_no_news(
    client: AsyncClient, alice: Person, bob: Person, lamp_news: Listener
) -> None:
    body = {"lines": [{"sku": "lamp", "quantity": 4}]}
    await client.post("/orders", json=body, headers=alice.headers)
    await client.post("/products/lamp/restock", json={"quantity": 1}, headers=bob.headers)

    assert await lamp_news.has_heard(1) == [4]
