"""The debugger, in async tests."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.plugin.world import World
from tests.promises import promise

_FAILING = """
    import asyncio
    import pytest

    @pytest.fixture
    async def resource():
        yield "held"
        await asyncio.sleep(0)
        print("<torn down>")

    async def test_fails(resource):
        secret = 6 * 7
        await asyncio.sleep(0)
        assert secret == 0

    async def test_next():
        await asyncio.sleep(0)
        print("<next>")
"""


def _debug(world: World, commands: str, *arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-mpytest", "-ppytest_asgi.plugin", "-Werror", *arguments],
        cwd=world.pytester.path,
        input=commands,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHON_COLORS": "0", "TERM": "dumb"},
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout


@promise("run.pytest-options")
def test_pdb_stops_where_an_async_test_failed_and_goes_on(world: World) -> None:
    world.write(test_a=_FAILING)

    code, output = _debug(world, "p 'secret is', secret\np resource\nc\n", "--pdb", "-s")

    assert "('secret is', 42)" in output
    assert "'held'" in output
    assert "assert secret == 0" in output.partition("(Pdb)")[0]
    assert output.count("<torn down>") == output.count("<next>") == 1
    assert "1 failed, 1 passed" in output
    assert code == pytest.ExitCode.TESTS_FAILED


@promise("run.pytest-options")
def test_quitting_pdb_tears_down_and_ends_the_session(world: World) -> None:
    world.write(test_a=_FAILING)

    code, output = _debug(world, "q\n", "--pdb", "-s")

    assert output.count("<torn down>") == 1
    assert "<next>" not in output
    assert "Quitting debugger" in output
    assert code == pytest.ExitCode.INTERRUPTED


_BREAKPOINT = """
    import asyncio
    import pytest

    @pytest.fixture
    async def resource():
        yield "held"
        await asyncio.sleep(0)
        print("<torn down>")

    async def test_stops(resource):
        secret = 6 * 7
        breakpoint()
        await asyncio.sleep(0)
        print("<went on>")

    async def test_next():
        print("<next>")
"""


@promise("run.pytest-options")
def test_a_breakpoint_in_an_async_test_stops_there_and_goes_on(world: World) -> None:
    world.write(test_a=_BREAKPOINT)

    code, output = _debug(world, "p 'secret is', secret\nn\nn\nc\n")

    assert "('secret is', 42)" in output
    assert code == pytest.ExitCode.OK
    assert "2 passed" in output


@promise("run.pytest-options")
def test_quitting_at_a_breakpoint_tears_down_and_ends_the_session(world: World) -> None:
    world.write(test_a=_BREAKPOINT)

    code, output = _debug(world, "q\n", "-s")

    assert output.count("<torn down>") == 1
    assert "<went on>" not in output
    assert "<next>" not in output
    assert code == pytest.ExitCode.INTERRUPTED


_TRACED = """
    import asyncio
    import pytest

    @pytest.fixture
    async def resource():
        yield "held"
        await asyncio.sleep(0)
        print("<torn down>")

    async def test_first(resource):
        secret = 6 * 7
        await asyncio.sleep(0)
        secret += 1
        print("<went on>")

    @pytest.mark.parametrize("number", [1])
    async def test_second(number):
        await asyncio.sleep(0)
        print("<went on>")

    def test_sync():
        print("<went on>")
"""


@promise("run.pytest-options")
def test_trace_stops_in_the_first_line_of_every_test_async_or_not(world: World) -> None:
    world.write(test_a=_TRACED)

    commands = "p resource\nn\nn\nn\np 'secret is', secret\nc\np number\nc\nc\n"
    code, output = _debug(world, commands, "--trace", "-s")

    stops = [line for line in output.splitlines() if line.startswith("-> ")]
    assert stops == [
        "-> secret = 6 * 7",
        "-> await asyncio.sleep(0)",
        "-> secret += 1",
        '-> print("<went on>")',
        "-> await asyncio.sleep(0)",
        '-> print("<went on>")',
    ]
    assert "'held'" in output
    assert "('secret is', 43)" in output
    assert output.count("<went on>\n") == 3
    assert output.count("<torn down>") == 1
    assert "3 passed" in output
    assert code == pytest.ExitCode.OK


@promise("run.pytest-options")
def test_trace_leaves_a_failure_and_what_hypothesis_runs_as_they_are(world: World) -> None:
    world.write(
        test_a="""
            import asyncio
            from hypothesis import given, settings, strategies

            async def test_fails():
                await asyncio.sleep(0)
                assert 1 == 2

            @given(strategies.just(1))
            @settings(max_examples=2, database=None)
            async def test_examples(number):
                await asyncio.sleep(0)
        """
    )

    code, output = _debug(world, "c\nc\n", "--trace", "-s")

    assert "1 failed, 1 passed" in output
    assert ">       assert 1 == 2" in output
    assert code == pytest.ExitCode.TESTS_FAILED


@promise("run.pytest-options")
def test_quitting_a_trace_tears_down_and_ends_the_session(world: World) -> None:
    world.write(test_a=_TRACED)

    code, output = _debug(world, "q\n", "--trace", "-s")

    assert output.count("<torn down>") == 1
    assert "<went on>\n" not in output
    assert code == pytest.ExitCode.INTERRUPTED
