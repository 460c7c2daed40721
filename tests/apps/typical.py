"""A FastAPI app as projects have them: a bit of everything that their tests touch."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated

import anyio
from fastapi import (
    BackgroundTasks,
    Cookie,
    Depends,
    FastAPI,
    Form,
    Header,
    HTTPException,
    Query,
    Request,
    Response,
    UploadFile,
)
from fastapi.responses import PlainTextResponse, RedirectResponse, StreamingResponse
from pydantic import BaseModel


class Item(BaseModel):
    name: str
    price: float


def current_user(x_token: Annotated[str | None, Header()] = None) -> str:
    if x_token != "secret":
        raise HTTPException(401, "no token")
    return "me"


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, str]]:
    app.state.is_started = True
    app.state.letters = asyncio.Queue()
    yield {"pool": "the pool"}
    app.state.is_started = False


def make_app() -> FastAPI:
    app = FastAPI(lifespan=lifespan)
    app.state.is_started = False
    app.state.done = []
    _add_items(app)
    _add_forms(app)
    _add_cookies(app)
    _add_failures(app)
    _add_streams(app)
    _add_facts(app)

    @app.middleware("http")
    async def sign(
        request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        response = await call_next(request)
        response.headers["x-signed"] = "yes"
        return response

    return app


def _add_items(app: FastAPI) -> None:
    items: dict[str, Item] = {}

    @app.get("/")
    async def root() -> dict[str, str]:
        return {"message": "Tomato"}

    @app.post("/items", status_code=201)
    async def create(item: Item) -> Item:
        items[item.name] = item
        return item

    @app.get("/items/{name}")
    def read(name: str) -> Item:
        if name not in items:
            raise HTTPException(404, "no such item")
        return items[name]

    @app.get("/search")
    async def search(q: Annotated[list[str], Query()]) -> list[str]:
        return q

    @app.get("/me")
    async def me(user: Annotated[str, Depends(current_user)]) -> str:
        return user


def _add_forms(app: FastAPI) -> None:
    @app.post("/form")
    async def form(name: Annotated[str, Form()]) -> str:
        return name

    @app.post("/upload")
    async def upload(file: UploadFile) -> dict[str, object]:
        return {"name": file.filename, "size": len(await file.read())}

    @app.post("/echo")
    async def echo(request: Request) -> Response:
        return PlainTextResponse(await request.body())

    @app.get("/background")
    async def background(tasks: BackgroundTasks) -> None:
        tasks.add_task(app.state.done.append, "in the background")


def _add_cookies(app: FastAPI) -> None:
    @app.get("/login")
    async def login(response: Response) -> None:
        response.set_cookie("session", "abc")

    @app.get("/session")
    async def session(session: Annotated[str | None, Cookie()] = None) -> str | None:
        return session

    @app.get("/logout")
    async def logout(response: Response) -> None:
        response.delete_cookie("session")

    @app.get("/old")
    async def old() -> Response:
        return RedirectResponse("/")


def _add_failures(app: FastAPI) -> None:
    @app.get("/boom")
    async def boom() -> None:
        raise ConnectionError("boom")

    @app.get("/sync-boom")
    def sync_boom() -> None:
        raise ConnectionError("boom")


def _add_streams(app: FastAPI) -> None:
    @app.get("/numbers")
    async def numbers() -> Response:
        async def parts() -> AsyncIterator[str]:
            for number in range(3):
                yield f"{number}\n"
                await asyncio.sleep(0)

        return StreamingResponse(parts(), media_type="text/plain")

    @app.get("/endless")
    async def endless() -> Response:
        async def parts() -> AsyncIterator[str]:
            while True:
                yield "data: tick\n\n"
                await asyncio.sleep(0)

        return StreamingResponse(parts(), media_type="text/event-stream")

    @app.get("/slow")
    async def slow() -> str:
        await anyio.sleep(0.001)
        return "slow"


def _add_facts(app: FastAPI) -> None:
    @app.get("/sync")
    def sync() -> bool:
        return threading.current_thread() is not threading.main_thread()

    @app.get("/state")
    async def state(request: Request) -> str:
        pool: str = request.state.pool
        return pool

    @app.get("/client")
    async def client(request: Request) -> list[object]:
        assert request.client is not None
        return [*request.client, str(request.base_url), request.scope["root_path"]]

    @app.get("/headers")
    async def headers(request: Request) -> dict[str, str]:
        return dict(request.headers)
