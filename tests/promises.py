"""What pytest-asgi promises, as data. At least one test keeps each promise, and carries its id.

A test says which promise it keeps with `@promise("id")`; `tests/architecture/test_promises.py`
proves that no promise is without a test, and that no test names a promise that is not here.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest


class Promise(NamedTuple):
    """A behaviour that users may rely on.

    Attributes:
        id: What tests call it: area and behaviour.
        sentence: The promise, as the documentation would say it.
        source: Where it comes from: a specification, a peer's documentation, or our own design.
    """

    id: str
    sentence: str
    source: str = "design"


PROMISES = (
    # --- tests run ---------------------------------------------------------------------------
    Promise("run.unmarked", "An async test runs with no mark and no configuration."),
    Promise("run.asyncio-mark", "`@pytest.mark.asyncio` tests run, with any loop scope."),
    Promise("run.anyio-mark", "`@pytest.mark.anyio` tests run, also with a positional argument."),
    Promise("run.pytestmark", "A `pytestmark` of a module or a class works like a mark."),
    Promise("run.classes", "Async methods of test classes run."),
    Promise("run.parametrized", "Parametrized async tests run once for each set of parameters."),
    Promise("run.subtests", "Subtests work inside async tests."),
    Promise("run.hypothesis", "`@given` works on async tests; all examples run in one task."),
    Promise("run.importlib", "Tests run with every import mode of pytest."),
    Promise("run.xdist", "Tests run under pytest-xdist in every distribution mode."),
    Promise(
        "run.pytest-options",
        "`--pdb`, `--trace`, `-x`, `--lf` and `--setup-show` work as in sync tests.",
    ),
    Promise("run.switched-off", "`-p no:asgi` leaves pytest as if the plugin were not installed."),
    Promise("run.reruns", "pytest-rerunfailures runs an async test again, set-up included."),
    Promise("run.returns", "A test that returns something is warned about, as pytest does."),
    Promise("run.unittest", "`unittest.IsolatedAsyncioTestCase` is left alone."),
    Promise("run.xunit", "`setup_method`, `teardown_module` and their like may be async."),
    Promise("run.generator-test", "An async generator test fails and says why."),
    # --- fixtures ----------------------------------------------------------------------------
    Promise("fixture.kinds", "Async fixtures work plain and as generators, in every scope."),
    Promise("fixture.uses", "They can be autouse, parametrized, overridden and used by others."),
    Promise("fixture.sync-test", "A sync test can request async fixtures."),
    Promise("fixture.dynamic", "`request.getfixturevalue` works inside a running async test."),
    Promise("fixture.pytest-asyncio", "`pytest_asyncio.fixture` works, installed or not."),
    Promise("fixture.yields", "A fixture that yields never or twice fails and is named."),
    Promise(
        "fixture.teardown-errors", "An error in one tear-down does not keep others from running."
    ),
    # --- one loop, one task, one context -----------------------------------------------------
    Promise("loop.one", "Fixtures of all scopes, tests and requests share one loop."),
    Promise("loop.factory", "`asgi_loop` or a hook makes the loop; no loop policy is touched."),
    Promise("loop.event-loop-fixture", "Requesting `event_loop` gives the session's loop."),
    Promise("loop.foreign", "A second loop made by user code is explained in the failure."),
    Promise("task.one", "Fixture set-up, test and tear-down run in the same task."),
    Promise("task.scopes", "Cancel scopes, task groups and timeouts can be held across `yield`."),
    Promise("task.wider", "A fixture of a wider scope has one task from set-up to tear-down."),
    Promise("task.crash", "A crash in a fixture's task group cancels the test and is the cause."),
    Promise(
        "context.fixture", "A context variable set in a fixture is seen in test and tear-down."
    ),
    Promise("context.wider", "One set in a fixture of a wider scope is seen in all its tests."),
    Promise("context.no-leak", "No context variable leaks from one async test to the next."),
    Promise("background.exception", "An exception nobody awaited fails the test that caused it."),
    Promise("interrupt.once", "Ctrl-C cancels the test; every tear-down runs once."),
    # --- synchronous code --------------------------------------------------------------------
    Promise("sync.asyncio-run", "Sync fixtures and tests may call `asyncio.run`."),
    Promise("sync.foreign-loop", "A loop that Playwright left on the thread does no harm."),
    Promise("sync.no-loop", "Sync tests without async fixtures never enter the loop."),
    # --- neighbours --------------------------------------------------------------------------
    Promise(
        "neighbour.pytest-asyncio", "With pytest-asyncio installed each test runs once, here."
    ),
    Promise("neighbour.anyio", "anyio's plugin runs the tests that want a loop of their own."),
    Promise("neighbour.anyio-backend", "`anyio_backend` stays a usable fixture in both worlds."),
    Promise(
        "neighbour.timeout",
        "pytest-timeout's signal fails a test that hangs; it is torn down and the loop goes on.",
    ),
    Promise("neighbour.header", "The header says who runs what and why."),
    Promise("neighbour.strict", "Strict markers and config pass without the peers."),
    Promise("neighbour.stand-in", "`import pytest_asyncio` works without it, unless refused."),
    Promise(
        "neighbour.test-client",
        "`asgi_compat = testclient` puts ours in the place of Starlette's `TestClient`.",
    ),
    Promise(
        "neighbour.fixtures", "The port and anyio fixtures of the peers are there without them."
    ),
    Promise(
        "neighbour.no-shadow", "A fixture of the project's or another plugin's is never shadowed."
    ),
    # --- trio --------------------------------------------------------------------------------
    Promise("trio.choice", "A setting, a mark or `anyio_backend` says which tests run on trio."),
    Promise("trio.task", "There too a test and its fixtures are one task and one context."),
    Promise("trio.scopes", "Nurseries and cancel scopes can be held across `yield`."),
    Promise("trio.crash", "A crash in a fixture's nursery cancels the test and is the cause."),
    Promise("trio.wider", "A fixture of a wider scope has one task, for each backend its own."),
    Promise(
        "trio.mixing", "A fixture that lives elsewhere than the test runs is refused by name."
    ),
    Promise("trio.fixtures", "`nursery`, `autojump_clock` and `mock_clock` are there."),
    Promise("trio.client", "The clients work in tests on trio, and the lifespan runs there."),
    Promise("trio.sync", "Sync code in such a test may call `trio.run` and `asyncio.run`."),
    Promise("trio.interrupt", "Ctrl-C there ends the test; every tear-down runs once."),
    Promise("trio.hang", "The time limit ends a test there, and says where it waits."),
    Promise("trio.optional", "trio is imported when a test runs on it; missing, it is named."),
    # --- settings ----------------------------------------------------------------------------
    Promise(
        "settings.invalid", "A wrong option value is refused, naming option and valid values."
    ),
    Promise(
        "settings.mark", "The `asgi` mark changes an option for one test and checks its words."
    ),
    # --- the client --------------------------------------------------------------------------
    Promise("client.fixture", "`client` talks to the app that the `app` fixture gives."),
    Promise("client.sync-fixture", "In a sync test `client` is the synchronous twin."),
    Promise("client.cookies", "Cookies are fresh for each test."),
    Promise("client.lifespan", "The lifespan runs once for as long as the `app` fixture lives."),
    Promise(
        "client.lifespan-variables",
        "Requests see the context variables that the lifespan sets, when asked.",
    ),
    Promise(
        "client.lifespan-advice",
        "An app that fails because nobody ran its lifespan is explained by a warning.",
    ),
    Promise(
        "client.lifespan-not-reached",
        "An exception that keeps a lifespan from starting is raised or warned of.",
    ),
    Promise(
        "client.second-lifespan",
        "What an app misses because its lifespan was run a second time meanwhile is explained.",
    ),
    Promise("client.overrides", "`dependency_overrides` are put back after each test."),
    Promise("client.discovery", "The app is found without being imported first."),
    Promise("client.not-found", "No app: an error with the line to add, only if a test asks."),
    Promise(
        "client.docs-example",
        "FastAPI's documentation example runs as written.",
        "https://fastapi.tiangolo.com/advanced/async-tests/",
    ),
    Promise(
        "client.sync-stream", "In synchronous code a response is read while the app sends it."
    ),
    Promise("client.threads", "One `TestClient` can be used in several threads, all on one loop."),
    Promise(
        "client.in-thread", "`TestClient(in_thread=True)` serves a test that blocks its thread."
    ),
    Promise("client.workers", "Synchronous endpoints keep their worker threads between requests."),
    Promise("client.portal", "`client.portal` calls functions on the loop of the app."),
    Promise("run.deadlock", "A wait that nobody can end fails at once, and says where."),
    Promise("client.streaming", "A response is read while the app sends it, with backpressure."),
    Promise("client.upload", "The body of a request is read while the app asks for it."),
    Promise(
        "client.disconnect",
        "An app whose client goes away is told, has time to end, and is then cancelled.",
        "https://asgi.readthedocs.io/en/latest/specs/www.html#disconnect-receive-event-http",
    ),
    Promise(
        "client.disconnect-on-purpose",
        "`client.disconnect()` shows what an app does when its client goes away.",
    ),
    Promise(
        "client.sync-disconnect",
        "A synchronous client can go away in the middle of an exchange too.",
    ),
    Promise("client.tls", "The app is told of certificates, as the extension `tls` has them."),
    Promise(
        "client.stream-failure",
        "What fails behind a response is raised, however early its reader stops.",
    ),
    Promise(
        "client.background",
        "Background tasks are awaited; by the response, or behind it on request.",
    ),
    Promise(
        "client.fast-path",
        "What the fast path sends and gives back is what httpx2 sends and gives back.",
    ),
    Promise("client.exceptions", "An exception of the app is raised with its own traceback."),
    Promise("client.cancellation", "Cancelling a test cancels the app; its tear-down runs."),
    Promise("client.timeout", "A read timeout is a deadline, and says where the app waits."),
    Promise("client.secure-cookies", "A Secure cookie that is held back is told."),
    Promise("client.trio", "`AsyncClient` works on trio, and `TestClient` runs an app there."),
    Promise("client.httpx", "`pytest_asgi.httpx.ASGITransport` does the same for HTTPX 0.28."),
    Promise("client.test-client", "`TestClient` works in sync and in async tests, on one loop."),
    # --- tests that hang ---------------------------------------------------------------------
    Promise("hang.waits", "A test that waits too long is cancelled, torn down, and says where."),
    Promise("hang.busy", "A test that does not wait is ended too, with the line it was at."),
    Promise("hang.fixtures", "So are set-up and tear-down of fixtures."),
    Promise("hang.again", "A test that catches what ends it is told again, and fails."),
    Promise("hang.notice", "When half of the time is over, that is told while the test runs."),
    Promise("hang.settings", "The mark gives a test another limit, or none."),
    Promise("hang.killed", "What a killed worker process was doing is shown."),
    Promise("hang.debugger", "A debugger stops the clock."),
    Promise("hang.neighbours", "pytest-timeout and pytest-rerunfailures work beside the limit."),
    Promise("hang.connections", "Connections that the test has in use are named."),
    Promise("hang.blocking", "A call that keeps the loop from going on is named, on request."),
    # --- websockets --------------------------------------------------------------------------
    Promise("websocket.messages", "Text, bytes and JSON go both ways, with httpx2's methods."),
    Promise("websocket.scope", "The app sees a connection as behind a real server."),
    Promise("websocket.cookies", "A connection sends the client's cookies and keeps the app's."),
    Promise("websocket.close", "Codes and reasons go both ways; messages come before the close."),
    Promise("websocket.leave", "Leaving the block closes the connection and waits for the app."),
    Promise("websocket.route", "A path without a WebSocket route is told as such."),
    Promise("websocket.refusal", "A refusal gives the test the code, or the denial response."),
    Promise("websocket.exception", "The app's own exception is raised, with its traceback."),
    Promise("websocket.deadline", "`receive(timeout=)` fails and says where the app waits."),
    Promise("websocket.several", "Connections that are open at once hear each other."),
    Promise("websocket.peers", "Exceptions are caught by the class that the test imported."),
    Promise(
        "websocket.plain-client", "A plain client of httpx2 or HTTPX with our transport works."
    ),
    Promise("websocket.sync", "`websocket_connect` works as Starlette's, on the test's loop."),
    Promise("websocket.trio", "It works under trio."),
    # --- the rules of ASGI -------------------------------------------------------------------
    Promise(
        "rules.told",
        "A broken rule of ASGI fails the test and is named, with message, place and fix.",
        "https://asgi.readthedocs.io/en/latest/specs/",
    ),
    Promise("rules.no-false-alarm", "The frameworks themselves break no rule that is an error."),
    Promise("rules.set", "`asgi_rules` or the mark makes it a warning, silent, or strict."),
    # --- databases -------------------------------------------------------------------------------
    Promise(
        "database.changes",
        "`db.changes()` gives what a block or the test has written, net: by table, in order.",
    ),
    Promise(
        "database.diff-shown",
        "Changes that are not the expected ones are shown side by side, column by column.",
    ),
    Promise(
        "database.queries-at-most",
        "A block that executes more statements than it may fails and lists them.",
    ),
    Promise("database.queries-of-request", "The statements of one request can be told apart."),
    Promise(
        "database.n-plus-one",
        "A request that reads one row at a time, at one line of the app, is named.",
    ),
    Promise(
        "database.verification",
        "A check of `db` that fails shows the nearest rows and the columns that differ.",
    ),
    Promise("database.awaited", "An answer of `db` that nobody has awaited is no true one."),
    Promise(
        "database.models",
        "`db` takes classes of SQLAlchemy and SQLModel, tables, statements and names of tables.",
    ),
    Promise(
        "database.opt-in",
        "Connections are redirected when a schema or a database is set, or a test asks for `db`.",
    ),
    Promise(
        "database.private",
        "The app's own code connects to a private database in place of the one it names.",
    ),
    Promise(
        "database.restored",
        "What a test commits is gone for the next test; sequences and tables are as they were.",
    ),
    Promise(
        "database.baseline",
        "What the lifespan and fixtures of a wider scope write stays as long as they live.",
    ),
    Promise(
        "database.isolation",
        "A mark gives a test a database of its own, or keeps what it writes.",
    ),
    Promise(
        "database.transaction",
        "With `transaction`, all connections share one that is rolled back after the test, and"
        " what the app commits looks committed.",
    ),
    Promise(
        "database.transaction-refuses",
        "What a transaction that is shared would get wrong is refused: isolation levels, two at a"
        " time, advisory locks, `NOTIFY`, the time, and more.",
    ),
    Promise(
        "database.contexts",
        "Code that runs at the same time in two contexts, with a database each, shares a pool and"
        " never a database.",
    ),
    Promise(
        "database.unpooled-refused",
        "A connection without a pool is refused where a test has another database than it leads"
        " to.",
    ),
    Promise(
        "database.sqlite-guard",
        "`ATTACH` leads to private databases too, and a connection made past `sqlite3.connect` is"
        " refused.",
    ),
    Promise(
        "database.schema",
        "The tables are made once, by SQLAlchemy metadata, Alembic, SQL files or functions.",
    ),
    Promise(
        "database.redirect-sqlite",
        "Whatever connects with sqlite3 or aiosqlite gets a private database; no file is made.",
    ),
    Promise(
        "database.django",
        "Django's ORM uses the private database, in synchronous and asynchronous views and in"
        " threads.",
    ),
    Promise(
        "database.pytest-django",
        "Where pytest-django is, Django's databases are its own, and no driver refuses them.",
    ),
    Promise(
        "database.sqlite-restored",
        "A SQLite database is put back whatever was written, committed or left open, also in WAL"
        " mode and in memory.",
    ),
    Promise(
        "database.sqlite-concurrency",
        "Connections to a private SQLite file wait for each other as in the app's own file.",
    ),
    Promise(
        "database.named-server-first",
        "A server that the project names is used before any that we would start.",
    ),
    Promise(
        "database.marked-only",
        "On a server that others use as well, only what is marked as ours is ever changed.",
    ),
    Promise(
        "database.mongo-redirected",
        "Clients of Motor, PyMongo and Beanie reach the private databases, however early made.",
    ),
    Promise(
        "database.mongo-restored",
        "Collections, their documents, indexes and options are after a test as before it.",
    ),
    Promise("database.mongo-changes", "What was done to documents is told by collection."),
    Promise(
        "database.motor-one-loop",
        "A module's own Motor client serves tests and fixtures of every scope, on one loop.",
        "https://fastapi.tiangolo.com/advanced/async-tests/#other-asynchronous-function-calls",
    ),
    Promise(
        "database.redis-redirected",
        "Clients of redis-py reach the private database, wherever and whenever they were made.",
    ),
    Promise(
        "database.redis-restored",
        "Keys of every kind, and how long they have to live, are after a test as before it.",
    ),
    Promise("database.redis-changes", "What was done to keys is told as typed values, by kind."),
    Promise(
        "database.redis-refused",
        "A Redis that nothing can stand in for, a cluster or behind Sentinel, is refused.",
    ),
    Promise("database.server-shared", "The processes of a run share one database server."),
    Promise(
        "database.server-ends",
        "A test process that is killed leaves no server and no files behind.",
    ),
    Promise(
        "database.postgres-server",
        "A PostgreSQL server is started for a run, by root too, and listens to no network.",
    ),
    Promise(
        "database.postgres-restored",
        "Whatever was committed to PostgreSQL is undone: rows, sequences, schema.",
    ),
    Promise(
        "database.postgres-marks",
        "What a wider fixture wrote to PostgreSQL stays for its tests, and goes with it.",
    ),
    Promise(
        "database.postgres-open-transaction",
        "A transaction that a test leaves open in PostgreSQL is ended and named.",
    ),
    Promise(
        "database.postgres-changes",
        "Changes of PostgreSQL's rows are the net effect, cascades and triggers included.",
    ),
    Promise(
        "database.postgres-fork", "A test can have a PostgreSQL database of its own at any moment."
    ),
    Promise(
        "database.postgres-named",
        "On a PostgreSQL server that is named, nothing is touched but what a run made itself.",
    ),
    Promise("database.postgres-hidden", "What we keep in PostgreSQL is in a schema of our own."),
    Promise(
        "database.redirect-asyncpg",
        "asyncpg's connections and pools lead to the private database, whichever way they begin.",
    ),
    Promise(
        "database.redirect-psycopg",
        "So do those of psycopg 3 and psycopg_pool, synchronous and asynchronous.",
    ),
    Promise(
        "database.redirect-libraries",
        "So do SQLAlchemy, SQLModel, Tortoise, databases and Piccolo on top of them.",
    ),
    Promise(
        "database.never-reached",
        "The real database is not reached: no name is looked up, and no socket opens.",
    ),
    Promise(
        "database.refused",
        "A driver that is not redirected is refused, with its URL, its line and what allows it.",
    ),
    Promise("database.allowed", "What `asgi_database_allow` names is reached."),
    Promise(
        "database.pools-follow",
        "A pool hands out no connection to a database that a test before it had.",
    ),
    Promise(
        "database.holders",
        "A connection that a test leaves in use is known by the line that has taken it.",
    ),
    Promise(
        "database.statements",
        "Each statement is told of with its rows, its time and the line of the app behind it.",
    ),
    Promise("database.secrets", "What is remembered of statements holds no known secrets."),
    # --- tests at the same time --------------------------------------------------------------
    Promise(
        "concurrency.at-once", "With `asgi_concurrency` tests that wait run at the same time."
    ),
    Promise(
        "concurrency.fixtures",
        "Tests at the same time have their own function-scoped fixtures, and share wider ones,"
        " each set up once and torn down by the last.",
    ),
    Promise(
        "concurrency.output",
        "What a test at the same time as others prints, logs and warns of is reported as its own.",
    ),
    Promise("concurrency.blame", "A failure in the background is blamed on the test it is of."),
    Promise("concurrency.overrides", "Dependency overrides and cookies stay with their test."),
    Promise(
        "concurrency.marks",
        "`@pytest.mark.asgi(concurrent=…, alone=…)` says which tests run beside which others.",
    ),
    Promise(
        "concurrency.alone",
        "Tests that touch the whole process run alone, and `--asgi-explain` says why.",
    ),
    Promise(
        "concurrency.stop",
        "When the session ends early, tests that still run are cancelled and torn down.",
    ),
    Promise("concurrency.crash", "A fixture that dies fails all the running tests that use it."),
    Promise("concurrency.deadlock", "Tests that can never go on fail, each at its own place."),
    Promise("concurrency.timeout", "Of tests at the same time only the one that hangs is ended."),
    Promise("concurrency.xdist", "Workers of pytest-xdist run tests at the same time."),
    Promise("concurrency.order", "Tests at the same time are reported in their order."),
    Promise(
        "concurrency.databases",
        "Tests at the same time never see each other's rows: each has a database of its own, or"
        " runs alone.",
    ),
    Promise(
        "leaks.named",
        "What a test leaves behind is named, with the line of your code that began it.",
    ),
    Promise(
        "leaks.blamed",
        "It is blamed on the test or fixture that began it, also when it is noticed later.",
    ),
    Promise(
        "leaks.on-purpose",
        "What a package, a pool, a lifespan or a module keeps on purpose is no leak of a test.",
    ),
    Promise("leaks.ended", "Tasks that are left are cancelled, and have ended for the next test."),
    Promise("leaks.allowed", "What is allowed by kind or name stays, and is not touched."),
    Promise(
        "clock.jumps",
        "With the `clock` fixture sleeps, timeouts and timers of the loop take no real time: when"
        " everything waits, the time jumps to the next one.",
    ),
    Promise(
        "clock.advance",
        "`await clock.advance(60)` fires what is due, in order, each at its own time, and returns"
        " when all that it set off has gone as far as it can.",
    ),
    Promise(
        "clock.real-work",
        "The time does not jump past a timeout while something real is at work: a query, a thread,"
        " a process.",
    ),
    Promise("clock.idle", "What is open or running and has nothing to do does not hold it up."),
    Promise(
        "clock.real-afterwards",
        "After the test the time of the loop is real, and timers have kept their distance.",
    ),
    Promise(
        "clock.wall-time",
        "`time.time()` and `datetime.now()` follow if time-machine is installed.",
    ),
    Promise("clock.model", "Any program of sleeps and timeouts does the same as in real time."),
    Promise("clock.alone", "A test that uses the clock runs alone."),
    Promise("leaks.off", "A run that does not ask for it is not watched, and nothing is ended."),
)


def promise(*ids: str) -> pytest.MarkDecorator:
    """Mark a test as one that keeps the promises of these ids."""
    known = {promise.id for promise in PROMISES}
    unknown = set(ids) - known
    if unknown:
        message = f"no such promise: {', '.join(sorted(unknown))}"
        raise LookupError(message)
    return pytest.mark.promise(*ids)
