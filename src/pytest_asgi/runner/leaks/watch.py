"""All kinds of leaks together: begin to take note, and find what is left at an end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from pytest_asgi.runner.leaks.generators import GeneratorWatch, lost_generators
from pytest_asgi.runner.leaks.held import has_open_things, lost_things
from pytest_asgi.runner.leaks.sockets import SocketWatch
from pytest_asgi.runner.leaks.tasks import TaskWatch, end_tasks, pending_tasks
from pytest_asgi.runner.leaks.threads import ThreadWatch, running_threads

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable, Collection, Coroutine

    from pytest_asgi.runner.leaks.keepers import Keeper, Leak

_PAUSE_SECONDS = 0.01
_PAUSES = 10  # for a thread that is about to end
_TURNS = 4  # of the loop, for a connection that is being closed


class LeakWatch:
    """Takes note of what is begun on one loop, and finds what was not ended.

    Args:
        wait: Waits for a coroutine on that loop, in synchronous code.
    """

    def __init__(self, wait: Callable[[Coroutine[Any, Any, Any]], Any]) -> None:
        self._wait = wait
        self._tasks = TaskWatch()
        self._generators = GeneratorWatch()
        self._sockets = SocketWatch()
        self._threads = ThreadWatch()
        self._over: list[Keeper] = []  # who has left open what somebody keeps

    def begin(self, loop: AbstractEventLoop) -> None:
        """Take note from now on."""
        self._tasks.install(loop)
        self._generators.install()
        self._sockets.install(loop)
        self._threads.install()

    def stop(self) -> None:
        """Take no more note."""
        self._sockets.stop()
        self._threads.stop()

    def end(
        self, holder: Keeper, allowed: Collection[str], values: Collection[object] = ()
    ) -> list[Leak]:
        """End what can be ended of what `holder` has left, and return all that it has.

        Args:
            holder: Who is over.
            allowed: What may stay, as `Leak.is_allowed` takes it.
            values: The values of its fixtures.
        """
        holder.is_over = True
        leaks = self._find(holder, allowed, values)
        if holder.held or holder.generators:
            self._over.append(holder)
        return leaks

    def late(self, allowed: Collection[str]) -> list[tuple[Keeper, Leak]]:
        """Return what has become known since of those that were over before."""
        found = []
        for holder in dict.fromkeys([*self._over, *self._tasks.late]):
            found += [(holder, leak) for leak in self._find(holder, allowed, ())]
        self._tasks.late.clear()
        self._over = [holder for holder in self._over if holder.held or holder.generators]
        return found

    def _find(
        self, holder: Keeper, allowed: Collection[str], values: Collection[object]
    ) -> list[Leak]:
        leaks: list[Leak] = []
        if pending_tasks(holder, allowed):
            leaks += self._wait(end_tasks(holder, allowed))
        if has_open_things(holder) or running_threads(holder, allowed):
            self._wait(_let_end(holder, allowed))
        others = [*lost_generators(holder), *lost_things(holder, values)]
        others += running_threads(holder, allowed)
        holder.threads.clear()
        for change in reversed(holder.changes):
            if change.is_changed():
                change.put_back()
                others.append(change.leak)
        holder.changes.clear()
        self._generators.forget(holder)
        return leaks + [leak for leak in others if not leak.is_allowed(allowed)]


async def _let_end(holder: Keeper, allowed: Collection[str]) -> None:
    for _ in range(_TURNS):
        await asyncio.sleep(0)
    for _ in range(_PAUSES):
        if not running_threads(holder, allowed):
            break
        await asyncio.sleep(_PAUSE_SECONDS)
