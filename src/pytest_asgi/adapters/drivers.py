"""The drivers whose connections are redirected, and those that are only refused.

Nothing here imports a driver: an adapter changes its driver when somebody else has imported it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from pytest_asgi.adapters import refused_drivers
from pytest_asgi.import_watch import ImportWatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytest_asgi.database.redirect import Redirect

# A driver's package, and the module whose `install(redirect)` changes that driver and returns
# what puts it back. The module is imported right after the driver.
_ADAPTERS: tuple[tuple[str, str], ...] = (
    ("aiosqlite", "pytest_asgi.adapters.aiosqlite"),
    ("sqlite3", "pytest_asgi.adapters.sqlite.connecting"),
    ("asyncpg", "pytest_asgi.adapters.asyncpg"),
    ("psycopg", "pytest_asgi.adapters.psycopg"),
    ("psycopg_pool", "pytest_asgi.adapters.psycopg_pool"),
    ("sqlalchemy", "pytest_asgi.adapters.sqlalchemy_pools"),
    ("pymongo", "pytest_asgi.adapters.mongo.clients"),
    ("redis", "pytest_asgi.adapters.redis.connections"),
)


def install(
    redirect: Redirect, adapters: Iterable[tuple[str, str]] = _ADAPTERS
) -> Callable[[], None]:
    """Let every driver ask `redirect` where to connect; return what puts the drivers back."""
    uninstall: list[Callable[[], None]] = [refused_drivers.install(redirect)]

    def watch(driver: str, adapter: str) -> ImportWatch:
        return ImportWatch(
            driver, lambda: uninstall.append(import_module(adapter).install(redirect))
        )

    watches = [watch(driver, adapter) for driver, adapter in adapters]
    for each in watches:
        each.start()

    def uninstall_all() -> None:
        for each in watches:
            each.stop()
        while uninstall:
            uninstall.pop()()

    return uninstall_all
