"""What tables a database has, of which columns, and how their rows are told apart."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

_ROWID_NAMES = ("rowid", "_rowid_", "oid")
# What the tables are called, behind the virtual table's name, that FTS 3 to 5 and R*Tree keep.
_SHADOWS = frozenset(
    [
        "config",
        "content",
        "data",
        "docsize",
        "idx",
        "node",
        "parent",
        "rowid",
        "segdir",
        "segments",
        "stat",
    ]
)
_BOOLEANS = ("BOOLEAN", "BOOL")
_HIDDEN = 1  # what `table_xinfo` says of the columns that only virtual tables have


class Table(NamedTuple):
    """One table.

    Attributes:
        name: Its name.
        columns: All columns, generated ones too.
        key: The columns of the primary key, in order; empty if there is none.
        rowid: What its rows are numbered by: a name that is no column's; empty if there is none.
        is_without_rowid: Whether its rows have no numbers, and its key has no `NULL`.
        untyped: The columns that keep 1 and 1.0 apart.
        booleans: The columns that are declared to be true or false, and hold 1 or 0.
        is_virtual: Whether a module makes its rows up, which we may not know how to ask.
        storage: The roots of the trees that hold it and its indexes; of a virtual table, those of
            its shadow tables.
    """

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    rowid: str
    is_without_rowid: bool
    untyped: frozenset[str]
    booleans: frozenset[str]
    is_virtual: bool
    storage: frozenset[int]

    @property
    def names_rows(self) -> tuple[str, ...]:
        """What SQL can tell each row by; nothing if there is no name left for the number."""
        return (self.rowid,) if self.rowid else self.key if self.is_without_rowid else ()

    def row(self, values: Iterable[Any]) -> dict[str, Any]:
        """Return a row, given the values of all columns."""
        return self.typed(dict(zip(self.columns, values, strict=True)))

    def typed(self, row: dict[str, Any]) -> dict[str, Any]:
        """Return a row with values of the types that its columns are declared to have."""
        for column in self.booleans:
            if row[column] in (0, 1):
                row[column] = bool(row[column])
        return row


class Schema(NamedTuple):
    """The tables of one database.

    Attributes:
        tables: The tables by name, in the order in which they were made; no shadow tables, nor
            those that SQLite keeps for itself.
        owners: The table that each tree belongs to, by the root of the tree.
    """

    tables: dict[str, Table]
    owners: dict[int, str]


def read_schema(connection: sqlite3.Connection, database: str = "main") -> Schema:
    """Return the schema of one of a connection's databases."""
    rows = connection.execute(
        f"SELECT type, name, tbl_name, rootpage, sql FROM {database}.sqlite_schema"  # noqa: S608 - ours
    ).fetchall()
    roots: dict[str, set[int]] = {}  # of each table, shadow tables too
    for _, _, table, root, _ in rows:
        if root:
            roots.setdefault(table, set()).add(root)
    names = [row[1] for row in rows if row[0] == "table" and not row[1].startswith("sqlite_")]
    virtual = {row[1] for row in rows if row[0] == "table" and not row[3]}
    shadows = {name for name in names if name not in virtual and _is_shadow(name, virtual)}
    tables = {}
    for name in names:
        if name in shadows:
            continue
        storage = roots.get(name, set())
        if name in virtual:
            storage = set().union(*(roots[each] for each in shadows if _is_shadow(each, {name})))
        table = _read_table(connection, database, name)
        if table is not None:
            tables[name] = table._replace(is_virtual=name in virtual, storage=frozenset(storage))
    owners = {root: table for table, its in roots.items() for root in its}
    owners |= {root: table.name for table in tables.values() for root in table.storage}
    return Schema(tables, owners)


def quoted(name: str) -> str:
    """Return a name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def _is_shadow(name: str, virtual: Iterable[str]) -> bool:
    table, _, suffix = name.rpartition("_")
    return table in virtual and suffix in _SHADOWS


def _read_table(connection: sqlite3.Connection, database: str, name: str) -> Table | None:
    """Return a table without its storage; `None` if it cannot be asked for its columns."""
    try:
        info = connection.execute(f"PRAGMA {database}.table_xinfo({quoted(name)})").fetchall()
        columns = [row for row in info if row[6] != _HIDDEN]
        taken = {row[1].lower() for row in columns}
        rowid = next((each for each in _ROWID_NAMES if each not in taken), "")
        has_rowid = not rowid or _has_rowid(connection, database, name, rowid)
    except sqlite3.OperationalError:  # a virtual table of a module that only the app has loaded
        return None
    keyed = sorted((row[5], row[1]) for row in columns if row[5])
    return Table(
        name,
        columns=tuple(row[1] for row in columns),
        key=tuple(column for _, column in keyed),
        rowid=rowid if has_rowid else "",
        is_without_rowid=not has_rowid,
        untyped=frozenset(row[1] for row in columns if _is_untyped(row[2])),
        booleans=frozenset(row[1] for row in columns if row[2].upper() in _BOOLEANS),
        is_virtual=False,
        storage=frozenset(),
    )


def _has_rowid(connection: sqlite3.Connection, database: str, name: str, rowid: str) -> bool:
    try:
        connection.execute(f"SELECT {rowid} FROM {database}.{quoted(name)} LIMIT 0")  # noqa: S608 - ours
    except sqlite3.OperationalError as error:
        if "no such column" in str(error):
            return False
        raise
    return True


def _is_untyped(declared: str) -> bool:
    # 3.1 of https://sqlite.org/datatype3.html: such columns have no affinity.
    return not declared or "BLOB" in declared.upper() or declared.upper() == "ANY"
