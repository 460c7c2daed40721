"""Ctrl-C in a running test: it is cancelled and everything is torn down, once."""

from __future__ import annotations

import signal
import sys

import pytest

from tests.plugin.interrupting import (
    CONFTEST,
    EVERYTHING,
    finish,
    interrupt,
    start,
    tags_in,
    wait_for,
)
from tests.plugin.world import World
from tests.promises import promise

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a process cannot be sent Ctrl-C")

_WAITING = """
    import asyncio
    from conftest import ready, ready_when_waiting

    async def test_it(whole):
        try:
            ready_when_waiting()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            print("<cancelled>")
            await asyncio.sleep(0)
            raise

    async def test_next():
        print("<next>")
"""


@promise("interrupt.once")
def test_a_waiting_test_is_cancelled_and_every_tear_down_runs_once(world: World) -> None:
    world.write(conftest=CONFTEST, test_a=_WAITING)

    code, output, errors = interrupt(world)

    assert tags_in(output) == {"<cancelled>": 1, "<held>": 1, **EVERYTHING}, output
    assert code == pytest.ExitCode.INTERRUPTED
    assert "KeyboardInterrupt" in output
    assert errors == ""


@promise("interrupt.once")
def test_one_in_a_tear_down_and_another_in_the_next_leave_the_wider_ones_alone(
    world: World,
) -> None:
    world.write(
        conftest=CONFTEST,
        test_a="""
            import asyncio
            from pathlib import Path
            import pytest
            from conftest import ready_when_waiting

            @pytest.fixture(scope="module")
            async def hangs_too(async_session, sync_session):
                yield
                asyncio.get_running_loop().call_soon(Path("hanging").touch)
                await asyncio.Event().wait()

            @pytest.fixture
            async def hangs(hangs_too, async_module, sync_module):
                yield
                ready_when_waiting()
                await asyncio.Event().wait()

            async def test_it(hangs):
                pass
        """,
    )
    process = start(world)
    process.send_signal(signal.SIGINT)
    wait_for(world.pytester.path / "hanging", process)

    process.send_signal(signal.SIGINT)
    code, output, errors = finish(process)

    assert code == pytest.ExitCode.INTERRUPTED, output + errors
    tags = tags_in(output)
    assert tags["<async module>"] == tags["<sync module>"] == 1
    assert set(tags.values()) == {1}
    assert "never awaited" not in output + errors


@promise("interrupt.once")
def test_a_second_one_ends_a_test_that_blocks_the_loop_in_a_child(world: World) -> None:
    world.write(
        conftest=CONFTEST,
        test_a="""
            import asyncio
            import signal
            import threading
            import time
            from pathlib import Path
            from conftest import ready

            async def test_it(whole):
                async def child():
                    ready()
                    while not signals:
                        time.sleep(0.01)
                    Path("hanging").touch()
                    threading.Event().wait()

                signals = []
                ours = signal.getsignal(signal.SIGINT)
                def handle(number, frame):
                    signals.append(number)
                    ours(number, frame)
                signal.signal(signal.SIGINT, handle)
                await asyncio.create_task(child())
        """,
    )
    process = start(world)
    process.send_signal(signal.SIGINT)
    wait_for(world.pytester.path / "hanging", process)

    process.send_signal(signal.SIGINT)
    code, output, errors = finish(process)

    assert code == pytest.ExitCode.INTERRUPTED, output + errors
    tags = tags_in(output)
    tags.pop("<held>", None)
    assert tags == EVERYTHING, output


@promise("interrupt.once")
def test_a_sync_test_beside_async_ones_is_interrupted_as_ever(world: World) -> None:
    world.write(
        conftest=CONFTEST,
        test_a="""
            import threading
            from conftest import ready, ready_when_waiting

            async def test_async(whole):
                pass

            def test_sync(sync_function):
                ready()
                threading.Event().wait()
        """,
    )

    code, output, errors = interrupt(world)

    expected = {**EVERYTHING, "<held>": 1, "<sync function>": 2}
    assert tags_in(output) == expected, output
    assert code == pytest.ExitCode.INTERRUPTED
    assert errors == ""


@promise("interrupt.once")
@pytest.mark.parametrize(
    "statement",
    ["raise KeyboardInterrupt", "pytest.exit('enough')", "group.create_task(interrupts())"],
)
def test_an_interrupt_or_exit_raised_by_the_code_itself_tears_down_once(
    world: World, statement: str
) -> None:
    world.write(
        conftest=CONFTEST,
        test_a=f"""
            import asyncio
            import pytest

            async def interrupts():
                raise KeyboardInterrupt

            async def test_it(whole):
                await asyncio.sleep(0)
                group = whole
                {statement}
                await asyncio.sleep(0)
                await asyncio.sleep(0)

            async def test_next():
                print("<next>")
        """,
    )

    result = world.run("-s")

    tags = tags_in(result.stdout.str())
    tags.pop("<held>", None)
    assert tags == EVERYTHING, result.stdout.str()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert result.stderr.str() == ""
