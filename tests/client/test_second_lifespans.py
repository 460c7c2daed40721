"""An app that is started twice shares what it keeps, and the first shutdown takes it away."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from pytest_asgi.client.client import AsyncClient
from pytest_asgi.client.sync import TestClient
from tests.promises import promise

NOTE = "was run a second time beside the one that still runs"


class Pool:
    """What an app keeps while it runs."""

    def __init__(self) -> None:
        self.is_open = True

    def query(self) -> str:
        if not self.is_open:
            raise ConnectionError("the pool is closed")
        return "a row"


@asynccontextmanager
async def keep_pool(app: Any) -> AsyncIterator[None]:
    app.state.pool = Pool()
    yield
    app.state.pool.is_open = False


def make_app(**options: Any) -> Starlette:
    async def query(request: Request) -> PlainTextResponse:
        return PlainTextResponse(request.app.state.pool.query())

    return Starlette(routes=[Route("/", query)], **options)


def notes_of(error: BaseException) -> str:
    return "\n".join(getattr(error, "__notes__", ()))


@promise("client.second-lifespan")
async def test_what_a_second_shutdown_closed_is_explained_where_it_is_missing() -> None:
    app = make_app(lifespan=keep_pool)
    async with AsyncClient(app=app) as client:
        async with AsyncClient(app=app) as other:
            assert (await other.get("/")).text == "a row"
        for _ in range(2):
            with pytest.raises(ConnectionError) as closed:
                await client.get("/")
            assert notes_of(closed.value).count(NOTE) == 1
            assert f"{__file__}:" in notes_of(closed.value)


async def test_it_is_explained_in_a_stream_and_to_the_synchronous_client_too() -> None:
    app = make_app(lifespan=keep_pool)
    with TestClient(app) as client:
        async with AsyncClient(app=app):
            pass
        with pytest.raises(ConnectionError) as closed, client.stream("GET", "/"):
            pass
    assert NOTE in notes_of(closed.value)


async def test_a_shutdown_that_the_other_one_spoilt_is_explained() -> None:
    @asynccontextmanager
    async def live(app: Starlette) -> AsyncIterator[None]:
        app.state.pool = "open"
        yield
        del app.state.pool

    app = make_app(lifespan=live)
    client = AsyncClient(app=app)
    await client.__aenter__()
    async with AsyncClient(app=app):
        pass

    with pytest.raises(KeyError) as missing:
        await client.__aexit__()

    assert NOTE in notes_of(missing.value)


async def test_one_run_after_the_other_is_no_reason() -> None:
    app = make_app(lifespan=keep_pool)
    async with AsyncClient(app=app):
        pass
    async with AsyncClient(app=app) as client:
        app.state.pool.is_open = False
        with pytest.raises(ConnectionError) as closed:
            await client.get("/")
    assert notes_of(closed.value) == ""


@pytest.mark.parametrize("is_same", [True, False])
async def test_an_app_that_keeps_nothing_or_another_app_is_no_reason(*, is_same: bool) -> None:
    app = make_app() if is_same else make_app(lifespan=keep_pool)
    async with AsyncClient(app=app) as client:
        async with AsyncClient(app=app if is_same else make_app(lifespan=keep_pool)):
            app.state.pool = Pool()
        app.state.pool.is_open = False
        with pytest.raises(ConnectionError) as closed:
            await client.get("/")
    assert notes_of(closed.value) == ""
