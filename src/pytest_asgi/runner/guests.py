"""Async generators that live in a test's own task, and a cancellation that meets them.

What cancels a test is usually a scope that one of its fixtures holds: a timeout, a cancel scope,
a task group with a child that failed. The scope turns the cancellation into what it means when
the cancellation comes out of its block; so this is shown to the fixture where it stands.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from pytest_asgi.runner.generators import set_up, tear_down, unwind
from pytest_asgi.runner.scopes import has_cancelled, holds_task_group

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

__tracebackhide__ = True  # a failure ends in the user's line


class Guest:
    """Runs one async generator in the task of whoever starts and stops it.

    Args:
        generator: The fixture's async generator, not yet started.
        name: The fixture's name.
        guests: Those that live in the same task, in the order of their set-up.
    """

    def __init__(
        self, generator: AsyncGenerator[Any, None], *, name: str, guests: list[Guest]
    ) -> None:
        self.name = name
        self._generator = generator
        self._guests = guests
        self._unwinding: Unwinding | None = None

    async def start(self) -> Any:
        """Run the generator to its `yield` and return the value."""
        value = await set_up(self._generator, self.name)
        self._guests.append(self)
        return value

    async def stop(self) -> None:
        """Run the generator to its end."""
        self._guests.remove(self)
        if self._unwinding is None or self._unwinding.is_over:
            await tear_down(self._generator, self.name)
        else:
            await self._unwinding.pass_through(self._generator, self.name)

    @property
    def has_cancelled(self) -> bool:
        """Whether a scope that it holds has cancelled the task."""
        return has_cancelled(self._generator)

    @property
    def holds_task_group(self) -> bool:
        """Whether it holds a task group, which waits for its children when it is left."""
        return holds_task_group(self._generator)

    def join(self, unwinding: Unwinding) -> None:
        """Let the cancellation pass through the generator when it is stopped, if it has to.

        It has to where the scope is held that it comes from, and where a task group would wait
        for its children instead of cancelling them. The others' tear-downs run to their end.
        """
        if self.has_cancelled or self.holds_task_group:
            self._unwinding = unwinding


def _is_cancelled_error(error: BaseException) -> bool:
    return isinstance(error, asyncio.CancelledError)


class Unwinding:
    """A cancellation on its way outwards from the test, until the scope that it comes from.

    Args:
        cancelled: The cancellation, where the test met it.
        guests: The generators that live in the test's task.
        is_cancellation: Tells a cancellation from another exception.

    Attributes:
        caught_by: The name of the fixture whose scope it came from, once that is known.
        error: What that fixture raised instead, such as TimeoutError.
    """

    def __init__(
        self,
        cancelled: BaseException,
        guests: Sequence[Guest],
        is_cancellation: Callable[[BaseException], bool] = _is_cancelled_error,
    ) -> None:
        self.caught_by: str | None = None
        self.error: BaseException | None = None
        self._cancelled = cancelled
        self._is_cancellation = is_cancellation
        for guest in _within_cancelled_scope(guests):
            guest.join(self)

    @property
    def is_over(self) -> bool:
        """Whether the cancellation has been caught."""
        return self.caught_by is not None

    async def pass_through(self, generator: AsyncGenerator[Any, None], name: str) -> None:
        """Show the cancellation to a generator; what it raises instead is raised here."""
        try:
            await unwind(generator, name, self._cancelled)
        except BaseException as error:
            if self._is_cancellation(error):
                self._cancelled = error
                return
            self.caught_by, self.error = name, error
            raise
        self.caught_by = name


def canceller(guests: Sequence[Guest]) -> str | None:
    """Return the name of the generator with the outermost scope that has cancelled the task."""
    within = _within_cancelled_scope(guests)
    return within[0].name if within else None


def _within_cancelled_scope(guests: Sequence[Guest]) -> Sequence[Guest]:
    for position, guest in enumerate(guests):
        if guest.has_cancelled:
            return guests[position:]
    return []
