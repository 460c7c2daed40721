"""The `clock` fixture, as suites use it."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from tests.plugin.world import World
from tests.promises import promise

APP = """
    import asyncio
    from contextlib import asynccontextmanager
    from fastapi import BackgroundTasks, FastAPI, WebSocket
    from fastapi.responses import StreamingResponse

    beats, mails, tries = [], [], []

    async def beat():
        while True:
            await asyncio.sleep(60)
            beats.append("beat")

    @asynccontextmanager
    async def lifespan(app):
        task = asyncio.create_task(beat())
        yield
        task.cancel()

    app = FastAPI(lifespan=lifespan)

    @app.get("/events")
    async def events():
        async def send():
            for number in range(3):
                yield f"data: {number}\\n\\n"
                await asyncio.sleep(30)
        return StreamingResponse(send(), media_type="text/event-stream")

    @app.websocket("/live")
    async def live(socket: WebSocket):
        await socket.accept()
        while True:
            try:
                async with asyncio.timeout(25):
                    await socket.send_text((await socket.receive_text()).upper())
            except TimeoutError:
                await socket.send_text("ping")

    @app.post("/mail")
    async def mail(background: BackgroundTasks):
        async def send():
            await asyncio.sleep(300)
            mails.append("sent")
        background.add_task(send)

    @app.get("/retry")
    async def retry():
        for number in range(6):
            tries.append(number)
            await asyncio.sleep(2 ** number)
        return len(tries)

    @app.get("/in-a-thread")
    def in_a_thread():
        return "done"
"""

TESTS = """
    import asyncio
    import datetime
    import time
    import pytest
    import main

    @pytest.fixture
    async def limited():
        async with asyncio.timeout(1000):
            yield

    async def test_a_stream_is_read_as_it_is_sent(clock, client):
        times = []
        async with client.sse("/events") as events:
            async for event in events:
                times.append((event.data, clock.elapsed))
        assert times == [("0", 0), ("1", 30), ("2", 60)]

    async def test_a_heartbeat_comes_when_nothing_was_said(clock, client):
        async with client.websocket("/live") as live:
            await live.send_text("hello")
            assert await live.receive_text() == "HELLO"
            assert clock.elapsed == 0
            assert await live.receive_text() == "ping"
            assert clock.elapsed == 25

    async def test_a_background_task_is_waited_for(clock, client):
        assert (await client.post("/mail")).status_code == 200
        assert main.mails == ["sent"]
        assert clock.elapsed == 300

    async def test_a_retry_backs_off(clock, client):
        answer = asyncio.create_task(client.get("/retry"))
        await clock.advance(6.5)
        assert main.tries == [0, 1, 2]
        assert (await answer).json() == 6
        assert clock.elapsed == 63

    async def test_a_task_of_the_lifespan_is_older_than_the_clock(client, clock):
        main.beats.clear()
        await clock.advance(180)
        assert len(main.beats) == 3

    async def test_a_limit_around_the_clock_is_on_it_too(limited, clock, client):
        await asyncio.sleep(900)
        assert (await client.get("/in-a-thread")).json() == "done"

    @pytest.mark.xfail(raises=TimeoutError, strict=True)
    async def test_and_ends_the_test(limited, clock):
        await asyncio.sleep(1001)

    def test_a_synchronous_test(clock, client):
        main.tries.clear()
        assert client.get("/retry").json() == 6
        assert clock.elapsed == 63
        clock.advance(1)
        assert clock.elapsed == 64

    async def test_wall_time(clock):
        before, day = time.time(), datetime.datetime.now()
        real = time.perf_counter()
        await clock.advance(24 * 3600)
        passed = time.time() - before
        assert clock.moves_wall_time == (passed >= 24 * 3600)
        if clock.moves_wall_time:
            assert passed == 24 * 3600
            assert datetime.datetime.now() - day == datetime.timedelta(days=1)

    async def test_afterwards_all_is_real():
        wall, real = time.time(), time.perf_counter()
        await asyncio.sleep(0.02)
        assert time.perf_counter() - real >= 0.01
        assert time.time() > wall

    async def test_fails(clock):
        await asyncio.sleep(7)
        assert clock == None
"""


@promise("clock.jumps", "clock.wall-time")
def test_what_apps_do_with_time(world: World) -> None:
    assert importlib.util.find_spec("time_machine") is not None
    world.write(main=APP, test_a=TESTS)

    result = world.run("--asgi-timeout=60")

    result.assert_outcomes(passed=9, xfailed=1, failed=1)
    result.stdout.fnmatch_lines(["*assert <Clock: 7 s have passed, wall time moved too> == None"])
    result.stdout.no_fnmatch_line("*time-machine is not installed*")


@promise("clock.wall-time")
def test_without_time_machine_wall_time_is_real_and_a_failure_says_so(world: World) -> None:
    world.write(
        conftest="""
            import importlib.util

            find = importlib.util.find_spec
            importlib.util.find_spec = lambda name: None if name == "time_machine" else find(name)
        """,
        main=APP,
        test_a=TESTS,
    )

    result = world.run("-k", "wall_time or test_fails")

    result.assert_outcomes(passed=1, failed=1, deselected=9)
    result.stdout.fnmatch_lines(
        [
            "*Clock: 7 s have passed, wall time real: time-machine is not installed*",
            "*Captured clock setup*",
            "*told the real time*pip install 'pytest-asgi?clock?'*",
        ]
    )


@promise("clock.alone")
def test_a_test_with_the_clock_runs_alone(world: World) -> None:
    world.write(
        test_a="""
            import asyncio
            import pytest

            running = []

            @pytest.fixture
            async def alone():
                running.append(1)
                await asyncio.sleep(0)
                yield lambda: len(running) == 1
                running.pop()

            async def test_a(alone, clock):
                await asyncio.sleep(1e6)
                assert alone()

            @pytest.mark.parametrize("number", range(3))
            async def test_others(alone, number):
                await asyncio.sleep(0.01)

            async def test_b(alone, clock):
                await clock.advance(1e6)
                assert alone()
        """
    )

    result = world.run("--asgi-concurrency=5", "--asgi-explain")

    result.assert_outcomes(passed=5)
    result.stdout.fnmatch_lines(["*it uses clock, which changes or watches the whole*"])


def test_two_at_the_same_time_cannot_ask_for_it_by_name(world: World) -> None:
    world.write(
        test_a="""
            import asyncio
            import pytest

            both = asyncio.Barrier(2)

            @pytest.mark.parametrize("number", range(2))
            async def test_a(number, request):
                await both.wait()
                request.getfixturevalue("clock")
                await both.wait()
        """
    )

    result = world.run("--asgi-concurrency=2", "--asgi-timeout=20")

    assert result.ret == 1
    result.stdout.fnmatch_lines(["*ClockError: Two tests that run at the same time*"])


def test_a_loop_that_shows_nothing_is_refused(world: World) -> None:
    pytest.importorskip("uvloop")
    world.write(test_a="async def test_a(clock): pass")

    result = world.run("--asgi-loop=uvloop")

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["*ClockError: The time of a uvloop.Loop cannot be controlled.", "*asgi_loop =*asyncio*"]
    )


def test_a_test_on_trio_or_of_another_runner_is_refused(world: World) -> None:
    world.write(
        test_a="""
            import pytest

            UVLOOP = ("asyncio", {"use_uvloop": True})

            @pytest.mark.parametrize("anyio_backend", ["trio", UVLOOP], ids=["trio", "uvloop"])
            @pytest.mark.anyio
            async def test_a(anyio_backend, clock):
                pass
        """
    )

    result = world.run(plugins=("anyio.pytest_plugin",))

    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(
        [
            "*ClockError: The clock does not control the time of test_a[[]trio]*",
            "*autojump_clock*",
            "*ClockError: The clock does not control the time of test_a[[]uvloop]*",
            "*Another plugin runs this test*",
        ]
    )


@pytest.mark.skipif(
    not Path("/proc/self/task").is_dir(), reason="only Linux shows all threads of a process"
)
def test_a_wait_that_nobody_can_end_fails_at_once(world: World) -> None:
    world.write(
        test_a="""
            import asyncio

            async def test_a(clock):
                await clock.advance(60)
                await asyncio.Event().wait()
        """
    )

    result = world.run()

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*DeadlockError: The test waits for something that cannot*"])


def test_the_time_limit_of_a_test_is_real(world: World) -> None:
    world.write(
        test_a="""
            import asyncio

            async def beat():
                while True:
                    await asyncio.sleep(1)

            async def test_a(clock):
                task = asyncio.create_task(beat())
                await asyncio.sleep(1e5)
                await asyncio.Event().wait()
        """
    )

    result = world.run("--asgi-timeout=2")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*HungTestError: The body of *test_a took longer than 2 seconds*"]
    )
