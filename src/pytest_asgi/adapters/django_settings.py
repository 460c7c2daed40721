"""The databases that Django's settings name."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from pytest_asgi.adapters.askers import is_left_to_pytest_django
from pytest_asgi.adapters.sqlite.addresses import read_address
from pytest_asgi.database.targets import Kind, Target

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# By the last part of an engine's name; other packages' engines are called like what they extend.
_KINDS: Mapping[str, Kind] = {
    "postgis": "postgresql",
    "postgresql": "postgresql",
    "spatialite": "sqlite",
    "sqlite3": "sqlite",
}


def targets_of_settings() -> Iterator[Target]:
    """Yield them, the default one first, unless they are pytest-django's."""
    settings: Any = getattr(sys.modules.get("django.conf"), "settings", None)
    if settings is None or not settings.configured or is_left_to_pytest_django("django"):
        return
    default = settings.DATABASES.get("default", {})
    others = (each for each in settings.DATABASES.values() if each is not default)
    for named in (default, *others):
        kind = _KINDS.get(str(named.get("ENGINE", "")).rpartition(".")[2])
        name = str(named.get("NAME") or "")
        if kind == "sqlite" and name not in ("", ":memory:"):
            yield Target(kind, read_address(name, is_uri=name.startswith("file:")).name)
        elif kind == "postgresql":
            port = str(named.get("PORT") or "")
            host, user = (str(named.get(word) or "") for word in ("HOST", "USER"))
            yield Target(kind, name, host, int(port) if port else None, user)
