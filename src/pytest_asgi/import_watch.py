"""Call a function as soon as a module has been imported, without importing it oneself.

What wants to know of event loops needs asyncio, and a run without asynchronous code should not
pay for importing that. Imports nothing that a run of pytest has not imported anyway.
"""

from __future__ import annotations

import sys
from functools import partial
from importlib.abc import Loader, MetaPathFinder
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType


class ImportWatch:
    """Waits for the first import of one module.

    Args:
        module: The module's name; not one inside of a package.
        when_imported: Called once, at once if the module has already been imported.
    """

    def __init__(self, module: str, when_imported: Callable[[], None]) -> None:
        self.module = module
        self.when_imported = when_imported

    def start(self) -> None:
        """Begin to wait."""
        if self.module in sys.modules:
            self.when_imported()
        else:
            _finder.add(self)

    def stop(self) -> None:
        """Wait no more."""
        _finder.remove(self)


class _Finder(MetaPathFinder):
    """Is asked by Python for every module that is imported: one for all watches, to be quick."""

    def __init__(self) -> None:
        self._watches: dict[str, list[ImportWatch]] = {}

    def add(self, watch: ImportWatch) -> None:
        self._watches.setdefault(watch.module, []).append(watch)
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)

    def remove(self, watch: ImportWatch) -> None:
        watches = self._watches.get(watch.module, [])
        if watch in watches:
            watches.remove(watch)
        if not watches:
            self._forget(watch.module)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None, /
    ) -> ModuleSpec | None:
        if fullname not in self._watches or self not in sys.meta_path:
            return None
        # Only the finders behind this one: those in front of it have been asked, or are asking.
        for finder in sys.meta_path[sys.meta_path.index(self) + 1 :]:
            spec = finder.find_spec(fullname, path, target)
            if spec is not None and spec.loader is not None:
                # To find a module is not to import it: `exec_module` ends the waiting.
                spec.loader = _LoaderThatTells(spec.loader, partial(self._tell, fullname))
                return spec
        return None

    def _tell(self, module: str) -> None:
        for watch in self._forget(module):
            watch.when_imported()

    def _forget(self, module: str) -> list[ImportWatch]:
        watches = self._watches.pop(module, [])
        if not self._watches and self in sys.meta_path:
            sys.meta_path.remove(self)
        return watches


_finder = _Finder()


class _LoaderThatTells(Loader):
    """Loads a module as its own loader does, gives it that loader back, and tells."""

    def __init__(self, loader: Loader, when_loaded: Callable[[], None]) -> None:
        self._loader = loader
        self._when_loaded = when_loaded

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        assert module.__spec__ is not None
        module.__loader__ = module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        self._when_loaded()
