"""Virtual environments under `.venvs/`, made once and renewed when what they hold changes.

An environment has two layers, each with a stamp of what it was made from: the locked
packages, and the project itself. Nothing is asked from the network while both fit.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pythons import Python

ROOT = Path(__file__).parents[2]
VENVS = ROOT / ".venvs"
_BIN, _SUFFIX = ("Scripts", ".exe") if os.name == "nt" else ("bin", "")

Install = Literal["editable", "wheel"]


@dataclass(frozen=True)
class Environment:
    """One virtual environment, ready to run tools in the project's folder."""

    folder: Path

    @property
    def python(self) -> str:
        """The environment's interpreter."""
        return self.tool("python")

    def tool(self, name: str) -> str:
        """Return the path of a command that the environment holds."""
        return str(self.folder / _BIN / (name + _SUFFIX))

    def run(self, *command: str | Path, cwd: Path = ROOT, quiet: bool = False) -> int:
        """Run one of the environment's commands and return its exit code."""
        name, *arguments = map(str, command)
        finished = subprocess.run(
            [self.tool(name), *arguments],
            cwd=cwd,
            env=self._variables(),
            check=False,
            stdout=subprocess.PIPE if quiet else None,
            stderr=subprocess.STDOUT if quiet else None,
            text=True,
        )
        if quiet and finished.returncode:
            say(finished.stdout)
        return finished.returncode

    def _variables(self) -> dict[str, str]:
        """Return the process's variables with this environment in front, as activating does."""
        path = os.pathsep.join([str(self.folder / _BIN), os.environ.get("PATH", "")])
        variables = {**os.environ, "VIRTUAL_ENV": str(self.folder), "PATH": path}
        # The last one costs minutes: tests start hundreds of interpreters.
        for foreign in ("PYTHONHOME", "PYTHONPATH", "PYTEST_ADDOPTS", "PYTHONDONTWRITEBYTECODE"):
            variables.pop(foreign, None)
        return variables


def prepare(
    name: str,
    python: Python,
    lock: str,
    *,
    install: Install = "editable",
) -> Environment:
    """Return an environment with the locked packages and the project."""
    environment = Environment(VENVS / f"{name}-{python.minor}")
    locked = ROOT / "requirements" / f"{lock}.txt"
    packages = _digest(repr(python), locked.read_bytes())
    if _stamp(environment, "packages") != packages:
        say(f"Making .venvs/{environment.folder.name} with Python {python.name} …")
        _create(environment, python)
        _install(environment, "--require-hashes", "-r", locked)
        _write_stamp(environment, "packages", packages)
    _install_project(environment, install)
    return environment


def make_uv(python: Python) -> str | None:
    """Return the path of our own `uv`, or None when it cannot be had here."""
    environment = Environment(VENVS / "uv")
    lock = ROOT / "requirements" / "uv.txt"
    # It is a binary: legs on other Pythons share it, whichever Python made its environment.
    wanted = _digest(lock.read_bytes())
    if _stamp(environment, "packages") != wanted:
        _create_by_venv(environment, python)
        options = ["--quiet", "--disable-pip-version-check", "--require-hashes"]
        if environment.run("python", "-m", "pip", "install", *options, "-r", lock, quiet=True):
            return None
        _write_stamp(environment, "packages", wanted)
    return environment.tool("uv")


def say(text: str) -> None:
    """Print at once, so that our lines stay in order with those of the tools."""
    print(text.rstrip(), flush=True)


def _install_project(environment: Environment, install: Install) -> None:
    """Install the project itself unless what is there was made from the same files."""
    wanted = _digest(install, _project_metadata(), *(_sources() if install == "wheel" else ()))
    if _stamp(environment, "project") == wanted:
        return
    if install == "editable":
        _install(environment, "--no-deps", "--no-build-isolation", "--editable", ROOT)
    else:
        _install(environment, "--no-deps", "--force-reinstall", _build_wheel(environment))
    _write_stamp(environment, "project", wanted)


def _build_wheel(environment: Environment) -> Path:
    folder = environment.folder / "wheel"
    shutil.rmtree(folder, ignore_errors=True)
    _demand(environment.run("hatchling", "build", "-t", "wheel", "-d", folder, quiet=True))
    return next(folder.glob("*.whl"))


def _project_metadata() -> bytes:
    """Return what an installation copies from pyproject.toml; tools' settings do not count."""
    configuration = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    build = configuration["tool"]["hatch"]
    return json.dumps([configuration["build-system"], configuration["project"], build]).encode()


def _sources() -> Iterable[bytes]:
    for path in sorted((ROOT / "src").rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            yield str(path.relative_to(ROOT)).encode()
            yield path.read_bytes()


def _create(environment: Environment, python: Python) -> None:
    uv = make_uv(python)
    if uv is None:
        say("  uv cannot be had here: using venv and pip, which takes longer")
        _create_by_venv(environment, python)
        return
    shutil.rmtree(environment.folder, ignore_errors=True)
    command = [uv, "venv", "--quiet", "--no-config", "--python", python.executable]
    _demand(subprocess.call([*command, str(environment.folder)]))


def _create_by_venv(environment: Environment, python: Python) -> None:
    shutil.rmtree(environment.folder, ignore_errors=True)
    _demand(subprocess.call([python.executable, "-I", "-m", "venv", str(environment.folder)]))


def _install(environment: Environment, *arguments: str | Path) -> None:
    if (environment.folder / _BIN / f"pip{_SUFFIX}").exists():
        command = [environment.python, "-m", "pip", "install", "--quiet"]
    else:
        uv = Environment(VENVS / "uv").tool("uv")
        command = [uv, "pip", "install", "--quiet", "--no-config", "--compile-bytecode"]
        command += ["--python", environment.python]
    _demand(subprocess.call([*command, *map(str, arguments)], cwd=ROOT))


def _demand(code: int) -> None:
    """End the script when a step that everything else needs has failed."""
    if code:
        sys.exit(code)


def _digest(*parts: str | bytes) -> str:
    hashed = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        hashed.update(b"%d:%b" % (len(data), data))
    return hashed.hexdigest()


def _stamp(environment: Environment, layer: str) -> str | None:
    path = environment.folder / f".{layer}"
    return path.read_text(encoding="utf-8") if path.exists() else None


def _write_stamp(environment: Environment, layer: str, stamp: str) -> None:
    (environment.folder / f".{layer}").write_text(stamp, encoding="utf-8")
