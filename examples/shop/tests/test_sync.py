"""Tests without `async`: the synchronous client, and a WebSocket."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient as StarletteTestClient
from pytest_asgi import TestClient
from starlette.websockets import WebSocketDisconnect

from shop.database import Database
from shop.main import create_app

LAMP = {"sku": "lamp", "name": "Lamp", "price_cents": 2500, "stock": 3}


@pytest.fixture
def own_app(tmp_path: Path) -> FastAPI:
    """A shop of its own, for clients that start and stop the lifespan themselves."""
    return create_app(Database(f"sqlite+aiosqlite:///{tmp_path / 'own.db'}"))


@pytest.fixture
def shop_over_websocket(own_app: FastAPI) -> Iterator[StarletteTestClient]:
    """Starlette's client: it brings a thread and a loop, and it speaks WebSocket."""
    with StarletteTestClient(own_app) as client:
        sign_in(client)
        client.post("/products", json=LAMP).raise_for_status()
        yield client


def sign_in(client: Any) -> None:
    """Sign up and let every later request carry the token."""
    body = {"email": "dora@example.com", "name": "Dora"}
    token = client.post("/users", json=body).json()["token"]
    client.headers["Authorization"] = f"Bearer {token}"


def test_a_user_sells_and_buys(own_app: FastAPI) -> None:
    with TestClient(own_app) as client:
        sign_in(client)
        client.post("/products", json=LAMP)

        response = client.post("/orders", json={"lines": [{"sku": "lamp"}]})

        assert response.status_code == 201
        assert client.get("/products/lamp").json()["stock"] == 2


async def test_the_synchronous_client_works_in_an_async_test(own_app: FastAPI) -> None:
    with TestClient(own_app) as client:
        sign_in(client)

        assert client.get("/users/me").json()["name"] == "Dora"


def test_stock_is_watched_over_a_websocket(shop_over_websocket: StarletteTestClient) -> None:
    client = shop_over_websocket

    with client.websocket_connect("/products/lamp/stock") as websocket:
        assert websocket.receive_json() == {"sku": "lamp", "stock": 3}
        client.post("/orders", json={"lines": [{"sku": "lamp", "quantity": 2}]})
        assert websocket.receive_json() == {"sku": "lamp", "stock": 1}


def test_nobody_watches_a_product_that_is_not_there(
    shop_over_websocket: StarletteTestClient,
) -> None:
    with (
        pytest.raises(WebSocketDisconnect) as refused,
        shop_over_websocket.websocket_connect("/products/sofa/stock"),
    ):
        pass

    assert refused.value.code == 4404
