"""A warning for an app that fails because nobody has run its lifespan, and for no other."""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

import httpx2
import litestar
import pytest
import quart
from fastapi import APIRouter, FastAPI, Request
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from pytest_asgi.adapters.lifespans import has_lifespan
from pytest_asgi.client.client import AsyncClient
from pytest_asgi.client.transport import ASGITransport
from pytest_asgi.errors import AsgiWarning
from tests.apps.lifespans import Blocking, Recording
from tests.apps.plain import hello

WARNING = "has a lifespan, and this client did not run it"

pool: dict[str, str] = {}
setting: ContextVar[str] = ContextVar("setting")


@asynccontextmanager
async def live(app: Any) -> AsyncIterator[dict[str, str]]:
    pool["connection"] = "open"
    yield {"pool": "the pool"}


def make_app(**options: Any) -> FastAPI:
    app = FastAPI(**options)

    @app.get("/state")
    async def state(request: Request) -> Any:
        return request.state.pool

    @app.get("/app-state")
    async def app_state(request: Request) -> Any:
        return request.app.state.pool

    @app.get("/dict")
    async def looked_up() -> str:
        connections: dict[str, str] = {}
        return connections["connection"]

    @app.get("/variable")
    async def variable() -> str:
        return setting.get()

    @app.get("/group")
    async def group() -> None:
        raise ExceptionGroup("several", [ConnectionError(), KeyError("connection")])

    @app.get("/down")
    async def down() -> None:
        raise ConnectionError

    return app


@pytest.mark.parametrize("path", ["/state", "/app-state", "/dict", "/variable", "/group"])
async def test_an_app_that_misses_something_is_explained(path: str) -> None:
    client = AsyncClient(make_app(lifespan=live))

    with pytest.warns(AsgiWarning, match=WARNING) as caught, pytest.raises(Exception):  # noqa: B017, PT011
        await client.get(path)

    (warning,) = caught
    assert "async with AsyncClient(app=app) as client" in str(warning.message)
    assert warning.filename == __file__


async def test_where_warnings_are_errors_the_failure_is_what_the_test_sees() -> None:
    client = AsyncClient(make_app(lifespan=live))

    with warnings.catch_warnings(action="error"), pytest.raises(KeyError) as caught:
        await client.get("/dict")

    assert "this client did not run it" in caught.value.__notes__[0]


async def test_where_warnings_are_errors_an_answered_failure_is_told_all_the_same() -> None:
    client = AsyncClient(make_app(lifespan=live), raise_app_exceptions=False)

    with warnings.catch_warnings(action="error"), pytest.raises(AsgiWarning, match=WARNING):
        await client.get("/dict")


async def test_it_is_explained_once() -> None:
    client = AsyncClient(make_app(lifespan=live), raise_app_exceptions=False)

    with pytest.warns(AsgiWarning):
        await client.get("/state")

    with warnings.catch_warnings():
        warnings.simplefilter("error", AsgiWarning)
        assert (await client.get("/state")).status_code == 500


async def test_a_streamed_response_is_explained_too() -> None:
    client = AsyncClient(make_app(lifespan=live))

    with pytest.warns(AsgiWarning, match=WARNING), pytest.raises(AttributeError):
        async with client.stream("GET", "/state"):
            pass


async def test_a_plain_client_is_told_of_ours() -> None:
    transport = ASGITransport(make_app(lifespan=live))
    client = httpx2.AsyncClient(transport=transport, base_url="http://test")

    with (
        pytest.warns(AsgiWarning, match=r"async with pytest_asgi\.AsyncClient"),
        pytest.raises(AttributeError),
    ):
        await client.get("/state")


async def opened(app: Any) -> AsyncClient:
    return await AsyncClient(app).__aenter__()


async def without_lifespan(app: Any) -> AsyncClient:
    return AsyncClient(app, lifespan=False)


async def with_state(app: Any) -> AsyncClient:
    return AsyncClient(app, state={})


async def unopened(app: Any) -> AsyncClient:
    return AsyncClient(app)


@pytest.mark.parametrize(
    ("make_client", "options", "path"),
    [
        (opened, {"lifespan": live}, "/dict"),
        (without_lifespan, {"lifespan": live}, "/dict"),
        (with_state, {"lifespan": live}, "/dict"),
        (unopened, {}, "/dict"),
        (unopened, {"lifespan": live}, "/down"),
    ],
    ids=["opened", "left out", "state is given", "no lifespan", "another exception"],
)
async def test_there_is_no_false_alarm(
    make_client: Callable[[Any], Any], options: dict[str, Any], path: str
) -> None:
    client = await make_client(make_app(**options))

    with warnings.catch_warnings():
        warnings.simplefilter("error", AsgiWarning)
        with pytest.raises((KeyError, ConnectionError)):
            await client.get(path)
    await client.__aexit__()


async def start() -> None: ...


def fastapi_with_handlers() -> Any:
    app = FastAPI()
    app.router.add_event_handler("startup", start)
    return app


def fastapi_with_a_living_router() -> Any:
    app = FastAPI()
    app.include_router(APIRouter())
    app.include_router(APIRouter(lifespan=live))
    return app


def fastapi_with_idle_routers() -> Any:
    app = FastAPI()
    app.include_router(APIRouter())
    app.include_router(APIRouter())
    return app


def quart_with_handlers() -> Any:
    app = quart.Quart("app")
    app.before_serving(start)
    return app


async def root(request: Any) -> Response:
    return Response()


APPS: dict[str, tuple[Callable[[], Any], bool]] = {
    "starlette": (lambda: Starlette(lifespan=live), True),
    "idle starlette": (lambda: Starlette(routes=[Route("/", root)]), False),
    "fastapi": (lambda: FastAPI(lifespan=live), True),
    "idle fastapi": (FastAPI, False),
    "fastapi with handlers": (fastapi_with_handlers, True),
    "fastapi with a living router": (fastapi_with_a_living_router, True),
    "fastapi with idle routers": (fastapi_with_idle_routers, False),
    "litestar": (lambda: litestar.Litestar(on_startup=[start], logging_config=None), True),
    "litestar with a context": (
        lambda: litestar.Litestar(lifespan=[live], logging_config=None),
        True,
    ),
    "idle litestar": (lambda: litestar.Litestar(logging_config=None), False),
    "quart": (quart_with_handlers, True),
    "idle quart": (lambda: quart.Quart("app"), False),
    "starlette in middleware": (lambda: Blocking(Starlette(lifespan=live), KeyError()), True),
    "idle starlette in middleware": (lambda: Blocking(Starlette(), KeyError()), False),
    "an app of no framework": (lambda: hello, False),
    "an app of one's own class": (Recording, False),
}


@pytest.mark.parametrize("name", APPS)
def test_an_app_with_a_lifespan_is_known(name: str) -> None:
    make, expected = APPS[name]

    assert has_lifespan(make()) is expected
