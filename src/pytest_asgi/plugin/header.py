"""What the run's header says: the app that was found, the loop, and who runs what."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_asgi.plugin import stand_ins
from pytest_asgi.plugin.asynchronous import is_async_test

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_asgi.plugin.assembly import Assembly
    from pytest_asgi.plugin.settings import Settings

_ASIDE = (
    "pytest-asyncio is installed and stands aside: one loop for all tests and fixtures"
    " (-p no:asgi gives it back its tests)"
)
_LOOP_FACTORIES = (
    "pytest_asyncio_loop_factories is not used: all tests share one loop, made by asgi_loop"
)
_STAND_IN = (
    "pytest_asyncio is not installed; a stand-in answers its import (asgi_compat = off refuses it)"
)

_TEST_CLIENT = (
    "the TestClient of Starlette and FastAPI is pytest_asgi.TestClient (asgi_compat = %s)"
)


def before_collection(assembly: Assembly) -> list[str]:
    """Return the lines above the collection."""
    found, settings = assembly.found_app, assembly.settings
    app = f"app {found.path} ({found.source})" if found is not None else "app none found"
    loop, database = f"loop {settings.loop}, one per session", _describe_database(settings)
    lines = [f"{app} · {loop} · lifespan {settings.lifespan} · {database}"]
    if assembly.neighbours.has_asyncio:
        lines.append(_ASIDE)
    if assembly.neighbours.has_loop_factories:
        lines.append(_LOOP_FACTORIES)
    if settings.compat.startswith("testclient"):
        lines.append(_TEST_CLIENT % settings.compat)
    if stand_ins.is_imported():
        assembly.is_stand_in_announced = True
        lines.append(_STAND_IN)
    return [f"asgi: {line}" for line in lines]


def _describe_database(settings: Settings) -> str:
    if settings.isolation == "off":
        return "database off"
    what = settings.database.partition("://")[0] or (settings.schema and "the app's own")
    return f"database {what}, {settings.isolation}" if what else "database none"


def after_collection(assembly: Assembly, items: Sequence[pytest.Item]) -> list[str]:
    """Return the lines below the number of collected tests: what only they could tell."""
    lines = [*assembly.neighbours.describe(items), *_on_trio(assembly, items)]
    if stand_ins.is_imported() and not assembly.is_stand_in_announced:
        lines.append(_STAND_IN)
    return [f"asgi: {line}" for line in lines]


def _on_trio(assembly: Assembly, items: Sequence[pytest.Item]) -> list[str]:
    count = sum(
        isinstance(item, pytest.Function)
        and assembly.trio_choice.of(item) is True
        and is_async_test(item)
        and not assembly.neighbours.keeps(item)
        for item in items
    )
    if count == 0:
        return []
    return ["1 test runs on trio" if count == 1 else f"{count} tests run on trio"]
