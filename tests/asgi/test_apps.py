"""What people pass instead of an app gets an error that says what it is."""

from __future__ import annotations

import functools
import types
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from pytest_asgi.asgi.apps import modernize, require_app
from pytest_asgi.errors import AppError
from tests.apps.plain import hello


async def anything(*args: Any) -> None: ...


def create_app() -> FastAPI:
    return FastAPI()


def wsgi_app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    return []


def old_app(scope: Any) -> Any:
    return None


class Endpoint:
    """An app whose instances are its calls, as Starlette's endpoints are."""

    def __init__(self, scope: Any, receive: Any, send: Any) -> None:
        self.arguments = scope, receive, send


@pytest.mark.parametrize(
    "app",
    [hello, FastAPI(), functools.partial(hello), Endpoint, anything],
    ids=["function", "fastapi", "partial", "class", "any arguments"],
)
def test_whatever_takes_three_arguments_is_an_app(app: Any) -> None:
    assert require_app(app) is app


def test_a_callable_that_hides_its_signature_is_trusted() -> None:
    hiding: Any = type

    assert require_app(hiding) is hiding


@pytest.mark.parametrize(
    ("candidate", "guess", "fix"),
    [
        (create_app, "a function that makes the app", "app=create_app()"),
        (
            old_app,
            "an app of ASGI 2",
            "app=asgiref.compatibility.guarantee_single_callable(old_app)",
        ),
        (wsgi_app, "a WSGI app", "app=asgiref.wsgi.WsgiToAsgi(wsgi_app)"),
        (FastAPI, "a function that makes the app", "app=FastAPI()"),
    ],
)
def test_a_callable_with_other_arguments_is_recognised(
    candidate: Any, guess: str, fix: str
) -> None:
    with pytest.raises(AppError) as caught:
        require_app(candidate)

    assert guess in caught.value.what
    assert fix in caught.value.fix


@pytest.mark.parametrize(
    ("candidate", "fix"),
    [
        ("main:app", "from main import app"),
        ("http://test", "app, base_url='http://test'"),
        (httpx2.URL("http://test"), "app, base_url='http://test'"),
        ("main", "from main import app"),
        (types.ModuleType("main"), "app=main.app"),
        (3, "app = FastAPI()"),
    ],
)
def test_what_cannot_be_called_is_refused_with_advice(candidate: Any, fix: str) -> None:
    with pytest.raises(AppError) as caught:
        require_app(candidate)

    assert "is not an ASGI app" in caught.value.what
    assert fix in caught.value.fix


def test_a_callable_that_fits_no_guess_is_refused_all_the_same() -> None:
    def app(one: Any, two: Any, three: Any, four: Any) -> None: ...

    with pytest.raises(AppError, match="does not take three arguments"):
        require_app(app)


@pytest.mark.parametrize(
    "candidate", [hello, Endpoint, create_app, wsgi_app, lambda name="": name, "main:app"]
)
def test_what_is_no_app_of_asgi_2_is_left_as_it_is(candidate: object) -> None:
    assert modernize(candidate) is candidate


async def test_an_app_of_asgi_2_is_called_twice() -> None:
    calls: list[Any] = []

    class App:
        def __init__(self, scope: Any) -> None:
            calls.append(scope)

        async def __call__(self, *channels: Any) -> None:
            calls.extend(channels)

    app = require_app(modernize(App))
    await app("scope", "receive", "send")  # type: ignore[arg-type]  # only passed on

    assert calls == ["scope", "receive", "send"]
