"""`scripts/check`: everything that CI checks before it runs a test."""

from __future__ import annotations

import argparse
import time

from pythons import find_pythons
from tasks import changelog
from tasks.environments import Environment, prepare, say

STEPS = {
    "format": ["ruff", "format", "--check", "."],
    "lint": ["ruff", "check", "."],
    "types": ["mypy"],
    "layers": ["lint-imports"],
}


def main(arguments: list[str]) -> int:
    """Run every check, also after one has failed, and name those that did."""
    parser = argparse.ArgumentParser(prog="scripts/check", description=__doc__)
    names = [*STEPS, "changelog"]
    parser.add_argument("step", nargs="*", choices=[*names, []], help="only these checks")
    wanted = parser.parse_args(arguments).step or names
    environment = prepare("check", next(find_pythons()), lock="check")
    failed = [name for name in wanted if not _passes(name, environment)]
    say(f"\nFailed: {', '.join(failed)}" if failed else "\nAll checks passed.")
    return len(failed)


def _passes(name: str, environment: Environment) -> bool:
    started = time.perf_counter()
    code = environment.run(*STEPS[name], quiet=True) if name in STEPS else changelog.check()
    seconds = time.perf_counter() - started
    say(f"{name:<10} {'failed' if code else 'passed'}  {seconds:5.1f} s")
    return code == 0
