"""Where private databases are: in a folder of this process, in memory if there is such a place."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from pytest_asgi.adapters.sqlite.media import FileMedium, MemoryMedium

try:
    import fcntl
except ImportError:  # pragma: no cover - on Windows; there is no folder in memory either
    fcntl = None  # type: ignore[assignment]  # Tested wherever it is used.

if TYPE_CHECKING:
    from pytest_asgi.adapters.sqlite.media import Medium
    from pytest_asgi.database.targets import Target

_PREFIX = "pytest-asgi-sqlite-"
_IN_USE = "in-use"
_IN_MEMORY = Path("/dev/shm")  # noqa: S108 - the folder made in it is this user's alone
_NEEDED_BYTES = 256 << 20


class Places:
    """Gives places to databases, and takes them all back.

    Args:
        parent: Where to make the folder; when left out, in memory if there is room.
    """

    def __init__(self, parent: Path | None = None) -> None:
        self._parent = parent or _parent()
        self._numbers = itertools.count(1)
        self._folder: Path | None = None
        self._in_use: BinaryIO | None = None

    @property
    def is_on_disk(self) -> bool:
        """Whether the folder is not in memory."""
        return self._parent != _IN_MEMORY

    def new_medium(self, target: Target, content: bytes) -> Medium:
        """Return a new database that holds `content`, for what stands in for `target`."""
        if is_in_memory(target):
            return MemoryMedium(
                f"{_PREFIX}{os.getpid()}-{id(self)}-{next(self._numbers)}", content
            )
        return FileMedium(self.new_path(), content)

    def new_path(self) -> Path:
        """Return the path of a file that is not there yet."""
        if self._folder is None:
            self._make_folder()
        assert self._folder is not None
        return self._folder / f"{next(self._numbers)}.db"

    def close(self) -> None:
        """Remove everything."""
        if self._folder is not None and self._in_use is not None:
            self._in_use.close()
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def _make_folder(self) -> None:
        _sweep(self._parent)
        self._folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=self._parent))
        self._in_use = (self._folder / _IN_USE).open("wb")
        if fcntl is not None:
            fcntl.flock(self._in_use, fcntl.LOCK_EX)


def is_own(path: str) -> bool:
    """Tell whether a file is, or a name means, one of our databases."""
    return _PREFIX in path


def is_in_memory(target: Target) -> bool:
    """Tell whether a target is a database in memory, which nobody else can connect to."""
    return target.name == ":memory:"


def _parent() -> Path:
    if os.access(_IN_MEMORY, os.W_OK) and shutil.disk_usage(_IN_MEMORY).free >= _NEEDED_BYTES:
        return _IN_MEMORY
    return Path(tempfile.gettempdir())


def _sweep(parent: Path) -> None:
    """Remove the folders of processes that were killed: nobody holds their locks."""
    if fcntl is None:  # pragma: no cover - on Windows
        return
    for folder in parent.glob(f"{_PREFIX}*"):
        with suppress(OSError), (folder / _IN_USE).open("rb") as in_use:
            fcntl.flock(in_use, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
