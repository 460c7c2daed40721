"""`scripts/bench`: measure us and our peers in the same run."""

from __future__ import annotations

from pythons import find_pythons
from tasks.environments import prepare


def main(arguments: list[str]) -> int:
    """Run the named benchmarks, or all; `--json FILE` keeps the numbers."""
    environment = prepare("bench", next(find_pythons()), lock="bench", install="wheel")
    return environment.run("python", "-m", "benchmarks", *arguments)
