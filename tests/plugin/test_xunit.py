"""Async `setup_method`, `teardown_module` and their like."""

from __future__ import annotations

from tests.plugin.world import World
from tests.promises import promise

_HOLDING = """
    import asyncio

    class TestClass:
        async def setup_method(self):
            self.task = asyncio.current_task()
            self.timeout = asyncio.timeout(60)
            await self.timeout.__aenter__()

        async def teardown_method(self):
            assert asyncio.current_task() is self.task
            await self.timeout.__aexit__(None, None, None)

        {kind}def test_method(self):
            assert not self.timeout.expired()

    async def setup_function(function):
        function.task = asyncio.current_task()
        function.group = await asyncio.TaskGroup().__aenter__()

    async def teardown_function(function):
        assert asyncio.current_task() is function.task
        await function.group.__aexit__(None, None, None)

    {kind}def test_function():
        pass
"""


@promise("run.xunit")
def test_each_of_the_eight_functions_may_be_async(world: World) -> None:
    world.write(
        test_a="""
            import asyncio

            log = []

            async def setup_module():
                await asyncio.sleep(0)
                log.append("setup_module")

            async def teardown_module(module):
                await asyncio.sleep(0)
                log.append("teardown_module")
                print(*module.log)

            async def setup_function(function):
                await asyncio.sleep(0)
                log.append("setup_" + function.__name__)

            async def teardown_function():
                await asyncio.sleep(0)
                log.append("teardown_function")

            async def test_function():
                log.append("function")

            class TestClass:
                @classmethod
                async def setup_class(cls):
                    await asyncio.sleep(0)
                    cls.shared = "shared"

                @classmethod
                async def teardown_class(cls):
                    await asyncio.sleep(0)
                    log.append("teardown_class")

                async def setup_method(self, method):
                    await asyncio.sleep(0)
                    self.name = method.__name__

                async def teardown_method(self):
                    await asyncio.sleep(0)
                    log.append("teardown_method")

                async def test_async(self):
                    assert self.shared == "shared"
                    assert self.name == "test_async"
                    log.append("async")

                def test_sync(self):
                    assert self.name == "test_sync"
                    log.append("sync")
        """,
    )

    result = world.run("-s")

    assert result.parseoutcomes() == {"passed": 3}
    words = (
        "setup_module setup_test_function function teardown_function"
        " async teardown_method sync teardown_method teardown_class teardown_module"
    )
    result.stdout.fnmatch_lines([f"*{words}*"])


@promise("run.xunit")
def test_sync_and_static_ones_work_as_before(world: World) -> None:
    world.write(
        test_a="""
            import asyncio
            import unittest

            log = []

            def setup_module(module):
                log.append(module.__name__)

            class TestClass:
                @staticmethod
                async def setup_class():
                    log.append("static")

                def setup_method(self):
                    log.append("sync")

                @staticmethod
                async def teardown_method(method):
                    log.append(method.__name__)

                async def test_async(self):
                    assert log == ["test_a", "static", "sync"]

                def test_sync(self):
                    assert log[3:] == ["test_async", "sync"]

            class TestInherits(TestClass):
                async def setup_method(self):
                    super().setup_method()
                    log.append("async")

                async def test_async(self):
                    assert log[-2:] == ["sync", "async"]

                test_sync = None
        """,
    )

    world.passes(3)


@promise("run.xunit", "fixture.teardown-errors")
def test_their_errors_are_reported_where_they_happen(world: World) -> None:
    world.write(
        test_a="""
            import asyncio

            class TestSetUp:
                async def setup_method(self):
                    await asyncio.sleep(0)
                    raise LookupError("set-up")

                async def test_async(self):
                    raise AssertionError("ran")

                def test_sync(self):
                    raise AssertionError("ran")

            class TestTearDown:
                async def teardown_method(self):
                    await asyncio.sleep(0)
                    raise LookupError("tear-down")

                async def test_async(self):
                    pass

                @classmethod
                async def teardown_class(cls):
                    raise LookupError("class")

            async def teardown_module():
                raise LookupError("module")
        """,
    )

    result = world.run()

    assert result.parseoutcomes() == {"errors": 3, "passed": 1}
    for place in ("set-up", "tear-down", "class", "module"):
        result.stdout.fnmatch_lines([f"*LookupError: {place}*"])


@promise("run.xunit", "task.one")
def test_set_up_and_tear_down_of_an_async_test_share_its_task(world: World) -> None:
    world.write(test_a=_HOLDING.format(kind="async "))

    world.passes(2)


@promise("run.xunit", "task.one")
def test_set_up_and_tear_down_of_a_sync_test_share_one_task(world: World) -> None:
    world.write(test_a=_HOLDING.format(kind=""))

    world.passes(2)
