"""What is told while a test still runs: on the terminal, whatever is captured, and in a file.

Each worker process has a file of its own below pytest's cache folder. What is in it is there even
if the process is killed. The next run begins anew.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from time import strftime
from typing import TYPE_CHECKING, Any

from pytest_asgi.plugin import pytest_private

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

_FOLDER = "asgi"
_PATTERN = "hung*.txt"


class Notices:
    """Tells at once, from any thread.

    Args:
        config: The configuration of the session.
    """

    def __init__(self, config: pytest.Config) -> None:
        worker = worker_name(config)
        cache = getattr(config, "cache", None)  # `-p no:cacheprovider`
        folder = None if cache is None else cache.mkdir(_FOLDER)
        self._prefix = f"asgi [{worker}]: " if worker else "asgi: "
        self._path = None if folder is None else folder / f"hung{worker and '-' + worker}.txt"
        self._terminal = _open_terminal()

    def tell(self, text: str) -> None:
        """Write a text to the terminal and to the file."""
        if self._terminal is not None:
            with suppress(OSError):  # nobody may read it any more
                os.write(self._terminal, f"\n{self._prefix}{text}\n".encode(errors="replace"))
        self.note(text)

    def note(self, text: str) -> None:
        """Write a text to the file only."""
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(f"{strftime('%H:%M:%S')} {text}\n\n")

    def close(self) -> None:
        """Let the terminal go."""
        if self._terminal is not None:
            os.close(self._terminal)


def forget_earlier(config: pytest.Config) -> None:
    """Remove the files of earlier runs, unless this is a worker, whose session has done it."""
    if not worker_name(config):
        for path in list_files(config):
            path.unlink(missing_ok=True)


def list_files(config: pytest.Config) -> list[Path]:
    """Return the files that there are."""
    folder = pytest_private.cache_folder(config, _FOLDER)
    return [] if folder is None else sorted(folder.glob(_PATTERN))


def worker_name(config: pytest.Config) -> str:
    """Return the name of the worker process of pytest-xdist that this is; else nothing."""
    given: dict[str, Any] = getattr(config, "workerinput", {})
    return str(given.get("workerid", ""))


def _open_terminal() -> int | None:
    """Return stderr under a number of its own, for pytest redirects the usual one."""
    for stream in (sys.stderr, sys.__stderr__):
        with suppress(AttributeError, OSError, ValueError):  # it may be no real file, or closed
            return os.dup(stream.fileno())  # type: ignore[union-attr]
    return None
