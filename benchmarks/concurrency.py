"""What tests that wait gain from running at the same time, on the clock."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from benchmarks.processes import Workspace
from benchmarks.results import Column, Result, Table, Target, Verdict
from benchmarks.rounds import Plan, Spread, differences, measure_interleaved, ratios
from benchmarks.runners import OURS, PYTEST_ASYNCIO_SESSION, Runner, installed
from benchmarks.suites import Suite

FULL = Plan(rounds=5, size=200)
QUICK = Plan(rounds=2, size=40)

_WAIT_SECONDS = 0.05
_BODY = f"import asyncio; await asyncio.sleep({_WAIT_SECONDS})"
# Of what one after the other takes, the start of Python and pytest left out.
_TARGET = Target(1 / 40)
_CLOCK = Column("s", 2)
_NET = Column("s, net of start-up", 3)
_RATIO = Column("over pytest-asgi, one after the other", 4)


def run(plan: Plan, workspace: Workspace) -> Result:
    """Run tests that each wait, with and without concurrency, and the same with no test."""
    at_once = replace(OURS, name=_at_once(plan), options=(f"--asgi-concurrency={plan.size}",))
    runners = installed((OURS, at_once, PYTEST_ASYNCIO_SESSION))
    # In one file: only tests of one module or class run at the same time.
    waiting = Suite(plan.size, is_async=True, body=_BODY, tests_per_file=plan.size)
    contestants = {runner.name: _clock(runner, waiting, workspace) for runner in runners}
    contestants |= {
        _start_of(runner): _clock(runner, Suite(1, is_async=True), workspace) for runner in runners
    }
    samples = measure_interleaved(contestants, rounds=plan.rounds)
    net = {r.name: differences(samples[r.name], samples[_start_of(r)]) for r in runners}
    rows = {
        runner.name: {
            _CLOCK.title: Spread.of(samples[runner.name]),
            _NET.title: Spread.of(net[runner.name]),
            _RATIO.title: Spread.of(ratios(net[runner.name], net[OURS.name])),
        }
        for runner in runners
    }
    title = f"{plan.size} tests that wait {_WAIT_SECONDS * 1000:.0f} ms each"
    verdict = Verdict(
        f"{at_once.name}, of the time one after the other",
        rows[at_once.name][_RATIO.title].median,
        _TARGET,
    )
    return Result([Table(title, (_CLOCK, _NET, _RATIO), rows)], samples, [verdict])


def _clock(runner: Runner, suite: Suite, workspace: Workspace) -> Callable[[], float]:
    folder = suite.write(workspace.new_folder(), conftest=runner.conftest)
    return lambda: _seconds(runner, suite, folder, workspace)


def _seconds(runner: Runner, suite: Suite, folder: Path, workspace: Workspace) -> float:
    started = time.perf_counter()
    child = runner.run(workspace, folder)
    elapsed = time.perf_counter() - started
    child.must_say(f"{suite.tests} passed")
    return elapsed


def _at_once(plan: Plan) -> str:
    return f"{OURS.name}, {plan.size} at the same time"


def _start_of(runner: Runner) -> str:
    return f"start: {runner.name}"
