"""Place, read and cancel orders."""

from collections.abc import Sequence

from fastapi import APIRouter, BackgroundTasks

from shop.dependencies import CurrentUser, FeedDep, OwnOrder, ReceiptsDep, SessionDep
from shop.models import Order
from shop.orders import cancel_order, list_orders, place_order, publish_event, publish_stock
from shop.schemas import OrderIn, OrderOut

router = APIRouter(prefix="/orders", tags=["orders"])


@router.post("", status_code=201, response_model=OrderOut)
async def create_order(
    body: OrderIn,
    buyer: CurrentUser,
    session: SessionDep,
    *,
    background: BackgroundTasks,
    receipts: ReceiptsDep,
    feed: FeedDep,
) -> Order:
    order = await place_order(session, buyer, body.lines)
    publish_stock(feed, order)
    background.add_task(receipts.send, order.id)
    return order


@router.get("", response_model=list[OrderOut])
async def read_orders(session: SessionDep, buyer: CurrentUser) -> Sequence[Order]:
    return await list_orders(session, buyer)


@router.get("/{order_id}", response_model=OrderOut)  # noqa: FAST003 - `OwnOrder` takes it.
async def read_order(order: OwnOrder) -> Order:
    return order


@router.post("/{order_id}/cancel", response_model=OrderOut)  # noqa: FAST003 - the same.
async def cancel(order: OwnOrder, session: SessionDep, feed: FeedDep) -> Order:
    cancelled = await cancel_order(session, order)
    publish_stock(feed, order)
    publish_event(feed, cancelled)
    return order
