"""One task for an async fixture that outlives a test: from its set-up to its tear-down.

A fixture of a wider scope cannot live in the task of one test. Its host task runs the code before
the `yield`, waits there as long as tests use the value, and runs the code after it: cancel
scopes, task groups and timeouts can be held across the `yield`, as in a function-scoped one.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pytest_asgi.errors import FixtureError
from pytest_asgi.runner.generators import set_up, tear_down, unwind

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from contextvars import Context

__tracebackhide__ = True  # a failure ends in the user's line


class Host:
    """Keeps one async generator in one task.

    Args:
        generator: The fixture's async generator, not yet started.
        name: The fixture's name.
        context: The context that the task runs in.
        on_crash: Called when the generator has died while its value was in use.

    Attributes:
        name: The fixture's name.
        crash: What it died of.
        is_crash_told: Whether a test was reported to have failed with it.
    """

    def __init__(
        self,
        generator: AsyncGenerator[Any, None],
        *,
        name: str,
        context: Context,
        on_crash: Callable[[Host], None],
    ) -> None:
        self.crash: BaseException | None = None
        self.is_crash_told = False
        self._generator = generator
        self.name = name
        self._context = context
        self._on_crash = on_crash
        self._ready = asyncio.Event()
        self._release = asyncio.Event()
        self._value: Any = None

    async def start(self) -> Any:
        """Run the generator to its `yield` and return the value."""
        loop = asyncio.get_running_loop()
        name = f"fixture {self.name}"
        self._task = loop.create_task(self._live(), context=self._context, name=name)
        self._task.add_done_callback(lambda _: self._ready.set())
        try:
            await self._ready.wait()
        except asyncio.CancelledError:
            await self._abandon()
            raise
        if self._task.done():
            await self._task
        return self._value

    async def stop(self) -> None:
        """Run the generator to its end.

        What a crash raised is not raised again if a test was told of it.
        """
        self._release.set()
        try:
            await self._task
        except BaseException as error:
            if error is not self.crash or not self.is_crash_told:
                raise

    async def _live(self) -> None:
        self._value = await set_up(self._generator, self.name)
        self._ready.set()
        try:
            await self._release.wait()
        except asyncio.CancelledError as cancelled:
            await self._unwind(cancelled)
        else:
            await tear_down(self._generator, self.name)

    async def _unwind(self, cancelled: asyncio.CancelledError) -> None:
        # A scope that the generator holds has cancelled this task.
        try:
            await unwind(self._generator, self.name, cancelled)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - raised again below
            self.crash = error
        else:
            self.crash = ended_early(self.name)
        self._on_crash(self)
        raise self.crash

    async def _abandon(self) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task


def ended_early(name: str) -> FixtureError:
    """Return the error of a fixture that a scope of its own has ended."""
    return FixtureError(
        f"The async fixture {name!r} ended before the tests that use it.",
        why="It holds a cancel scope or a time limit across its `yield`, and that was cancelled.",
        fix="Give the limit more time, or hold it in a fixture of function scope: then it is for"
        " one test.",
    )
