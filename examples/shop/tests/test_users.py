"""Sign up, and be recognised."""

import asyncio

import pytest
from pytest_asgi import AsyncClient
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from shop.models import User
from shop.users import find_by_token
from tests.people import Person

CAROL = {"email": "carol@example.com", "name": "Carol"}


class TestSigningUp:
    async def test_answers_with_the_user_and_a_token(self, client: AsyncClient) -> None:
        response = await client.post("/users", json=CAROL)

        assert response.status_code == 201
        token = response.json().pop("token")
        assert len(token) >= 24
        assert response.json() == {"id": 1, "token": token, **CAROL}

    async def test_writes_one_user(self, client: AsyncClient, session: AsyncSession) -> None:
        response = await client.post("/users", json=CAROL)

        user = await find_by_token(session, response.json()["token"])
        assert user is not None
        assert (user.email, user.name) == ("carol@example.com", "Carol")
        assert await session.scalar(select(func.count()).select_from(User)) == 1

    async def test_does_not_store_the_token(
        self, client: AsyncClient, session: AsyncSession
    ) -> None:
        response = await client.post("/users", json=CAROL)

        stored = await session.scalar(select(User.token_hash))
        assert stored is not None
        assert stored != response.json()["token"]

    @pytest.mark.usefixtures("alice")
    @pytest.mark.parametrize(
        "email", ["alice@example.com", "ALICE@example.com", " alice@example.com"]
    )
    async def test_refuses_an_email_that_is_taken(self, client: AsyncClient, email: str) -> None:
        response = await client.post("/users", json={"email": email, "name": "Another Alice"})

        assert response.status_code == 409
        assert response.json() == {"detail": "alice@example.com has signed up already."}

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"email": "carol"}, "email"),
            ({"email": None}, "email"),
            ({"name": "  "}, "name"),
            ({"name": "C" * 201}, "name"),
            ({"token": "mine"}, "token"),
        ],
        ids=["no address", "no email", "blank name", "long name", "unknown field"],
    )
    async def test_explains_what_is_not_valid(
        self, client: AsyncClient, change: dict[str, str | None], field: str
    ) -> None:
        response = await client.post("/users", json=CAROL | change)

        assert response.status_code == 422
        assert [error["loc"] for error in response.json()["detail"]] == [["body", field]]

    async def test_twice_at_once_leaves_one_user(
        self, client: AsyncClient, session: AsyncSession
    ) -> None:
        async with asyncio.TaskGroup() as tasks:
            attempts = [tasks.create_task(client.post("/users", json=CAROL)) for _ in range(2)]

        assert sorted(attempt.result().status_code for attempt in attempts) == [201, 409]
        assert await session.scalar(select(func.count()).select_from(User)) == 1


class TestWhoAmI:
    async def test_is_answered_for_a_token(self, client: AsyncClient, alice: Person) -> None:
        response = await client.get("/users/me", headers=alice.headers)

        assert response.status_code == 200
        assert response.json() == {"id": 1, "email": "alice@example.com", "name": "Alice"}

    @pytest.mark.usefixtures("alice")
    @pytest.mark.parametrize(
        "headers",
        [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic YTpi"}],
        ids=["no header", "unknown token", "other scheme"],
    )
    async def test_is_refused_without_a_token(
        self, client: AsyncClient, headers: dict[str, str]
    ) -> None:
        response = await client.get("/users/me", headers=headers)

        assert response.status_code == 401
        assert response.headers["www-authenticate"] == "Bearer"
