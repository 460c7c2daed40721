"""A store: the private database that stands in for one the app asked for.

Everything here is synchronous and bound to no event loop: a store is put back after synchronous
tests too, below any loop and in any thread. Adapters implement it, one for each kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from pytest_asgi.database.changes import Change
    from pytest_asgi.database.targets import Target

Row = Mapping[str, Any]
Mark = Any
"""A moment that a store can go back to; only the store that made it knows what it is."""


class Store(Protocol):
    """One private database."""

    @property
    def target(self) -> Target:
        """The database that this one stands in for."""

    @property
    def address(self) -> Mapping[str, Any]:
        """Where it is, in the words of the kind's drivers.

        PostgreSQL: `host`, `port`, `user`, `password`, `dbname`. SQLite: `uri`. MongoDB: `uri`,
        `name`. Redis: `unix_socket_path` or `host` and `port`, `db`. It is another one after the
        store had to move to a fresh database; connections to the old one are stale then.
        """

    def mark(self) -> Mark:
        """Return this moment, to come back to."""

    def restore(self, mark: Mark) -> None:
        """Put tables, sequences and schema back to what they were at `mark`.

        Marks nest: an older one stays good when a later one has been restored.
        """

    def changes(self, since: Mark) -> dict[str, list[Change]]:
        """Return the net effect since `mark`, committed so far: by table, in the order of writing.

        A table in the default schema goes by its name, another one by `schema.name`.
        """

    def fork(self) -> Store:
        """Return a new store for the same target that holds what this one holds now.

        Closing it does not touch this one.
        """

    def tables(self) -> list[str]:
        """Return the tables there are, or collections, or kinds of keys."""

    def select(self, table: str, where: Row, *, limit: int | None = None) -> list[dict[str, Any]]:
        """Return the rows of `table` whose columns equal those of `where`.

        Raises:
            DatabaseError: There is no such table or column; it names the similar ones.
        """

    def count(self, table: str, where: Row) -> int:
        """Return how many rows `select` would find."""

    def close(self) -> None:
        """Drop the private database and let go of everything that is held for it."""


class SqlStore(Store, Protocol):
    """A store that speaks SQL."""

    def fetch(self, statement: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """Run one statement in a transaction of its own and return its rows.

        Parameters are written as the kind's own drivers write them: `$1` and `%s` for PostgreSQL,
        `?` for SQLite.
        """

    def run_script(self, script: str) -> None:
        """Run several statements, as a file holds them."""

    def engine_url(self, *, asynchronous: bool) -> str:
        """Return a URL with which SQLAlchemy reaches the store.

        Such connections are not redirected again.
        """


class QuickStore(Store, Protocol):
    """A store that may tell what was written while the event loop waits for it.

    What it is asked at once must neither depend on the app's own progress, which would wait for
    the loop in turn, nor take long.
    """

    def moment_at_once(self) -> Mark:
        """Return this moment, for `changes` only.

        Raises:
            WouldWaitError: There may be something to wait for.
        """

    def changes_at_once(self, since: Mark) -> dict[str, list[Change]]:
        """Return what `changes` does, or raise the same."""


class WouldWaitError(Exception):
    """What was asked at once has to be asked in a thread."""


Build = Callable[[Any], None]
"""Makes the schema in a store that is empty."""


class Opener(Protocol):
    """Opens stores of one kind: finds or starts the server, and makes a private database."""

    def open(self, target: Target, *, build: Build | None, key: str | None) -> Store:
        """Return a new store for `target`, with the schema that `build` makes.

        Args:
            target: What the app asked for.
            build: Makes the schema in a store; `None` leaves the database empty.
            key: A digest of what the schema is made from. A database that was made with the same
                key, in this run or in an earlier one that was asked to keep it, is cloned instead
                of building it again. `None` if that cannot be known.

        Raises:
            MissingExtraError: There is no server and no package that brings one.
            DatabaseError: The server does not start or does not answer.
        """

    def close(self) -> None:
        """Stop what was started. Stores are closed before."""
