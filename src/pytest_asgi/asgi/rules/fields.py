"""What each message may hold: its fields, as a table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

MISSING: Any = object()
_NO = False  # the default of a flag


class Field(NamedTuple):
    """One field of a message.

    Attributes:
        default: The value of a field that is left out; `MISSING` if it must not be.
        rule: What a value that does not hold breaks.
        is_read_by_truth: Whether servers understand every value, as they do for flags.
    """

    name: str
    default: Any
    holds: Callable[[Any], bool]
    rule: str
    is_read_by_truth: bool = False


def is_bytes(value: object) -> bool:
    """Tell whether servers can write `value`: they take every kind of bytes."""
    # Frameworks rely on it for slices of large bodies.
    return isinstance(value, (bytes, bytearray, memoryview))


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_bool(value: object) -> bool:
    return isinstance(value, bool)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_text_or_none(value: object) -> bool:
    return value is None or isinstance(value, str)


def _is_bytes_or_none(value: object) -> bool:
    return value is None or is_bytes(value)


def _are_bytes(value: object) -> bool:
    return (
        isinstance(value, Iterable)
        and not isinstance(value, (str, bytes))
        and all(isinstance(each, bytes) for each in value)
    )


def _are_pairs(value: Any) -> bool:
    try:
        return all(
            isinstance(name, bytes) and isinstance(content, bytes) for name, content in value
        )
    except (TypeError, ValueError):
        return False


def _is_dict(value: object) -> bool:
    return isinstance(value, Mapping)


def _has_descriptor(value: Any) -> bool:
    try:
        return _is_integer(value.fileno())
    except (AttributeError, OSError):  # a file in memory raises the latter
        return False


_HEADERS = Field("headers", (), _are_pairs, "header.pairs")
_START = (
    Field("status", MISSING, _is_integer, "http.start.status"),
    _HEADERS,
    Field("trailers", _NO, _is_bool, "http.start.trailers", is_read_by_truth=True),
)
_MORE_BODY = Field("more_body", _NO, _is_bool, "http.body.more", is_read_by_truth=True)
_BODY = (Field("body", b"", is_bytes, "http.body.bytes"), _MORE_BODY)
_FAILED = (Field("message", "", _is_text, "lifespan.failed.message"),)

FIELDS: Mapping[str, tuple[Field, ...]] = {
    # https://asgi.readthedocs.io/en/latest/specs/www.html
    "http.response.start": _START,
    "http.response.body": _BODY,
    "websocket.accept": (
        Field("subprotocol", None, _is_text_or_none, "websocket.accept.subprotocol"),
        _HEADERS,
    ),
    "websocket.send": (
        Field("bytes", None, _is_bytes_or_none, "websocket.send.bytes"),
        Field("text", None, _is_text_or_none, "websocket.send.text"),
    ),
    "websocket.close": (
        Field("code", 1000, _is_integer, "websocket.close.code"),
        Field("reason", None, _is_text_or_none, "websocket.close.reason"),
    ),
    # https://asgi.readthedocs.io/en/latest/extensions.html
    "websocket.http.response.start": _START[:2],
    "websocket.http.response.body": _BODY,
    "http.response.push": (Field("path", MISSING, _is_text, "http.push.path"), _HEADERS),
    "http.response.zerocopysend": (
        Field("file", MISSING, _has_descriptor, "http.zerocopysend.file"),
        Field("offset", 0, _is_integer, "http.zerocopysend.part"),
        Field("count", 0, _is_integer, "http.zerocopysend.part"),
        _MORE_BODY,
    ),
    "http.response.pathsend": (Field("path", MISSING, _is_text, "http.pathsend.path"),),
    "http.response.early_hint": (Field("links", MISSING, _are_bytes, "http.early-hint.links"),),
    "http.response.trailers": (
        _HEADERS,
        Field("more_trailers", _NO, _is_bool, "http.trailers.more", is_read_by_truth=True),
    ),
    "http.response.debug": (Field("info", MISSING, _is_dict, "http.debug.info"),),
    # https://asgi.readthedocs.io/en/latest/specs/lifespan.html
    "lifespan.startup.complete": (),
    "lifespan.startup.failed": _FAILED,
    "lifespan.shutdown.complete": (),
    "lifespan.shutdown.failed": _FAILED,
}
