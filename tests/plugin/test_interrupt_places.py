"""Ctrl-C finds a test anywhere: in its own code, in its fixtures, in a thread or a child."""

from __future__ import annotations

import sys

import pytest

from tests.plugin.interrupting import CONFTEST, EVERYTHING, interrupt, tags_in
from tests.plugin.world import World
from tests.promises import promise

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a process cannot be sent Ctrl-C")

_PLACES = {
    "synchronous code of the test": """
        async def test_it(whole):
            ready()
            threading.Event().wait()
    """,
    "a synchronous test with async fixtures": """
        def test_it(whole):
            ready()
            threading.Event().wait()
    """,
    "a thread that the test waits for": """
        async def test_it(whole):
            done = threading.Event()

            def work():
                ready()
                done.wait()

            try:
                await asyncio.to_thread(work)
            finally:
                done.set()
    """,
    "children of the test": """
        async def test_it(whole):
            async with asyncio.TaskGroup() as group:
                group.create_task(asyncio.Event().wait())
                ready_when_waiting()
    """,
    "a test that swallows the cancellation": """
        async def test_it(whole):
            ready_when_waiting()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
    """,
    "set-up of a fixture": """
        @pytest.fixture
        async def slow(whole):
            ready_when_waiting()
            await asyncio.Event().wait()
            yield

        async def test_it(slow):
            print("<ran>")
    """,
    "set-up of a wider fixture": """
        @pytest.fixture(scope="module")
        async def slow(async_session, sync_session, sync_module, async_module):
            try:
                ready_when_waiting()
                await asyncio.Event().wait()
                yield
            finally:
                await asyncio.sleep(0)
                print("<slow>")

        async def test_it(async_function, sync_function, slow):
            print("<ran>")
    """,
    "set-up of a plain wider fixture": """
        @pytest.fixture(scope="module")
        async def slow(async_session, sync_session, sync_module, async_module):
            ready_when_waiting()
            await asyncio.Event().wait()

        async def test_it(async_function, sync_function, slow):
            print("<ran>")
    """,
    "tear-down of a fixture": """
        @pytest.fixture
        async def slow(whole):
            yield
            ready_when_waiting()
            await asyncio.Event().wait()

        async def test_it(slow):
            pass
    """,
}
_IMPORTS = """
        import asyncio
        import contextlib
        import threading
        import pytest
        from conftest import ready, ready_when_waiting
"""
_NEXT = """
        async def test_next():
            print("<next>")
"""


@promise("interrupt.once")
@pytest.mark.parametrize("place", _PLACES)
def test_it_finds_a_test_anywhere(world: World, place: str) -> None:
    world.write(conftest=CONFTEST, test_a=_IMPORTS + _PLACES[place] + _NEXT)

    code, output, errors = interrupt(world)

    tags = tags_in(output)
    tags.pop("<held>", None)
    if "<slow>" in _PLACES[place]:  # not only when the loop is closed
        assert tags.pop("<slow>") == 1
        assert output.index("<slow>") < output.index("<async module>")
    # Fixtures that come after the slow one in the order of scopes were never set up.
    never = {"<async function>", "<sync function>"} if "wider" in place else set()
    assert tags == {tag: 1 for tag in EVERYTHING if tag not in never}, output
    assert code == pytest.ExitCode.INTERRUPTED
    assert "KeyboardInterrupt" in output
    assert errors == ""
