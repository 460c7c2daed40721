"""`AsyncClient`: an httpx2 client that talks to an app in process."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

import httpx2
import pytest
from fastapi import BackgroundTasks, FastAPI, Request
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from pytest_asgi.asgi.types import Receive, Scope, Send
from pytest_asgi.client.client import AsyncClient
from pytest_asgi.errors import AppError, LifespanError, ProtocolError, SettingsError
from tests.apps.lifespans import Recording, without_lifespan
from tests.apps.plain import BODY, START, echo, hello, sending

variable: ContextVar[str] = ContextVar("variable", default="unset")


async def raising(scope: Scope, receive: Receive, send: Send) -> None:
    raise ConnectionError(scope["path"])


# --- talking to apps -------------------------------------------------------------------------


async def test_a_fastapi_app_answers() -> None:
    app = FastAPI()

    @app.get("/")
    async def root() -> dict[str, str]:
        return {"message": "Tomato"}

    async with AsyncClient(app=app, base_url="http://test") as client:
        response = await client.get("/")

    assert response.status_code == 200
    assert response.json() == {"message": "Tomato"}


async def test_a_starlette_app_answers() -> None:
    async def root(request: Request) -> Response:
        return PlainTextResponse("Tomato")

    async with AsyncClient(Starlette(routes=[Route("/", root)])) as client:
        response = await client.get("/")

    assert response.text == "Tomato"


async def test_a_bare_app_answers() -> None:
    async with AsyncClient(hello) as client:
        assert (await client.get("/")).content == b"hello"


async def test_the_client_is_a_client_of_httpx2() -> None:
    async with AsyncClient(hello) as client:
        response = await client.get("/")

    assert isinstance(client, httpx2.AsyncClient)
    assert isinstance(response, httpx2.Response)


async def test_a_client_works_without_async_with() -> None:
    client = AsyncClient(hello)

    assert (await client.get("/")).text == "hello"


async def test_the_base_url_may_be_left_out() -> None:
    async with AsyncClient(hello) as client:
        response = await client.get("/items")

    assert str(response.url) == "http://test/items"


async def test_the_app_sees_the_request() -> None:
    async with AsyncClient(echo, base_url="https://shop.example:8443/api/") as client:
        response = await client.post("/caf%C3%A9?q=a%20b", content=b"body", headers={"X-Id": "1"})

    seen = response.json()
    headers = dict(seen.pop("headers"))
    assert seen == {
        "method": "POST",
        "scheme": "https",
        "http_version": "1.1",
        "path": "/api/café",
        "raw_path": "/api/caf%C3%A9",
        "query_string": "q=a%20b",
        "root_path": "",
        "server": ["shop.example", 8443],
        "client": "127.0.0.1",
        "state": [],
        "body": "body",
    }
    assert headers["host"] == "shop.example:8443"
    assert headers["x-id"] == "1"
    assert headers["content-length"] == "4"


async def test_the_app_sees_the_address_and_the_root_path_that_are_given() -> None:
    app = Recording()

    async with AsyncClient(app, client=("10.0.0.1", 7), root_path="/shop") as client:
        await client.get("/")

    assert app.scopes[-1]["client"] == ("10.0.0.1", 7)
    assert app.scopes[-1]["root_path"] == "/shop"


async def test_a_request_body_may_be_streamed() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"one "
        yield b"two"

    async with AsyncClient(echo) as client:
        response = await client.post("/", content=chunks())

    assert response.json()["body"] == "one two"


async def test_a_form_with_a_file_arrives() -> None:
    async with AsyncClient(echo) as client:
        response = await client.post("/", data={"a": "1"}, files={"f": ("f.txt", b"content")})

    body = response.json()["body"]
    assert 'name="a"' in body
    assert "content" in body


async def test_cookies_are_kept_between_requests() -> None:
    app = sending({**START, "headers": [(b"set-cookie", b"id=1; Path=/")]}, BODY)

    async with AsyncClient(app) as client:
        await client.get("/")

        assert client.cookies["id"] == "1"


async def test_redirects_are_followed_when_asked_for() -> None:
    async def old(request: Request) -> Response:
        return RedirectResponse("/new")

    async def new(request: Request) -> Response:
        return PlainTextResponse("new")

    app = Starlette(routes=[Route("/old", old), Route("/new", new)])

    async with AsyncClient(app) as client:
        stayed = await client.get("/old")
        followed = await client.get("/old", follow_redirects=True)

    assert (stayed.status_code, stayed.headers["location"]) == (307, "/new")
    assert (followed.text, len(followed.history)) == ("new", 1)


async def test_other_options_of_httpx2_keep_their_meaning() -> None:
    seen: list[str] = []

    async def note(request: httpx2.Request) -> None:
        seen.append(request.url.path)

    options: dict[str, Any] = {
        "headers": {"x-team": "shop"},
        "params": {"page": "1"},
        "event_hooks": {"request": [note]},
        "mounts": {"http://elsewhere": httpx2.MockTransport(lambda _: httpx2.Response(418))},
    }

    async with AsyncClient(echo, **options) as client:
        here = (await client.get("/here")).json()
        elsewhere = await client.get("http://elsewhere/there")

    assert ["x-team", "shop"] in here["headers"]
    assert here["query_string"] == "page=1"
    assert elsewhere.status_code == 418
    assert seen == ["/here", "/there"]


async def test_the_answer_to_head_has_no_body() -> None:
    async with AsyncClient(hello) as client:
        response = await client.head("/")

    assert response.headers["content-length"] == "5"
    assert response.content == b""


async def test_many_requests_may_run_at_the_same_time() -> None:
    meeting = asyncio.Barrier(3)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await meeting.wait()
        await hello(scope, receive, send)

    async with asyncio.timeout(10):
        client = AsyncClient(app)
        responses = await asyncio.gather(*(client.get("/") for _ in range(3)))

    assert [response.text for response in responses] == ["hello"] * 3


async def test_a_transport_of_ones_own_is_used_instead_of_an_app() -> None:
    transport = httpx2.MockTransport(lambda _: httpx2.Response(418))

    async with AsyncClient(transport=transport) as client:
        assert (await client.get("/")).status_code == 418


# --- task and context ------------------------------------------------------------------------


async def test_the_app_runs_in_the_task_of_the_caller() -> None:
    tasks: list[object] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        tasks.append(asyncio.current_task())
        await hello(scope, receive, send)

    await AsyncClient(app).get("/")

    assert tasks == [asyncio.current_task()]


async def test_a_context_variable_of_the_test_is_seen_by_the_app() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await sending(START, {**BODY, "body": variable.get().encode()})(scope, receive, send)

    variable.set("from the test")

    assert (await AsyncClient(app).get("/")).text == "from the test"


async def test_a_context_variable_of_the_app_is_seen_by_the_test() -> None:
    app = FastAPI()

    @app.get("/")
    async def root() -> None:
        variable.set("from the app")

    await AsyncClient(app).get("/")

    assert variable.get() == "from the app"


async def test_background_tasks_are_done_when_the_response_is_there() -> None:
    app = FastAPI()
    done: list[str] = []

    @app.get("/")
    async def root(tasks: BackgroundTasks) -> None:
        tasks.add_task(done.append, "sent")

    await AsyncClient(app).get("/")

    assert done == ["sent"]


# --- exceptions ------------------------------------------------------------------------------


async def test_an_exception_of_the_app_is_raised_with_its_own_traceback() -> None:
    with pytest.raises(ConnectionError) as caught:
        await AsyncClient(raising).get("/down")

    frame = traceback.extract_tb(caught.value.__traceback__)[-1]
    assert (frame.name, frame.line) == ("raising", 'raise ConnectionError(scope["path"])')


async def test_an_exception_of_the_app_is_answered_on_request() -> None:
    client = AsyncClient(raising, raise_app_exceptions=False)

    response = await client.get("/down")

    assert (response.status_code, response.content) == (500, b"")


async def test_the_apps_own_answer_to_its_exception_is_kept() -> None:
    app = FastAPI()

    @app.get("/")
    async def root() -> None:
        raise ConnectionError

    response = await AsyncClient(app, raise_app_exceptions=False).get("/")

    assert (response.status_code, response.text) == (500, "Internal Server Error")


async def test_an_exception_in_a_background_task_is_raised() -> None:
    app = FastAPI()

    async def fail() -> None:
        raise ConnectionError

    @app.get("/")
    async def root(tasks: BackgroundTasks) -> None:
        tasks.add_task(fail)

    with pytest.raises(ConnectionError):
        await AsyncClient(app).get("/")


async def test_an_app_that_breaks_a_rule_is_told() -> None:
    with pytest.raises(ProtocolError) as caught:
        await AsyncClient(sending(BODY)).get("/items")

    assert caught.value.__notes__ == ["While answering GET /items"]


async def test_an_app_that_breaks_a_rule_is_answered_on_request() -> None:
    client = AsyncClient(sending(), raise_app_exceptions=False)

    assert (await client.get("/")).status_code == 500


async def test_cancelling_a_request_cancels_the_app() -> None:
    started = asyncio.Event()
    happened: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            happened.append("cleaned up")

    request = asyncio.create_task(AsyncClient(app, raise_app_exceptions=False).get("/"))
    await started.wait()
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request

    assert happened == ["cleaned up"]


# --- lifespan --------------------------------------------------------------------------------


async def test_async_with_runs_the_lifespan() -> None:
    app = Recording()

    async with AsyncClient(app) as client:
        await client.get("/items")

    assert app.happened == ["lifespan.startup", "/items", "lifespan.shutdown"]


async def test_requests_see_what_the_lifespan_left() -> None:
    @asynccontextmanager
    async def live(app: FastAPI) -> AsyncIterator[dict[str, str]]:
        yield {"pool": "the pool"}

    app = FastAPI(lifespan=live)

    @app.get("/")
    async def root(request: Request) -> str:
        pool: str = request.state.pool
        return pool

    async with AsyncClient(app) as client:
        assert (await client.get("/")).json() == "the pool"


async def test_what_a_request_writes_into_the_state_stays_with_it() -> None:
    app = Recording(pool=1)

    async with AsyncClient(app) as client:
        await client.get("/one")
        app.scopes[-1]["state"]["mine"] = 1
        await client.get("/two")

    assert app.scopes[-1]["state"] == {"pool": 1}


async def test_without_async_with_there_is_no_lifespan() -> None:
    app = Recording()

    await AsyncClient(app).get("/items")

    assert app.happened == ["/items"]


async def test_the_lifespan_may_be_left_out() -> None:
    app = Recording()

    async with AsyncClient(app, lifespan=False) as client:
        await client.get("/items")

    assert app.happened == ["/items"]


async def test_the_state_of_a_running_lifespan_may_be_given() -> None:
    app = Recording()
    state = {"pool": 1}

    async with AsyncClient(app, lifespan=False, state=state) as client:
        await client.get("/items")

    assert app.scopes[-1]["state"] == {"pool": 1}
    assert app.happened == ["/items"]


async def test_an_app_without_a_lifespan_is_fine() -> None:
    async with AsyncClient(without_lifespan) as client:
        assert (await client.get("/")).text == "hello"


async def test_a_failing_startup_is_the_apps_own_exception() -> None:
    @asynccontextmanager
    async def live(app: FastAPI) -> AsyncIterator[None]:
        raise ConnectionError("no database")
        yield

    client = AsyncClient(FastAPI(lifespan=live))

    with pytest.raises(ConnectionError, match="no database"):
        await client.__aenter__()
    assert client.is_closed


async def test_a_failing_shutdown_surfaces() -> None:
    app = Recording(shutdown={"type": "lifespan.shutdown.failed", "message": "still busy"})

    with pytest.raises(LifespanError, match="still busy"):
        async with AsyncClient(app):
            pass


async def test_the_app_is_shut_down_when_the_block_fails() -> None:
    app = Recording()

    with pytest.raises(KeyError):
        async with AsyncClient(app):
            raise KeyError

    assert app.happened == ["lifespan.startup", "lifespan.shutdown"]


async def test_requests_end_before_the_app_is_shut_down() -> None:
    class Closing(httpx2.AsyncBaseTransport):
        async def aclose(self) -> None:
            app.happened.append("closed")

    app = Recording()

    async with AsyncClient(app, mounts={"http://elsewhere": Closing()}):
        pass

    assert app.happened == ["lifespan.startup", "closed", "lifespan.shutdown"]


# --- mistakes --------------------------------------------------------------------------------


def test_a_client_of_nothing_is_refused() -> None:
    with pytest.raises(AppError) as caught:
        AsyncClient(base_url="http://test")

    assert "AsyncClient(app=app)" in caught.value.fix


def test_a_client_of_an_app_and_a_transport_is_refused() -> None:
    with pytest.raises(AppError, match="an app and a transport"):
        AsyncClient(hello, transport=httpx2.MockTransport(lambda _: httpx2.Response(200)))


def test_a_function_that_makes_the_app_is_recognised() -> None:
    def create_app() -> FastAPI:
        return FastAPI()

    with pytest.raises(AppError) as caught:
        AsyncClient(app=create_app)

    assert "app=create_app()" in caught.value.fix


@pytest.mark.parametrize(
    "options",
    [{"rules": "loud"}, {"http_version": "9"}, {"lifespan": "off"}],
    ids=str,
)
def test_an_option_with_a_value_that_is_not_valid_is_refused(options: dict[str, Any]) -> None:
    (name,) = options

    with pytest.raises(SettingsError, match=f"The option '{name}' is one of"):
        AsyncClient(hello, **options)


def test_the_option_of_the_synchronous_twin_is_told_by_its_name_here() -> None:
    with pytest.raises(TypeError, match="Did you mean 'raise_app_exceptions'"):
        AsyncClient(hello, raise_server_exceptions=False)  # type: ignore[call-arg]
