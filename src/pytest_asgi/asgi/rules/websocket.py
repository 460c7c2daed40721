"""What an app may send on a WebSocket connection, and when."""

from __future__ import annotations

from enum import IntEnum, auto
from typing import TYPE_CHECKING

from pytest_asgi.asgi.rules.fields import FIELDS
from pytest_asgi.asgi.rules.headers import find_faults, make_readable, read_length
from pytest_asgi.asgi.rules.referee import read_kind
from pytest_asgi.asgi.rules.response import ResponseRules
from pytest_asgi.asgi.rules.shortening import shorten

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_asgi.asgi.types import Message


class WebSocketState(IntEnum):
    """Where a connection is, judged by what the app has sent."""

    CONNECTING = auto()
    CONNECTED = auto()
    DENIAL_STARTED = auto()
    CLOSED = auto()
    CLIENT_GONE = auto()


# Members of an enum are dear to look up, and this one is looked up for every message.
_CONNECTED = WebSocketState.CONNECTED

# The type, and text or bytes.
_PLAIN_KEYS = 2

_MOMENTS: Mapping[WebSocketState, str] = {
    WebSocketState.CONNECTING: "before it accepted the connection",
    WebSocketState.CONNECTED: "after it had accepted the connection",
    WebSocketState.DENIAL_STARTED: "after it had begun to deny the connection",
    WebSocketState.CLOSED: "after the connection was closed",
}

_KINDS = frozenset(kind for kind in FIELDS if kind.startswith("websocket."))
_DENIAL = frozenset(kind for kind in _KINDS if kind.startswith("websocket.http."))
_EXTENSION = "websocket.http.response"

# Which rule a message breaks in which state; every other message is at home there.
_MISPLACED: Mapping[WebSocketState, Mapping[str, str]] = {
    WebSocketState.CONNECTING: {
        "websocket.send": "websocket.send.before-accept",
        "websocket.http.response.body": "http.body.before-start",
    },
    WebSocketState.CONNECTED: {
        "websocket.accept": "websocket.accept.twice",
        **dict.fromkeys(_DENIAL, "websocket.denial.late"),
    },
    WebSocketState.DENIAL_STARTED: {
        **dict.fromkeys(_KINDS - _DENIAL, "websocket.denial.mixed"),
        "websocket.http.response.start": "http.start.twice",
    },
    WebSocketState.CLOSED: dict.fromkeys(_KINDS, "websocket.end.more"),
}

# https://www.rfc-editor.org/rfc/rfc6455#section-7.4, with what has been registered since
_CODES = {*range(1000, 1015), *range(3000, 5000)} - {1004, 1005, 1006}

# A control frame takes 125 bytes, two of them for the code.
_LONGEST_REASON = 123


class WebSocketRules(ResponseRules):
    """The rules of one connection.

    Attributes:
        state: Where the connection is.
    """

    state = WebSocketState.CONNECTING

    def check(self, message: Message) -> bool:
        """Take note of a message that the app sends.

        Returns:
            Whether to act on it: a lenient server drops what comes at the wrong moment, and
            what it cannot read.

        Raises:
            ProtocolError: The message breaks a rule, and the mode is `error` or `strict`.
        """
        __tracebackhide__ = True
        # First the message that apps send most, and that certainly keeps every rule.
        if (
            self.state is _CONNECTED
            and message.__class__ is dict
            and len(message) == _PLAIN_KEYS
            and message.get("type") == "websocket.send"
            and (message.get("text").__class__ is str or message.get("bytes").__class__ is bytes)
        ):
            return True
        return self._look_closely(message)

    def check_return(self) -> None:
        """Take note that the app has returned.

        Raises:
            ProtocolError: The connection was left without an answer, and the mode is `error` or
                `strict`.
        """
        __tracebackhide__ = True
        if self.state is WebSocketState.CONNECTING:
            what = "The app returned without accepting or closing the connection."
            self._report("websocket.end.no-answer", what)
        elif self.state is WebSocketState.DENIAL_STARTED:
            what = "The app returned before the response that denies the connection was complete."
            self._report("http.end.no-end", what)

    def disconnect(self) -> None:
        """Take note that the client has gone: what the app leaves undone is no fault now."""
        if self.state is not WebSocketState.CLOSED:
            self.state = WebSocketState.CLIENT_GONE

    def _look_closely(self, message: Message) -> bool:
        __tracebackhide__ = True
        if self.state is WebSocketState.CLIENT_GONE:
            return False
        kind = read_kind(message)
        if self._is_of_unknown_extension(kind):
            return False
        if kind not in _KINDS:
            expected = _KINDS - _MISPLACED[self.state].keys()
            self._refuse_strange(message, _MOMENTS[self.state], expected)
            return False
        if not (self._is_offered(kind, message) and self._is_timely(kind, message)):
            return False
        make_readable(message)
        # A refusal is sent as a response of HTTP, so nothing has to be able to send its reason.
        ignored = "reason" if self.state is WebSocketState.CONNECTING else ""
        is_usable = self._check_fields(kind, message, ignored=ignored)
        if not (is_usable and self._is_readable(kind, message)):
            return False
        self._check_content(kind, message)
        self._advance(kind, message)
        return True

    def _is_offered(self, kind: str, message: Message) -> bool:
        """Tell whether the client knows this kind of message; report one that it does not."""
        __tracebackhide__ = True
        if kind in _DENIAL and _EXTENSION not in (self._scope.get("extensions") or ()):
            what = f"The app sent {kind!r}, which this client does not offer."
            self._report("message.extension", what, message)
            return False
        return True

    def _is_timely(self, kind: str, message: Message) -> bool:
        """Tell whether a message comes at the right moment; report one that does not."""
        __tracebackhide__ = True
        rule = _MISPLACED[self.state].get(kind)
        if rule is not None:
            self._report(rule, f"The app sent {kind!r} {_MOMENTS[self.state]}.", message)
        return rule is None

    def _is_readable(self, kind: str, message: Message) -> bool:
        """Tell whether there is one thing to send; report anything else."""
        __tracebackhide__ = True
        if kind != "websocket.send":
            return True
        is_text, is_bytes = (message.get(name) is not None for name in ("text", "bytes"))
        if is_text is not is_bytes:
            return True
        what = "with 'text' and 'bytes'" if is_text else "with neither 'text' nor 'bytes'"
        self._report("websocket.send.content", f"The app sent {kind!r} {what}.", message)
        return False

    def _check_content(self, kind: str, message: Message) -> None:
        """Report what is wrong with a message that can be acted on all the same."""
        __tracebackhide__ = True
        self._report_faults(kind, find_faults(message.get("headers", ())), message)
        if kind == "websocket.accept":
            self._check_accept(message)
        elif kind == "websocket.close":
            self._check_close(message)
        elif kind == "websocket.http.response.start":
            self._check_start(message)
        elif kind == "websocket.http.response.body":
            self._check_length(message)

    def _check_accept(self, message: Message) -> None:
        __tracebackhide__ = True
        chosen = message.get("subprotocol")
        offered = self._scope.get("subprotocols") or ()
        if chosen is not None and chosen not in offered:
            names = ", ".join(map(repr, offered)) or "none"
            what = f"The app chose the subprotocol {chosen!r}; the client offered {names}."
            self._report("websocket.accept.subprotocol-offered", what, message)
        if any(
            name.lower() == b"sec-websocket-protocol" for name, _ in message.get("headers", ())
        ):
            what = "The app accepted a connection with a header 'sec-websocket-protocol'."
            self._report("websocket.accept.protocol-header", what, message)

    def _check_close(self, message: Message) -> None:
        __tracebackhide__ = True
        code = message.get("code", 1000)
        if code not in _CODES:
            what = f"The app closed a connection with the code {code:d}."
            self._report("websocket.close.code-range", what, message)
        reason = message.get("reason") or ""
        if self.state is WebSocketState.CONNECTING:
            if not isinstance(reason, str):
                what = f"The app refused a connection with the reason {shorten(reason)}."
                self._report("websocket.close.unsent-reason", what, message)
            return
        size = len(reason.encode())
        if size > _LONGEST_REASON:
            what = f"The app closed a connection with a reason of {size} bytes."
            self._report("websocket.close.reason-length", what, message)

    def _advance(self, kind: str, message: Message) -> None:
        if kind == "websocket.accept":
            self.state = WebSocketState.CONNECTED
        elif kind == "websocket.close":
            self.state = WebSocketState.CLOSED
        elif kind == "websocket.http.response.start":
            self.state = WebSocketState.DENIAL_STARTED
            self._expect_body(message["status"], read_length(message.get("headers", ())))
        elif kind == "websocket.http.response.body":
            self._note_part(message)
            if not message.get("more_body"):
                self.state = WebSocketState.CLOSED
