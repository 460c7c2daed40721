"""Startup and shutdown of an app as an async context manager.

The app runs from startup to shutdown in one task of its own, as under a server, so whatever
it holds across its `yield` (cancel scopes, task groups) is entered and left in the same task.
"""

from __future__ import annotations

from asyncio import CancelledError
from collections import deque
from traceback import format_exception
from typing import TYPE_CHECKING, Any, Self

from pytest_asgi import events
from pytest_asgi.asgi.frameworks import declares_lifespan
from pytest_asgi.asgi.rules import LifespanRules, LifespanState
from pytest_asgi.asgi.runs import runs
from pytest_asgi.asgi.scope import build_lifespan_scope
from pytest_asgi.asgi.stacks import warn_user
from pytest_asgi.asgi.tasks import AppTask, make_flag
from pytest_asgi.errors import AsgiWarning, LifespanError, ProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from pytest_asgi.asgi.rules import Mode
    from pytest_asgi.asgi.runs import Run
    from pytest_asgi.asgi.tasks import Flag
    from pytest_asgi.asgi.types import ASGIApp, Message

_SPECIFICATION = "https://asgi.readthedocs.io/en/latest/specs/lifespan.html"

_CRASHED_AT_STARTUP = (
    "The app raised this when it was told to start up. If it has no lifespan, let it refuse the "
    'scope, `if scope["type"] != "http": raise NotImplementedError`, or leave the lifespan out, '
    "`lifespan=False`."
)

_NOT_REACHED = (
    "The app raised this when it was offered a lifespan, before the lifespan was reached: "
    "middleware perhaps, which reads what only requests have. Let it hand on what is no request: "
    '`if scope["type"] != "http": return await self.app(scope, receive, send)`. A server would go '
    "on without the lifespan."
)

# What apps raise for a scope of another type, whatever the text says.
_REFUSALS = (AssertionError, NotImplementedError)

# https://asgi.readthedocs.io/en/latest/specs/www.html#http-connection-scope
_KEYS_OF_CONNECTIONS = frozenset({
    *("client", "headers", "http_version", "method", "path", "query_string", "raw_path"),
    *("root_path", "scheme", "server", "subprotocols"),
})  # fmt: skip


class Lifespan:
    """The lifespan of `app`; requests are answered inside `async with`.

    Args:
        state: The namespace that the app fills; every request gets a shallow copy of it.
        rules: What a broken rule does; `None` for what the context says.
        raise_doubtful: Raise what an app without a lifespan is not likely to raise, instead of
            warning of it.

    Attributes:
        is_supported: Whether the app takes part in the lifespan protocol; known after startup.
        refusal: What the app raised when it was offered a lifespan it does not support.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        state: dict[str, Any] | None = None,
        rules: Mode | None = None,
        raise_doubtful: bool = False,
    ) -> None:
        self.state: dict[str, Any] = {} if state is None else state
        self.is_supported = False
        self.refusal: Exception | None = None
        self._app = app
        self._raise_doubtful = raise_doubtful
        self._run: Run | None = None
        self._rules = LifespanRules(rules)
        self._error: ProtocolError | None = None
        self._message = ""
        self._is_asked = False
        self._is_refused = False
        self._is_misunderstood = False
        self._inbox: deque[str] = deque()
        self._is_app_waiting = False
        self._delivery: Flag | None = None
        self._progress: Flag | None = None
        self._task: AppTask | None = None

    async def __aenter__(self) -> Self:
        """Start the app."""
        __tracebackhide__ = True
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Shut the app down, whatever happened in between."""
        __tracebackhide__ = True
        try:
            await self.stop()
        except Exception as failure:
            if error is None:
                raise
            # The test's own exception is what its author looks for: add to it.
            text = "".join(format_exception(failure))
            error.add_note(f"The app's shutdown failed as well:\n{text}")

    async def start(self) -> None:
        """Run the app up to the end of its startup.

        An app that does not know lifespans is fine: the specification tells servers to go on.

        Raises:
            LifespanError: The app said that startup failed, and raised nothing.
            ProtocolError: The app broke a rule, even if it caught the error where it arose.
            Exception: What the app raised during startup, with its own traceback.
        """
        __tracebackhide__ = True
        self._deliver("lifespan.startup")
        self._task = AppTask(self._call_app, on_finished=self._report_progress)
        await self._wait_for_answer(LifespanState.STARTUP_AWAITED)
        if self._is_refused or self._rules.state is LifespanState.STARTUP_FAILED:
            await self._wait_for_end()
            self._raise_own_exception()
            raise _failed("start-up", self._message)
        if self._rules.state is LifespanState.STARTUP_COMPLETE:
            self.is_supported = True
            self._run = runs.begin(self._app)
            if events.is_anyone_listening():
                events.emit(events.LifespanStarted())
            return
        await self._wait_for_end()
        if self._is_misunderstood and self._task.was_cancelled:
            raise _misunderstood()
        self._judge_silence()

    def share_context(self) -> None:
        """Set, where the caller is, the context variables that the app has set since its start."""
        assert self._task is not None
        self._task.share_context()

    async def stop(self) -> None:
        """Let the app shut down; does nothing if it has no lifespan or has stopped already.

        Raises:
            LifespanError: The app said that shutdown failed, and raised nothing.
            ProtocolError: The app broke a rule since startup; see `start`.
            Exception: What the app raised since startup, with its own traceback.
        """
        __tracebackhide__ = True
        run, self._run = self._run, None
        if run is None:
            return
        runs.end(run)
        try:
            await self._shut_down()
        except Exception as failure:
            run.explain(failure)
            raise
        if events.is_anyone_listening():
            events.emit(events.LifespanStopped())

    async def _shut_down(self) -> None:
        __tracebackhide__ = True
        self._rules.ask_shutdown()
        self._is_asked = self._is_refused = self._is_misunderstood = False
        self._deliver("lifespan.shutdown")
        await self._wait_for_answer(LifespanState.SHUTDOWN_AWAITED)
        await self._wait_for_end()
        self._raise_own_exception()
        if self._rules.state is LifespanState.SHUTDOWN_FAILED:
            raise _failed("shutdown", self._message)
        if self._is_asked:
            self._rules.check_return()

    async def _call_app(self) -> None:
        __tracebackhide__ = True
        await self._app(build_lifespan_scope(state=self.state), self._receive, self._send)

    async def _receive(self) -> Message:
        while not self._inbox:
            self._delivery = make_flag()
            self._is_app_waiting = True
            self._report_progress()
            try:
                await self._delivery.wait()
            finally:
                self._is_app_waiting = False
        self._is_asked = True
        return {"type": self._inbox.popleft()}

    async def _send(self, message: Message) -> None:
        __tracebackhide__ = True
        try:
            is_answer = self._rules.check(message)
        except ProtocolError as error:
            self._error = self._error or error
            self._is_refused = True
            self._report_progress()
            raise
        if is_answer:
            self._message = message.get("message", "")
            self._report_progress()
        else:
            self._is_misunderstood = True

    def _deliver(self, kind: str) -> None:
        self._inbox.append(kind)
        if self._delivery is not None:
            self._delivery.set()

    def _report_progress(self) -> None:
        if self._progress is not None:
            self._progress.set()

    async def _wait_for_answer(self, asked: LifespanState) -> None:
        """Wait until the app answers, or has its answer refused, or ends without one.

        An app may listen for the shutdown while it still starts. But one whose answer was dropped
        has nothing more to say when it listens.
        """
        await self._wait_until(
            lambda: (
                self._is_refused
                or self._rules.state is not asked
                or (self._is_misunderstood and self._is_app_waiting)
            )
        )

    async def _wait_for_end(self) -> None:
        """Wait until the app returns; end it if it waits for a message that never comes."""
        await self._wait_until(lambda: self._is_app_waiting)
        assert self._task is not None
        await self._task.cancel()

    async def _wait_until(self, is_reached: Callable[[], bool]) -> None:
        """Wait until `is_reached` or the app ends; if this wait is cancelled, end the app."""
        assert self._task is not None
        try:
            while not (is_reached() or self._task.is_finished):
                self._progress = make_flag()
                await self._progress.wait()
        except BaseException:
            await self._task.cancel()
            raise

    def _raise_own_exception(self) -> None:
        """Raise the rule that the app broke, or what ended it unless that was us."""
        __tracebackhide__ = True
        assert self._task is not None
        error = self._error or self._task.exception
        if error is not None and not isinstance(error, CancelledError):
            raise error

    def _judge_silence(self) -> None:
        """Decide what it means that the app ended before it answered `lifespan.startup`."""
        __tracebackhide__ = True
        assert self._task is not None
        error = self._task.exception
        if isinstance(error, CancelledError):
            raise _failed("start-up", "Its task was cancelled.") from error
        if error is None:
            if self._is_asked:
                self._rules.check_return()
            return
        # The specification lets a server go on. But a test that goes on would only hide where the
        # startup of an app broke that has one.
        # https://asgi.readthedocs.io/en/latest/specs/lifespan.html#scope
        if self._is_asked or not isinstance(error, Exception):
            error.add_note(_CRASHED_AT_STARTUP)
            raise error
        is_doubtful = not _is_about_scope(error)
        if declares_lifespan.get()(self._app) or (is_doubtful and self._raise_doubtful):
            error.add_note(_NOT_REACHED)
            raise error
        self.refusal = error
        if is_doubtful:
            _warn_of_refusal(error)


def _is_about_scope(error: Exception) -> bool:
    """Tell whether an app that raises this means that it does not know lifespans."""
    if isinstance(error, KeyError) and not _KEYS_OF_CONNECTIONS.isdisjoint(error.args):
        return True
    text = str(error).lower()
    return isinstance(error, _REFUSALS) or "lifespan" in text or "scope" in text


def _warn_of_refusal(error: Exception) -> None:
    """Tell of an exception that is hardly meant to say so."""
    try:
        warn_user(
            f"The app raised {error!r} when it was offered a lifespan, so it is taken for an app "
            "without one, as servers do. If it has one, it did not run. If it has none, let it "
            'say so, `if scope["type"] != "http": raise NotImplementedError`, or leave the '
            "lifespan out, `lifespan=False`.",
            AsgiWarning,
        )
    except AsgiWarning as warning:  # where warnings are errors
        raise warning from error


def _misunderstood() -> LifespanError:
    return LifespanError(
        "The app did not answer `lifespan.startup`: it sent something else, and waits for more.",
        why="What breaks a rule is no error with these settings, but nobody can act on it.",
        fix='Send {"type": "lifespan.startup.complete"}. What the app sent instead is told with'
        ' the rules on, `asgi_rules = "error"`.',
    )


def _failed(phase: str, message: str) -> LifespanError:
    said = f":\n\n{message}" if message else ", and did not say why."
    return LifespanError(
        f"The app's {phase} failed{said}",
        why=f"The app sent `lifespan.{phase.replace('-', '')}.failed`: {_SPECIFICATION}",
        fix="Mend the app's lifespan. If this test does not need it, leave it out:\n\n"
        "    AsyncClient(app=app, lifespan=False)",
    )
