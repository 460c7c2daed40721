"""Find what tests and fixtures leave behind: the hooks, and whose context is whose.

Registered when the first test wants it, so that no other run has anything to do with it. A test
is asked when its own fixtures are torn down, a fixture of a wider scope at its own end. What a
test leaves that fails is ended as well, but not told: it may never have come to its clean-up.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from pytest_asgi.adapters.app_state import StateWatch
from pytest_asgi.adapters.unclosed_clients import ClientWatch
from pytest_asgi.plugin import leak_messages, leak_summary
from pytest_asgi.plugin.tracebacks import hides_our_frames
from pytest_asgi.runner.contexts import current_context
from pytest_asgi.runner.leaks.keepers import Keeper, keeper
from pytest_asgi.runner.leaks.watch import LeakWatch

if TYPE_CHECKING:
    from collections.abc import Generator

    from pytest_asgi.plugin.settings import Settings
    from pytest_asgi.plugin.waiting import Waiting
    from pytest_asgi.runner.leaks.keepers import Leak

__tracebackhide__ = hides_our_frames

Fixture = pytest.FixtureDef[Any]


@dataclass(eq=False, slots=True)
class _Watched:
    """A test that is watched.

    Attributes:
        has_ended_early: Whether it has failed, or was skipped.
    """

    keeper: Keeper
    settings: Settings
    is_to_be_asked: bool = False
    has_ended_early: bool = False


_WATCHED: pytest.StashKey[_Watched] = pytest.StashKey()


class Leaks:
    """The hooks around tests and fixtures that are watched."""

    def __init__(self, waiting: Waiting, settings: Settings) -> None:
        self._waiting = waiting
        self._settings = settings
        self._watch = LeakWatch(waiting.loop.run)
        self._clients = ClientWatch()
        self._state = StateWatch()
        self._fixtures: dict[Fixture, Keeper] = {}
        self._warnings: list[str] = []  # of the test that is being torn down

    def register(self, config: pytest.Config) -> None:
        """Begin to be asked."""
        # A variable that is put back to what it was has not changed; to be unset is no value.
        self._set_shared(None)
        config.pluginmanager.register(self, "asgi-leaks")
        leak_summary.register(config.pluginmanager)
        self._clients.start()
        self._state.start()

    def begin(self, item: pytest.Item, settings: Settings) -> None:
        """Watch a test, in whose context the caller runs.

        Args:
            item: The test.
            settings: Those of the test.
        """
        self._watch.begin(self._waiting.loop.loop)
        watched = item.stash[_WATCHED] = _Watched(Keeper(item.nodeid), settings)
        keeper.set(watched.keeper)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: Fixture, request: pytest.FixtureRequest
    ) -> Generator[None, Any, Any]:
        """Let what a fixture of a wider scope begins be the fixture's, and ask it at its end."""
        if fixturedef.scope == "function":
            self._ask_at_end(request.node)
            return (yield)
        owner = self._fixtures[fixturedef] = Keeper(f"The fixture {fixturedef.argname!r}")
        # Finalizers run last in, first out: the two stand around those of the fixture itself.
        fixturedef.addfinalizer(partial(self._end_fixture, fixturedef))
        with self._in_shared_context(owner):
            try:
                return (yield)
            finally:
                fixturedef.addfinalizer(partial(self._set_shared, owner))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> None:
        """Ask a test that has no fixture of its own."""
        self._ask_at_end(item)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Note whether a test has come to its end, and send with its report what was found."""
        report = yield
        watched = item.stash.get(_WATCHED, None)
        if watched is not None and call.excinfo is not None:
            watched.has_ended_early = True
        if report.when == "teardown" and self._warnings:
            setattr(report, leak_summary.FOUND, self._warnings)
            self._warnings = []
        return report

    def pytest_unconfigure(self) -> None:
        """Leave everything as it was."""
        self._clients.stop()
        self._state.stop()
        self._watch.stop()

    @contextmanager
    def living_with(self, fixture: Fixture) -> Generator[None]:
        """Return a block in which what an app begins is to be ended by `fixture`."""
        owner = self._fixtures.get(fixture)
        if owner is None:
            yield
            return
        with self._in_shared_context(owner):
            yield

    def _ask_at_end(self, item: pytest.Item) -> None:
        watched = item.stash.get(_WATCHED, None)
        if watched is not None and not watched.is_to_be_asked:
            # The first finalizer of a test is the last one to run, but runs before a module's.
            watched.is_to_be_asked = True
            item.addfinalizer(partial(self._end_test, item, watched))

    def _end_test(self, item: pytest.Item, watched: _Watched) -> None:
        del item.stash[_WATCHED]  # a test may run again
        if keeper.get() is watched.keeper:  # a synchronous test's context is everybody's
            keeper.set(None)
        mode, allowed = watched.settings.leaks, watched.settings.allow_leaks
        values = getattr(item, "funcargs", {}).values()
        leaks = self._watch.end(watched.keeper, allowed, values)
        late = self._watch.late(self._settings.allow_leaks)
        if watched.has_ended_early:
            leaks = []
        self._tell(mode, watched.keeper, leaks, late)

    def _end_fixture(self, fixture: Fixture) -> None:
        owner = self._fixtures.pop(fixture)
        self._set_shared(None)
        leaks = self._watch.end(owner, self._settings.allow_leaks)
        self._tell(self._settings.leaks, owner, leaks, [])

    def _tell(
        self, mode: str, owner: Keeper, leaks: list[Leak], late: list[tuple[Keeper, Leak]]
    ) -> None:
        if mode == "warn":
            self._warnings += leak_messages.in_lines(owner, leaks, late)
        elif mode == "error" and (leaks or late):
            raise leak_messages.left_behind(owner, leaks, late)

    @contextmanager
    def _in_shared_context(self, owner: Keeper) -> Generator[None]:
        before = self._waiting.loop.shared_context.get(keeper)
        self._set_shared(owner)
        try:
            yield
        finally:
            self._set_shared(before)

    def _set_shared(self, owner: Keeper | None) -> None:
        context = self._waiting.loop.shared_context
        if current_context() is context:
            keeper.set(owner)
        else:
            context.run(keeper.set, owner)
