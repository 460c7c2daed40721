"""Set up and tear down async fixtures, and fixtures of a wider scope than one test.

An async fixture of function scope runs in the test's own task. One of a wider scope outlives that
task: a host task keeps it. Fixtures of a wider scope, synchronous ones too, run in the context
that all tests share.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import contextmanager
from functools import partial
from types import AsyncGeneratorType
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

__tracebackhide__ = hides_our_frames

Fixture = pytest.FixtureDef[Any]


class FixtureSetup:
    """The hook around the set-up of fixtures."""

    def __init__(self, assembly: Assembly) -> None:
        self._assembly = assembly
        self._users: defaultdict[Fixture, set[Fixture]] = defaultdict(set)
        self._dead = DeadFixtures()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(
        self, fixturedef: Fixture, request: pytest.FixtureRequest
    ) -> Generator[None, Any, Any]:
        """Give pytest a synchronous function to call in place of an async one."""
        assembly = self._assembly
        is_for_test = fixturedef.scope == "function"
        if is_for_test:
            assembly.overrides.begin(pytest_private.requesting_test(request))
        else:
            pytest_private.tell_requests(request, lambda used: self._users[used].add(fixturedef))
        if assembly.async_fixtures.has(fixturedef) and not self._is_for_another(request):
            asynchronous = fixturedef.func
            synchronous = self._make_synchronous(fixturedef, request, is_for_test=is_for_test)
            pytest_private.replace_function(fixturedef, synchronous)
            try:
                if is_for_test:
                    return (yield)
                with assembly.overrides.living_with(fixturedef):
                    return (yield)
            finally:
                pytest_private.replace_function(fixturedef, asynchronous)
        if is_for_test and not assembly.is_in_coroutine:  # as almost all are
            return (yield)
        with assembly.synchronous(), self._life_of(fixturedef, request):
            return (yield)

    def _make_synchronous(
        self, fixture: Fixture, request: pytest.FixtureRequest, *, is_for_test: bool
    ) -> Callable[..., Any]:
        asynchronous = pytest_private.bound_fixture_function(fixture, request)
        assembly = self._assembly

        # A plain function: pytest takes several looks at it to find out what it is.
        def set_up(**arguments: Any) -> Any:
            waiting = assembly.waiting_for(pytest_private.requesting_test(request))
            made = asynchronous(**arguments)
            if is_for_test and assembly.is_in_test:
                if isinstance(made, AsyncGeneratorType):
                    keeper = waiting.guest(made, fixture.argname)
                    return self._set_up_generator(fixture, request, keeper, waiting)
                return waiting.for_fixture(made, fixture.argname)
            shared = waiting.shared
            assembly.homes.add(fixture, request, shared.home)
            if isinstance(made, AsyncGeneratorType):
                bury = partial(self._bury, fixture, request)
                host = shared.host(made, fixture.argname, on_crash=bury)
                return self._set_up_generator(fixture, request, host, shared)
            return shared.for_shared(made, fixture.argname)

        return set_up

    def _set_up_generator(
        self,
        fixture: Fixture,
        request: pytest.FixtureRequest,
        keeper: Guest | Host | TrioHost,
        place: Waiting | TrioWaiting | SharedWaiting,
    ) -> Any:
        name = fixture.argname
        value = place.for_fixture(keeper.start(), name)

        def finish() -> None:
            try:
                place.for_fixture(keeper.stop(), name)
            finally:
                if self._dead.hosts:
                    self._dead.forget(self._with_users(fixture))

        request.addfinalizer(finish)
        return value

    def _bury(
        self, fixture: Fixture, request: pytest.FixtureRequest, host: Host | TrioHost
    ) -> None:
        """Tell the tests that use a dead fixture: the running one now, later ones at set-up."""
        users = self._with_users(fixture)
        self._dead.remember(users, host, request.config.pluginmanager)
        error = dead_fixture(host.name)
        error.__cause__ = host.crash
        for user in users:
            pytest_private.raise_when_requested(user, error)
        for item in pytest_private.running_tests(request.session):
            if any(_is_used_by(item, user) for user in users):
                self._assembly.waiter_for(item).cancel(host)

    def _with_users(self, fixture: Fixture) -> list[Fixture]:
        """Return a fixture and all of a wider scope that use it, directly or not."""
        found = [fixture]
        for each in found:
            found += [user for user in self._users[each] if user not in found]
        return found

    def _is_for_another(self, request: pytest.FixtureRequest) -> bool:
        neighbours, test = self._assembly.neighbours, pytest_private.requesting_test(request)
        if neighbours.keeps(test):
            return True
        if not (neighbours.has_anyio and neighbours.chooses_backend(test)):
            return False
        return neighbours.is_for_anyio(test, request.getfixturevalue("anyio_backend"))

    @contextmanager
    def _life_of(self, fixture: Fixture, request: pytest.FixtureRequest) -> Generator[None]:
        """Let what a synchronous fixture sets, also at its tear-down, live as long as it does."""
        if fixture.scope == "function":
            yield
            return
        # Finalizers run last in, first out: the two stand around those of the fixture itself.
        stay = _StayInSharedContext(self._assembly)
        request.addfinalizer(stay.end)
        stay.begin()
        try:
            with self._assembly.overrides.living_with(fixture):
                yield
        finally:
            stay.end()
            request.addfinalizer(stay.begin)


class DeadFixtures:
    """The hook that tests with a fixture meet which died earlier. Registered when one does.

    Attributes:
        hosts: What has died, by the fixtures that cannot be used any more.
    """

    def __init__(self) -> None:
        self.hosts: dict[Fixture, Host | TrioHost] = {}

    def remember(
        self,
        fixtures: list[Fixture],
        host: Host | TrioHost,
        manager: pytest.PytestPluginManager,
    ) -> None:
        """Refuse tests that use one of these fixtures."""
        self.hosts |= dict.fromkeys(fixtures, host)
        if not manager.is_registered(self):
            manager.register(self, "asgi-dead-fixtures")

    def forget(self, fixtures: list[Fixture]) -> None:
        """Be told that these are torn down: they can be set up anew."""
        for fixture in fixtures:
            self.hosts.pop(fixture, None)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Refuse to run a test with a fixture that died during an earlier one."""
        for fixture, host in self.hosts.items():
            if _is_used_by(item, fixture):
                host.is_crash_told = True
                raise dead_fixture(host.name) from host.crash


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
