"""Our `TestClient` in the place of Starlette's, which FastAPI exports too, for `asgi_compat`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from pytest_asgi.errors import SettingsError
from pytest_asgi.import_watch import ImportWatch

if TYPE_CHECKING:
    from types import ModuleType

_MODULE = "starlette.testclient"
_NAME = "TestClient"


class ClientStandIn:
    """Gives every module our class that asks for Starlette's, or has got it already.

    Args:
        in_thread: Whether the clients run their app in a thread of their own.
    """

    def __init__(self, *, in_thread: bool) -> None:
        self._in_thread = in_thread
        self._watch = ImportWatch(_MODULE, self._replace)
        self._original: Any = None
        self._ours: Any = None

    def install(self) -> None:
        """Replace the class as soon as it is there."""
        self._watch.start()

    def uninstall(self) -> None:
        """Put Starlette's class back."""
        self._watch.stop()
        if self._original is not None:
            _exchange(self._ours, self._original)

    def _replace(self) -> None:
        from pytest_asgi.client import sync, threaded  # noqa: PLC0415 - imports httpx2

        original = getattr(sys.modules[_MODULE], _NAME)
        _require_same_library(original, sync.TestClient)
        self._original = original
        self._ours = threaded.TestClient if self._in_thread else sync.TestClient
        _exchange(original, self._ours)


def _exchange(old: object, new: object) -> None:
    """Let every name of a module that means `old` mean `new`."""
    for module in list(sys.modules.values()):
        for name in _names_of(old, module):
            setattr(module, name, new)


def _names_of(value: object, module: ModuleType) -> list[str]:
    if module.__name__.partition(".")[0] == "pytest_asgi":
        return []
    return [name for name, meant in vars(module).items() if meant is value]


def _require_same_library(original: type, ours: type) -> None:
    client = ours.__mro__[1]
    if client not in original.__mro__:
        raise SettingsError(
            f"asgi_compat = testclient: Starlette's TestClient is no {client.__module__} client.",
            why="Ours is one, so what a suite does with responses and exceptions would change.",
            fix="Install a Starlette that uses httpx2, or change the import in the suite:\n\n"
            "    from pytest_asgi import TestClient",
        )
