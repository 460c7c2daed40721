"""What a plugin adds to the collection of a large suite: CPU time of `--collect-only`."""

from collections.abc import Callable

from benchmarks.processes import Workspace
from benchmarks.results import Column, Result, Table, Target, Verdict
from benchmarks.rounds import Plan, Samples, Spread, measure_interleaved, ratios
from benchmarks.runners import ANYIO, OURS, PYTEST, PYTEST_AGAIN, PYTEST_ASYNCIO, Runner, installed
from benchmarks.suites import Suite

FULL = Plan(rounds=3, size=20_000)
QUICK = Plan(rounds=3, size=2_000)

_TARGET = Target(1.03)
_CPU = Column("CPU s", 2)
_RATIO = Column("over pytest alone", 3)


def run(plan: Plan, workspace: Workspace) -> Result:
    """Collect a synchronous and an asynchronous suite with each plugin."""
    runners = installed((PYTEST, PYTEST_AGAIN, OURS, PYTEST_ASYNCIO, ANYIO))
    suites = {
        f"{plan.size} sync tests": Suite(plan.size),
        f"{plan.size} async tests": Suite(plan.size, is_async=True),
    }
    samples = measure_interleaved(
        {
            f"{title}: {runner.name}": _contestant(runner, suite, workspace)
            for title, suite in suites.items()
            for runner in runners
        },
        rounds=plan.rounds,
    )
    tables = [_tabulate(title, runners, samples) for title in suites]
    return Result(tables, samples, [_judge(table) for table in tables if OURS.name in table.rows])


def _contestant(runner: Runner, suite: Suite, workspace: Workspace) -> Callable[[], float]:
    folder = suite.write(workspace.new_folder(), conftest=runner.conftest)

    def cpu_seconds() -> float:
        child = runner.run(workspace, folder, "--collect-only")
        child.must_say(f"{suite.tests} tests collected")
        return child.cpu_seconds

    return cpu_seconds


def _tabulate(title: str, runners: list[Runner], samples: Samples) -> Table:
    alone = samples[f"{title}: {PYTEST.name}"]
    rows = {}
    for runner in runners:
        cpu = samples[f"{title}: {runner.name}"]
        rows[runner.name] = {_CPU.title: Spread.of(cpu)}
        if runner is not PYTEST:
            rows[runner.name][_RATIO.title] = Spread.of(ratios(cpu, alone))
    return Table(title, (_CPU, _RATIO), rows)


def _judge(table: Table) -> Verdict:
    measured = table.rows[OURS.name][_RATIO.title].median
    return Verdict(f"{OURS.name}, collecting {table.title}", measured, _TARGET)
