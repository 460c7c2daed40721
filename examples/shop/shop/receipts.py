"""The receipt for an order: written after the response, on a session of its own."""

from dataclasses import dataclass

from sqlalchemy.orm import joinedload

from shop.database import Database
from shop.feed import Feed
from shop.mailer import Letter, Mailer
from shop.models import EventKind, Order, OrderEvent
from shop.orders import publish_event


@dataclass(frozen=True)
class Receipts:
    """Sends receipts and notes in the order's history that it did."""

    database: Database
    mailer: Mailer
    feed: Feed

    async def send(self, order_id: int) -> None:
        """Send the buyer of an order a receipt."""
        async with self.database.session() as session:
            order = await session.get_one(Order, order_id, options=[joinedload(Order.buyer)])
            await self.mailer.send(write_receipt(order))
            sent = OrderEvent(order_id=order_id, kind=EventKind.RECEIPT_SENT)
            session.add(sent)
            await session.commit()
        publish_event(self.feed, sent)


def write_receipt(order: Order) -> Letter:
    """Return the letter that confirms an order."""
    lines = [f"{line.quantity} x {line.product.name}" for line in order.lines]
    total = f"Total: {order.total_cents / 100:.2f}"
    return Letter(
        to=order.buyer.email,
        subject=f"Your order {order.id}",
        body="\n".join([f"Dear {order.buyer.name},", *lines, total]),
    )
