"""Async tests with subtests, with a result, with a `yield`; and the tests of unittest."""

from __future__ import annotations

import pytest

from tests.plugin.world import World
from tests.promises import promise


@promise("run.subtests")
@pytest.mark.skipif(pytest.version_tuple < (9, 0), reason="the fixture came with pytest 9")
def test_subtests_work_inside_async_tests(world: World) -> None:
    world.write(
        test_a="""
            import asyncio
            import pytest

            @pytest.fixture
            async def limit():
                yield 2

            async def test_numbers(subtests, limit):
                for number in range(4):
                    with subtests.test(msg="number", number=number):
                        await asyncio.sleep(0)
                        assert number < limit

            async def test_groups(subtests):
                with subtests.test("inside a task group"):
                    async with asyncio.TaskGroup() as group:
                        await group.create_task(asyncio.sleep(0))
        """,
    )

    result = world.run()

    result.stdout.fnmatch_lines(
        [
            "SUBFAILED?number? (number=2) test_a.py::test_numbers - assert 2 < 2",
            "SUBFAILED?number? (number=3) test_a.py::test_numbers - assert 3 < 2",
        ]
    )
    assert result.parseoutcomes() == {"failed": 3, "passed": 1}


@promise("run.returns")
def test_a_test_that_returns_something_is_warned_about(world: World) -> None:
    world.write(
        test_a="""
            async def test_that_forgot_to_assert():
                return 1 == 2

            async def test_that_returns_nothing():
                return None
        """,
    )

    refused = world.run()

    assert refused.parseoutcomes() == {"passed": 1, "failed": 1}
    if not hasattr(pytest, "PytestReturnNotNoneWarning"):
        return  # pytest 8.4.0 fails such a test, whatever the filters
    shown = world.run("-Wdefault")
    assert shown.parseoutcomes() == {"passed": 2, "warnings": 1}
    shown.stdout.fnmatch_lines(
        ["*PytestReturnNotNoneWarning*test_that_forgot_to_assert*<class 'bool'>*"]
    )


@promise("run.generator-test")
def test_an_async_generator_test_fails_and_says_why(world: World) -> None:
    world.write(
        test_a="""
            import pytest

            async def test_with_a_yield():
                yield

            @pytest.mark.asyncio
            @pytest.mark.parametrize("number", [1, 2])
            async def test_marked(number):
                yield number

            class TestClass:
                async def test_method(self):
                    yield
        """,
    )

    result = world.run()

    assert result.parseoutcomes() == {"failed": 4}
    result.stdout.fnmatch_lines(["*test_with_a_yield is an async generator*", "*fixture*"])
    assert "never awaited" not in result.stdout.str() + result.stderr.str()


@promise("run.unittest")
def test_an_isolated_asyncio_test_case_is_left_alone(world: World) -> None:
    world.write(
        test_a="""
            import asyncio
            import unittest
            from greenlet import getcurrent

            loops = []

            async def test_ours_first():
                loops.append(asyncio.get_running_loop())

            class TestTheirs(unittest.IsolatedAsyncioTestCase):
                async def asyncSetUp(self):
                    self.loop = asyncio.get_running_loop()
                    assert getcurrent().parent is None

                async def test_own_loop(self):
                    await asyncio.sleep(0)
                    assert asyncio.get_running_loop() is self.loop
                    assert self.loop not in loops

                async def test_that_fails(self):
                    self.assertEqual(1, 2)

                async def asyncTearDown(self):
                    assert asyncio.get_running_loop() is self.loop

            async def test_ours_afterwards():
                assert asyncio.get_running_loop() in loops
        """,
    )

    result = world.run()

    assert result.parseoutcomes() == {"passed": 3, "failed": 1}
    result.stdout.fnmatch_lines(["*AssertionError: 1 != 2"])
