"""The fixtures that users write in their tests.

Deferred imports are allowed here: a run that asks for no client imports no HTTP client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_asgi.plugin import pytest_private
from pytest_asgi.plugin.assembly import ASSEMBLY, Assembly
from pytest_asgi.plugin.asynchronous import is_async_test
from pytest_asgi.plugin.settings import settings_of_test

if TYPE_CHECKING:
    from collections.abc import Generator

    from pytest_asgi.client.client import AsyncClient
    from pytest_asgi.client.sync import TestClient
    from pytest_asgi.database.database import Database, SyncDatabase
    from pytest_asgi.database.queries import Queries
    from pytest_asgi.runner.clock.clock import Clock, SyncClock

__tracebackhide__ = True  # a failure ends in the user's line

OFFERED = (
    *("asgi_app", "app", "asgi_client", "client", "asgi_db", "db", "asgi_queries", "queries"),
    *("asgi_clock", "clock"),
)


@pytest.fixture(scope="session")
def asgi_app(pytestconfig: pytest.Config) -> Any:
    """The project's app: the one that `asgi_app` names, or that is found."""
    return pytestconfig.stash[ASSEMBLY].load_app()


@pytest.fixture(scope="session")
def app(asgi_app: Any) -> Any:
    """The app that `client` talks to. Define a fixture of this name to give another one."""
    return asgi_app


@pytest.fixture
def asgi_client(request: pytest.FixtureRequest, app: Any) -> Generator[AsyncClient | TestClient]:
    """A client of the `app` fixture, whose lifespan is running. Its cookies live for one test.

    An `AsyncClient` in an async test, and its synchronous twin in a synchronous one.
    """
    assembly = request.config.stash[ASSEMBLY]
    lifespan = settings_of_test(request.node, assembly.settings).lifespan
    state = {} if lifespan == "off" else _running_state(assembly, request, app)
    if not is_async_test(request.node):
        yield from _sync_client(app, state)
        return
    if lifespan == "variables":
        assembly.lifespans.share_context(app)
    yield from _async_client(assembly, request, app, state)


@pytest.fixture
def client(asgi_client: AsyncClient | TestClient) -> AsyncClient | TestClient:
    """A client of the `app` fixture: `asgi_client` by its short name."""
    return asgi_client


@pytest.fixture
def asgi_db(request: pytest.FixtureRequest) -> Database | SyncDatabase:
    """The app's database: what it holds, and what was written to it.

    A `Database` in an async test, and its synchronous twin in a synchronous one.
    """
    from pytest_asgi.database.database import Database

    database = request.config.stash[ASSEMBLY].databases.look_into()
    return Database(database) if is_async_test(request.node) else database


@pytest.fixture
def db(asgi_db: Database | SyncDatabase) -> Database | SyncDatabase:
    """The app's database: `asgi_db` by its short name."""
    return asgi_db


@pytest.fixture
def asgi_queries(request: pytest.FixtureRequest) -> Queries:
    """The statements that the app has executed in this test, so far."""
    return request.config.stash[ASSEMBLY].query_watch.queries_of(request.node)


@pytest.fixture
def queries(asgi_queries: Queries) -> Queries:
    """The statements of this test: `asgi_queries` by its short name."""
    return asgi_queries


@pytest.fixture
def asgi_clock(request: pytest.FixtureRequest) -> Generator[Clock | SyncClock]:
    """The time of the loop: it passes when everything waits, and when the test says so.

    A `Clock` in an async test, and its synchronous twin in a synchronous one.
    """
    from pytest_asgi.plugin.clocks import running_clock

    with running_clock(request.config.stash[ASSEMBLY], request.node) as clock:
        yield clock


@pytest.fixture
def clock(asgi_clock: Clock | SyncClock) -> Clock | SyncClock:
    """The time of the loop: `asgi_clock` by its short name."""
    return asgi_clock


def _running_state(assembly: Assembly, request: pytest.FixtureRequest, app: Any) -> dict[str, Any]:
    fixture = pytest_private.active_fixture(request, "app")
    return assembly.start_app(app, fixture, pytest_private.requesting_test(request))


def _async_client(
    assembly: Assembly, request: pytest.FixtureRequest, app: Any, state: dict[str, Any]
) -> Generator[AsyncClient]:
    from pytest_asgi.client.client import AsyncClient

    client = AsyncClient(app, lifespan=False, state=state)
    yield client
    assembly.waiting_for(request.node).for_fixture(client.aclose(), "client")


def _sync_client(app: Any, state: dict[str, Any]) -> Generator[TestClient]:
    from pytest_asgi.client.sync import TestClient

    client = TestClient(app)
    client.share_lifespan(state)
    yield client
    client.close()
