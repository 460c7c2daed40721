"""Where a connection goes: to the private database that stands in for its target, or nowhere.

Drivers' adapters ask here before a socket opens. Nothing here knows a driver. Every run of pytest
loads this module, so asyncio is imported only when there is a connection.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from pytest_asgi.database.connections import Connections, leads_elsewhere, moved
from pytest_asgi.errors import DatabaseRefusedError

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

    from pytest_asgi.database.connections import OpenConnection
    from pytest_asgi.database.stores import Store
    from pytest_asgi.database.targets import Target

OpenStore = Callable[["Target"], "Store"]

# While a schema is built, and in a test that has a database of its own: the code's own context
# decides, so that it holds for its tasks and threads and for nobody else.
_diversions: ContextVar[tuple[Store, ...]] = ContextVar("pytest_asgi_diversions", default=())
_building: ContextVar[Store | None] = ContextVar("pytest_asgi_building", default=None)
_is_direct: ContextVar[bool] = ContextVar("pytest_asgi_is_direct", default=False)


class Redirect:
    """Knows the stores of a session, and opens the one that a connection needs.

    Args:
        open_store: Makes the store for a target that is met for the first time.
        allowed: Patterns of targets that are connected to for real.

    Attributes:
        open_store: Makes the store for a target that is met for the first time.
        is_on: Whether connections are redirected; while it is off they go where the app says.
        allowed: Patterns of targets that are connected to for real.
        connections: Those that were opened by drivers that ask here.
        scratch_folder: Returns the folder that tests make files of their own in, if it is known.
    """

    def __init__(self, open_store: OpenStore, *, allowed: Sequence[str] = ()) -> None:
        self.is_on = False
        self.open_store = open_store
        self.allowed = tuple(allowed)
        self.scratch_folder: Callable[[], Path | None] = lambda: None
        self.connections = Connections()
        self._stores: dict[tuple[object, ...], Store] = {}
        self._opening = threading.RLock()

    @property
    def stores(self) -> list[Store]:
        """The stores that are open, the earliest first."""
        return list(self._stores.values())

    def store_for(self, target: Target) -> Store | None:
        """Return the store to connect to instead; `None` if `target` itself may be reached.

        Opening a store takes a while and blocks the calling thread.
        """
        if not self.is_on or _is_direct.get():
            return None
        built = _building.get()
        if built is not None and built.target.kind == target.kind:
            return built
        if target.matches(self.allowed):
            return None
        store = self._stores.get(target.database) or self._open_outside_loops(target)
        return current(store)

    async def await_store_for(self, target: Target) -> Store | None:
        """Return what `store_for` does, and let the loop go on while a store is being opened."""
        if not self.is_on or target.database in self._stores or _building.get() is not None:
            return self.store_for(target)
        from asyncio import to_thread  # noqa: PLC0415 - imports asyncio

        return await to_thread(self.store_for, target)

    def allows(self, target: Target) -> bool:
        """Tell whether a driver that is not redirected may connect to `target`."""
        return not self.is_on or _is_direct.get() or target.matches(self.allowed)

    def leads_home(self, opened: OpenConnection) -> bool:
        """Tell whether a connection leads where the calling code would connect to now."""
        return not opened.is_stale and self.store_for(opened.target) is opened.store

    async def await_leads_home(self, opened: OpenConnection) -> bool:
        """Tell what `leads_home` does, and let the loop go on meanwhile."""
        return not opened.is_stale and await self.await_store_for(opened.target) is opened.store

    def check(self, connection: Any) -> None:
        """Be told that the calling code is about to use a driver's connection.

        Raises:
            IsolationError: It leads to another database than the calling code would connect to.
        """
        opened = self.connections.get(connection)
        if opened is None or opened.store is None or opened.is_upkeep:
            return
        if opened.is_stale:
            raise moved(opened)
        if current(opened.store) is not opened.store:
            raise leads_elsewhere(opened)

    def close(self) -> None:
        """Close every store; what still connects, in the background perhaps, is refused."""
        self.open_store = _refuse_at_the_end
        while self._stores:
            _, store = self._stores.popitem()
            store.close()

    def _open_outside_loops(self, target: Target) -> Store:
        from pytest_asgi.loop_driver import outside_loops  # noqa: PLC0415 - imports asyncio

        return outside_loops(lambda: self._open_once(target))

    def _open_once(self, target: Target) -> Store:
        with self._opening:
            store = self._stores.get(target.database)
            if store is None:
                store = self._stores[target.database] = self.open_store(target)
            return store


def _refuse_at_the_end(target: Target) -> Store:
    raise DatabaseRefusedError(
        f"Something connects to {target} after the last test.",
        why="The private database in its place is gone by then; the real one is not for tests.",
        fix="Stop what connects, a task or a pool of the app's, when its lifespan ends.",
    )


@contextmanager
def diverted_to(store: Store) -> Generator[None]:
    """Let what the block connects to, in the place of the store's target, be this store."""
    token = _diversions.set((store, *_diversions.get()))
    try:
        yield
    finally:
        _diversions.reset(token)


@contextmanager
def building(store: Store) -> Generator[None]:
    """Let whatever the block connects to, of the store's kind, be this store."""
    token = _building.set(store)
    try:
        yield
    finally:
        _building.reset(token)


def current(store: Store) -> Store:
    """Return the store that the calling code's connections reach in the place of `store`."""
    for diversion in _diversions.get():
        if diversion.target.database == store.target.database:
            return diversion
    return store


@contextmanager
def connecting_directly() -> Generator[None]:
    """Let what the block connects to be what it says: for our own work on a store.

    Such connections are none of the app's: nobody records their statements.
    """
    token = _is_direct.set(True)
    try:
        yield
    finally:
        _is_direct.reset(token)


def is_connecting_directly() -> bool:
    """Tell whether the caller is inside of `connecting_directly`."""
    return _is_direct.get()
