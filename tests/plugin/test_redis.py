"""An app that uses Redis: its own pool, made when its module is imported."""

from __future__ import annotations

from tests.plugin.world import World
from tests.promises import promise

APP = """
    import redis
    import redis.asyncio
    from fastapi import FastAPI

    URL = "redis://:secret@prod.example.com/2"
    cache = redis.asyncio.Redis.from_url(URL, decode_responses=True)
    sync = redis.Redis.from_url(URL, decode_responses=True)
    app = FastAPI()

    @app.post("/visits/{name}")
    async def visit(name: str):
        return await cache.hincrby("visits", name)

    @app.get("/visits")
    def visits():
        return sync.hgetall("visits")
"""
VISIT = """
    import pytest
    from pytest_asgi import Inserted

    from main import cache

    @pytest.mark.parametrize("time", [1, 2])
    async def test_visit(client, db, time):
        assert (await client.get("/visits")).json() == {}
        async with db.changes() as changes:
            assert (await client.post("/visits/ada")).json() == 1
        assert changes == {"hash": [Inserted(key="visits", value={"ada": "1"})]}
        assert (await client.get("/visits")).json() == {"ada": "1"}
        assert await db.count("hash") == 1
        assert await cache.keys() == ["visits"]
"""


@promise("database.redis-redirected", "database.redis-restored", "database.redis-changes")
def test_what_a_test_writes_is_told_and_gone_for_the_next(world: World) -> None:
    world.configure("asgi_database = redis\npythonpath = .")
    world.write(main=APP, test_a=VISIT)

    world.passes(2)


def test_workers_do_not_meet(world: World) -> None:
    world.configure("asgi_database = redis\npythonpath = .")
    world.write(main=APP, test_a=VISIT, test_b=VISIT)

    world.passes(4, "-n2", plugins=("xdist.plugin",))


def test_keys_of_fixtures_live_as_long_as_they(world: World) -> None:
    world.configure("asgi_database = redis\npythonpath = .")
    world.write(
        main=APP,
        test_a="""
            import pytest

            from main import cache, sync

            @pytest.fixture(scope="module")
            async def greeting():
                await cache.set("greeting", "hello", ex=60)
                yield
                await cache.delete("greeting")

            @pytest.mark.parametrize("time", [1, 2])
            async def test_change(greeting, time):
                assert await cache.get("greeting") == "hello"
                await cache.flushall()

            def test_without_async(greeting):
                assert sync.get("greeting") == "hello"
        """,
        test_b="""
            from main import cache

            async def test_nothing_is_left(db):
                assert await cache.keys() == []
        """,
    )

    world.passes(4)
