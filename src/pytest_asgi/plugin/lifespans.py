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

    from pytest_asgi.plugin.waiting import Waiting

    LivingWith = Callable[[pytest.FixtureDef[Any]], AbstractContextManager[None]]

__tracebackhide__ = True  # a failure ends in the user's line


class Lifespans:
    """Starts the lifespan of an app at its first use.

    Args:
        waiting: The way to wait on the session's loop.
        living_with: Returns each a block in which what an app does lives as long as a fixture.
    """

    def __init__(self, waiting: Waiting, living_with: Iterable[LivingWith]) -> None:
        self._waiting = waiting
        self._living_with = tuple(living_with)
        self._started: dict[int, _Started] = {}

    def start(self, app: Any, fixture: pytest.FixtureDef[Any]) -> dict[str, Any]:
        """Start the lifespan of `app`, unless it runs, and return its state.

        A start-up that failed is not tried again: later tests get the same exception.

        Args:
            app: The ASGI app.
            fixture: What gave the app; the app is shut down before this is torn down.
        """
        if id(app) not in self._started:
            with self._waiting.one_at_a_time(id(app)):
                if id(app) not in self._started:
                    self._start(app, fixture)
        return self._started[id(app)].state()

    def _start(self, app: Any, fixture: pytest.FixtureDef[Any]) -> None:
        with ExitStack() as stack:
            for living_with in self._living_with:
                stack.enter_context(living_with(fixture))
            self._started[id(app)] = _Started(app, self._waiting)
        fixture.addfinalizer(lambda: self._started.pop(id(app)).stop())

    def share_context(self, app: Any) -> None:
        """Set, in the running test, the context variables that the lifespan of `app` has set."""
        self._started[id(app)].lifespan.share_context()


class _Started:
    """An app that was started, or could not be."""

    def __init__(self, app: Any, waiting: Waiting) -> None:
        self._waiting = waiting
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
        # Not owned by the test that happens to come first.
        self._waiting.for_fixture(self._waiting.loop.in_shared_context(coroutine), "app")
