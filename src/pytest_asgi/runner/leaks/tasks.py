"""Tasks that are still pending: where they were started, and ending them."""

from __future__ import annotations

import asyncio
import sys
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from pytest_asgi.asgi import tasks as app_tasks
from pytest_asgi.asgi.stacks import find_wait
from pytest_asgi.runner.leaks.beginnings import find_beginning
from pytest_asgi.runner.leaks.keepers import Keeper, Leak, Start, keeper, names_of, shorten

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Task
    from collections.abc import Collection, Container

    from pytest_asgi.asgi.stacks import Place

_GRACE_SECONDS = 0.1  # what is about to end, does
_CANCELLED_SECONDS = 1.0  # so does what was cancelled and has something to tidy up
_ATTEMPTS = 3  # there are tasks that catch a cancellation once
_OUR_APPS = str(Path(app_tasks.__file__))


class TaskWatch:
    """Takes note of each task that is started with the loop's `create_task`.

    As the loop's task factory it would stand in the way of one that the project has.

    Attributes:
        late: Who is over, and has had something started since.
    """

    def __init__(self) -> None:
        self.late: WeakSet[Keeper] = WeakSet()
        self._loop: AbstractEventLoop | None = None

    def install(self, loop: AbstractEventLoop) -> None:
        """Begin."""
        if self._loop is loop:
            return
        self._loop = loop
        create = loop.create_task

        @wraps(create)
        def create_task(*args: Any, **options: Any) -> Task[Any]:
            task = create(*args, **options)
            context = options.get("context")
            holder = keeper.get() if context is None else context.get(keeper)
            if holder is not None:
                frame = sys._getframe(1)  # noqa: SLF001 - documented in `sys`
                place = find_beginning(frame, through_clients=True)
                if place is not None:
                    self._remember(task, holder, place)
            return task

        loop.create_task = create_task  # type: ignore[method-assign]

    def _remember(self, task: Task[Any], holder: Keeper, place: Place) -> None:
        holder.tasks[task] = Start(place, asyncio.current_task(self._loop))
        if holder.is_over:
            self.late.add(holder)


def pending_tasks(holder: Keeper, allowed: Collection[str]) -> dict[Task[Any], Leak]:
    """Return the tasks that have not ended, without those that are allowed to go on."""
    leaks = {
        task: _describe(task, start)
        for task, start in list(holder.tasks.items())
        if not task.done()
    }
    return {task: leak for task, leak in leaks.items() if not leak.is_allowed(allowed)}


async def end_tasks(holder: Keeper, allowed: Collection[str]) -> list[Leak]:
    """Cancel what is still pending after a moment, wait for its end, and return what that was."""
    leaks = await _wait_a_moment(holder, allowed)
    left = set(leaks)
    for _ in range(_ATTEMPTS):
        for task in left:
            task.cancel()
        if left:
            _, left = await asyncio.wait(left, timeout=_CANCELLED_SECONDS)
    roots = [task for task in leaks if not _has_parent_in(task, holder, leaks)]
    return [leaks[task]._replace(detail=_outcome(task, leaks[task].detail)) for task in roots]


async def _wait_a_moment(holder: Keeper, allowed: Collection[str]) -> dict[Task[Any], Leak]:
    for seconds, is_meant in (
        (_GRACE_SECONDS, lambda _: True),
        (_CANCELLED_SECONDS, lambda task: task.cancelling() > 0),
    ):
        tasks = list(filter(is_meant, pending_tasks(holder, allowed)))
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)
    return pending_tasks(holder, allowed)


def _describe(task: Task[Any], start: Start) -> Leak:
    coroutine = task.get_coro()
    waits_at = find_wait(coroutine)
    wait = f"it waits at {shorten(waits_at)}" if waits_at else ""
    code = getattr(coroutine, "cr_code", None)
    if code is not None and code.co_filename == _OUR_APPS:
        return Leak("stream", ("of the app",), start.place, wait)
    name = getattr(coroutine, "__qualname__", None) or repr(coroutine)
    return Leak("task", (*names_of(name), task.get_name()), start.place, wait)


def _has_parent_in(task: Task[Any], holder: Keeper, leaks: Container[Task[Any] | None]) -> bool:
    start = holder.tasks.get(task)
    return start is not None and start.parent in leaks


def _outcome(task: Task[Any], detail: str) -> str:
    if not task.done():
        return _join(detail, "it was cancelled and did not end")
    error = None if task.cancelled() else task.exception()
    return detail if error is None else _join(detail, f"cancelled, it raised {error!r}")


def _join(*sentences: str) -> str:
    return "; ".join(filter(None, sentences))
