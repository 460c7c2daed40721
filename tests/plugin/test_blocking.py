"""`asgi_blocking`: a call that keeps the loop from going on is named, with the test."""

from __future__ import annotations

import importlib.util

import pytest

from tests.plugin.world import World
from tests.promises import promise

SUITE = """
    import asyncio
    import time
    import pytest
    from fastapi import FastAPI

    main = FastAPI()

    @main.get("/blocking")
    async def blocking():
        return calculate()

    def calculate():
        time.sleep(0.3)

    @main.get("/threaded")
    def threaded():
        time.sleep(0.3)

    @pytest.fixture(scope="session")
    def app():
        return main

    @pytest.fixture
    def slow():
        time.sleep(0.3)

    @pytest.mark.asgi(blocking="off")
    async def test_warm(client):
        await client.get("/threaded")

    async def test_blocks(client):
        await client.get("/blocking")

    def test_blocks_synchronously(client):
        client.get("/blocking")

    async def test_blocks_itself():
        time.sleep(0.3)

    async def test_in_a_thread(client):
        await client.get("/threaded")

    async def test_slow_fixture(slow): ...

    def test_synchronous():
        time.sleep(0.3)

    @pytest.mark.asgi(blocking="error:150")
    async def test_many_short_steps():
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            time.sleep(0.001)
            await asyncio.sleep(0)

    @pytest.mark.asgi(blocking="off")
    async def test_allowed():
        time.sleep(0.3)
"""


@promise("hang.blocking")
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_call_that_blocks_the_loop_fails_its_test(world: World, loop: str) -> None:
    pytest.importorskip(loop)
    world.write(test_a=SUITE)

    result = world.run("--asgi-blocking=error", f"--asgi-loop={loop}")

    assert result.parseoutcomes() == {"failed": 3, "passed": 6}, result.stdout.str()
    for test, line in (
        ("blocks", "test_a.py:14 in calculate"),
        ("blocks_synchronously", "test_a.py:14 in calculate"),
        ("blocks_itself", "test_a.py:39 in test_blocks_itself"),
    ):
        result.stdout.fnmatch_lines(
            [
                "*BlockedLoopError: A call has kept the loop from going on for * seconds:",
                f"*{line}",
                f"*The test is test_a.py::test_{test}.",
                "*allows 100 ms.",
            ]
        )


@promise("hang.blocking")
def test_it_is_a_warning_at_the_line_if_that_is_asked_for(world: World) -> None:
    world.configure("asgi_blocking = warn:50")
    world.write(test_a=SUITE)

    result = world.run("-Wdefault", "-k", "blocks")

    assert result.parseoutcomes() == {"passed": 3, "deselected": 6, "warnings": 3}
    result.stdout.fnmatch_lines(
        ["test_a.py::test_blocks", "*test_a.py:14: AsgiWarning: A call has kept the loop *"]
    )


def test_a_test_that_fails_otherwise_has_it_in_a_note(world: World) -> None:
    world.write(
        test_a="""
            import time

            async def test_a():
                time.sleep(0.3)
                raise LookupError("as well")
        """
    )

    result = world.run("--asgi-blocking=error")

    result.stdout.fnmatch_lines(
        ["E *LookupError: as well", "E *A call has kept the loop from going on for * seconds:"]
    )


# Says no to two functions, in the way of the real one.
STAND_IN = """
    import asyncio
    import os
    import time

    class BlockingError(Exception): ...

    class Function:
        def __init__(self, module, name):
            self.module, self.name, self.original = module, name, getattr(module, name)
            self.can_block_predicate = lambda *arguments, **options: False

        def activate(self):
            setattr(self.module, self.name, self.call)

        def deactivate(self):
            setattr(self.module, self.name, self.original)

        def call(self, *arguments, **options):
            try:
                asyncio.get_running_loop()
            except RuntimeError:
                return self.original(*arguments, **options)
            if self.can_block_predicate(*arguments, **options):
                return self.original(*arguments, **options)
            raise BlockingError(f"Blocking call to {self.module.__name__}.{self.name}")

    class BlockBuster:
        def __init__(self):
            self.functions = {
                "time.sleep": Function(time, "sleep"), "os.listdir": Function(os, "listdir")
            }

        def activate(self):
            for function in self.functions.values():
                function.activate()

        def deactivate(self):
            for function in self.functions.values():
                function.deactivate()
"""


@promise("hang.blocking")
def test_strict_lets_blockbuster_refuse_at_once_but_not_our_own_work(world: World) -> None:
    if importlib.util.find_spec("blockbuster") is None:
        world.write(blockbuster=STAND_IN)
    world.write(
        test_a="""
            import os
            import time
            import pytest
            from fastapi import FastAPI

            @pytest.fixture
            def app():
                app = FastAPI()

                @app.get("/")
                def root():
                    time.sleep(0.001)

                return app

            def test_synchronous(client):
                time.sleep(0.001)
                assert client.get("/").status_code == 200

            async def test_in_a_thread(client):
                assert (await client.get("/")).status_code == 200

            async def test_sleeps():
                time.sleep(0.001)

            async def test_lists():
                os.listdir()
        """,
    )

    result = world.run("--asgi-blocking=strict")

    assert result.parseoutcomes() == {"failed": 2, "passed": 2}, result.stdout.str()
    result.stdout.fnmatch_lines(
        ["E *BlockingError: Blocking call to time.sleep", "E *Blocking call to os.listdir"]
    )


def test_strict_without_blockbuster_says_what_to_install(world: World) -> None:
    world.write(
        conftest="""
            import sys

            sys.modules["blockbuster"] = None
        """,
        test_a="async def test_a(): ...",
    )

    result = world.run("--asgi-blocking=strict")

    assert result.parseoutcomes() == {"failed": 1}, result.stdout.str()
    result.stdout.fnmatch_lines(
        ["*MissingExtraError: *strict needs blockbuster.", "*pip install *"]
    )
