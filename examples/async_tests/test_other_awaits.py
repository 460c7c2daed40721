"""Other awaited functions beside requests: look at what the backend wrote."""

import asyncio

import pytest
from pytest_asgi import AsyncClient

from guestbook import app, read_names


async def test_a_request_writes_the_entry() -> None:
    async with AsyncClient(app=app) as ac:
        response = await ac.post("/entries/Ada")
        assert response.status_code == 201
        assert await read_names() == ["Ada"]


@pytest.mark.parametrize("names", [["Ada", "Grace"], ["Grace", "Ada", "Joan"]])
async def test_requests_at_the_same_time_all_write(names: list[str]) -> None:
    async with AsyncClient(app=app) as ac:
        async with asyncio.TaskGroup() as tasks:
            for name in names:
                tasks.create_task(ac.post(f"/entries/{name}"))
        assert sorted(await read_names()) == sorted(names)
