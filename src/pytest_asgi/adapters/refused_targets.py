"""Where a connection of a refused driver would lead, read from what it is opened with."""

from __future__ import annotations

import shlex
from collections import deque
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from pytest_asgi.database.targets import Target

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_asgi.database.targets import Kind

    Named = Mapping[str, Any]

# What drivers call the same thing. The names with an underscore are attributes of connections that
# know where they lead before they connect.
_SYNONYMS = {
    "host": ("_host", "host", "server", "hosts", "unix_sock", "unix_socket"),
    "port": ("_port", "port"),
    "database": ("_database", "_db", "database", "db", "dbname", "service_name", "sid"),
    "user": ("_user", "user", "username", "uid"),
    "dsn": ("dsn", "cnxstr", "connectstring"),
}


def target_of(kind: Kind, itself: Any, named: Named) -> Target | None:
    """Return what the app asks for; `None` if the connection comes from a pool that was asked.

    Args:
        kind: What speaks at the other end.
        itself: The connection, if it knows by then.
        named: The arguments that it is opened with, by their names.
    """
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
    return Target(kind, _text(name), _text(host) or "localhost", number, _text(user))


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
