"""News inside one process: whoever subscribed to a topic gets what is published on it."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Topic(Generic[T]):
    """What news is about; `T` is the type of its news."""

    name: str


@dataclass(frozen=True)
class StockChanged:
    """A product has another number of pieces than before."""

    sku: str
    stock: int


@dataclass(frozen=True)
class OrderMoved:
    """An event was added to an order's history; `id` is the event's."""

    id: int
    order_id: int
    kind: str


def stock_topic(sku: str) -> Topic[StockChanged]:
    return Topic(f"stock/{sku}")


def order_topic(order_id: int) -> Topic[OrderMoved]:
    return Topic(f"orders/{order_id}")


class Feed:
    """Topics, each with the queues of its subscribers."""

    def __init__(self) -> None:
        self._queues: defaultdict[Topic[Any], set[asyncio.Queue[Any]]] = defaultdict(set)

    def publish(self, topic: Topic[T], news: T) -> None:
        """Hand `news` to everybody who is subscribed to `topic` now."""
        for queue in self._queues.get(topic, ()):
            queue.put_nowait(news)

    @contextmanager
    def subscribe(self, topic: Topic[T]) -> Iterator[asyncio.Queue[T]]:
        """Collect the news of `topic` in a queue for as long as the block runs."""
        queue: asyncio.Queue[T] = asyncio.Queue()
        self._queues[topic].add(queue)
        try:
            yield queue
        finally:
            self._queues[topic].discard(queue)
