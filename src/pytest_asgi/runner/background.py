"""Exceptions that nobody awaited: whose they are, and how the test hears of them.

asyncio hands an exception of a forgotten task or of a loop callback to the loop's exception
handler, which only logs it. Here it is kept for the test whose context the task carries.
"""

from __future__ import annotations

import sys
from asyncio import Task, all_tasks
from contextvars import Context, ContextVar
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from pytest_asgi import events

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop


class Owner:
    """A test, as the cause of what happens in its context.

    Attributes:
        name: The test.
        context: Its context; `None` when it is over, so that it does not keep itself.
        failures: What has failed.
    """

    __slots__ = ("__weakref__", "context", "failures", "name")

    def __init__(self, name: str, context: Context | None = None) -> None:
        self.name = name
        self.context = context
        self.failures: list[BaseException] = []


owner: ContextVar[Owner | None] = ContextVar("pytest_asgi_owner", default=None)


class BackgroundFailures:
    """Keeps what fails in the background for the test that started it."""

    def __init__(self) -> None:
        self.is_over = False  # nobody will ask again
        self.running: Owner | None = None  # whose loop it is just now
        self._unfinished: set[Owner] = set()
        self._tells_tasks_apart = False
        self._owners: WeakKeyDictionary[object, Owner] = WeakKeyDictionary()
        self.told: list[BaseException] = []  # reported otherwise; asyncio will say it again
        self._late: list[BaseException] = []

    @property
    def has_several(self) -> bool:
        """Whether several tests have begun and not ended."""
        return len(self._unfinished) > 1

    def begin(self, test: Owner) -> None:
        """Say that a test has begun."""
        self.running = test
        self._unfinished.add(test)

    def end(self, test: Owner, loop: AbstractEventLoop) -> None:
        """Say that a test is over; what nobody has taken is kept for the next one to report."""
        if sys.version_info < (3, 12):
            self._remember_tasks(test, loop)
        self._late.extend(test.failures)
        self._unfinished.discard(test)
        self.running = test.context = None

    def tell_tasks_apart(self, loop: AbstractEventLoop) -> None:
        """Remember from now on which test made a task, for several make some at a time."""
        if sys.version_info >= (3, 12) or self._tells_tasks_apart:
            return
        self._tells_tasks_apart = True
        create = loop.create_task

        def create_and_remember(*args: Any, **kwargs: Any) -> Task[Any]:
            task = create(*args, **kwargs)
            test = owner.get()
            if test is not None:
                self._owners[task] = test
            return task

        loop.create_task = create_and_remember  # type: ignore[method-assign]

    def handle(self, loop: AbstractEventLoop, context: dict[str, Any]) -> None:
        """Be the loop's exception handler."""
        exception = context.get("exception")
        if any(exception is told for told in self.told):
            return
        if exception is None or self.is_over:
            loop.default_exception_handler(context)
            return
        source = _source(context)
        starter = _owner_of(source) or self._remembered_owner(source)
        culprit = starter or self.running
        if sys.version_info < (3, 12) and isinstance(source, Task):
            starter = culprit  # of an earlier test's tasks each is remembered
        exception.add_note(_note(source, starter, self.running, context))
        # Before Python 3.12 asyncio calls this outside of the context of what failed.
        context_of_test = culprit.context if culprit is not None else None
        variable = events.listener
        listen = variable.get() if context_of_test is None else context_of_test.get(variable)
        if listen is not None:
            listen(events.BackgroundFailed(source=repr(source), exception=exception))
        if culprit in self._unfinished:
            culprit.failures.append(exception)
        else:
            self._late.append(exception)

    def take(self) -> list[BaseException]:
        """Return, once, what failed in the background since the last call."""
        test = owner.get() or self.running
        own = test.failures if test in self._unfinished else []
        failures = self._late + own
        self._late.clear()
        own.clear()
        return failures

    def has_started(self, test: Owner | None, task: Task[Any]) -> bool:
        """Tell whether a test has started a task, directly or not."""
        if test is None:
            return False
        if sys.version_info < (3, 12):
            return task not in self._owners  # of an earlier test
        return _owner_of(task) is test

    def _remember_tasks(self, test: Owner, loop: AbstractEventLoop) -> None:
        # Before Python 3.12 a task does not tell its context: who leaves it behind is its owner.
        for task in all_tasks(loop):
            self._owners.setdefault(task, test)

    def _remembered_owner(self, source: object) -> Owner | None:
        return self._owners.get(source) if isinstance(source, Task) else None


def _source(context: dict[str, Any]) -> object:
    for key in ("task", "future", "handle", "asyncgen", "protocol"):
        if context.get(key) is not None:
            return context[key]
    return context.get("message")


def _owner_of(source: object) -> Owner | None:
    # Task.get_context exists since Python 3.12; before, the running test is the best guess.
    get_context = getattr(source, "get_context", None)
    context = get_context() if get_context is not None else getattr(source, "_context", None)
    return context.get(owner) if isinstance(context, Context) else None


def _note(
    source: object, starter: Owner | None, running: Owner | None, context: dict[str, Any]
) -> str:
    message = context.get("message") or "Exception in the background"
    if starter is not None:
        message += f" (started by {starter.name})"
    elif running is not None:
        message += f" (while {running.name} was running)"
    elif "asyncgen" not in context:  # a generator carries no context to tell by
        message += " (started outside a test)"
    return f"{message}: {source!r}"
