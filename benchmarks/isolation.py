"""What it costs to put a database back after a test, by the number of its tables.

A test writes to two tables and commits. Only what happens after it is measured, by the clock: a
server does most of the work. A measurement is the median of single ones, so that a machine that
does something else now and then is not counted. The peers do what a `conftest.py` does by hand:
make all tables anew, empty them, copy a template; or roll back, which is SQLAlchemy's recipe and
what pytest-sqla does: there the test has not committed.
"""

import asyncio
import gc
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import Column as TableColumn
from sqlalchemy import (
    Connection,
    Engine,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    event,
    text,
)

from benchmarks.processes import Workspace
from benchmarks.results import Column, Result, Target, Verdict
from benchmarks.results import Table as ResultTable
from benchmarks.rounds import Plan, Samples, Spread, measure_interleaved
from pytest_asgi.adapters.openers import Openers
from pytest_asgi.adapters.sqlalchemy_models import Models
from pytest_asgi.database.database import Database, SyncDatabase
from pytest_asgi.database.targets import Kind
from pytest_asgi.database.targets import Target as DatabaseTarget

FULL = Plan(rounds=5, size=40)
QUICK = Plan(rounds=3, size=10)

_TABLES = (5, 50, 200)
_ROWS = 10
_RESTORE, _NOTHING, _CHANGES = "pytest-asgi", "pytest-asgi, nothing written", "`db.changes()`"
_ANEW, _EMPTY, _COPY = "drop_all and create_all", "empty all tables", "copy the template"
_ROLL_BACK = "roll back (recipe, pytest-sqla)"
_SLOW = 10  # times fewer measurements of what takes so long that noise does not matter
_LIMITS: dict[Kind, dict[str, tuple[float, ...]]] = {
    "postgresql": {_RESTORE: (1, 2, 5), _CHANGES: (0.5, 0.5, 0.5)},
    "sqlite": {_RESTORE: (0.05, 0.25, 0.8), _CHANGES: (0.5, 0.5, 0.5)},
}


def run(plan: Plan, workspace: Workspace) -> Result:
    """Measure both databases with every number of tables."""
    samples: Samples = {}
    with closing(Openers("", keep=False)) as openers:
        for kind in _LIMITS:
            for count in _TABLES:
                with _prepare(openers, kind, count, plan.size) as contestants:
                    samples |= measure_interleaved(contestants, rounds=plan.rounds)
    return Result([_table(kind, samples) for kind in _LIMITS], samples, list(_judge(samples)))


@contextmanager
def _prepare(
    openers: Openers, kind: Kind, count: int, size: int
) -> Iterator[dict[str, Callable[[], float]]]:
    """Open a database with so many tables, and yield what is measured there."""
    metadata = _schema(count)
    with ExitStack() as stack:

        def build(store: Any) -> None:
            engine = create_engine(store.engine_url(asynchronous=False))
            metadata.create_all(engine)
            with engine.begin() as connection:
                for table in metadata.sorted_tables:
                    rows = [{"name": f"row {number}"} for number in range(_ROWS)]
                    connection.execute(table.insert(), rows)
            engine.dispose()

        target = DatabaseTarget(kind, f"/isolation_{count}")
        store: Any = stack.enter_context(
            closing(openers.of(kind).open(target, build=build, key=None))
        )
        # The peers have a database of their own: it is not to be tracked, nor put back.
        other: Any = stack.enter_context(
            closing(openers.of(kind).open(target, build=None, key=None))
        )
        engines = [create_engine(each.engine_url(asynchronous=False)) for each in (store, other)]
        for engine in engines:
            stack.callback(engine.dispose)
        metadata.create_all(engines[1])
        mark = store.mark()
        ours, theirs = (partial(_write, engine, metadata) for engine in engines)
        tasks: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
            _RESTORE: (ours, lambda: store.restore(mark)),
            _NOTHING: (lambda: None, lambda: store.restore(mark)),
            _ANEW: (theirs, partial(_make_anew, engines[1], metadata)),
            _EMPTY: (theirs, partial(_empty, engines[1], metadata)),
            _ROLL_BACK: _roll_back(engines[1], metadata),
        }
        if kind == "postgresql":
            tasks[_COPY] = (lambda: None, lambda: store.fork().close())
        contestants: dict[str, Callable[[], float]] = {
            _sample(kind, count, name): partial(
                _measure, write, task, max(2, size // _SLOW) if name in (_ANEW, _COPY) else size
            )
            for name, (write, task) in tasks.items()
        }
        contestants[_sample(kind, count, _CHANGES)] = lambda: asyncio.run(
            _measure_changes(store, mark, ours, size)
        )
        yield contestants


def _schema(count: int) -> MetaData:
    """Return so many tables, each of which refers to the one before."""
    metadata = MetaData()
    for number in range(count):
        columns: list[Any] = [
            TableColumn("id", Integer, primary_key=True),
            TableColumn("name", String(80)),
        ]
        if number:
            columns.append(TableColumn("other", Integer, ForeignKey(f"t{number - 1}.id")))
        Table(f"t{number}", metadata, *columns)
    return metadata


def _write(engine: Engine, metadata: MetaData) -> None:
    """Do what a request does: change two tables, and commit."""
    with engine.begin() as connection:
        _change(connection, metadata)


def _change(connection: Connection, metadata: MetaData) -> None:
    first, second = (metadata.tables[name] for name in ("t0", "t1"))
    made = connection.execute(first.insert(), {"name": "new"}).inserted_primary_key
    connection.execute(second.insert(), {"name": "newer", "other": made and made[0]})
    connection.execute(second.update().where(second.c.id == 1).values(name="other"))


def _roll_back(
    engine: Engine, metadata: MetaData
) -> tuple[Callable[[], object], Callable[[], object]]:
    """Return what writes inside of a transaction, and what rolls it back."""
    transactional = engine.execution_options()
    if engine.dialect.name == "sqlite":  # else the driver does not begin before a savepoint
        event.listen(transactional, "begin", lambda it: it.exec_driver_sql("BEGIN"))
    held: list[Connection] = []

    def write() -> None:
        held.append(transactional.connect())
        held[0].begin()
        with held[0].begin_nested():
            _change(held[0], metadata)

    def roll_back() -> None:
        held.pop().close()  # which rolls back

    return write, roll_back


def _make_anew(engine: Engine, metadata: MetaData) -> None:
    metadata.drop_all(engine)
    metadata.create_all(engine)


def _empty(engine: Engine, metadata: MetaData) -> None:
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            names = ", ".join(metadata.tables)
            connection.execute(text(f"TRUNCATE {names} RESTART IDENTITY CASCADE"))
            return
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())


def _measure(write: Callable[[], object], task: Callable[[], object], size: int) -> float:
    """Return how long `task` takes after each of so many writes."""
    spent = []
    gc.collect()
    for _ in range(size):
        write()
        begun = time.perf_counter()
        task()
        spent.append(time.perf_counter() - begun)
    return statistics.median(spent)


class _One(NamedTuple):
    """The databases of a session, of which there is one."""

    store: Any

    def main_store(self) -> Any:
        return self.store

    def main_store_if_open(self) -> Any:
        return self.store

    def stores(self) -> list[Any]:
        return [self.store]

    def mark_of(self, store: Any) -> Any:
        return store.mark()


async def _measure_changes(store: Any, mark: Any, write: Callable[[], object], size: int) -> float:
    """Return how long both ends of `async with db.changes()` take, around a write."""
    db = Database(SyncDatabase(_One(store), Models()))
    spent = []
    gc.collect()
    for _ in range(size):
        begun = time.perf_counter()
        async with db.changes() as changes:
            before = time.perf_counter() - begun
            write()
            begun = time.perf_counter()
        spent.append(before + time.perf_counter() - begun)
        assert set(changes) == {"t0", "t1"}
        store.restore(mark)
    return statistics.median(spent)


def _sample(kind: Kind, count: int, name: str) -> str:
    return f"{kind}, {count} tables, {name}"


def _table(kind: Kind, samples: Samples) -> ResultTable:
    rows: dict[str, dict[str, Spread]] = {}
    for name in (_RESTORE, _NOTHING, _ROLL_BACK, _ANEW, _EMPTY, _COPY, _CHANGES):
        for count in _TABLES:
            measured = samples.get(_sample(kind, count, name))
            if measured is not None:
                spread = Spread.of(measured).scaled(1e3)
                rows.setdefault(name, {})[f"{count} tables, ms"] = spread
    columns = [Column(f"{count} tables, ms", 3) for count in _TABLES]
    return ResultTable(kind, columns, rows)


def _judge(samples: Samples) -> Iterator[Verdict]:
    for kind, limits in _LIMITS.items():
        for name, milliseconds in limits.items():
            for count, limit in zip(_TABLES, milliseconds, strict=True):
                subject = _sample(kind, count, name)
                measured = Spread.of(samples[subject]).scaled(1e3).median
                yield Verdict(f"{subject}, ms", measured, Target(limit))
