"""`ATTACH`: the file that a statement names becomes a private database too."""

from __future__ import annotations

import re
import sqlite3
import warnings
from collections.abc import Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any, cast

from pytest_asgi.adapters.connecting import find_store
from pytest_asgi.adapters.sqlite.addresses import lead_to, read_address
from pytest_asgi.adapters.sqlite.connections import Handle, Lead
from pytest_asgi.adapters.sqlite.exemptions import is_left_alone
from pytest_asgi.database.connections import describe
from pytest_asgi.database.statements import place_of_caller
from pytest_asgi.database.targets import Target
from pytest_asgi.errors import AsgiWarning, DatabaseRefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_asgi.adapters.sqlite.connections import AppConnection
    from pytest_asgi.adapters.sqlite.store import SqliteStore
    from pytest_asgi.database.redirect import Redirect

_SPACE = r"(?:\s+|--[^\n]*\n|/\*.*?\*/)*"
_ATTACH = re.compile(rf"{_SPACE}ATTACH\b(?:{_SPACE}DATABASE\b)?", re.IGNORECASE | re.DOTALL)
_AS = re.compile(r"\bAS\b", re.IGNORECASE)
_IN_SCRIPT = re.compile(r"\bATTACH\b", re.IGNORECASE)
_NAME = re.compile(r'\s*(?:"((?:[^"]|"")+)"|([A-Za-z_]\w*))\s*')  # a text, where a file is named
_NOWHERE = ("", ":memory:")


class Attaching:
    """Leads what one connection attaches to private databases.

    Args:
        redirect: Knows where.
        asker: The package that has opened the connection.
    """

    def __init__(self, redirect: Redirect, asker: str) -> None:
        self._redirect = redirect
        self._asker = asker

    def is_meant(self, sql: Any, *, in_script: bool = False) -> bool:
        """Tell whether a statement attaches a database, or whether a script may."""
        return isinstance(sql, str) and bool(
            _IN_SCRIPT.search(sql) if in_script else _ATTACH.match(sql)
        )

    def lead(self, sql: str, parameters: Any = ()) -> tuple[str, Any, list[SqliteStore]]:
        """Return a statement as it is to be executed, and the databases that it attaches then."""
        begin = _ATTACH.match(sql)
        if begin is None:
            return sql, parameters, []
        given = parameters
        file, rest, parameters = _read(sql, begin.end(), parameters)
        address = read_address(file, is_uri=True)
        store = self._find(address.name)
        if store is None:
            return sql, given, []
        uri = lead_to(store.address["uri"], address)
        return f"ATTACH {_literal(uri)} {rest}", parameters, [store]

    def lead_script(self, script: str) -> tuple[str, list[SqliteStore]]:
        """Return a script as it is to be executed, and the databases that it attaches then."""
        led = [self.lead(statement) for statement in _statements(script)]
        return "".join(sql for sql, *_ in led), [store for *_, stores in led for store in stores]

    def note(self, connection: AppConnection, stores: Iterable[SqliteStore]) -> None:
        """Take a connection for one of those of the databases that it has attached."""
        for store in stores:
            if connection.lead is None:
                connection.lead = Lead(store.target, store)
                connection.lead.register(self._redirect, connection, Handle())
            store.connections.add(connection, connection.lead)

    def forbid(self, connection: sqlite3.Connection) -> None:
        """Let a connection attach nothing that is not private: its statements do not come here."""

        def authorize(action: int, name: str | None, *_: Any) -> int:
            if action != sqlite3.SQLITE_ATTACH or self._is_private(name):
                return sqlite3.SQLITE_OK
            warnings.warn(_cannot_lead(name), AsgiWarning, stacklevel=2)
            return sqlite3.SQLITE_DENY

        connection.set_authorizer(authorize)

    def _is_private(self, file: str | None) -> bool:
        return file is not None and self._find(read_address(file, is_uri=True).name) is None

    def _find(self, name: str) -> SqliteStore | None:
        if name in _NOWHERE or is_left_alone(self._redirect, name, self._asker):
            return None
        # Only our opener makes stores of this kind.
        return cast("SqliteStore | None", find_store(self._redirect, Target("sqlite", name)))


def _read(sql: str, begin: int, parameters: Any) -> tuple[str, str, Any]:
    """Return the file that a statement names, the rest of it, and the parameters of the rest."""
    for word in _AS.finditer(sql, begin):
        expression = sql[begin : word.start()]
        for count in _counts(parameters):
            used = parameters if isinstance(parameters, Mapping) else parameters[:count]
            try:
                file = _evaluate(expression, used)
            except sqlite3.Error:  # the word is part of something else, or it is not the number
                continue
            rest = parameters if isinstance(parameters, Mapping) else parameters[count:]
            return file, sql[word.start() :], rest
    raise DatabaseRefusedError(
        f"A statement attaches a database, and it is not clear which, at"
        f" {describe(place_of_caller())}: {sql.strip()}",
        why="Tests reach private databases only, so what is attached has to be known before.",
        fix="Name the file by a text or a parameter: `ATTACH ? AS other`.",
    )


def _counts(parameters: Any) -> range:
    return range(1 if isinstance(parameters, Mapping) else len(parameters) + 1)


def _evaluate(expression: str, parameters: Any) -> str:
    name = _NAME.fullmatch(expression)
    if name is not None:
        return name[2] or name[1].replace('""', '"')
    with closing(sqlite3.Connection(":memory:")) as calculator:
        (value,) = calculator.execute(f"SELECT {expression}", parameters).fetchone()
    return "" if value is None else str(value)


def _statements(script: str) -> Iterator[str]:
    """Yield the statements of a script, each with its semicolon."""
    statement = ""
    for piece in script.split(";"):
        statement += f"{piece};"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    yield statement.removesuffix(";")


def _literal(text: str) -> str:
    return "'{}'".format(text.replace("'", "''"))


def _cannot_lead(name: str | None) -> str:
    return (
        f"`ATTACH` of {'a file' if name is None else name} is refused: tests reach private"
        " databases only, and with a class of your own for connections or cursors it cannot be led"
        " to one. Attach it through a connection and a cursor of the usual classes."
    )
