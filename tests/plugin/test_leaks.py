"""What tests and fixtures leave behind is named, blamed on whoever did it, and ended."""

from __future__ import annotations

import re
from textwrap import dedent

import pytest

from tests.plugin.world import World
from tests.promises import promise

_KINDS = """
    import asyncio
    import socket
    import threading

    stop = threading.Event()
    processes = []

    async def wait():
        await asyncio.sleep(1000)

    async def hang_up(reader, writer):
        writer.close()

    async def test_task():
        asyncio.create_task(wait())  # begins here

    async def test_group():
        async def parent():
            async with asyncio.TaskGroup() as group:
                group.create_task(wait())
        asyncio.create_task(parent())  # begins here
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def test_generator():
        async def numbers():
            with threading.Lock():
                yield 1
        async for _ in numbers():  # begins here
            break

    async def test_thread():
        threading.Thread(target=stop.wait, daemon=True, name="waiter").start()  # begins here

    def test_socket():
        socket.socket()  # begins here

    async def test_server():
        await asyncio.start_server(hang_up, "127.0.0.1", 0)  # begins here

    async def test_connection():
        server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        await asyncio.open_connection(*address)  # begins here
        server.close()

    async def test_process():
        process = await asyncio.create_subprocess_exec("sleep", "1000")  # begins here
        processes.append(process)

    async def test_end():
        stop.set()
        processes[0].kill()
        await processes[0].wait()
"""


def _named(result: pytest.RunResult) -> list[str]:
    """Return the lines that name something that was left, without the lines that it waits at."""
    kinds = "task|stream|generator|client|socket|process|thread|state"
    lines = re.findall(rf"^ +((?:{kinds}) .+ at .+)$", result.stdout.str(), re.MULTILINE)
    return [re.sub(r"127\.0\.0\.1:\d+", "ADDRESS", line.partition(";")[0]) for line in lines]


def _beginnings(text: str) -> list[str]:
    """Return the places that a program marks, with the names of their tests."""
    places, function = [], ""
    for number, line in enumerate(dedent(text).split("\n"), 1):
        test = re.match(r"(?:async )?def (test_\w+)", line)
        function = test[1] if test else function
        if "# begins here" in line:
            places.append(f"test_a.py:{number} in {function}")
    return places


@promise("leaks.named")
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_each_kind_is_named_with_the_line_that_began_it(world: World, loop: str) -> None:
    world.write(test_a=_KINDS)

    result = world.run("--asgi-leaks=error", f"--asgi-loop={loop}", "-Wignore::ResourceWarning")

    named = [
        "task wait, started",
        "task parent, started",
        "generator numbers, begun",
        "thread waiter, started",
        "socket socket, opened",
        "socket ADDRESS, opened",
        "socket ADDRESS, opened",
        "process sleep 1000, started",
    ]
    places = _beginnings(_KINDS)
    assert _named(result) == [f"{name} at {at}" for name, at in zip(named, places, strict=True)]
    assert result.parseoutcomes() == {"passed": 9, "errors": 8}
    text = result.stdout.str()
    assert "LeakError: test_a.py::test_task left behind:" in text
    assert re.search(r"in test_task; it waits at test_a\.py:\d+ in wait$", text, re.MULTILINE)
    assert '@pytest.mark.asgi(allow_leaks=["task:wait"])' in text


@promise("leaks.named")
def test_what_an_app_leaves_in_a_test_is_the_tests(world: World) -> None:
    world.write(
        main="""
            import asyncio
            from contextlib import asynccontextmanager
            from starlette.applications import Starlette
            from starlette.responses import PlainTextResponse, StreamingResponse
            from starlette.routing import Route

            kept = []

            async def wait():
                await asyncio.sleep(1000)

            async def fire_and_forget(request):
                kept.append(asyncio.create_task(wait()))
                request.app.state.requests = len(kept)
                request.state.user = "ada"
                return PlainTextResponse("done")

            async def parts():
                yield b"one"
                await wait()

            async def endless(request):
                return StreamingResponse(parts())

            @asynccontextmanager
            async def lifespan(app):
                app.state.started = True
                worker = asyncio.create_task(wait())
                yield
                worker.cancel()

            routes = [Route("/fire", fire_and_forget), Route("/endless", endless)]
            app = Starlette(routes=routes, lifespan=lifespan)
        """,
        test_a="""
            from main import app
            from pytest_asgi import AsyncClient, TestClient

            open_streams = []

            async def test_request(client):
                await client.get("/fire")

            def test_sync():
                TestClient(app).get("/fire")

            async def test_stream():
                stream = AsyncClient(app=app).stream("GET", "/endless")
                open_streams.append(stream)
                await stream.__aenter__()

            async def test_state(client, app):
                app.state.started = False
                app.state.token = "secret"

            async def test_state_is_back(client, app):
                assert app.state.started
                assert not hasattr(app.state, "token")
        """,
    )

    result = world.run("--asgi-leaks=error", "-pno:randomly")

    assert _named(result) == [
        "task wait, started at main.py:14 in fire_and_forget",
        "task wait, started at main.py:14 in fire_and_forget",
        "stream of the app, opened at test_a.py:16 in test_stream",
        "state app.state.token, set at test_a.py:20 in test_state",
        "state app.state.started, set at test_a.py:19 in test_state",
    ]
    assert result.parseoutcomes() == {"passed": 5, "errors": 4}


@promise("leaks.on-purpose")
def test_what_is_kept_on_purpose_or_ends_by_itself_is_no_leak(world: World) -> None:
    world.write(
        test_a="""
            import asyncio
            import socket
            import threading
            from concurrent.futures import ThreadPoolExecutor

            import anyio
            import anyio.to_thread
            import pytest
            from starlette.applications import Starlette

            pool = ThreadPoolExecutor(1)
            kept = []

            async def wait():
                await asyncio.sleep(1000)

            async def hang_up(reader, writer):
                writer.close()

            async def test_cancelled():
                task = asyncio.create_task(wait())
                await asyncio.sleep(0)
                task.cancel()

            async def test_soon_over():
                asyncio.create_task(asyncio.sleep(0.01))

            async def test_tidies_up():
                async def tidy():
                    try:
                        await wait()
                    finally:
                        await asyncio.sleep(0.02)
                task = asyncio.create_task(tidy())
                await asyncio.sleep(0)
                task.cancel()

            async def test_pools_of_threads():
                loop = asyncio.get_running_loop()
                await asyncio.to_thread(int)
                await anyio.to_thread.run_sync(int)
                await loop.run_in_executor(pool, int)

            async def test_a_thread_that_ends():
                stop = threading.Event()
                threading.Thread(target=stop.wait).start()
                stop.set()

            async def test_an_object_that_is_kept():
                kept.append(socket.socket())

            async def test_a_generator_without_a_block():
                async def numbers():
                    yield 1
                    yield 2
                async for _ in numbers():
                    break

            async def test_a_generator_that_is_closed():
                async def numbers():
                    try:
                        yield 1
                    finally:
                        await asyncio.sleep(0)
                generator = numbers()
                await anext(generator)
                await generator.aclose()

            async def test_streams_that_are_closed():
                server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
                _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
                writer.close()
                server.close()

            async def test_a_group():
                async with anyio.create_task_group() as group:
                    group.start_soon(asyncio.sleep, 0)

            @pytest.fixture
            def app():
                app = Starlette()
                app.state.name = "of this test only"
                return app

            async def test_an_app_of_its_own(app, client):
                app.state.other = 1

            @pytest.fixture
            async def worker():
                task = asyncio.create_task(wait())
                yield
                task.cancel()

            async def test_a_fixture_that_ends_its_task(worker):
                pass

            async def test_the_end():
                kept.pop().close()
        """,
    )

    result = world.run_in_process("--asgi-leaks=error", "-pno:randomly")

    assert result.parseoutcomes() == {"passed": 13}


@promise("leaks.blamed")
def test_what_a_wider_fixture_leaves_is_the_fixtures(world: World) -> None:
    world.write(
        test_a="""
            import asyncio
            import pytest

            async def wait():
                await asyncio.sleep(1000)

            @pytest.fixture(scope="module")
            async def tidy():
                task = asyncio.create_task(wait())
                yield task
                task.cancel()

            @pytest.fixture(scope="module")
            async def untidy():
                return asyncio.create_task(wait())

            @pytest.fixture(scope="module")
            async def at_its_end():
                yield
                asyncio.create_task(wait())

            async def test_first(tidy, untidy, at_its_end):
                pass

            async def test_second(tidy, untidy):
                assert not tidy.done()
                assert not untidy.done()
        """,
        test_b="""
            import asyncio

            async def test_nothing_is_left():
                assert asyncio.all_tasks() == {asyncio.current_task()}
        """,
    )

    result = world.run_in_process("--asgi-leaks=error")

    fixtures = re.findall(r"LeakError: (.+) left behind", result.stdout.str())
    assert sorted(fixtures) == ["The fixture 'at_its_end'", "The fixture 'untidy'"]
    assert result.parseoutcomes() == {"passed": 3, "errors": 1}


@promise("leaks.blamed")
def test_what_is_noticed_later_is_blamed_on_the_test_that_did_it(world: World) -> None:
    world.write(
        test_a="""
            import asyncio
            import socket

            kept = []

            async def wait():
                await asyncio.sleep(1000)

            async def test_timer():
                loop = asyncio.get_running_loop()
                kept.append(asyncio.Event())
                async def spawn_later():
                    await asyncio.shield(kept[0].wait())
                loop.call_later(0.005, lambda: asyncio.create_task(wait()))

            async def test_while_it_fires():
                await asyncio.sleep(0.02)

            async def test_generator():
                async def numbers():
                    try:
                        yield 1
                    finally:
                        pass
                kept.append(numbers())
                await anext(kept[-1])

            async def test_socket():
                kept.append(socket.socket())

            async def test_that_drops_both():
                kept.clear()

            async def test_innocent():
                assert asyncio.all_tasks() == {asyncio.current_task()}
        """,
    )

    result = world.run("--asgi-leaks=error", "-pno:randomly", "-Wignore::ResourceWarning")

    told = re.findall(r"(\w+), which is over, left behind:\n +\n +(\w+)", result.stdout.str())
    assert told == [
        ("test_timer", "task"),
        ("test_generator", "generator"),
        ("test_socket", "socket"),
    ]
    assert result.parseoutcomes() == {"passed": 6, "errors": 2}


@promise("leaks.ended")
def test_tasks_are_ended_so_that_the_next_test_is_clean(world: World) -> None:
    world.write(
        test_a="""
            import asyncio
            import pytest

            ended = []

            async def stubborn():
                try:
                    await asyncio.sleep(1000)
                except asyncio.CancelledError:
                    await asyncio.sleep(0)
                    ended.append("stubborn")

            async def failing():
                try:
                    await asyncio.sleep(1000)
                finally:
                    ended.append("failing")
                    raise LookupError("at its end")

            async def test_two_tasks():
                asyncio.create_task(stubborn())
                asyncio.create_task(failing())
                await asyncio.sleep(0)

            async def test_clean():
                assert asyncio.all_tasks() == {asyncio.current_task()}
                assert sorted(ended) == ["failing", "stubborn"]

            async def test_that_fails():
                asyncio.create_task(stubborn())
                await asyncio.sleep(0)
                assert ended == []

            async def test_that_is_skipped():
                asyncio.create_task(stubborn())
                await asyncio.sleep(0)
                pytest.skip("for now")

            async def test_clean_again():
                assert asyncio.all_tasks() == {asyncio.current_task()}
        """,
    )

    result = world.run_in_process("--asgi-leaks=error", "-pno:randomly")

    assert result.parseoutcomes() == {"passed": 3, "errors": 1, "failed": 1, "skipped": 1}
    result.stdout.fnmatch_lines(["*cancelled, it raised LookupError('at its end')"])


@promise("leaks.allowed")
def test_what_is_allowed_may_stay_and_is_not_touched(world: World) -> None:
    world.configure("""
        asgi_leaks = error
        asgi_allow_leaks = task:*heartbeat thread
    """)
    world.write(
        test_a="""
            import asyncio
            import threading
            import pytest

            stop = threading.Event()
            tasks = []

            async def heartbeat():
                await asyncio.sleep(1000)

            async def other():
                await asyncio.sleep(1000)

            async def test_by_the_configuration():
                tasks.append(asyncio.create_task(heartbeat()))
                threading.Thread(target=stop.wait, daemon=True).start()

            @pytest.mark.asgi(allow_leaks=["task:o*", "socket"])
            async def test_by_the_mark_as_well():
                tasks.append(asyncio.create_task(heartbeat()))
                tasks.append(asyncio.create_task(other()))

            @pytest.mark.asgi(allow_leaks="task:mine")
            async def test_by_the_name_of_the_task():
                tasks.append(asyncio.create_task(other(), name="mine"))

            @pytest.mark.asgi(leaks="off")
            async def test_that_is_not_watched():
                tasks.append(asyncio.create_task(other()))

            async def test_they_go_on():
                assert not any(task.done() for task in tasks)
                stop.set()

            async def test_not_allowed():
                tasks.append(asyncio.create_task(other()))

            @pytest.mark.asgi(allow_leaks=["tasks"])
            async def test_wrong():
                pass
        """,
    )

    result = world.run_in_process("-pno:randomly")

    assert result.parseoutcomes() == {"passed": 6, "errors": 2}
    result.stdout.fnmatch_lines(["*SettingsError: *allow_leaks: 'tasks' is not valid*"])
    assert _named(result) == ["task other, started at test_a.py:37 in test_not_allowed"]


@promise("leaks.named")
def test_a_warning_is_in_the_summary_also_of_workers(world: World) -> None:
    world.write(
        test_a="""
            import asyncio

            async def test_forgets():
                asyncio.create_task(asyncio.sleep(1000))

            async def test_well():
                pass
        """,
    )

    result = world.run("--asgi-leaks=warn", "-n1", plugins=("xdist",))

    assert result.parseoutcomes() == {"passed": 2}
    result.stdout.fnmatch_lines(
        [
            "*= left behind =*",
            "test_a.py::test_forgets: task sleep, started at test_a.py:5 in test_forgets; *",
            "asgi_leaks = off hides this, error lets the tests fail.",
        ]
    )


@promise("leaks.off")
def test_without_the_option_nothing_is_watched_and_nothing_ended(world: World) -> None:
    world.write(
        test_a="""
            import asyncio
            import sys
            import threading

            async def test_forgets():
                test_forgets.task = asyncio.create_task(asyncio.sleep(1000))

            async def test_it_goes_on():
                assert not test_forgets.task.done()
                assert "pytest_asgi.plugin.leaks" not in sys.modules
                assert not hasattr(threading.Thread.start, "__wrapped__")
        """,
    )

    world.passes(2)


@promise("leaks.named")
def test_a_client_with_open_connections_that_nobody_has_is_named(world: World) -> None:
    program = """
        import asyncio
        import LIBRARY
        import pytest

        client = LIBRARY.AsyncClient()

        async def answer(reader, writer):
            await reader.readuntil(b"\\r\\n\\r\\n")
            writer.write(b"HTTP/1.1 204 No Content\\r\\n\\r\\n")
            await reader.read()
            writer.close()

        @pytest.fixture(scope="module")
        async def url():
            server = await asyncio.start_server(answer, "127.0.0.1", 0)
            yield "http://%s:%s" % server.sockets[0].getsockname()
            await client.aclose()
            server.close()

        async def test_of_the_module(url):
            await client.get(url)

        async def test_closed(url):
            async with LIBRARY.AsyncClient() as own:
                await own.get(url)

        async def test_never_used(url):
            LIBRARY.AsyncClient()

        async def test_lost(url):
            await LIBRARY.AsyncClient().get(url)
    """
    world.write(
        test_a=program.replace("LIBRARY", "httpx2"), test_b=program.replace("LIBRARY", "httpx")
    )

    result = world.run("--asgi-leaks=error", "-Wignore::ResourceWarning")

    assert _named(result) == [
        "client httpx2.AsyncClient, made at test_a.py:32 in test_lost",
        "client httpx.AsyncClient, made at test_b.py:32 in test_lost",
    ]
    assert result.parseoutcomes() == {"passed": 8, "errors": 2}
