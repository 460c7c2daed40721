"""The database of an app: real commits, and clean again for the next test."""

from __future__ import annotations

import pytest

from tests.plugin.world import World
from tests.promises import promise

APP = """
    from contextlib import asynccontextmanager

    from fastapi import FastAPI
    from sqlalchemy import func, select
    from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
    from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

    class Model(DeclarativeBase):
        pass

    class User(Model):
        __tablename__ = "users"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column(unique=True)

    engine = create_async_engine("DATABASE_URL")
    app = FastAPI()

    async def add(name):
        async with AsyncSession(engine) as session:
            session.add(User(name=name))
            await session.commit()

    async def names():
        async with AsyncSession(engine) as session:
            return list(await session.scalars(select(User.name).order_by(User.id)))

    @app.post("/users/{name}")
    async def sign_up(name: str):
        await add(name)

    @app.get("/users")
    async def list_users():
        return await names()
"""
SIGN_UP = """
    import pytest

    @pytest.mark.parametrize("time", [1, 2, 3])
    async def test_sign_up(client, time):
        assert (await client.get("/users")).json() == []
        assert (await client.post("/users/ada")).status_code == 200
        assert (await client.get("/users")).json() == ["ada"]
"""


SQLITE = "sqlite+aiosqlite:///users.db"
POSTGRESQL = "postgresql+asyncpg://app:secret@db.example.com/users"


def app_on(url: str) -> str:
    return APP.replace("DATABASE_URL", url)


@pytest.fixture(params=[SQLITE, POSTGRESQL], ids=["sqlite", "postgresql"])
def shop(request: pytest.FixtureRequest, world: World) -> World:
    """A project whose app keeps users in a database, and whose schema is named."""
    world.configure("asgi_schema = main:Model\npythonpath = .")
    world.write(main=app_on(request.param))
    return world


@pytest.fixture
def file_shop(world: World) -> World:
    """A project whose app keeps users in a file."""
    world.configure("asgi_schema = main:Model\npythonpath = .")
    world.write(main=app_on(SQLITE))
    return world


@promise("database.restored")
def test_what_a_test_commits_is_gone_for_the_next(shop: World) -> None:
    shop.write(test_a=SIGN_UP)

    shop.passes(3)


@promise("database.private")
def test_the_file_that_the_app_names_is_not_made(file_shop: World) -> None:
    file_shop.write(test_a=SIGN_UP)

    file_shop.passes(3)

    assert not (file_shop.pytester.path / "users.db").exists()


@promise("database.restored")
def test_synchronous_tests_are_kept_apart_too(shop: World) -> None:
    shop.write(
        test_a="""
            import pytest

            @pytest.mark.parametrize("time", [1, 2])
            def test_sign_up(client, time):
                assert client.get("/users").json() == []
                assert client.post("/users/ada").status_code == 200
        """
    )

    shop.passes(2)


@promise("database.baseline")
def test_what_a_wider_fixture_writes_stays_as_long_as_the_fixture(shop: World) -> None:
    shop.write(
        conftest="""
            import main
            import pytest

            @pytest.fixture(scope="session", autouse=True)
            async def admin():
                await main.add("admin")

            @pytest.fixture(scope="module")
            async def guest():
                await main.add("guest")

            @pytest.fixture
            async def ada():
                await main.add("ada")
        """,
        test_a="""
            async def test_one(client, ada, guest):
                assert (await client.get("/users")).json() == ["admin", "guest", "ada"]

            async def test_two(client, guest):
                assert (await client.get("/users")).json() == ["admin", "guest"]
        """,
        test_b="""
            async def test_three(client):
                assert (await client.get("/users")).json() == ["admin"]
        """,
    )

    shop.passes(3)


@promise("database.baseline")
def test_what_the_lifespan_writes_stays_and_what_a_test_writes_before_does_not(
    world: World,
) -> None:
    lifespan = """
        @asynccontextmanager
        async def lifespan(app):
            await add("root")
            yield

        app.router.lifespan_context = lifespan
    """
    world.configure("asgi_schema = main:Model\npythonpath = .")
    world.write(
        main=app_on(SQLITE) + lifespan.replace("\n    ", "\n"),
        test_a="""
            import main
            import pytest

            @pytest.fixture
            async def ada():
                await main.add("ada")

            @pytest.mark.parametrize("time", [1, 2])
            async def test_sign_up(ada, client, time):
                assert (await client.get("/users")).json() == ["root", "ada"]
        """,
    )

    world.passes(2)


@promise("database.isolation")
def test_a_mark_gives_a_test_a_database_of_its_own(shop: World) -> None:
    shop.write(
        test_a="""
            import main
            import pytest
            from sqlalchemy import text

            async def test_before(client):
                await client.post("/users/ada")

            @pytest.mark.asgi(isolation="clone")
            async def test_own(client):
                await client.post("/users/bob")
                async with main.engine.begin() as connection:
                    await connection.execute(text("DROP TABLE users"))

            async def test_after(client):
                assert (await client.get("/users")).json() == []
        """
    )

    shop.passes(3)


@promise("database.transaction")
def test_a_mark_lets_a_test_be_one_transaction(world: World) -> None:
    world.configure("asgi_schema = main:Model\npythonpath = .")
    world.write(
        main=app_on(POSTGRESQL),
        test_a=SIGN_UP,
        test_b="""
            import main
            import pytest
            from pytest_asgi import Inserted
            from sqlalchemy import text

            pytestmark = pytest.mark.asgi(isolation="transaction")

            @pytest.mark.parametrize("time", [1, 2])
            async def test_it(client, db, time):
                async with db.changes() as changes:
                    await client.post("/users/ada")
                assert changes == {"users": [Inserted(id=1, name="ada")]}
                assert (await client.get("/users")).json() == ["ada"]
                async with main.engine.begin() as connection:
                    await connection.execute(text("DROP TABLE users"))
                    await connection.execute(text("CREATE TABLE notes (id int)"))
                assert await db.count("notes") == 0

            async def test_refused(client):
                async with main.engine.begin() as connection:
                    await connection.execute(text("SELECT pg_advisory_lock(1)"))
        """,
        test_c=SIGN_UP,
    )

    outcome = world.run()

    outcome.assert_outcomes(passed=8, failed=1, errors=1)
    outcome.stdout.fnmatch_lines(["*IsolationError: In a test with isolation=*advisory lock:"])


@promise("database.transaction-refuses")
def test_a_transaction_is_for_postgresql(file_shop: World) -> None:
    file_shop.write(
        test_a="""
            import pytest

            @pytest.mark.asgi(isolation="transaction")
            async def test_sign_up(client):
                await client.post("/users/ada")
        """
    )

    outcome = file_shop.run()

    outcome.assert_outcomes(errors=1)
    outcome.stdout.fnmatch_lines(['*A test with isolation="transaction" uses sqlite:*'])


@promise("database.unpooled-refused")
def test_a_connection_that_is_kept_does_not_lead_to_another_tests_database(
    file_shop: World,
) -> None:
    file_shop.write(
        test_a="""
            import sqlite3

            import pytest
            from pytest_asgi.errors import IsolationError

            kept = []

            def keep():
                kept.append(sqlite3.connect("users.db"))
                return kept[-1].execute("SELECT name FROM users").fetchall()

            def test_before():
                assert keep() == []

            @pytest.mark.asgi(isolation="clone")
            async def test_own(client):
                with pytest.raises(IsolationError, match="has one of its own"):
                    kept[0].execute("DELETE FROM users")
                await client.post("/users/bob")
                assert keep() == [("bob",)]

            def test_after():
                assert kept[0].execute("SELECT name FROM users").fetchall() == []
                with pytest.raises(IsolationError, match="opened for an earlier test"):
                    kept[1].execute("DELETE FROM users")
                kept[0].close()
        """
    )

    file_shop.passes(3)


@promise("database.isolation")
def test_a_mark_keeps_what_a_test_writes(shop: World) -> None:
    shop.write(
        test_a="""
            import pytest

            @pytest.mark.asgi(isolation="off")
            async def test_seed(client):
                await client.post("/users/ada")

            @pytest.mark.parametrize("time", [1, 2])
            async def test_after(client, time):
                assert (await client.get("/users")).json() == ["ada"]
                await client.post("/users/bob")
        """
    )

    shop.passes(3)


@promise("database.isolation")
def test_switched_off_the_app_reaches_its_own_database(file_shop: World) -> None:
    file_shop.write(
        test_a="""
            import main

            async def test_sign_up(client):
                async with main.engine.begin() as connection:
                    await connection.run_sync(main.Model.metadata.create_all)
                await client.post("/users/ada")
        """
    )

    file_shop.passes(1, "--asgi-isolation=off")

    assert (file_shop.pytester.path / "users.db").exists()


@promise("database.opt-in")
def test_a_suite_that_asks_for_no_database_keeps_its_own(world: World) -> None:
    world.configure("pythonpath = .")
    world.write(
        main=app_on(SQLITE),
        test_a="""
            import main

            async def test_sign_up(client):
                async with main.engine.begin() as connection:
                    await connection.run_sync(main.Model.metadata.create_all)
                await client.post("/users/ada")
        """,
    )

    world.passes(1)

    assert (world.pytester.path / "users.db").exists()


@promise("database.restored")
def test_workers_of_xdist_have_databases_of_their_own(shop: World) -> None:
    shop.write(test_a=SIGN_UP, test_b=SIGN_UP)

    shop.passes(6, "-n2", plugins=("xdist.plugin",))
