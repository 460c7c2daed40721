"""pytest's own options and import modes, with async tests."""

from __future__ import annotations

import pytest

from tests.plugin.world import World
from tests.promises import promise


@promise("run.pytest-options")
def test_x_stops_after_the_first_failure_and_tears_down(world: World) -> None:
    world.write(
        test_a="""
            import asyncio
            import pytest

            @pytest.fixture(scope="session", autouse=True)
            async def whole():
                yield
                print("session is torn down")

            @pytest.fixture(autouse=True)
            async def each():
                yield
                print("test is torn down")

            async def test_first():
                pass

            async def test_second():
                await asyncio.sleep(0)
                raise LookupError

            async def test_third():
                raise AssertionError("ran")
        """,
    )

    result = world.run("-x", "-s")

    assert result.parseoutcomes() == {"passed": 1, "failed": 1}
    assert result.stdout.str().count("test is torn down") == 2
    assert result.stdout.str().count("session is torn down") == 1
    result.stdout.fnmatch_lines(["*stopping after 1 failures*"])


@promise("run.pytest-options")
def test_last_failed_runs_only_the_async_test_that_failed(world: World) -> None:
    world.write(
        test_a="""
            import asyncio

            async def test_good():
                await asyncio.sleep(0)

            async def test_bad():
                await asyncio.sleep(0)
                raise LookupError
        """,
    )
    world.run()

    result = world.run("--lf")

    assert result.parseoutcomes() == {"failed": 1}
    result.stdout.fnmatch_lines(["run-last-failure: rerun previous 1 failure"])


@promise("run.pytest-options")
def test_setup_show_lists_async_fixtures_like_others(world: World) -> None:
    world.write(
        test_a="""
            import pytest

            @pytest.fixture(scope="module")
            async def engine():
                yield 1

            @pytest.fixture(params=["x"])
            async def user(engine, request):
                return request.param

            async def test_it(user):
                assert user == "x"
        """,
    )

    shown = world.run("--setup-show")
    planned = world.run("--setup-plan")

    events = [
        "*SETUP    M engine*",
        "*SETUP    F user*(fixtures used: engine)?'x'?*",
        "*test_it*(fixtures used: engine, request, user)*",
        "*TEARDOWN F user?'x'?*",
        "*TEARDOWN M engine*",
    ]
    shown.stdout.fnmatch_lines(events)
    planned.stdout.fnmatch_lines(events)
    assert shown.parseoutcomes() == {"passed": 1}
    assert planned.parseoutcomes() == {}


@promise("run.switched-off")
def test_switched_off_it_is_as_if_the_plugin_were_not_installed(world: World) -> None:
    world.write(
        test_a="""
            import pytest

            async def test_it():
                pass

            def test_sync(request):
                with pytest.raises(pytest.FixtureLookupError):
                    request.getfixturevalue("asgi_client")
        """,
    )
    disabled = world.pytester.runpytest_subprocess(
        "-ppytest_asgi.plugin", "-pno:pytest_asgi.plugin"
    )
    without = world.pytester.runpytest_subprocess()

    assert without.parseoutcomes() == disabled.parseoutcomes() == {"failed": 1, "passed": 1}
    for result in (disabled, without):
        result.stdout.fnmatch_lines(["*async def functions are not natively supported*"])
        result.stdout.no_fnmatch_line("asgi:*")


@promise("run.reruns")
def test_reruns_run_an_async_test_again_set_up_included(world: World) -> None:
    world.write(
        test_a="""
            import asyncio
            import pytest

            runs, setups, teardowns = [], [], []

            @pytest.fixture
            async def fresh():
                setups.append(asyncio.current_task())
                yield len(setups)
                teardowns.append(asyncio.current_task())

            @pytest.mark.flaky(reruns=3)
            async def test_third_time_lucky(fresh):
                await asyncio.sleep(0)
                runs.append(asyncio.current_task())
                assert len(runs) == fresh == 3

            def test_everything_ran_three_times():
                assert len(runs) == len(setups) == len(teardowns) == 3
                assert runs == setups == teardowns

            async def test_hopeless():
                raise LookupError
        """,
    )

    result = world.run("--reruns=1", plugins=("pytest_rerunfailures",))

    assert result.parseoutcomes() == {"passed": 2, "rerun": 3, "failed": 1}


@promise("run.importlib")
@pytest.mark.parametrize("mode", ["importlib", "append", "prepend"])
def test_async_tests_run_with_every_import_mode(world: World, mode: str) -> None:
    text = """
        import asyncio
        import pytest

        @pytest.fixture(scope="module")
        async def module_loop():
            yield asyncio.get_running_loop()

        async def test_it(shared, module_loop):
            await asyncio.sleep(0)
            assert shared is module_loop is asyncio.get_running_loop()
    """
    world.write(
        conftest="""
            import asyncio
            import pytest

            @pytest.fixture(scope="session")
            async def shared():
                yield asyncio.get_running_loop()
        """,
        one__test_a=text,
        two__test_b=text,
        test_c=text,
    )

    world.passes(3, f"--import-mode={mode}")
