"""Without a mark, and with the `client` fixture without an import of the app either."""

from pytest_asgi import AsyncClient

from main import app


async def test_root() -> None:
    async with AsyncClient(app=app, base_url="http://test") as ac:
        response = await ac.get("/")
    assert response.status_code == 200
    assert response.json() == {"message": "Tomato"}


async def test_root_with_the_client_fixture(client: AsyncClient) -> None:
    response = await client.get("/")
    assert response.json() == {"message": "Tomato"}
