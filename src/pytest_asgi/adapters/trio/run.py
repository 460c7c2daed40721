"""One run of trio for a whole session, entered when there is something to wait for."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

import outcome
import trio

from pytest_asgi.adapters.trio.interrupts import Interrupts
from pytest_asgi.adapters.trio.presence import Presence, come_back, leave
from pytest_asgi.errors import BridgeError
from pytest_asgi.runner.aside import Aside
from pytest_asgi.runner.running_loop import hidden_running_loop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pytest_asgi.adapters.trio.interrupts import Interruptible

__tracebackhide__ = True  # a failure ends in the user's line


T = TypeVar("T")


class TrioRun:
    """A run of trio that stands still while nobody waits for it.

    It is made when it is first entered.

    Args:
        options: What `trio.run` takes beside the function.

    Attributes:
        is_running: Whether somebody waits for it.
    """

    def __init__(self, **options: Any) -> None:
        self._options = options
        self._aside = Aside(self._run)
        self._inside = Presence()
        self._is_begun = False
        self._is_ending = False
        self._parked: set[trio.lowlevel.Task] = set()
        self._dismissed: list[trio.lowlevel.Task] = []
        self.is_running = False
        self.interrupts = Interrupts()
        self._thread = threading.get_ident()

    @property
    def is_elsewhere(self) -> bool:
        """Whether the calling thread is another one than that of the run."""
        return threading.get_ident() != self._thread

    @property
    def is_over(self) -> bool:
        """Whether the run has ended: it was closed, or trio has failed."""
        return self._aside.is_over

    def wait(self, begin: Callable[[], trio.Event], *, task: Interruptible | None = None) -> None:
        """Go on with the run until an event happens.

        Args:
            begin: Called in the run; returns the event.
            task: What Ctrl-C interrupts.
        """
        if self.is_running:
            raise _inside_the_run()
        if self.is_over:
            return
        with self.interrupts.watch(task):
            if not self._is_begun:
                self._is_begun = True
                self._enter(None)
            self._enter(begin)

    def call_soon(self, function: Callable[[], object]) -> None:
        """Call a function in the run, when it goes on; may be called in any thread."""
        token = self.interrupts.token
        if token is not None:
            with suppress(trio.RunFinishedError):
                token.run_sync_soon(function)

    def wait_beside(self, awaitable: Awaitable[T]) -> T:
        """Await something in a task of its own, for another thread than that of the run."""
        return trio.from_thread.run(_await, awaitable, trio_token=self.interrupts.token)

    async def park(self) -> Any:
        """Let the running task wait until somebody gives it something, or the run ends.

        No cancel scope that the task is in ends that; it returns `None` at the end of the run.
        """
        if self._is_ending:
            return None
        task = trio.lowlevel.current_task()
        self._parked.add(task)
        return await trio.lowlevel.wait_task_rescheduled(_never_abort)

    def wake(self, task: trio.lowlevel.Task, value: object) -> None:
        """Let `park` return a value in a task that waits there; to be called in the run."""
        self._parked.remove(task)
        trio.lowlevel.reschedule(task, outcome.Value(value))

    def dismiss(self, task: trio.lowlevel.Task) -> None:
        """Let `park` return `None` in a task when the run goes on; it is not entered for that."""
        self._dismissed.append(task)

    def close(self) -> None:
        """End the run; tasks that are left are cancelled."""
        if self._is_begun and not self.is_over:
            self._enter(None)

    def _enter(self, begin: Callable[[], trio.Event] | None) -> None:
        with hidden_running_loop():
            outside = leave()
            was_running, self.is_running = self.is_running, True
            come_back(self._inside)
            try:
                self._aside.enter(begin)
            finally:
                self.is_running = was_running
                self._inside = leave()
                come_back(outside)

    def _run(self) -> None:
        trio.run(self._stay, **self._options)

    async def _stay(self) -> None:
        self.interrupts.token = trio.lowlevel.current_trio_token()
        try:
            while (begin := self._aside.leave()) is not None:
                while self._dismissed:
                    self.wake(self._dismissed.pop(), None)
                await begin().wait()
        finally:
            self._is_ending = True
            while self._parked:
                self.wake(next(iter(self._parked)), None)


def _never_abort(_: object) -> trio.lowlevel.Abort:
    return trio.lowlevel.Abort.FAILED


async def _await(awaitable: Awaitable[T]) -> T:
    return await awaitable


def _inside_the_run() -> BridgeError:
    return BridgeError(
        "Synchronous code waited for a coroutine in a task that the test started.",
        why="Only the test's own task can be suspended from synchronous code; in any other task"
        " the whole run of trio would stand still.",
        fix="Use the asynchronous client in that task (`await client.get(…)`), or run the"
        " synchronous code in a thread: `await trio.to_thread.run_sync(…)`.",
    )
