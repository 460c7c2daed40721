"""What an app may send about its startup and shutdown, and when."""

from __future__ import annotations

from enum import IntEnum, auto
from typing import TYPE_CHECKING

from pytest_asgi.asgi.rules.fields import FIELDS
from pytest_asgi.asgi.rules.referee import Referee, read_kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_asgi.asgi.types import Message


class LifespanState(IntEnum):
    """Where a lifespan is, judged by what was asked and what the app has sent."""

    STARTUP_AWAITED = auto()
    STARTUP_COMPLETE = auto()
    STARTUP_FAILED = auto()
    SHUTDOWN_AWAITED = auto()
    SHUTDOWN_COMPLETE = auto()
    SHUTDOWN_FAILED = auto()


_MOMENTS: Mapping[LifespanState, str] = {
    LifespanState.STARTUP_AWAITED: "as the answer to 'lifespan.startup'",
    LifespanState.STARTUP_COMPLETE: "while nothing was asked, after startup",
    LifespanState.STARTUP_FAILED: "after startup failed",
    LifespanState.SHUTDOWN_AWAITED: "as the answer to 'lifespan.shutdown'",
    LifespanState.SHUTDOWN_COMPLETE: "after shutdown",
    LifespanState.SHUTDOWN_FAILED: "after shutdown failed",
}

_KINDS = frozenset(kind for kind in FIELDS if kind.startswith("lifespan."))

_ANSWERS: Mapping[LifespanState, Mapping[str, LifespanState]] = {
    LifespanState.STARTUP_AWAITED: {
        "lifespan.startup.complete": LifespanState.STARTUP_COMPLETE,
        "lifespan.startup.failed": LifespanState.STARTUP_FAILED,
    },
    LifespanState.SHUTDOWN_AWAITED: {
        "lifespan.shutdown.complete": LifespanState.SHUTDOWN_COMPLETE,
        "lifespan.shutdown.failed": LifespanState.SHUTDOWN_FAILED,
    },
}

_UNANSWERED: Mapping[LifespanState, tuple[str, str]] = {
    LifespanState.STARTUP_AWAITED: (
        "lifespan.startup.no-answer",
        "The app received 'lifespan.startup' and returned without an answer.",
    ),
    LifespanState.SHUTDOWN_AWAITED: (
        "lifespan.shutdown.no-answer",
        "The app received 'lifespan.shutdown' and returned without an answer.",
    ),
}


class LifespanRules(Referee):
    """The rules of one lifespan.

    Attributes:
        state: Where the lifespan is.
    """

    state = LifespanState.STARTUP_AWAITED

    def ask_shutdown(self) -> None:
        """Take note that the app is asked to shut down."""
        self.state = LifespanState.SHUTDOWN_AWAITED

    def check(self, message: Message) -> bool:
        """Take note of a message that the app sends.

        Returns:
            Whether to act on it: a lenient server drops what comes at the wrong moment, and
            what it cannot read.

        Raises:
            ProtocolError: The message breaks a rule, and the mode is `error` or `strict`.
        """
        __tracebackhide__ = True
        answers = _ANSWERS.get(self.state, {})
        kind = read_kind(message)
        if kind not in _KINDS:
            self._refuse_strange(message, _MOMENTS[self.state], answers)
            return False
        if kind not in answers:
            rule = "lifespan.answer.other" if answers else "lifespan.answer.twice"
            self._report(rule, f"The app sent {kind!r} {_MOMENTS[self.state]}.", message)
            return False
        if self._check_fields(kind, message):
            self.state = answers[kind]
            return True
        return False

    def check_return(self) -> None:
        """Take note that the app has returned after it received what it was asked.

        Raises:
            ProtocolError: It owes an answer, and the mode is `error` or `strict`.
        """
        __tracebackhide__ = True
        if self.state in _UNANSWERED:
            self._report(*_UNANSWERED[self.state])
