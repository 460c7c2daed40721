"""A bell to wait for and a task beside the caller's, on asyncio or trio, without anyio.

Trio and anyio are looked up and never imported: a program that has not imported them does not
run on them.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
from contextlib import nullcontext
from contextvars import ContextVar, copy_context
from typing import TYPE_CHECKING, Any, Protocol

from pytest_asgi.asgi.stacks import describe_wait

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterator
    from contextlib import AbstractContextManager
    from contextvars import Context

__tracebackhide__ = True  # a failure ends in the user's line

_MISSING: Any = object()

# asyncio is told of an abandoned generator, makes a task that closes it, and runs that.
_TURNS_OF_A_GENERATOR = 3

# What the tasks that a task starts have in common with it: a context that says whose they are.
_origin: ContextVar[object] = ContextVar("pytest_asgi_origin", default=None)


class Flag(Protocol):
    """Something that is raised once and can be waited for."""

    def set(self) -> object:
        """Raise the flag and wake everyone who waits."""

    def is_set(self) -> bool:
        """Tell whether the flag is up."""

    async def wait(self) -> object:
        """Return as soon as the flag is up."""


def make_flag() -> Flag:
    """Return a flag of the library that runs the caller."""
    trio = _running_trio()
    flag: Flag = asyncio.Event() if trio is None else trio.Event()
    return flag


async def wait_for_flag(flag: Flag, timeout: float | None) -> bool:  # noqa: ASYNC109 - both libraries
    """Wait until the flag is up, at most `timeout` seconds; tell whether it is."""
    if timeout is None:
        await flag.wait()
        return True
    trio = _running_trio()
    if trio is not None:
        with trio.move_on_after(timeout):
            await flag.wait()
    else:
        try:
            async with asyncio.timeout(timeout):
                await flag.wait()
        except TimeoutError:
            pass
    return flag.is_set()


async def let_others_run() -> None:
    """Give every other task that is ready a turn."""
    trio = _running_trio()
    if trio is None:
        await asyncio.sleep(0)
    else:
        await trio.lowlevel.checkpoint()


async def abandon_generators(release: Callable[[], None]) -> None:
    """Let the async generators that only `release` keeps alive run to their end.

    On trio they are kept: it complains of those that end before its run does.
    """
    if _running_trio() is None:
        release()
        for _ in range(_TURNS_OF_A_GENERATOR):
            await asyncio.sleep(0)


class Bell:
    """Wakes everyone who waits for it, as often as it rings."""

    def __init__(self) -> None:
        self._flag: Flag | None = None
        self._waiting: list[asyncio.Future[None]] = []

    def ring(self) -> None:
        """Wake whoever waits now."""
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            for future in waiting:
                if not future.done():  # its task may have been cancelled
                    future.set_result(None)
        if self._flag is not None:
            self._flag.set()
            self._flag = None

    async def wait(self, timeout: float | None = None) -> bool:  # noqa: ASYNC109 - see above
        """Wait for the next ring, at most `timeout` seconds; tell whether it came."""
        if timeout is None and _running_trio() is None:
            # An event costs as much as all the rest of a message.
            future = asyncio.get_running_loop().create_future()
            self._waiting.append(future)
            try:
                await future
            except BaseException:
                if future in self._waiting:
                    self._waiting.remove(future)
                raise
            return True
        if self._flag is None:
            self._flag = make_flag()
        return await wait_for_flag(self._flag, timeout)


class AppTask:
    """One coroutine in a task of its own; what it raises is kept for whoever asks.

    The task gets a copy of the context it is started in, as every task does.

    Attributes:
        coroutine: What the task runs, to be looked at.
        exception: What it raised; `None` while it runs and if it returned.
        was_cancelled: Whether `cancel` was called before it had ended.
    """

    def __init__(
        self, function: Callable[[], Awaitable[None]], *, on_finished: Callable[[], None]
    ) -> None:
        self.exception: BaseException | None = None
        self.was_cancelled = False
        self._origin = object()
        self._context = copy_context()
        self._context.run(_origin.set, self._origin)
        self._initial = self._adopted = self._context.copy()
        self.coroutine: Coroutine[Any, Any, None] = self._run(function)
        self._on_finished = on_finished
        self._finished = make_flag()
        self._trio = trio = _running_trio()
        self._scope = _make_scope(trio)
        if trio is None:
            self._task = asyncio.get_running_loop().create_task(
                self.coroutine, context=self._context
            )
            self._task.add_done_callback(lambda _: self._note_end())
        else:
            self._task = trio.lowlevel.spawn_system_task(
                lambda: self.coroutine, context=self._context
            )

    @property
    def has_begun(self) -> bool:
        """Whether the coroutine has had its first turn."""
        return inspect.getcoroutinestate(self.coroutine) != inspect.CORO_CREATED

    @property
    def is_finished(self) -> bool:
        """Whether the coroutine returned, raised or was cancelled."""
        return self._finished.is_set()

    async def wait(self, timeout: float | None = None) -> bool:  # noqa: ASYNC109 - see above
        """Wait for the end, whatever it is, at most `timeout` seconds; tell whether it came."""
        return await wait_for_flag(self._finished, timeout)

    async def cancel(self) -> None:
        """Cancel the coroutine and wait for its end, even while the caller is being cancelled."""
        if self.is_finished:
            return
        self.was_cancelled = True
        # Through a scope where there is one: an exception that the app raises while it is being
        # cancelled, from a worker thread for instance, then wins over the cancellation.
        if self._scope is not None:
            self._scope.cancel()
        else:
            self._task.cancel()
        with _make_shield(self._trio):
            await self.wait()

    def adopt_context(self) -> None:
        """Set, where the caller is, the context variables that the coroutine has set.

        As if the caller had awaited the coroutine. What is adopted once is not adopted again, so
        that what the caller itself has set since then stays.
        """
        adopted, self._adopted = self._adopted, self._context.copy()
        _copy_changes(adopted, self._adopted)

    def share_context(self) -> None:
        """Set, where the caller is, all context variables that the coroutine has set so far."""
        _copy_changes(self._initial, self._context)

    def describe_wait(self) -> str:
        """Return where the coroutine waits, and the tasks that it has started."""
        return describe_wait(self.coroutine, self._children())

    def _children(self) -> Iterator[tuple[str, Any]]:
        if self._trio is not None:
            yield from _below(self._task)
            return
        if sys.version_info < (3, 12):
            return  # A task does not tell its context, so nobody knows who started it.
        for task in asyncio.all_tasks():
            if task.get_context().get(_origin) is self._origin:
                yield task.get_name(), task.get_coro()

    async def _run(self, function: Callable[[], Awaitable[None]]) -> None:
        try:
            with self._scope if self._scope is not None else nullcontext():
                await function()
        # All there is: an app that calls `sys.exit()`, or `pytest.fail()` in one of its
        # dependencies, must end the test that waits for it, not the loop under everybody.
        except BaseException as error:
            if not (self.was_cancelled and isinstance(error, asyncio.CancelledError)):
                self.exception = error
            if isinstance(error, self._passing()):
                raise
        finally:
            self._finish()

    def _passing(self) -> tuple[type[BaseException], ...]:
        """Return what the loop has to see too: the user's Ctrl-C, and its own end."""
        if self._trio is None:
            return KeyboardInterrupt, GeneratorExit
        return self._trio.Cancelled, GeneratorExit

    def _note_end(self) -> None:
        """Take note of a task that was cancelled before its first turn."""
        if not self.is_finished:
            if not self.was_cancelled:
                self.exception = asyncio.CancelledError()
            self._finish()

    def _finish(self) -> None:
        self._finished.set()
        self._on_finished()
        del self._on_finished  # Mostly a method of who owns the task: no cycle stays.


def _copy_changes(before: Context, after: Context) -> None:
    """Set the variables that differ between the two contexts, where the caller is."""
    for variable, value in after.items():
        if before.get(variable, _MISSING) is not value:
            variable.set(value)


def _below(task: Any) -> Iterator[tuple[str, Any]]:
    """Yield the names and coroutines of all tasks of trio below `task`."""
    for nursery in task.child_nurseries:
        for child in nursery.child_tasks:
            yield child.name, child.coro
            yield from _below(child)


def _make_scope(trio: Any | None) -> Any | None:
    """Return a cancel scope of the library in use; `None` for asyncio alone."""
    library = sys.modules.get("anyio") if trio is None else trio
    make = getattr(library, "CancelScope", None)  # A library may be half imported.
    return None if make is None else make()


def _make_shield(trio: Any | None) -> AbstractContextManager[Any]:
    """Return a block that a cancelled scope around it does not interrupt.

    asyncio alone interrupts once, and who comes here has been.
    """
    scope = _make_scope(trio)
    if scope is None:
        return nullcontext()
    scope.shield = True
    shield: AbstractContextManager[Any] = scope
    return shield


def _running_trio() -> Any | None:
    """Return the trio module if the caller runs on trio."""
    trio = sys.modules.get("trio")
    return trio if trio is not None and trio.lowlevel.in_trio_run() else None
