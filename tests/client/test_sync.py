"""`TestClient`: the synchronous twin, on the loop of the test or on one of its own."""

from __future__ import annotations

import asyncio
import gc
import threading
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from contextvars import ContextVar, copy_context
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI, Request
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from pytest_asgi.asgi.types import Receive, Scope, Send
from pytest_asgi.client import waiting
from pytest_asgi.client.own_loop import UVLOOP
from pytest_asgi.client.portal import run_coroutine
from pytest_asgi.client.sync import TestClient
from pytest_asgi.errors import AppError, AsgiWarning, LifespanError, SettingsError
from tests.apps.lifespans import Blocking, Recording, without_lifespan
from tests.apps.plain import BODY, START, echo, hello, require_http, sending

variable: ContextVar[str] = ContextVar("variable", default="unset")


@pytest.fixture
def alone() -> Iterator[None]:
    """Nobody gives the client a loop, as in a plain script."""
    token = run_coroutine.set(None)
    yield
    run_coroutine.reset(token)


class Loop:
    """Somebody's loop, given to clients; counts what runs on it."""

    def __init__(self) -> None:
        self.runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self.calls = 0

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        self.calls += 1
        return self.runner.run(coroutine, context=copy_context())


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop()
    token = run_coroutine.set(loop.run)
    yield loop
    run_coroutine.reset(token)
    loop.runner.close()


class LoopNoting(Recording):
    """Notes the loop of every call."""

    def __init__(self) -> None:
        super().__init__()
        self.loops: list[asyncio.AbstractEventLoop] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.loops.append(asyncio.get_running_loop())
        await super().__call__(scope, receive, send)


# --- talking to apps -------------------------------------------------------------------------


def test_requests_are_answered_without_a_block() -> None:
    app = FastAPI()

    @app.get("/")
    async def root() -> dict[str, str]:
        return {"message": "Tomato"}

    assert TestClient(app).get("/").json() == {"message": "Tomato"}


async def test_requests_are_answered_in_an_async_test() -> None:
    with TestClient(hello) as client:
        assert client.get("/").text == "hello"


def test_the_client_is_a_client_of_httpx2() -> None:
    assert isinstance(TestClient(hello), httpx2.Client)


def test_pytest_does_not_take_the_client_for_a_test() -> None:
    assert TestClient.__test__ is False


def test_the_defaults_are_starlettes() -> None:
    app = Recording()

    response = TestClient(app).get("/")

    assert str(response.url) == "http://testserver/"
    assert app.scopes[0]["client"] == ("testclient", 50000)
    assert (b"user-agent", b"testclient") in app.scopes[0]["headers"]


def test_the_constructor_takes_starlettes_arguments_in_starlettes_order() -> None:
    app = Recording()
    client = TestClient(
        app,
        "https://shop",
        True,  # noqa: FBT003 - the point
        "/root",
        "asyncio",
        {"debug": False},
        {"id": "1"},
        {"X-Team": "shop", "User-Agent": "mine"},
        False,  # noqa: FBT003 - the point
        ("10.0.0.1", 7),
    )

    client.get("/items")

    scope = app.scopes[0]
    assert (scope["scheme"], scope["server"]) == ("https", ("shop", 443))
    assert (scope["root_path"], scope["client"]) == ("/root", ("10.0.0.1", 7))
    assert (b"x-team", b"shop") in scope["headers"]
    assert (b"user-agent", b"mine") in scope["headers"]
    assert (b"cookie", b"id=1") in scope["headers"]


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete", "options"])
def test_every_method_reaches_the_app(method: str) -> None:
    response = getattr(TestClient(echo), method)("/")

    assert response.json()["method"] == method.upper()


def test_bodies_arrive_in_every_form() -> None:
    client = TestClient(echo)

    assert client.post("/", json={"a": 1}).json()["body"] == '{"a":1}'
    assert client.post("/", data={"a": "1"}).json()["body"] == "a=1"
    assert client.post("/", content=iter([b"one ", b"two"])).json()["body"] == "one two"


def test_redirects_are_followed() -> None:
    async def old(request: Request) -> Response:
        return RedirectResponse("/new")

    async def new(request: Request) -> Response:
        return PlainTextResponse("new")

    app = Starlette(routes=[Route("/old", old), Route("/new", new)])

    assert TestClient(app).get("/old").text == "new"
    assert TestClient(app, follow_redirects=False).get("/old").status_code == 307


def test_exceptions_are_raised() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise ConnectionError("down")

    with pytest.raises(ConnectionError, match="down"):
        TestClient(app).get("/")


def test_exceptions_are_answered_on_request() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise ConnectionError

    assert TestClient(app, raise_server_exceptions=False).get("/").status_code == 500


def test_a_rendered_template_is_at_the_response() -> None:
    info = {"template": "the template", "context": {"a": 1}}
    app = sending({"type": "http.response.debug", "info": info}, START, BODY)

    response: Any = TestClient(app).get("/")

    assert (response.template, response.context) == ("the template", {"a": 1})
    assert response.extensions["http.response.debug"] == info


def test_a_response_without_a_template_has_none() -> None:
    assert not hasattr(TestClient(hello).get("/"), "template")


async def telling(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the context variable."""
    require_http(scope)
    await sending(START, {**BODY, "body": variable.get().encode()})(scope, receive, send)


def test_a_context_variable_of_the_test_is_seen_by_the_app(alone: None) -> None:
    with TestClient(telling) as client:
        assert client.get("/").text == "unset"

        token = variable.set("from the test")
        assert client.get("/").text == "from the test"
        variable.reset(token)


async def test_a_context_variable_is_seen_inside_a_foreign_loop_too(alone: None) -> None:
    variable.set("from the test")

    assert TestClient(telling).get("/").text == "from the test"


# --- lifespan --------------------------------------------------------------------------------


def test_a_block_runs_the_lifespan() -> None:
    app = Recording()

    with TestClient(app) as client:
        client.get("/items")

    assert app.happened == ["lifespan.startup", "/items", "lifespan.shutdown"]


def test_without_a_block_there_is_no_lifespan() -> None:
    app = Recording()

    TestClient(app).get("/items")

    assert app.happened == ["/items"]


def test_the_state_of_the_lifespan_is_known_to_requests_and_to_the_test() -> None:
    app = Recording(pool=1)

    with TestClient(app) as client:
        client.get("/items")

        assert client.app_state == {"pool": 1}
    assert app.scopes[-1]["state"] == {"pool": 1}


def test_startup_and_shutdown_share_one_task() -> None:
    app = Recording()

    with TestClient(app):
        pass

    assert app.tasks[0] is app.tasks[1]


def test_a_client_may_be_used_before_after_and_twice_inside_a_block() -> None:
    app = Recording()
    client = TestClient(app)

    client.get("/before")
    for path in ("/one", "/two"):
        with client:
            client.get(path)
    client.get("/after")

    assert app.happened == [
        "/before",
        *("lifespan.startup", "/one", "lifespan.shutdown"),
        *("lifespan.startup", "/two", "lifespan.shutdown"),
        "/after",
    ]


def test_blocks_may_be_nested() -> None:
    app = Recording()
    client = TestClient(app)

    with client, client:
        client.get("/")

    assert app.happened.count("lifespan.shutdown") == 2


def test_an_exception_that_says_nothing_of_the_scope_is_raised() -> None:
    app = Blocking(hello, ConnectionError("no database"))

    with pytest.raises(ConnectionError), TestClient(app):
        pass


def test_an_app_without_a_lifespan_can_be_opened() -> None:
    with TestClient(without_lifespan) as client:
        assert client.get("/").status_code == 200


def test_a_failing_startup_is_the_apps_own_exception() -> None:
    @asynccontextmanager
    async def live(app: FastAPI) -> AsyncIterator[None]:
        raise ConnectionError("no database")
        yield

    client = TestClient(FastAPI(lifespan=live))

    with pytest.raises(ConnectionError, match="no database"):
        client.__enter__()


def test_a_failing_shutdown_surfaces() -> None:
    app = Recording(shutdown={"type": "lifespan.shutdown.failed", "message": "still busy"})
    client = TestClient(app)

    with pytest.raises(LifespanError, match="still busy"), client:
        pass


# --- loops -----------------------------------------------------------------------------------


def test_a_loop_that_is_given_runs_everything(loop: Loop) -> None:
    app = LoopNoting()

    with TestClient(app) as client:
        client.get("/")

    assert set(app.loops) == {loop.runner.get_loop()}
    assert loop.calls == 3


def test_a_client_that_is_older_than_the_test_uses_the_loop_of_the_test(alone: None) -> None:
    app = LoopNoting()
    client = TestClient(app)
    loop = Loop()

    token = run_coroutine.set(loop.run)
    client.get("/")
    run_coroutine.reset(token)

    assert app.loops == [loop.runner.get_loop()]
    loop.runner.close()


def test_a_block_stays_on_the_loop_it_was_entered_with(loop: Loop) -> None:
    app = LoopNoting()

    with TestClient(app) as client:
        token = run_coroutine.set(None)
        client.get("/")
        client.__exit__(None, None, None)
        run_coroutine.reset(token)
        client.__enter__()

    assert set(app.loops) == {loop.runner.get_loop()}


def test_a_block_stays_on_its_loop_when_another_one_is_given(loop: Loop) -> None:
    app = LoopNoting()
    other = Loop()

    with TestClient(app) as client:
        token = run_coroutine.set(other.run)
        client.get("/")
        run_coroutine.reset(token)

    assert set(app.loops) == {loop.runner.get_loop()}
    other.runner.close()


def test_a_failing_startup_leaves_no_open_loop(alone: None) -> None:
    loops: list[asyncio.AbstractEventLoop] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        loops.append(asyncio.get_running_loop())
        await receive()
        raise ConnectionError

    client = TestClient(app)
    with pytest.raises(ConnectionError):
        client.__enter__()

    assert loops[0].is_closed()


def test_without_a_loop_the_client_keeps_one_of_its_own(alone: None) -> None:
    app = LoopNoting()

    with TestClient(app) as client:
        client.get("/one")
        client.get("/two")

    assert len(set(app.loops)) == 1
    assert app.loops[0].is_closed()


def test_requests_outside_a_block_share_one_loop(alone: None) -> None:
    app = LoopNoting()
    client = TestClient(app)

    client.get("/one")
    client.get("/two")
    client.close()

    assert len(set(app.loops)) == 1
    assert app.loops[0].is_closed()


def test_a_client_nobody_closes_leaves_no_open_loop(alone: None) -> None:
    app = LoopNoting()
    client = TestClient(app)
    client.get("/")

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        del client
        gc.collect()

    assert app.loops[0].is_closed()


def test_a_loop_of_its_own_leaves_the_loop_of_the_thread_alone(alone: None) -> None:
    before = asyncio.new_event_loop()
    asyncio.set_event_loop(before)

    with TestClient(hello) as client:
        client.get("/")

    assert asyncio.get_event_loop() is before
    asyncio.set_event_loop(None)
    before.close()


async def test_inside_a_foreign_loop_the_app_runs_in_a_thread(alone: None) -> None:
    app = LoopNoting()
    threads: list[int] = []

    async def noting(scope: Scope, receive: Receive, send: Send) -> None:
        threads.append(threading.get_ident())
        await app(scope, receive, send)

    with TestClient(noting) as client:
        client.get("/")

    assert threading.get_ident() not in threads
    assert asyncio.get_running_loop() not in app.loops
    assert len(set(app.loops)) == 1


def test_the_loop_of_its_own_may_be_chosen(alone: None) -> None:
    class MyLoop(asyncio.SelectorEventLoop): ...

    app = LoopNoting()
    client = TestClient(app, backend_options={"loop_factory": MyLoop, "debug": True})

    with client:
        client.get("/")

    assert isinstance(app.loops[0], MyLoop)
    assert app.loops[0].get_debug()


def test_the_loop_of_its_own_may_be_of_uvloop(alone: None) -> None:
    uvloop = pytest.importorskip(UVLOOP)
    app = LoopNoting()

    with TestClient(app, backend_options={"use_uvloop": True}) as client:
        client.get("/")

    assert isinstance(app.loops[0], uvloop.Loop)


# --- mistakes --------------------------------------------------------------------------------


def test_an_unknown_backend_is_refused() -> None:
    with pytest.raises(SettingsError, match="'curio'"):
        TestClient(hello, backend="curio")


def test_an_option_that_there_is_not_is_refused_by_its_name() -> None:
    with pytest.raises(TypeError, match="Did you mean 'raise_server_exceptions'"):
        TestClient(hello, raise_app_exceptions=False)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"TestClient\(\) got .* 'timeout'.*client.timeout = 3"):
        TestClient(hello, timeout=3)  # type: ignore[call-arg]


def test_an_unknown_option_of_the_backend_is_refused() -> None:
    with pytest.raises(SettingsError, match="'use_curio'"):
        TestClient(hello, backend_options={"use_curio": True})


def test_uvloop_is_asked_for_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "find_spec", {}.get)

    with pytest.raises(SettingsError, match=f"asks for {UVLOOP}, which is not installed"):
        TestClient(hello, backend_options={"use_uvloop": True})
    TestClient(hello, backend_options={"use_uvloop": False})


def test_what_is_no_app_is_refused() -> None:
    with pytest.raises(AppError, match="is not an ASGI app"):
        TestClient("main:app")


def test_a_secure_cookie_that_is_not_sent_is_told() -> None:
    app = sending({**START, "headers": [(b"set-cookie", b"session=1; Secure")]}, BODY)
    client = TestClient(app)
    client.get("/")

    with pytest.warns(AsgiWarning, match="'session' was not sent with GET http://testserver/"):
        client.get("/")


# --- as Starlette's client -------------------------------------------------------------------


def test_an_app_of_asgi_2_is_taken_too() -> None:
    def app(scope: Scope) -> Callable[[Receive, Send], Awaitable[None]]:
        async def answer(receive: Receive, send: Send) -> None:
            await hello(scope, receive, send)

        return answer

    assert TestClient(app).get("/").text == "hello"


def test_trailers_are_offered_and_kept() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        require_http(scope)
        assert "http.response.trailers" in scope["extensions"]
        await send({**START, "trailers": True})
        await send(BODY)
        await send({"type": "http.response.trailers", "headers": [(b"x-checksum", b"9")]})

    response = TestClient(app).get("/")

    assert response.extensions["http.response.trailers"] == [(b"x-checksum", b"9")]
