"""A task that awaits one thing after another: all that a test and its fixtures wait for."""

from __future__ import annotations

import inspect
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

import trio

from pytest_asgi.adapters.trio.private_trio import raise_in

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextvars import Context

    from pytest_asgi.adapters.trio.run import TrioRun
    from pytest_asgi.runner.bridge import Bridge

__tracebackhide__ = True  # a failure ends in the user's line

T = TypeVar("T")


class PatientTask:
    """One task of a run, in one context, that waits until it is given something to await.

    While it has nothing to do nothing can cancel it. If a scope is cancelled that a fixture holds
    open, what is awaited next notices it.

    Args:
        run: The run of trio.
        bridge: Lets synchronous code below what is awaited wait as well.
        name: The task's name.
        context: The context it lives in; nobody has entered it.
        passenger: Whom the bridge tells that the code belongs to.

    Attributes:
        is_interrupted: Whether Ctrl-C was pressed and the task does not know it yet.
        task: The task itself, once it has begun.
    """

    def __init__(
        self, run: TrioRun, bridge: Bridge, *, name: str, context: Context, passenger: object
    ) -> None:
        self.is_interrupted = False
        self._run = run
        self._bridge = bridge
        self._name = name
        self._context = context
        self._passenger = passenger
        self.task: trio.lowlevel.Task | None = None
        self._due: list[Callable[[], BaseException]] = []
        self._is_waited_for = False
        self._is_over = False

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self._is_over

    def wait_for(self, awaitable: Awaitable[T]) -> T:
        """Await something in the task, and return what it returns."""
        if self._bridge.is_here:
            return self._wait_inside(awaitable)
        if self._run.is_elsewhere:
            return self._run.wait_beside(awaitable)
        job = _Job(awaitable)
        try:
            self._run.wait(partial(self._give, job), task=self)
        finally:
            job.forget()
        return job.take_outcome()

    def interrupt(self, make: Callable[[], BaseException]) -> None:
        """Raise an exception where the task waits; to be called in the run.

        If that cannot be, it is raised at the end of what is awaited.
        """

        def made() -> BaseException:
            self._due.remove(make)
            self.is_interrupted = False
            return make()

        self._due.append(make)
        if self.task is not None and self._is_waited_for:
            raise_in(self.task, made)

    def take_back(self, make: Callable[[], BaseException]) -> None:
        """Take back what `interrupt` was given and what was not raised yet."""
        self._due = [due for due in self._due if due is not make]

    def end(self) -> None:
        """Let the task end, when the run goes on."""
        self._is_over = True
        if self.task is not None:
            self._run.dismiss(self.task)

    # --- in the run ------------------------------------------------------------------------------

    def _give(self, job: _Job[Any]) -> trio.Event:
        if self.task is None:
            trio.lowlevel.spawn_system_task(
                self._live, job, name=self._name, context=self._context
            )
        else:
            self._run.wake(self.task, job)
        return job.is_over

    async def _live(self, job: _Job[Any] | None) -> None:
        self.task = trio.lowlevel.current_task()
        while job is not None:
            self._is_waited_for = True
            await job.do(partial(self._bridge.run, passenger=self._passenger), self._wait_inside)
            self._is_waited_for = False
            job.is_over.set()
            job = await self._run.park()

    def _wait_inside(self, awaitable: Awaitable[T]) -> T:
        value = self._bridge.wait(awaitable)
        if self._due:
            make = self._due.pop(0)
            self.is_interrupted = False
            raise make()
        return value


class _Job(Generic[T]):
    """Something to await, and what came of it."""

    def __init__(self, awaitable: Awaitable[T]) -> None:
        self.is_over = trio.Event()
        self._awaitable = awaitable
        self._value: T | None = None
        self._error: BaseException | None = None

    async def do(self, run: Any, wait: Callable[[Awaitable[T]], T]) -> None:
        try:
            self._value = await run(partial(wait, self._awaitable))
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            self._error = error

    def forget(self) -> None:
        """Close what was not begun, or Python would warn that nobody awaited it."""
        if not self.is_over.is_set() and inspect.iscoroutine(self._awaitable):
            self._awaitable.close()

    def take_outcome(self) -> T:
        if not self.is_over.is_set():
            raise RuntimeError("trio's run has ended before what was waited for was over.")
        error, self._error = self._error, None
        if error is None:
            return cast("T", self._value)
        try:
            raise error
        finally:
            del error  # the traceback holds this frame: leave no cycle behind
