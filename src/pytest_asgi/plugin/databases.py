"""The private databases of a session: opened when one is needed, put back after each test.

They are on when the project has set `asgi_schema` or `asgi_database`, or when a collected test
asks for the `db` fixture; otherwise connections go where they always went.
"""

from __future__ import annotations

from contextlib import ExitStack, closing, contextmanager, suppress
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from pytest_asgi.adapters import openers
from pytest_asgi.database.baselines import Baselines
from pytest_asgi.database.redirect import current, diverted_to
from pytest_asgi.errors import DatabaseError, IsolationError
from pytest_asgi.plugin import pytest_private
from pytest_asgi.plugin.held_connections import LoopOwner, close_connections, naming_what_is_held
from pytest_asgi.plugin.schema import read_schema
from pytest_asgi.plugin.settings import settings_of_test

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator, Iterable, Iterator
    from pathlib import Path

    from pytest_asgi.database.database import SyncDatabase
    from pytest_asgi.database.redirect import Redirect
    from pytest_asgi.database.schema import Schema
    from pytest_asgi.database.sources import Library
    from pytest_asgi.database.stores import Mark, Store
    from pytest_asgi.database.targets import Target
    from pytest_asgi.plugin.settings import Settings

__tracebackhide__ = True  # a failure ends in the user's line


class Project(LoopOwner, Protocol):
    """What the databases ask of the session that they belong to."""

    @property
    def settings(self) -> Settings:
        """What the project has set."""

    def load_app(self) -> Any:
        """Return the project's app."""

    def start_app(
        self, app: Any, fixture: pytest.FixtureDef[Any], item: pytest.Function
    ) -> object:
        """Start the lifespan of `app`, which `fixture` gave, where a test runs."""

    def run_in_shared_context(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Wait for `coroutine` in synchronous code; what it makes outlives the running test."""


class Databases:
    """Opens them, and knows what each test has of its own.

    Attributes:
        redirect: Where the drivers' connections go.
    """

    def __init__(self, project: Project, root: Path, redirect: Redirect) -> None:
        settings = project.settings
        self.redirect = redirect
        self._project = project
        self._root = root
        self._openers = openers.Openers(settings.database, keep=settings.database_keep == "on")
        self._baselines = Baselines(self.stores)
        self._main: Store | None = None
        self._is_main_claimed = False
        self._schema: Schema | None = None
        self._begun: dict[pytest.Item, ExitStack] = {}  # with what each has of its own
        self._started_for: pytest.Item | None = None
        redirect.open_store = self._open
        redirect.allowed = tuple(settings.database_allow.split())

    def stores(self) -> list[Store]:
        """Return the stores that are open, the main one first."""
        stores = self.redirect.stores
        if self._main is None:
            return stores
        return [self._main, *(store for store in stores if store is not self._main)]

    def main_store(self) -> Store:
        """Return the database that `db` looks into; open it if nothing has connected yet.

        Raises:
            DatabaseError: Nothing tells which database the app uses.
        """
        if self._main is None:
            self._open_early(self._find_target())
        assert self._main is not None
        return current(self._main)

    def main_store_if_open(self) -> Store | None:
        """Return the same if nothing has to be opened for it."""
        return None if self._main is None else current(self._main)

    def has_main_store(self) -> bool:
        """Tell whether the app's database is known and open, so that it can be cloned; open it."""
        try:
            self.main_store()
        except Exception:  # noqa: BLE001 - the test that needs it says so
            return False
        return True

    def mark_of(self, store: Store) -> Mark:
        """Return the moment at which the running test began."""
        return self._baselines.mark_of(store)

    def look_into(self) -> SyncDatabase:
        """Return what a test asks its questions."""
        from pytest_asgi.database.database import SyncDatabase  # noqa: PLC0415 - rarely needed

        # The app may have to be loaded for it, which only this thread can do. If it does not tell
        # either, it may still connect before the first question.
        with suppress(DatabaseError):
            self.main_store()
        return SyncDatabase(self, self._library)

    @cached_property
    def _library(self) -> Library:
        from pytest_asgi.adapters.sqlalchemy_models import Models  # noqa: PLC0415 - rarely needed

        return Models()

    # --- a session ------------------------------------------------------------------------------

    def register_phases(self, manager: pytest.PytestPluginManager) -> None:
        """Redirect connections from now on, and begin to be told of tests and fixtures."""
        self.redirect.is_on = True
        manager.register(DatabasePhases(self), "asgi-database-phases")

    def pytest_unconfigure(self) -> None:
        """Close everything, after the fixtures and before the loop."""
        if "_library" in self.__dict__:
            self._library.close()
        close_connections(self.redirect.connections, self._project)
        self.redirect.close()
        if self._main is not None and not self._is_main_claimed:
            self._main.close()
        self._openers.close()

    # --- a test ---------------------------------------------------------------------------------

    @contextmanager
    def living_with(self, fixture: pytest.FixtureDef[Any]) -> Generator[None]:
        """Let what the block writes live as long as `fixture`."""
        if not self.redirect.is_on:
            yield
            return
        level = None

        def end() -> None:
            if level is not None:
                self._baselines.remove(level)

        fixture.addfinalizer(end)  # the first one is the last to run
        yield
        self.redirect.connections.accept_held()
        if self.stores():
            level = self._baselines.push()

    def begin(self, item: pytest.Item) -> None:
        """Begin a test, if it has not begun."""
        if item in self._begun:
            return
        own = self._begun[item] = ExitStack()
        item.addfinalizer(lambda: self._end(item))
        self.start_lifespan(item)
        isolation = self._isolation_of(item)
        if isolation == "clone":
            self._give_own(own, (store.fork for store in self.stores()))
        elif isolation == "transaction":
            # Databases that the app has beside this one are put back.
            self._give_own(own, [partial(openers.begin_transaction, self.main_store())])
        self.redirect.connections.begin_test()

    def _give_own(self, own: ExitStack, make: Iterable[Callable[[], Store]]) -> None:
        """Let the running test have stores of its own."""
        for make_one in make:
            store = own.enter_context(closing(make_one()))
            own.callback(self.redirect.connections.end_of, store)
            own.enter_context(diverted_to(store))
            self._baselines.begin(store)

    def _end(self, item: pytest.Item) -> None:
        own = self._begun.pop(item)
        with naming_what_is_held(self.redirect.connections):
            self._take_back(item, own)

    def _take_back(self, item: pytest.Item, own: ExitStack) -> None:
        try:
            own.close()
        finally:
            if self._isolation_of(item) == "off":
                self._baselines.push()  # what it wrote stays
            else:
                self._baselines.restore()

    def _isolation_of(self, item: pytest.Item) -> str:
        return settings_of_test(item, self._project.settings).isolation

    def start_lifespan(self, item: pytest.Item) -> None:
        """Start the app before a fixture of the test writes: what the app writes is to stay."""
        if self._started_for is item or not isinstance(item, pytest.Function):
            return
        self._started_for = item
        is_off = settings_of_test(item, self._project.settings).lifespan == "off"
        if is_off or "asgi_client" not in item.fixturenames:
            return
        if pytest_private.scope_of_fixture(item, "app") == "function":
            return
        request = pytest_private.request_of(item)
        app = request.getfixturevalue("app")
        self._project.start_app(app, pytest_private.active_fixture(request, "app"), item)

    # --- stores ---------------------------------------------------------------------------------

    def _open(self, target: Target) -> Store:
        """Be asked for the store of a target that nothing has connected to before."""
        early = None if self._is_main_claimed else self._main
        if early is not None and openers.is_meant(early.target, target):
            self._is_main_claimed = True
            return early
        if [self._isolation_of(item) for item in self._begun].count("clone") > 1:
            raise _opened_at_once(target)
        is_main = self._main is None and openers.may_be_main(target)
        store = self._make(target, is_main=is_main)
        if is_main:
            self._main, self._is_main_claimed = store, True
        self._baselines.begin(store)
        return store

    def _open_early(self, target: Target) -> None:
        for store in self.redirect.stores:
            if store.target.kind == target.kind:
                self._main, self._is_main_claimed = store, True
                return
        self._main = self._make(target, is_main=True)
        self._baselines.begin(self._main)

    def _make(self, target: Target, *, is_main: bool) -> Store:
        if target.kind not in ("postgresql", "sqlite") or not is_main:
            return self._openers.of(target.kind).open(target, build=None, key=None)
        schema = self._read_schema()
        if schema is None:
            return self._openers.of(target.kind).open(target, build=None, key=None)
        return self._openers.of(target.kind).open(target, build=schema.build, key=schema.key())

    def _read_schema(self) -> Schema | None:
        if self._schema is None and self._project.settings.schema:
            text, wait = self._project.settings.schema, self._project.run_in_shared_context
            self._schema = read_schema(text, self._root, wait)
        return self._schema

    def _find_target(self) -> Target:
        named = self._project.settings.database
        if named:
            return openers.target_of(named)
        for target in self._known_targets():
            return target
        raise _unknown_database()

    def _known_targets(self) -> Iterator[Target]:
        yield from openers.targets_of_engines()
        self._project.load_app()
        yield from openers.targets_of_engines()


class DatabasePhases:
    """The hooks around tests and fixtures. Registered if connections are redirected."""

    def __init__(self, databases: Databases) -> None:
        self._databases = databases

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
    ) -> Generator[None, Any, Any]:
        """Begin a test before its first fixture of its own; keep what wider ones write."""
        item = pytest_private.requesting_test(request)
        if fixturedef.scope == "function":
            self._databases.begin(item)
            return (yield)
        if fixturedef.scope != "session":
            self._databases.start_lifespan(item)  # which lives longer
        with self._databases.living_with(fixturedef):
            return (yield)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> None:
        """Begin a test before its body, if it has no such fixture."""
        self._databases.begin(item)


def _opened_at_once(target: Target) -> IsolationError:
    return IsolationError(
        f"The app connects to {target} for the first time while several tests run.",
        why="Each of them has to have a clone of that database from its beginning.",
        fix="Connect to it in the app's lifespan, or give the tests that use it the mark"
        " `@pytest.mark.asgi(concurrent=False)`.",
    )


def _unknown_database() -> DatabaseError:
    return DatabaseError(
        "`db` does not know which database the app uses.",
        why="The app has not connected to any yet, and no SQLAlchemy engine was found that tells.",
        fix="Name the kind in pyproject.toml:\n\n"
        "    [tool.pytest.ini_options]\n"
        '    asgi_database = "postgresql"  # or sqlite, mongodb, redis',
    )
