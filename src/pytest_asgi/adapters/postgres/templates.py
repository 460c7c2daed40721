"""Databases that private ones are copied from: with the schema, and with what tracks changes."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from pytest_asgi.adapters.postgres.databases import name_database

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_asgi.adapters.postgres.connection import Connection
    from pytest_asgi.adapters.postgres.databases import Databases

_SETTINGS = {
    # What tracks changes tracks none of what these connections do.
    "pytest_asgi.is_silent": "on",
    # As the triggers of tracking.sql write the images of rows.
    "datestyle": "ISO",
    "intervalstyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "xmloption": "content",
    "lock_timeout": "500ms",
    # Plans are made once, when the log is short, and kept.
    "plan_cache_mode": "force_generic_plan",
    "enable_nestloop": "off",
}
# No trigger, no rule and no foreign key gets in between: the rows were right before. For the whole
# connection, because PostgreSQL forgets its plans whenever this changes.
_UNDOING = {"session_replication_role": "replica"}
_HAS_GRANTS = 150000  # of parameters, to users who are no superusers


class Template:
    """A database that nobody is connected to, ready to be copied.

    Args:
        databases: Our databases on the server.
        name: Its name.
        base: What its copies are named after.
        user: Whom the app connects as.
    """

    def __init__(self, databases: Databases, name: str, base: str, user: str) -> None:
        self.name = name
        self._databases = databases
        self._base = base
        self._user = user

    @property
    def has_event_triggers(self) -> bool:
        """Whether a change of the schema is noticed by the server itself."""
        return self._databases.is_superuser

    @property
    def is_near(self) -> bool:
        """Whether the server is on this machine, and answers sooner than a thread begins."""
        return self._databases.place.is_near

    def copy(self) -> str:
        """Make a copy and return its name."""
        name = self._databases.new_name(self._base)
        self._databases.create(name, template=self.name)
        return name

    def connect(self, name: str) -> Connection:
        """Return a connection to a copy, to look into it and to write to it."""
        return self._databases.connect(name)

    def connect_to_undo(self, name: str) -> Connection:
        """Return a connection to a copy that puts it back."""
        return connect_to_undo(self._databases, name)

    def drop(self, name: str) -> None:
        """Drop a copy."""
        self._databases.drop(name)

    def is_in_use(self, name: str) -> bool:
        """Tell whether anybody is connected to a copy."""
        return self._databases.is_in_use(name)

    def address_of(self, name: str) -> Mapping[str, Any]:
        """Return where a copy is, in the words of the drivers."""
        place = self._databases.place
        return {
            "host": place.host,
            "port": place.port,
            "user": self._user,
            "password": place.password,
            "dbname": name,
        }


def install_tracking(databases: Databases, name: str) -> None:
    """Let a database keep what it takes to be put back."""
    connection = connect_to_undo(databases, name)
    connection.run(_read("tracking.sql"))
    connection.run(_read("undoing.sql"))
    if databases.is_superuser:
        connection.run(_read("schema_changes.sql"))
    connection.close()


def connect_to_undo(databases: Databases, name: str) -> Connection:
    """Return a connection that is not tracked, and that skips triggers if it may."""
    connection = databases.connect(name)
    may_undo = databases.is_superuser or _may_skip_triggers(connection)
    connection.set(_SETTINGS | (_UNDOING if may_undo else {}))
    return connection


def _may_skip_triggers(connection: Connection) -> bool:
    """Tell whether a user who is no superuser was granted to do so."""
    if connection.version < _HAS_GRANTS:
        return False
    rows = connection.run("select has_parameter_privilege('session_replication_role', 'set')")
    return bool(rows[0][0])


def name_template(base: str, key: str) -> str:
    """Return the name of the template that a digest of the schema belongs to.

    What we install ourselves is part of the schema.
    """
    ours = "".join(map(_read, ("tracking.sql", "undoing.sql", "schema_changes.sql")))
    digest = hashlib.sha256(f"{ours}{key}".encode()).hexdigest()
    return name_database(base, f"pytest_template_{digest[:12]}")


def _read(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
