"""The headers of a message: a quick look that suffices for nearly all, and a close one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_asgi.asgi.rules.shortening import shorten
from pytest_asgi.asgi.rules.tables import RULES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_asgi.asgi.types import Message

NO_LENGTH = -1

_NUL, _LF, _CR = b"\0\n\r"
_MOST_DIGITS = 19

# https://www.rfc-editor.org/rfc/rfc9110#section-5.6.2
_TOKEN = frozenset(b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz")

# https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1
_OF_THE_CONNECTION = frozenset({b"connection", b"keep-alive", b"proxy-connection", b"upgrade"})
# As apps write it; any other mixture of case gets the close look.
_LENGTH = frozenset({b"content-length", b"Content-Length"})
_FRAMING = frozenset({b"content-length", b"transfer-encoding"})

# https://www.rfc-editor.org/rfc/rfc9110#section-6.5.1
_NOT_IN_TRAILERS = _FRAMING | {
    b"authorization",
    b"cache-control",
    b"content-encoding",
    b"content-range",
    b"content-type",
    b"host",
    b"set-cookie",
    b"te",
    b"trailer",
    b"www-authenticate",
}


class Fault(NamedTuple):
    """A rule that a header breaks, and how: the end of a sentence about the message."""

    rule: str
    what: str


# Headers that break no rule but advice, with the content-length that they say. Apps use the same
# few, and what an app says of a length is often said before.
_known: dict[tuple[bytes, bytes], int] = {}
_MOST_KNOWN = 1024
_LONGEST_KNOWN = 256


def read_plain_length(headers: Any) -> int | None:
    """Return the content-length of headers that break no rule but advice, else None.

    All of them are tuples, then.

    Returns:
        `NO_LENGTH` if the headers are fine and have no content-length.
    """
    if headers.__class__ is not list and headers.__class__ is not tuple:
        return None  # perhaps something that can be read once only
    length = NO_LENGTH
    try:
        # This runs for every response: a loop, because a generator costs more than the work.
        for header in headers:
            known = _known[header]
            if header[1].__class__ is not bytes:  # A memoryview may be equal to bytes.
                return None
            if known != NO_LENGTH:
                if length != NO_LENGTH:
                    return None
                length = known
    except (KeyError, TypeError):
        return _read_unknown_length(headers)
    return length


def _read_unknown_length(headers: list[Any] | tuple[Any, ...]) -> int | None:
    """Do the same, and remember the headers for the next time."""
    lengths: list[int] = []
    for header in headers:
        if header.__class__ is not tuple or len(header) != 2:  # noqa: PLR2004 - a pair
            return None
        length = _judge(*header)
        if length is None:
            return None
        if length != NO_LENGTH:
            lengths.append(length)
        if len(header[1]) <= _LONGEST_KNOWN:
            if len(_known) >= _MOST_KNOWN:
                _known.clear()
            _known[header] = length
    return None if len(lengths) > 1 else sum(lengths) if lengths else NO_LENGTH


def _judge(name: object, value: object) -> int | None:
    """Return what a header says of the length, or None if it may break a rule."""
    if name.__class__ is not bytes or value.__class__ is not bytes:
        return None
    assert isinstance(name, bytes)
    assert isinstance(value, bytes)
    if name in _LENGTH:
        return int(value) if _is_length(value) else None
    faults = [*_faults_in_name(name), *_faults_in_value(name, value)]
    is_plain = name.lower() not in _FRAMING and all(
        RULES[fault.rule].severity == "advice" for fault in faults
    )
    return NO_LENGTH if is_plain else None


def read_length(headers: Iterable[tuple[bytes, bytes]]) -> int:
    """Return the content-length that a lenient server goes by."""
    for name, value in headers:
        if name.lower() == b"content-length" and _is_length(value):
            return int(value)
    return NO_LENGTH


def make_readable(message: Message) -> None:
    """Let the headers of a message be read more than once."""
    # The specification allows any iterable, so also one that checking would use up.
    headers = message.get("headers")
    if isinstance(headers, Iterator):
        message["headers"] = list(headers)


def _is_length(value: bytes) -> bool:
    # No body has a length of more digits, and `int` is slow with them, or refuses.
    return value.isdigit() and len(value) <= _MOST_DIGITS


def find_faults(headers: Iterable[tuple[bytes, bytes]]) -> Iterator[Fault]:
    """Yield the faults of headers that are pairs of bytes."""
    lengths = []
    is_chunked = False
    for name, value in headers:
        yield from _faults_in_name(name)
        yield from _faults_in_value(name, value)
        if name.lower() == b"content-length":
            lengths.append(value)
        is_chunked = is_chunked or name.lower() == b"transfer-encoding"
    yield from _faults_in_lengths(lengths, is_chunked=is_chunked)


def find_forbidden_trailers(headers: Iterable[tuple[bytes, bytes]]) -> Iterator[Fault]:
    """Yield the faults of headers that come too late."""
    for name, _ in headers:
        if name.lower() in _NOT_IN_TRAILERS:
            yield Fault("http.trailers.field", f"whose trailers hold {shorten(name)}")


def _faults_in_name(name: bytes) -> Iterator[Fault]:
    if name.startswith(b":"):
        yield Fault("header.name-pseudo", f"whose headers hold {shorten(name)}")
    elif not name or not _TOKEN.issuperset(name.lower()):
        yield Fault("header.name-characters", f"whose headers hold the name {shorten(name)}")
    elif name != name.lower():
        yield Fault("header.name-lowercase", f"whose headers hold {shorten(name)}")


def _faults_in_value(name: bytes, value: bytes) -> Iterator[Fault]:
    if any(character in value for character in (_NUL, _LF, _CR)):
        yield Fault("header.value-characters", f"whose header {shorten(name)} is {shorten(value)}")
    elif value != value.strip(b" \t"):
        yield Fault("header.value-whitespace", f"whose header {shorten(name)} is {shorten(value)}")
    if name.lower() in _OF_THE_CONNECTION:
        yield Fault("header.connection", f"whose headers hold {shorten(name)}")


def _faults_in_lengths(lengths: list[bytes], *, is_chunked: bool) -> Iterator[Fault]:
    for length in lengths:
        if not _is_length(length):
            yield Fault(
                "header.content-length-number", f"whose content-length is {shorten(length)}"
            )
    if len(set(lengths)) > 1:
        values = " and ".join(map(shorten, lengths))
        yield Fault("header.content-length-conflict", f"whose content-length is {values}")
    if lengths and is_chunked:
        what = "whose headers hold a content-length and a transfer-encoding"
        yield Fault("header.content-length-chunked", what)
