"""The values of keys as Python has them: text where it is text, else bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_asgi.adapters.redis.wire import Wire

KINDS = ("string", "hash", "list", "set", "zset", "stream")


def read(wire: Wire, key: bytes, lifetime: int) -> tuple[str, dict[str, Any]] | None:
    """Return the kind of a key and its row; `None` if there is no such key.

    Args:
        wire: Where to read it.
        key: Its name.
        lifetime: How many milliseconds it has left; negative if it does not expire.
    """
    kind = wire.call("TYPE", key).decode()
    if kind == "none":
        return None
    row = {"key": decode(key), "value": _READ.get(kind, _packed)(wire, key)}
    if lifetime >= 0:
        row["ttl"] = -(-lifetime // 1000)  # As the app has set it, if that was just now.
    return kind, row


def encode(text: Any) -> bytes:
    """Return what Redis stores for a text, a number or bytes."""
    return text if isinstance(text, bytes) else str(text).encode()


def decode(stored: Any) -> Any:
    """Return text for bytes that are text, and everything else as it is."""
    if isinstance(stored, bytes):
        try:
            return stored.decode()
        except UnicodeDecodeError:
            return stored
    return stored


def _string(wire: Wire, key: bytes) -> Any:
    return decode(wire.call("GET", key))


def _hash(wire: Wire, key: bytes) -> dict[Any, Any]:
    found = wire.call("HGETALL", key)
    return {decode(name): decode(value) for name, value in found.items()}


def _list(wire: Wire, key: bytes) -> list[Any]:
    return [decode(each) for each in wire.call("LRANGE", key, 0, -1)]


def _set(wire: Wire, key: bytes) -> set[Any]:
    return {decode(each) for each in wire.call("SMEMBERS", key)}


def _zset(wire: Wire, key: bytes) -> dict[Any, float]:
    return {decode(name): score for name, score in wire.call("ZRANGE", key, 0, -1, "WITHSCORES")}


def _stream(wire: Wire, key: bytes) -> list[tuple[str, dict[Any, Any]]]:
    entries = []
    for identity, fields in wire.call("XRANGE", key, "-", "+"):
        pairs = zip(fields[::2], fields[1::2], strict=True)
        named = {decode(name): decode(value) for name, value in pairs}
        entries.append((identity.decode(), named))
    return entries


def _packed(wire: Wire, key: bytes) -> Any:
    """Return the value of a kind that a module has brought."""
    return wire.call("DUMP", key)


_READ: dict[str, Callable[[Wire, bytes], Any]] = {
    "string": _string,
    "hash": _hash,
    "list": _list,
    "set": _set,
    "zset": _zset,
    "stream": _stream,
}
