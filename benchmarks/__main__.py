"""`python -m benchmarks [NAME …]`: measure what we cost beside our peers.

Run it from the root of the repository, in an environment that has the project and its peers;
`scripts/bench` makes one. A peer that is not installed is left out. Numbers from different
machines, or from different runs, say little about each other: compare the ratios.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from benchmarks import (
    calls,
    collection,
    concurrency,
    conversation,
    database_suite,
    isolation,
    overhead,
    request,
    scale,
    startup,
)
from benchmarks.machine import describe_machine, list_versions
from benchmarks.processes import Workspace
from benchmarks.results import Result, render_result, result_as_json
from benchmarks.rounds import Plan


class _Benchmark(Protocol):
    """What a module of a benchmark provides."""

    FULL: Plan
    QUICK: Plan

    def run(self, plan: Plan, workspace: Workspace) -> Result: ...


_BENCHMARKS: Mapping[str, _Benchmark] = {
    "overhead": overhead,
    "calls": calls,
    "collection": collection,
    "startup": startup,
    "request": request,
    "conversation": conversation,
    "isolation": isolation,
    "database_suite": database_suite,
    "concurrency": concurrency,
    "scale": scale,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks asked for, print their tables, and keep them as JSON if asked to."""
    options = _parse(arguments)
    names = options.names or list(_BENCHMARKS)
    machine, versions = describe_machine(), list_versions()
    print(", ".join(machine.values()))
    print(", ".join(f"{name} {version}" for name, version in versions.items()), flush=True)
    results = {}
    for name in names:
        results[name] = _run(_BENCHMARKS[name], options)
        print(f"\n== {name} ==\n\n{render_result(results[name])}", flush=True)
    if options.json:
        facts = {name: result_as_json(result) for name, result in results.items()}
        kept = {"machine": machine, "versions": versions, "benchmarks": facts}
        options.json.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    missed = [v for result in results.values() for v in result.verdicts if not v.is_met]
    return 1 if options.check and missed else 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(_BENCHMARKS))
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep every sample in FILE")
    parser.add_argument("--quick", action="store_true", help="small and few: does it work?")
    parser.add_argument("--rounds", type=int, help="override the number of rounds")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a limit is not met")
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - set(_BENCHMARKS):
        parser.error(f"unknown benchmark {', '.join(sorted(unknown))}: {', '.join(_BENCHMARKS)}")
    return options


def _run(benchmark: _Benchmark, options: argparse.Namespace) -> Result:
    plan = benchmark.QUICK if options.quick else benchmark.FULL
    plan = Plan(options.rounds or plan.rounds, plan.size)
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
        return benchmark.run(plan, Workspace(Path(folder)))


if __name__ == "__main__":
    sys.exit(main())
