"""Put the shop together: the app, its lifespan, its routes and its errors."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypedDict

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from shop.database import Database
from shop.errors import ShopError
from shop.feed import Feed
from shop.routes import events, orders, products, stock, users


class State(TypedDict):
    """What every request finds in `request.state`."""

    database: Database
    feed: Feed


def create_app(database: Database, feed: Feed | None = None) -> FastAPI:
    """Return a shop that keeps its data in `database` and its news in `feed`."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[State]:
        async with database:
            yield {"database": database, "feed": feed or Feed()}

    app = FastAPI(title="Shop", lifespan=lifespan)
    for module in (users, products, orders, events, stock):
        app.include_router(module.router)
    app.add_exception_handler(ShopError, answer_with_error)
    return app


async def answer_with_error(_: Request, error: Exception) -> JSONResponse:
    """Turn an error of the shop into the response that its class names."""
    status = error.status_code if isinstance(error, ShopError) else 500
    return JSONResponse({"detail": str(error)}, status_code=status)


app = create_app(Database(os.environ.get("SHOP_DATABASE_URL", "sqlite+aiosqlite:///shop.db")))
