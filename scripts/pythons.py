"""Which Pythons this machine offers.

Started by whatever `python3` is first on the PATH, so this file keeps to the syntax of
Python 3.6; only the project itself needs a newer one.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Iterator, List, NamedTuple, Optional, Tuple

OLDEST = (3, 11)

_EXECUTABLE = re.compile(r"python3\.(\d+)(\.exe)?")
# Building an environment needs `ensurepip`, which some distributions package apart.
_PROBE = """
import ensurepip, sys
assert sys.implementation.name == "cpython" and sys.version_info.releaselevel == "final"
assert "t" not in getattr(sys, "abiflags", ""), "free-threaded"
print("%d.%d.%d" % sys.version_info[:3])
"""


class Python(NamedTuple):
    """An interpreter that can make virtual environments."""

    executable: str
    version: Tuple[int, ...]

    @property
    def minor(self) -> str:
        """The version as names of folders and commands have it: `3.13`."""
        return ".".join(map(str, self.version[:2]))

    @property
    def name(self) -> str:
        """The version in full: `3.13.0`."""
        return ".".join(map(str, self.version))


def find_pythons() -> Iterator[Python]:
    """Yield one working interpreter of each minor version that we support, newest first."""
    found = [each for each in _list_executables() if (3, each[0]) >= OLDEST]
    for minor in sorted({minor for minor, _ in found}, reverse=True):
        executables = [executable for each, executable in found if each == minor]
        python = next(filter(None, map(_probe, executables)), None)
        if python:
            yield python


def _list_executables() -> Iterator[Tuple[int, Path]]:
    """Yield minor version and path of everything that is named like a Python 3."""
    seen = set()
    for path in (path for folder in _list_folders() for path in sorted(folder.iterdir())):
        match = _EXECUTABLE.fullmatch(path.name)
        real = path.resolve() if match else path
        if match and real not in seen:
            seen.add(real)
            yield int(match.group(1)), real


def _list_folders() -> List[Path]:
    """Return pyenv's folders, newest version first, then those of the PATH."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    versions = sorted(pyenv.glob("versions/*/bin"), key=_version_key, reverse=True)
    on_path = map(Path, os.environ.get("PATH", "").split(os.pathsep))
    folders = [*versions, Path(sys.executable).parent, *on_path]
    # A shim only starts what the versions folder holds, and fails for versions not selected.
    return [folder for folder in folders if folder != pyenv / "shims" and folder.is_dir()]


def _version_key(folder: Path) -> List[int]:
    return [int(part) for part in re.findall(r"\d+", folder.parent.name)]


def _probe(executable: Path) -> Optional[Python]:
    """Return the interpreter if it starts, is a release and can make environments."""
    command = [str(executable), "-I", "-c", _PROBE]
    try:
        output = subprocess.check_output(command, stderr=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError):
        return None
    return Python(str(executable), tuple(map(int, output.decode().split("."))))
