"""A project's tests, written for the `TestClient` of FastAPI and Starlette; run in a world."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.testclient import TestClient as StarletteClient

from tests.apps.typical import current_user, make_app

TOMATO = {"message": "Tomato"}


@pytest.fixture
def app() -> FastAPI:
    return make_app()


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app) as client:
        yield client


class APIClient(TestClient):
    """A client with methods of the project's own."""

    calls = 0

    def request(self, *args: Any, **options: Any) -> Any:
        self.calls += 1
        return super().request(*args, **options)

    def get_json(self, url: str) -> Any:
        return self.get(url).json()


def test_the_class_is_the_same_wherever_it_comes_from(client: TestClient) -> None:
    assert TestClient is StarletteClient
    assert isinstance(client, StarletteClient)
    assert type(client).__name__ == "TestClient"


def test_get(client: TestClient) -> None:
    response = client.get("/")
    assert response.status_code == 200
    assert response.json() == TOMATO
    assert response.headers["x-signed"] == "yes"


def test_get_without_a_block(app: FastAPI) -> None:
    assert TestClient(app).get("/").json() == TOMATO
    assert not app.state.is_started


def test_a_sync_endpoint(client: TestClient) -> None:
    assert client.get("/sync").json() is True


def test_create_and_read(client: TestClient) -> None:
    assert client.post("/items", json={"name": "a", "price": 1}).status_code == 201
    assert client.get("/items/a").json() == {"name": "a", "price": 1.0}


def test_not_found(client: TestClient) -> None:
    assert client.get("/items/a").status_code == 404


def test_not_valid(client: TestClient) -> None:
    response = client.post("/items", json={})
    assert response.status_code == 422
    assert response.json()["detail"][0]["loc"] == ["body", "name"]


def test_params(client: TestClient) -> None:
    assert client.get("/search", params={"q": ["a", "b"]}).json() == ["a", "b"]


def test_not_allowed(client: TestClient) -> None:
    assert client.get("/me").status_code == 401
    assert client.options("/").status_code == 405
    assert client.head("/").content == b""


def test_headers(app: FastAPI, client: TestClient) -> None:
    assert client.get("/me", headers={"X-Token": "secret"}).json() == "me"
    assert TestClient(app, headers={"X-Token": "secret"}).get("/me").json() == "me"


def test_default_headers(client: TestClient) -> None:
    headers = client.get("/headers").json()
    assert headers["host"] == "testserver"
    assert headers["user-agent"] == "testclient"


def test_override(app: FastAPI) -> None:
    app.dependency_overrides[current_user] = lambda: "you"
    assert TestClient(app).get("/me").json() == "you"


def test_form(client: TestClient) -> None:
    assert client.post("/form", data={"name": "a"}).json() == "a"


def test_upload(client: TestClient) -> None:
    response = client.post("/upload", files={"file": ("a.txt", b"hello")})
    assert response.json() == {"name": "a.txt", "size": 5}


def test_content(client: TestClient) -> None:
    assert client.post("/echo", content=b"abc").content == b"abc"


def test_cookies(client: TestClient) -> None:
    client.get("/login")
    assert client.cookies["session"] == "abc"
    assert client.get("/session").json() == "abc"
    client.get("/logout")
    assert client.get("/session").json() is None


def test_cookies_of_the_client(app: FastAPI) -> None:
    assert TestClient(app, cookies={"session": "x"}).get("/session").json() == "x"


def test_redirects(client: TestClient) -> None:
    assert client.get("/old").json() == TOMATO
    response = client.get("/old", follow_redirects=False)
    assert (response.status_code, response.headers["location"]) == (307, "/")


@pytest.mark.parametrize("path", ["/boom", "/sync-boom"])
def test_exceptions(app: FastAPI, client: TestClient, path: str) -> None:
    with pytest.raises(ConnectionError, match="boom"):
        client.get(path)
    response = TestClient(app, raise_server_exceptions=False).get(path)
    assert (response.status_code, response.text) == (500, "Internal Server Error")


def test_background_tasks(app: FastAPI, client: TestClient) -> None:
    client.get("/background")
    assert app.state.done == ["in the background"]


def test_stream(client: TestClient) -> None:
    with client.stream("GET", "/numbers") as response:
        assert list(response.iter_lines()) == ["0", "1", "2"]


def test_an_endless_stream(client: TestClient) -> None:
    with client.stream("GET", "/endless") as response:
        lines = response.iter_lines()
        assert [next(lines) for _ in range(3)] == ["data: tick", "", "data: tick"]


def test_state(client: TestClient) -> None:
    assert client.get("/state").json() == "the pool"
    assert client.app_state == {"pool": "the pool"}


def test_lifespan(app: FastAPI) -> None:
    with TestClient(app):
        assert app.state.is_started
    assert not app.state.is_started


def test_scope(app: FastAPI, client: TestClient) -> None:
    assert client.get("/client").json() == ["testclient", 50000, "http://testserver/", ""]
    other = TestClient(app, base_url="https://x.test", root_path="/v1", client=("1.2.3.4", 5))
    assert other.get("/client").json() == ["1.2.3.4", 5, "https://x.test/v1/", "/v1"]


def test_an_app_that_waits(client: TestClient) -> None:
    assert client.get("/slow").json() == "slow"


def test_a_subclass(app: FastAPI) -> None:
    client = APIClient(app)
    assert client.get_json("/") == TOMATO
    assert client.calls == 1


def test_portal(app: FastAPI, client: TestClient) -> None:
    assert client.portal is not None
    client.portal.call(app.state.letters.put, 1)
    assert client.portal.call(app.state.letters.get) == 1
    assert client.portal.call(lambda: 5) == 5
    future = client.portal.start_task_soon(app.state.letters.get)
    client.portal.call(app.state.letters.put_nowait, 2)
    assert future.result() == 2


def test_a_context_manager_through_the_portal(client: TestClient) -> None:
    @asynccontextmanager
    async def three() -> AsyncIterator[int]:
        with anyio.CancelScope():
            yield 3

    assert client.portal is not None
    with client.portal.wrap_async_context_manager(three()) as number:
        assert number == 3


def test_there_is_no_portal_outside_of_a_block(app: FastAPI) -> None:
    assert TestClient(app).portal is None


def test_a_pool_of_threads(client: TestClient) -> None:
    with ThreadPoolExecutor(4) as pool:
        responses = list(pool.map(client.get, ["/", "/sync", "/slow"] * 5))
    assert [response.status_code for response in responses] == [200] * 15


def test_a_thread(client: TestClient) -> None:
    answers: list[str] = []
    thread = threading.Thread(target=lambda: answers.append(client.get("/slow").json()))
    thread.start()
    thread.join()
    assert answers == ["slow"]


async def test_an_async_test(app: FastAPI) -> None:
    with TestClient(app) as client:
        assert client.get("/slow").json() == "slow"
