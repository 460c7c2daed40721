"""Set up and tear down async fixtures, and fixtures of a wider scope than one test.

An async fixture of function scope runs in the test's own task. One of a wider scope outlives that
task: a host task keeps it. Fixtures of a wider scope, synchronous ones too, run in the context
that all tests share.
"""

from __future__ import annotations

import inspect
from collections import defaultdict
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from pytest_asgi.plugin import pytest_private
from pytest_asgi.plugin.tracebacks import hides_our_frames
from pytest_asgi.plugin.verdict import dead_fixture

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from pytest_asgi.adapters.trio.host import TrioHost
    from pytest_asgi.plugin.assembly import Assembly
    from pytest_asgi.plugin.trio.waiting import SharedWaiting, TrioWaiting
    from pytest_asgi.plugin.waiting import Waiting
    from pytest_asgi.runner.contexts import Visit
    from pytest_asgi.runner.guests import Guest
    from pytest_asgi.runner.host import Host
    from pytest_asgi.runner.waiters import Waiter

__tracebackhide__ = hides_our_frames

Fixture = pytest.FixtureDef[Any]


class FixtureSetup:
    """The hooks around the set-up of fixtures."""

    def __init__(self, assembly: Assembly) -> None:
        self._assembly = assembly
        self._running: dict[pytest.Item, Waiter | None] = {}
        self._users: defaultdict[Fixture, set[Fixture]] = defaultdict(set)
        self._dead: dict[Fixture, Host | TrioHost] = {}

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(
        self, fixturedef: Fixture, request: pytest.FixtureRequest
    ) -> Generator[None, Any, Any]:
        """Give pytest a synchronous function to call in place of an async one."""
        if fixturedef.scope != "function":
            pytest_private.tell_requests(request, lambda used: self._users[used].add(fixturedef))
        if self._assembly.async_fixtures.has(fixturedef):
            if self._is_for_another(request):
                return (yield)
            function = pytest_private.bound_fixture_function(fixturedef, request)
            set_up = partial(self._set_up, fixturedef, function, request)
            with pytest_private.fixture_function(fixturedef, set_up):
                return (yield)
        with self._assembly.synchronous(), self._context_of(fixturedef, request):
            return (yield)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Refuse to run a test with a fixture that died during an earlier one."""
        self._running = {each: who for each, who in self._running.items() if _is_waiting(who)}
        self._running[item] = self._assembly.waiter
        for fixture, host in self._dead.items():
            if _is_used_by(item, fixture):
                host.is_crash_told = True
                raise dead_fixture(host.name) from host.crash

    def _set_up(
        self,
        fixture: Fixture,
        function: Callable[..., Any],
        request: pytest.FixtureRequest,
        /,  # a fixture's own arguments may have any name
        **arguments: Any,
    ) -> Any:
        waiting = self._waiting_for(request)
        made = function(**arguments)
        if inspect.isasyncgen(made):
            return self._set_up_generator(fixture, made, request, waiting)
        if self._lives_in_test(fixture):
            return waiting.for_fixture(made, fixture.argname)
        shared = waiting.shared
        self._assembly.homes.add(fixture, request, shared.home)
        return shared.for_shared(made, fixture.argname)

    def _set_up_generator(
        self,
        fixture: Fixture,
        generator: Any,
        request: pytest.FixtureRequest,
        waiting: Waiting | TrioWaiting,
    ) -> Any:
        name = fixture.argname
        keeper: Guest | Host | TrioHost
        place: Waiting | TrioWaiting | SharedWaiting
        if self._lives_in_test(fixture):
            place, keeper = waiting, waiting.guest(generator, name)
        else:
            place = waiting.shared
            self._assembly.homes.add(fixture, request, place.home)
            keeper = place.host(generator, name, on_crash=partial(self._bury, fixture))
        value = place.for_fixture(keeper.start(), name)

        def finish() -> None:
            try:
                place.for_fixture(keeper.stop(), name)
            finally:
                for user in self._with_users(fixture):
                    self._dead.pop(user, None)

        request.addfinalizer(finish)
        return value

    def _bury(self, fixture: Fixture, host: Host | TrioHost) -> None:
        """Tell the tests that use a dead fixture: the running one now, later ones at set-up."""
        users = self._with_users(fixture)
        self._dead |= dict.fromkeys(users, host)
        error = dead_fixture(host.name)
        error.__cause__ = host.crash
        for user in users:
            pytest_private.raise_when_requested(user, error)
        for item, waiter in self._running.items():
            if any(_is_used_by(item, user) for user in users):
                (waiter or self._assembly.waiting.loop.waiter).cancel(host)

    def _with_users(self, fixture: Fixture) -> list[Fixture]:
        """Return a fixture and all of a wider scope that use it, directly or not."""
        found = [fixture]
        for each in found:
            found += [user for user in self._users[each] if user not in found]
        return found

    def _lives_in_test(self, fixture: Fixture) -> bool:
        return fixture.scope == "function" and self._assembly.is_in_test

    def _waiting_for(self, request: pytest.FixtureRequest) -> Waiting | TrioWaiting:
        test = pytest_private.requesting_test(request)
        waiting = self._assembly.waiting_for(test)
        self._running[test] = self._assembly.waiter  # which may have been chosen just now
        return waiting

    def _is_for_another(self, request: pytest.FixtureRequest) -> bool:
        neighbours, test = self._assembly.neighbours, pytest_private.requesting_test(request)
        if neighbours.keeps(test):
            return True
        if not (neighbours.has_anyio and neighbours.chooses_backend(test)):
            return False
        return neighbours.is_for_anyio(test, request.getfixturevalue("anyio_backend"))

    @contextmanager
    def _context_of(self, fixture: Fixture, request: pytest.FixtureRequest) -> Generator[None]:
        if fixture.scope == "function":
            yield
            return
        # Finalizers run last in, first out: the two stand around those of the fixture itself.
        stay = _StayInSharedContext(self._assembly)
        request.addfinalizer(stay.end)
        stay.begin()
        try:
            yield
        finally:
            stay.end()
            request.addfinalizer(stay.begin)


def _is_waiting(waiter: Waiter | None) -> bool:
    return waiter is not None and not waiter.is_over


def _is_used_by(item: pytest.Item, fixture: Fixture) -> bool:
    return isinstance(item, pytest.Function) and pytest_private.is_used_by(item, fixture)


class _StayInSharedContext:
    """A visit to the shared context from a test's task; nothing anywhere else."""

    def __init__(self, assembly: Assembly) -> None:
        self._assembly = assembly
        self._visit: Visit | None = None

    def begin(self) -> None:
        if self._assembly.is_in_test:
            self._visit = self._assembly.waiting.visit_shared_context()
            self._visit.begin()

    def end(self) -> None:
        if self._visit is not None:
            self._visit.end()
            self._visit = None
