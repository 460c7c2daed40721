"""The synchronous client, in an ordinary test and in an async one: the page rules that out."""

from pytest_asgi import TestClient

from main import app


def test_root() -> None:
    client = TestClient(app)
    response = client.get("/")
    assert response.status_code == 200
    assert response.json() == {"message": "Tomato"}


def test_root_with_the_lifespan() -> None:
    with TestClient(app) as client:
        assert client.get("/").json() == {"message": "Tomato"}


async def test_root_in_an_async_test() -> None:
    with TestClient(app) as client:
        assert client.get("/").json() == {"message": "Tomato"}
