"""aiosqlite: let its threads connect, and execute, on behalf of the code that asked them to.

Each connection has a thread, and that thread calls sqlite3. Whom its work belongs to is told by
the context of the code that gives it work, which a thread does not have by itself.
"""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import suppress
from contextvars import Context, copy_context
from functools import wraps
from typing import TYPE_CHECKING, Any

import aiosqlite

from pytest_asgi.adapters.askers import find_asker, remember_asker
from pytest_asgi.adapters.replacements import Replacements
from pytest_asgi.database.statements import is_recording, place_of_caller, sent_from

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pytest_asgi.database.redirect import Redirect

# What a connection may do wherever it leads.
_ENDINGS = frozenset({"close", "interrupt", "rollback"})

_CLOSE_SECONDS = 1.0  # for what the thread still has to do; it is in the user's way only if stuck


def install(redirect: Redirect) -> Callable[[], None]:
    """Give the threads their context; return what puts aiosqlite back."""
    handle = _Handle()

    def connecting(original: Callable[[Any], Awaitable[Any]]) -> Callable[..., Any]:
        @wraps(original)
        async def connect(self: Any) -> Any:
            if not redirect.is_on or self._connection is not None:
                return await original(self)
            context, connector = _context(), self._connector
            context.run(remember_asker, find_asker())
            self._connector = lambda: context.run(connector)
            connected = await original(self)
            lead = getattr(self._connection, "lead", None)
            if lead is not None:
                lead.register(redirect, self, handle, loop=asyncio.get_running_loop())
            return connected

        return connect

    def executing(original: Callable[..., Awaitable[Any]]) -> Callable[..., Any]:
        @wraps(original)
        def execute(self: Any, function: Any, *args: Any, **options: Any) -> Awaitable[Any]:
            if getattr(function, "__name__", "") not in _ENDINGS:
                redirect.check(self)
            if not is_recording():
                return original(self, function, *args, **options)
            return original(self, _context().run, function, *args, **options)

        return execute

    replacements = Replacements()
    replacements.wrap(aiosqlite.Connection, "_connect", connecting)
    replacements.wrap(aiosqlite.Connection, "_execute", executing)
    return replacements.undo


def _context() -> Context:
    with sent_from(place_of_caller()):
        return copy_context()


class _Handle:
    """What can be asked of a connection of aiosqlite."""

    driver = "aiosqlite"

    def is_closed(self, connected: Any) -> bool:
        """Tell whether nothing can be sent any more."""
        return connected._connection is None or not connected._running

    def is_in_transaction(self, connected: Any) -> bool:
        """Tell whether a transaction is open."""
        try:
            return bool(connected._connection.in_transaction)
        except sqlite3.ProgrammingError:  # its thread is closing it just now
            return False

    def close(self, connected: Any) -> None:
        """Close it and end its thread, which tells the loop so: it must not be closed before."""
        with suppress(AttributeError):  # older versions cannot without being waited for
            connected.stop()
            connected._thread.join(_CLOSE_SECONDS)
