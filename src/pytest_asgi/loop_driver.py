"""Run an event loop for whoever waits, in whichever thread that is: one at a time.

In synchronous code nobody runs the loop all the time: who waits for something runs it until that
is done. Who comes meanwhile, in another thread, waits beside; and when the first one leaves, one
of the others goes on. So all of them share one loop, and none needs a thread for it.

It knows nothing about tests, apps or HTTP.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from asyncio import _get_running_loop
from contextlib import suppress
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, TypeVar

from pytest_asgi.errors import BridgeError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from concurrent.futures import Future
    from types import FrameType

__tracebackhide__ = True  # a failure ends in the user's line

T = TypeVar("T")

# How often a thread that waits looks whether the loop stands still, and how often it must have
# stood still, at the very same place, before that counts.
_GLANCE_SECONDS = 0.5
_GLANCES = 10

_LOCKS = ("threading.py", "concurrent/futures/_base.py", "queue.py")


class LoopDriver:
    """Runs one loop, whoever waits.

    Args:
        loop: The loop; nobody else may run it while somebody has the turn.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._keeps_root = True
        self._run_loop_until = loop.run_until_complete
        self._turn = threading.Lock()
        self._thread: int | None = None  # the one whose turn it is
        self._news = threading.Condition()
        self._waiting = 0  # threads that wait beside
        self._root: asyncio.Task[None] | None = None
        self._awaited: asyncio.Future[Any] | None = None

    @property
    def is_in_this_thread(self) -> bool:
        """Whether the caller's thread is the one that runs the loop."""
        return self._thread == threading.get_ident()

    @property
    def is_taken(self) -> bool:
        """Whether any thread runs the loop."""
        return self._turn.locked()

    def begin(self, *, wait: bool = False) -> bool:
        """Take the turn to run the loop; tell whether that was possible.

        Args:
            wait: Whether to wait for it as long as another thread has it.
        """
        if not self._turn.acquire(blocking=wait):
            return False
        self._thread = threading.get_ident()
        return True

    def end(self) -> None:
        """Give the turn back."""
        self._thread = None
        self._turn.release()
        if self._waiting:
            self._tell()

    # --- who has the turn ------------------------------------------------------------------------

    def run_until_complete(self, task: asyncio.Task[T]) -> T:
        """Run the loop until `task` is done, like the loop's own method of this name.

        There is a root task that stays. anyio ties the life of its worker threads to the root
        task: with a new one for each call every call would start a thread. But somebody has to
        close the loop or to end the root, or those threads keep Python from ending.
        """
        if not self._keeps_root:
            return self._run_loop_until(task)
        self._awaited = task
        task.add_done_callback(self._stop)
        try:
            while not task.done():
                self._run_until_stopped(task)
        finally:
            self._awaited = None
        return task.result()

    def dismiss_root(self) -> None:
        """End the root task; the next call makes a new one.

        Code that waits for all tasks there are must not meet it.
        """
        if self._root is not None:
            self._root.cancel()
            self._root = None

    def end_root(self) -> None:
        """End the root task for good, and with it the threads that anyio has made for it."""
        self.begin(wait=True)
        try:
            self._keeps_root = False
            root = self._root
            self.dismiss_root()
            if root is not None and not self.loop.is_closed():
                with suppress(asyncio.CancelledError):
                    self._run_loop_until(root)
        finally:
            self.end()

    def _run_until_stopped(self, task: asyncio.Task[Any]) -> None:
        root = self._root
        if root is None or root.done():  # anybody may cancel every task there is
            root = self._root = self.loop.create_task(_stay(self.loop), name="pytest-asgi")
        try:
            self._run_loop_until(root)
        except asyncio.CancelledError:  # of the root
            pass
        except RuntimeError:  # stopped before its task was complete: that is how it ends here
            if not task.done():
                raise

    def _stop(self, task: asyncio.Future[Any]) -> None:
        if task is self._awaited:  # else the loop has broken off before, because of an exception
            self.loop.stop()

    # --- who has not -----------------------------------------------------------------------------

    def wait_beside(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Wait for `coroutine`, which the thread that runs the loop carries on; or run it oneself.

        Raises:
            BridgeError: That thread waits too, for a lock or for another thread.
        """
        future = asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        future.add_done_callback(lambda _: self._tell())
        with self._news:
            self._waiting += 1
        try:
            self._wait_for(future)
        except BaseException:
            future.cancel()
            raise
        finally:
            with self._news:
                self._waiting -= 1
        return future.result()

    def _wait_for(self, future: Future[Any]) -> None:
        standstill = _Standstill(self.loop)
        while not future.done():
            if self.begin():
                try:
                    outside_loops(lambda: self._run_until_done(future))
                finally:
                    self.end()
                continue
            with self._news:
                has_news = self._news.wait_for(
                    lambda: future.done() or not self._turn.locked(), _GLANCE_SECONDS
                )
            if not has_news and standstill.has_lasted(self._thread):
                raise _both_wait()

    def _run_until_done(self, future: Future[Any]) -> None:
        done = self.loop.create_future()
        future.add_done_callback(lambda _: self.loop.call_soon_threadsafe(done.set_result, None))
        self._run_loop_until(done)

    def _tell(self) -> None:
        with self._news:
            self._news.notify_all()


class _Standstill:
    """Tells whether the thread that runs a loop waits at one place for a lock, again and again."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._place: tuple[FrameType, int] | None = None
        self._glances = 0
        self._has_moved = True

    def has_lasted(self, thread: int | None) -> bool:
        """Look once more, and tell whether it stands still for good."""
        frame = sys._current_frames().get(thread or 0)  # noqa: SLF001 - documented, in spite of its name
        place = None if frame is None else (frame, frame.f_lasti)
        is_still = place == self._place and not self._has_moved and _is_at_a_lock(frame)
        self._glances = self._glances + 1 if is_still else 0
        self._place = place
        self._has_moved = False
        self._loop.call_soon_threadsafe(self._move)
        return self._glances >= _GLANCES

    def _move(self) -> None:
        self._has_moved = True


def _is_at_a_lock(frame: FrameType | None) -> bool:
    return frame is not None and frame.f_code.co_filename.replace("\\", "/").endswith(_LOCKS)


async def _stay(loop: asyncio.AbstractEventLoop) -> None:
    """Be the root task, until it is cancelled."""
    await loop.create_future()


def outside_loops(function: Callable[[], T]) -> T:
    """Call `function` where no loop is running: in a thread if one is running here."""
    if _get_running_loop() is None:
        return function()
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - rarely needed

    context = copy_context()
    with ThreadPoolExecutor(1, "pytest-asgi") as executor:
        return executor.submit(context.run, function).result()


def inside_the_loop() -> BridgeError:
    """Return the error of synchronous code that waits in a task which it cannot suspend."""
    return BridgeError(
        "Synchronous code waited for a coroutine inside a task that the test started.",
        why="Only the test's own task can be suspended from synchronous code; in any other task"
        " the whole loop would stand still.",
        fix="Use the asynchronous client in that task (`await client.get(…)`), or run the"
        " synchronous code in a thread: `await asyncio.to_thread(…)`.",
    )


def _both_wait() -> BridgeError:
    return BridgeError(
        "A thread waits for the loop, and the loop's own thread waits as well.",
        why="The client of this thread is answered on the loop of the test, in the test's thread;"
        " and the test blocks that thread, with a lock or with the result of another thread.",
        fix="Await the threads instead of blocking:\n\n"
        "    await asyncio.to_thread(…)\n\n"
        "or let the client run the app in a thread of its own:\n\n"
        "    TestClient(app, in_thread=True)",
    )
