"""A product's stock over a WebSocket: the number now, then every change."""

import asyncio
from dataclasses import asdict

import anyio
from fastapi import APIRouter, WebSocket

from shop.dependencies import DatabaseDep, FeedDep
from shop.errors import NotFoundError
from shop.feed import StockChanged, stock_topic
from shop.products import find_product

router = APIRouter(prefix="/products", tags=["products"])

UNKNOWN_PRODUCT = 4404


@router.websocket("/{sku}/stock")
async def watch_stock(
    websocket: WebSocket, sku: str, database: DatabaseDep, feed: FeedDep
) -> None:
    with feed.subscribe(stock_topic(sku)) as news:
        try:
            async with database.session() as session:
                product = await find_product(session, sku)
        except NotFoundError as error:
            await websocket.close(UNKNOWN_PRODUCT, str(error))
            return
        await websocket.accept()
        await websocket.send_json(asdict(StockChanged(sku, product.stock)))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send_news, websocket, news)
            await wait_until_closed(websocket)
            tasks.cancel_scope.cancel()


async def send_news(websocket: WebSocket, news: asyncio.Queue[StockChanged]) -> None:
    while True:
        await websocket.send_json(asdict(await news.get()))


async def wait_until_closed(websocket: WebSocket) -> None:
    async for _ in websocket.iter_text():
        pass
