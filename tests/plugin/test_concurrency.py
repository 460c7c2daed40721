"""Tests at the same time: each has what is its own, and is reported in its turn."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from tests.plugin.world import World
from tests.promises import promise

# All of them have to be in there before one gets out: only at the same time do they pass.
_MEETING = """
    import asyncio
    import pytest

    class Meeting:
        def __init__(self, count):
            self.missing = count
            self.complete = asyncio.Event()

        async def join(self):
            self.missing -= 1
            if self.missing == 0:
                self.complete.set()
            await self.complete.wait()

    @pytest.fixture(scope="module")
    async def meeting():
        await asyncio.sleep(0)
        return Meeting(3)
"""


@promise("concurrency.at-once")
@promise("concurrency.fixtures")
def test_fixtures_of_a_test_are_its_own_and_wider_ones_are_shared(world: World) -> None:
    world.write(
        conftest=_MEETING,
        test_a="""
            import asyncio
            from contextvars import ContextVar
            import pytest

            variable = ContextVar("variable", default=None)

            @pytest.fixture(scope="module")
            async def shared():
                print("<shared set up>")
                await asyncio.sleep(0)
                yield []
                print("<shared torn down>")

            @pytest.fixture
            async def own(request, shared):
                task = asyncio.current_task()
                variable.set(request.node.name)
                await asyncio.sleep(0)
                yield request.node.name
                assert asyncio.current_task() is task
                assert variable.get() == request.node.name
                shared.append(request.node.name)

            @pytest.fixture
            def dynamic(request):
                return object()

            seen = set()

            @pytest.mark.parametrize("number", [1, 2, 3])
            async def test(number, own, shared, meeting, request):
                assert own == request.node.name == f"test[{number}]"
                await meeting.join()
                assert variable.get() == own
                assert not shared
                assert request.getfixturevalue("own") is own
                seen.add(request.getfixturevalue("dynamic"))

            def test_afterwards(shared):
                assert sorted(shared) == ["test[1]", "test[2]", "test[3]"]
                assert len(seen) == 3
        """,
    )

    result = world.run("-s", "--asgi-concurrency=3")

    result.assert_outcomes(passed=4)
    text = result.stdout.str()
    assert (text.count("<shared set up>"), text.count("<shared torn down>")) == (1, 1)
    result.stdout.fnmatch_lines(
        ["asgi: up to 3 of 3 tests at the same time", "asgi: 1 alone: it is not asynchronous"]
    )


@promise("concurrency.output")
def test_what_a_test_writes_and_logs_and_warns_of_is_its_own(world: World) -> None:
    world.write(
        conftest=_MEETING,
        test_a="""
            import asyncio
            import logging
            import sys
            import time
            import warnings
            import pytest

            def late(number):
                time.sleep(0.05 * number)
                print(f"<late {number}>")

            @pytest.mark.parametrize("number", [1, 2, 3])
            async def test(number, meeting):
                print(f"<before {number}>")
                await meeting.join()
                print(f"<after {number}>", file=sys.stderr)
                await asyncio.to_thread(print, f"<thread {number}>")
                await asyncio.gather(*[asyncio.to_thread(late, number) for _ in range(3)])
                logging.getLogger("app").warning("<logged %s>", number)
                warnings.warn(f"<warned {number}>", stacklevel=1)
                assert number != 2
        """,
    )

    result = world.run("--asgi-concurrency=3", "-Wdefault", "-v")

    result.assert_outcomes(passed=2, failed=1, warnings=3)
    result.stdout.fnmatch_lines(
        [
            "test_a.py::test?1? PASSED*",
            "test_a.py::test?2? FAILED*",
            "test_a.py::test?3? PASSED*",
            "*Captured stdout call*",
            "<before 2>",
            "<thread 2>",
            *["<late 2>"] * 3,
            "*Captured stderr call*",
            "<after 2>",
            "*Captured log call*",
            "WARNING*<logged 2>",
            "test_a.py::test?1?",
            "*<warned 1>",
            "test_a.py::test?2?",
            "*<warned 2>",
            "test_a.py::test?3?",
            "*<warned 3>",
        ],
        consecutive=False,
    )
    for other in ("<before 1>", "<after 3>", "<thread 1>", "<late 3>", "<logged 3>"):
        assert other not in result.stdout.str()


@promise("concurrency.blame")
def test_a_failure_in_the_background_belongs_to_the_test_that_caused_it(world: World) -> None:
    world.write(
        conftest=_MEETING,
        test_a="""
            import asyncio
            import pytest

            @pytest.mark.parametrize("number", [1, 2, 3])
            async def test(number, meeting):
                async def fail():
                    raise LookupError(f"behind {number}")
                if number == 2:
                    task = asyncio.get_running_loop().create_task(fail())
                    del task
                await meeting.join()
                await asyncio.sleep(0.01)
        """,
    )

    result = world.run("--asgi-concurrency=3")

    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*_ test?2? _*", "*LookupError: behind 2"])


@promise("concurrency.overrides")
def test_overrides_of_dependencies_follow_the_test(world: World) -> None:
    world.write(
        conftest=_MEETING,
        main="""
            from fastapi import Depends, FastAPI

            app = FastAPI()

            def who():
                return "nobody"

            @app.get("/")
            async def root(who: str = Depends(who)):
                return who
        """,
        test_a="""
            import pytest
            from main import app, who

            @pytest.mark.parametrize("number", [1, 2, 3])
            async def test(number, meeting, client):
                if number != 2:
                    app.dependency_overrides[who] = lambda: f"user {number}"
                client.cookies["number"] = str(number)
                await meeting.join()
                expected = f"user {number}" if number != 2 else "nobody"
                assert (await client.get("/")).json() == expected
                assert client.cookies["number"] == str(number)

            async def test_later(client):
                assert (await client.get("/")).json() == "nobody"
                assert not app.dependency_overrides
        """,
    )

    world.passes(4, "--asgi-concurrency=3")


@promise("concurrency.marks")
def test_marks_say_which_tests_run_beside_others(world: World) -> None:
    world.write(
        conftest=_MEETING,
        test_a="""
            import asyncio
            import pytest

            running = set()

            @pytest.fixture
            def others(request):
                running.add(request.node.name)
                yield running - {request.node.name}
                running.discard(request.node.name)

            @pytest.mark.asgi(concurrent=True)
            class TestMarked:
                @pytest.mark.parametrize("number", [1, 2, 3])
                async def test(self, number, meeting):
                    await meeting.join()

                @pytest.mark.asgi(concurrent=False)
                async def test_not(self, others):
                    await asyncio.sleep(0.01)
                    assert not others

                @pytest.mark.asgi(alone="billing")
                @pytest.mark.parametrize("number", [1, 2, 3])
                async def test_group(self, number, others):
                    await asyncio.sleep(0.01)
                    assert not others

            async def test_without_mark(others):
                await asyncio.sleep(0)
                assert not others
        """,
    )

    world.passes(8)
    world.run("--asgi-concurrency=off", "-k", "group").assert_outcomes(passed=3)


@promise("concurrency.alone")
def test_a_test_that_touches_the_whole_process_runs_alone_and_is_told_why(world: World) -> None:
    world.write(
        test_a="""
            import asyncio
            import warnings
            import pytest

            running = []

            @pytest.fixture(autouse=True)
            def alone(request):
                running.append(request.node.name)
                yield
                assert running == [request.node.name]
                running.clear()

            async def test_environment(monkeypatch):
                await asyncio.sleep(0.01)

            async def test_output(capsys):
                print("x")
                await asyncio.sleep(0.01)
                assert capsys.readouterr().out == "x\\n"

            async def test_warnings():
                with pytest.warns(UserWarning):
                    await asyncio.sleep(0.01)
                    warnings.warn("x", stacklevel=1)

            @pytest.mark.filterwarnings("ignore")
            async def test_filter():
                await asyncio.sleep(0.01)

            def test_synchronous():
                pass
        """,
    )

    result = world.run("--asgi-concurrency=9", "--asgi-explain")

    result.assert_outcomes(passed=5)
    result.stdout.fnmatch_lines(
        [
            "asgi: no tests at the same time",
            "asgi: alone: *::test_environment: it uses monkeypatch, which changes or watches the*",
            "asgi: alone: *::test_output: it uses capsys, which changes or watches the whole*",
            "asgi: alone: *::test_warnings: it calls warns(), which changes the whole process",
            "asgi: alone: *::test_filter: it has warning filters of its own",
            "asgi: alone: *::test_synchronous: it is not asynchronous",
        ]
    )


@promise("concurrency.stop")
@pytest.mark.parametrize("how", ["-x", "interrupt", "exit"])
def test_when_the_session_ends_early_the_others_are_torn_down(world: World, how: str) -> None:
    end = {
        "-x": "raise LookupError('stop')",
        "interrupt": "raise KeyboardInterrupt",
        "exit": "pytest.exit('enough')",
    }[how]
    world.write(
        conftest=_MEETING,
        test_a=f"""
            import asyncio
            import pytest

            @pytest.fixture(scope="module")
            async def shared():
                yield
                print("<module torn down>")

            @pytest.fixture
            async def own(request, shared):
                yield
                await asyncio.sleep(0.01)
                print(f"<{{request.node.name}} torn down>")

            @pytest.mark.parametrize("number", [1, 2, 3])
            async def test(number, own, meeting):
                await meeting.join()
                if number == 1:
                    {end}
                await asyncio.sleep(60)

            async def test_never(own):
                raise AssertionError
        """,
    )

    result = world.run("--asgi-concurrency=3", "-x", "-s")

    assert result.parseoutcomes() == ({"failed": 1} if how == "-x" else {})
    ended = re.findall(r"<(\S+) torn down>", result.stdout.str())
    assert (sorted(ended[:-1]), ended[-1]) == (["test[1]", "test[2]", "test[3]"], "module")
    assert "never" not in result.stdout.str()
    assert "not closed" not in result.stderr.str()


@promise("concurrency.crash")
def test_a_fixture_that_dies_cancels_all_tests_that_use_it(world: World) -> None:
    world.write(
        conftest=_MEETING,
        test_a="""
            import asyncio
            import pytest

            @pytest.fixture(scope="module")
            async def server():
                go = asyncio.Event()
                async def child():
                    await go.wait()
                    raise LookupError("server died")
                async with asyncio.TaskGroup() as group:
                    group.create_task(child())
                    yield go

            @pytest.mark.parametrize("number", [1, 2])
            async def test_waits(number, server, meeting):
                await meeting.join()
                server.set()
                await asyncio.sleep(60)

            async def test_without(meeting):
                await meeting.join()
                await asyncio.sleep(0.01)
        """,
    )

    result = world.run("--asgi-concurrency=3")

    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(["*server died*", "*test_waits?1?*", "*test_waits?2?*"])


@promise("concurrency.deadlock")
def test_each_test_of_a_deadlock_is_told(world: World) -> None:
    world.write(
        test_a="""
            import asyncio
            import pytest

            @pytest.mark.parametrize("number", [1, 2])
            async def test(number):
                await asyncio.Event().wait()
        """,
    )

    result = world.run("--asgi-concurrency=2")

    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["*The test waits for something that cannot happen any more*"])


@promise("concurrency.xdist")
@pytest.mark.parametrize("mode", ["load", "loadfile", "loadscope", "each", "worksteal"])
def test_workers_run_tests_at_the_same_time(world: World, mode: str) -> None:
    world.write(
        conftest="""
            from pathlib import Path
            import pytest

            @pytest.fixture(autouse=True)
            def note(request):
                with Path(__file__).with_name("notes").open("a") as file:
                    file.write(request.node.nodeid + "\\n")
        """,
        test_a="""
            import asyncio
            import pytest

            @pytest.fixture(scope="module")
            async def shared():
                names = []
                yield names
                assert len(set(names)) == len(names)

            @pytest.mark.parametrize("number", range(12))
            async def test(number, shared):
                await asyncio.sleep(0.001 * (12 - number))
                shared.append(number)
                assert number != 5
        """,
        test_b="""
            import asyncio
            import pytest

            @pytest.mark.parametrize("number", range(12))
            async def test(number):
                await asyncio.sleep(0)
        """,
    )

    result = world.run("--asgi-concurrency=8", "-n2", f"--dist={mode}", plugins=("xdist",))

    count = 2 if mode == "each" else 1
    result.assert_outcomes(passed=23 * count, failed=count)
    notes = world.pytester.path.joinpath("notes").read_text(encoding="utf-8").split()
    assert set(Counter(notes).values()) == {count}


@promise("concurrency.order")
def test_whoever_follows_the_run_sees_it_in_order(world: World) -> None:
    world.write(
        conftest="""
            import pytest

            lines = []

            def pytest_runtest_logstart(nodeid):
                lines.append(f"start {nodeid}")

            def pytest_runtest_logreport(report):
                lines.append(f"{report.when} {report.nodeid}")

            def pytest_runtest_logfinish(nodeid):
                lines.append(f"finish {nodeid}")

            def pytest_unconfigure():
                print("\\n".join(lines))
        """,
        test_a="""
            import asyncio
            import os
            import pytest

            @pytest.mark.parametrize("number", [1, 2, 3])
            async def test(number):
                assert "test_a.py::test" in os.environ["PYTEST_CURRENT_TEST"]
                await asyncio.sleep(0.01 * (3 - number))
        """,
    )

    result = world.run("--asgi-concurrency=3")

    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(
        [
            f"{what} test_a.py::test?{number}?"
            for number in (1, 2, 3)
            for what in ("start", "setup", "call", "teardown", "finish")
        ],
        consecutive=True,
    )


@promise("concurrency.databases")
@pytest.mark.parametrize("isolation", ["restore", "clone"])
def test_tests_never_see_each_others_rows(world: World, isolation: str) -> None:
    world.configure(
        f"""
        asgi_database = sqlite
        asgi_schema = tables.sql
        asgi_isolation = {isolation}
        asgi_concurrency = 3
        """
    )
    world.pytester.path.joinpath("tables.sql").write_text(
        "CREATE TABLE notes (text TEXT)", encoding="utf-8"
    )
    world.write(
        test_a="""
            import asyncio
            import aiosqlite
            import pytest

            @pytest.mark.parametrize("number", [1, 2, 3])
            async def test(number, db):
                for _ in range(3):
                    async with aiosqlite.connect("app.db") as connection:
                        await connection.execute("INSERT INTO notes VALUES (?)", (number,))
                        await connection.commit()
                    await asyncio.sleep(0.01)
                rows = await db.fetch("SELECT DISTINCT text FROM notes")
                assert [row["text"] for row in rows] == [str(number)]
                assert await db.count("notes") == 3
        """,
    )

    result = world.run()

    result.assert_outcomes(passed=3)
    together = "up to 3 of 3" if isolation == "clone" else "no"
    result.stdout.fnmatch_lines([f"asgi: {together} tests at the same time"])


@promise("concurrency.databases")
def test_a_database_that_nobody_could_clone_is_refused(world: World) -> None:
    world.configure("asgi_database = sqlite\nasgi_isolation = clone\nasgi_concurrency = 2")
    world.write(
        test_a="""
            import aiosqlite
            import pytest

            @pytest.mark.parametrize("number", [1, 2])
            async def test(number, db):
                async with aiosqlite.connect("app.db"):
                    pass
                async with aiosqlite.connect("another.db"):
                    pass
        """,
    )

    result = world.run()

    result.stdout.fnmatch_lines(
        ["*another.db for the first time while several tests run.", "*concurrent=False*"]
    )


@promise("concurrency.timeout")
def test_a_test_that_hangs_is_ended_and_the_others_are_not(world: World) -> None:
    world.write(
        conftest=_MEETING,
        test_a="""
            import asyncio
            import pytest

            @pytest.mark.parametrize("number", [1, 2, 3])
            async def test(number, meeting):
                await meeting.join()
                if number == 2:
                    never = asyncio.Event()
                    await asyncio.wait_for(never.wait(), 60)
        """,
    )

    result = world.run("--asgi-concurrency=3", "--asgi-timeout=0.5")

    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*The body of test_a.py::test?2? took longer than 0.5 seconds:"])


@promise("concurrency.fixtures")
def test_a_class_is_set_up_and_torn_down_once_whatever_becomes_of_its_tests(world: World) -> None:
    world.write(
        test_a="""
            import asyncio
            import pytest

            events = []

            class TestClass:
                @classmethod
                def setup_class(cls):
                    events.append("set up")

                @classmethod
                def teardown_class(cls):
                    events.append("torn down")

                async def setup_method(self):
                    await asyncio.sleep(0.01)
                    self.value = object()

                async def teardown_method(self):
                    await asyncio.sleep(0.01)
                    events.append("a method")

                async def test(self):
                    await asyncio.sleep(0.02)
                    assert self.value

                @pytest.mark.xfail
                async def test_that_fails(self):
                    raise LookupError

                async def test_that_skips_itself(self):
                    await asyncio.sleep(0.01)
                    pytest.skip("now")

                @pytest.mark.skip
                async def test_that_is_skipped(self):
                    raise AssertionError

            def test_afterwards():
                assert events == ["set up", *["a method"] * 3, "torn down"]
        """,
    )

    result = world.run("--asgi-concurrency=9")

    assert result.parseoutcomes() == {"passed": 2, "skipped": 2, "xfailed": 1}
