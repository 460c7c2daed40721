"""The applications that the clients call: as little of an application as possible."""

from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from dataclasses import dataclass
from itertools import count, repeat
from typing import Any

from fastapi import FastAPI

Message = MutableMapping[str, Any]
ASGIApp = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]],
    Awaitable[None],
]

ANSWER = {"message": "Tomato"}
BODY = b'{"message":"Tomato"}'
ORDER = {"name": "tomato", "quantity": 3}


# Clients keep what they have made of a path, in the process too: no number comes twice.
_numbers = count()


@dataclass(frozen=True)
class Call:
    """One kind of request: the application, what is sent, and what is read of the answer."""

    title: str
    app: ASGIApp
    method: str
    json: dict[str, Any] | None = None
    has_new_paths: bool = False
    reads_headers: bool = False

    def list_paths(self) -> Iterator[str]:
        """Return the path of each request: one for all, or one that was never used before."""
        return (f"/{next(_numbers)}" for _ in count()) if self.has_new_paths else repeat("/")


async def answer_bare(
    scope: Message,
    receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
) -> None:
    """Read the whole body and answer; agree to lifespan, which some clients insist on."""
    if scope["type"] == "lifespan":
        await _agree_to_lifespan(receive, send)
        return
    while (await receive()).get("more_body", False):
        pass
    headers = [(b"content-type", b"application/json"), (b"content-length", b"20")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": BODY})


async def _agree_to_lifespan(
    receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
) -> None:
    for phase in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{phase}.complete"})


ASYNC_ENDPOINT = "FastAPI, GET, async endpoint"
SYNC_ENDPOINT = "FastAPI, GET, sync endpoint"
BARE_GET = "bare ASGI app, GET"
BARE_POST = "bare ASGI app, POST json"


def build_calls() -> list[Call]:
    return [
        Call(ASYNC_ENDPOINT, _build_fastapi(), "GET"),
        Call(SYNC_ENDPOINT, _build_fastapi(is_async=False), "GET"),
        Call(BARE_GET, answer_bare, "GET"),
        Call("bare ASGI app, GET, headers read", answer_bare, "GET", reads_headers=True),
        Call("bare ASGI app, GET, a new path each", answer_bare, "GET", has_new_paths=True),
        Call(BARE_POST, answer_bare, "POST", json=ORDER),
    ]


def _build_fastapi(*, is_async: bool = True) -> FastAPI:
    app = FastAPI()

    async def answer_async() -> dict[str, str]:
        return {"message": "Tomato"}

    def answer_sync() -> dict[str, str]:
        return {"message": "Tomato"}

    app.get("/")(answer_async if is_async else answer_sync)
    return app
