"""Async tests on several workers."""

from __future__ import annotations

import pytest

from tests.plugin.world import World
from tests.promises import promise

_FILE = """
    import asyncio
    import pytest

    @pytest.fixture(scope="session")
    async def loop_of_session():
        yield asyncio.get_running_loop()
        assert asyncio.get_running_loop().is_running()

    @pytest.mark.xdist_group("one")
    @pytest.mark.parametrize("number", range(3))
    async def test_number(number, loop_of_session):
        await asyncio.sleep(0)
        assert asyncio.get_running_loop() is loop_of_session

    async def test_that_fails():
        await asyncio.sleep(0)
        raise LookupError("on a worker")
"""


@promise("run.xdist", "loop.one")
@pytest.mark.parametrize(
    "mode", ["load", "loadscope", "loadfile", "loadgroup", "worksteal", "each", "no"]
)
def test_each_distribution_mode_runs_every_async_test(world: World, mode: str) -> None:
    world.write(test_a=_FILE, test_b=_FILE)

    result = world.run("-n2", f"--dist={mode}", plugins=("xdist.plugin",))

    times = 2 if mode == "each" else 1
    assert result.parseoutcomes() == {"passed": 6 * times, "failed": 2 * times}
    result.stdout.fnmatch_lines(["*LookupError: on a worker"])
    assert "Traceback" not in result.stderr.str()
