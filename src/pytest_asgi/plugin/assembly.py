"""The parts of the plugin, put together; the costly ones when they are first needed.

Every pytest run in an environment loads the plugin, most of them without a single async test:
asyncio, greenlet and the HTTP client are imported when something asks for them.
"""

from __future__ import annotations

import threading
from contextlib import nullcontext
from contextvars import copy_context
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pytest

from pytest_asgi.plugin import discovery, pytest_private
from pytest_asgi.plugin.asynchronous import AsyncFixtures
from pytest_asgi.plugin.neighbours import Neighbours
from pytest_asgi.plugin.overrides import Overrides
from pytest_asgi.plugin.settings import Settings, read_settings
from pytest_asgi.plugin.trio.choice import TrioChoice, is_trio, options_of
from pytest_asgi.plugin.trio.homes import Homes

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Coroutine
    from contextlib import AbstractContextManager

    from pytest_asgi.database.redirect import Redirect
    from pytest_asgi.plugin.databases import Databases
    from pytest_asgi.plugin.leaks import Leaks
    from pytest_asgi.plugin.lifespans import Lifespans
    from pytest_asgi.plugin.queries import QueryWatch
    from pytest_asgi.plugin.trio.waiting import TrioWaiting
    from pytest_asgi.plugin.waiting import Waiting
    from pytest_asgi.runner.loop import SessionLoop
    from pytest_asgi.runner.waiters import Waiter
    from pytest_asgi.runner.watched_loop import WatchedLoop


__tracebackhide__ = True  # a failure ends in the user's line


class Assembly:
    """Everything that one pytest session has of pytest-asgi.

    Attributes:
        settings: What the project has set.
        neighbours: Other plugins that run async tests.
        trio_choice: Which tests run on trio.
        homes: Where async fixtures of wider scopes live.
        async_fixtures: Which fixtures are asynchronous.
        overrides: What tests and fixtures set in `dependency_overrides`.
        redirect: Where connections to databases go.
    """

    def __init__(self, config: pytest.Config, redirect: Redirect) -> None:
        self.settings: Settings = read_settings(config)
        self.neighbours = Neighbours(config)
        self.trio_choice = TrioChoice(self.settings, self.neighbours)
        self.homes = Homes(lambda: self.home)
        self.async_fixtures = AsyncFixtures()
        self.overrides = Overrides()
        self.redirect = redirect
        self.is_stand_in_announced = False
        self._waiting: Waiting | None = None
        self._config = config
        self._making = threading.RLock()
        self.stay_at_home()

    def stay_at_home(self) -> None:
        """Take this thread and its context for those that tests run in."""
        self._thread, self._context = threading.get_ident(), copy_context()

    @property
    def waiting(self) -> Waiting:
        """The way to wait on the session's loop."""
        return self._waiting or self._make_waiting()

    def _make_waiting(self) -> Waiting:
        from pytest_asgi.plugin.waiting import make_waiting  # noqa: PLC0415 - imports asyncio

        with self._making:  # several threads of a test may come first
            if self._waiting is None:
                arguments = self._config, self.settings, self._thread, self._context
                self._waiting = make_waiting(*arguments)
        return self._waiting

    @cached_property
    def trio(self) -> TrioWaiting:
        """The way to wait on trio."""
        from pytest_asgi.plugin.trio.making import make_trio_waiting  # noqa: PLC0415

        trio = make_trio_waiting(self.waiting.loop.shared_context)
        self._config.pluginmanager.register(self.homes, "asgi-homes")
        return trio

    @property
    def has_trio(self) -> bool:
        """Whether any test has run on trio."""
        return "trio" in self.__dict__

    @property
    def home(self) -> object:
        """What the objects belong to that the running test makes."""
        return self.trio.waiter.run if self.is_on_trio else self.waiting.home

    @property
    def is_on_trio(self) -> bool:
        """Whether a test is running on trio."""
        return self.has_trio and self.trio.is_in_test

    def waiting_for(self, item: pytest.Function) -> Waiting | TrioWaiting:
        """Return the way to wait for what a running test and its fixtures do."""
        if self.is_on_trio:
            return self.trio
        if self.trio_choice.is_late(item):
            backend = pytest_private.request_of(item).getfixturevalue("anyio_backend")
            if is_trio(backend):
                self.trio.begin_test(item, **options_of(item, backend))
                return self.trio
        return self.waiting

    def run_coroutine(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Wait for `coroutine` in synchronous code."""
        return self.waiting.for_client(coroutine)

    def run_for_client(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Wait for what a synchronous client does, where the running test does."""
        return (
            self.trio.for_client(coroutine) if self.is_on_trio else self.run_coroutine(coroutine)
        )

    def run_in_shared_context(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Wait for `coroutine` in synchronous code; what it makes outlives the running test."""
        return self.run_coroutine(self.waiting.loop.in_shared_context(coroutine))

    @cached_property
    def lifespans(self) -> Lifespans:
        """The lifespans of the apps that the `client` fixture talks to."""
        from pytest_asgi.plugin.lifespans import Lifespans  # noqa: PLC0415 - imports asyncio

        living_with = [self.overrides.living_with, self._kept_in_databases, self._beginning_for]
        return Lifespans(living_with)

    @cached_property
    def databases(self) -> Databases:
        """The private databases that stand in for the app's."""
        from pytest_asgi.plugin.databases import Databases  # noqa: PLC0415 - few runs have any

        databases = Databases(self, self._config.rootpath, self.redirect)
        self._config.pluginmanager.register(databases, "asgi-databases")
        return databases

    @cached_property
    def query_watch(self) -> QueryWatch:
        """What records the statements of tests."""
        from pytest_asgi.plugin.queries import QueryWatch  # noqa: PLC0415 - few runs want it

        return QueryWatch(self.settings, self.redirect)

    @cached_property
    def leaks(self) -> Leaks:
        """What finds out what tests leave behind."""
        from pytest_asgi.plugin.leaks import Leaks  # noqa: PLC0415 - few runs want it

        leaks = Leaks(self.waiting, self.settings)
        leaks.register(self._config)
        return leaks

    def _kept_in_databases(self, fixture: pytest.FixtureDef[Any]) -> AbstractContextManager[None]:
        return self.databases.living_with(fixture) if self.redirect.is_on else nullcontext()

    def _beginning_for(self, fixture: pytest.FixtureDef[Any]) -> AbstractContextManager[None]:
        return self.leaks.living_with(fixture) if "leaks" in self.__dict__ else nullcontext()

    def start_app(
        self, app: Any, fixture: pytest.FixtureDef[Any], item: pytest.Function
    ) -> dict[str, Any]:
        """Start the lifespan of an app where a test runs, unless it does; return its state.

        Args:
            app: The app.
            fixture: What gave it.
            item: The test.
        """
        return self.lifespans.start(app, fixture, self.waiting_for(item).shared)

    @cached_property
    def found_app(self) -> discovery.FoundApp | None:
        """Where the project's app is, if it has one."""
        return discovery.find_app(self._config.rootpath, self.settings.app)

    def load_app(self) -> Any:
        """Return the project's app.

        Raises:
            AppNotFoundError: It has none, or not where it is said to be.
        """
        app = self._config.hook.pytest_asgi_find_app(config=self._config)
        if app is not None:
            return app
        if self.found_app is None:
            raise discovery.not_found(self._config.rootpath)
        from pytest_asgi.plugin import app_loading  # noqa: PLC0415 - not every test has an app

        return app_loading.load_app(self.found_app, wait=self._wait_for_app)

    def _wait_for_app(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        # The app outlives the test that happens to come first.
        return self.waiting.for_shared(coroutine, "asgi_app")

    @property
    def made_loop(self) -> AbstractEventLoop | None:
        """The session's loop, if anything has needed it yet."""
        session_loop = self.session_loop
        return None if session_loop is None else session_loop.loop

    @property
    def session_loop(self) -> SessionLoop | None:
        """What runs the session's loop, if anything has needed it yet."""
        waiting = self._waiting
        return None if waiting is None or not waiting.loop.is_made else waiting.loop

    @property
    def watched_loop(self) -> WatchedLoop | None:
        """What the running test waits on, if anything has needed it yet."""
        watched = self.trio.watched if self.has_trio else None
        if watched is not None:
            return watched
        from pytest_asgi.runner.watched_loop import WatchedSessionLoop  # noqa: PLC0415 - asyncio

        session_loop = self.session_loop
        return None if session_loop is None else WatchedSessionLoop(session_loop)

    @property
    def is_in_test(self) -> bool:
        """Whether the calling code runs in the task of a test."""
        waiting = self._waiting
        return waiting is not None and (self.is_on_trio or waiting.is_in_test)

    @property
    def is_in_coroutine(self) -> bool:
        """Whether a coroutine of a test has called the calling code."""
        return self._waiting is not None and self._waiting.is_in_coroutine

    def waiter_for(self, item: pytest.Item) -> Waiter:
        """Return a running test; if it needs no task, whoever waits for it."""
        return self.trio.waiter if self.is_on_trio else self.waiting.loop.waiter_for(item.nodeid)

    def synchronous(self) -> AbstractContextManager[None]:
        """Return a block in which no loop seems to run."""
        return nullcontext() if self._waiting is None else self._waiting.synchronous()

    def background_failures(
        self, item: pytest.Item, *, is_last: bool = False
    ) -> list[BaseException]:
        """Return what has failed in the background since the last call.

        Args:
            item: The test that is asked for.
            is_last: Whether it is over and no other will follow: what still runs is ended.
        """
        waiting = self._waiting
        if waiting is None:
            return []
        failures = waiting.background_failures(item.name)
        return failures + waiting.rest_of_background() if is_last else failures

    def close(self) -> None:
        """Leave FastAPI as it was, end what runs on trio, and close the loop if there is one."""
        self.overrides.stop()
        if self.has_trio:
            self.trio.close()
        if self._waiting is not None:
            self._waiting.loop.close()


# An annotation: as an expression, `StashKey[Assembly]` stays in a cache of `typing` for ever.
ASSEMBLY: pytest.StashKey[Assembly] = pytest.StashKey()
