"""A suite whose every test writes through an app: real commits, then a clean database again.

The same app, the same 50 tables and the same tests; only who cleans up differs. The peers are
what a `conftest.py` does by hand: create and drop all tables, or the documented recipe of
SQLAlchemy, a session inside of an outer transaction that is rolled back
(https://docs.sqlalchemy.org/en/20/orm/session_transaction.html#joining-a-session-into-an-external-transaction-such-as-for-test-suites),
written by hand or by pytest-sqla.
"""

from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from textwrap import dedent
from typing import Any

from benchmarks.processes import Workspace
from benchmarks.results import Column, Result, Table, Verdict
from benchmarks.results import Target as Limit
from benchmarks.rounds import Plan, Samples, Spread, measure_interleaved, ratios
from benchmarks.runners import OURS, PYTEST_ASYNCIO_SESSION, Runner
from pytest_asgi.adapters.openers import Openers
from pytest_asgi.database.targets import Kind, Target

FULL = Plan(rounds=1, size=1_000)  # half an hour: making and dropping tables waits for the disk
QUICK = Plan(rounds=1, size=20)

_TABLES = 50
_TITLES: dict[Kind, str] = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
_TARGET = Limit(1 / 20)
_CLOCK = Column("s on the clock", 1)
_CPU = Column("s of CPU, without a server's", 1)
_RATIO = Column("clock, of create_all and drop_all", 4)

_APP = """\
from contextlib import asynccontextmanager

from fastapi import FastAPI
from sqlalchemy import ForeignKey
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Model(DeclarativeBase):
    pass


class Thing(Model):
    __tablename__ = "things"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)


for number in range(1, {tables}):
    type(f"Part{{number}}", (Model,), {{
        "__tablename__": f"parts_{{number}}",
        "id": mapped_column(primary_key=True),
        "thing_id": mapped_column(ForeignKey(Thing.id)),
        "__annotations__": {{"id": Mapped[int], "thing_id": Mapped[int]}},
    }})

engine = create_async_engine("{url}")
new_session = async_sessionmaker(engine)
app = FastAPI()


@app.post("/things/{{name}}")
async def make(name: str):
    async with new_session() as session:
        session.add(Thing(name=name))
        await session.commit()
"""

_TEST = """\
async def test_{number}(client):
    assert (await client.post("/things/one")).status_code == 200
"""

_CLIENT = """\
import httpx
import pytest
import sqlalchemy
from main import Model, app, engine, new_session


@pytest.fixture
async def client():
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


"""

_ANEW = """\
@pytest.fixture(autouse=True)
async def tables():
    async with engine.begin() as connection:
        await connection.run_sync(Model.metadata.create_all)
    yield
    async with engine.begin() as connection:
        await connection.run_sync(Model.metadata.drop_all)
"""

_ROLLED_BACK = """\
# SQLite's driver does not begin before a savepoint by itself:
# https://docs.sqlalchemy.org/en/20/dialects/sqlite.html#pysqlite-serializable
if engine.dialect.name == "sqlite":

    @sqlalchemy.event.listens_for(engine.sync_engine, "connect")
    def leave_transactions_alone(connection, record):
        connection.isolation_level = None

    @sqlalchemy.event.listens_for(engine.sync_engine, "begin")
    def begin(connection):
        connection.exec_driver_sql("BEGIN")


@pytest.fixture(scope="session")
async def tables():
    async with engine.begin() as connection:
        await connection.run_sync(Model.metadata.create_all)


@pytest.fixture(autouse=True)
async def rolled_back(tables):
    async with engine.connect() as connection:
        transaction = await connection.begin()
        new_session.configure(bind=connection, join_transaction_mode="create_savepoint")
        yield
        await transaction.rollback()
"""

_PYTEST_SQLA = """\
@pytest.fixture(autouse=True)
async def rolled_back(sqla_async_session):
    new_session.configure(
        bind=sqla_async_session.bind, join_transaction_mode="create_savepoint"
    )
"""


@dataclass(frozen=True)
class _Way:
    """One way to have a clean database for each test."""

    name: str
    runner: Runner
    conftest: str = ""
    settings: str = ""


_OURS = _Way("pytest-asgi, restore", OURS, settings="asgi_schema = main:Model\n")
_CREATE_AND_DROP = _Way(
    "create_all and drop_all", PYTEST_ASYNCIO_SESSION, conftest=_CLIENT + _ANEW
)
_RECIPE = _Way("rollback by hand", PYTEST_ASYNCIO_SESSION, conftest=_CLIENT + _ROLLED_BACK)
_SQLA = _Way(
    "pytest-sqla",
    replace(
        PYTEST_ASYNCIO_SESSION,
        plugin="asyncio",  # the name that pytest-sqla looks for
        options=("-p", "pytest_sqla.plugin", *PYTEST_ASYNCIO_SESSION.options),
    ),
    conftest=_CLIENT + _PYTEST_SQLA,
    settings="sqla_url = {url}\nsqla_async_url = {url}\nsqla_metadata = main:Model\n",
)
_WAYS = (_CREATE_AND_DROP, _RECIPE, _SQLA, _OURS)


def run(plan: Plan, workspace: Workspace) -> Result:
    """Run the suite on both databases in each way, where the machine keeps its temporary files."""
    clock: Samples = {}
    cpu: Samples = {}
    with closing(Openers("", keep=False)) as openers:
        for kind in _TITLES:
            with ExitStack() as stores:
                suites = []
                for way in _WAYS:
                    folder = workspace.new_folder()
                    url = _find_place(way, kind, folder, openers, stores)
                    _write(way, plan.size, folder, url)
                    suites.append(_Suite(_sample(kind, way), way, plan.size, folder, workspace))
                for suite in suites:
                    suite.warm_up()
                measured = {suite.name: suite.measure for suite in suites}
                clock |= measure_interleaved(measured, rounds=plan.rounds, is_warm=True)
                cpu |= {suite.name: suite.cpu_seconds for suite in suites}
    tables = [_tabulate(kind, plan.size, clock, cpu) for kind in _TITLES]
    verdicts = [
        Verdict(
            f"{_OURS.name}, {table.title}", table.rows[_OURS.name][_RATIO.title].median, _TARGET
        )
        for table in tables
    ]
    return Result(tables, clock, verdicts, details={"CPU seconds": cpu})


@dataclass
class _Suite:
    """One way's folder of tests.

    Attributes:
        cpu_seconds: What each measured run took of it.
    """

    name: str
    way: _Way
    tests: int
    folder: Path
    workspace: Workspace
    cpu_seconds: list[float] = field(default_factory=list)

    def warm_up(self) -> None:
        """Let one test run: a whole suite takes long, and the byte code of all is there then."""
        self.way.runner.run(self.workspace, self.folder, "test_things.py::test_0")

    def measure(self) -> float:
        """Return how long all tests take on the clock: a disk and a server count too."""
        child = self.way.runner.run(self.workspace, self.folder)
        child.must_say(f"{self.tests} passed")
        self.cpu_seconds.append(child.cpu_seconds)
        return child.clock_seconds


def _find_place(way: _Way, kind: Kind, folder: Path, openers: Openers, stores: ExitStack) -> str:
    """Return the URL of a database that the way may have for itself."""
    if kind == "sqlite":
        return f"sqlite+aiosqlite:///{folder / 'things.db'}"
    if way is _OURS:
        return "postgresql+asyncpg://app@nowhere.example/things"  # it brings its own server
    store: Any = openers.of(kind).open(Target(kind, "/things"), build=None, key=None)
    stores.enter_context(closing(store))
    return str(store.engine_url(asynchronous=True))


def _write(way: _Way, tests: int, folder: Path, url: str) -> None:
    files = {
        "pytest.ini": f"[pytest]\npythonpath = .\n{way.settings.format(url=url)}",
        "conftest.py": way.conftest,
        "main.py": _APP.format(tables=_TABLES, url=url),
        "test_things.py": "\n\n".join(_TEST.format(number=number) for number in range(tests)),
    }
    for name, text in files.items():
        (folder / name).write_text(dedent(text), encoding="utf-8")


def _sample(kind: Kind, way: _Way) -> str:
    return f"{_TITLES[kind]}, {way.name}"


def _tabulate(kind: Kind, tests: int, clock: Samples, cpu: Samples) -> Table:
    by_hand = clock[_sample(kind, _CREATE_AND_DROP)]
    rows = {}
    for way in _WAYS:
        name = _sample(kind, way)
        rows[way.name] = {
            _CLOCK.title: Spread.of(clock[name]),
            _CPU.title: Spread.of(cpu[name]),
            _RATIO.title: Spread.of(ratios(clock[name], by_hand)),
        }
    return Table(f"{tests} tests, {_TABLES} tables, {_TITLES[kind]}", (_CLOCK, _CPU, _RATIO), rows)
