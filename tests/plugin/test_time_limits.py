"""`asgi_timeout`: a test that takes too long is ended, torn down, and says what it did."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.plugin.world import World
from tests.promises import promise

# For worlds in which nothing but what hangs takes any time.
LIMIT = "--asgi-timeout=0.4"

LOOPS = ["asyncio", "uvloop"]


def _skip_without(loop: str) -> None:
    if loop == "uvloop":
        pytest.importorskip("uvloop")


WAITING = """
    import asyncio
    import pytest
    from fastapi import FastAPI

    paid = asyncio.Event()
    main = FastAPI()

    @main.post("/pay")
    async def pay():
        await wait_for_money()

    async def wait_for_money():
        async with asyncio.timeout(90):
            await paid.wait()

    @pytest.fixture(scope="session")
    def app():
        return main

    @pytest.fixture
    async def shop():
        yield
        await asyncio.sleep(0)
        print("<torn down>")

    async def test_warm(client):
        assert (await client.get("/")).status_code == 404

    @pytest.mark.asgi(timeout=0.4)
    async def test_pay(client, shop):
        lock = asyncio.Lock()
        await lock.acquire()
        other = asyncio.create_task(lock.acquire(), name="other")
        timer = asyncio.create_task(asyncio.sleep(90), name="timer")
        try:
            await client.post("/pay")
        finally:
            other.cancel()
            timer.cancel()

    @pytest.mark.asgi(timeout=0.4)
    def test_pay_synchronously(client):
        client.post("/pay")

    async def test_after(client):
        assert (await client.get("/")).status_code == 404
"""


@promise("hang.waits")
@pytest.mark.parametrize("loop", LOOPS)
def test_a_test_that_waits_is_cancelled_torn_down_and_says_where(world: World, loop: str) -> None:
    _skip_without(loop)
    world.write(test_a=WAITING)

    result = world.run("-s", f"--asgi-loop={loop}")

    assert result.parseoutcomes() == {"passed": 2, "failed": 2}, result.stdout.str()
    assert result.stdout.str().count("<torn down>\n") == 1
    result.stdout.fnmatch_lines(
        [
            "> *await client.post(*",
            "E *HungTestError: The body of test_a.py::test_pay took longer than 0.4 seconds:",
            "E *the test waits:",
            "E *test_a.py:37 in test_pay",
            "E *test_a.py:11 in pay",
            "E *test_a.py:15 in wait_for_money",
            "E *locks.py:* in Event.wait",
            "E *for `paid`, <asyncio.locks.Event object at * [[]unset, waiters:1[]]>",
            "E *its task 'other' waits:",
            "E *locks.py:* in Lock.acquire",
            "E *for <asyncio.locks.Lock object at * [[]locked, waiters:1[]]>",
            "E *its task 'timer' waits:",
            "E *in flight: POST /pay, no response yet",
            "E *Why: *",
            "E *Fix: *",
            "E *HungTestError: The body of test_a.py::test_pay_synchronously took longer*",
            "E *test_a.py:44 in test_pay_synchronously",
            "E *test_a.py:15 in wait_for_money",
            "E *in flight: POST /pay, no response yet",
        ]
    )
    result.stdout.no_fnmatch_line("E *site-packages*")


BUSY = """
    import asyncio
    import time
    import pytest

    @pytest.fixture(scope="module")
    async def loop():
        yield asyncio.get_running_loop()

    @pytest.fixture
    async def name(loop):
        yield "Ada"
        await asyncio.sleep(0)
        print("<torn down>")

    async def test_warm(loop): ...

    limited = pytest.mark.asgi(timeout=0.4)

    @limited
    async def test_sleeps(name):
        time.sleep(90)

    @limited
    def test_sleeps_synchronously():
        time.sleep(90)

    @limited
    async def test_calculates(name):
        while True:
            try:
                sum(range(100))
            except Exception:
                pass

    @limited
    async def test_child(name):
        async def sleep():
            time.sleep(90)
        async with asyncio.TaskGroup() as group:
            group.create_task(sleep())

    async def test_after(loop):
        await asyncio.sleep(0)
        assert asyncio.get_running_loop() is loop
"""


@promise("hang.busy")
@pytest.mark.parametrize("loop", LOOPS)
def test_a_test_that_does_not_wait_is_ended_where_it_is(world: World, loop: str) -> None:
    _skip_without(loop)
    world.write(test_a=BUSY)

    result = world.run("-s", f"--asgi-loop={loop}")

    assert result.parseoutcomes() == {"passed": 2, "failed": 4}, result.stdout.str()
    assert result.stdout.str().count("<torn down>\n") == 3
    for name, line in (("sleeps", 22), ("sleeps_synchronously", 26), ("child", 39)):
        result.stdout.fnmatch_lines(
            [
                f"E *HungTestError: The body of test_a.py::test_{name} took longer than *",
                "E *it is busy, and does not wait:",
                f"E *test_a.py:{line} in test_{name}*",
            ]
        )


@promise("hang.busy")
def test_without_a_signal_it_ends_when_python_goes_on(world: World) -> None:
    world.write(
        run="""
            import sys, threading
            import pytest

            codes = []
            run = lambda: codes.append(pytest.main(sys.argv[1:]))
            thread = threading.Thread(target=run)
            thread.start()
            thread.join()
            sys.exit(codes[0])
        """,
        test_a="""
            import time

            def test_a():
                while True:
                    time.sleep(0.01)

            async def test_b():
                while True:
                    time.sleep(0.01)

            def test_c(): ...
        """,
    )

    ran = world.pytester.run(sys.executable, "run.py", "-ppytest_asgi.plugin", LIMIT)

    assert ran.parseoutcomes() == {"failed": 2, "passed": 1}, ran.stdout.str()
    ran.stdout.fnmatch_lines(["E *HungTestError: The body of test_a.py::test_b took longer *"])


FIXTURES = """
    import asyncio
    import time
    import pytest

    @pytest.fixture
    async def slow_set_up():
        await asyncio.sleep(90)

    @pytest.fixture
    async def slow_tear_down():
        yield
        await asyncio.sleep(90)

    @pytest.fixture(scope="module")
    async def slow_module():
        await asyncio.sleep(90)

    @pytest.fixture(scope="module")
    def busy_module():
        time.sleep(90)

    async def test_set_up(slow_set_up): ...
    async def test_tear_down(slow_tear_down): ...
    async def test_module(slow_module): ...
    async def test_busy(busy_module): ...
    async def test_busy_again(busy_module): ...
    async def test_after(): ...
"""


@promise("hang.fixtures")
def test_a_fixture_that_hangs_is_ended_and_named(world: World) -> None:
    world.write(test_a=FIXTURES)

    result = world.run(LIMIT)

    assert result.parseoutcomes() == {"passed": 2, "errors": 5}, result.stdout.str()
    for test, phase, fixture in (
        ("set_up", "set-up", "test_a.py:8 in slow_set_up"),
        ("module", "set-up", "test_a.py:17 in slow_module"),
        ("busy", "set-up", "test_a.py:21 in busy_module"),
        ("tear_down", "tear-down", "test_a.py:13 in slow_tear_down"),
    ):
        result.stdout.fnmatch_lines(
            [f"E *HungTestError: The {phase} of test_a.py::test_{test} took *", f"E *{fixture}"]
        )


@promise("hang.again")
def test_a_test_that_catches_the_cancellation_is_told_again(world: World) -> None:
    world.write(
        test_a="""
            import asyncio
            import time

            async def test_once():
                try:
                    await asyncio.sleep(90)
                except asyncio.CancelledError:
                    pass

            async def test_twice():
                for _ in range(2):
                    try:
                        await asyncio.sleep(90)
                    except asyncio.CancelledError:
                        pass
                assert asyncio.current_task().cancelling()

            async def test_always():
                while True:
                    try:
                        await asyncio.sleep(90)
                    except asyncio.CancelledError:
                        pass

            def test_busy():
                try:
                    time.sleep(90)
                except BaseException:
                    pass

            async def test_after():
                assert not asyncio.current_task().cancelling()
                async with asyncio.timeout(90):
                    await asyncio.sleep(0)
        """
    )

    result = world.run(LIMIT)

    assert result.parseoutcomes() == {"failed": 4, "passed": 1}, result.stdout.str()
    for test in ("once", "twice", "always", "busy"):
        result.stdout.fnmatch_lines(
            [f"*HungTestError: The body of test_a.py::test_{test} took longer than 0.4 seconds:"]
        )
    result.stdout.fnmatch_lines(["*It has caught what should have ended it, and went on."])
    result.stderr.fnmatch_lines(["asgi: test_a.py::test_always *It is told so for the 2. time."])


@promise("hang.notice")
def test_a_slow_test_is_told_while_it_runs_and_passes(world: World) -> None:
    world.write(
        test_a="""
            import asyncio

            async def test_slow(request):
                notices = request.config.cache.mkdir("asgi") / "hung.txt"
                while not notices.exists():
                    await asyncio.sleep(0.01)
        """
    )

    result = world.run("--asgi-timeout=2")

    assert result.parseoutcomes() == {"passed": 1}, result.stdout.str()
    result.stderr.fnmatch_lines(
        [
            "asgi: test_a.py::test_slow is slow: half of its 2 seconds are over, in its body.",
            "    the test waits:",
            "*test_a.py:7 in test_slow",
        ]
    )
    result.stdout.fnmatch_lines(["*slow and hung tests*", "*hung.txt"])


@promise("hang.settings")
def test_the_mark_sets_and_lifts_the_limit(world: World) -> None:
    world.configure("asgi_timeout = 0.4")
    world.write(
        test_a="""
            import asyncio
            import pytest

            @pytest.mark.asgi(timeout="off")
            async def test_off():
                await asyncio.sleep(0.5)

            @pytest.mark.asgi(timeout=60)
            async def test_more():
                await asyncio.sleep(0.5)

            async def test_limited():
                await asyncio.sleep(90)

            @pytest.mark.asgi(timeout=-1)
            async def test_wrong(): ...
        """
    )

    result = world.run()

    assert result.parseoutcomes() == {"passed": 2, "failed": 1, "errors": 1}, result.stdout.str()
    result.stdout.fnmatch_lines(["*SettingsError: *timeout: -1 is not valid; *off, SECONDS."])


@promise("hang.killed")
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_what_a_killed_worker_was_doing_is_shown(world: World) -> None:
    world.write(
        test_a="""
            import asyncio
            import os
            import signal

            async def test_killed(request, worker_id):
                notices = request.config.cache.mkdir("asgi") / f"hung-{worker_id}.txt"
                while not notices.exists():
                    await asyncio.sleep(0.01)
                os.kill(os.getpid(), signal.SIGKILL)

            async def test_other():
                await asyncio.sleep(90)
        """
    )

    result = world.run("-n2", "--asgi-timeout=1", plugins=("xdist.plugin",))

    assert result.parseoutcomes() == {"failed": 2}, result.stdout.str()
    result.stdout.fnmatch_lines(
        [
            "*HungTestError: The body of test_a.py::test_other took longer than 1 seconds:",
            "*slow and hung tests*",
            "*hung-gw*.txt",
            "*test_a.py::test_killed is slow: half of its 1 seconds are over, in its body.",
            "*test_a.py:9 in test_killed",
        ]
    )
    result.stderr.fnmatch_lines(["asgi [[]gw*[]]: test_a.py::test_killed is slow: *"])


def test_the_files_of_an_earlier_run_are_forgotten(world: World) -> None:
    world.write(test_a="async def test_a(): ...")
    stale = world.pytester.path / ".pytest_cache" / "d" / "asgi" / "hung-gw7.txt"
    stale.parent.mkdir(parents=True)
    stale.write_text("of yesterday", encoding="utf-8")

    result = world.run_in_process()

    assert not stale.exists()
    result.stdout.no_fnmatch_line("*slow and hung*")


@promise("hang.debugger")
def test_a_debugger_stops_the_clock(world: World) -> None:
    world.write(
        test_a="""
            import time

            async def test_a():
                secret = 42
                breakpoint()

            async def test_b():
                time.sleep(90)
        """
    )

    ran = subprocess.run(
        [sys.executable, "-mpytest", "-ppytest_asgi.plugin", LIMIT],
        cwd=world.pytester.path,
        input="import time\ntime.sleep(0.9)\np 'secret is', secret\nc\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert "('secret is', 42)" in ran.stdout
    assert "1 failed, 1 passed" in ran.stdout
    assert "HungTestError: The body of test_a.py::test_b took" in ran.stdout


@promise("hang.neighbours")
def test_pytest_timeout_works_beside_it(world: World) -> None:
    world.write(
        test_a="""
            import asyncio
            import pytest

            @pytest.mark.timeout(60, method="signal")
            async def test_ours():
                await asyncio.sleep(90)

            @pytest.mark.timeout(0.2, method="signal")
            @pytest.mark.asgi(timeout=60)
            async def test_theirs():
                await asyncio.sleep(90)

            async def test_after():
                await asyncio.sleep(0)
        """
    )

    result = world.run(LIMIT, plugins=("pytest_timeout",))

    assert result.parseoutcomes() == {"failed": 2, "passed": 1}, result.stdout.str()
    result.stdout.fnmatch_lines(
        [
            "E *HungTestError: The body of test_a.py::test_ours took longer than 0.4 seconds:",
            "E *Failed: Timeout (>0.2s) from pytest-timeout.",
        ]
    )


@promise("hang.neighbours")
def test_a_test_that_is_run_again_has_its_whole_time_again(world: World) -> None:
    world.write(
        test_a="""
            import asyncio

            runs = []

            async def test_a():
                runs.append(1)
                await asyncio.sleep(90 if len(runs) == 1 else 0)
        """
    )

    result = world.run(LIMIT, "--reruns=1", plugins=("pytest_rerunfailures",))

    assert result.parseoutcomes() == {"passed": 1, "rerun": 1}, result.stdout.str()


@promise("hang.connections")
def test_a_connection_in_use_is_named(world: World) -> None:
    world.configure("asgi_database = sqlite")
    world.write(
        test_a="""
            import asyncio
            import aiosqlite
            import pytest

            async def test_warm():
                async with aiosqlite.connect("a.db") as connection:
                    await connection.execute("create table t (n int)")

            @pytest.mark.asgi(timeout=0.5)
            async def test_a():
                async with aiosqlite.connect("a.db") as connection:
                    await connection.execute("create table t (n int)")
                    await connection.execute("insert into t values (1)")
                    await asyncio.sleep(90)
        """
    )

    result = world.run()

    assert result.parseoutcomes() == {"passed": 1, "failed": 1}, result.stdout.str()
    result.stdout.fnmatch_lines(
        ["E *in use: a connection of aiosqlite, in a transaction, since *test_a.py:12 in test_a"]
    )


@promise("run.deadlock")
def test_a_deadlock_is_told_at_once_with_a_limit_too(world: World) -> None:
    world.write(
        test_a="""
            import asyncio

            async def test_a():
                await asyncio.Event().wait()
        """
    )

    result = world.run("--asgi-timeout=60", "--asgi-blocking=error")

    assert result.parseoutcomes() == {"failed": 1}, result.stdout.str()
    result.stdout.fnmatch_lines(["E *DeadlockError: *"])


def test_a_run_without_a_limit_starts_no_thread(world: World) -> None:
    world.write(
        test_a="""
            import sys
            import threading

            async def test_a():
                assert threading.active_count() == 1
                assert "pytest_asgi.runner.time_limit" not in sys.modules
                assert "pytest_asgi.runner.blocking" not in sys.modules
        """
    )

    world.passes(1)

    assert not world.pytester.path.joinpath(".pytest_cache", "d", "asgi").exists()
