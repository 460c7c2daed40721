"""The start and the body of a response: one to a request, or one that denies a WebSocket."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_asgi.asgi.modes import rules_mode
from pytest_asgi.asgi.rules.fields import FIELDS
from pytest_asgi.asgi.rules.headers import NO_LENGTH, read_length
from pytest_asgi.asgi.rules.referee import Referee

if TYPE_CHECKING:
    from pytest_asgi.asgi.modes import Mode
    from pytest_asgi.asgi.types import Message, Scope

# Those of the specification; nearly all are called like their messages.
_EXTENSIONS = frozenset({*FIELDS, "websocket.http.response", "tls"})

WITHOUT_CONTENT = frozenset({204, 205, 304})


class ResponseRules(Referee):
    """What the status and the headers of a response say about its body.

    Args:
        scope: The scope of the request, or of the connection.
        mode: How loud a broken rule is; `None` for what the context says.
    """

    _left: int | None = None  # how many bytes of the body are still to come, if that is known
    _is_without_content = False

    def __init__(self, scope: Scope, mode: Mode | None = None) -> None:
        self._scope = scope
        self._mode = rules_mode.get() if mode is None else mode  # `super` costs as much again

    def _is_of_unknown_extension(self, kind: str) -> bool:
        """Tell whether a message may belong to an extension that only its client knows."""
        # https://asgi.readthedocs.io/en/latest/specs/main.html#extensions
        offered = self._scope.get("extensions") or ()
        return bool(kind) and kind not in FIELDS and not _EXTENSIONS.issuperset(offered)

    def _check_start(self, message: Message) -> None:
        """Report what is wrong with a start whose fields are of the right types."""
        __tracebackhide__ = True
        status = message["status"]
        what = f"The app started a response with the status {status:d}"
        if not 100 <= status < 600:  # noqa: PLR2004 - the classes of statuses
            self._report("http.start.status-range", f"{what}.", message)
        elif status < 200:  # noqa: PLR2004
            self._report("http.start.status-interim", f"{what}.", message)
        length = read_length(message.get("headers", ()))
        if status == 204 and length != NO_LENGTH:  # noqa: PLR2004
            what = f"{what} and the content-length {length}."
            self._report("header.content-length-without-content", what, message)

    def _check_length(self, message: Message) -> None:
        """Report a body that is not as long as the start said."""
        __tracebackhide__ = True
        if self._left is None:
            return
        left = self._left - _size(message)
        if left < 0 and self._is_without_content:
            what = "The app sent a body in a response without content."
            self._report("http.body.without-content", what, message)
        elif left < 0:
            extra = _count_bytes(-left)
            what = f"The app sent a body that is {extra} longer than its content-length."
            self._report("http.body.too-long", what, message)
        elif left and not message.get("more_body"):
            what = f"The app ended a body {_count_bytes(left)} before its content-length."
            self._report("http.body.too-short", what, message)

    def _expect_body(self, status: int, length: int) -> None:
        """Note how long the body will be, where that follows from status and headers."""
        # The answer to HEAD has the headers of the answer to GET, with or without its body.
        if self._scope.get("method") == "HEAD":
            return
        if status in WITHOUT_CONTENT:
            self._is_without_content = True
            self._left = 0
        elif length != NO_LENGTH:
            self._left = length

    def _note_part(self, message: Message) -> None:
        """Count a part of the body."""
        if self._left is not None:
            self._left = max(0, self._left - _size(message))


def _size(message: Message) -> int:
    body = message.get("body", b"")
    return body.nbytes if isinstance(body, memoryview) else len(body)


def _count_bytes(number: int) -> str:
    return "1 byte" if number == 1 else f"{number} bytes"
