"""Call functions on the loop of a synchronous client's app: the methods of anyio's portal.

https://anyio.readthedocs.io/en/stable/api.html#anyio.from_thread.BlockingPortal
"""

from __future__ import annotations

import asyncio
import inspect
from concurrent.futures import Future
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from contextlib import AbstractAsyncContextManager
    from types import TracebackType

    from pytest_asgi.client.waiting import Waiter

__tracebackhide__ = True  # a failure ends in the user's line

_T = TypeVar("_T")


class Portal:
    """Calls functions, synchronous or not, where the app runs.

    Args:
        waiter: How the client waits.
    """

    def __init__(self, waiter: Waiter) -> None:
        self._waiter = waiter
        self._tasks: set[asyncio.Task[Any]] = set()

    def call(self, func: Callable[..., Any], *args: Any) -> Any:
        """Call `func` and return its result; a coroutine function is awaited."""
        return self._waiter.run(_call(func, *args))

    def start_task_soon(
        self, func: Callable[..., Any], *args: Any, name: object = None
    ) -> Future[Any]:
        """Call `func` in a task of its own, and return its future at once."""
        return self._waiter.run(self._start(_call(func, *args), name))

    def start_task(
        self, func: Callable[..., Any], *args: Any, name: object = None
    ) -> tuple[Future[Any], Any]:
        """Call `func` in a task of its own; wait until it says `task_status.started(value)`.

        Returns:
            The future of the task, and that value.

        Raises:
            RuntimeError: The task ended without saying so.
        """
        return self._waiter.run(self._start_and_wait(func, args, name))

    def wrap_async_context_manager(
        self, cm: AbstractAsyncContextManager[_T]
    ) -> AbstractContextManager[_T]:
        """Return a synchronous context manager that enters and leaves `cm`, both in one task."""
        return _Visit(cm, self)

    def finish(self, *, cancel: bool) -> None:
        """Wait for the tasks that are left; cancel them before if so asked."""
        if self._tasks:
            self._waiter.run(self._finish(cancel=cancel))

    async def _start(self, coroutine: Coroutine[Any, Any, Any], name: object) -> _TaskFuture:
        task = asyncio.get_running_loop().create_task(
            coroutine, name=None if name is None else str(name)
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return _TaskFuture(task, self._waiter)

    async def _start_and_wait(
        self, func: Callable[..., Any], args: tuple[Any, ...], name: object
    ) -> tuple[Future[Any], Any]:
        started = asyncio.get_running_loop().create_future()
        function = partial(func, *args, task_status=_TaskStatus(started))
        future = await self._start(_call(function), func if name is None else name)
        await asyncio.wait({future.task, started}, return_when=asyncio.FIRST_COMPLETED)
        if started.done():
            return future, started.result()
        future.task.result()
        raise RuntimeError("The task ended before it called task_status.started().")

    async def _finish(self, *, cancel: bool) -> None:
        tasks = list(self._tasks)  # none, if the last ones have ended since somebody looked
        if cancel:
            for task in tasks:
                task.cancel()
        if tasks:
            await asyncio.wait(tasks)


async def _call(func: Callable[..., Any], *args: Any) -> Any:
    result = func(*args)
    return await result if inspect.isawaitable(result) else result


class _TaskStatus:
    """What a task gets to say that it has started."""

    def __init__(self, started: asyncio.Future[Any]) -> None:
        self._started = started

    def started(self, value: object = None) -> None:
        """Say so, and what came of it."""
        self._started.set_result(value)


class _TaskFuture(Future[Any]):
    """The future of a task, whose loop may run only while somebody waits for it."""

    def __init__(self, task: asyncio.Task[Any], waiter: Waiter) -> None:
        super().__init__()
        self.task = task
        self._waiter = waiter
        task.add_done_callback(self._take_outcome)

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the task and return what it returned, or raise what it raised."""
        self._wait(timeout)
        return super().result(0)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for the task and return what it raised."""
        self._wait(timeout)
        return super().exception(0)

    def cancel(self) -> bool:
        """Cancel the task and wait for its end; tell whether it was cancelled."""
        if not self.done():
            self._waiter.run(self._cancel())
        return self.cancelled()

    def _wait(self, timeout: float | None) -> None:
        if not self.done():
            self._waiter.run(asyncio.wait({self.task}, timeout=timeout))

    async def _cancel(self) -> None:
        self.task.cancel()
        await asyncio.wait({self.task})

    def _take_outcome(self, task: asyncio.Task[Any]) -> None:
        if task.cancelled():
            super().cancel()
            self.set_running_or_notify_cancel()
        elif (error := task.exception()) is not None:
            self.set_exception(error)
        else:
            self.set_result(task.result())


class _Visit(AbstractContextManager[_T]):
    """Enters and leaves an asynchronous context manager, both in one task."""

    def __init__(self, cm: AbstractAsyncContextManager[_T], portal: Portal) -> None:
        self._cm = cm
        self._portal = portal
        self._error: BaseException | None = None

    def __enter__(self) -> _T:
        self._future, value = self._portal.start_task(self._stay, name=self._cm)
        entered: _T = value
        return entered

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        self._error = exc_value
        self._portal.call(self._leave.set)
        try:
            is_handled: bool | None = self._future.result()
        except BaseException as error:
            if error is exc_value:
                return False
            raise
        return is_handled

    async def _stay(self, *, task_status: _TaskStatus) -> bool:
        self._leave = asyncio.Event()
        async with self._cm as value:
            task_status.started(value)
            await self._leave.wait()
            if self._error is not None:
                raise self._error
        return self._error is not None
