"""trio: a run of it in a thread, for the apps of synchronous clients."""

from __future__ import annotations

from concurrent.futures import Future, wait
from contextlib import suppress
from threading import Thread, current_thread
from typing import TYPE_CHECKING, Any, TypeVar

from pytest_asgi.client.sync_portal import Portal

try:
    import trio
    from anyio.from_thread import BlockingPortal
except ModuleNotFoundError as error:
    from pytest_asgi.errors import MissingExtraError

    raise MissingExtraError(
        f"TestClient needs the package {error.name!r} for trio, which is not installed.",
        why='With `backend="trio"` it runs the app on trio in a thread, and calls it by anyio.',
        fix="Install both with\n\n    pip install trio anyio",
    ) from error

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from contextlib import AbstractAsyncContextManager, AbstractContextManager

__tracebackhide__ = True  # a failure ends in the user's line

_T = TypeVar("_T")


class TrioLoop:
    """A run of trio that a thread keeps going all the time.

    Args:
        options: What `trio.run` takes beside the function.

    Attributes:
        portal: What calls functions there.
    """

    def __init__(self, options: dict[str, Any]) -> None:
        self._begun: Future[BlockingPortal] = Future()
        self._thread = Thread(
            target=self._serve, args=(options,), name="pytest-asgi trio", daemon=True
        )
        self._thread.start()
        self._calls = self._begun.result()
        self.portal = TrioPortal(self._calls)

    def run(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        """Run `coroutine` to its end and return its result."""
        future = self._calls.start_task_soon(_capture, coroutine)
        try:
            result, error = future.result()
        except BaseException:
            future.cancel()  # Ctrl-C, for instance
            raise
        if error is not None:
            raise error
        captured: _T = result
        return captured

    def close(self) -> None:
        """Cancel what still runs, and end the thread."""
        # This may be the garbage collector, in any thread: also in another run of trio, where
        # nothing may wait for an answer.
        with suppress(trio.RunFinishedError):
            self._token.run_sync_soon(self._end.set)
        if current_thread() is not self._thread:
            self._thread.join()

    def _serve(self, options: dict[str, Any]) -> None:
        try:
            trio.run(self._live, **options)
        except BaseException as error:
            if self._begun.done():
                raise
            self._begun.set_exception(error)

    async def _live(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        self._end = trio.Event()
        async with BlockingPortal() as portal:
            self._begun.set_result(portal)
            await self._end.wait()
            await portal.stop(cancel_remaining=True)


class TrioPortal(Portal):
    """anyio's portal, whose tasks can be finished.

    Args:
        portal: anyio's own.
    """

    def __init__(self, portal: BlockingPortal) -> None:
        self._portal = portal
        self._futures: list[Future[Any]] = []

    def call(self, func: Callable[..., Any], *args: Any) -> Any:
        """Call `func` and return its result; a coroutine function is awaited."""
        return self._portal.call(func, *args)

    def start_task_soon(
        self, func: Callable[..., Any], *args: Any, name: object = None
    ) -> Future[Any]:
        """Call `func` in a task of its own, and return its future at once."""
        future: Future[Any] = self._portal.start_task_soon(func, *args, name=name)
        self._futures.append(future)
        return future

    def start_task(
        self, func: Callable[..., Any], *args: Any, name: object = None
    ) -> tuple[Future[Any], Any]:
        """Call `func` in a task of its own; wait until it says `task_status.started(value)`."""
        future, value = self._portal.start_task(func, *args, name=name)
        self._futures.append(future)
        return future, value

    def wrap_async_context_manager(
        self, cm: AbstractAsyncContextManager[_T]
    ) -> AbstractContextManager[_T]:
        """Return a synchronous context manager that enters and leaves `cm`, both in one task."""
        return self._portal.wrap_async_context_manager(cm)

    def finish(self, *, cancel: bool) -> None:
        """Wait for the tasks that are left; cancel them before if so asked."""
        futures = self._futures[:]
        self._futures.clear()
        if cancel:
            for future in futures:
                future.cancel()
        wait(futures)


async def _capture(coroutine: Coroutine[Any, Any, _T]) -> tuple[_T | None, BaseException | None]:
    """Return what a coroutine returns, and what it raises: some of that would end trio's run."""
    try:
        return await coroutine, None
    except trio.Cancelled:
        raise
    except BaseException as error:  # noqa: BLE001 - raised where the coroutine is waited for
        return None, error
