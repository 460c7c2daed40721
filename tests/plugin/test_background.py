"""Exceptions that nobody awaited fail the test that caused them."""

from __future__ import annotations

import re

from tests.plugin.world import World
from tests.promises import promise


@promise("background.exception")
def test_a_forgotten_task_a_callback_and_a_future_fail_the_test_that_made_them(
    world: World,
) -> None:
    world.write(
        test_a="""
            import asyncio
            import gc

            async def broken():
                await asyncio.sleep(0)
                raise LookupError("in a task")

            def callback():
                raise LookupError("in a callback")

            async def test_task():
                asyncio.create_task(broken())
                for _ in range(3):
                    await asyncio.sleep(0)
                gc.collect()

            async def test_callback():
                asyncio.get_running_loop().call_soon(callback)
                await asyncio.sleep(0)

            async def test_late_callback():
                asyncio.get_running_loop().call_soon(callback)

            async def test_future():
                future = asyncio.get_running_loop().create_future()
                future.set_exception(LookupError("in a future"))
                del future
                gc.collect()

            def test_sync_is_well():
                pass

            async def test_async_is_well():
                await asyncio.sleep(0)
        """,
    )

    result = world.run()

    outcomes = result.parseoutcomes()
    assert outcomes.pop("passed") in (2, 3)  # the late one is reported at its tear-down
    assert sum(outcomes.values()) == 4
    for name, place in {
        "test_task": "in a task",
        "test_callback": "in a callback",
        "test_late_callback": "in a callback",
        "test_future": "in a future",
    }.items():
        result.stdout.fnmatch_lines([f"*{name} - LookupError: {place}*"])
    result.stdout.fnmatch_lines(
        ['*raise LookupError("in a task")', "*started by test_a.py::test_task*"]
    )


@promise("background.exception")
def test_the_test_that_started_it_is_blamed_even_when_a_later_one_is_running(
    world: World,
) -> None:
    world.write(
        test_a="""
            import asyncio
            import gc

            go = None

            async def test_culprit():
                global go
                go = asyncio.Event()
                async def broken():
                    await go.wait()
                    raise LookupError("late")
                test_culprit.task = asyncio.create_task(broken())

            async def test_innocent():
                go.set()
                del test_culprit.task
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                gc.collect()
        """,
    )

    result = world.run()

    assert result.ret == 1
    result.stdout.fnmatch_lines(["*LookupError: late*"])
    assert "(started by test_a.py::test_culprit)" in result.stdout.str()


@promise("background.exception")
def test_a_failing_test_tells_what_failed_in_the_background_meanwhile(world: World) -> None:
    world.write(
        test_a="""
            import asyncio

            def callback():
                raise LookupError("the real cause")

            async def test_fails():
                asyncio.get_running_loop().call_soon(callback)
                await asyncio.sleep(0)
                assert 1 == 2

            async def test_two_at_once():
                for _ in range(2):
                    asyncio.get_running_loop().call_soon(callback)
                await asyncio.sleep(0)
        """,
    )

    result = world.run()

    assert result.parseoutcomes() == {"failed": 2}
    result.stdout.fnmatch_lines(
        ["*assert 1 == 2", "*Meanwhile, in the background:*", "*LookupError: the real cause*"]
    )
    result.stdout.fnmatch_lines(["*in the background (2 sub-exceptions)*"])


@promise("background.exception")
def test_what_a_fixture_or_a_tear_down_leaves_behind_is_reported(world: World) -> None:
    world.write(
        test_a="""
            import asyncio
            import pytest

            def callback():
                raise LookupError("left behind")

            @pytest.fixture
            async def at_set_up():
                asyncio.get_running_loop().call_soon(callback)

            @pytest.fixture
            async def at_tear_down():
                yield
                asyncio.get_running_loop().call_soon(callback)

            @pytest.fixture(scope="module")
            async def at_wide_tear_down():
                yield
                asyncio.get_running_loop().call_soon(callback)
                await asyncio.sleep(0)

            async def test_set_up(at_set_up):
                await asyncio.sleep(0)

            def test_sync(at_set_up):
                pass

            async def test_tear_down(at_tear_down):
                pass

            async def test_wide(at_wide_tear_down):
                pass
        """,
    )

    result = world.run()

    outcomes = result.parseoutcomes()
    assert outcomes.get("failed", 0) + outcomes.get("errors", 0) == 4, result.stdout.str()
    assert len(re.findall(r"^E +LookupError: left behind", result.stdout.str(), re.MULTILINE)) == 4


@promise("background.exception")
def test_exceptions_that_somebody_handles_fail_nothing(world: World) -> None:
    world.write(
        test_a="""
            import asyncio
            import gc
            import pytest

            async def broken():
                raise LookupError

            async def test_awaited():
                task = asyncio.create_task(broken())
                with pytest.raises(LookupError):
                    await task

            async def test_gathered():
                results = await asyncio.gather(broken(), broken(), return_exceptions=True)
                assert [type(result) for result in results] == [LookupError, LookupError]

            async def test_looked_at():
                task = asyncio.create_task(broken())
                await asyncio.wait([task])
                assert isinstance(task.exception(), LookupError)

            async def test_cancelled():
                task = asyncio.create_task(asyncio.Event().wait())
                await asyncio.sleep(0)
                task.cancel()

            async def test_own_handler():
                loop, seen = asyncio.get_running_loop(), []
                before = loop.get_exception_handler()
                loop.set_exception_handler(lambda loop, context: seen.append(context))
                asyncio.create_task(broken())
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                gc.collect()
                loop.set_exception_handler(before)
                assert isinstance(seen[0]["exception"], LookupError)

            async def test_at_the_end():
                gc.collect()
        """,
    )

    result = world.run()

    assert result.parseoutcomes() == {"passed": 6}
    assert result.stderr.str() == ""


@promise("background.exception")
def test_a_background_failure_can_be_expected(world: World) -> None:
    world.write(
        test_a="""
            import asyncio
            import pytest

            def callback():
                raise LookupError

            @pytest.mark.xfail(raises=LookupError, strict=True)
            async def test_expected():
                asyncio.get_running_loop().call_soon(callback)
                await asyncio.sleep(0)
        """,
    )

    result = world.run()

    assert result.parseoutcomes() == {"xfailed": 1}
