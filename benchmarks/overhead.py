"""What an asynchronous test costs over a synchronous one: CPU time of whole pytest runs.

The synchronous twins run under pytest alone, with no asynchronous plugin loaded.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from benchmarks.processes import Workspace
from benchmarks.results import Column, Result, Table, Target, Verdict
from benchmarks.rounds import Plan, Samples, Spread, differences, measure_interleaved, ratios
from benchmarks.runners import (
    ANYIO,
    OURS,
    OURS_LIMITED,
    PYTEST,
    PYTEST_AGAIN,
    PYTEST_ASYNCIO,
    PYTEST_ASYNCIO_SESSION,
    Runner,
    installed,
)
from benchmarks.suites import Suite

FULL = Plan(rounds=5, size=2_000)
QUICK = Plan(rounds=3, size=400)

_RUNNERS = (
    *(PYTEST, PYTEST_AGAIN, OURS, OURS_LIMITED),
    *(PYTEST_ASYNCIO, PYTEST_ASYNCIO_SESSION, ANYIO),
)
_TESTS_FAILED, _NO_TESTS_COLLECTED = 1, 5  # pytest's exit status

_CPU = Column("CPU s", 2)
_RATIO = Column("over sync", 3)
_NET_RATIO = Column("over sync, net of start-up", 3)
_EXTRA = Column("extra us per test", 0)


@dataclass(frozen=True)
class _Shape:
    """What the tests look like; under pytest alone they are the synchronous twins."""

    title: str
    tests: int
    is_async: bool = True
    has_fixture: bool = False
    target: Target | None = None

    def sample_name(self, runner: Runner) -> str:
        return f"{self.title}: {runner.name}"

    def contestant(self, runner: Runner, workspace: Workspace) -> Callable[[], float]:
        """Write the suite for this runner and return what runs and measures it."""
        is_async = self.is_async and bool(runner.plugin)
        suite = Suite(self.tests, is_async=is_async, has_fixture=self.has_fixture)
        if self.tests:
            _insist_on_running(suite, runner, workspace)
        folder = suite.write(workspace.new_folder(), conftest=runner.conftest)

        def cpu_seconds() -> float:
            status = 0 if self.tests else _NO_TESTS_COLLECTED
            child = runner.run(workspace, folder, status=status)
            child.must_say(f"{self.tests or 'no'} {'passed' if self.tests else 'tests ran'}")
            return child.cpu_seconds

        return cpu_seconds


def run(plan: Plan, workspace: Workspace) -> Result:
    """Run every runner on an empty suite and on suites of every shape."""
    empty = _Shape("empty suite", 0)
    shapes = _list_shapes(plan.size)
    runners = installed(_RUNNERS)
    samples = measure_interleaved(
        {
            shape.sample_name(runner): shape.contestant(runner, workspace)
            for shape in (empty, *shapes)
            for runner in runners
        },
        rounds=plan.rounds,
    )
    tables = [_tabulate(shape, empty, runners, samples) for shape in shapes]
    return Result(tables, samples, [*_judge(shapes, tables)])


def _insist_on_running(suite: Suite, runner: Runner, workspace: Workspace) -> None:
    """Refuse to measure a runner under which tests pass because nobody awaits them."""
    folder = suite.failing(2).write(workspace.new_folder(), conftest=runner.conftest)
    runner.run(workspace, folder, status=_TESTS_FAILED).must_say("2 failed")


def _list_shapes(tests: int) -> list[_Shape]:
    fixture = "tests with a generator fixture"
    return [
        _Shape("trivial async tests", tests, target=Target(1.10, goal=1.05)),
        _Shape(f"async {fixture}", tests, has_fixture=True, target=Target(1.15, goal=1.10)),
        # What everybody pays who merely has the plugin installed.
        _Shape("trivial sync tests", tests, is_async=False),
    ]


def _tabulate(shape: _Shape, empty: _Shape, runners: Sequence[Runner], samples: Samples) -> Table:
    sync = samples[shape.sample_name(PYTEST)]
    net_sync = differences(sync, samples[empty.sample_name(PYTEST)])
    rows = {PYTEST.name: {_CPU.title: Spread.of(sync)}}
    for runner in runners:
        if runner is PYTEST:
            continue
        cpu = samples[shape.sample_name(runner)]
        net = differences(cpu, samples[empty.sample_name(runner)])
        extra = Spread.of(differences(net, net_sync)).scaled(1e6 / shape.tests)
        rows[runner.name] = {
            _CPU.title: Spread.of(cpu),
            _RATIO.title: Spread.of(ratios(cpu, sync)),
            _NET_RATIO.title: Spread.of(ratios(net, net_sync)),
            _EXTRA.title: extra,
        }
    title = f"{shape.tests} {shape.title}"
    return Table(title, (_CPU, _RATIO, _NET_RATIO, _EXTRA), rows)


def _judge(shapes: Sequence[_Shape], tables: Sequence[Table]) -> Iterator[Verdict]:
    for shape, table in zip(shapes, tables, strict=True):
        if shape.target and OURS.name in table.rows:
            measured = table.rows[OURS.name][_RATIO.title].median
            yield Verdict(f"{OURS.name}, {table.title}, over sync", measured, shape.target)
