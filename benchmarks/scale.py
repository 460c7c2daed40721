"""What a large suite costs: CPU time and memory of a run, and how much each test leaves behind.

Of ten tests six are trivial, three use a generator fixture, and one sends a request. Each suite is
also run at a tenth of its size: memory that grows with the number of tests is what lies between.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import Workspace
from benchmarks.results import Column, Result, Table, Target, Verdict
from benchmarks.rounds import Plan, Samples, Spread, differences, measure_interleaved, ratios
from benchmarks.runners import (
    ANYIO,
    OURS,
    PYTEST,
    PYTEST_AGAIN,
    PYTEST_ASYNCIO,
    PYTEST_ASYNCIO_SESSION,
    Runner,
    installed,
)
from benchmarks.suites import TESTS_PER_FILE

FULL = Plan(rounds=1, size=20_000)
QUICK = Plan(rounds=1, size=1_000)

_RUNNERS = (PYTEST, PYTEST_AGAIN, OURS, PYTEST_ASYNCIO, PYTEST_ASYNCIO_SESSION, ANYIO)
_WORKERS = 2
_PART = 10  # the smaller suite is one in so many of the larger

# What each test may leave behind over pytest alone: a report is about ten times as much.
_TARGET = Target(1_000, goal=0)

_CPU = Column("CPU s", 1)
_RATIO = Column("over pytest alone", 2)
_PEAK = Column("peak MB", 0)
_GROWTH = Column("bytes per test", 0)
_MORE = Column("more than pytest alone", 0)

_APP = """
async def app(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError  # it has no lifespan
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})
"""

# Each process, a worker too, tells its own peak: the system keeps one for all children together.
_TELL_PEAK = """
import os, pathlib, pytest

def pytest_unconfigure():
    status = pathlib.Path("/proc/self/status").read_text()
    peak = status.partition("VmHWM:")[2].split()[0]
    pathlib.Path(f"peak-{os.getpid()}.txt").write_text(peak)
"""

_SYNC_CLIENT = """
class Client:
    def get(self, url): return None

@pytest.fixture
def client():
    return Client()
"""

_HTTPX2_CLIENT = """
import httpx2
from main import app

@pytest.fixture
async def client():
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client
"""


@dataclass(frozen=True)
class _Run:
    """One suite, run by one runner."""

    runner: Runner
    tests: int
    workers: int = 0

    @property
    def name(self) -> str:
        workers = f", {self.workers} workers" if self.workers else ""
        return f"{self.tests} tests{workers}: {self.runner.name}"

    def contestants(self, workspace: Workspace) -> Iterator[tuple[str, Callable[[], float]]]:
        """Write the suite, and yield what measures it."""
        folder = self._write(workspace.new_folder())
        workers = ["-p", "xdist.plugin", f"-n{self.workers}"] if self.workers else []

        def cpu_seconds() -> float:
            for old in folder.glob("peak-*.txt"):
                old.unlink()
            child = self.runner.run(workspace, folder, *workers)
            child.must_say(f"{self.tests} passed")
            return child.cpu_seconds

        def peak_bytes() -> float:
            peaks = [int(path.read_text()) * 1024 for path in folder.glob("peak-*.txt")]
            return max(peaks)

        yield self.name, cpu_seconds
        yield f"{self.name}, peak", peak_bytes

    def _write(self, folder: Path) -> Path:
        is_async = bool(self.runner.plugin)
        client = "" if self.runner is OURS else _HTTPX2_CLIENT if is_async else _SYNC_CLIENT
        (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
        (folder / "main.py").write_text(_APP, encoding="utf-8")
        conftest = self.runner.conftest + _TELL_PEAK + client
        (folder / "conftest.py").write_text(conftest, encoding="utf-8")
        for first in range(0, self.tests, TESTS_PER_FILE):
            text = "\n\n".join(_definitions(is_async=is_async))
            (folder / f"test_file_{first:06}.py").write_text(text, encoding="utf-8")
        return folder


def run(plan: Plan, workspace: Workspace) -> Result:
    """Run every runner on the large suite and on a tenth of it, and the large one on workers."""
    if not Path("/proc/self/status").exists():
        print("scale: only Linux tells the memory of a process", file=sys.stderr)
        return Result([], {})
    runners = installed(_RUNNERS)
    alone = [_Run(runner, tests) for tests in (plan.size, _part(plan)) for runner in runners]
    shared = [
        _Run(runner, plan.size, _WORKERS) for runner in runners if runner is not PYTEST_AGAIN
    ]
    samples = measure_interleaved(
        dict(pair for each in (*alone, *shared) for pair in each.contestants(workspace)),
        rounds=plan.rounds,
    )
    tables = [_tabulate(plan, runners, samples), _tabulate_workers(plan, shared, samples)]
    return Result(tables, samples, [*_judge(tables[0])])


def _part(plan: Plan) -> int:
    return plan.size // _PART


def _tabulate(plan: Plan, runners: Sequence[Runner], samples: Samples) -> Table:
    def growth(runner: Runner) -> list[float]:
        large, small = (
            samples[f"{_Run(runner, tests).name}, peak"] for tests in (plan.size, _part(plan))
        )
        return [each / (plan.size - _part(plan)) for each in differences(large, small)]

    rows = {}
    for runner in runners:
        name = _Run(runner, plan.size).name
        rows[runner.name] = {
            _CPU.title: Spread.of(samples[name]),
            _PEAK.title: Spread.of(samples[f"{name}, peak"]).scaled(1e-6),
            _GROWTH.title: Spread.of(growth(runner)),
        }
        if runner is not PYTEST:
            rows[runner.name] |= {
                _RATIO.title: Spread.of(
                    ratios(samples[name], samples[_Run(PYTEST, plan.size).name])
                ),
                _MORE.title: Spread.of(differences(growth(runner), growth(PYTEST))),
            }
    return Table(f"{plan.size} tests", (_CPU, _RATIO, _PEAK, _GROWTH, _MORE), rows)


def _tabulate_workers(plan: Plan, runs: Sequence[_Run], samples: Samples) -> Table:
    rows = {
        run.runner.name: {
            _CPU.title: Spread.of(samples[run.name]),
            _PEAK.title: Spread.of(samples[f"{run.name}, peak"]).scaled(1e-6),
        }
        for run in runs
    }
    return Table(f"{plan.size} tests, {_WORKERS} workers", (_CPU, _PEAK), rows)


def _judge(table: Table) -> Iterator[Verdict]:
    if OURS.name in table.rows:
        measured = table.rows[OURS.name][_MORE.title].median
        yield Verdict(f"{OURS.name}, {table.title}, bytes per test", measured, _TARGET)


def _definitions(*, is_async: bool) -> Iterator[str]:
    function, wait = ("async def", "await ") if is_async else ("def", "")
    yield f"import pytest\n\n\n@pytest.fixture\n{function} thing():\n    yield 1\n"
    for number in range(TESTS_PER_FILE):
        match number % _PART:
            case 0:
                yield f"{function} test_{number}(client):\n    {wait}client.get('/')\n"
            case 1 | 2 | 3:
                yield f"{function} test_{number}(thing):\n    assert thing == 1\n"
            case _:
                yield f"{function} test_{number}():\n    pass\n"
