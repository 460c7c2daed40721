"""Offer, list and restock products."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query

from shop.dependencies import CurrentUser, FeedDep, SessionDep
from shop.feed import StockChanged, stock_topic
from shop.models import Product
from shop.products import find_product, list_products, offer_product, restock
from shop.schemas import ProductIn, ProductOut, RestockIn

router = APIRouter(prefix="/products", tags=["products"])

MaxPrice = Annotated[int | None, Query(gt=0)]
Limit = Annotated[int, Query(ge=1, le=100)]


@router.get("", response_model=list[ProductOut])
async def read_products(
    session: SessionDep, max_price_cents: MaxPrice = None, limit: Limit = 20
) -> Sequence[Product]:
    return await list_products(session, max_price_cents=max_price_cents, limit=limit)


@router.get("/{sku}", response_model=ProductOut)
async def read_product(sku: str, session: SessionDep) -> Product:
    return await find_product(session, sku)


@router.post("", status_code=201, response_model=ProductOut)
async def create_product(body: ProductIn, session: SessionDep, seller: CurrentUser) -> Product:
    return await offer_product(session, seller, body)


@router.post("/{sku}/restock", response_model=ProductOut)
async def restock_product(
    sku: str, body: RestockIn, session: SessionDep, seller: CurrentUser, feed: FeedDep
) -> Product:
    product = await restock(session, seller, sku, body.quantity)
    feed.publish(stock_topic(sku), StockChanged(sku, product.stock))
    return product
