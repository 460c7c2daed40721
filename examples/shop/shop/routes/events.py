"""What happens to an order, as server-sent events: so far, or for as long as you listen."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header
from fastapi.sse import EventSourceResponse, ServerSentEvent

from shop.dependencies import DatabaseDep, FeedDep, OwnOrder
from shop.feed import order_topic
from shop.orders import read_history

router = APIRouter(prefix="/orders/{order_id}/events", tags=["orders"])

# https://html.spec.whatwg.org/multipage/server-sent-events.html#the-last-event-id-header
LastEventId = Annotated[int, Header(alias="Last-Event-ID")]


@router.get("", response_class=EventSourceResponse)
async def stream_order_events(
    order: OwnOrder,
    database: DatabaseDep,
    feed: FeedDep,
    last_event_id: LastEventId = 0,
    *,
    follow: bool = False,
) -> AsyncIterator[ServerSentEvent]:
    # Subscribed before the history is read, so that nothing can happen unseen in between.
    with feed.subscribe(order_topic(order.id)) as news:
        async with database.session() as session:
            history = await read_history(session, order.id, after=last_event_id)
        for event in history:
            yield as_server_sent(order.id, event.id, event.kind)
            last_event_id = event.id
        while follow:
            moved = await news.get()
            if moved.id > last_event_id:
                yield as_server_sent(order.id, moved.id, moved.kind)


def as_server_sent(order_id: int, event_id: int, kind: str) -> ServerSentEvent:
    return ServerSentEvent(id=str(event_id), event=kind, data={"order_id": order_id})
