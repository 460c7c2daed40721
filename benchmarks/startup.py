"""What a loaded plugin costs every pytest run of its environment, and what it imports."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.processes import Workspace
from benchmarks.results import Column, Result, Table, Target, Verdict
from benchmarks.rounds import Plan, Samples, Spread, differences, measure_interleaved
from benchmarks.runners import ANYIO, OURS, PYTEST, PYTEST_ASYNCIO, Runner, installed
from benchmarks.suites import Suite

FULL = Plan(rounds=21, size=1)
QUICK = Plan(rounds=5, size=1)

_TARGET = Target(10)
_IMPORT = Column("import after pytest, ms CPU", 1)
_RUN = Column("a run of one sync test, ms CPU over pytest alone", 1)

# Timed inside the child, so that the start of Python and pytest is not part of it.
_IMPORT_PROBE = """
import time, pytest
start = time.process_time()
import {plugin}
print(time.process_time() - start)
"""
_MODULES_PROBE = """
import contextlib, json, os, sys, pytest
with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
    pytest.main({arguments!r})
print(json.dumps(sorted(sys.modules)))
"""
# Clients, drivers and frameworks, which no test run should pay for unasked; and what
# makes a plugin slow to load most often.
_EXPENSIVE = frozenset(
    {
        *("aiosqlite", "asyncpg", "motor", "psycopg", "pymongo", "redis", "sqlalchemy", "sqlite3"),
        *("fastapi", "httpcore", "httpcore2", "httpx", "httpx2", "pydantic", "starlette"),
        *("anyio", "asyncio", "greenlet", "ssl", "trio"),
    }
)


def run(plan: Plan, workspace: Workspace) -> Result:
    """Time the import of each plugin, and a small run that has no use for it."""
    runners = installed((PYTEST, OURS, PYTEST_ASYNCIO, ANYIO))
    plugins = [runner for runner in runners if runner.plugin]
    suite = Suite(1).write(workspace.new_folder())
    contestants = {f"import: {r.name}": _time_import(r, workspace) for r in plugins}
    contestants |= {f"run: {r.name}": _time_run(r, suite, workspace) for r in runners}
    samples = measure_interleaved(contestants, rounds=plan.rounds)
    table = _tabulate(plugins, samples)
    modules = _list_modules(plugins, suite, workspace)
    verdicts = [_judge(table)] if OURS in plugins else []
    return Result([table], samples, verdicts, [*_notes(modules)], {"modules": modules})


def _time_import(runner: Runner, workspace: Workspace) -> Callable[[], float]:
    probe = _IMPORT_PROBE.format(plugin=runner.plugin)
    return lambda: float(workspace.run_python(["-c", probe]).output)


def _time_run(runner: Runner, suite: Path, workspace: Workspace) -> Callable[[], float]:
    return lambda: runner.run(workspace, suite).cpu_seconds


def _tabulate(plugins: Sequence[Runner], samples: Samples) -> Table:
    alone = samples[f"run: {PYTEST.name}"]
    rows = {}
    for plugin in plugins:
        extra = differences(samples[f"run: {plugin.name}"], alone)
        rows[plugin.name] = {
            _IMPORT.title: Spread.of(samples[f"import: {plugin.name}"]).scaled(1000),
            _RUN.title: Spread.of(extra).scaled(1000),
        }
    return Table("loading the plugin", (_IMPORT, _RUN), rows)


def _list_modules(
    plugins: Sequence[Runner], suite: Path, workspace: Workspace
) -> dict[str, list[str]]:
    """Name the modules that a run has with each plugin and has not without it."""
    alone = set(_modules_after_run(PYTEST, suite, workspace))
    return {
        plugin.name: sorted(set(_modules_after_run(plugin, suite, workspace)) - alone)
        for plugin in plugins
    }


def _modules_after_run(runner: Runner, suite: Path, workspace: Workspace) -> list[str]:
    probe = _MODULES_PROBE.format(arguments=[*runner.arguments, str(suite)])
    modules: list[str] = json.loads(workspace.run_python(["-c", probe]).output)
    return modules


def _notes(modules: Mapping[str, Sequence[str]]) -> Iterator[str]:
    for plugin, names in modules.items():
        tops = {name.partition(".")[0] for name in names}
        expensive = sorted(tops & _EXPENSIVE) or ["none"]
        yield f"{plugin} brings {len(names)} modules; expensive ones: {', '.join(expensive)}."


def _judge(table: Table) -> Verdict:
    measured = table.rows[OURS.name][_IMPORT.title].median
    return Verdict(f"{OURS.name}, import over pytest, ms", measured, _TARGET)
