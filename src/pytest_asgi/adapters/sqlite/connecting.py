"""Redirect the connections of sqlite3 to private databases.

All libraries connect with `sqlite3.connect` in the end, most of them by that name at the moment
they connect. `sqlite3.Connection` called directly is not redirected: a class cannot be replaced
without becoming another one. Nor is what a statement names, as `ATTACH` does.
"""

from __future__ import annotations

import sqlite3
from functools import wraps
from typing import TYPE_CHECKING, Any, cast

from pytest_asgi.adapters.connecting import find_store
from pytest_asgi.adapters.replacements import Replacements
from pytest_asgi.adapters.sqlite.addresses import read_address
from pytest_asgi.adapters.sqlite.askers import asks_for_another_thread, find_asker
from pytest_asgi.adapters.sqlite.connections import AppConnection, Handle, Lead
from pytest_asgi.adapters.sqlite.exemptions import is_left_alone
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
    return replacements.undo


def find_private(redirect: Redirect, name: str) -> SqliteStore | None:
    """Return the store that stands in for a database, if any does."""
    if is_left_alone(redirect, name, find_asker()):
        return None
    # Only our opener makes stores of this kind.
    return cast("SqliteStore | None", find_store(redirect, Target("sqlite", name)))


def _redirecting(original: Callable[..., Any], redirect: Redirect) -> Callable[..., Any]:
    @wraps(original)
    def connect(database: Any, *args: Any, **options: Any) -> Any:
        if not redirect.is_on or is_connecting_directly() or len(args) > len(_POSITIONAL):
            return original(database, *args, **options)
        named = dict(zip(_POSITIONAL, args, strict=False)) | options
        address = read_address(database, is_uri=bool(named.get("uri")))
        store = find_private(redirect, address.name)
        if store is None:
            return original(database, *args, **options)
        named.setdefault("factory", AppConnection)
        named["uri"] = True
        if asks_for_another_thread():
            # That one gives it work; a transaction may have to be ended from outside of it.
            named["check_same_thread"] = False

        def open_at(uri: str) -> sqlite3.Connection:
            uri = f"{uri}{'&' if '?' in uri else '?'}{address.options}".rstrip("?&")
            return cast("sqlite3.Connection", original(uri, **named))

        lead = Lead(Target("sqlite", address.name), store)
        connection = store.connect(open_at, lead)
        if not asks_for_another_thread():  # else that one does, with what the app has of it
            lead.register(redirect, connection, _HANDLE)
        return connection

    return connect
