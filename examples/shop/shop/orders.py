"""The life of an order: placed, confirmed by a receipt, perhaps cancelled."""

from collections.abc import Iterable, Sequence

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from shop.errors import ConflictError, NotFoundError
from shop.feed import Feed, OrderMoved, StockChanged, order_topic, stock_topic
from shop.models import EventKind, Order, OrderEvent, OrderLine, OrderStatus, User
from shop.products import put_into_stock, take_from_stock
from shop.schemas import OrderLineIn


async def place_order(session: AsyncSession, buyer: User, wanted: Iterable[OrderLineIn]) -> Order:
    """Take the products from stock and write the order: all of it or nothing."""
    order = Order(buyer_id=buyer.id, lines=[], history=[OrderEvent(kind=EventKind.PLACED)])
    for sku, quantity in merge_lines(wanted).items():
        product = await take_from_stock(session, sku, quantity)
        order.lines.append(
            OrderLine(product=product, quantity=quantity, price_cents=product.price_cents)
        )
    session.add(order)
    await session.commit()
    return order


def merge_lines(lines: Iterable[OrderLineIn]) -> dict[str, int]:
    """Add up lines that name the same product."""
    quantities: dict[str, int] = {}
    for line in lines:
        quantities[line.sku] = quantities.get(line.sku, 0) + line.quantity
    return quantities


async def list_orders(session: AsyncSession, buyer: User) -> Sequence[Order]:
    """Return the buyer's orders, newest first."""
    query = select(Order).where(Order.buyer_id == buyer.id).order_by(Order.id.desc())
    return (await session.scalars(query)).all()


async def find_order(session: AsyncSession, buyer: User, order_id: int) -> Order:
    """Return the order if it is the buyer's, else raise `NotFoundError`."""
    order = await session.get(Order, order_id)
    if order is None or order.buyer_id != buyer.id:
        raise NotFoundError(f"You have no order {order_id}.")
    return order


async def cancel_order(session: AsyncSession, order: Order) -> OrderEvent:
    """Cancel an order, put its products back, and return the event in its history."""
    # The condition is in the statement: of two cancellations only one may restock.
    claimed = await session.scalar(
        update(Order)
        .where(Order.id == order.id, Order.status == OrderStatus.PLACED)
        .values(status=OrderStatus.CANCELLED)
        .returning(Order.id)
    )
    if claimed is None:
        raise ConflictError(f"Order {order.id} is cancelled already.")
    for line in order.lines:
        await put_into_stock(session, line.product_id, line.quantity)
    cancelled = OrderEvent(order_id=order.id, kind=EventKind.CANCELLED)
    session.add(cancelled)
    await session.commit()
    return cancelled


async def read_history(
    session: AsyncSession, order_id: int, *, after: int = 0
) -> Sequence[OrderEvent]:
    """Return what happened to an order, the oldest first."""
    query = select(OrderEvent).where(OrderEvent.order_id == order_id, OrderEvent.id > after)
    return (await session.scalars(query.order_by(OrderEvent.id))).all()


def publish_stock(feed: Feed, order: Order) -> None:
    """Tell whoever watches the products of an order how many are left."""
    for line in order.lines:
        feed.publish(stock_topic(line.sku), StockChanged(line.sku, line.product.stock))


def publish_event(feed: Feed, event: OrderEvent) -> None:
    """Tell whoever follows an order what happened to it."""
    feed.publish(order_topic(event.order_id), OrderMoved(event.id, event.order_id, event.kind))
