"""Who opens stores of each kind, and which databases the engines of the app name.

Imports an opener when the first store of its kind is needed.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote, urlsplit

from pytest_asgi.database.targets import Target
from pytest_asgi.errors import IsolationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_asgi.database.stores import Opener, Store
    from pytest_asgi.database.targets import Kind

__tracebackhide__ = True  # a failure ends in the user's line

_HOMES: dict[str, tuple[str, str]] = {
    "postgresql": ("pytest_asgi.adapters.postgres", "PostgresOpener"),
    "sqlite": ("pytest_asgi.adapters.sqlite", "SqliteOpener"),
    "mongodb": ("pytest_asgi.adapters.mongo", "MongoOpener"),
    "redis": ("pytest_asgi.adapters.redis", "RedisOpener"),
}
_KINDS: dict[str, Kind] = {
    "postgresql": "postgresql",
    "postgres": "postgresql",
    "sqlite": "sqlite",
    "mongodb": "mongodb",
    "mongodb+srv": "mongodb",
    "redis": "redis",
    "rediss": "redis",
    "unix": "redis",
}


class Openers:
    """The openers of a session, each made when it is first needed.

    Args:
        named: The kind or the URL of a server that the project has named; may be empty.
        keep: Whether databases that were built from a schema are kept for later runs.
    """

    def __init__(self, named: str, *, keep: bool) -> None:
        self._named = named
        self._keep = keep
        self._openers: dict[Kind, Opener] = {}

    def of(self, kind: Kind) -> Opener:
        """Return the opener of this kind."""
        if kind not in self._openers:
            module, name = _HOMES[kind]
            is_server = "://" in self._named and kind_of(self._named) == kind
            opener = getattr(import_module(module), name)
            self._openers[kind] = opener(self._named if is_server else None, keep=self._keep)
        return self._openers[kind]

    def close(self) -> None:
        """Stop every server that was started."""
        while self._openers:
            _, opener = self._openers.popitem()
            opener.close()


def begin_transaction(store: Store) -> Store:
    """Return a store in the place of another one, that is rolled back when it is closed.

    Raises:
        IsolationError: There is none for this kind.
    """
    if store.target.kind != "postgresql":
        raise _has_no_transaction(store.target)
    from pytest_asgi.adapters.postgres.transaction.store import TransactionStore

    return TransactionStore(cast("Any", store))  # only our opener makes stores of this kind


def _has_no_transaction(target: Target) -> IsolationError:
    return IsolationError(
        f'A test with isolation="transaction" uses {target}.',
        why="Connections can share a transaction of PostgreSQL only. What other databases hold is"
        " put back in less time than a transaction would take.",
        fix='Use isolation="restore" for this test, or "clone".',
    )


def kind_of(named: str) -> Kind:
    """Return the kind that a name or the scheme of a URL means."""
    return _KINDS[named.partition("://")[0].partition("+")[0]]


def target_of(named: str) -> Target:
    """Return what `asgi_database` names: a server's database, or some database of a kind."""
    url = urlsplit(named) if "://" in named else None
    if url is None:
        return Target(kind_of(named), "")
    return Target(
        kind_of(named),
        name=unquote(url.path.strip("/")),
        host=url.hostname or "",
        port=url.port,
        user=unquote(url.username or ""),
    )


def is_meant(early: Target, target: Target) -> bool:
    """Tell whether a database that was opened before the app connected is the one it asks for.

    Args:
        early: What it was opened for: what an engine names, or only a kind.
        target: What the app asks for.
    """
    if early.kind != target.kind:
        return False
    # One app may well have several SQLite files; of servers it hardly ever has two.
    return early.kind != "sqlite" or early.name in ("", target.name)


def may_be_main(target: Target) -> bool:
    """Tell whether the first database that is connected to may be the app's main one."""
    if target.kind == "redis":
        return False
    # A database in memory may be a test's own scratch pad, unless the app has nothing else.
    return target.name != ":memory:" or all(each == target for each in targets_of_engines())


def targets_of_engines() -> Iterator[Target]:
    """Yield what SQLAlchemy's engines, Django's settings and MongoDB's clients name."""
    if "sqlalchemy" in sys.modules:
        from pytest_asgi.adapters.sqlalchemy_engines import find_engines

        for engine in find_engines():
            target = _target_of_url(engine.url)
            if target is not None:
                yield target
    if "django" in sys.modules:
        from pytest_asgi.adapters.django_settings import targets_of_settings

        yield from targets_of_settings()
    if "pymongo" in sys.modules:
        from pytest_asgi.adapters.mongo.clients import targets_of_clients

        yield from targets_of_clients()


def _target_of_url(url: Any) -> Target | None:
    kind = _KINDS.get(url.get_backend_name())
    if kind is None:
        return None
    if kind == "sqlite":
        from pytest_asgi.adapters.sqlite.addresses import read_address

        is_uri = url.query.get("uri") == "true"
        return Target(kind, read_address(url.database or ":memory:", is_uri=is_uri).name)
    return Target(kind, url.database or "", url.host or "", url.port, url.username or "")
