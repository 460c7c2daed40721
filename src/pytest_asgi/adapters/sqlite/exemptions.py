"""The databases that are none of the app's: of tools, of tests, and our own."""

from __future__ import annotations

import fnmatch
import os
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_asgi.adapters.askers import is_left_to_pytest_django
from pytest_asgi.adapters.sqlite.places import is_own

if TYPE_CHECKING:
    from pytest_asgi.database.redirect import Redirect

# Packages that keep something of their own in a SQLite file while tests run.
_TOOLS = frozenset(
    {
        "IPython",
        "coverage",
        "dbm",
        "diskcache",
        "hypothesis",
        "mypy",
        "pytest_monitor",
        "testmon",
    }
)
_FILES = (".coverage*", ".testmondata*", ".pymon", "*_cache.db", "*_cache.sqlite*")
_FOLDERS = ("/.mypy_cache/", "/.hypothesis/", "/.pytest_cache/")
# Their connections in memory are an app's database, not a scratch pad.
_ENGINES = frozenset({"databases", "piccolo", "sqlalchemy", "tortoise"})


def is_left_alone(redirect: Redirect, name: str, asker: str) -> bool:
    """Tell whether a database is to be opened as it was asked for.

    Args:
        redirect: Knows the private databases that there are, and where tests make files.
        name: The file's absolute path, or a special name.
        asker: The package that asks.
    """
    if name in ("", ":memory:"):
        return not name or asker not in _ENGINES
    return is_own(name) or is_of_a_tool(name, asker) or _is_of_a_test(redirect, name, asker)


def is_of_a_tool(name: str, asker: str) -> bool:
    """Tell whether a database belongs to something that tests are run with."""
    return asker in _TOOLS or _is_named_by_a_tool(name) or is_left_to_pytest_django(asker)


def _is_of_a_test(redirect: Redirect, name: str, asker: str) -> bool:
    """Tell whether a test has made a file, or is about to, and may look whether it is there."""
    scratch_folder = redirect.scratch_folder()
    if scratch_folder is None:
        return False
    folder = f"{os.path.realpath(scratch_folder)}{os.sep}"
    if not name.startswith(folder) or any(each.target.name == name for each in redirect.stores):
        return False
    return asker not in _ENGINES or _has_content(Path(name))


def _has_content(file: Path) -> bool:
    return file.is_file() and file.stat().st_size > 0


def _is_named_by_a_tool(name: str) -> bool:
    folder, _, file = name.replace("\\", "/").rpartition("/")
    return any(fnmatch.fnmatchcase(file, pattern) for pattern in _FILES) or any(
        each in f"{folder}/" for each in _FOLDERS
    )
