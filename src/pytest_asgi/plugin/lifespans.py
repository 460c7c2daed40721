"""Lifespans that outlive a test: one for each app, for as long as the fixture that gave the app.

An app that is found, or comes from a session-scoped `app` fixture, starts once per session.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from pytest_asgi.asgi.lifespan import Lifespan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractContextManager

    import pytest

    from pytest_asgi.plugin.trio.waiting import SharedWaiting
    from pytest_asgi.plugin.waiting import Waiting

    LivingWith = Callable[[pytest.FixtureDef[Any]], AbstractContextManager[None]]

__tracebackhide__ = True  # a failure ends in the user's line


class Lifespans:
    """Starts the lifespan of an app at its first use.

    Args:
        living_with: Returns each a block in which what an app does lives as long as a fixture.
    """

    def __init__(self, living_with: Iterable[LivingWith]) -> None:
        self._living_with = tuple(living_with)
        self._started: dict[int, _Started] = {}

    def start(
        self, app: Any, fixture: pytest.FixtureDef[Any], waiting: Waiting | SharedWaiting
    ) -> dict[str, Any]:
        """Start the lifespan of `app`, unless it runs, and return its state.

        A start-up that failed is not tried again: later tests get the same exception. An app that
        runs on another backend is shut down before: it lives on one at a time.

        Args:
            app: The ASGI app.
            fixture: What gave the app; the app is shut down before this is torn down.
            waiting: The way to wait where it is to run.
        """
        started = self._started.get(id(app))
        if started is not None and started.home is not waiting.home:
            self._stop(started)
        if id(app) not in self._started:
            with waiting.one_at_a_time(id(app)):
                if id(app) not in self._started:
                    self._start(app, fixture, waiting)
        return self._started[id(app)].state()

    def _start(
        self, app: Any, fixture: pytest.FixtureDef[Any], waiting: Waiting | SharedWaiting
    ) -> None:
        with ExitStack() as stack:
            for living_with in self._living_with:
                stack.enter_context(living_with(fixture))
            started = self._started[id(app)] = _Started(app, waiting)
        fixture.addfinalizer(lambda: self._stop(started))

    def _stop(self, started: _Started) -> None:
        if self._started.get(id(started.app)) is started:  # else it was stopped before
            self._started.pop(id(started.app)).stop()

    def share_context(self, app: Any) -> None:
        """Set, in the running test, the context variables that the lifespan of `app` has set."""
        self._started[id(app)].lifespan.share_context()


class _Started:
    """An app that was started, or could not be."""

    def __init__(self, app: Any, waiting: Waiting | SharedWaiting) -> None:
        self._waiting = waiting
        self.home = waiting.home
        self.lifespan = Lifespan(app)
        self._failure: BaseException | None = None
        self.app = app  # keeps its `id` from being given to another object
        try:
            self._wait(self.lifespan.start())
        except Exception as failure:  # noqa: BLE001 - raised in each test that needs the app
            self._failure = failure

    def state(self) -> dict[str, Any]:
        if self._failure is not None:
            raise self._failure
        return self.lifespan.state

    def stop(self) -> None:
        if self._failure is None:
            self._wait(self.lifespan.stop())

    def _wait(self, coroutine: Any) -> None:
        self._waiting.for_shared(coroutine, "app")
