"""A suite whose every test writes through an app: real commits, then a clean database again.

The same app, the same 50 tables and the same tests; only who cleans up differs. The peers are
what a `conftest.py` does by hand: create and drop all tables, or the documented recipe of
SQLAlchemy, a session inside of an outer transaction that is rolled back
(https://docs.sqlalchemy.org/en/20/orm/session_transaction.html#joining-a-session-into-an-external-transaction-such-as-for-test-suites),
written by hand or by pytest-sqla.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import dedent

from benchmarks.processes import Workspace
from benchmarks.results import Column, Result, Table, Target, Verdict
from benchmarks.rounds import Plan, Samples, Spread, measure_interleaved, ratios
from benchmarks.runners import OURS, PYTEST_ASYNCIO_SESSION, Runner

FULL = Plan(rounds=3, size=1_000)
QUICK = Plan(rounds=3, size=60)

_TABLES = 50
_TARGET = Target(1 / 20)
_SECONDS = Column("CPU s", 2)
_PER_TEST = Column("ms per test", 2)
_RATIO = Column("of create_all and drop_all", 3)

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
# The driver does not begin before a savepoint by itself:
# https://docs.sqlalchemy.org/en/20/dialects/sqlite.html#pysqlite-serializable
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
    """Run the suite on SQLite in each way."""
    # CPU time, so that the disk does not count; `TMPDIR=/dev/shm` spares waiting for it.
    samples = measure_interleaved(
        {way.name: _contestant(way, plan.size, workspace) for way in _WAYS}, rounds=plan.rounds
    )
    table = _tabulate(plan.size, samples)
    measured = table.rows[_OURS.name][_RATIO.title].median
    return Result([table], samples, [Verdict(f"{_OURS.name}, {table.title}", measured, _TARGET)])


def _contestant(way: _Way, tests: int, workspace: Workspace) -> Callable[[], float]:
    folder = _write(way, tests, workspace.new_folder())

    def cpu_seconds() -> float:
        child = way.runner.run(workspace, folder)
        child.must_say(f"{tests} passed")
        return child.cpu_seconds

    return cpu_seconds


def _write(way: _Way, tests: int, folder: Path) -> Path:
    url = f"sqlite+aiosqlite:///{folder / 'things.db'}"
    files = {
        "pytest.ini": f"[pytest]\npythonpath = .\n{way.settings.format(url=url)}",
        "conftest.py": way.conftest,
        "main.py": _APP.format(tables=_TABLES, url=url),
        "test_things.py": "\n\n".join(_TEST.format(number=number) for number in range(tests)),
    }
    for name, text in files.items():
        (folder / name).write_text(dedent(text), encoding="utf-8")
    return folder


def _tabulate(tests: int, samples: Samples) -> Table:
    by_hand = samples[_CREATE_AND_DROP.name]
    rows = {
        way.name: {
            _SECONDS.title: Spread.of(samples[way.name]),
            _PER_TEST.title: Spread.of(samples[way.name]).scaled(1_000 / tests),
            _RATIO.title: Spread.of(ratios(samples[way.name], by_hand)),
        }
        for way in _WAYS
    }
    return Table(f"{tests} tests, {_TABLES} tables, SQLite", (_SECONDS, _PER_TEST, _RATIO), rows)
