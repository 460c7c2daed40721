import pytest
from pytest_asgi import AsyncClient

from main import app


@pytest.mark.asyncio
async def test_root() -> None:
    async with AsyncClient(app=app, base_url="http://test") as ac:
        response = await ac.get("/")
    assert response.status_code == 200
    assert response.json() == {"message": "Tomato"}
