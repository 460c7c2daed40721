"""Opens stores for SQLite databases; a schema is built once and copied."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_asgi import events
from pytest_asgi.adapters.sqlite.memory import MemoryStore
from pytest_asgi.adapters.sqlite.places import Places, is_in_memory
from pytest_asgi.adapters.sqlite.store import SqliteStore

if TYPE_CHECKING:
    from pytest_asgi.database.stores import Build
    from pytest_asgi.database.targets import Target

_KEPT = 16  # files in the cache: a branch or two, and a past that one may come back to


class SqliteOpener:
    """Opens stores for SQLite databases.

    Args:
        named: A server that the project has named; SQLite has none.
        keep: Whether a schema that was built is kept for later runs.
        places: Where databases go.
        cache: Where schemas are kept; the user's cache folder when left out.
    """

    def __init__(
        self,
        named: str | None = None,  # noqa: ARG002 - every kind's opener is made alike
        *,
        keep: bool = False,
        places: Places | None = None,
        cache: Path | None = None,
    ) -> None:
        self._places = places or Places()
        self._built: dict[str, bytes] = {}
        self._cache = _Cache(cache or _user_cache()) if keep else None

    def open(self, target: Target, *, build: Build | None, key: str | None) -> SqliteStore:
        """Return a new store for `target`, with the schema that `build` makes."""
        content = self._find(key) if build is not None and key else b""
        kind = MemoryStore if is_in_memory(target) else SqliteStore
        store = kind(target, self._places, content)
        if build is not None and not content:
            try:
                with events.unheard():  # these statements are not the test's that needs it first
                    build(store)
            except BaseException:
                store.close()
                raise
            if key:
                self._keep(key, store.mark().image.content)
        return store

    def close(self) -> None:
        """Remove the folder of the databases."""
        self._places.close()

    def _find(self, key: str) -> bytes:
        if key not in self._built and self._cache is not None:
            self._built[key] = self._cache.read(key)
        return self._built.get(key, b"")

    def _keep(self, key: str, content: bytes) -> None:
        self._built[key] = content
        if self._cache is not None:
            self._cache.write(key, content)


class _Cache:
    """Files by key; the ones that were used least recently go."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, key: str) -> bytes:
        path = self._path(key)
        try:
            content = path.read_bytes()
            path.touch()
        except OSError:
            return b""
        return content

    def write(self, key: str, content: bytes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=self._folder)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(name).replace(self._path(key))  # at once: other workers are reading
        files = sorted(self._folder.glob("*.db"), key=lambda path: path.stat().st_mtime)
        for path in files[:-_KEPT]:
            path.unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}.db"


def _user_cache() -> Path:
    named = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    return (Path(named) if named else Path.home() / ".cache") / "pytest-asgi" / "sqlite"
