"""The lifespan of the app runs once, for as long as the `app` fixture lives."""

from __future__ import annotations

import pytest

from tests.plugin.world import World
from tests.promises import promise

# An app that writes down what happens to it.
DIARY_APP = """
    class App:
        def __init__(self, name="app"):
            self.name = name

        async def __call__(self, scope, receive, send):
            if scope["type"] == "lifespan":
                await receive()
                note(f"{self.name} starts")
                scope["state"]["name"] = self.name
                await send({"type": "lifespan.startup.complete"})
                await receive()
                note(f"{self.name} stops")
                await send({"type": "lifespan.shutdown.complete"})
            else:
                body = scope["state"]["name"].encode()
                await send({"type": "http.response.start", "status": 200, "headers": []})
                await send({"type": "http.response.body", "body": body})

    def note(line):
        with open("diary.txt", "a") as file:
            print(line, file=file)
"""


def diary(world: World) -> list[str]:
    return (world.pytester.path / "diary.txt").read_text().splitlines()


@promise("client.lifespan")
def test_a_found_app_starts_at_its_first_use_and_stops_once_at_the_end(world: World) -> None:
    world.write(
        diary=DIARY_APP,
        main="from diary import App\napp = App()",
        test_a="""
            from diary import note

            async def test_without():
                note("no client")

            async def test_async(client):
                assert (await client.get("/")).text == "app"
                note("async")
        """,
        test_b="""
            from diary import note

            class TestClass:
                def test_sync(self, client):
                    assert client.get("/").text == "app"
                    note("sync")

            async def test_again(client, asgi_client):
                assert (await client.get("/")).text == "app"
                note("again")
        """,
    )

    world.run_in_process().assert_outcomes(passed=4)

    assert diary(world) == ["no client", "app starts", "async", "sync", "again", "app stops"]


@promise("client.lifespan")
@pytest.mark.parametrize("kind", ["def", "async def"])
@pytest.mark.parametrize(
    ("scope", "starts"), [("session", 1), ("module", 2), ("class", 3), ("function", 4)]
)
def test_the_lifespan_lives_within_the_app_fixture(
    world: World, scope: str, starts: int, kind: str
) -> None:
    world.write(
        diary=DIARY_APP,
        conftest=f"""
            import pytest
            from diary import App, note

            @pytest.fixture(scope="{scope}")
            {kind} app():
                note("fixture begins")
                yield App()
                note("fixture ends")
        """,
        test_a="""
            class TestClass:
                async def test_async(self, client): assert (await client.get("/")).text == "app"
                def test_sync(self, client): assert client.get("/").text == "app"
        """,
        test_b="""
            async def test_async(client): assert (await client.get("/")).text == "app"
            def test_sync(client): assert client.get("/").text == "app"
        """,
    )

    world.run_in_process().assert_outcomes(passed=4)

    assert diary(world) == ["fixture begins", "app starts", "app stops", "fixture ends"] * starts


@promise("client.lifespan")
def test_an_app_fixture_that_returns_one_module_level_app_per_test_restarts_it(
    world: World,
) -> None:
    world.write(
        diary=DIARY_APP,
        main="from diary import App\napp = App()",
        conftest="""
            import pytest
            from main import app as the_app

            @pytest.fixture
            def app():
                return the_app
        """,
        test_a="""
            async def test_a(client): pass
            async def test_b(client): pass
        """,
    )

    world.run_in_process().assert_outcomes(passed=2)

    assert diary(world) == ["app starts", "app stops"] * 2


@promise("client.lifespan")
@pytest.mark.parametrize("scope", ["session", "module"])
def test_each_parameter_of_the_app_fixture_has_its_own_lifespan(world: World, scope: str) -> None:
    world.write(
        diary=DIARY_APP,
        conftest=f"""
            import pytest
            from diary import App, note

            @pytest.fixture(scope="{scope}", params=["a", "b"])
            def app(request):
                yield App(request.param)
                note(f"{{request.param}} ends")
        """,
        test_a="""
            async def test_async(client, app): assert (await client.get("/")).text == app.name
            def test_sync(client, app): assert client.get("/").text == app.name
        """,
    )

    world.run_in_process().assert_outcomes(passed=4)

    assert diary(world) == [
        *("a starts", "a stops", "a ends"),
        *("b starts", "b stops", "b ends"),
    ]


@promise("client.lifespan", "settings.mark")
def test_lifespan_off_starts_nothing(world: World) -> None:
    world.write(
        diary=DIARY_APP + "    note('imported')\n",
        main="from diary import App\napp = App()",
        test_a="""
            async def test_async(client): pass
            def test_sync(client): pass
        """,
    )

    world.run_in_process("--asgi-lifespan=off").assert_outcomes(passed=2)

    assert diary(world) == ["imported"]


@promise("client.lifespan")
def test_what_a_fastapi_lifespan_opens_is_there_in_every_test(world: World) -> None:
    world.write(
        main="""
            import asyncio
            from contextlib import asynccontextmanager
            from fastapi import FastAPI, Request

            @asynccontextmanager
            async def lifespan(app):
                queue = asyncio.Queue()

                async def count():
                    while True:
                        answer = await queue.get()
                        answer.set_result(asyncio.get_running_loop())

                async with asyncio.TaskGroup() as group:
                    worker = group.create_task(count())
                    yield {"queue": queue}
                    worker.cancel()
                app.stopped = True

            app = FastAPI(lifespan=lifespan)

            @app.get("/")
            async def root(request: Request):
                answer = asyncio.Future()
                await request.state.queue.put(answer)
                assert await answer is asyncio.get_running_loop()
                return 1
        """,
        conftest="""
            def pytest_unconfigure():
                import main
                assert main.app.stopped
        """,
        test_a="""
            import asyncio

            async def test_async(client): assert (await client.get("/")).json() == 1
            def test_sync(client): assert client.get("/").json() == 1
            async def test_together(client):
                responses = await asyncio.gather(*(client.get("/") for _ in range(3)))
                assert [response.json() for response in responses] == [1, 1, 1]
        """,
    )

    result = world.run()

    assert result.ret == 0, result.stdout.str() + result.stderr.str()
    result.assert_outcomes(passed=3)


FAILING = """
    from contextlib import asynccontextmanager
    from fastapi import FastAPI

    attempts = []

    class NoDatabase(Exception):
        pass

    @asynccontextmanager
    async def lifespan(app):
        attempts.append(1)
        {before}
        yield
        {after}

    app = FastAPI(lifespan=lifespan)
"""


@promise("client.lifespan")
def test_a_start_up_that_fails_is_the_apps_own_exception_in_each_test(world: World) -> None:
    world.write(
        main=FAILING.format(before="raise NoDatabase('nobody listens')", after=""),
        test_a="""
            async def test_async(client): raise AssertionError("not reached")
            def test_sync(client): raise AssertionError("not reached")
            async def test_last(client): raise AssertionError("not reached")

            def test_tried_once():
                from main import attempts
                assert attempts == [1]
        """,
    )

    result = world.run_in_process()

    result.assert_outcomes(errors=3, passed=1)
    text = result.stdout.str()
    assert text.count("main.NoDatabase: nobody listens") >= 3
    assert "raise NoDatabase('nobody listens')" in text
    assert "not reached" not in text.replace('raise AssertionError("not reached")', "")


@promise("client.lifespan")
def test_a_shut_down_that_fails_is_reported_once(world: World) -> None:
    world.write(
        main=FAILING.format(before="", after="raise NoDatabase('gone')"),
        test_a="""
            async def test_a(client): pass
            async def test_b(client): pass
        """,
    )

    result = world.run_in_process()

    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*ERROR at teardown of test_b*", "E *main.NoDatabase: gone"])


@promise("client.lifespan")
def test_an_app_without_a_lifespan_is_just_used(world: World) -> None:
    world.write(
        main="""
            async def app(scope, receive, send):
                assert scope["type"] == "http"
                await send({"type": "http.response.start", "status": 204, "headers": []})
                await send({"type": "http.response.body"})
        """,
        test_a="""
            async def test_async(client): assert (await client.get("/")).status_code == 204
            def test_sync(client): assert client.get("/").status_code == 204
        """,
    )

    world.run_in_process().assert_outcomes(passed=2)


VARIABLES_APP = """
    from contextlib import asynccontextmanager
    from contextvars import ContextVar

    from fastapi import FastAPI

    pool = ContextVar("pool", default="none")

    @asynccontextmanager
    async def live(app):
        pool.set("the pool")
        yield

    app = FastAPI(lifespan=live)

    @app.get("/")
    async def root():
        return pool.get()
"""


@promise("client.lifespan-variables")
def test_context_variables_of_the_lifespan_are_seen_on_request(world: World) -> None:
    world.write(
        main=VARIABLES_APP,
        test_a="""
            import pytest
            from main import pool

            async def test_not_seen(client):
                assert (await client.get("/")).json() == "none"

            @pytest.mark.asgi(lifespan="variables")
            async def test_seen(client):
                assert (await client.get("/")).json() == pool.get() == "the pool"
                pool.set("of the test")

            @pytest.mark.asgi(lifespan="variables")
            async def test_seen_again(client):
                assert (await client.get("/")).json() == "the pool"

            async def test_not_seen_after_it(client):
                assert (await client.get("/")).json() == "none"
        """,
    )

    world.run_in_process().assert_outcomes(passed=4)


@promise("client.lifespan-advice")
def test_an_app_that_fails_because_nobody_started_it_is_explained(world: World) -> None:
    world.write(
        main="""
            from contextlib import asynccontextmanager

            from fastapi import FastAPI

            models = {}

            @asynccontextmanager
            async def live(app):
                models["answer"] = 42
                yield

            app = FastAPI(lifespan=live)

            @app.get("/")
            async def root():
                return models["answer"]
        """,
        test_a="""
            import pytest
            from main import app
            from pytest_asgi import AsyncClient, TestClient

            async def test_started(client):
                assert (await client.get("/")).json() == 42

            def test_started_too(client):
                assert client.get("/").json() == 42
        """,
        test_b="""
            import main
            import pytest
            from pytest_asgi import AsyncClient, TestClient

            @pytest.fixture(autouse=True)
            def no_models():
                main.models.clear()

            async def test_asynchronous():
                await AsyncClient(app=main.app).get("/")

            def test_synchronous():
                TestClient(main.app).get("/")

            @pytest.mark.asgi(lifespan="off")
            def test_left_out(client):
                client.get("/")
        """,
    )

    result = world.run("-Wdefault")

    result.assert_outcomes(passed=2, failed=3, warnings=2)
    result.stdout.fnmatch_lines_random(
        [
            "*test_b.py:11: AsgiWarning: The app has a lifespan, and this client did not run it*",
            "*Open the client: async with AsyncClient(app=app) as client.",
            "*test_b.py:14: AsgiWarning: The app has a lifespan, and this client did not run it*",
            "*Open the client: with TestClient(app) as client.",
        ]
    )
