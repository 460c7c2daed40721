"""Wait for the coroutine of a test or a fixture, and turn a cancellation into what caused it.

pytest's own protocol does not expect asyncio's CancelledError, which is no `Exception`: it would
break off a tear-down half-way. It never leaves this module.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from pytest_asgi.plugin import pytest_private
from pytest_asgi.plugin.event_loop import loop_factory
from pytest_asgi.plugin.peer_options import option_of_peer
from pytest_asgi.plugin.verdict import (
    TELLING_THE_PLACE,
    add_background,
    cancelled_test,
    explain_crash,
    explain_unwinding,
    only_outcome,
    raise_together,
)
from pytest_asgi.runner.bridge import is_bridged, is_in_coroutine, synchronous
from pytest_asgi.runner.contexts import Visit
from pytest_asgi.runner.guests import Guest, Unwinding, canceller
from pytest_asgi.runner.loop import Home, SessionLoop

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator
    from contextlib import AbstractContextManager
    from contextvars import Context

    import pytest

    from pytest_asgi.plugin.settings import Settings
    from pytest_asgi.runner.host import Host
    from pytest_asgi.runner.waiters import Waiter

__tracebackhide__ = True  # a failure ends in the user's line

T = TypeVar("T")


class Waiting:
    """Waits on the session's loop for what tests and fixtures do."""

    def __init__(self, loop: SessionLoop) -> None:
        self.loop = loop
        self._locks: dict[object, asyncio.Lock] = {}

    def for_test(self, awaitable: Awaitable[T], item: pytest.Item) -> T:
        """Wait for the body of a test."""
        try:
            return self._wait(awaitable, item.name)
        except asyncio.CancelledError as cancelled:
            # The scope of a fixture raises what had happened when it is left: leave it now, so
            # that this is the test's failure and not a second one.
            unwinding = Unwinding(cancelled, self.loop.waiter.guests)
            errors = pytest_private.tear_down_fixtures(item)
            raise_together(
                f"{item.name} was cancelled, and its tear-down failed",
                explain_unwinding(unwinding, errors, item.name, cancelled),
            )
            raise AssertionError from cancelled  # there is always something to raise

    def for_fixture(self, awaitable: Awaitable[T], name: str) -> T:
        """Wait for the set-up or the tear-down of a fixture."""
        return self._wait_beside_test(awaitable, f"The fixture {name!r}")

    def for_shared(self, coroutine: Coroutine[Any, Any, T], name: str) -> T:
        """Wait for what outlives the running test, and is not owned by it."""
        return self.for_fixture(self.loop.in_shared_context(coroutine), name)

    def for_other_tests(self, awaitable: Awaitable[T]) -> T:
        """Wait for tests that run at the same time."""
        return self._wait_beside_test(awaitable, "The wait for another test")

    def for_client(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Wait for what a synchronous client does, in the context of the caller."""
        try:
            return self.loop.run(coroutine)
        except asyncio.CancelledError as cancelled:
            crash = self.loop.waiter.take_crash()
            if crash is None:
                raise
            raise explain_crash(crash, "The client", cancelled) from None

    @contextmanager
    def one_at_a_time(self, key: object) -> Generator[None]:
        """Let nobody else into a block of the same key, although the code in it waits."""
        if not is_bridged():
            yield
            return
        lock = self._locks.setdefault(key, asyncio.Lock())
        self.for_other_tests(lock.acquire())
        try:
            yield
        finally:
            lock.release()

    @property
    def is_in_test(self) -> bool:
        """Whether the calling code runs in the task of a test."""
        return is_bridged()

    @property
    def is_in_coroutine(self) -> bool:
        """Whether a coroutine of a test has called the calling code."""
        return is_in_coroutine()

    def visit_shared_context(self) -> Visit:
        """Return a visit of the calling code to the context that all tests share."""
        return Visit(self.loop.shared_context)

    def synchronous(self) -> AbstractContextManager[None]:
        """Return a block in which a synchronous fixture may call `asyncio.run`."""
        return synchronous()

    def guest(self, generator: AsyncGenerator[Any, None], name: str) -> Guest:
        """Return the keeper of an async generator that lives in the running test's task."""
        return Guest(generator, name=name, guests=self.loop.waiter.guests)

    def host(
        self,
        generator: AsyncGenerator[Any, None],
        name: str,
        *,
        on_crash: Callable[[Host], None],
    ) -> Host:
        """Return the keeper of an async generator that outlives the running test."""
        return self.loop.host(generator, name=name, on_crash=on_crash)

    @property
    def home(self) -> object:
        """What the objects that are made here belong to."""
        return self.loop

    @property
    def shared(self) -> Waiting:
        """The way to wait for what outlives the running test."""
        return self

    def background_failures(self, name: str) -> list[BaseException]:
        """Return what has failed in the background; what was started just now may do a step.

        Args:
            name: The test that is asked for.
        """
        if not self.loop.is_made:
            return []
        if is_bridged() and not self.loop.is_idle:
            crashes = self._let_others_step(name)
            return [*crashes, *self.loop.background.take()]
        return self.loop.background.take()

    def rest_of_background(self) -> list[BaseException]:
        """End what still runs after the last test, and return what that has raised."""
        if not self.loop.is_made:
            return []
        self.loop.end_everything()
        return self.loop.background.take()

    def _let_others_step(self, name: str) -> list[BaseException]:
        try:
            self.loop.run(asyncio.sleep(0))
            if self.loop.background.has_several or len(asyncio.all_tasks(self.loop.loop)) > 1:
                self.loop.run(_sleep_for_cycles(4))  # a crash takes some to reach the test
        except asyncio.CancelledError as cancelled:
            # Too late for the test. A scope in its own task raises when it is left; the fixture
            # of a wider scope that died has nobody else to say so.
            crash = self.loop.waiter.take_crash()
            return [] if crash is None else [explain_crash(crash, name, cancelled)]
        return []

    def _wait(self, awaitable: Awaitable[T], name: str) -> T:
        waiter = self.loop.waiter
        try:
            value = self._wait_for_outcome(awaitable, name)
        except Exception as error:
            add_background(error, self._missed(waiter, name))
            raise
        if waiter.crashes:
            for missed in self._missed(waiter, name):
                raise missed
        return value

    def _wait_beside_test(self, awaitable: Awaitable[T], name: str) -> T:
        try:
            return self._wait(awaitable, name)
        except asyncio.CancelledError as cancelled:
            by = canceller(self.loop.waiter.guests)
            raise cancelled_test(name, by=by) from cancelled

    def _missed(self, waiter: Waiter, name: str) -> list[BaseException]:
        """Return what first cancelled the code that was waited for, if that code went on."""
        missed = waiter.take_missed()[:1]
        for cause in missed:
            cause.add_note(f"{name} was cancelled by this, and caught the cancellation.")
            if isinstance(cause, TELLING_THE_PLACE):
                cause.__traceback__ = None
        return missed

    def _wait_for_outcome(self, awaitable: Awaitable[T], name: str) -> T:
        try:
            return self.loop.run_shared(awaitable)
        except asyncio.CancelledError as cancelled:
            crash = self.loop.waiter.take_crash()
            if crash is None:
                raise
            raise explain_crash(crash, name, cancelled) from None
        except BaseExceptionGroup as group:
            outcome = only_outcome(group)
            if outcome is None:
                raise
            raise outcome from group


async def _sleep_for_cycles(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def make_waiting(
    config: pytest.Config, settings: Settings, thread: int, context: Context
) -> Waiting:
    """Return the way to wait on a new loop, as the project has set it.

    Args:
        config: The configuration of the session.
        settings: What the project has set.
        thread: The thread that runs the tests.
        context: The context that it has at the start of the session.
    """
    factory = loop_factory(config, settings)
    return Waiting(SessionLoop(factory, home=Home(thread, context), debug=_wants_debug(config)))


def _wants_debug(config: pytest.Config) -> bool:
    return option_of_peer(config, "asyncio_debug") in (True, "true", "True", "1")
