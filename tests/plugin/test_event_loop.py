"""What makes the session's loop, and who may ask for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.plugin.world import World
from tests.promises import promise

ASYNCIO = "pytest_asyncio.plugin"


@promise("loop.factory")
def test_uvloop_by_name_runs_every_test_and_fixture_on_uvloop(world: World) -> None:
    world.configure("asgi_loop = uvloop")
    world.write(
        test_a="""
            import asyncio
            import pytest
            import uvloop

            @pytest.fixture(scope="session")
            async def session_loop():
                yield asyncio.get_running_loop()

            @pytest.fixture
            async def loop():
                return asyncio.get_running_loop()

            async def test_async(loop, session_loop):
                assert isinstance(loop, uvloop.Loop)
                assert session_loop is loop is asyncio.get_running_loop()
                assert await asyncio.to_thread(int, "3") == 3

            def test_sync(loop, session_loop):
                assert session_loop is loop

            def test_a_sync_test_still_makes_loops_of_its_own():
                async def kind():
                    return type(asyncio.get_running_loop())

                assert not issubclass(asyncio.run(kind()), uvloop.Loop)
        """,
    )

    result = world.run()

    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["asgi: * loop uvloop, one per session *"])


OWN_LOOP = """
    import asyncio

    made = []

    class OwnLoop(asyncio.SelectorEventLoop):
        def __init__(self):
            super().__init__()
            made.append(self)

        def close(self):
            super().close()
            made.remove(self)

    class Factories:
        @staticmethod
        def make():
            return OwnLoop()

    def make():
        return Factories.make()
"""

USES_OWN_LOOP = """
    import asyncio
    from loops import OwnLoop, made

    async def test_a():
        assert made == [asyncio.get_running_loop()]

    async def test_b():
        assert made == [asyncio.get_running_loop()]
"""


@promise("loop.factory")
@pytest.mark.parametrize("value", ["loops:make", "loops:OwnLoop", "loops:Factories.make"])
def test_a_factory_by_import_path_makes_the_only_loop(world: World, value: str) -> None:
    world.write(loops=OWN_LOOP, test_a=USES_OWN_LOOP)

    result = world.run_in_process(f"--asgi-loop={value}")

    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines([f"asgi: * loop {value}, one per session *"])


@promise("loop.factory")
def test_a_hook_of_the_project_makes_the_loop(world: World) -> None:
    world.configure("asgi_loop = uvloop")
    world.write(
        loops=OWN_LOOP,
        conftest="""
            import loops

            def pytest_asgi_make_loop(config):
                return loops.make()
        """,
        test_a=USES_OWN_LOOP,
    )

    world.run_in_process().assert_outcomes(passed=2)


@promise("loop.factory")
def test_a_hook_that_returns_none_leaves_the_loop_to_the_option(world: World) -> None:
    world.write(
        loops=OWN_LOOP,
        conftest="def pytest_asgi_make_loop(config): return None",
        test_a=USES_OWN_LOOP,
    )

    world.run_in_process("--asgi-loop=loops:make").assert_outcomes(passed=2)


@promise("loop.factory", "settings.invalid")
@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("nowhere:make", "No module named 'nowhere'"),
        ("loops:missing", "has no attribute 'missing'"),
        ("loops:number", "is 3; it must be a function"),
        ("loops:wrong", "returned 3, which is not an event loop"),
        ("loops:demanding", "cannot be called without arguments"),
    ],
)
def test_a_loop_factory_that_is_of_no_use_is_refused(
    world: World, value: str, reason: str
) -> None:
    world.configure(f"asgi_loop = {value}")
    world.write(
        loops="number = 3\ndef wrong(): return 3\ndef demanding(name): pass",
        test_a="async def test_a(): pass\nasync def test_b(): pass",
    )

    result = world.run_in_process()

    assert "passed" not in result.parseoutcomes()
    text = result.stdout.str() + result.stderr.str()
    assert f"asgi_loop: {value!r}" in text
    assert reason in text
    assert "INTERNALERROR" not in text


@promise("loop.factory", "settings.invalid")
def test_uvloop_that_is_not_installed_is_refused_with_the_install_command(
    world: World, python_without_uvloop: Path
) -> None:
    world.configure("asgi_loop = uvloop")
    world.write(test_a="async def test_a(): pass")

    result = world.run(python=python_without_uvloop)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "pip install 'pytest-asgi[uvloop]'" in result.stderr.str()


@promise("loop.factory")
def test_no_loop_policy_is_touched_and_nothing_left_on_the_thread(world: World) -> None:
    world.write(
        conftest="""
            import asyncio
            import warnings

            def policy():
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", DeprecationWarning)
                    return asyncio.get_event_loop_policy()

            before = policy()

            def pytest_unconfigure(config):
                assert policy() is before
                assert asyncio._get_running_loop() is None
        """,
        test_a="""
            import asyncio
            from conftest import before, policy

            async def test_async():
                assert policy() is before

            def test_sync():
                assert policy() is before
                assert asyncio._get_running_loop() is None
        """,
    )

    world.passes(2)


@promise("loop.event-loop-fixture")
@pytest.mark.parametrize("plugins", [(), (ASYNCIO,)], ids=["alone", "with-pytest-asyncio"])
def test_event_loop_is_the_sessions_loop(world: World, plugins: tuple[str, ...]) -> None:
    world.write(
        test_a="""
            import asyncio
            import pytest

            @pytest.fixture
            def engine(event_loop):
                async def connect():
                    return asyncio.get_running_loop()

                yield event_loop.run_until_complete(connect())
                assert event_loop.run_until_complete(connect()) is event_loop

            async def test_async(event_loop, engine):
                assert event_loop is engine is asyncio.get_running_loop()

            def test_sync(event_loop, engine):
                assert event_loop is engine
                assert event_loop.run_until_complete(asyncio.sleep(0, 1)) == 1

            async def test_callbacks(event_loop):
                future = event_loop.create_future()
                event_loop.call_soon(future.set_result, 2)
                assert await future == 2
        """,
    )

    world.passes(3, plugins=plugins)


@promise("loop.event-loop-fixture", "neighbour.no-shadow")
@pytest.mark.parametrize("plugins", [(), (ASYNCIO,)], ids=["alone", "with-pytest-asyncio"])
def test_an_event_loop_fixture_of_the_project_is_harmless(
    world: World, plugins: tuple[str, ...]
) -> None:
    world.write(
        conftest="""
            import asyncio
            import pytest

            @pytest.fixture(scope="session")
            def event_loop():
                loop = asyncio.get_event_loop_policy().new_event_loop()
                yield loop
                loop.close()

            @pytest.fixture(scope="session")
            async def engine():
                return asyncio.get_running_loop()
        """,
        test_a="""
            import asyncio

            async def test_does_not_ask_for_it(engine):
                assert engine is asyncio.get_running_loop()

            async def test_asks_for_it(engine, event_loop):
                assert engine is asyncio.get_running_loop()
                assert event_loop is not engine

            def test_sync_uses_it(event_loop):
                assert event_loop.run_until_complete(asyncio.sleep(0, 1)) == 1
        """,
    )

    world.passes(3, "-Wdefault::DeprecationWarning", plugins=plugins)


@promise("loop.factory", "neighbour.stand-in")
@pytest.mark.parametrize("plugins", [(), (ASYNCIO,)], ids=["alone", "with-pytest-asyncio"])
def test_an_overridden_event_loop_policy_is_accepted(
    world: World, plugins: tuple[str, ...]
) -> None:
    world.write(
        conftest="""
            import pytest

            class Policy:
                def new_event_loop(self):
                    raise AssertionError("never asked for a loop")

            @pytest.fixture(scope="session")
            def event_loop_policy():
                return Policy()
        """,
        test_a="""
            import pytest

            @pytest.mark.asyncio
            async def test_a(): pass

            @pytest.mark.asyncio
            async def test_asks(event_loop_policy):
                assert type(event_loop_policy).__name__ == "Policy"
        """,
    )

    world.passes(2, plugins=plugins)


@promise("loop.factory", "neighbour.stand-in")
@pytest.mark.parametrize("plugins", [(), (ASYNCIO,)], ids=["alone", "with-pytest-asyncio"])
def test_a_loop_factories_hook_is_accepted_and_the_header_says_what_makes_the_loop(
    world: World, plugins: tuple[str, ...]
) -> None:
    world.write(
        conftest="""
            import asyncio

            def pytest_asyncio_loop_factories(config, item):
                return {"own": asyncio.SelectorEventLoop}
        """,
        test_a="""
            import pytest

            @pytest.mark.asyncio
            async def test_a(): pass

            @pytest.mark.asyncio(loop_factories=["own"])
            async def test_names_one(): pass
        """,
    )

    result = world.run(plugins=plugins)

    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["asgi: pytest_asyncio_loop_factories is not used: *asgi_loop*"])
