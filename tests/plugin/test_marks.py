"""Marks on async tests, and what a test says of itself while it runs."""

from __future__ import annotations

from tests.plugin.world import World
from tests.promises import promise


@promise("run.asyncio-mark")
def test_the_asyncio_mark_is_accepted_with_every_loop_scope(world: World) -> None:
    world.write(
        test_a="""
            import asyncio
            import pytest

            loops = set()

            @pytest.mark.asyncio
            async def test_bare():
                loops.add(asyncio.get_running_loop())

            @pytest.mark.asyncio()
            async def test_called():
                loops.add(asyncio.get_running_loop())

            @pytest.mark.asyncio(loop_scope="function")
            async def test_function():
                loops.add(asyncio.get_running_loop())

            @pytest.mark.asyncio(loop_scope="session")
            async def test_session():
                loops.add(asyncio.get_running_loop())

            @pytest.mark.asyncio(scope="module")
            async def test_legacy_scope():
                loops.add(asyncio.get_running_loop())

            @pytest.mark.asyncio(loop_scope="class")
            class TestClass:
                async def test_class(self):
                    loops.add(asyncio.get_running_loop())

            @pytest.mark.asyncio
            def test_a_sync_test_may_carry_the_mark():
                assert len(loops) == 1
        """,
    )

    world.passes(7, "--strict-markers")


@promise("run.anyio-mark")
def test_the_anyio_mark_is_accepted_with_and_without_arguments(world: World) -> None:
    world.write(
        test_a="""
            import anyio
            import pytest

            ran = []

            @pytest.mark.anyio
            async def test_bare():
                await anyio.sleep(0)
                ran.append("bare")

            @pytest.mark.anyio()
            async def test_called():
                ran.append("called")

            @pytest.mark.anyio("asyncio")
            async def test_positional():
                ran.append("positional")

            @pytest.mark.anyio
            class TestClass:
                async def test_class(self):
                    ran.append("class")

            def test_each_ran_once():
                assert ran == ["bare", "called", "positional", "class"]
        """,
    )

    world.passes(5, "--strict-markers")


@promise("run.pytestmark")
def test_a_pytestmark_of_a_module_or_a_class_works_like_a_mark(world: World) -> None:
    text = """
        import asyncio
        import pytest

        pytestmark = {marks}

        async def test_of_the_module():
            await asyncio.sleep(0)

        class TestOther:
            pytestmark = pytest.mark.asyncio(loop_scope="class")

            async def test_of_the_class(self):
                await asyncio.sleep(0)

        async def test_that_fails():
            await asyncio.sleep(0)
            raise LookupError
    """
    world.write(
        test_asyncio=text.format(marks="pytest.mark.asyncio"),
        test_anyio=text.format(marks="pytest.mark.anyio"),
        test_list=text.format(marks="[pytest.mark.asyncio, pytest.mark.xfail(strict=False)]"),
    )

    result = world.run("--strict-markers")

    assert result.parseoutcomes() == {"passed": 4, "failed": 2, "xpassed": 2, "xfailed": 1}


@promise("run.unmarked")
def test_skip_xfail_and_fail_inside_an_async_test_mean_what_they_mean(world: World) -> None:
    world.write(
        test_a="""
            import asyncio
            import pytest

            async def test_skip():
                await asyncio.sleep(0)
                pytest.skip("not here")

            async def test_xfail():
                await asyncio.sleep(0)
                pytest.xfail("not yet")

            async def test_fail():
                await asyncio.sleep(0)
                pytest.fail("no good")

            async def test_skip_inside_a_task_group():
                async with asyncio.TaskGroup():
                    pytest.skip("not in a group either")

            @pytest.mark.xfail(raises=LookupError)
            async def test_xfail_that_raises():
                raise LookupError

            @pytest.mark.skipif(True, reason="never")
            async def test_skipif():
                raise AssertionError("ran")
        """,
    )

    result = world.run("-rs")

    assert result.parseoutcomes() == {"skipped": 3, "xfailed": 2, "failed": 1}
    result.stdout.fnmatch_lines(
        ["SKIPPED * test_a.py:*: not here", "SKIPPED * test_a.py:*: not in a group either"]
    )
