"""Refuse what is connected past `sqlite3.connect`: it would reach the app's own file.

That is `sqlite3.Connection` called directly, a class of it, and a `connect` that was imported
before the plugin was loaded. Python tells of each of them, by an audit event.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from pytest_asgi.adapters.askers import find_asker
from pytest_asgi.adapters.sqlite.addresses import read_address
from pytest_asgi.adapters.sqlite.exemptions import is_left_alone
from pytest_asgi.database.connections import describe
from pytest_asgi.database.statements import place_of_caller
from pytest_asgi.database.targets import Target
from pytest_asgi.errors import DatabaseRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_asgi.database.redirect import Redirect


class _Guard:
    """Hears of every connection. There is one, for Python never lets go of who listens."""

    def __init__(self) -> None:
        self.redirects: list[Redirect] = []
        self._is_listening = False

    def listen(self) -> None:
        if not self._is_listening:
            self._is_listening = True
            sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "sqlite3.connect" and self.redirects:
            _check(self.redirects[-1], arguments[0])


_GUARD = _Guard()


def install(redirect: Redirect) -> Callable[[], None]:
    """Refuse what does not ask `redirect`; return what ends that."""
    _GUARD.listen()
    _GUARD.redirects.append(redirect)
    return lambda: _GUARD.redirects.remove(redirect)


def _check(redirect: Redirect, database: Any) -> None:
    """Let pass what may be opened as it is named, which is all that our own `connect` opens."""
    if not redirect.is_on:
        return
    name = read_address(database, is_uri=True).name
    if name in ("", ":memory:") or is_left_alone(redirect, name, find_asker()):
        return
    target = Target("sqlite", name)
    if not redirect.allows(target):
        raise _passes_by(target)


def _passes_by(target: Target) -> DatabaseRefusedError:
    return DatabaseRefusedError(
        f"{target} was about to be opened past `sqlite3.connect`, at"
        f" {describe(place_of_caller())}. The file was not opened.",
        why="Tests reach private databases only, and `sqlite3.connect` leads there. A class that"
        " is called directly cannot, nor can a function that was imported before the plugin was.",
        fix="Call `sqlite3.connect(…)`, with `factory=` for a class of your own. If tests may"
        " really reach this file, allow it in pyproject.toml:\n\n"
        "    [tool.pytest.ini_options]\n"
        f'    asgi_database_allow = "{target}"',
    )
