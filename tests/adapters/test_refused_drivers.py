"""A driver that is not redirected reaches nothing: no name is resolved, no socket opens."""

import asyncio
import importlib
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest

from pytest_asgi.adapters import refused_drivers
from pytest_asgi.asgi import stacks
from pytest_asgi.database.redirect import Redirect, connecting_directly
from pytest_asgi.database.stores import Store
from pytest_asgi.database.targets import Target
from pytest_asgi.errors import DatabaseRefusedError
from tests.promises import promise

# Each is what the real package looks like where connections pass.
FAKES = {
    "psycopg2": """
def _connect(dsn, connection_factory=None, **options):
    return dial(dsn)
def connect(dsn=None, **options):
    return _connect(dsn or " ".join(f"{k}={v}" for k, v in options.items()))
""",
    "pymysql": """
from .connections import Connection
def connect(**options):
    return Connection(**options)
""",
    "pymysql.connections": """
class Connection:
    def __init__(self, host="localhost", port=0, user=None, password="", database=None):
        self.host, self.port, self.user, self.db = host, port or 3306, user, database.encode()
        self.connect()
    def connect(self, sock=None):
        dial(self.host)
""",
    "aiomysql": """
from .connection import Connection
async def connect(host, port, user, password, db):
    connection = Connection(host, port, user, db)
    await connection._connect()
    return connection
""",
    "aiomysql.connection": """
class Connection:
    def __init__(self, host, port, user, db):
        self._host, self._port, self._user, self._db = host, port, user, db
    async def _connect(self):
        dial(self._host)
""",
    "pg8000": "from . import core",
    "pg8000.core": """
class CoreConnection:
    def __init__(self, user, host="localhost", database=None, port=5432, password=None):
        dial(host)
class Connection(CoreConnection):
    pass
""",
    "MySQLdb": "from . import connections",
    "MySQLdb.connections": """
class Connection:
    def __init__(self, *args, **options):
        dial(args or options)
""",
    "oracledb": """
from . import connection, pool
def connect_async(dsn=None, *, pool=None, params=None, **options):
    dial(dsn)
""",
    "oracledb.connection": """
class Connection:
    def __init__(self, dsn=None, *, pool=None, params=None, **options):
        dial(dsn)
    @property
    def host(self):
        raise RuntimeError("not connected")
""",
    "oracledb.pool": """
class BaseConnectionPool:
    def __init__(self, dsn=None, *, params=None, **options):
        dial(dsn)
""",
    "pyodbc": "def connect(*args, **options): dial(args)",
    "pymssql": "def connect(server='.', user=None, password='', database=''): dial(server)",
    "clickhouse_driver": "from . import connection",
    "clickhouse_driver.connection": """
from collections import deque
class Connection:
    def __init__(self, host, user, password, database):
        self.hosts, self.user, self.database = deque([(host, 9000)]), user, database
        self.connect()
    def connect(self):
        dial(self.hosts)
""",
    "mariadb": "",  # a version without the place that we know
}

_DIAL = """
import socket
def dial(where):
    socket.create_connection(("127.0.0.1", PORT)).close()
"""


@pytest.fixture
def listening(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """A server that every fake dials, whatever it is asked to connect to."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        yield server


@pytest.fixture
def redirect(
    listening: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Redirect]:
    dial = _DIAL.replace("PORT", str(listening.getsockname()[1]))
    packages = {name for name in FAKES if any(each.startswith(f"{name}.") for each in FAKES)}
    for name, code in FAKES.items():
        path = name.replace(".", "/")
        file = tmp_path / (f"{path}/__init__.py" if name in packages else f"{path}.py")
        file.parent.mkdir(exist_ok=True)
        file.write_text(dial + code, encoding="utf-8")
        monkeypatch.setitem(sys.modules, name, sys)  # forgotten in the end
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.setattr(socket, "getaddrinfo", _no_lookup)
    libraries = (*stacks._libraries(), str(tmp_path))
    monkeypatch.setattr(stacks, "_libraries", lambda: libraries)

    def open_store(target: Target) -> Store:
        raise AssertionError(target)

    redirect = Redirect(open_store)
    redirect.is_on = True
    uninstall = refused_drivers.install(redirect)
    yield redirect
    uninstall()


def _no_lookup(host: Any, *args: Any, **options: Any) -> Any:
    assert host == "127.0.0.1", f"{host} was looked up"
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, args[0]))]


def _has_been_reached(server: socket.socket) -> bool:
    try:
        server.accept()[0].close()
    except BlockingIOError:
        return False
    return True


class Call(NamedTuple):
    """What an app does, and the URL that it means."""

    module: str
    name: str
    args: tuple[Any, ...]
    options: dict[str, Any]
    url: str

    def __call__(self) -> None:
        function = getattr(importlib.import_module(self.module), self.name)
        result = function(*self.args, **self.options)
        if asyncio.iscoroutine(result):
            asyncio.run(result)


CALLS = {
    "psycopg2 dsn": Call(
        "psycopg2",
        "connect",
        ("host=db.example.com dbname=shop user=app password='ge heim'",),
        {},
        "postgresql://app@db.example.com/shop",
    ),
    "psycopg2 url": Call(
        "psycopg2",
        "connect",
        ("postgresql://app:geheim@db.example.com:6432/shop",),
        {},
        "postgresql://app@db.example.com:6432/shop",
    ),
    "psycopg2 keywords": Call(
        "psycopg2",
        "connect",
        (),
        {"host": "db.example.com", "dbname": "shop"},
        "postgresql://db.example.com/shop",
    ),
    "pymysql": Call(
        "pymysql",
        "connect",
        (),
        {"host": "db.example.com", "user": "app", "password": "geheim", "database": "shop"},
        "mysql://app@db.example.com:3306/shop",
    ),
    "aiomysql": Call(
        "aiomysql",
        "connect",
        ("db.example.com", 3307, "app", "geheim", "shop"),
        {},
        "mysql://app@db.example.com:3307/shop",
    ),
    "pg8000": Call(
        "pg8000.core",
        "Connection",
        ("app",),
        {"host": "db.example.com", "database": "shop", "password": "geheim"},
        "postgresql://app@db.example.com/shop",
    ),
    "mysqlclient": Call(
        "MySQLdb.connections",
        "Connection",
        ("db.example.com", "app", "geheim", "shop"),
        {},
        "mysql://app@db.example.com/shop",
    ),
    "oracledb": Call(
        "oracledb.connection",
        "Connection",
        ("app/geheim@db.example.com:1521/shop",),
        {},
        "oracle://app@db.example.com:1521/shop",
    ),
    "oracledb asynchronous": Call(
        "oracledb",
        "connect_async",
        ("db.example.com:1521/shop",),
        {"user": "app", "password": "geheim"},
        "oracle://app@db.example.com:1521/shop",
    ),
    "oracledb pool": Call(
        "oracledb.pool",
        "BaseConnectionPool",
        ("db.example.com/shop",),
        {"user": "app", "password": "geheim"},
        "oracle://app@db.example.com/shop",
    ),
    "clickhouse": Call(
        "clickhouse_driver.connection",
        "Connection",
        ("db.example.com", "app", "geheim", "shop"),
        {},
        "clickhouse://app@db.example.com:9000/shop",
    ),
    "pyodbc": Call(
        "pyodbc",
        "connect",
        ("DRIVER={ODBC 18};SERVER=tcp:db.example.com,1433;DATABASE=shop;UID=app;PWD=geheim",),
        {},
        "odbc://app@db.example.com:1433/shop",
    ),
    "pymssql": Call(
        "pymssql",
        "connect",
        ("db.example.com", "app", "geheim", "shop"),
        {},
        "mssql://app@db.example.com/shop",
    ),
}
calls = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())


@promise("database.refused")
@calls
def test_nothing_is_reached(redirect: Redirect, listening: socket.socket, call: Call) -> None:
    with pytest.raises(DatabaseRefusedError) as caught:
        call()

    assert not _has_been_reached(listening)
    assert f" to {call.url}, at {__file__}:" in str(caught.value)
    assert f'asgi_database_allow = "{call.url}"' in str(caught.value)
    assert "geheim" not in str(caught.value)


@calls
def test_what_is_allowed_is_reached(
    redirect: Redirect, listening: socket.socket, call: Call
) -> None:
    redirect.allowed = (call.url,)

    call()

    assert _has_been_reached(listening)


@promise("database.pytest-django")
def test_django_reaches_it_where_pytest_django_is(
    redirect: Redirect, listening: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    django: dict[str, Any] = {"__name__": "django.db.backends.postgresql.base"}
    connect = "import psycopg2\ndef connect():\n    psycopg2.connect('host=db.example.com')"
    exec(connect, django)  # a function of Django's, as far as frames can tell
    monkeypatch.delitem(sys.modules, "pytest_django", raising=False)
    with pytest.raises(DatabaseRefusedError):
        django["connect"]()

    monkeypatch.setitem(sys.modules, "pytest_django", ModuleType("pytest_django"))
    django["connect"]()

    assert _has_been_reached(listening)


def test_it_is_reached_while_connections_go_where_the_app_says(
    redirect: Redirect, listening: socket.socket
) -> None:
    redirect.is_on = False

    CALLS["psycopg2 url"]()

    assert _has_been_reached(listening)


def test_our_own_connections_reach_it(redirect: Redirect, listening: socket.socket) -> None:
    with connecting_directly():
        CALLS["psycopg2 url"]()

    assert _has_been_reached(listening)


def test_a_connection_of_a_pool_that_was_allowed_is_reached(
    redirect: Redirect, listening: socket.socket
) -> None:
    importlib.import_module("oracledb").connection.Connection(pool="the pool")

    assert _has_been_reached(listening)


def test_another_version_of_a_driver_is_left_alone(redirect: Redirect) -> None:
    importlib.import_module("mariadb")
