"""The command `pytest-asgi`: what a project wants to know outside of a test run."""

from __future__ import annotations

import argparse
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_asgi.command.doctor import describe_project

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: The words after the command's name; those of the process when left out.

    Returns:
        The exit code.
    """
    options = _parser().parse_args(arguments)
    for line in describe_project(options.folder.resolve()):
        print(line)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pytest-asgi", description="Help with testing async Python web apps."
    )
    parser.add_argument("--version", action="version", version=version("pytest-asgi"))
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    doctor = commands.add_parser(
        "doctor",
        help="say what pytest-asgi finds in a project",
        description="Say which app, packages and peers pytest-asgi finds, without importing any.",
    )
    doctor.add_argument(
        "folder",
        nargs="?",
        type=Path,
        default=Path(),
        help="the project's folder (default: the current one)",
    )
    return parser
