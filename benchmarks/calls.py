"""How many function calls one test takes: what a noisy machine cannot blur.

A call is no unit of time, but the count is nearly the same in every run. It shows a change of a
percent, where CPU time needs a quiet machine and many rounds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from benchmarks.processes import Workspace
from benchmarks.results import Column, Result, Table
from benchmarks.rounds import Plan, Samples, Spread, differences, measure_interleaved, ratios
from benchmarks.runners import (
    ANYIO,
    OURS,
    PYTEST,
    PYTEST_ASYNCIO,
    PYTEST_ASYNCIO_SESSION,
    Runner,
    installed,
)
from benchmarks.suites import Suite

FULL = Plan(rounds=1, size=500)
QUICK = Plan(rounds=1, size=100)

_RUNNERS = (PYTEST, OURS, PYTEST_ASYNCIO, PYTEST_ASYNCIO_SESSION, ANYIO)
_CALLS = Column("calls per test", 0)
_RATIO = Column("over pytest alone", 3)

# Calls of C functions count too. The sum comes first, then what pytest said.
_PROBE = """
import contextlib, cProfile, io, pytest
profile = cProfile.Profile()
with contextlib.redirect_stdout(io.StringIO()) as output:
    profile.runcall(pytest.main, {arguments!r})
print(sum(entry.callcount for entry in profile.getstats()))
print(output.getvalue())
"""


@dataclass(frozen=True)
class _Shape:
    """What is counted: a kind of suite, and what pytest does with it."""

    title: str
    suite: Suite
    arguments: Sequence[str] = ()

    def sample_name(self, tests: int, runner: Runner) -> str:
        return f"{tests} {self.title}: {runner.name}"

    def contestant(self, tests: int, runner: Runner, workspace: Workspace) -> Callable[[], float]:
        """Write the suite for this runner and return what runs and counts."""
        is_async = self.suite.is_async and bool(runner.plugin or self.arguments)
        suite = replace(self.suite, tests=tests, is_async=is_async)
        folder = suite.write(workspace.new_folder(), conftest=runner.conftest)
        probe = _PROBE.format(arguments=["-q", *runner.arguments, *self.arguments])

        def count_calls() -> float:
            child = workspace.run_python(["-c", probe], cwd=folder)
            child.must_say(f"{tests} test" if self.arguments else f"{tests} passed")
            return int(child.output.partition("\n")[0])

        return count_calls


_SHAPES = (
    _Shape("trivial async tests", Suite(0, is_async=True)),
    _Shape("async tests with a generator fixture", Suite(0, is_async=True, has_fixture=True)),
    _Shape("trivial sync tests", Suite(0)),
    _Shape("collected async tests", Suite(0, is_async=True), ("--collect-only",)),
)


def run(plan: Plan, workspace: Workspace) -> Result:
    """Count the calls of every runner on suites of every shape, and on their first test alone."""
    runners = installed(_RUNNERS)
    samples = measure_interleaved(
        {
            shape.sample_name(tests, runner): shape.contestant(tests, runner, workspace)
            for shape in _SHAPES
            for tests in (1, plan.size)
            for runner in runners
        },
        rounds=plan.rounds,
    )
    return Result([_tabulate(shape, plan.size, runners, samples) for shape in _SHAPES], samples)


def _tabulate(shape: _Shape, tests: int, runners: Sequence[Runner], samples: Samples) -> Table:
    def per_test(runner: Runner) -> list[float]:
        # The first test pays for what every later one finds ready, such as the loop.
        first, all_tests = (samples[shape.sample_name(n, runner)] for n in (1, tests))
        return [count / (tests - 1) for count in differences(all_tests, first)]

    sync = per_test(PYTEST)
    rows = {PYTEST.name: {_CALLS.title: Spread.of(sync)}}
    for runner in runners:
        if runner is not PYTEST:
            rows[runner.name] = {
                _CALLS.title: Spread.of(per_test(runner)),
                _RATIO.title: Spread.of(ratios(per_test(runner), sync)),
            }
    return Table(shape.title, (_CALLS, _RATIO), rows)
