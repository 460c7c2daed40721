"""The one loop of a session: made when first needed, shared by everything, closed at the end."""

from __future__ import annotations

import asyncio
import threading
from asyncio import AbstractEventLoop
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar, cast

from pytest_asgi import events
from pytest_asgi.loop_driver import LoopDriver, inside_the_loop
from pytest_asgi.runner.background import BackgroundFailures, Owner, owner
from pytest_asgi.runner.bridge import Bridge, passenger
from pytest_asgi.runner.contexts import (
    can_enter,
    copy_changes,
    current_context,
    return_to,
    shareable_context,
)
from pytest_asgi.runner.deadlock import DeadlockWatch
from pytest_asgi.runner.host import Host
from pytest_asgi.runner.interrupts import Interrupts
from pytest_asgi.runner.running_loop import hidden_running_loop, swap_running_loop
from pytest_asgi.runner.waiters import Waiter

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterator
    from contextvars import Context
    from types import FrameType

    from pytest_asgi.runner.clock.virtual_time import VirtualTime

__tracebackhide__ = True  # a failure ends in the user's line

T = TypeVar("T")


class Home(NamedTuple):
    """The thread that runs the tests, and the context that it has at the start of the session."""

    thread: int
    context: Context

    @property
    def is_here(self) -> bool:
        """Whether the caller runs in that thread."""
        return threading.get_ident() == self.thread


class SessionLoop:
    """Runs coroutines from synchronous code, and tests in a task and a context of their own.

    Args:
        factory: Makes the event loop.
        home: Where the tests run. The loop may be needed first in a thread that a test has made.
        debug: Whether the loop runs in asyncio's debug mode.
    """

    def __init__(
        self, factory: Callable[[], AbstractEventLoop], *, home: Home, debug: bool = False
    ) -> None:
        self.background = BackgroundFailures()
        self._outside = Waiter()
        self._driven = self._outside
        self._tests: dict[str, RunningTest[Any]] = {}
        self._interrupts = Interrupts()
        self._bridge = Bridge()
        self._deadlocks = DeadlockWatch(self._bridge.find_waits)
        self._runner = asyncio.Runner(loop_factory=factory, debug=debug or None)
        self._loop: AbstractEventLoop | None = None
        self._home = home
        self._entered_context: Context | None = None
        self._making = threading.Lock()

    @property
    def is_made(self) -> bool:
        """Whether anything has needed the loop yet."""
        return self._loop is not None

    @property
    def loop(self) -> AbstractEventLoop:
        """The event loop itself."""
        return self._loop or self._make_once()

    def run(self, awaitable: Awaitable[T]) -> T:
        """Wait for `awaitable` in synchronous code, wherever that code runs.

        Below a test's task the task is suspended; outside of the loop the loop runs until the
        awaitable is done, in whichever thread that is; while it runs other threads wait.

        Raises:
            BridgeError: The caller runs in the loop, but not in a test's own task; or it waits in
                another thread, and the loop's thread waits as well.
            KeyboardInterrupt: Ctrl-C was pressed.
        """
        return self._wait(awaitable) if self._bridge.is_here else self._run_outside(awaitable)

    def _run_outside(self, awaitable: Awaitable[T]) -> T:
        loop, driver = self.loop, self._driver
        if loop.is_running() and (driver.is_in_this_thread or not driver.is_taken):
            if asyncio.iscoroutine(awaitable):
                awaitable.close()  # or it would warn that nobody awaited it
            raise inside_the_loop()
        if not self._home.is_here or not driver.begin():
            return driver.wait_beside(_coroutine(awaitable))
        try:
            context = _enterable(current_context())
            return self._run_until_complete(
                _coroutine(awaitable), context, run=driver.run_until_complete
            )
        finally:
            driver.end()

    def run_test(self, function: Callable[[], T], *, context: Context, name: str) -> T:
        """Run synchronous code in a new task of its own, below which `run` suspends that task."""
        self._driver.begin(wait=True)
        try:
            return self._finish(self._start(function, context, name))
        finally:
            self._driver.end()

    def start_test(
        self, function: Callable[[], T], *, context: Context, name: str
    ) -> RunningTest[T]:
        """Make the task of a test; it takes its steps whenever the loop runs."""
        if self._driver.is_in_this_thread:  # beside another test, which runs the loop
            return self._start(function, context, name)
        self._driver.begin(wait=True)
        try:
            return self._start(function, context, name)
        finally:
            self._driver.end()

    def finish_test(self, test: RunningTest[T]) -> T:
        """Run the loop until a test is over; return what its function returned."""
        self._driver.begin(wait=True)
        try:
            return self._finish(test)
        finally:
            self._driver.end()

    def _start(self, function: Callable[[], T], context: Context, name: str) -> RunningTest[T]:
        owner = context.run(become_owner, name, context)
        self.background.begin(owner)
        self._outside.crashes.clear()  # their fixtures raise them when they are torn down
        self._driver.dismiss_root()
        test: RunningTest[T] = RunningTest(owner)
        self._tests[name] = test
        coroutine = self._capture(function, test)
        test.task = self.loop.create_task(coroutine, context=context, name=name)
        return test

    def _finish(self, test: RunningTest[T]) -> T:
        assert test.owner is not None
        assert test.task is not None
        self.background.running = test.owner
        try:
            self._drive(test, test.task, self._run_until_over)
        finally:
            self._tests.pop(test.owner.name, None)
            self.background.end(test.owner, self.loop)
        return test.take_outcome()

    def host(
        self,
        generator: AsyncGenerator[Any, None],
        *,
        name: str,
        on_crash: Callable[[Host], None],
    ) -> Host:
        """Return a host for an async generator that outlives the running test."""
        return Host(generator, name=name, context=self.shared_context, on_crash=on_crash)

    def run_shared(self, awaitable: Awaitable[T]) -> T:
        """Wait like `run` for something that sets variables in the shared context.

        The running test, whose context is an older copy, gets them too.
        """
        if not self._bridge.is_here:
            return self._run_outside(awaitable)
        before, suspensions = self._shared_context.copy(), self._bridge.suspensions
        value = self._wait(awaitable)
        if self._bridge.suspensions != suspensions:  # else nobody else has had a turn
            copy_changes(before, self._shared_context)
        return value

    async def in_shared_context(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run `coroutine` in a task of its own, in the context that all tests share."""
        return await self.loop.create_task(coroutine, context=self.shared_context)

    @property
    def shared_context(self) -> Context:
        """The context that all tests' contexts are copies of."""
        self.loop  # noqa: B018 - made together
        return self._shared_context

    def end_everything(self) -> None:
        """End what still runs, as `asyncio.run` does at its end, and leave the loop open.

        What raises then has failed in the background.
        """
        tasks = asyncio.all_tasks(self.loop) - {self.waiter.task, self._driven.task}
        while any(not task.done() for task in tasks):
            try:
                self.run(_cancel(tasks))
            except asyncio.CancelledError:
                crash = self.waiter.take_crash()  # of a task that calls `sys.exit`
                if crash is None:
                    raise
                self.background.told.remove(crash)
        for task in tasks:
            self._tell_late_exception(task)
        self.run(self.loop.shutdown_asyncgens())

    def close(self) -> None:
        """Cancel what still runs, close the loop, and give Ctrl-C back."""
        if self._loop is None:
            return
        self.background.is_over = True
        self._interrupts.uninstall()
        with hidden_running_loop():
            self._runner.close()
        self._loop = None
        if self._entered_context is not None and self._home.is_here:
            return_to(self._entered_context)

    @property
    def is_idle(self) -> bool:
        """Whether the loop surely has nothing to do until the running code lets it go on.

        asyncio's own loops tell what is due only by a private name; of others nothing is sure.
        """
        return self._due is not None and not self._due

    @cached_property
    def virtual_time(self) -> VirtualTime:
        """The loop's time, for a test that controls it.

        Raises:
            ClockError: The loop does not allow it.
        """
        from pytest_asgi.runner.clock.virtual_time import VirtualTime  # noqa: PLC0415 - few need it

        return VirtualTime(self.loop, self._bridge.find_waits)

    def waitable_loop(self) -> AbstractEventLoop:
        """Return the loop, with a `run_until_complete` that works while a test is running."""
        self.loop.run_until_complete = self.run  # type: ignore[method-assign, assignment]
        return self.loop

    @property
    def waiter(self) -> Waiter:
        """The test whose code is calling; else the one that the loop is run for."""
        return passenger() or self._driven

    def waiter_for(self, name: str) -> Waiter:
        """Return the running test of this name; if it needs no task, whoever waits for it."""
        return self._tests.get(name) or self.waiter

    def find_waits(self, waiter: Waiter) -> Iterator[tuple[Awaitable[Any], FrameType | None]]:
        """Yield what synchronous code of a test waits for, and where; the latest last."""
        return self._bridge.find_waits(waiter)

    def _handle_exception(self, loop: AbstractEventLoop, context: dict[str, Any]) -> None:
        """Be the loop's exception handler."""
        error: BaseException | None = context.get("exception")
        # What a signal handler raises, such as pytest-timeout's, ends up here if the loop was in
        # one of its callbacks; in uvloop that is where signals are handled.
        if (
            "handle" in context
            and self._driven.task is not None
            and error is not None
            and not isinstance(error, (Exception, asyncio.CancelledError))
        ):
            self.background.told.append(error)
            self._driven.cancel(error)
        else:
            self.background.handle(loop, context)

    def _tell_late_exception(self, task: asyncio.Task[Any]) -> None:
        exception = None if task.cancelled() else task.exception()
        if exception is not None:
            message = "Exception when the task was cancelled at the end of the session"
            self.loop.call_exception_handler(
                {"message": message, "exception": exception, "task": task}
            )

    def _make_once(self) -> AbstractEventLoop:
        with self._making:
            if self._loop is None:
                self._loop = self._make()
            return self._loop

    def _make(self) -> AbstractEventLoop:
        loop = self._runner.get_loop()
        loop.set_exception_handler(self._handle_exception)
        self._driver = LoopDriver(loop)
        self._due = getattr(loop, "_ready", None)
        self._deadlocks.install(loop)
        if self._home.is_here:
            self._entered_context = current_context()
            self._shared_context = shareable_context()
        else:
            self._shared_context = self._home.context
        self._interrupts.install(loop)
        return loop

    def _run_until_complete(
        self,
        coroutine: Coroutine[Any, Any, T],
        context: Context,
        *,
        run: Callable[[asyncio.Task[T]], T],
    ) -> T:
        waiter, task = self._outside, self.loop.create_task(coroutine, context=context)
        before, waiter.task = waiter.task, task
        try:
            return self._drive(waiter, task, run)
        finally:
            waiter.task = before

    def _drive(
        self, waiter: Waiter, task: asyncio.Task[T], run: Callable[[asyncio.Task[T]], T]
    ) -> T:
        before, self._driven = self._driven, waiter
        self._interrupts.watch(task)
        self._deadlocks.begin(task)
        self._bridge.outside = swap_running_loop(None)
        try:
            return self._run_to_the_end(task, run)
        except asyncio.CancelledError as cancelled:
            self._interrupts.raise_pending(cancelled)
            raise
        finally:
            if self._bridge.outside is not None:
                swap_running_loop(self._bridge.outside)
            self._bridge.outside = None
            self._driven = before
            self._interrupts.watch(before.task)
            self._deadlocks.begin(before.task)

    def _run_to_the_end(self, task: asyncio.Task[T], run: Callable[[asyncio.Task[T]], T]) -> T:
        # asyncio lets KeyboardInterrupt and SystemExit of *any* task stop the loop, and what a
        # signal handler raises too, such as pytest-timeout's. The task that is waited for must go
        # on, or its tear-down is lost.
        while True:
            try:
                return run(task)
            except KeyboardInterrupt:
                if task.done() or self._interrupts.is_urgent:
                    raise
                # A task group around the other task cancels the test itself.
                self._interrupts.press(cycles=3)
            except BaseException as error:
                if task.done():
                    raise
                self.background.told.append(error)
                self._driven.cancel(error)

    def _run_until_over(self, task: asyncio.Task[T]) -> T:
        """Run the loop until the task of a test has ended, like `run_until_complete`."""
        if not task.done():
            task.add_done_callback(self._stop)
            try:
                self._driver.loop.run_forever()
            finally:
                task.remove_done_callback(self._stop)
            if not task.done():
                raise RuntimeError("Event loop stopped before the test was over.")
        return task.result()

    def _stop(self, task: asyncio.Task[Any]) -> None:
        if task is self._driven.task:  # else the loop has broken off before
            self.loop.stop()

    def _stop_early(self, task: asyncio.Task[Any] | None) -> None:
        """Save a turn of the loop, in which a task that ends now would tell of its end."""
        if task is not None and task is self._driven.task and self.is_idle:
            task.remove_done_callback(self._stop)
            self.loop.stop()

    def _wait(self, awaitable: Awaitable[T]) -> T:
        try:
            value = self._bridge.wait(awaitable)
        except asyncio.CancelledError as cancelled:
            self._interrupts.raise_pending(cancelled)
            raise
        except KeyboardInterrupt:
            self._interrupts.forget()
            raise
        if self._interrupts.is_pending:  # the code may have caught the cancellation
            self._interrupts.raise_pending()
        return value

    async def _capture(self, function: Callable[[], T], test: RunningTest[T]) -> None:
        # KeyboardInterrupt and SystemExit must not pass through the loop: it would stop half-way.
        assert test.owner is not None
        if events.is_anyone_listening():
            events.emit(events.TestStarted(test=test.owner.name))
        try:
            test.value = await self._bridge.run(function, passenger=test)
        except BaseException as error:  # noqa: BLE001 - raised again outside of the loop
            test.error = error
        finally:
            if events.is_anyone_listening():
                events.emit(events.TestFinished(test=test.owner.name))
            self._stop_early(test.task)


class RunningTest(Waiter, Generic[T]):
    """A test that was started and may have to be finished.

    Attributes:
        value: What its function has returned, once that is so.
        error: What it has raised instead.
    """

    value: T | None = None
    error: BaseException | None = None

    def take_outcome(self) -> T:
        """Return what the function has returned, or raise what it has raised."""
        error, self.error = self.error, None
        if error is None:
            return cast("T", self.value)
        try:
            raise error
        finally:
            del error  # the traceback holds this frame: leave no cycle behind


async def _cancel(tasks: set[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def become_owner(name: str, context: Context) -> Owner:
    """Let what happens from now on in the calling code's context be caused by a test."""
    test = Owner(name, context)
    owner.set(test)
    return test


def _enterable(context: Context) -> Context:
    return context if can_enter(context) else context.copy()


async def _coroutine(awaitable: Awaitable[T]) -> T:
    return await awaitable
