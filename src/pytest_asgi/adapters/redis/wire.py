"""The protocol of Redis, as much as it takes to look after one database.

https://redis.io/docs/latest/develop/reference/protocol-spec/
"""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

Argument = bytes | str | int | float
_TIMEOUT_SECONDS = 30.0


class WireError(Exception):
    """The server has answered with an error."""


_SIMPLE: dict[bytes, Callable[[bytes], Any]] = {
    b"+": bytes,
    b"(": bytes,
    b"-": lambda rest: WireError(rest.decode(errors="replace")),
    b":": int,
    b",": float,
    b"#": lambda rest: rest == b"t",
    b"_": lambda _: None,
}


class Wire:
    """One connection to one database.

    Args:
        address: `unix_socket_path`, or `host` and `port`, with `ssl`, `username` and `password`.
        database: The number of the database.
        is_told: Whether to be told of every key that anybody else changes.
    """

    def __init__(
        self, address: Mapping[str, Any], database: int = 0, *, is_told: bool = False
    ) -> None:
        self._socket = connect(address)
        self._reader = self._socket.makefile("rb")
        self._changed: list[bytes] = []
        self._is_flushed = False
        try:
            credentials = []
            if address.get("password"):
                credentials = ["AUTH", address.get("username") or "default", address["password"]]
            self.call("HELLO", 3, *credentials)
            self.call("SELECT", database)
            if is_told:
                self.call("CLIENT", "TRACKING", "ON", "BCAST", "NOLOOP")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the connection."""
        self._reader.close()
        self._socket.close()

    def call(self, *command: Argument) -> Any:
        """Send a command and return what it answers.

        Raises:
            WireError: It answers with an error.
        """
        [answer] = self.call_all([command])
        return answer

    def call_all(self, commands: Iterable[tuple[Argument, ...]]) -> list[Any]:
        """Send commands at once and return what they answer.

        Raises:
            WireError: One of them answers with an error.
        """
        packed = [_pack(command) for command in commands]
        self._socket.sendall(b"".join(packed))
        answers = [self._read_answer() for _ in packed]
        for answer in answers:
            if isinstance(answer, WireError):
                raise answer
        return answers

    def changed_keys(self) -> tuple[list[bytes], bool]:
        """Return the keys that others have changed since the last call, of any database.

        Returns:
            The keys, once each, in the order of the news; and whether there was a flush, which
            names no key.
        """
        self.call("PING")  # The news of what was answered to others is there before this answer.
        changed, is_flushed = list(dict.fromkeys(self._changed)), self._is_flushed
        self._changed, self._is_flushed = [], False
        return changed, is_flushed

    def _read_answer(self) -> Any:
        while True:
            kind, answer = self._read()
            if kind != b">":
                return answer
            if answer[0] == b"invalidate":
                self._is_flushed |= answer[1] is None
                self._changed += answer[1] or ()

    def _read(self) -> tuple[bytes, Any]:
        line = self._reader.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("The server has closed the connection.")
        kind, rest = line[:1], line[1:-2]
        return kind, self._value(kind, rest)

    def _value(self, kind: bytes, rest: bytes) -> Any:
        if kind in _SIMPLE:
            return _SIMPLE[kind](rest)
        if kind in b"$=!":
            return self._read_bulk(kind, int(rest))
        if kind not in b"*>~%":
            raise ConnectionError(f"This is not the protocol of Redis: {kind + rest!r}")
        length = int(rest)
        if length < 0:
            return None
        if kind == b"%":
            return {self._item(): self._item() for _ in range(length)}
        items = [self._item() for _ in range(length)]
        return set(items) if kind == b"~" else items

    def _item(self) -> Any:
        return self._read()[1]

    def _read_bulk(self, kind: bytes, length: int) -> Any:
        if length < 0:
            return None
        data = self._reader.read(length + 2)[:-2]
        return WireError(data.decode(errors="replace")) if kind == b"!" else data


def connect(address: Mapping[str, Any], timeout: float | None = _TIMEOUT_SECONDS) -> socket.socket:
    """Return a socket that is connected to a server."""
    if path := address.get("unix_socket_path"):
        connected = socket.socket(socket.AF_UNIX)
        try:
            connected.settimeout(timeout)
            connected.connect(path)
        except BaseException:
            connected.close()
            raise
        return connected
    connected = socket.create_connection((address["host"], address["port"]), timeout)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if not address.get("ssl"):
        return connected
    return ssl.create_default_context().wrap_socket(connected, server_hostname=address["host"])


def _pack(command: tuple[Argument, ...]) -> bytes:
    parts = [part if isinstance(part, bytes) else str(part).encode() for part in command]
    packed = [b"*%d\r\n" % len(parts)]
    packed += [b"$%d\r\n%s\r\n" % (len(part), part) for part in parts]
    return b"".join(packed)
