"""What a time limit asks of the loop that tests wait on, and the session's loop as such a one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

from pytest_asgi.runner.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context

    from pytest_asgi.runner.loop import SessionLoop
    from pytest_asgi.runner.waiters import Waiter

__tracebackhide__ = True  # a failure ends in the user's line


class WatchedLoop(Protocol):
    """What runs tests, as a time limit sees it from another thread."""

    @property
    def is_running(self) -> bool:
        """Whether somebody waits for it."""

    def waiter_of(self, known: Waiter | None) -> Waiter:
        """Return who waits: the one that is known, unless that has changed."""

    def call_soon(self, function: Callable[[], None], context: Context) -> None:
        """Call a function in the loop, in this context; may be called in any thread."""

    def describe_waits(self, waiter: Waiter) -> list[str]:
        """Return, as lines, what a test waits for; to be called in the loop."""

    def raises_safely(self) -> bool:
        """Tell whether an exception may be raised in whatever code the loop runs now."""


class WatchedSessionLoop:
    """The session's loop."""

    def __init__(self, loop: SessionLoop) -> None:
        self._loop = loop

    @property
    def is_running(self) -> bool:
        """Whether somebody waits for it."""
        return self._loop.loop.is_running()

    def waiter_of(self, known: Waiter | None) -> Waiter:
        """Return who waits: the one that is known, or the one whose turn it is."""
        return known or self._loop.waiter

    def call_soon(self, function: Callable[[], None], context: Context) -> None:
        """Call a function in the loop, in this context; may be called in any thread."""
        self._loop.loop.call_soon_threadsafe(function, context=context)

    def describe_waits(self, waiter: Waiter) -> list[str]:
        """Return, as lines, what a test waits for; to be called in the loop."""
        task = waiter.task
        assert task is not None
        own: list[tuple[str, Any]] = []
        foreign: list[tuple[str, Any]] = []
        for each in asyncio.all_tasks(task.get_loop()) - {task}:
            is_own = self._loop.background.has_started(waiter.owner, each)
            (own if is_own else foreign).append((each.get_name(), each.get_coro()))
        calls = self._loop.find_waits(waiter)
        return Snapshot(task.get_coro(), calls, own=own, foreign=foreign).lines

    def raises_safely(self) -> bool:
        """Tell that an exception may be raised anywhere: the loop ends, and is run again."""
        return True
