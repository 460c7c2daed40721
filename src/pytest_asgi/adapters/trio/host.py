"""One task of trio for an async fixture that outlives a test: from its set-up to its tear-down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import trio

from pytest_asgi.adapters.trio.cancellation import is_cancellation
from pytest_asgi.runner.generators import set_up, tear_down, unwind
from pytest_asgi.runner.host import ended_early

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine
    from contextvars import Context

__tracebackhide__ = True  # a failure ends in the user's line


class TrioHost:
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
        on_crash: Callable[[TrioHost], None],
    ) -> None:
        self.name = name
        self.crash: BaseException | None = None
        self.is_crash_told = False
        self._generator = generator
        self._on_crash = on_crash
        self._release = trio.Event()
        self._task = OwnTask(self._live, name=f"fixture {name}", context=context)

    async def start(self) -> Any:
        """Run the generator to its `yield` and return the value."""
        return await self._task.start()

    async def stop(self) -> None:
        """Run the generator to its end.

        What a crash raised is not raised again if a test was told of it.
        """
        self._release.set()
        try:
            await self._task.join()
        except BaseException as error:
            if error is not self.crash or not self.is_crash_told:
                raise

    async def _live(self) -> None:
        self._task.begin(await set_up(self._generator, self.name))
        try:
            await self._release.wait()
        except trio.Cancelled as cancelled:
            await self._unwind(cancelled)
        else:
            await tear_down(self._generator, self.name)

    async def _unwind(self, cancelled: trio.Cancelled) -> None:
        # A scope that the generator holds has cancelled this task.
        try:
            await unwind(self._generator, self.name, cancelled)
        except BaseException as error:
            if is_cancellation(error):
                raise
            self.crash = error
        else:
            self.crash = ended_early(self.name)
        self._on_crash(self)
        raise self.crash


class OwnTask:
    """A task of its own, in a context that is given, which somebody waits for.

    Args:
        function: What it runs; it may call `begin`.
        name: The task's name.
        context: The context that it lives in.
    """

    def __init__(
        self, function: Callable[[], Coroutine[Any, Any, Any]], *, name: str, context: Context
    ) -> None:
        self._function = function
        self._name = name
        self._context = context
        self._is_begun = trio.Event()
        self._is_over = trio.Event()
        self._scope = trio.CancelScope()
        self._value: Any = None
        self._error: BaseException | None = None

    async def start(self) -> Any:
        """Begin it, and return what it gives to `begin`, or else returns.

        Who is cancelled meanwhile takes it along.
        """
        trio.lowlevel.spawn_system_task(self._run, name=self._name, context=self._context)
        try:
            await self._is_begun.wait()
        except BaseException:
            self._scope.cancel()
            with trio.CancelScope(shield=True):
                await self._is_over.wait()
            raise
        if self._error is not None:
            raise self._error
        return self._value

    def begin(self, value: object) -> None:
        """Give a value to who waits for it, and go on."""
        self._value = value
        self._is_begun.set()

    async def join(self) -> None:
        """Wait for its end; raise what it has raised."""
        await self._is_over.wait()
        if self._error is not None:
            raise self._error

    async def _run(self) -> None:
        try:
            with self._scope:
                value = await self._function()
                if not self._is_begun.is_set():
                    self._value = value
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            self._error = error
        finally:
            self._is_begun.set()
            self._is_over.set()


async def run_in(coroutine: Coroutine[Any, Any, Any], *, name: str, context: Context) -> Any:
    """Run a coroutine in a task of its own, which lives in `context`."""

    async def wait() -> Any:
        return await coroutine

    return await OwnTask(wait, name=name, context=context).start()
