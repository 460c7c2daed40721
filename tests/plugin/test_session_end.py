"""What runs until the loop is closed, and fails then, is shown."""

from __future__ import annotations

import pytest

from tests.plugin.world import World
from tests.promises import promise

_LEFTOVERS = """
    import asyncio
    import sys
    import pytest

    kept = []

    async def fails_late(error):
        try:
            await asyncio.Event().wait()
        finally:
            raise error

    async def endless():
        try:
            while True:
                yield
        finally:
            raise LookupError("in a generator")

    async def test_culprit():
        kept.append(asyncio.create_task(fails_late(LookupError("in a task"))))
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def test_with_a_generator():
        kept.append(endless())
        await anext(kept[-1])

    @pytest.fixture(scope="session")
    async def wide():
        kept.append(asyncio.create_task(fails_late(LookupError("of a fixture"))))
        kept.append(asyncio.create_task(asyncio.Event().wait()))
        await asyncio.sleep(0)

    async def test_exits(wide):
        kept.append(asyncio.create_task(fails_late(SystemExit("in an exit"))))
        await asyncio.sleep(0)

    def test_last():
        pass
"""


@promise("background.exception")
@pytest.mark.parametrize("arguments", [(), ("-n1",)], ids=["here", "in-a-worker"])
@pytest.mark.parametrize("last", ["def", "async def"])
def test_what_is_cancelled_at_the_end_and_raises_is_an_error_of_the_last_tear_down(
    world: World, arguments: tuple[str, ...], last: str
) -> None:
    world.write(test_a=_LEFTOVERS.replace("def test_last", f"{last} test_last"))

    result = world.run(*arguments, plugins=("xdist.plugin",))

    assert result.parseoutcomes() == {"passed": 4, "errors": 1}, result.stdout.str()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    output = result.stdout.str()
    assert "ERROR at teardown of test_last" in output
    assert "in the background (4 sub-exceptions)" in output
    for text in (
        "LookupError: in a task",
        "LookupError: in a generator",
        "LookupError: of a fixture",
        "SystemExit: in an exit",
    ):
        assert output.count(f"| {text}\n") == 1
    assert "(started by test_a.py::test_culprit)" in output
    assert "(started by test_a.py::test_exits)" in output
    assert result.stderr.str() == ""


@promise("background.exception")
def test_the_last_tear_downs_own_failure_tells_what_failed_with_it(world: World) -> None:
    world.write(
        test_a="""
            import asyncio
            import pytest

            async def fails_late():
                try:
                    await asyncio.Event().wait()
                finally:
                    raise LookupError("in a task")

            @pytest.fixture
            async def resource():
                yield
                raise RuntimeError("in the tear-down")

            async def test_it(resource):
                test_it.task = asyncio.create_task(fails_late())
                await asyncio.sleep(0)
        """,
    )

    result = world.run()

    assert result.parseoutcomes() == {"passed": 1, "errors": 1}, result.stdout.str()
    result.stdout.fnmatch_lines(
        [
            "*RuntimeError: in the tear-down",
            "*Meanwhile, in the background:*",
            "*LookupError: in a task",
        ]
    )


@promise("background.exception")
def test_the_end_comes_after_the_tear_down_of_a_session_that_stops_early(world: World) -> None:
    world.write(
        test_a="""
            import asyncio
            import pytest

            @pytest.fixture(scope="session")
            async def whole():
                async with asyncio.TaskGroup() as group:
                    stop = asyncio.Event()
                    group.create_task(stop.wait())
                    yield
                    stop.set()
                print("<torn down>")

            async def fails_late():
                try:
                    await asyncio.Event().wait()
                finally:
                    raise LookupError("in a task")

            async def test_culprit(whole):
                test_culprit.task = asyncio.create_task(fails_late())
                await asyncio.sleep(0)

            async def test_fails():
                assert 1 == 2

            async def test_never_reached():
                raise AssertionError("ran")
        """,
    )

    result = world.run("-x", "-s")

    assert result.parseoutcomes() == {"passed": 1, "failed": 1, "errors": 1}, result.stdout.str()
    assert result.stdout.str().count("<torn down>\n") == 1
    result.stdout.fnmatch_lines(["*ERROR at teardown of test_fails*", "*LookupError: in a task"])


@promise("background.exception", "interrupt.once")
def test_what_fails_after_an_interrupt_is_at_least_written_to_stderr(world: World) -> None:
    world.write(
        test_a="""
            import asyncio
            import pytest

            async def fails_late():
                try:
                    await asyncio.Event().wait()
                finally:
                    raise LookupError("in a task")

            async def test_culprit():
                test_culprit.task = asyncio.create_task(fails_late())
                await asyncio.sleep(0)

            def test_interrupted():
                raise KeyboardInterrupt
        """,
    )

    result = world.run()

    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stderr.fnmatch_lines(["*LookupError: in a task"])


@promise("background.exception")
def test_what_is_cancelled_at_the_end_and_ends_is_no_failure(world: World) -> None:
    world.write(
        test_a="""
            import asyncio

            async def ends(log):
                try:
                    await asyncio.Event().wait()
                finally:
                    await asyncio.sleep(0)
                    print("<ended>")

            async def numbers():
                try:
                    yield 1
                finally:
                    await asyncio.sleep(0)
                    print("<closed>")

            async def test_it():
                test_it.kept = [asyncio.create_task(ends([])), numbers()]
                await anext(test_it.kept[1])
        """,
    )

    result = world.run("-s")

    assert result.parseoutcomes() == {"passed": 1}
    assert result.stdout.str().count("<ended>") == result.stdout.str().count("<closed>") == 1
    assert result.stderr.str() == ""
