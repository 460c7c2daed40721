"""What drivers connect to while a test is one transaction."""

from __future__ import annotations

import shutil
import socket
import struct
import tempfile
import threading
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_asgi.adapters.postgres.transaction.backend import Backend
from pytest_asgi.adapters.postgres.transaction.frontend import Frontend
from pytest_asgi.adapters.postgres.transaction.sharing import Sharing
from pytest_asgi.adapters.postgres.transaction.wire import CANCEL, PROTOCOL, Reader

if TYPE_CHECKING:
    from pytest_asgi.adapters.postgres.connection import Place

__tracebackhide__ = True  # a failure ends in the user's line

_PORT = 5432
_HAS_UNIX_SOCKETS = hasattr(socket, "AF_UNIX")


class Server:
    """Takes connections, and lets them share one transaction.

    A thread waits for them, and each has a thread of its own.

    Args:
        place: Where PostgreSQL is.
        name: The database.
    """

    def __init__(self, place: Place, name: str) -> None:
        self._sharing = Sharing(Backend(place, name))
        self._numbers = count(1)
        self._clients: list[socket.socket] = []
        self._folder = Path(tempfile.mkdtemp(prefix="pytest-asgi-"))
        self._listener = self._listen()
        self._start(self._accept)

    @property
    def host(self) -> str:
        """What drivers call the host."""
        return str(self._folder) if _HAS_UNIX_SOCKETS else "127.0.0.1"

    @property
    def port(self) -> int:
        """The port there."""
        return _PORT if _HAS_UNIX_SOCKETS else int(self._listener.getsockname()[1])

    def close(self) -> None:
        """Roll back, and let nobody connect any more.

        Raises:
            IsolationError: Something was refused.
        """
        for each in (self._listener, *self._clients):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        self._sharing.close()
        shutil.rmtree(self._folder, ignore_errors=True)
        if self._sharing.refusals:
            raise self._sharing.refusals[0]

    def _listen(self) -> socket.socket:
        if _HAS_UNIX_SOCKETS:
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(str(self._folder / f".s.PGSQL.{_PORT}"))
        else:
            listener = socket.socket()
            listener.bind(("127.0.0.1", 0))
        listener.listen()
        return listener

    def _accept(self) -> None:
        with suppress(OSError):  # at the end
            while True:
                client, _ = self._listener.accept()
                self._clients.append(client)
                self._start(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError), client:
            reader = Reader(client)
            while (first := reader.read_first()) is not None:
                code, rest = first
                if code == PROTOCOL:
                    number = next(self._numbers)
                    Frontend(number, self._sharing, reader, client.sendall).serve(rest)
                    return
                if code == CANCEL:
                    self._cancel(rest)
                    return
                client.sendall(b"N")  # there is no TLS

    def _cancel(self, key: bytes) -> None:
        if struct.unpack("!ii", key) == (self._sharing.active, self._sharing.secret):
            self._sharing.backend.cancel()

    @staticmethod
    def _start(target: object, *args: object) -> None:
        threading.Thread(target=target, args=args, daemon=True, name="pytest-asgi").start()  # type: ignore[arg-type]  # Methods above.
