"""A second loop, made by user code, is explained in the failure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.promises import promise

if TYPE_CHECKING:
    from tests.plugin.world import World


@promise("loop.foreign")
def test_an_object_of_another_loop_is_named_with_where_that_loop_was_made(world: World) -> None:
    world.write(
        repository="""
            import asyncio

            async def connect():
                return asyncio.get_running_loop().create_future()

            pool = asyncio.run(connect())
        """,
        test_a="""
            import asyncio
            import repository

            async def test_query():
                await repository.pool

            async def test_well():
                await asyncio.sleep(0)
        """,
    )

    result = world.run()

    assert result.parseoutcomes() == {"failed": 1, "passed": 1}, result.stdout.str()
    result.stdout.fnmatch_lines(["*RuntimeError: *attached to a different loop*"])
    result.stdout.fnmatch_lines(["*repository.pool*", "*repository.py:7*asyncio.run*"])


@promise("loop.foreign")
def test_a_loop_that_the_first_conftest_makes_is_known_too(world: World) -> None:
    world.write(
        conftest="""
            import asyncio

            async def connect():
                return asyncio.get_running_loop().create_future()

            pool = asyncio.run(connect())
        """,
        test_a="""
            import conftest

            async def test_query():
                await conftest.pool
        """,
    )

    result = world.run()

    assert result.parseoutcomes() == {"failed": 1}, result.stdout.str()
    result.stdout.fnmatch_lines(["*conftest.pool*", "*made by asyncio.run at conftest.py:7*"])


@promise("loop.foreign")
def test_loops_are_watched_for_only_while_the_session_lasts(world: World) -> None:
    world.write(
        conftest="""
            import asyncio

            asyncio.run(asyncio.sleep(0))
        """,
        test_a="",
    )
    world.pytester.makepyfile(
        runs="""
            import asyncio
            import sys
            import pytest

            construct = asyncio.BaseEventLoop.__init__
            for arguments in (["--help"], ["--no-such-option"], []):
                pytest.main(["-ppytest_asgi.plugin", "-q", *arguments])
                assert "ImportWatch" not in [type(each).__name__ for each in sys.meta_path]
                assert asyncio.BaseEventLoop.__init__ is construct, arguments
        """
    )

    result = world.pytester.runpython(world.pytester.path / "runs.py")

    assert result.ret == 0, result.stderr.str()


@promise("loop.foreign")
def test_other_failures_get_no_such_note(world: World) -> None:
    world.write(
        test_a="""
            async def test_fails():
                raise RuntimeError("of my own")
        """,
    )

    result = world.run()

    assert result.parseoutcomes() == {"failed": 1}
    assert "loop" not in result.stdout.str().partition("FAILURES")[2]
