"""The app's connections around tests, on a real server."""

from __future__ import annotations

import pytest

from tests.plugin.world import World
from tests.promises import promise

APP = """
    import asyncpg
    from contextlib import asynccontextmanager
    from fastapi import FastAPI
    from sqlalchemy import text
    from sqlalchemy.ext.asyncio import create_async_engine

    URL = "shop:geheim@db.example.com/shop"
    engine = create_async_engine(f"postgresql+asyncpg://{URL}")

    @asynccontextmanager
    async def lifespan(app):
        async with asyncpg.create_pool(f"postgresql://{URL}", min_size=2, max_size=4) as pool:
            app.state.pool = pool
            app.state.listening = await pool.acquire()
            yield
            await pool.release(app.state.listening)

    app = FastAPI(lifespan=lifespan)

    @app.post("/pool/{name}")
    async def through_the_pool(name: str):
        await app.state.pool.execute("INSERT INTO users (name) VALUES ($1)", name)

    @app.post("/engine/{name}")
    async def through_the_engine(name: str):
        async with engine.begin() as connection:
            await connection.execute(text("INSERT INTO users (name) VALUES (:n)"), {"n": name})

    @app.get("/users")
    async def users():
        async with engine.connect() as connection:
            return list(await connection.scalars(text("SELECT name FROM users ORDER BY name")))

    @app.post("/leak")
    async def leak():
        app.state.leaked = await engine.connect()
        await app.state.leaked.execute(text("SELECT 1"))

    @app.post("/ddl")
    async def ddl():
        async with engine.begin() as connection:
            await connection.execute(text("CREATE TABLE more (id int)"))
"""


@pytest.fixture
def shop(world: World) -> World:
    (world.pytester.path / "schema.sql").write_text(
        "CREATE TABLE users (id serial PRIMARY KEY, name text)", encoding="utf-8"
    )
    world.configure("asgi_schema = schema.sql\nasgi_database = postgresql\npythonpath = .")
    world.write(main=APP)
    return world


@promise("database.pools-follow")
def test_pools_outlive_tests_and_follow_the_database(shop: World) -> None:
    shop.write(
        test_a="""
        import pytest

        @pytest.mark.parametrize("time", [1, 2, 3])
        async def test_sign_up(client, time):
            assert (await client.get("/users")).json() == []
            await client.post("/pool/ada")
            await client.post("/engine/bob")
            assert (await client.get("/users")).json() == ["ada", "bob"]
            if time == 2:
                await client.post("/ddl")
        """
    )

    shop.passes(3)


def test_a_connection_that_is_left_in_use_is_named(shop: World) -> None:
    shop.write(
        test_a="""
        async def test_leak(client):
            await client.post("/leak")

        async def test_after(client):
            assert (await client.get("/users")).json() == []
        """
    )

    result = shop.run("-Wdefault")

    result.assert_outcomes(passed=2, warnings=1)
    line = next(n for n, text in enumerate(APP.splitlines(), 1) if "leaked = await" in text)
    result.stdout.fnmatch_lines(
        [f"*main.py:{line}: AsgiWarning: The test has left a connection of asyncpg in use*"]
    )


def test_connections_that_nobody_closes_are_closed_without_a_word(shop: World) -> None:
    shop.write(
        test_a="""
        import asyncpg
        import psycopg
        import psycopg_pool
        from main import URL, app, engine

        kept = []

        async def test_users(client):
            assert (await client.get("/users")).json() == []
            kept.append(psycopg.connect(f"postgresql://{URL}"))
            kept.append(await asyncpg.connect(f"postgresql://{URL}"))
            pool = await asyncpg.create_pool(f"postgresql://{URL}", min_size=2)
            await pool.fetch("SELECT 1")
            kept.append(pool)
            pool = psycopg_pool.ConnectionPool(f"postgresql://{URL}", min_size=2, open=True)
            with pool.connection():
                kept.append(pool)
            pool = psycopg_pool.AsyncConnectionPool(f"postgresql://{URL}", open=False)
            await pool.open()
            async with pool.connection():
                kept.append(pool)
        """
    )

    result = shop.run()

    result.assert_outcomes(passed=1)
    assert "Exception" not in result.stderr.str() + result.stdout.str()


def test_a_driver_that_is_not_redirected_is_refused(shop: World) -> None:
    shop.write(
        psycopg2="""
        def connect(dsn):
            return _connect(dsn)

        def _connect(dsn):
            raise AssertionError("it was reached")
        """,
        test_a="""
        import psycopg2
        import pytest
        from pytest_asgi import errors

        def test_refused():
            with pytest.raises(errors.DatabaseRefusedError, match="postgresql://db.example.com/shop"):
                psycopg2.connect("postgresql://db.example.com/shop")
        """,
    )

    shop.passes(1)
