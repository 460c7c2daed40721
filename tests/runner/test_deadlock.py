"""A wait that nobody can end fails at once; a wait that somebody may end is left alone."""

from __future__ import annotations

import asyncio
from pathlib import Path
from textwrap import dedent

import pytest

from pytest_asgi.runner.deadlock import DeadlockWatch
from tests.plugin.world import World
from tests.promises import promise

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/task").is_dir(), reason="only Linux shows all threads of a process"
)


@pytest.fixture
def world(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    return World(pytester)


APP = """
    import asyncio
    from fastapi import FastAPI, WebSocket

    app = FastAPI()

    @app.get("/hang")
    async def hang():
        await asyncio.Event().wait()

    @app.get("/sync")
    def sync():
        return "done"

    @app.websocket("/listening")
    async def listen(socket: WebSocket):
        await socket.accept()
        await socket.receive_text()
"""


HANGING = {
    "in a sync test": """
        def test_a(client):
            client.get("/hang")
    """,
    "in an async test": """
        async def test_a(client):
            await client.get("/hang")
    """,
    "of a synchronous client in an async test": """
        from pytest_asgi import TestClient

        async def test_a(app):
            TestClient(app).get("/hang")
    """,
    "beside a thread that has nothing to do": """
        def test_a(client):
            assert client.get("/sync").json() == "done"
            client.get("/hang")
    """,
    "beside a thread of the loop's own pool": """
        import asyncio

        async def test_a(client):
            await asyncio.to_thread(int)
            await client.get("/hang")
    """,
    "in a task that the test awaits": """
        import asyncio

        async def test_a(client):
            await asyncio.create_task(client.get("/hang"))
    """,
}


@promise("run.deadlock")
@pytest.mark.parametrize("test", HANGING.values(), ids=HANGING)
def test_a_wait_that_nobody_can_end_fails_and_says_where(world: World, test: str) -> None:
    world.write(main=APP, test_a=test, test_b="async def test_b(client): ...")

    result = world.run()

    assert result.parseoutcomes() == {"failed": 1, "passed": 1}, result.stdout.str()
    result.stdout.fnmatch_lines(
        [
            "E *DeadlockError: The test waits for something that cannot happen any more:",
            "E *: it waits at *main.py:9 in hang, which waits at *locks.py:* in Event.wait",
        ]
    )
    result.stdout.no_fnmatch_line("*selectors.py*")


@promise("run.deadlock")
@pytest.mark.parametrize(
    "test",
    [
        "def test_a(app):\n    listen(app)",
        "async def test_a(app):\n    listen(app)",
        "@pytest.fixture\nasync def task(): ...\n\ndef test_a(app, task):\n    listen(app)",
    ],
    ids=["sync", "async", "sync, in a task"],
)
def test_a_synchronous_wait_is_told_by_its_own_line(world: World, test: str) -> None:
    listen = """
        import pytest
        from pytest_asgi import TestClient

        def listen(app):
            with TestClient(app).websocket_connect("/listening") as socket:
                socket.receive_text()
    """
    world.write(main=APP, test_a=f"{dedent(listen)}\n\n{test}")

    result = world.run()

    assert result.parseoutcomes() == {"failed": 1}, result.stdout.str()
    result.stdout.fnmatch_lines(
        [
            "E *the test: it waits at *test_a.py:7 in listen",
            "E *: it waits at *main.py:18 in listen, which waits at *",
        ]
    )


@promise("run.deadlock")
def test_a_fixture_that_waits_for_ever_fails_too(world: World) -> None:
    world.write(
        test_a="""
            import asyncio
            import pytest

            @pytest.fixture(scope="session")
            async def never():
                await asyncio.Queue().get()

            async def test_a(never): ...
        """
    )

    result = world.run()

    assert result.parseoutcomes() == {"errors": 1}, result.stdout.str()
    result.stdout.fnmatch_lines(["E *test_a.py:7 in never, which waits at * in Queue.get"])


@promise("run.deadlock")
@pytest.mark.parametrize("end", ["pass", "assert done == []"])
def test_a_test_that_catches_the_cancellation_goes_on_and_fails(world: World, end: str) -> None:
    world.write(
        test_a=f"""
            import asyncio

            async def test_a():
                done = []
                for number in range(3):
                    try:
                        await asyncio.Event().wait()
                    except asyncio.CancelledError:
                        done.append(number)
                assert done == [0, 1, 2]
                {end}

            async def test_b(): ...
        """
    )

    result = world.run()

    assert result.parseoutcomes() == {"failed": 1, "passed": 1}, result.stdout.str()
    result.stdout.fnmatch_lines(
        [
            "*DeadlockError: The test waits for something that cannot happen any more:",
            "*the test: it waits at *test_a.py:8 in test_a, which waits at *",
        ]
    )


async def test_a_task_that_refuses_to_end_is_not_told_for_ever() -> None:
    watch = DeadlockWatch(list)
    watch.begin(asyncio.current_task())

    while watch.is_on:
        assert "cannot happen" in watch.error().what

    watch.begin(asyncio.current_task())
    assert watch.is_on


PATIENT = {
    "a timer": """
        async def test_a():
            await asyncio.wait_for(asyncio.sleep(0.01), 10)
    """,
    "a thread": """
        async def test_a():
            loop, event = asyncio.get_running_loop(), asyncio.Event()
            timer = threading.Timer(0.6, lambda: loop.call_soon_threadsafe(event.set))
            timer.start()
            await event.wait()
            timer.join()
    """,
    "a thread of a pool": """
        async def test_a():
            await asyncio.to_thread(time.sleep, 0.6)
    """,
    "a signal": """
        async def test_a():
            loop, event = asyncio.get_running_loop(), asyncio.Event()
            loop.add_signal_handler(signal.SIGALRM, event.set)
            signal.setitimer(signal.ITIMER_REAL, 0.6)
            await event.wait()
            loop.remove_signal_handler(signal.SIGALRM)
    """,
    "another process": """
        async def test_a():
            process = await asyncio.create_subprocess_exec("sleep", "0.6")
            assert await process.wait() == 0
    """,
    "a socket": """
        async def test_a():
            ours, theirs = socket.socketpair()
            ours.setblocking(False)
            process = subprocess.Popen(["sh", "-c", "sleep 0.6; echo done"], stdout=theirs)
            assert await asyncio.get_running_loop().sock_recv(ours, 4) == b"done"
            process.wait()
            ours.close()
            theirs.close()
    """,
}
IMPORTS = "import asyncio, signal, socket, subprocess, threading, time\n"


@promise("run.deadlock")
@pytest.mark.parametrize("test", PATIENT.values(), ids=PATIENT)
def test_a_wait_that_somebody_may_end_is_left_alone(world: World, test: str) -> None:
    world.write(test_a=IMPORTS + dedent(test))

    world.passes(1)


def test_another_loop_than_asyncios_own_is_left_alone(world: World) -> None:
    world.write(
        loops="""
            import asyncio

            class MyLoop(asyncio.SelectorEventLoop): ...
        """,
        test_a="""
            import asyncio
            import loops

            async def test_a():
                assert type(asyncio.get_running_loop()) is loops.MyLoop
        """,
    )

    world.passes(1, "--asgi-loop=loops:MyLoop")
