"""Synchronous code inside one task: greenlet and coroutine, and nothing else.

`await bridge.run(function)` runs `function` in a greenlet of the current task.
Anywhere below it, `bridge.wait(awaitable)` suspends the *task* until the awaitable is done,
although the code in between is ordinary synchronous code. So all of pytest's protocol for one
test, its async fixtures and the test itself are one task and one context.

While synchronous code runs, the thread says what it said before our loop ran: nothing, so that
`asyncio.run` works there, or the loop of a library that needs to find it, such as Playwright's.
"""

from __future__ import annotations

import types
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar, cast

from greenlet import getcurrent, greenlet

from pytest_asgi.errors import BridgeError
from pytest_asgi.runner.running_loop import swap_running_loop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Iterator
    from types import FrameType

__tracebackhide__ = True  # a failure ends in the user's line

T = TypeVar("T")


class Bridge:
    """Runs synchronous code in the task that awaits it.

    Args:
        swap: Makes the thread say that something is running, and returns what it said before.

    Attributes:
        outside: What the thread says is running while synchronous code runs.
        suspensions: How often a task was suspended so far.
    """

    def __init__(self, swap: Callable[[Any], Any] = swap_running_loop) -> None:
        self.swap = swap
        # A new greenlet costs a new Python stack (a memory mapping, some 30 µs): keep them.
        self._idle: list[_Carrier] = []
        self.outside: Any = None
        self.suspensions = 0
        self._waits: list[tuple[_Carrier, Awaitable[Any]]] = []  # the latest last

    @types.coroutine
    def run(
        self, function: Callable[[], T], *, passenger: object = None
    ) -> Generator[Any, Any, T]:
        """Run `function` in a greenlet of the current task and return what it returns.

        Must be awaited. Whatever `function` raises is raised here. Below it, `passenger()` returns
        the object that is given.
        """
        carrier = self._idle.pop() if self._idle else _Carrier(self)
        carrier.passenger = passenger
        awaited = carrier.begin(function)
        while carrier.is_busy:
            try:
                answer = yield awaited
            except BaseException as error:  # noqa: BLE001 - cancellation belongs to the code inside
                # With one argument greenlet would take the traceback away from the exception.
                awaited = carrier.throw(type(error), error, error.__traceback__)
            else:
                awaited = carrier.switch(answer)
        self._idle.append(carrier)
        return cast("T", carrier.take_outcome())

    def wait(self, awaitable: Awaitable[T]) -> T:
        """Suspend the task around the calling code until `awaitable` is done; return its value.

        Raises:
            BridgeError: The caller does not run below `run`.
        """
        carrier = getcurrent()
        if not isinstance(carrier, _Carrier):
            raise _not_below_run()
        wait = carrier, awaitable
        self._waits.append(wait)
        # Nested: a synchronous helper called by a coroutine that itself is being waited for.
        was_hiding = carrier.is_hiding
        carrier.show()
        try:
            return self._drive(awaitable.__await__(), carrier.task_side)
        finally:
            if was_hiding:
                carrier.hide()
            self._waits.remove(wait)

    @property
    def is_here(self) -> bool:
        """Whether the calling code runs below `run` of this bridge."""
        carrier = getcurrent()
        return isinstance(carrier, _Carrier) and carrier.bridge is self

    def _drive(self, steps: Generator[Any, Any, T], task_side: greenlet) -> T:
        answer: object = None
        error: BaseException | None = None
        while True:
            try:
                awaited = steps.send(answer) if error is None else steps.throw(error)
            except StopIteration as stop:
                return cast("T", stop.value)
            answer = error = None
            self.suspensions += 1
            try:
                answer = task_side.switch(awaited)
            except BaseException as thrown:  # noqa: BLE001 - passed on to the coroutine
                error = thrown

    def find_waits(
        self, passenger: object = None
    ) -> Iterator[tuple[Awaitable[Any], FrameType | None]]:
        """Yield what synchronous code waits for, and where it does; the latest last.

        Args:
            passenger: Whose code it is; `None` for everybody's.
        """
        for carrier, awaitable in self._waits:
            if passenger is None or carrier.passenger is passenger:
                yield awaitable, carrier.gr_frame


def is_bridged() -> bool:
    """Tell whether the calling code runs below `Bridge.run`, in a task of its own."""
    return isinstance(getcurrent(), _Carrier)


def passenger() -> Any:
    """Return what `Bridge.run`, below which the calling code runs, was given; else `None`."""
    carrier = getcurrent()
    return carrier.passenger if isinstance(carrier, _Carrier) else None


def is_in_coroutine() -> bool:
    """Tell whether a coroutine that a test waits for has called the calling code."""
    carrier = getcurrent()
    return isinstance(carrier, _Carrier) and not carrier.is_hiding


@contextmanager
def synchronous() -> Generator[None]:
    """Let our loop not seem to run in the block, as everywhere in synchronous code.

    For synchronous code that a coroutine of the test calls, and that may call `asyncio.run`.
    """
    carrier = getcurrent()
    if not isinstance(carrier, _Carrier) or carrier.is_hiding:
        yield
        return
    carrier.hide()
    try:
        yield
    finally:
        carrier.show()


class _Carrier(greenlet):
    """A greenlet that runs one function after another, each in the task that began it."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__(self._serve)
        self.bridge = bridge
        self.passenger: object = None
        self.is_busy = False
        self._function: Callable[[], object] | None = None
        self._value: object = None
        self._error: BaseException | None = None
        self._hidden: Any = None
        self.is_hiding = False

    def begin(self, function: Callable[[], object]) -> object:
        # The parent changes with each task, and stays alive as long as that task runs.
        self.task_side = self.parent = getcurrent()
        self.gr_context = self.task_side.gr_context
        self._function = function
        self.is_busy = True
        return self.switch()

    def take_outcome(self) -> object:
        value, error = self._value, self._error
        self._value = self._error = self.gr_context = self.passenger = None
        if error is None:
            return value
        try:
            raise error
        finally:
            del error  # the traceback holds this frame: leave no cycle behind

    def hide(self) -> None:
        self._hidden = self.bridge.swap(self.bridge.outside)
        self.is_hiding = True

    def show(self) -> None:
        if self.is_hiding:
            self.is_hiding = False
            # Synchronous code may have changed what the thread says.
            self.bridge.outside = self.bridge.swap(self._hidden)

    def _serve(self) -> None:
        while True:
            self.hide()
            try:
                self._value = self._function()  # type: ignore[misc]  # begin() has set it
            except BaseException as error:  # noqa: BLE001 - raised again in the task
                self._error = error
            self._function = None
            self.show()
            self.is_busy = False
            self.task_side.switch()


def _not_below_run() -> BridgeError:
    return BridgeError(
        "Synchronous code waited for a coroutine in a task that cannot be suspended.",
        why="Only the test's own task can wait here; this is a task that was started from it.",
        fix="Use the asynchronous client there: `await client.get(…)`.",
    )
