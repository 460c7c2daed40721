"""What an app asks for when it connects: which database, of which kind, on which server."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Literal, NamedTuple
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterable

Kind = Literal[
    "postgresql", "sqlite", "mongodb", "redis", "mysql", "oracle", "mssql", "odbc", "clickhouse"
]

_THIS_MACHINE = frozenset({"", "127.0.0.1", "::1"})
_PORTS = {"postgresql": 5432, "mongodb": 27017, "redis": 6379, "mysql": 3306}


class Target(NamedTuple):
    """A database as the app names it. There is no password in it, so it can be shown.

    Attributes:
        kind: What speaks there.
        name: The database's name; for SQLite the file's absolute path, for Redis its number.
        host: The host, or the folder of a socket; empty for SQLite.
        port: The port, if it is not the kind's own.
        user: Who connects; two users of one database mean the same database.
    """

    kind: Kind
    name: str
    host: str = ""
    port: int | None = None
    user: str = ""

    @property
    def database(self) -> tuple[Kind, str, str, int | None]:
        """What makes two targets the same database, whichever way they name it."""
        host = "localhost" if self.host in _THIS_MACHINE else self.host
        port = None if self.port == _PORTS.get(self.kind) else self.port
        return self.kind, self.name, host, port

    def matches(self, patterns: Iterable[str]) -> bool:
        """Tell whether one of the patterns, with `*` and `?`, is this target's URL or name."""
        texts = (str(self), self.name)
        return any(fnmatchcase(text, pattern) for pattern in patterns for text in texts)

    def __str__(self) -> str:
        """Return the target as a URL without a password."""
        user = f"{quote(self.user, safe='')}@" if self.user else ""
        host = quote(self.host, safe="") if self.host.startswith("/") else self.host
        port = f":{self.port}" if self.port else ""
        return f"{self.kind}://{user}{host}{port}/{self.name}"
