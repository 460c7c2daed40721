"""Python environments like the running one, in which some packages are not installed."""

from __future__ import annotations

import shutil
import sys
import sysconfig
import venv
from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_OURS = "pytest_asgi"
_without_bytecode = shutil.ignore_patterns("__pycache__")


def make_environment(folder: Path, *, without: Collection[str]) -> Path:
    """Make an environment out of links to what is installed here, and return its interpreter.

    Nothing is hidden by a trick: those packages have neither files nor metadata there.
    """
    venv.create(folder, with_pip=False, symlinks=True)
    base = {"base": str(folder), "platbase": str(folder)}
    site_packages = Path(sysconfig.get_path("purelib", "venv", base))
    left_out = {entry for package in without for entry in _entries(package)}
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if entry.name == _OURS:
            # pytest keeps the code of plugins beside them, with the path that it was first run at.
            shutil.copytree(entry, site_packages / _OURS, ignore=_without_bytecode)
        elif entry.name not in left_out:
            (site_packages / entry.name).symlink_to(entry)
    return Path(sysconfig.get_path("scripts", "venv", base)) / Path(sys.executable).name


def _entries(package: str) -> Iterator[str]:
    for file in distribution(package).files or ():
        if file.parts[0] not in {"..", "__pycache__"}:
            yield file.parts[0]
