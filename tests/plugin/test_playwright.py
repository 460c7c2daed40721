"""Playwright's synchronous API beside async tests."""

from __future__ import annotations

from tests.plugin.world import World
from tests.promises import promise

# What Playwright's synchronous API does: a greenlet of its own runs a loop, and switches back to
# the caller from inside it, so that its loop stays the thread's running loop: code in that loop
# asks for it when the greenlet goes on.
_PLAYWRIGHT = """
    import asyncio
    from greenlet import getcurrent, greenlet

    class Playwright:
        def __init__(self):
            self._main = getcurrent()
            self._loop = asyncio.new_event_loop()
            self._stop = asyncio.Event()
            self._dispatcher = greenlet(self._run)
            self._dispatcher.switch()

        def _run(self):
            self._loop.run_until_complete(self._serve())
            self._loop.close()

        async def _serve(self):
            self._loop.call_soon(self._main.switch)
            await self._stop.wait()

        def ask(self, value):
            caller = getcurrent()
            async def work():
                assert asyncio.get_running_loop() is self._loop
                await asyncio.sleep(0)
                return value
            task = self._loop.create_task(work())
            task.add_done_callback(lambda _: caller.switch())
            while not task.done():
                self._dispatcher.switch()
            asyncio._set_running_loop(self._loop)
            return task.result()

        def stop(self):
            self._stop.set()
            self._loop.call_soon(lambda: None)
            self._dispatcher.switch()
"""


@promise("sync.foreign-loop")
def test_a_loop_that_playwright_left_on_the_thread_does_no_harm(world: World) -> None:
    world.write(
        playwright_like=_PLAYWRIGHT,
        conftest="""
            import asyncio
            import pytest
            from playwright_like import Playwright

            @pytest.fixture(scope="session")
            def page():
                playwright = Playwright()
                yield playwright
                playwright.stop()

            @pytest.fixture
            async def user():
                await asyncio.sleep(0)
                yield "user"
                await asyncio.sleep(0)

            @pytest.fixture(scope="session")
            async def server():
                await asyncio.sleep(0)
                yield asyncio.get_running_loop()
                await asyncio.sleep(0)
        """,
        test_a="""
            import asyncio

            async def test_async_before(server):
                await asyncio.sleep(0)

            def test_sync(page):
                assert page.ask(1) == 1
                assert asyncio.get_running_loop() is page._loop

            async def test_async_after(server):
                await asyncio.sleep(0)
                assert asyncio.get_running_loop() is server

            def test_sync_again(page):
                assert page.ask(2) == 2

            def test_sync_with_an_async_fixture(user, server, page):
                assert user == "user"
                assert page.ask(3) == 3

            async def test_async_at_the_end(user, server):
                assert asyncio.get_running_loop() is server
        """,
        test_b="""
            import asyncio

            def test_sync_in_another_module(page):
                assert page.ask(4) == 4

            async def test_async(user, server):
                await asyncio.gather(asyncio.sleep(0), asyncio.sleep(0))
        """,
    )

    world.passes(8)


@promise("sync.foreign-loop")
def test_playwright_may_be_started_by_an_async_test_or_last_to_its_end(world: World) -> None:
    world.write(
        playwright_like=_PLAYWRIGHT,
        test_a="""
            import asyncio
            import pytest
            from playwright_like import Playwright

            @pytest.fixture(scope="module")
            def page():
                playwright = Playwright()
                yield playwright
                playwright.stop()

            @pytest.fixture
            async def user():
                loop = asyncio.get_running_loop()
                yield loop
                assert asyncio.get_running_loop() is loop

            async def test_async_starts_it(page, user):
                await asyncio.sleep(0)
                assert asyncio.get_running_loop() is user
                assert page._loop is not user

            async def test_async_again(page, user):
                await asyncio.sleep(0)
                assert asyncio.get_running_loop() is user

            def test_sync_uses_it(page):
                assert page.ask(1) == 1
        """,
    )

    world.passes(3)
