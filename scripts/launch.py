"""Start a task under a Python that is new enough, whoever started the script.

Keeps to the syntax of Python 3.6, as `pythons.py` does.
"""

import importlib
import subprocess
import sys

from pythons import OLDEST, find_pythons


def task(name: str) -> None:
    """Run a task of the `tasks` folder, in this process if this Python can."""
    if sys.version_info >= OLDEST:
        sys.exit(importlib.import_module(f"tasks.{name}").main(sys.argv[1:]))
    newest = next(find_pythons(), None)
    if newest is None:
        sys.exit(_explain(name))
    sys.exit(subprocess.call([newest.executable, *sys.argv]))


def _explain(name: str) -> str:
    oldest = ".".join(map(str, OLDEST))
    return (
        f"scripts/{name} needs Python {oldest} or newer, and this is {sys.version.split()[0]}.\n"
        "  why: neither the PATH nor pyenv's versions folder holds a newer one that can\n"
        "       make virtual environments.\n"
        f"  fix: install one (`pyenv install {oldest}`, or your system's package together\n"
        "       with its `venv` package) and call the script again."
    )
