"""What dies inside a fixture while a test uses it: the test hears of it, and what it was."""

from __future__ import annotations

import pytest

from tests.plugin.world import World
from tests.promises import promise

_GROUPS = {
    "asyncio": ("async with asyncio.TaskGroup() as group:", "group.create_task(child())"),
    "anyio": ("async with anyio.create_task_group() as group:", "group.start_soon(child)"),
}


@promise("task.crash")
@pytest.mark.parametrize("kind", ["asyncio", "anyio"])
@pytest.mark.parametrize("scope", ["function", "module", "session"])
def test_a_crash_in_a_fixtures_task_group_cancels_the_test_and_is_its_cause(
    world: World, scope: str, kind: str
) -> None:
    enter, start = _GROUPS[kind]
    world.write(
        test_a=f"""
            import asyncio
            import anyio
            import pytest

            @pytest.fixture
            async def inner():
                yield
                print("<inner is torn down>")

            @pytest.fixture(scope="{scope}")
            async def server():
                go = asyncio.Event()
                async def child():
                    await go.wait()
                    raise LookupError("server died")
                {enter}
                    {start}
                    yield go
                print("<unreachable>")

            async def test_waits(server, inner):
                server.set()
                try:
                    await asyncio.Event().wait()
                finally:
                    print("<cancelled>")
                print("<went on>")

            async def test_next_is_well():
                await asyncio.sleep(0)
                assert asyncio.current_task().cancelling() == 0
        """,
    )

    result = world.run("-s")

    assert result.parseoutcomes() == {"failed": 1, "passed": 1}, result.stdout.str()
    output = result.stdout.str()
    result.stdout.fnmatch_lines(["*LookupError: server died*"])
    assert "test_waits was cancelled by this while it waited" in output
    assert output.count("<cancelled>") == output.count("<inner is torn down>") == 1
    assert "<unreachable>" not in output.replace('print("<unreachable>")', "")
    assert "never retrieved" not in output + result.stderr.str()


@promise("task.crash")
def test_a_later_test_of_a_dead_fixture_is_told_so_and_others_run(world: World) -> None:
    world.write(
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

            async def test_kills_it(server):
                server.set()
                await asyncio.Event().wait()

            async def test_uses_it(server):
                raise AssertionError("ran")

            def test_uses_it_in_sync(server):
                raise AssertionError("ran")

            async def test_does_not_use_it():
                await asyncio.sleep(0)
        """,
    )

    result = world.run()

    assert result.parseoutcomes() == {"failed": 1, "errors": 2, "passed": 1}
    result.stdout.fnmatch_lines(
        ["*LookupError: server died*", "*The fixture 'server' died during an earlier test*"]
    )


@promise("task.crash")
@pytest.mark.parametrize("scope", ["module", "session"])
def test_a_crash_cancels_no_test_that_does_without_the_fixture(world: World, scope: str) -> None:
    world.write(
        conftest=f"""
            import asyncio
            import pytest

            go = asyncio.Event()

            @pytest.fixture(scope="{scope}")
            async def server():
                async def child():
                    await go.wait()
                    raise LookupError("server died")
                async with asyncio.TaskGroup() as group:
                    group.create_task(child())
                    yield go

            @pytest.fixture(scope="{scope}")
            def api(server):
                return server

            @pytest.fixture(scope="{scope}")
            def found(request):
                return request.getfixturevalue("server")
        """,
        test_a="""
            import asyncio
            import pytest
            from conftest import go

            async def test_starts_it(api, found):
                await asyncio.sleep(0)

            class TestAnother:
                @pytest.fixture
                def server(self):
                    return "another of that name"

                async def test_does_without(self, server):
                    go.set()
                    for _ in range(10):
                        await asyncio.sleep(0)
                    print("<went on>")

            async def test_also_does_without():
                await asyncio.sleep(0)

            async def test_uses_it_through_another(api):
                raise AssertionError("ran")

            async def test_asks_for_it(request):
                request.getfixturevalue("api")
                raise AssertionError("ran")

            def test_uses_it_through_one_that_asks_for_it(found):
                raise AssertionError("ran")
        """,
    )

    result = world.run("-s")

    assert result.parseoutcomes() == {"passed": 3, "failed": 1, "errors": 2}, result.stdout.str()
    assert result.stdout.str().count("<went on>\n") == 1
    for name in ("test_uses_it_through_another", "test_uses_it_through_one_that_asks_for_it"):
        result.stdout.fnmatch_lines([f"*ERROR at setup of {name} *"])
    result.stdout.fnmatch_lines(
        ["*LookupError: server died*", "*FixtureError: The fixture 'server' died during*"]
    )


@promise("task.crash")
@pytest.mark.parametrize("request_it", ["through, go", "request, go"], ids=["named", "asked-for"])
def test_a_crash_cancels_a_test_that_uses_the_fixture_through_another(
    world: World, request_it: str
) -> None:
    world.write(
        conftest="""
            import asyncio
            import pytest

            @pytest.fixture(scope="session")
            def go():
                return asyncio.Event()

            @pytest.fixture(scope="session")
            async def server(go):
                async def child():
                    await go.wait()
                    raise LookupError("server died")
                async with asyncio.TaskGroup() as group:
                    group.create_task(child())
                    yield

            @pytest.fixture(scope="module")
            def through(request):
                request.getfixturevalue("server")
        """,
        test_a=f"""
            import asyncio

            async def test_before(through):
                pass

            async def test_waits({request_it}):
                if "request" in locals():
                    request.getfixturevalue("through")
                go.set()
                await asyncio.Event().wait()
        """,
    )

    result = world.run()

    assert result.parseoutcomes() == {"passed": 1, "failed": 1}, result.stdout.str()
    result.stdout.fnmatch_lines(["*LookupError: server died*"])
    assert "test_waits was cancelled by this while it waited at" in result.stdout.str()


@promise("task.crash")
def test_a_crash_that_no_later_test_hears_of_is_reported_when_the_fixture_ends(
    world: World,
) -> None:
    world.write(
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

            async def test_starts_it(server):
                test_starts_it.go = server

            async def test_does_without():
                test_starts_it.go.set()
                for _ in range(10):
                    await asyncio.sleep(0)
        """,
    )

    result = world.run()

    assert result.parseoutcomes() == {"passed": 2, "errors": 1}, result.stdout.str()
    result.stdout.fnmatch_lines(["*LookupError: server died*"])


@promise("task.crash")
def test_a_crash_after_the_last_wait_of_a_test_is_still_reported(world: World) -> None:
    world.write(
        test_a="""
            import asyncio
            import pytest

            def make(scope):
                @pytest.fixture(scope=scope, name="group_" + scope)
                async def fixture():
                    async with asyncio.TaskGroup() as group:
                        yield group
                return fixture

            group_function, group_module = make("function"), make("module")

            async def crash():
                raise LookupError("too late")

            async def test_function(group_function):
                group_function.create_task(crash())

            async def test_module(group_module):
                group_module.create_task(crash())

            async def test_innocent():
                await asyncio.sleep(0)
        """,
    )

    result = world.run()

    outcomes = result.parseoutcomes()
    assert outcomes.get("failed", 0) + outcomes.get("errors", 0) == 2, result.stdout.str()
    result.stdout.fnmatch_lines_random(
        [f"* test_a.py::test_{scope} - *too late*" for scope in ("function", "module")]
    )
    result.stdout.no_fnmatch_line("* test_a.py::test_innocent - *")


@promise("task.crash")
def test_a_crash_is_reported_once_whenever_it_happens(world: World) -> None:
    world.write(
        test_a="""
            import asyncio
            import pytest

            @pytest.fixture(scope="class")
            async def group():
                async with asyncio.TaskGroup() as group:
                    yield group

            async def crash(cycles):
                for _ in range(cycles):
                    await asyncio.sleep(0)
                raise LookupError("too late")

            def make(cycles):
                class TestIt:
                    async def test_it(self, group):
                        group.create_task(crash(cycles))
                return TestIt

            for cycles in range(20):
                globals()[f"TestAfter{cycles}"] = make(cycles)
        """,
    )

    result = world.run()

    outcomes = result.parseoutcomes()
    outcomes.pop("passed", None)  # those whose tear-down tells
    assert sum(outcomes.values()) == 20, result.stdout.str()
    summary = [line for line in result.outlines if line.startswith(("FAILED", "ERROR "))]
    assert [line.count("too late") for line in summary] == 20 * [1]
    assert len({line.split()[1] for line in summary}) == 20


@promise("task.crash")
def test_a_sync_test_with_a_crashing_fixture_fails_too(world: World) -> None:
    world.write(
        test_a="""
            import asyncio
            import pytest

            @pytest.fixture
            async def group():
                async with asyncio.TaskGroup() as group:
                    yield group

            @pytest.fixture
            async def crashes(group):
                async def crash():
                    raise LookupError("child of a fixture")
                group.create_task(crash())
                yield

            def test_sync(crashes):
                pass
        """,
    )

    result = world.run()

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*LookupError: child of a fixture*"])


@promise("task.crash", "background.exception")
def test_a_child_that_calls_exit_fails_its_test_and_everything_is_torn_down(
    world: World,
) -> None:
    world.write(
        test_a="""
            import asyncio
            import sys
            import pytest

            async def gives_up():
                await asyncio.sleep(0)
                sys.exit("cannot bind")

            @pytest.fixture(scope="session", autouse=True)
            async def whole():
                yield
                print("<session>")

            @pytest.fixture(autouse=True)
            async def each():
                yield
                print("<function>")

            async def test_awaited():
                await asyncio.create_task(gives_up())

            async def test_forgotten():
                task = asyncio.create_task(gives_up())
                for _ in range(5):
                    await asyncio.sleep(0)

            async def test_in_its_own_code():
                sys.exit("enough")

            @pytest.fixture(scope="module")
            async def exits():
                await asyncio.sleep(0)
                sys.exit("no database")
                yield

            async def test_in_a_fixture(exits):
                raise AssertionError("ran")

            async def test_next():
                await asyncio.sleep(0)
        """,
    )

    result = world.run("-s")

    assert result.parseoutcomes() == {"failed": 3, "errors": 1, "passed": 1}, result.stdout.str()
    assert result.stdout.str().count("<function>") == 4
    assert result.stdout.str().count("<session>") == 1
