"""What an app may send in answer to a request, and when."""

from __future__ import annotations

from enum import IntEnum, auto
from pathlib import PurePath
from typing import TYPE_CHECKING

from pytest_asgi.asgi.rules.fields import FIELDS
from pytest_asgi.asgi.rules.headers import (
    NO_LENGTH,
    find_faults,
    find_forbidden_trailers,
    make_readable,
    read_length,
    read_plain_length,
)
from pytest_asgi.asgi.rules.referee import read_kind
from pytest_asgi.asgi.rules.response import WITHOUT_CONTENT, ResponseRules

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_asgi.asgi.types import Message


class State(IntEnum):
    """Where a response is, judged by what the app has sent."""

    RESPONSE_AWAITED = auto()
    RESPONSE_STARTED = auto()
    TRAILERS_AWAITED = auto()
    RESPONSE_COMPLETE = auto()
    CLIENT_GONE = auto()


# Members of an enum are dear to look up, and these are looked up for every message.
_AWAITED = State.RESPONSE_AWAITED
_STARTED = State.RESPONSE_STARTED
_COMPLETE = State.RESPONSE_COMPLETE

_MOMENTS: Mapping[State, str] = {
    State.RESPONSE_AWAITED: "before the response started",
    State.RESPONSE_STARTED: "after the response started",
    State.TRAILERS_AWAITED: "after the body was complete",
    State.RESPONSE_COMPLETE: "after the response was complete",
}

_KINDS = frozenset(kind for kind in FIELDS if kind.startswith("http."))
_EXTENSIONS = _KINDS - {"http.response.start", "http.response.body"}

# Which rule a message breaks in which state; every other message is at home there.
_MISPLACED: Mapping[State, Mapping[str, str]] = {
    State.RESPONSE_AWAITED: {
        "http.response.body": "http.body.before-start",
        "http.response.zerocopysend": "http.body.before-start",
        "http.response.pathsend": "http.body.before-start",
        "http.response.trailers": "http.body.before-start",
    },
    State.RESPONSE_STARTED: {
        "http.response.start": "http.start.twice",
        "http.response.trailers": "http.trailers.early",
        "http.response.debug": "http.debug.late",
    },
    State.TRAILERS_AWAITED: dict.fromkeys(_KINDS - {"http.response.trailers"}, "http.end.more"),
    State.RESPONSE_COMPLETE: dict.fromkeys(_KINDS, "http.end.more"),
}

_UNFINISHED: Mapping[State, tuple[str, str]] = {
    State.RESPONSE_AWAITED: ("http.end.no-start", "The app returned without a response."),
    State.RESPONSE_STARTED: (
        "http.end.no-end",
        "The app returned before its response was complete.",
    ),
    State.TRAILERS_AWAITED: (
        "http.end.no-trailers",
        "The app returned without the trailers that it announced.",
    ),
}


def find_plain_length(start: Message) -> int | None:
    """Return the content-length of a start that certainly keeps every rule; `None` for others.

    Returns:
        `NO_LENGTH` if there is no content-length.
    """
    status = start.get("status")
    if (
        status.__class__ is not int
        or not 200 <= status < 600  # noqa: PLR2004 - the classes of statuses
        or status in WITHOUT_CONTENT
        or "trailers" in start
    ):
        return None
    return read_plain_length(start.get("headers", ()))


class HTTPRules(ResponseRules):
    """The rules of one exchange.

    Attributes:
        state: Where the response is.
    """

    state = _AWAITED
    _has_body = False
    _has_debug = False
    _has_trailers = False

    def check(self, message: Message) -> bool:
        """Take note of a message that the app sends.

        Returns:
            Whether to act on it: a lenient server drops what comes at the wrong moment, and
            what it cannot read.

        Raises:
            ProtocolError: The message breaks a rule, and the mode is `error` or `strict`.
        """
        __tracebackhide__ = True
        # First what nearly every app sends, and what certainly keeps every rule. A body without
        # a call, which would cost as much as the work. All else is looked at closely.
        if message.__class__ is dict and self._mode != "strict":
            kind = message.get("type")
            if kind == "http.response.body":
                body = message.get("body", b"")
                more = message.get("more_body", False)
                if (
                    self.state is _STARTED
                    and body.__class__ is bytes
                    and more.__class__ is bool
                    and not self._has_trailers
                ):
                    left = self._left
                    if left is not None:
                        left -= len(body)
                        if left < 0 or (left and not more):
                            return self._look_closely(message)
                        self._left = left
                    if more:
                        self._has_body = True
                    else:
                        self.state = _COMPLETE
                    return True
            elif kind == "http.response.start" and self._take_plain_start(message):
                return True
        return self._look_closely(message)

    def _take_plain_start(self, message: Message) -> bool:
        """Take a start that certainly keeps every rule; leave others to the close look."""
        if self.state is not _AWAITED:
            return False
        length = find_plain_length(message)
        if length is None:
            return False
        self.state = _STARTED
        if self._scope["method"] != "HEAD":
            self.expect(length)
        return True

    def expect(self, length: int) -> None:
        """Take note of how long the body is to be; `NO_LENGTH` if that is not known."""
        self._left = None if length == NO_LENGTH else length

    def check_return(self) -> None:
        """Take note that the app has returned.

        Raises:
            ProtocolError: Its response is not complete, and the mode is `error` or `strict`.
        """
        __tracebackhide__ = True
        if self.state in _UNFINISHED:
            self._report(*_UNFINISHED[self.state])

    def disconnect(self) -> None:
        """Take note that the client has gone: a response that is not complete is no fault now."""
        if self.state is not _COMPLETE:
            self.state = State.CLIENT_GONE

    # --- the close look ------------------------------------------------------------------------

    def _look_closely(self, message: Message) -> bool:
        __tracebackhide__ = True
        if self.state is State.CLIENT_GONE:
            return False
        kind = read_kind(message)
        if self._is_of_unknown_extension(kind):
            return False
        if kind not in _KINDS:
            expected = _KINDS - _EXTENSIONS | self._offered()
            expected -= _MISPLACED[self.state].keys()
            self._refuse_strange(message, _MOMENTS[self.state], expected)
            return False
        if not (self._is_offered(kind, message) and self._is_timely(kind, message)):
            return False
        make_readable(message)
        if not self._check_fields(kind, message):
            return False
        self._check_content(kind, message)
        self._advance(kind, message)
        return True

    def _offered(self) -> frozenset[str]:
        return _EXTENSIONS.intersection(self._scope.get("extensions") or ())

    def _is_offered(self, kind: str, message: Message) -> bool:
        """Tell whether the client knows this kind of message; report one that it does not."""
        __tracebackhide__ = True
        if kind in _EXTENSIONS and kind not in self._offered():
            what = f"The app sent {kind!r}, which this client does not offer."
            self._report("message.extension", what, message)
            return False
        return True

    def _is_timely(self, kind: str, message: Message) -> bool:
        """Tell whether a message comes at the right moment; report one that does not."""
        __tracebackhide__ = True
        rule = _MISPLACED[self.state].get(kind)
        if kind == "http.response.trailers" and self.state is not _AWAITED:
            rule = rule if self._has_trailers else "http.trailers.announced"
        elif kind == "http.response.debug" and self._has_debug:
            rule = rule or "http.debug.twice"
        elif kind == "http.response.pathsend" and self._has_body:
            rule = rule or "http.pathsend.mixed"
        if rule is not None:
            self._report(rule, f"The app sent {kind!r} {_MOMENTS[self.state]}.", message)
        return rule is None

    def _check_content(self, kind: str, message: Message) -> None:
        """Report what is wrong with a message that can be acted on all the same."""
        __tracebackhide__ = True
        headers = message.get("headers", ())
        self._report_faults(kind, find_faults(headers), message)
        if kind == "http.response.start":
            self._check_start(message)
            self._check_announcement(message)
        elif kind == "http.response.body":
            self._check_length(message)
        elif kind == "http.response.trailers":
            self._report_faults(kind, find_forbidden_trailers(headers), message)
        elif kind == "http.response.pathsend" and not PurePath(message["path"]).is_absolute():
            what = f"The app sent {kind!r} with the relative path {message['path']!r}."
            self._report("http.pathsend.absolute", what, message)

    def _check_announcement(self, message: Message) -> None:
        __tracebackhide__ = True
        if message.get("trailers") and "http.response.trailers" not in self._offered():
            what = "The app announced trailers, which this client does not offer to take."
            self._report("http.start.trailers-offered", what, message)

    # --- what a message changes ----------------------------------------------------------------

    def _advance(self, kind: str, message: Message) -> None:
        if kind == "http.response.start":
            self.state = _STARTED
            self._has_trailers = (
                bool(message.get("trailers")) and "http.response.trailers" in self._offered()
            )
            self._expect_body(message["status"], read_length(message.get("headers", ())))
        elif kind == "http.response.debug":
            self._has_debug = True
        elif kind == "http.response.trailers":
            self.state = self.state if message.get("more_trailers") else _COMPLETE
        elif kind == "http.response.pathsend":
            self._end_body()
        elif kind in {"http.response.body", "http.response.zerocopysend"}:
            self._extend_body(kind, message)

    def _extend_body(self, kind: str, message: Message) -> None:
        self._has_body = True
        if kind == "http.response.body":
            self._note_part(message)
        else:
            self._left = None  # How much of the file there is, is the server's to find out.
        if not message.get("more_body"):
            self._end_body()

    def _end_body(self) -> None:
        self.state = State.TRAILERS_AWAITED if self._has_trailers else _COMPLETE
