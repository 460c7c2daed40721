"""The databases on a server that are ours: made, copied and dropped, and known by a mark.

Only a database with our comment on it is ever dropped. Who uses one holds an advisory lock of its
name, which ends with the connection that holds it: so what a run left behind that was killed is
known, and swept by the next one, wherever that one runs.
"""

from __future__ import annotations

import os
import re
import secrets
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from psycopg import sql

from pytest_asgi.adapters.postgres.connection import Connection
from pytest_asgi.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Generator

    from pytest_asgi.adapters.postgres.connection import Place

_COMMENT = "made by pytest-asgi for tests"
_KEPT = f"{_COMMENT}, kept for later runs"
_LONGEST = 63
_HAS_STRATEGIES = 150000
_CLASS = 1885565556  # of our advisory locks: one number that others will hardly choose
_BUILDING = _CLASS + 1


class Databases:
    """Our databases on one server.

    Args:
        place: The server, and who we are there.
        connection: A connection to the database there in which all runs hold their locks.
        is_fast: Whether the server was started by us and so writes nothing to a disk.
    """

    def __init__(self, place: Place, connection: Connection, *, is_fast: bool) -> None:
        self.place = place
        self._connection = connection
        self._lock = threading.RLock()
        has_strategies = self._connection.version >= _HAS_STRATEGIES
        # Copying files waits for a checkpoint, which costs nothing without a disk.
        self._strategy = " strategy file_copy" if is_fast and has_strategies else ""
        rows = self.run(
            "select rolsuper, rolsuper or rolcreatedb from pg_roles where rolname = current_user"
        )
        self.is_superuser: bool = rows[0][0]
        if not rows[0][1]:
            connection.close()
            raise _may_not_create(place)

    def connect(self, name: str) -> Connection:
        """Return a connection of ours to a database."""
        return Connection(self.place, name)

    def run(self, statement: str | sql.Composed, *parameters: object) -> list[tuple[Any, ...]]:
        """Run a statement that concerns the server, and return its rows."""
        with self._lock:
            return self._connection.run(statement, parameters)

    def new_name(self, base: str) -> str:
        """Return a name that no other database has."""
        return name_database(base, f"pytest_{os.getpid()}_{secrets.token_hex(3)}")

    def create(self, name: str, *, template: str = "template1") -> None:
        """Make a database, by copying another one, to be used until it is dropped."""
        with self._lock:
            self._hold(name)
            statement = sql.SQL("create database {} template {}" + self._strategy)
            self.run(statement.format(sql.Identifier(name), sql.Identifier(template)))
            self._comment(name, _COMMENT)

    def drop(self, name: str) -> None:
        """Drop a database of ours, whoever is connected to it."""
        with self._lock:
            if self._is_ours(name):
                statement = sql.SQL("drop database if exists {} with (force)")
                self.run(statement.format(sql.Identifier(name)))
            self._release(name)

    def disconnect(self, name: str) -> None:
        """End all connections to a database."""
        with self._lock:
            self.run(
                "select pg_terminate_backend(pid, 1000) from pg_stat_activity where datname = %s"
                " and pid <> pg_backend_pid()",
                name,
            )

    def is_in_use(self, name: str) -> bool:
        """Tell whether anybody is connected to a database."""
        with self._lock:
            return bool(self.run("select 1 from pg_stat_activity where datname = %s", name))

    def sweep(self) -> None:
        """Drop what runs have left behind that are over."""
        with self._lock:
            for (name,) in self.run(
                "select datname from pg_database where pg_has_role(datdba, 'usage')"
                " and shobj_description(oid, 'pg_database') = %s",
                _COMMENT,
            ):
                if self._try_to_own(name):
                    self.drop(name)

    # --- templates ------------------------------------------------------------------------------

    @contextmanager
    def building(self, name: str) -> Generator[None]:
        """Let nobody else build the template of this name meanwhile."""
        with self._lock:
            self.run("select pg_advisory_lock(%s, hashtext(%s))", _BUILDING, name)
            try:
                yield
            finally:
                self.run("select pg_advisory_unlock(%s, hashtext(%s))", _BUILDING, name)

    def use_template(self, name: str) -> bool:
        """Use a template until it is released; tell whether there is one of this name."""
        with self._lock:
            self._hold(name)
            is_there = self._is_ours(name)
            if not is_there:
                self._release(name)
            return is_there

    def finish_template(self, unfinished: str, name: str, *, keep: bool) -> None:
        """Give a database that was built the name that others look for, and use it."""
        with self._lock:
            self._hold(name)
            self.disconnect(unfinished)
            statement = sql.SQL("alter database {} rename to {}")
            self.run(statement.format(sql.Identifier(unfinished), sql.Identifier(name)))
            self._release(unfinished)
            if keep:
                self._comment(name, _KEPT)
                self._drop_outdated(name)

    def release_template(self, name: str) -> None:
        """Use a template no longer; the last one to say so drops it, unless it is kept."""
        with self._lock:
            self._release(name)
            if self._comment_of(name) == _COMMENT and self._try_to_own(name):
                self.drop(name)

    def _drop_outdated(self, name: str) -> None:
        """Drop the templates that were kept for the same app and that nobody uses."""
        base = name.rpartition("_")[0]
        for (other,) in self.run(
            "select datname from pg_database where datname <> %s and starts_with(datname, %s)"
            " and shobj_description(oid, 'pg_database') = %s",
            name,
            f"{base}_",
            _KEPT,
        ):
            if self._try_to_own(other):
                self.drop(other)

    def close(self) -> None:
        """Hang up; the server knows then that nothing is used any more."""
        self._connection.close()

    # --- statements -----------------------------------------------------------------------------

    def _hold(self, name: str) -> None:
        self.run("select pg_advisory_lock_shared(%s, hashtext(%s))", _CLASS, name)

    def _release(self, name: str) -> None:
        self.run("select pg_advisory_unlock_shared(%s, hashtext(%s))", _CLASS, name)

    def _try_to_own(self, name: str) -> bool:
        """Use a database, and tell whether nobody else does."""
        if not self.run("select pg_try_advisory_lock(%s, hashtext(%s))", _CLASS, name)[0][0]:
            return False
        self._hold(name)
        self.run("select pg_advisory_unlock(%s, hashtext(%s))", _CLASS, name)
        return True

    def _is_ours(self, name: str) -> bool:
        return self._comment_of(name) in {_COMMENT, _KEPT}

    def _comment_of(self, name: str) -> str | None:
        rows = self.run(
            "select shobj_description(oid, 'pg_database') from pg_database where datname = %s",
            name,
        )
        return rows[0][0] if rows else None

    def _comment(self, name: str, comment: str) -> None:
        statement = sql.SQL("comment on database {} is {}")
        self.run(statement.format(sql.Identifier(name), sql.Literal(comment)))


def name_database(base: str, suffix: str) -> str:
    """Return a database's name that begins with `base` and is short enough."""
    suffix = f"_{suffix}"
    words = re.sub(r"[^a-z0-9_]+", "_", base.lower()).strip("_") or "app"
    return words[: _LONGEST - len(suffix)] + suffix


def _may_not_create(place: Place) -> DatabaseError:
    return DatabaseError(
        f"The user {place.user!r} may not create databases on {place.host}.",
        why="Tests never run in a database that they did not make: each run makes its own.",
        fix=f'Grant it:\n\n    ALTER ROLE "{place.user}" CREATEDB\n\nor leave the server out of'
        " `asgi_database`; the tests start one then.",
    )
