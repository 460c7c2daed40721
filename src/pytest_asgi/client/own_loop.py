"""A loop of a client's own, where nobody gives it one or it must not be shared."""

from __future__ import annotations

import asyncio
import sys
import threading
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

from pytest_asgi.client.end_of_main import watch_the_end
from pytest_asgi.loop_driver import LoopDriver, inside_the_loop, outside_loops

if TYPE_CHECKING:
    from collections.abc import Coroutine

__tracebackhide__ = True  # a failure ends in the user's line

_T = TypeVar("_T")

# What `use_uvloop` means, as in anyio.
UVLOOP = "winloop" if sys.platform == "win32" else "uvloop"


class OwnLoop:
    """A loop that runs only while somebody waits, in the thread of whoever does.

    Args:
        options: `debug` and `loop_factory`, as in `asyncio.Runner`; or `use_uvloop`.
    """

    def __init__(self, options: dict[str, Any]) -> None:
        self._runner = _make_runner(options)
        self._driver = LoopDriver(self._runner.get_loop())
        watch_the_end().add(self._driver)

    def run(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        """Run `coroutine` to its end and return its result."""
        if self._driver.is_in_this_thread:
            coroutine.close()
            raise inside_the_loop()
        return outside_loops(lambda: self._run_here(coroutine))

    def close(self) -> None:
        """Cancel what still runs, and close the loop."""
        outside_loops(self._runner.close)

    def _run_here(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        if not self._driver.begin():
            return self._driver.wait_beside(coroutine)
        task = self._driver.loop.create_task(coroutine)
        try:
            return self._driver.run_until_complete(task)
        except BaseException:
            if not task.done():  # Ctrl-C, for instance: let it end, and do what it has to do then
                task.cancel()
                with suppress(asyncio.CancelledError):
                    self._driver.run_until_complete(task)
            raise
        finally:
            self._driver.end()


class BackgroundLoop:
    """A loop that a thread runs all the time.

    Args:
        options: `debug` and `loop_factory`, as in `asyncio.Runner`; or `use_uvloop`.
    """

    def __init__(self, options: dict[str, Any]) -> None:
        self._runner = _make_runner(options)
        self._loop = self._runner.get_loop()
        self._is_ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="pytest-asgi", daemon=True)
        self._thread.start()
        self._is_ready.wait()

    def run(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        """Run `coroutine` to its end and return its result."""
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()  # Ctrl-C, for instance
            raise

    def close(self) -> None:
        """Cancel what still runs, close the loop, and end the thread."""
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()

    def _serve(self) -> None:
        with self._runner:
            self._runner.run(self._live())

    async def _live(self) -> None:
        self._end = asyncio.Event()
        self._is_ready.set()
        await self._end.wait()


def _make_runner(options: dict[str, Any]) -> asyncio.Runner:
    # A factory keeps the runner from setting the thread's loop for everybody else.
    factory = options.get("loop_factory")
    if factory is None and options.get("use_uvloop"):
        factory = import_module(UVLOOP).new_event_loop
    return asyncio.Runner(
        debug=options.get("debug"), loop_factory=factory or asyncio.new_event_loop
    )
