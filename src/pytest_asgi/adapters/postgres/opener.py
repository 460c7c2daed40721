"""Open private databases on a PostgreSQL server: on a named one, or on one of our own."""

from __future__ import annotations

import secrets
from contextlib import suppress
from typing import TYPE_CHECKING

from psycopg import errors, sql

from pytest_asgi import events
from pytest_asgi.adapters.postgres.binaries import find_binaries
from pytest_asgi.adapters.postgres.cluster import SUPERUSER, socket_folder, start_cluster
from pytest_asgi.adapters.postgres.connection import Connection, Place
from pytest_asgi.adapters.postgres.databases import Databases
from pytest_asgi.adapters.postgres.store import PostgresStore
from pytest_asgi.adapters.postgres.templates import Template, install_tracking, name_template
from pytest_asgi.errors import DatabaseError

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_asgi.database.servers import Server
    from pytest_asgi.database.stores import Build
    from pytest_asgi.database.targets import Target

_PORT = 5432


class PostgresOpener:
    """Opens stores on one server, which is found or started with the first one.

    Args:
        url: The server that the project has named; `None` to start one.
        keep: Whether templates on a named server are kept for later runs.
        binaries: The programs of the server to start; those that are found when left out.
    """

    def __init__(
        self, url: str | None, *, keep: bool = False, binaries: Path | None = None
    ) -> None:
        self._url = url
        self._keep = keep and url is not None
        self._binaries = binaries
        self._server: Server | None = None
        self._databases: Databases | None = None
        self._templates: list[str] = []

    def open(self, target: Target, *, build: Build | None, key: str | None) -> PostgresStore:
        """Return a new store for `target`, with the schema that `build` makes."""
        databases = self._reach()
        user = databases.place.user
        if self._url is None and target.user:
            user = target.user
            _make_role(databases, user)
        base = target.name or "app"
        if build is None:
            key = ""
        template = Template(databases, self._template(target, base, user, build, key), base, user)
        return PostgresStore(target, template, template.copy())

    def close(self) -> None:
        """Drop the templates that are not kept, and let go of the server."""
        if self._databases is not None:
            while self._templates:
                self._databases.release_template(self._templates.pop())
            self._databases.close()
            self._databases = None
        if self._server is not None:
            self._server.close()
            self._server = None

    # --- the server -----------------------------------------------------------------------------

    def _reach(self) -> Databases:
        if self._databases is None:
            if self._url is not None:
                self._databases = _reach_named(self._url)
                self._databases.sweep()
            else:
                self._server = start_cluster(self._binaries or find_binaries())
                place = Place(str(socket_folder(self._server)), _PORT, SUPERUSER)
                self._databases = Databases(place, Connection(place, "postgres"), is_fast=True)
        return self._databases

    # --- templates ------------------------------------------------------------------------------

    def _template(
        self, target: Target, base: str, user: str, build: Build | None, key: str | None
    ) -> str:
        """Return the name of a template with this schema; build it if nobody has."""
        databases = self._reach()
        # Without a key nobody else can know that it is the same.
        key_or_none = secrets.token_hex() if key is None else key
        name = name_template(base, f"{databases.place.user} {key_or_none}")
        if name in self._templates:
            return name
        with databases.building(name):
            if not databases.use_template(name):
                unfinished = Template(databases, databases.new_name(base), base, user)
                self._build(target, unfinished, build)
                databases.finish_template(unfinished.name, name, keep=self._keep and bool(key))
        self._templates.append(name)
        return name

    def _build(self, target: Target, template: Template, build: Build | None) -> None:
        databases = self._reach()
        databases.create(template.name)
        store = PostgresStore(target, template, template.name)
        try:
            if build is not None:
                with events.unheard():  # these statements are not the test's that needs it first
                    build(store)
            install_tracking(databases, template.name)
        except BaseException:
            databases.drop(template.name)
            raise
        finally:
            store.disconnect()


def _reach_named(url: str) -> Databases:
    """Connect to a named server, in the database that every server has, else in the named one."""
    place = Place.of(url)
    name = url.partition("?")[0].partition("://")[2].partition("/")[2]
    try:
        connection = Connection(place, "postgres")
    except DatabaseError:
        if not name:
            raise
        connection = Connection(place, name)
    return Databases(place, connection, is_fast=False)


def _make_role(databases: Databases, user: str) -> None:
    """Let the app connect as whom it says; it may do everything in a server of our own."""
    statement = sql.SQL("create role {} superuser login").format(sql.Identifier(user))
    with suppress(errors.DuplicateObject, errors.UniqueViolation):
        databases.run(statement)
