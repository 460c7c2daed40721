"""Drivers that we know but do not redirect: they are refused before a socket opens.

Each row of the table is the place that all connections of a driver pass, also those by a function
that was imported early, as far as the driver has such a place. Nothing here imports a driver.
"""

from __future__ import annotations

import shlex
from collections import deque
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote, urlsplit

from pytest_asgi.adapters.replacements import Replacements
from pytest_asgi.database.targets import Kind, Target
from pytest_asgi.import_watch import ImportWatch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_asgi.database.redirect import Redirect

    Named = Mapping[str, Any]


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

# What drivers call the same thing. The names with an underscore are attributes of connections that
# know where they lead before they connect.
_SYNONYMS = {
    "host": ("_host", "host", "server", "hosts", "unix_sock", "unix_socket"),
    "port": ("_port", "port"),
    "database": ("_database", "_db", "database", "db", "dbname", "service_name", "sid"),
    "user": ("_user", "user", "username", "uid"),
    "dsn": ("dsn", "cnxstr", "connectstring"),
}


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
            itself = args[0] if is_method and not gate.positional else None
            named = dict(zip(gate.positional, args[is_method:], strict=False)) | options
            target = _target(gate, itself, named)
            if target is not None and not redirect.allows(target):
                from pytest_asgi.adapters.askers import find_asker, is_left_to_pytest_django
                from pytest_asgi.database.refusals import refusal
                from pytest_asgi.database.statements import place_of_caller

                if not is_left_to_pytest_django(find_asker()):
                    raise refusal(target, gate.package, place_of_caller())
        return original(*args, **options)

    return connect


# --- where a connection would lead ---------------------------------------------------------------


def _target(gate: _Gate, itself: Any, named: Named) -> Target | None:
    """Return what the app asks for; `None` if the connection comes from a pool that was asked."""
    if named.get("pool") is not None:
        return None
    told = {word: _first(word, named, itself) for word in _SYNONYMS}
    dsn = told.pop("dsn")
    if isinstance(dsn, bytes):
        dsn = dsn.decode()
    if isinstance(dsn, str):
        told = {word: told[word] or value for word, value in _parse(dsn).items()} | {
            word: value for word, value in told.items() if value
        }
    host, port, name, user = (told.get(word) for word in ("host", "port", "database", "user"))
    if isinstance(host, deque):
        host, port = host[0]  # ClickHouse's, in the order of trying
    number = int(str(port)) if str(port).isdigit() else None
    return Target(gate.kind, _text(name), _text(host) or "localhost", number, _text(user))


def _first(word: str, named: Named, itself: Any) -> Any:
    """Return what the arguments say about `word`, else what the object itself says."""
    lowered = {str(name).lower(): value for name, value in named.items()}
    for synonym in _SYNONYMS[word]:
        if lowered.get(synonym):
            return lowered[synonym]
    if word == "dsn":
        return None
    params = lowered.get("params")
    for source in (itself, params):
        for synonym in _SYNONYMS[word]:
            value = getattr(source, synonym, None)
            if value:
                return value
    return None


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value or "")


def _parse(dsn: str) -> dict[str, Any]:
    """Return what a text says about a connection, whichever of the usual forms it has."""
    if "://" in dsn:
        return _parse_url(dsn)
    if "=" in dsn:
        return _parse_pairs(dsn)
    return _parse_easy(dsn)


def _parse_url(dsn: str) -> dict[str, Any]:
    url = urlsplit(dsn)
    return {
        "host": url.hostname,
        "port": url.port,
        "database": unquote(url.path.strip("/")),
        "user": unquote(url.username or ""),
    }


def _parse_pairs(dsn: str) -> dict[str, Any]:
    """Parse `host=h dbname=d` of libpq and `Server=h,1433;Database=d` of ODBC."""
    pieces = dsn.split(";") if ";" in dsn else shlex.split(dsn)
    pairs = [piece.partition("=") for piece in pieces]
    named = {name.strip().lower(): value.strip().strip("'{}") for name, _, value in pairs}
    host = str(_first("host", named, None) or "").removeprefix("tcp:")
    host, _, port = host.partition(",")
    told = {word: _first(word, named, None) for word in ("port", "database", "user")}
    return told | {"host": host, "port": told["port"] or port}


def _parse_easy(dsn: str) -> dict[str, Any]:
    """Parse `host:port/service` of Oracle, perhaps behind `user/password@`."""
    login, _, address = dsn.rpartition("@")
    server, _, name = address.partition("/")
    host, _, port = server.partition(":")
    return {"host": host, "port": port, "database": name, "user": login.partition("/")[0]}
