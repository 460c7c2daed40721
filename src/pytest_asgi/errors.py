"""Every error and warning that pytest-asgi raises, as one tree.

```
AsgiError                   what happened, why, what to change
├── AppError                the app, or where to find it
│   ├── AppNotFoundError    no app was named and none was found
│   ├── LifespanError       start-up or shutdown failed without an exception of the app's own
│   └── ProtocolError       the app broke a rule of the ASGI specification
├── RunnerError             how a test or a fixture is run
│   ├── BlockedLoopError    code that does not wait has kept the loop from going on
│   ├── BridgeError         synchronous code cannot wait for a coroutine here
│   ├── CancelledTestError  something cancelled the test while it was waiting
│   ├── ClockError          the time cannot be controlled here
│   ├── DeadlockError       a test waits for what cannot happen any more
│   ├── FixtureError        an async fixture that yields never or twice, or died while in use
│   ├── HungTestError       a test takes longer than `asgi_timeout` allows
│   └── LeakError           a test or a fixture left something behind
├── WebSocketError          a WebSocket connection did not go on as the test expected
│   ├── WebSocketDisconnect             it is closed: `code`, `reason`
│   ├── WebSocketUpgradeError           the app did not accept it: `response`
│   │   └── WebSocketRejectedError      it closed it instead: all three, for it is both
│   └── WebSocketInvalidTypeReceived    bytes instead of text, or text instead of bytes: `event`
├── DatabaseError           a database that tests use
│   ├── DatabaseRefusedError    a connection to what is no test database
│   ├── IsolationError      a database could not be kept or put back as it was
│   └── VerificationError   the database does not hold what the test expected
├── SettingsError           an option with a value that is not valid
└── MissingExtraError       a feature needs a package that is not installed

AsgiWarning                 a UserWarning, so that nobody's filters hide it by default
└── ProtocolWarning         the app broke a rule, and the settings ask for no more than a warning
```

Only this module knows how an error reads. It imports nothing of the package.
"""

from __future__ import annotations

from typing import Any


class AsgiError(Exception):
    """An error that says what happened, why, and what to change.

    Args:
        what: What happened, with the values.
        why: The rule that was broken, or the likely cause.
        fix: What to change; code when code says it better.
    """

    def __init__(self, what: str, *, why: str, fix: str) -> None:
        # Not `super`: a class that is also a peer's error has that peer's next in line.
        Exception.__init__(self, what)
        self.what = what
        self.why = why
        self.fix = fix

    def __str__(self) -> str:
        """Return the three parts, one paragraph each."""
        return f"{self.what}\n\nWhy: {self.why}\n\nFix: {self.fix}"

    def __reduce__(self) -> tuple[Any, ...]:
        """Keep everything, notes too, when a worker process sends the error home."""
        return _rebuild, (type(self), self.args, self.__dict__)


class AppError(AsgiError):
    """The app, or where to find it, is the problem."""


class AppNotFoundError(AppError):
    """No app was named and none was found."""


class LifespanError(AppError):
    """Start-up or shutdown failed and the app raised no exception of its own."""


class ProtocolError(AppError):
    """The app broke a rule of the ASGI specification.

    Args:
        rule: The rule, by the name it has in the reference.
        sent: The message as the app sent it, shortened; empty if the fault is that none was sent.
        place: Where in the app it was sent, as far as that is known.
    """

    def __init__(
        self, what: str, *, why: str, fix: str, rule: str, sent: str = "", place: str = ""
    ) -> None:
        super().__init__(what, why=why, fix=fix)
        self.rule = rule
        self.sent = sent
        self.place = place

    def __str__(self) -> str:
        """Return what happened, the message, where it was sent, why, and what to change."""
        lines = [self.sent, self.place and f"sent at {self.place}"]
        evidence = "".join(f"\n    {line}" for line in lines if line)
        what = f"{self.what}\n{evidence}" if evidence else self.what
        return f"{what}\n\nWhy: {self.why}\n\nFix: {self.fix}\n\nRule: {self.rule}"


class RunnerError(AsgiError):
    """A test or a fixture cannot be run, or was stopped."""


class BlockedLoopError(RunnerError):
    """Code that does not wait has kept the loop from going on."""


class BridgeError(RunnerError):
    """Synchronous code cannot wait for a coroutine here."""


class CancelledTestError(RunnerError):
    """Something cancelled the test while it was waiting."""


class ClockError(RunnerError):
    """The time cannot be controlled here."""


class DeadlockError(RunnerError):
    """A test waits for something that cannot happen any more."""


class FixtureError(RunnerError):
    """An async fixture yields never or twice, or died while tests were using it."""


class HungTestError(RunnerError):
    """A test, or a fixture that is set up or torn down for it, takes longer than it may."""


class LeakError(RunnerError):
    """A test or a fixture left something behind: a task, a client, a thread."""


class WebSocketError(AsgiError):
    """A WebSocket connection did not go on as the test expected.

    Args:
        details: The attributes that the kinds of this error have.
    """

    def __init__(self, what: str, *, why: str, fix: str, **details: Any) -> None:
        super().__init__(what, why=why, fix=fix)
        self.__dict__.update(details)

    def __reduce__(self) -> tuple[Any, ...]:
        """Send home the class of this module: what a peer's is part of is made on demand."""
        return _rebuild, (_public(type(self)), self.args, self.__dict__)


class WebSocketDisconnect(WebSocketError):  # noqa: N818 - as the peers name it
    """The connection is closed.

    Attributes:
        code: The code that it was closed with.
        reason: The reason that was given; may be empty.
    """

    code: int
    reason: str


class WebSocketUpgradeError(WebSocketError):
    """The app did not accept the connection.

    Attributes:
        response: The response that it gave instead, of the client's library.
    """

    response: Any


class WebSocketRejectedError(WebSocketUpgradeError, WebSocketDisconnect):
    """The app closed the connection instead of accepting it, which servers answer with 403."""


class WebSocketInvalidTypeReceived(WebSocketError):  # noqa: N818 - as the peers name it
    """The app sent bytes where the test asked for text, or the other way round.

    Attributes:
        event: What was received, with its `data`.
    """

    event: Any


class DatabaseError(AsgiError):
    """A database that tests use does not work, or does not have what was asked for."""


class DatabaseRefusedError(DatabaseError):
    """A connection to something that is no test database was refused; no socket was opened."""


class IsolationError(DatabaseError):
    """A database could not be kept as it was for the next test, or put back."""


class VerificationError(DatabaseError, AssertionError):
    """The database does not hold what the test expected."""


class SettingsError(AsgiError):
    """An option has a value that is not valid."""


class MissingExtraError(AsgiError):
    """A feature needs a package that is not installed."""


class AsgiWarning(UserWarning):
    """Something works, but not as you would want it to."""


class ProtocolWarning(AsgiWarning):
    """The app broke a rule of the ASGI specification, and the settings ask for a warning only."""


def _rebuild(
    kind: type[AsgiError], args: tuple[Any, ...], attributes: dict[str, Any]
) -> AsgiError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(attributes)
    return error


def _public(kind: type[WebSocketError]) -> Any:
    """Return the class of this module that `kind` is, beside what it may be of a peer's."""
    return next(each for each in kind.__mro__ if globals().get(each.__name__) is each)
