"""Who waits on the loop: a test in a task of its own, or synchronous code outside of any test.

What belongs to one of them and not to the loop is kept here, because several tests may wait at the
same time.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from pytest_asgi.runner.background import Owner
    from pytest_asgi.runner.guests import Guest


class Died(Protocol):
    """A host whose generator has died while its value was in use.

    Attributes:
        crash: What it died of.
        is_crash_told: Whether a test was reported to have failed with it.
    """

    crash: BaseException | None
    is_crash_told: bool


class Waiter:
    """A test, or synchronous code that is no test's.

    Attributes:
        owner: The test; `None` outside of tests.
        task: What waits.
        crashes: What has cancelled the task: an exception, or a host that has died of one.
        guests: The async generators that live in the task, in the order of their set-up.
    """

    def __init__(self, owner: Owner | None = None) -> None:
        self.owner = owner
        self.task: asyncio.Task[Any] | None = None
        self.crashes: list[BaseException | Died] = []
        self.guests: list[Guest] = []

    @property
    def is_over(self) -> bool:
        """Whether nothing can cancel it any more."""
        return self.task is None or self.task.done()

    def cancel(self, cause: BaseException | Died) -> None:
        """Cancel the task because of an exception, or because a host has died of one."""
        self.crashes.append(cause)
        if self.task is not None:
            self.task.cancel()

    def cancel_again(self) -> None:
        """Cancel the task once more, which went on all the same."""
        assert self.task is not None
        self.task.cancel()

    def take_back(self) -> None:
        """Take back what `cancel_again` did, as what it was for is over."""
        assert self.task is not None
        self.task.uncancel()

    def raise_where_it_waits(self, error: BaseException) -> bool:
        """Raise what is no cancellation in a task that catches those; tell whether it could be."""
        awaited = getattr(self.task, "_fut_waiter", None)  # there is no public way to it
        if not isinstance(awaited, asyncio.Future) or isinstance(awaited, asyncio.Task):
            return False
        awaited.set_exception(error)
        return True

    def forget_crash(self, cause: BaseException) -> None:
        """Forget a cause that `cancel` was given, if nobody has taken it."""
        if cause in self.crashes:
            self.crashes.remove(cause)

    def take_crash(self) -> BaseException | None:
        """Return, once, what a fixture's task raised while this test was using it."""
        if not self.crashes:
            return None
        if self.task is not None:
            self.task.uncancel()
        cause = self.crashes.pop(0)
        if isinstance(cause, BaseException):
            return cause
        cause.is_crash_told = True
        return cause.crash

    def take_missed(self) -> list[BaseException]:
        """Return, once, what has cancelled the task, which went on all the same.

        What a host has died of is raised by its fixture.
        """
        missed = [cause for cause in self.crashes if isinstance(cause, BaseException)]
        for cause in missed:
            self.crashes.remove(cause)
        return missed
