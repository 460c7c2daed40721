"""What suites import of a peer, answered by us, and the fixtures they use of peers.

A suite that says `import pytest_asyncio` runs without that package, unless `asgi_compat = off`.
With `asgi_compat = testclient` the `TestClient` of Starlette and FastAPI is ours as well. The
fixtures of peers are in `fixtures.py`.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_asgi.plugin.stand_ins.starlette_client import ClientStandIn

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

    import pytest

_MODULE = "pytest_asyncio"
_FILE = Path(__file__).with_name("pytest_asyncio_module.py")


def install(config: pytest.Config) -> None:
    """Let imports find the stand-ins, from now on."""
    flag = getattr(config.known_args_namespace, "asgi_compat", None)
    compat = flag or config.getini("asgi_compat")
    if compat != "off":
        sys.meta_path.append(_Finder())
        config.add_cleanup(_uninstall)
    if compat.startswith("testclient"):
        client = ClientStandIn(in_thread=compat == "testclient-in-thread")
        client.install()
        config.add_cleanup(client.uninstall)


def _uninstall() -> None:
    """Let no stand-in be imported any more, and forget it."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _Finder)]
    if is_imported():
        del sys.modules[_MODULE]


def is_imported() -> bool:
    """Tell whether the stand-in has been imported."""
    return getattr(sys.modules.get(_MODULE), "__file__", None) == str(_FILE)


class _Finder:
    """Finds the stand-in. It stands last in `sys.meta_path`: the real module comes first."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        del path, target
        return importlib.util.spec_from_file_location(name, _FILE) if name == _MODULE else None
