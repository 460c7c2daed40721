"""Who waits on the loop: a test in a task of its own, or synchronous code outside of any test.

What belongs to one of them and not to the loop is kept here, because several tests may wait at the
same time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio

    from pytest_asgi.runner.background import Owner
    from pytest_asgi.runner.guests import Guest
    from pytest_asgi.runner.host import Host


@dataclass(eq=False, slots=True)
class Waiter:
    """A test, or synchronous code that is no test's.

    Attributes:
        owner: The test; `None` outside of tests.
        task: What waits.
        crashes: What has cancelled the task: an exception, or a host that has died of one.
        guests: The async generators that live in the task, in the order of their set-up.
    """

    owner: Owner | None = None
    task: asyncio.Task[Any] | None = None
    crashes: list[BaseException | Host] = field(default_factory=list)
    guests: list[Guest] = field(default_factory=list)

    def cancel(self, cause: BaseException | Host) -> None:
        """Cancel the task because of an exception, or because a host has died of one."""
        self.crashes.append(cause)
        if self.task is not None:
            self.task.cancel()

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
