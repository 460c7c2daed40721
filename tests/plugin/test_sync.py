"""Synchronous tests and fixtures beside async ones."""

from __future__ import annotations

import pytest

from tests.plugin.world import World
from tests.promises import promise


@promise("sync.asyncio-run")
def test_sync_fixtures_and_tests_may_call_asyncio_run_anywhere(world: World) -> None:
    world.write(
        test_a="""
            import asyncio
            import pytest

            async def answer():
                await asyncio.sleep(0)
                return 42

            @pytest.fixture(scope="session")
            def of_session():
                return asyncio.run(answer())

            @pytest.fixture
            def around():
                value = asyncio.run(answer())
                yield value
                assert asyncio.run(answer()) == value

            @pytest.fixture
            async def asynchronous(around):
                yield around

            async def test_async(of_session, around, asynchronous):
                assert of_session == around == asynchronous == 42
                await asyncio.sleep(0)

            def test_sync_after_async(around):
                assert asyncio.run(answer()) == 42

            def test_sync_with_an_async_fixture(asynchronous):
                assert asyncio.run(answer()) == 42
                with asyncio.Runner() as runner:
                    assert runner.run(answer()) == 42
                loop = asyncio.new_event_loop()
                try:
                    assert loop.run_until_complete(answer()) == 42
                finally:
                    loop.close()

            class TestClass:
                def setup_method(self):
                    self.value = asyncio.run(answer())

                async def test_method(self, request):
                    assert request.getfixturevalue("of_session") == self.value

            async def test_in_a_thread():
                assert await asyncio.to_thread(asyncio.run, answer()) == 42

            async def test_dynamic(request):
                loop = asyncio.get_running_loop()
                assert request.getfixturevalue("around") == 42
                assert asyncio.get_running_loop() is loop

            async def test_inside_an_async_test_it_is_refused_as_ever():
                coroutine = answer()
                with pytest.raises(RuntimeError, match="cannot be called from a running"):
                    asyncio.run(coroutine)
                coroutine.close()
        """,
    )

    world.passes(7)


@promise("sync.asyncio-run", "loop.one")
def test_the_sessions_loop_survives_loops_of_the_project(world: World) -> None:
    world.write(
        test_a="""
            import asyncio
            import pytest

            loops = []

            @pytest.fixture(scope="session", autouse=True)
            async def connection():
                loops.append(asyncio.get_running_loop())
                queue = asyncio.Queue()
                yield queue
                assert asyncio.get_running_loop() is loops[0]

            async def test_first(connection):
                connection.put_nowait(1)

            def test_sets_no_loop():
                asyncio.run(asyncio.sleep(0))
                asyncio.set_event_loop(None)

            def test_makes_a_loop_and_forgets_it():
                loop = asyncio.new_event_loop()
                asyncio.set_event_loop(loop)
                loop.run_until_complete(asyncio.sleep(0))
                loop.close()

            async def test_second(connection):
                assert await connection.get() == 1
                assert asyncio.get_running_loop() is loops[0]
        """,
    )

    world.passes(4)


@promise("sync.no-loop")
def test_sync_tests_without_async_fixtures_never_enter_the_loop(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)  # it loads greenlet itself
    world.write(
        test_a="""
            import sys
            import pytest

            @pytest.fixture(scope="session", autouse=True)
            def plain():
                yield
                assert "asyncio" not in sys.modules
                assert "greenlet" not in sys.modules

            @pytest.mark.parametrize("number", [1, 2])
            def test_sync(number, tmp_path):
                assert "asyncio" not in sys.modules

            class TestClass:
                def setup_method(self):
                    pass

                def test_method(self, monkeypatch):
                    assert "greenlet" not in sys.modules
        """,
        test_b="""
            def test_other():
                pass
        """,
    )

    world.passes(4, "-pno:anyio")


@promise("sync.no-loop")
def test_beside_async_tests_they_run_where_pytest_runs_them(world: World) -> None:
    world.write(
        test_a="""
            import asyncio
            import contextvars
            import threading
            from greenlet import getcurrent
            import pytest

            async def test_async():
                await asyncio.sleep(0)

            def test_sync():
                assert getcurrent().parent is None
                assert threading.current_thread() is threading.main_thread()
                with pytest.raises(RuntimeError):
                    asyncio.get_running_loop()

            @pytest.mark.asyncio
            def test_a_mark_changes_nothing():
                assert getcurrent().parent is None

            def test_failing():
                raise LookupError
        """,
    )

    result = world.run()

    assert result.parseoutcomes() == {"passed": 3, "failed": 1}
    result.stdout.no_fnmatch_line("*pytest_asgi/*")


# --- the synchronous client ----------------------------------------------------------------------


@promise("client.test-client")
def test_worker_threads_live_from_one_request_to_the_next(world: World) -> None:
    world.write(
        main="""
            import threading
            from fastapi import FastAPI

            app = FastAPI()

            @app.get("/")
            def thread():
                return threading.get_ident()
        """,
        test_a="""
            import pytest
            from pytest_asgi import TestClient

            def test_requests(client):
                assert len({client.get("/").json() for _ in range(5)}) == 1

            def test_block(app):
                with TestClient(app) as client:
                    assert client.get("/").json() == client.get("/").json()
        """,
    )

    world.passes(2)
    world.passes(2, "--asgi-loop=uvloop")


@promise("client.test-client")
def test_an_async_test_after_a_sync_one_finds_no_task_of_ours(world: World) -> None:
    world.write(
        main="async def app(scope, receive, send): raise NotImplementedError",
        test_a="""
            import asyncio
            import pytest

            def test_sync(client):
                with pytest.raises(NotImplementedError):
                    client.get("/")

            async def test_async():
                assert asyncio.all_tasks() == {asyncio.current_task()}
        """,
    )

    world.passes(2)


def test_an_app_may_cancel_every_task_there_is(world: World) -> None:
    world.write(
        main="""
            import asyncio

            async def app(scope, receive, send):
                if scope["type"] != "http":
                    raise NotImplementedError
                for task in asyncio.all_tasks() - {asyncio.current_task()}:
                    task.cancel()
                await asyncio.sleep(0)
                await send({"type": "http.response.start", "status": 202, "headers": []})
                await send({"type": "http.response.body"})
        """,
        test_a="""
            def test_a(client):
                assert [client.get("/").status_code for _ in range(3)] == [202] * 3
        """,
    )

    world.passes(1)


def test_a_task_that_ends_the_program_ends_the_request(world: World) -> None:
    world.write(
        main="""
            import asyncio
            from fastapi import FastAPI

            app = FastAPI()
            tasks = []

            async def leave():
                raise SystemExit("enough")

            @app.get("/")
            async def hang():
                tasks.append(asyncio.create_task(leave()))
                await asyncio.Event().wait()
        """,
        test_a="""
            import pytest

            def test_a(client):
                with pytest.raises(SystemExit, match="enough"):
                    client.get("/")
        """,
    )

    world.passes(1)


@promise("client.threads")
def test_the_loop_may_be_needed_first_in_several_threads(world: World) -> None:
    world.write(
        main="""
            import asyncio
            from fastapi import FastAPI

            app = FastAPI()

            @app.get("/")
            async def loop():
                await asyncio.sleep(0)
                return id(asyncio.get_running_loop())
        """,
        test_a="""
            import asyncio
            import threading
            from concurrent.futures import ThreadPoolExecutor
            from pytest_asgi import TestClient
            from main import app

            loops = set()

            def test_first():
                client, together = TestClient(app), threading.Barrier(8)

                def get(number):
                    together.wait()
                    return client.get("/").json()

                with ThreadPoolExecutor(8) as pool:
                    loops.update(pool.map(get, range(8)))
                assert len(loops) == 1

            async def test_second():
                assert loops == {id(asyncio.get_running_loop())}
                assert TestClient(app).get("/").json() in loops
        """,
    )

    world.passes(2)
