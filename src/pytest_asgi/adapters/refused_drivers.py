"""Drivers that we know but do not redirect: they are refused before a socket opens.

Each row of the table is the place that all connections of a driver pass, also those by a function
that was imported early, as far as the driver has such a place. Nothing here imports a driver.
"""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_asgi.adapters.replacements import Replacements
from pytest_asgi.import_watch import ImportWatch

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_asgi.database.redirect import Redirect
    from pytest_asgi.database.targets import Kind


class _Gate(NamedTuple):
    """A function or a method that opens connections.

    Attributes:
        package: What the user imports.
        module: Where the function is.
        path: Its name there, behind that of its class if it is a method.
        kind: What speaks at the other end.
        positional: What its arguments are called, the object itself left out; `dsn` is a text that
            tells everything. Nothing if the object knows by then.
    """

    package: str
    module: str
    path: str
    kind: Kind
    positional: tuple[str, ...] = ()


_MYSQL = ("host", "user", "password", "database", "port")

_GATES = (
    _Gate("psycopg2", "psycopg2", "_connect", "postgresql", ("dsn",)),  # aiopg's too
    _Gate(
        "pg8000",
        "pg8000.core",
        "CoreConnection.__init__",
        "postgresql",
        ("user", "host", "database", "port"),
    ),
    _Gate("MySQLdb", "MySQLdb.connections", "Connection.__init__", "mysql", _MYSQL),
    _Gate("pymysql", "pymysql.connections", "Connection.connect", "mysql"),
    _Gate("aiomysql", "aiomysql.connection", "Connection._connect", "mysql"),
    _Gate("asyncmy", "asyncmy.connection", "Connection.connect", "mysql"),
    _Gate(
        "mysql.connector", "mysql.connector.abstracts", "MySQLConnectionAbstract.connect", "mysql"
    ),
    _Gate(
        "mysql.connector.aio",
        "mysql.connector.aio.connection",
        "MySQLConnection.connect",
        "mysql",
    ),
    _Gate("mariadb", "mariadb.connections", "Connection.__init__", "mysql", _MYSQL),
    _Gate("oracledb", "oracledb.connection", "Connection.__init__", "oracle", ("dsn",)),
    _Gate("oracledb", "oracledb", "connect_async", "oracle", ("dsn",)),
    _Gate("oracledb", "oracledb.pool", "BaseConnectionPool.__init__", "oracle", ("dsn",)),
    _Gate("cx_Oracle", "cx_Oracle", "connect", "oracle", ("user", "password", "dsn")),
    _Gate("pyodbc", "pyodbc", "connect", "odbc", ("dsn",)),  # aioodbc's too
    _Gate("pymssql", "pymssql", "connect", "mssql", ("host", "user", "password", "database")),
    _Gate("pytds", "pytds", "connect", "mssql", ("dsn", "database", "user")),
    _Gate("clickhouse_driver", "clickhouse_driver.connection", "Connection.connect", "clickhouse"),
)


def install(redirect: Redirect) -> Callable[[], None]:
    """Refuse what these drivers connect to; return what ends that."""
    replacements = Replacements()
    watches = [
        ImportWatch(gate.package, partial(_close, gate, redirect, replacements)) for gate in _GATES
    ]
    for watch in watches:
        watch.start()

    def uninstall() -> None:
        for watch in watches:
            watch.stop()
        replacements.undo()

    return uninstall


def _close(gate: _Gate, redirect: Redirect, replacements: Replacements) -> None:
    """Put a guard in front of a gate, if this version of the driver has it."""
    owner_name, _, name = gate.path.rpartition(".")
    try:
        module = import_module(gate.module)
        owner = getattr(module, owner_name) if owner_name else module
        replacements.wrap(owner, name, lambda original: _guarding(gate, redirect, original))
    except (ImportError, AttributeError, TypeError):
        return  # another version, or a class whose methods cannot be replaced


def _guarding(gate: _Gate, redirect: Redirect, original: Callable[..., Any]) -> Callable[..., Any]:
    is_method = "." in gate.path

    def connect(*args: Any, **options: Any) -> Any:
        if redirect.is_on:
            from pytest_asgi.adapters.askers import find_asker, is_left_to_pytest_django
            from pytest_asgi.adapters.refused_targets import target_of

            itself = args[0] if is_method and not gate.positional else None
            named = dict(zip(gate.positional, args[is_method:], strict=False)) | options
            target = target_of(gate.kind, itself, named)
            may_connect = target is None or redirect.allows(target)
            if not may_connect and not is_left_to_pytest_django(find_asker()):
                from pytest_asgi.database.refusals import refusal
                from pytest_asgi.database.statements import place_of_caller

                assert target is not None
                raise refusal(target, gate.package, place_of_caller())
        return original(*args, **options)

    return connect
