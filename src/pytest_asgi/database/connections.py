"""Every connection that a redirected driver has opened: where it leads, and who holds it.

Nothing here knows a driver; each brings a `Handle`. Every run of pytest loads this module.
"""

from __future__ import annotations

import threading
from contextvars import ContextVar
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from weakref import WeakKeyDictionary, WeakSet, ref

from pytest_asgi.errors import IsolationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pytest_asgi.database.stores import Store
    from pytest_asgi.database.targets import Target

Place = tuple[str, int, str]
"""File, line and function."""

# What a test opens and takes carries this, in its tasks and threads too; what the app's own
# background work does in between does not.
_owner: ContextVar[object | None] = ContextVar("pytest_asgi_connection_owner", default=None)


class Handle(Protocol):
    """What can be asked of, and done to, the connections of one driver."""

    @property
    def driver(self) -> str:
        """The package's name."""

    def is_closed(self, connection: Any) -> bool:
        """Tell whether nothing can be sent any more."""

    def is_in_transaction(self, connection: Any) -> bool:
        """Tell whether a transaction is open."""

    def close(self, connection: Any) -> None:
        """Close it at once and quietly, without waiting for the server."""


class _Pool(NamedTuple):
    close: Callable[[Any], Any]
    loop: Any


class OpenConnection:
    """One connection.

    Attributes:
        number: What events call it.
        target: What the app asked for.
        store: What it leads to instead; `None` if it leads to the target itself.
        opened_at: The line of the user's own code that opened it.
        loop: The event loop that it is bound to, if it is to one.
        taken_at: The line that has taken it from its pool; `None` while it lies there.
        is_pooled: Whether it belongs to a pool that tells when it is taken and given back.
        is_over: Whether its store is gone.
        owner: Whose it is: of the test in whose context it was opened or taken, if of one.
    """

    def __init__(
        self,
        number: int,
        connection: Any,
        handle: Handle,
        target: Target,
        *,
        store: Store | None,
        address: Mapping[str, Any] | None,
        opened_at: Place | None,
        loop: Any,
    ) -> None:
        self.number = number
        self.target = target
        self.store = store
        self.opened_at = opened_at
        self.loop = loop
        self.taken_at: Place | None = None
        self.is_pooled = False
        self.is_over = False
        self.is_taken = False
        self.owner = _owner.get()
        self._reference = ref(connection)
        self._handle = handle
        self._address = address

    @property
    def driver(self) -> str:
        """The package that opened it."""
        return self._handle.driver

    @property
    def is_closed(self) -> bool:
        """Whether nothing can be sent any more."""
        connection = self._reference()
        return connection is None or self._handle.is_closed(connection)

    @property
    def is_in_transaction(self) -> bool:
        """Whether a transaction is open."""
        connection = self._reference()
        return (
            connection is not None
            and not self._handle.is_closed(connection)
            and self._handle.is_in_transaction(connection)
        )

    @property
    def is_stale(self) -> bool:
        """Whether its store is gone, or has moved to another database since."""
        if self.store is None:
            return False
        return self.is_over or self.store.address != self._address

    @property
    def is_held(self) -> bool:
        """Whether somebody has it in use: it is taken from a pool, or in a transaction."""
        return not self.is_closed and (self.is_taken or self.is_in_transaction)

    @property
    def held_at(self) -> Place | None:
        """The line of the user's own code that has it in use, as far as that is known."""
        return self.taken_at or self.opened_at

    @property
    def is_upkeep(self) -> bool:
        """Whether its pool has it just now, and what is executed is the pool's own."""
        return self.is_pooled and not self.is_taken

    def take(self, place: Place | None) -> None:
        """Be told that somebody has taken it from its pool."""
        self.is_pooled = self.is_taken = True
        self.taken_at = place
        self.owner = _owner.get()

    def give_back(self) -> None:
        """Be told that it lies in its pool."""
        self.is_pooled = True
        self.is_taken = False
        self.taken_at = None

    def close(self) -> None:
        """Close it at once and quietly."""
        connection = self._reference()
        if connection is not None and not self._handle.is_closed(connection):
            self._handle.close(connection)


class Connections:
    """The connections that are open, and the pools that they belong to."""

    def __init__(self) -> None:
        self._open: WeakKeyDictionary[Any, OpenConnection] = WeakKeyDictionary()
        self._own: WeakSet[Any] = WeakSet()
        self._pools: WeakKeyDictionary[Any, _Pool] = WeakKeyDictionary()
        self._numbers = count(1)
        self._changing = threading.Lock()  # connections are opened in any thread

    def add_own(self, connection: Any) -> None:
        """Be told of a connection that is for our own work on a store."""
        with self._changing:
            self._own.add(connection)

    def is_own(self, connection: Any) -> bool:
        """Tell whether a connection is for our own work on a store."""
        with self._changing:
            return connection in self._own

    def __iter__(self) -> Iterator[OpenConnection]:
        """Yield those that are open, in the order of their opening."""
        with self._changing:
            connections = list(self._open.values())
        return iter(each for each in connections if not each.is_closed)

    def add(
        self,
        connection: Any,
        handle: Handle,
        *,
        target: Target,
        store: Store | None,
        address: Mapping[str, Any] | None,
        place: Place | None,
        loop: Any,
    ) -> OpenConnection:
        """Be told of a new one; `address` is where the store was when it was asked."""
        opened = OpenConnection(
            next(self._numbers),
            connection,
            handle,
            target,
            store=store,
            address=address,
            opened_at=place,
            loop=loop,
        )
        with self._changing:
            self._open[connection] = opened
        return opened

    def get(self, connection: Any) -> OpenConnection | None:
        """Return what is known of a driver's connection."""
        try:
            return self._open.get(connection)
        except TypeError:  # not every driver's connections can be referred to weakly
            return None

    def end_of(self, store: Store) -> None:
        """Be told that a store is about to be closed, and close what leads there."""
        for each in self:
            if each.store is store:
                each.is_over = True
                each.close()

    def close_stale(self) -> None:
        """Close those whose database is not the store's any more; pools open others by themselves.

        What an app holds for long without a pool cannot be replaced for it; so that nobody wonders
        why it is closed, `explain_closed` tells.
        """
        for each in self:
            if each.is_stale:
                each.close()

    def explain_closed(self, connection: Any) -> None:
        """Be told that the app uses what is closed.

        Raises:
            IsolationError: It was closed because its store has moved to another database.
        """
        opened = self.get(connection)
        if opened is not None and opened.is_stale:
            raise moved(opened)

    # --- around a test --------------------------------------------------------------------------

    def begin_test(self) -> None:
        """Take what the calling code's context opens and takes from now on for a test's own."""
        _owner.set(object())

    def accept_held(self) -> None:
        """Take what is in use now for what is meant to be, as by a fixture of a wider scope."""
        for each in self:
            if each.is_held:
                each.owner = None

    def left_behind(self) -> list[OpenConnection]:
        """Return what the test of the calling code's context still has in use."""
        owner = _owner.get()
        return [each for each in self if each.is_held and each.owner is owner is not None]

    # --- in the end -----------------------------------------------------------------------------

    def add_pool(self, pool: Any, close: Callable[[Any], Any], *, loop: Any) -> None:
        """Be told of a pool that would open other connections in the place of those it loses.

        Args:
            pool: The pool, or a part of it that lives as long.
            close: Closes it, given `pool`; what it returns is awaited if that is possible.
            loop: The event loop that the pool is bound to, if it is to one.
        """
        with self._changing:
            self._pools[pool] = _Pool(close, loop)

    def close_pools_of(self, loop: Any) -> list[Any]:
        """Close the pools that are bound to `loop`, or to none; return what is to be awaited."""
        with self._changing:
            pools = list(self._pools.items())
        return [how.close(pool) for pool, how in pools if how.loop is loop]

    def close_of(self, loop: Any) -> None:
        """Close those that are bound to `loop`, which must be open; `None`: to no loop.

        The loop has to go on for a moment, so that the sockets are closed as well.
        """
        for each in self:
            if each.loop is loop:
                each.close()

    def has_any_of(self, loop: Any) -> bool:
        """Tell whether a connection or a pool is bound to `loop`."""
        with self._changing:
            pools = list(self._pools.values())
        return any(each.loop is loop for each in (*self, *pools))


_LET_A_POOL_DO_IT = (
    "Open the connection in the test, in a fixture of the test's scope, or let a pool do it"
    " (`asyncpg.create_pool`, `psycopg_pool`, SQLAlchemy's engine)."
)


def describe(place: Place | None) -> str:
    """Return a place as an editor can open it."""
    if place is None:
        return "a line that is not the project's own"
    file, line, function = place
    return f"{file}:{line} in {function}"


def moved(opened: OpenConnection) -> IsolationError:
    """Return the error of a connection to a database that is not the store's any more."""
    return IsolationError(
        f"A connection of {opened.driver} to {opened.target} was opened for an earlier test, and"
        f" the database is another one now. It was opened at {describe(opened.opened_at)}.",
        why="A test changed the schema, or had a database of its own, so the tests after it got a"
        " fresh one. Pools connect anew by themselves; a connection without a pool cannot.",
        fix=_LET_A_POOL_DO_IT,
    )


def leads_elsewhere(opened: OpenConnection) -> IsolationError:
    """Return the error of a connection to another database than the test's own."""
    return IsolationError(
        f"A connection of {opened.driver} to {opened.target} leads to the database that tests"
        " share, and this test has one of its own. It was opened at"
        f" {describe(opened.opened_at)}.",
        why="It was opened before the test, or by another one. Pools connect anew by themselves; a"
        " connection without a pool, or one that is held for long, cannot.",
        fix=_LET_A_POOL_DO_IT,
    )
