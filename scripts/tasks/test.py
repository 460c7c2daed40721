"""`scripts/test`: run the tests, on one Python or on all of them."""

from __future__ import annotations

import argparse
import time
import tomllib
from typing import TYPE_CHECKING

from pythons import Python, find_pythons
from tasks.environments import ROOT, Environment, prepare, say

if TYPE_CHECKING:
    from collections.abc import Callable

# For the whole suite only: who names tests wants to see them one after the other.
_IN_PARALLEL = ["--numprocesses=auto", "--maxprocesses=8", "--dist=worksteal"]


def main(arguments: list[str]) -> int:
    """Run the legs that the arguments ask for; everything else is for pytest."""
    options, pytest_arguments = _parse(arguments)
    pythons = _choose(options)
    legs = {python.name: _make_leg(python, options, pytest_arguments) for python in pythons}
    if len(legs) == 1:
        return next(iter(legs.values()))()
    return _run_all(legs)


def _parse(arguments: list[str]) -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(
        prog="scripts/test",
        description=f"{__doc__} Every other argument is for pytest.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--all-pythons", action="store_true", help="on every Python found, newest first")
    add("--python", metavar="3.N", help="on this Python instead of the newest")
    add("--oldest", action="store_true", help="with the oldest dependencies that we claim")
    add("--wheel", action="store_true", help="against the built wheel instead of `src`")
    add("--cov", action="store_true", help="measure branch coverage")
    return parser.parse_known_args(arguments)


def _choose(options: argparse.Namespace) -> list[Python]:
    found = list(find_pythons())
    if options.all_pythons:
        return found
    if options.oldest and not options.python:
        return found[-1:]
    chosen = [python for python in found if options.python in {None, python.minor}]
    if not chosen:
        names = ", ".join(python.minor for python in found)
        raise SystemExit(f"scripts/test: Python {options.python} was not found, only {names}.")
    return chosen[:1]


def _make_leg(
    python: Python,
    options: argparse.Namespace,
    pytest_arguments: list[str],
) -> Callable[[], int]:
    """Return a function that prepares one environment and runs the tests in it."""

    def run() -> int:
        name = "oldest" if options.oldest else "test"
        environment = prepare(
            f"{name}-wheel" if options.wheel else name,
            python,
            lock=name,
            install="wheel" if options.wheel else "editable",
        )
        settings = _translate_settings(environment) if options.oldest else []
        run = _run_with_coverage if options.cov else _run
        return run(environment, [*settings, *(pytest_arguments or _IN_PARALLEL)])

    return run


def _run(environment: Environment, arguments: list[str]) -> int:
    return environment.run("python", "-m", "pytest", *arguments)


def _run_with_coverage(environment: Environment, arguments: list[str]) -> int:
    environment.run("coverage", "erase")
    code = environment.run("coverage", "run", "-m", "pytest", *arguments)
    environment.run("coverage", "combine", "--quiet")
    return environment.run("coverage", "report") or code


def _translate_settings(environment: Environment) -> list[str]:
    """Write pyproject.toml's `[tool.pytest]` for a pytest that does not read that table yet."""
    configuration = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    settings = configuration["tool"]["pytest"]
    for newer in ("minversion", "faulthandler_exit_on_timeout"):
        del settings[newer]
    if settings.pop("strict"):
        settings["addopts"] += ["--strict-markers", "--strict-config"]
        settings["xfail_strict"] = True
    # Relative paths in a file are read from the file's folder, which is not the project's.
    settings["pythonpath"] = [str(ROOT / path) for path in settings["pythonpath"]]
    path = environment.folder / "pytest.ini"
    path.write_text(_as_ini(settings), encoding="utf-8")
    return ["-c", str(path), f"--rootdir={ROOT}"]


def _as_ini(settings: dict[str, str | list[str]]) -> str:
    lines = ["[pytest]"]
    for name, value in settings.items():
        text = "\n    ".join(value) if isinstance(value, list) else value
        lines.append(f"{name} =\n    {text}")
    return "\n".join(lines)


def _run_all(legs: dict[str, Callable[[], int]]) -> int:
    """Run every leg, whatever the earlier ones said, and end with a table."""
    rows, worst = [], 0
    for name, run in legs.items():
        say(f"\n=== Python {name} ===")
        started = time.perf_counter()
        code = run()
        rows.append(
            f"{name:<10}{'passed' if code == 0 else f'exit {code}':<10}"
            f"{time.perf_counter() - started:6.1f} s"
        )
        worst = worst or code
    say("\n" + "\n".join(rows))
    return worst
