"""How tests ask for async fixtures: from sync tests, and while they run."""

from __future__ import annotations

from tests.plugin.world import World
from tests.promises import promise


@promise("fixture.sync-test", "task.one")
def test_a_sync_test_requests_async_fixtures_directly_and_through_others(world: World) -> None:
    world.write(
        test_a="""
            import asyncio
            import pytest

            tasks = []

            @pytest.fixture
            async def number():
                tasks.append(asyncio.current_task())
                yield 1
                assert asyncio.current_task() is tasks[-1]

            @pytest.fixture
            def doubled(number):
                return number * 2

            def test_direct(number):
                assert number == 1

            def test_through_a_sync_fixture(doubled):
                assert doubled == 2

            @pytest.mark.usefixtures("number")
            def test_usefixtures():
                assert len(tasks) == 3

            def test_that_fails(number):
                raise LookupError("in the sync test")

            class TestClass:
                def test_method(self, doubled):
                    assert doubled == 2

            @pytest.mark.xfail(strict=True)
            def test_xfail(number):
                assert number == 2
        """,
    )

    result = world.run()

    assert result.parseoutcomes() == {"passed": 4, "failed": 1, "xfailed": 1}
    result.stdout.fnmatch_lines(["*LookupError: in the sync test"])


@promise("fixture.dynamic", "task.one")
def test_fixtures_are_requested_inside_a_running_test(world: World) -> None:
    world.write(
        test_a="""
            import asyncio
            import pytest

            log = []

            @pytest.fixture
            async def plain():
                await asyncio.sleep(0)
                return asyncio.current_task()

            @pytest.fixture
            async def generator():
                log.append("up")
                yield asyncio.current_task()
                log.append("down")

            @pytest.fixture
            def synchronous(plain):
                return plain

            @pytest.fixture(scope="module")
            async def wide():
                await asyncio.sleep(0)
                yield asyncio.get_running_loop()
                log.append("wide down")

            @pytest.mark.parametrize("name", ["plain", "generator", "synchronous"])
            async def test_dynamic(request, name):
                await asyncio.sleep(0)
                assert request.getfixturevalue(name) is asyncio.current_task()
                await asyncio.sleep(0)
                assert request.getfixturevalue(name) is asyncio.current_task()
                assert request.getfixturevalue("wide") is asyncio.get_running_loop()

            @pytest.fixture
            async def chooser(request):
                yield request.getfixturevalue("plain")

            async def test_in_an_async_fixture(chooser):
                assert chooser is asyncio.current_task()
                assert log == ["up", "down"]

            def test_in_a_sync_test(request):
                assert request.getfixturevalue("generator").done() is False
                assert request.getfixturevalue("synchronous").done() is True
                assert request.getfixturevalue("wide").is_running() is False
                with pytest.raises(RuntimeError):
                    asyncio.get_running_loop()
        """,
    )

    world.passes(5)


@promise("fixture.dynamic")
def test_a_fixture_requested_too_late_or_unknown_fails_as_usual(world: World) -> None:
    world.write(
        test_a="""
            import pytest

            async def test_unknown(request):
                with pytest.raises(pytest.FixtureLookupError):
                    request.getfixturevalue("nowhere")

            @pytest.fixture
            async def broken():
                raise LookupError("set-up")

            async def test_caught(request):
                with pytest.raises(LookupError, match="set-up"):
                    request.getfixturevalue("broken")

            async def test_not_caught(request):
                request.getfixturevalue("broken")
        """,
    )

    result = world.run()

    assert result.parseoutcomes() == {"passed": 2, "failed": 1}
    result.stdout.fnmatch_lines(["*LookupError: set-up"])
