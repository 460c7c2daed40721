"""The `client` fixture talks to the app that the `app` fixture gives."""

from __future__ import annotations

import pytest

from tests.plugin.world import World
from tests.promises import promise

MAIN = """
    from fastapi import FastAPI, Request, Response

    app = FastAPI()

    @app.get("/")
    async def root():
        return {"message": "Tomato"}

    @app.get("/login")
    async def login(response: Response):
        response.set_cookie("session", "1")
        return {}

    @app.get("/cookies")
    def cookies(request: Request):
        return request.cookies
"""

NAMED_APP = """
    class NamedApp:
        def __init__(self, name):
            self.name = name

        async def __call__(self, scope, receive, send):
            assert scope["type"] == "http"
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": self.name.encode()})
"""


@promise("client.fixture", "client.discovery")
def test_nothing_but_a_test_is_needed(world: World) -> None:
    world.write(
        main=MAIN,
        test_main="""
            async def test_root(client):
                response = await client.get("/")
                assert response.json() == {"message": "Tomato"}

            async def test_asgi_client(asgi_client, client, asgi_app, app):
                assert asgi_client is client
                assert app is asgi_app
        """,
    )

    result = world.run()

    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["asgi: app main:app (main.py) *"])


@promise("client.fixture")
@pytest.mark.parametrize("scope", ["session", "package", "module", "class", "function"])
@pytest.mark.parametrize("kind", ["def", "async def"])
def test_an_app_fixture_of_the_project_is_enough(world: World, scope: str, kind: str) -> None:
    world.write(
        named=NAMED_APP,
        main="raise AssertionError('not to be imported')\napp = None",
        conftest=f"""
            import pytest
            from named import NamedApp

            @pytest.fixture(scope="{scope}")
            {kind} app():
                yield NamedApp("own")
        """,
        test_a="""
            async def test_async(client, app):
                assert (await client.get("/")).text == app.name == "own"

            class TestClass:
                def test_sync(self, client):
                    assert client.get("/").text == "own"
        """,
    )

    world.run_in_process().assert_outcomes(passed=2)


@promise("client.fixture")
def test_the_closest_app_fixture_is_the_one(world: World) -> None:
    world.write(
        named=NAMED_APP,
        conftest="""
            import pytest
            from named import NamedApp

            @pytest.fixture(scope="session")
            def app():
                return NamedApp("conftest")
        """,
        test_a="""
            import pytest
            from named import NamedApp

            @pytest.fixture(scope="module")
            def app(app):
                return NamedApp("module over " + app.name)

            async def test_module(client):
                assert (await client.get("/")).text == "module over conftest"

            class TestClass:
                @pytest.fixture
                def app(self):
                    return NamedApp("class")

                async def test_class(self, client):
                    assert (await client.get("/")).text == "class"

            @pytest.mark.parametrize("app", [NamedApp("direct")])
            async def test_direct(client):
                assert (await client.get("/")).text == "direct"
        """,
        test_b="""
            async def test_conftest(client):
                assert (await client.get("/")).text == "conftest"
        """,
    )

    world.run_in_process().assert_outcomes(passed=4)


@promise("client.fixture", "fixture.dynamic")
def test_the_client_can_be_requested_while_the_test_runs(world: World) -> None:
    world.write(
        main=MAIN,
        conftest="""
            import pytest

            @pytest.fixture
            async def greeting(request):
                client = request.getfixturevalue("client")
                return (await client.get("/")).json()["message"]
        """,
        test_a="""
            async def test_in_the_test(request):
                client = request.getfixturevalue("client")
                assert (await client.get("/")).status_code == 200

            async def test_in_a_fixture(greeting):
                assert greeting == "Tomato"

            def test_synchronous(request):
                assert request.getfixturevalue("client").get("/").status_code == 200
        """,
    )

    world.run_in_process().assert_outcomes(passed=3)


@promise("client.sync-fixture")
def test_a_sync_test_gets_the_synchronous_twin(world: World) -> None:
    world.write(
        main=MAIN,
        test_a="""
            import pytest
            from pytest_asgi import AsyncClient, TestClient

            class TestBoth:
                async def test_async(self, client):
                    assert isinstance(client, AsyncClient)
                    assert (await client.get("/")).json() == {"message": "Tomato"}

                def test_sync(self, client):
                    assert isinstance(client, TestClient)
                    assert client.get("/").json() == {"message": "Tomato"}

                @pytest.mark.parametrize("path", ["/", "/cookies"])
                def test_a_sync_endpoint_too(self, client, path):
                    assert client.get(path).status_code == 200

            @pytest.fixture
            async def seeded(client):
                return await_or_not(client.get("/"))

            def await_or_not(response):
                return response.json()

            def test_sync_test_with_an_async_fixture_that_uses_it(seeded):
                assert seeded == {"message": "Tomato"}
        """,
    )

    world.run_in_process().assert_outcomes(passed=5)


@promise("client.cookies")
def test_cookies_are_kept_within_a_test_and_fresh_for_the_next(world: World) -> None:
    world.write(
        main=MAIN,
        test_a="""
            import pytest

            @pytest.mark.parametrize("turn", [1, 2])
            async def test_async(client, turn):
                assert (await client.get("/cookies")).json() == {}
                await client.get("/login")
                assert (await client.get("/cookies")).json() == {"session": "1"}

            @pytest.mark.parametrize("turn", [1, 2])
            def test_sync(client, turn):
                assert client.get("/cookies").json() == {}
                client.headers["x-mine"] = "1"
                client.get("/login")
                assert client.get("/cookies").json() == {"session": "1"}

            def test_headers_are_fresh_too(client):
                assert "x-mine" not in client.headers
        """,
    )

    world.run_in_process().assert_outcomes(passed=5)


@promise("client.fixture")
def test_tests_that_another_backend_runs_can_use_the_client(world: World) -> None:
    world.write(
        main=MAIN,
        test_a="""
            import pytest

            @pytest.mark.anyio
            async def test_a(client, anyio_backend_name):
                response = await client.get("/")
                assert response.json() == {"message": "Tomato"}
        """,
    )

    result = world.run(plugins=("anyio.pytest_plugin",))

    text = result.stdout.str()
    assert "INTERNALERROR" not in text
    assert result.parseoutcomes() == {"passed": 2} or "runs on asyncio" in text


@promise("client.docs-example")
@pytest.mark.parametrize(
    ("mark", "plugins"),
    [("asyncio", ()), ("anyio", ("pytest_asyncio.plugin", "anyio.pytest_plugin"))],
    ids=["alone", "with-peers"],
)
def test_the_documentations_example_runs_as_written(
    world: World, mark: str, plugins: tuple[str, ...]
) -> None:
    world.write(
        main=MAIN,
        conftest="""
            import pytest

            @pytest.fixture
            def anyio_backend():
                return "asyncio"
        """,
        test_main=f"""
            import pytest
            from pytest_asgi import AsyncClient

            from main import app

            @pytest.mark.{mark}
            async def test_root():
                async with AsyncClient(app=app, base_url="http://test") as ac:
                    response = await ac.get("/")
                assert response.status_code == 200
                assert response.json() == {{"message": "Tomato"}}
        """,
        test_peers=f"""
            import httpx
            import httpx2
            import pytest

            from main import app

            @pytest.mark.{mark}
            @pytest.mark.parametrize("peer", [httpx, httpx2])
            async def test_root(peer):
                async with peer.AsyncClient(
                    transport=peer.ASGITransport(app=app), base_url="http://test"
                ) as ac:
                    response = await ac.get("/")
                assert response.json() == {{"message": "Tomato"}}
        """,
    )

    world.passes(3, "--strict-markers", plugins=plugins)


@promise("client.test-client")
def test_the_synchronous_client_works_in_sync_and_async_tests_on_one_loop(world: World) -> None:
    world.write(
        main="""
            import asyncio
            from fastapi import FastAPI

            app = FastAPI()
            loops = set()

            @app.get("/")
            async def root():
                await asyncio.sleep(0)
                loops.add(asyncio.get_running_loop())
                return {"message": "Tomato"}
        """,
        test_main="""
            import asyncio
            from main import app, loops
            from pytest_asgi import AsyncClient, TestClient

            client = TestClient(app)

            def test_read_main():
                response = client.get("/")
                assert response.status_code == 200
                assert response.json() == {"message": "Tomato"}

            async def test_inside_an_async_test(client: object = client):
                assert client.get("/").json() == {"message": "Tomato"}
                assert loops == {asyncio.get_running_loop()}

            async def test_both_clients_in_one_test():
                async with AsyncClient(app=app) as own:
                    with TestClient(app) as other:
                        assert other.get("/").json() == (await own.get("/")).json()
                assert loops == {asyncio.get_running_loop()}

            def test_with_a_block():
                with TestClient(app) as inner:
                    assert inner.get("/").status_code == 200
                assert len(loops) == 1
        """,
    )

    world.run_in_process().assert_outcomes(passed=4)


@promise("client.test-client")
def test_starlettes_own_test_client_keeps_working_beside_ours(world: World) -> None:
    world.write(
        main=MAIN,
        test_main="""
            from fastapi.testclient import TestClient
            from main import app

            def test_sync():
                with TestClient(app) as client:
                    assert client.get("/").json() == {"message": "Tomato"}

            async def test_inside_an_async_test():
                assert TestClient(app).get("/").json() == {"message": "Tomato"}

            def test_sync_again(client):
                assert client.get("/").json() == TestClient(app).get("/").json()
        """,
    )

    world.passes(3, "-Wdefault::DeprecationWarning")
