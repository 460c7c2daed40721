"""The real frameworks break no rule: every alarm here would be a false one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

from pytest_asgi import AsyncClient, WebSocketRejectedError, WebSocketUpgradeError
from pytest_asgi.asgi.rules import rules_mode
from pytest_asgi.asgi.types import ASGIApp
from tests.conformance.websocket import converse
from tests.promises import promise

FRAMEWORKS = (
    "blacksheep",
    "django",
    "falcon",
    "fastapi",
    "litestar",
    "quart",
    "sanic",
    "starlette",
)


# What a framework reads forms with, where that is a package of its own.
NEEDED = {"fastapi": ["python_multipart"], "starlette": ["python_multipart"]}

# BlackSheep knows no route for another method.
OTHERWISE = {"blacksheep": {"PUT /form": 404}}
WITHOUT_WEBSOCKET = {"django"}


class Asked(NamedTuple):
    """A request to every framework, and the status of its answer."""

    method: str
    path: str
    status: int
    options: Mapping[str, Any] = MappingProxyType({})

    def __str__(self) -> str:
        return f"{self.method} {self.path} {' '.join(self.options)}".rstrip()


REQUESTS = (
    Asked("GET", "/html", 200),
    Asked("HEAD", "/html", 200),
    Asked("GET", "/json", 200),
    Asked("POST", "/json", 200, {"json": {"name": "Ada"}}),
    Asked("POST", "/form", 200, {"data": {"name": "Ada"}}),
    Asked("POST", "/form", 200, {"files": {"photo": ("ada.txt", b"Ada")}}),
    Asked("GET", "/empty", 204),
    Asked("GET", "/unchanged", 304),
    Asked("GET", "/moved", 302),
    Asked("GET", "/stream", 200),
    Asked("GET", "/file", 200),
    Asked("GET", "/cookies", 200),
    Asked("GET", "/missing", 404),
    Asked("PUT", "/form", 405),
    Asked("GET", "/broken", 500),
)


@pytest.fixture(params=FRAMEWORKS)
def framework(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    for module in (name, *NEEDED.get(name, ())):
        pytest.importorskip(module)
    return name


@pytest.fixture
def app(framework: str) -> ASGIApp:
    app: ASGIApp = import_module(f"tests.conformance.frameworks.with_{framework}").app
    return app


@pytest.fixture(autouse=True)
def broken_rules_fail_whoever_catches_the_error() -> Iterator[None]:
    """Let a broken rule warn: an error could be answered by the framework, as the app's own."""
    token = rules_mode.set("warn")
    yield
    rules_mode.reset(token)


@promise("rules.no-false-alarm")
async def test_no_message_of_a_framework_breaks_a_rule(
    framework: str, app: ASGIApp, recwarn: pytest.WarningsRecorder
) -> None:
    answered: dict[str, int] = {}
    echoed: list[Any] = []

    async with (
        asyncio.timeout(10),
        AsyncClient(app, base_url="https://test", raise_app_exceptions=False) as client,
    ):
        for asked in REQUESTS:
            response = await client.request(asked.method, asked.path, **asked.options)
            answered[str(asked)] = response.status_code
        if framework not in WITHOUT_WEBSOCKET:
            echoed = [message.get("text") for message in await converse(app, "Hello")]

    assert [str(warning.message) for warning in recwarn] == []
    expected = {str(asked): asked.status for asked in REQUESTS}
    assert answered == {**expected, **OTHERWISE.get(framework, {})}
    assert framework in WITHOUT_WEBSOCKET or echoed[:2] == [None, "Hello"]


@promise("rules.no-false-alarm")
async def test_fastapi_may_refuse_a_connection_with_the_errors_of_its_validation(
    recwarn: pytest.WarningsRecorder,
) -> None:
    pytest.importorskip("fastapi")
    app = import_module("tests.conformance.frameworks.with_fastapi").app

    with pytest.raises(WebSocketRejectedError) as refused:
        async with AsyncClient(app).websocket("/numbers/one"):
            pass

    assert refused.value.code == 1008
    reason: Any = refused.value.reason
    assert reason[0]["loc"] == ["path", "number"]
    assert [str(warning.message) for warning in recwarn] == []


@promise("websocket.route")
@pytest.mark.parametrize("path", ["/nowhere", "/html"])
@pytest.mark.parametrize("framework", ["blacksheep", "falcon", "litestar", "quart"], indirect=True)
async def test_a_framework_may_have_no_route_or_one_for_http_only(app: ASGIApp, path: str) -> None:
    async with AsyncClient(app) as client:
        with pytest.raises(WebSocketUpgradeError) as refused:
            async with client.websocket(path):
                pass

    assert refused.value.fix.startswith(f"Perhaps the app has no WebSocket route for {path}.")
