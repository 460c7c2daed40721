"""The `queries` fixture and the search for one query for each row, in whole runs."""

from __future__ import annotations

import pytest

from tests.plugin.world import World

_APP = """
    import sqlite3

    def read_all(path, times):
        connection = sqlite3.connect("shop.db")
        for number in range(times):
            connection.execute("select ?", (number,)).fetchall()
        connection.close()

    async def app(scope, receive, send):
        read_all(scope["path"], 3)
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body"})
"""

_TESTS = """
    async def test_async(client, queries):
        with queries.at_most(3):
            response = await client.get("/orders")
        assert len(queries.of(response)) == len(queries) == 3

    def test_sync(client, queries):
        assert len(queries) == 0
        response = client.get("/orders")
        assert len(queries.of(response)) == 3
"""


@pytest.fixture
def shop(world: World) -> World:
    world.configure("asgi_app = main:app\nasgi_database = sqlite")
    world.write(main=_APP, test_a=_TESTS)
    return world


@pytest.mark.parametrize("arguments", [(), ("-n1",)], ids=["here", "in a worker"])
def test_one_query_for_each_row_is_named_in_the_summary(
    shop: World, arguments: tuple[str, ...]
) -> None:
    result = shop.run(*arguments, plugins=("xdist.plugin",))

    result.stdout.fnmatch_lines(
        [
            "*= one query for each row (N+1) =*",
            "GET /orders: 3 times at main.py:* in read_all: select ?",
            "  in test_a.py::test_async and 1 more",
        ]
    )
    result.assert_outcomes(passed=2)


def test_it_may_be_an_error_or_hidden_or_take_more(shop: World) -> None:
    shop.write(
        test_a="""
        import pytest

        @pytest.mark.asgi(n_plus_one="error")
        async def test_error(client, queries):
            await client.get("/orders")

        @pytest.mark.asgi(n_plus_one="off")
        async def test_off(client, queries):
            await client.get("/orders")

        @pytest.mark.asgi(n_plus_one="error:4")
        async def test_more(client, queries):
            await client.get("/orders")
        """
    )

    result = shop.run()

    result.stdout.fnmatch_lines(["E*VerificationError: The app executed one query for each row*"])
    result.stdout.no_fnmatch_line("*= one query for each row*")
    result.assert_outcomes(passed=2, failed=1)
