"""`scripts/fix`: repair what ruff can repair, and format."""

from __future__ import annotations

from pythons import find_pythons
from tasks.environments import prepare


def main(arguments: list[str]) -> int:
    """Fix and format the given files, or everything."""
    paths = arguments or ["."]
    environment = prepare("check", next(find_pythons()), lock="check")
    left = environment.run("ruff", "check", "--fix", *paths)
    return environment.run("ruff", "format", *paths) or left
