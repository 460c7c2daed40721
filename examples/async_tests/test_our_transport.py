"""pytest-asgi's transport in a plain HTTPX client."""

import httpx2
from pytest_asgi import ASGITransport

from main import app


async def test_root() -> None:
    transport = ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as ac:
        response = await ac.get("/")
    assert response.status_code == 200
    assert response.json() == {"message": "Tomato"}
