"""Sign up, and be recognised."""

import asyncio

import pytest
from pytest_asgi import AsyncClient, Database, Inserted

from shop.models import User
from shop.users import hash_token
from tests.people import Person

CAROL = {"email": "carol@example.com", "name": "Carol"}


class TestSigningUp:
    async def test_answers_with_the_user_and_a_token(self, client: AsyncClient) -> None:
        response = await client.post("/users", json=CAROL)

        assert response.status_code == 201
        token = response.json().pop("token")
        assert len(token) >= 24
        assert response.json() == {"id": 1, "token": token, **CAROL}

    async def test_writes_one_user_and_no_token(self, client: AsyncClient, db: Database) -> None:
        async with db.changes() as changes:
            response = await client.post("/users", json=CAROL)

        token_hash = hash_token(response.json()["token"])
        assert changes == {"users": [Inserted(id=1, **CAROL, token_hash=token_hash)]}

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

    async def test_twice_at_once_leaves_one_user(self, client: AsyncClient, db: Database) -> None:
        async with asyncio.TaskGroup() as tasks:
            attempts = [tasks.create_task(client.post("/users", json=CAROL)) for _ in range(2)]

        assert sorted(attempt.result().status_code for attempt in attempts) == [201, 409]
        assert await db.count(User) == 1


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
