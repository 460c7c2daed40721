"""Redirect the connections of sqlite3 to private databases.

All libraries connect with `sqlite3.connect` in the end, most of them by that name at the moment
they connect. `sqlite3.Connection` called directly is refused: a class cannot be replaced without
becoming another one.
"""

from __future__ import annotations

import os
import sqlite3
from functools import wraps
from typing import TYPE_CHECKING, Any, cast

from pytest_asgi.adapters.askers import asks_for_another_thread, find_asker
from pytest_asgi.adapters.connecting import find_store
from pytest_asgi.adapters.replacements import Replacements
from pytest_asgi.adapters.sqlite import guard
from pytest_asgi.adapters.sqlite.addresses import lead_to, read_address
from pytest_asgi.adapters.sqlite.attaching import Attaching
from pytest_asgi.adapters.sqlite.connections import AppConnection, Handle, Lead
from pytest_asgi.adapters.sqlite.exemptions import is_left_alone, is_of_a_tool
from pytest_asgi.database.redirect import is_connecting_directly
from pytest_asgi.database.targets import Target

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_asgi.adapters.sqlite.store import SqliteStore
    from pytest_asgi.database.redirect import Redirect

# The parameters that may be given by position.
_POSITIONAL = (
    "timeout",
    "detect_types",
    "isolation_level",
    "check_same_thread",
    "factory",
    "cached_statements",
    "uri",
)

_HANDLE = Handle()


def install(redirect: Redirect) -> Callable[[], None]:
    """Let sqlite3 ask `redirect` where to connect; return what puts it back."""
    redirected = _redirecting(sqlite3.connect, redirect)
    replacements = Replacements()
    for module in (sqlite3, sqlite3.dbapi2):
        replacements.wrap(module, "connect", lambda _: redirected)
    let_pass = guard.install(redirect)

    def uninstall() -> None:
        let_pass()
        replacements.undo()

    return uninstall


def find_private(redirect: Redirect, name: str) -> SqliteStore | None:
    """Return the store that stands in for a database, if any does."""
    if is_left_alone(redirect, name, find_asker()):
        return None
    # Only our opener makes stores of this kind.
    return cast("SqliteStore | None", find_store(redirect, Target("sqlite", name)))


def _attend(connection: Any, attaching: Attaching) -> Any:
    """Let a connection attach private databases only."""
    if isinstance(connection, AppConnection):
        connection.attaching = attaching
    else:
        attaching.forbid(connection)
    return connection


def _redirecting(original: Callable[..., Any], redirect: Redirect) -> Callable[..., Any]:
    @wraps(original)
    def connect(database: Any, *args: Any, **options: Any) -> Any:
        if not redirect.is_on or is_connecting_directly() or len(args) > len(_POSITIONAL):
            return original(database, *args, **options)
        named = dict(zip(_POSITIONAL, args, strict=False)) | options
        address = read_address(database, is_uri=bool(named.get("uri")))
        asker = find_asker()
        if is_of_a_tool(address.name, asker):
            return original(database, *args, **options)
        store = find_private(redirect, address.name)
        attaching = Attaching(redirect, asker)
        named.setdefault("factory", AppConnection)
        # What it attaches is named by URIs. What looks like one and is none stays as it is.
        named["uri"] = bool(named.get("uri")) or not os.fsdecode(database).startswith("file:")
        if store is None:
            return _attend(original(database, **named), attaching)
        if asks_for_another_thread():
            # That one gives it work; a transaction may have to be ended from outside of it.
            named["check_same_thread"] = False

        def open_at(uri: str) -> sqlite3.Connection:
            opened = original(lead_to(uri, address), **named | {"uri": True})
            return cast("sqlite3.Connection", _attend(opened, attaching))

        lead = Lead(Target("sqlite", address.name), store)
        connection = store.connect(open_at, lead)
        if not asks_for_another_thread():  # else that one does, with what the app has of it
            lead.register(redirect, connection, _HANDLE)
        return connection

    return connect
