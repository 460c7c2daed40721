"""A web app with one route for every shape of response that HTTP knows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from queue import SimpleQueue
from typing import Annotated, Any, TypedDict

from fastapi import Cookie, FastAPI, HTTPException, Request, Response
from pydantic import BaseModel
from starlette.responses import RedirectResponse, StreamingResponse

from pytest_asgi.asgi.types import Receive, Scope, Send
from tests.apps.plain import echo, read_body, respond


class State(TypedDict):
    greeting: str


@asynccontextmanager
async def live(app: FastAPI) -> AsyncIterator[State]:
    yield {"greeting": "hello"}


# What `listening` heard, for a test that may run beside the server's thread.
heard: SimpleQueue[dict[str, Any]] = SimpleQueue()


async def listening(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer, then listen on."""
    body = await read_body(receive)
    await respond(send, b"")
    heard.put({"body": body, "after": (await receive())["type"]})


app = FastAPI(lifespan=live)
app.mount("/echo", echo)
app.mount("/messages", listening)


class Item(BaseModel):
    name: str
    price: float


@app.get("/")
async def root(request: Request) -> dict[str, str]:
    return {"greeting": request.state.greeting}


@app.get("/sync")
def in_a_thread() -> str:
    return "from a thread"


@app.post("/items", status_code=201)
async def create(item: Item, response: Response) -> Item:
    response.headers["location"] = f"/items/{item.name}"
    return item


@app.delete("/items/{name}", status_code=204)
async def delete(name: str) -> None: ...


@app.get("/items/{name}")
async def read(name: str) -> str:
    if name == "missing":
        raise HTTPException(404, headers={"x-reason": "sold out"})
    return name


@app.get("/login")
async def login(response: Response) -> None:
    response.set_cookie("user", "ada", httponly=True)
    response.set_cookie("theme", "dark", path="/")


@app.get("/whoami")
async def whoami(user: Annotated[str | None, Cookie()] = None) -> str | None:
    return user


@app.get("/moved")
async def moved() -> Response:
    return RedirectResponse("/items/new?page=2", 302)


@app.post("/kept")
async def kept() -> Response:
    return RedirectResponse("/echo/kept", 307)


@app.get("/stream")
async def stream() -> Response:
    async def chunks() -> AsyncIterator[str]:
        for number in range(5):
            yield f"{number}\n"

    return StreamingResponse(chunks(), media_type="text/plain")


@app.get("/large")
async def large() -> Response:
    return Response(b"x" * 1_000_000, media_type="application/octet-stream")


@app.get("/empty")
async def empty() -> Response:
    return Response()


@app.get("/not-modified")
async def not_modified() -> Response:
    return Response(status_code=304, headers={"etag": '"1"'})


@app.get("/broken")
async def broken() -> None:
    raise ConnectionError


@app.get("/latin")
async def latin() -> Response:
    return Response("café".encode("latin-1"), media_type="text/plain; charset=latin-1")
