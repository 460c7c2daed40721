"""The messages of PostgreSQL's protocol: https://www.postgresql.org/docs/current/protocol.html."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import socket

PROTOCOL = 196608
CANCEL, TLS, GSS = 80877102, 80877103, 80877104

_RECEIVE_BYTES = 65536


class Message(NamedTuple):
    """One message, without its length."""

    kind: bytes
    body: bytes = b""

    def encode(self) -> bytes:
        """Return the bytes on the wire."""
        return self.kind + struct.pack("!i", len(self.body) + 4) + self.body


class Reader:
    """Reads messages from a socket."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = bytearray()

    def read(self) -> Message | None:
        """Return the next message; `None` at the end."""
        head = self._take(5)
        if head is None:
            return None
        body = self._take(struct.unpack("!i", head[1:])[0] - 4)
        return None if body is None else Message(head[:1], body)

    def read_first(self) -> tuple[int, bytes] | None:
        """Return the code and the rest of a message that begins a connection."""
        head = self._take(8)
        if head is None:
            return None
        size, code = struct.unpack("!ii", head)
        rest = self._take(size - 8)
        return None if rest is None else (code, rest)

    def _take(self, size: int) -> bytes | None:
        while len(self._buffer) < size:
            received = self._connection.recv(_RECEIVE_BYTES)
            if not received:
                return None
            self._buffer += received
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken


def split_texts(body: bytes, count: int) -> tuple[list[str], bytes]:
    """Return the first texts of a message, each of which ends with a zero, and the rest."""
    *texts, rest = body.split(b"\0", count)
    return [text.decode() for text in texts], rest


def texts(*values: str) -> bytes:
    """Return texts as messages hold them."""
    return b"".join(value.encode() + b"\0" for value in values)


def error(code: str, message: str, hint: str = "") -> Message:
    """Return the message of an error."""
    fields = {"S": "ERROR", "V": "ERROR", "C": code, "M": message, "H": hint}
    body = b"".join(key.encode() + texts(value) for key, value in fields.items() if value)
    return Message(b"E", body + b"\0")


def code_of(body: bytes) -> str:
    """Return the code of an error."""
    fields = body.split(b"\0")
    return next((field[1:].decode() for field in fields if field.startswith(b"C")), "")
