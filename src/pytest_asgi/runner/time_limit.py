"""End a test that takes too long, and say what it does.

Where it waits it is cancelled, inside the loop, so that its tear-down runs. Where it does not wait
an exception is raised in it. Whoever goes on all the same is told again.
"""

from __future__ import annotations

import sys
import threading
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING

from pytest_asgi.asgi.stacks import places_from_users_code, shorten
from pytest_asgi.errors import HungTestError
from pytest_asgi.runner.debuggers import is_debugging
from pytest_asgi.runner.stopping import Stopped, Stopper, forget_stop
from pytest_asgi.runner.watchdog import Phase, Watchdog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytest_asgi.runner.waiters import Waiter
    from pytest_asgi.runner.watched_loop import WatchedLoop

__tracebackhide__ = True  # a failure ends in the user's line

# How long the loop may take to answer before its thread is believed to be busy.
_PATIENCE_SECONDS = 0.25

# The looks at a phase: one when half of the time is over, and so many that end it. Code that
# catches what ends it could be told for ever.
_NOTICE = 1
_TOLD_AT_MOST = 3

_LIMIT = "That is the limit that `asgi_timeout`, or the mark, sets."


class TimeLimit:
    """Watches the phases of tests that run in the calling thread.

    Args:
        find_loop: Returns the loop that the running test waits on, if anything has needed it.
        tell: Called with a text that somebody should see now, from any thread.
        note: Called with a text that is to be kept, in case the error is not reported any more.
        find_more: Returns more lines about what the test of the calling code's context has in use.
        kind: What ends code that does not wait.
    """

    def __init__(
        self,
        find_loop: Callable[[], WatchedLoop | None],
        *,
        tell: Callable[[str], None],
        note: Callable[[str], None],
        find_more: Callable[[], Iterable[str]],
        kind: type[Stopped] = Stopped,
    ) -> None:
        self._find_loop = find_loop
        self._tell = tell
        self._note = note
        self._find_more = find_more
        self._thread = threading.get_ident()
        self._watchdog = Watchdog(self._look)
        self._stopper = Stopper(kind, self._find_error)
        self._stopped: Phase | None = None
        self._cancelled_again: list[Waiter] = []

    def start(self) -> None:
        """Start to watch."""
        self._stopper.install()
        self._watchdog.start()

    def close(self) -> None:
        """Watch no more."""
        self._watchdog.stop()
        self._stopper.uninstall()

    def begin(self, test: str, name: str, seconds: float) -> Phase:
        """Say that a part of a test begins, and how long it may take."""
        loop = self._find_loop()
        phase = Phase(test, name, seconds, None if loop is None else loop.waiter_of(None))
        if not is_debugging():
            self._watchdog.begin(phase)
        return phase

    def end(self, phase: Phase, error: BaseException | None = None) -> BaseException | None:
        """Say that it is over; return what is to be raised in the place of what it did.

        Args:
            phase: What is over.
            error: What it has raised.
        """
        self._watchdog.end(phase)
        self._forget_what_is_due()
        stopped = _find_stop(error)
        if phase.error is None:
            return None if stopped is None else stopped.error  # a fixture of an earlier test
        if phase.waiter is not None:
            phase.waiter.forget_crash(phase.error)
        if error is None:
            phase.error.add_note("It has caught what should have ended it, and went on.")
        return phase.error if error is None or stopped is not None else None

    def _forget_what_is_due(self) -> None:
        if self._stopped is not None:
            forget_stop(self._thread)
            self._stopped = None
        for waiter in self._cancelled_again:
            waiter.take_back()
        self._cancelled_again.clear()

    def pause(self) -> None:
        """Let the clock stand still, because a debugger has stopped the test."""
        self._watchdog.pause()

    def resume(self) -> None:
        """Let it run again, from the start."""
        self._watchdog.resume()

    # --- in the watchdog's thread ----------------------------------------------------------------

    def _look(self, phase: Phase) -> None:
        if phase.looks > _NOTICE + _TOLD_AT_MOST:
            return
        turn = threading.Lock()  # of two threads the first one acts
        loop = self._find_loop()
        if loop is not None and loop.is_running:
            self._ask_loop(loop, phase, turn)
        if turn.acquire(blocking=False) and self._watchdog.is_watching(phase):
            self._end_what_is_busy(phase)

    def _ask_loop(self, loop: WatchedLoop, phase: Phase, turn: threading.Lock) -> None:
        is_answered = threading.Event()
        waiter = phase.waiter = loop.waiter_of(phase.waiter)

        def answer() -> None:
            is_current = self._watchdog.is_watching(phase) and not waiter.is_over
            if is_current and turn.acquire(blocking=False):
                self._end_what_waits(loop, waiter, phase)
            is_answered.set()

        context = None if waiter.owner is None else waiter.owner.context
        with suppress(RuntimeError):  # the loop has been closed meanwhile
            loop.call_soon(answer, context or copy_context())
            is_answered.wait(_PATIENCE_SECONDS)

    def _end_what_is_busy(self, phase: Phase) -> None:
        frame = sys._current_frames().get(self._thread)  # noqa: SLF001 - documented, in spite of its name
        places = [f"    {place}" for place in shorten(places_from_users_code(frame))]
        is_stuck = self._stopped is phase
        lines = ["it is busy, and does not wait:", *places]
        del frame
        if phase.looks == _NOTICE:
            self._tell(_notice(phase, lines))
            return
        loop = self._find_loop()
        is_loop_blocked = loop is not None and loop.is_running
        phase.error = phase.error or _busy(phase, lines, is_loop_blocked=is_loop_blocked)
        if is_stuck:
            lines.append("It does not react: its innermost call does not come back to Python.")
        self._tell(_told(phase, lines))
        self._stopped = phase
        self._stopper.stop(self._thread)

    # --- in the thread of the tests --------------------------------------------------------------

    def _end_what_waits(self, loop: WatchedLoop, waiter: Waiter, phase: Phase) -> None:
        if is_debugging():
            phase.restart()
            return
        lines = [*loop.describe_waits(waiter), *self._find_more()]
        if phase.looks == _NOTICE:
            self._tell(_notice(phase, lines))
        elif phase.error is None:
            phase.error = _waiting(phase, lines)
            self._note(_told(phase, lines))
            waiter.cancel(phase.error)
        else:
            self._tell(_told(phase, lines))
            is_last = phase.looks >= _NOTICE + _TOLD_AT_MOST
            if not is_last or not waiter.raise_where_it_waits(Stopped()):
                waiter.cancel_again()
                self._cancelled_again.append(waiter)

    def _find_error(self) -> HungTestError | None:
        """Return the error of the running phase if it is to be ended."""
        stopped, self._stopped = self._stopped, None
        if stopped is None or not self._watchdog.is_watching(stopped) or is_debugging():
            return None
        loop = self._find_loop()
        if loop is None or loop.raises_safely():
            return stopped.error
        if stopped.waiter is not None and stopped.error is not None:
            loop.call_soon(partial(stopped.waiter.cancel, stopped.error), copy_context())
        return None


def _find_stop(error: BaseException | None) -> Stopped | None:
    """Return what has ended the test if an exception, or all that a group of them holds, is it."""
    if isinstance(error, BaseExceptionGroup):
        found = [_find_stop(each) for each in error.exceptions]
        return found[0] if all(found) else None
    return error if isinstance(error, Stopped) else None


def _notice(phase: Phase, lines: list[str]) -> str:
    head = f"{phase.test} is slow: half of its {phase.seconds:g} seconds are over, in its"
    return _text(f"{head} {phase.name}.", lines)


def _told(phase: Phase, lines: list[str]) -> str:
    times = phase.looks - _NOTICE
    again = "" if times == 1 else f" It is told so for the {times}. time."
    head = f"{phase.test} took longer than {phase.seconds:g} seconds, in its {phase.name}.{again}"
    return _text(head, lines)


def _text(head: str, lines: list[str]) -> str:
    return "\n".join([head, *(f"    {line}" for line in lines)])


def _waiting(phase: Phase, lines: list[str]) -> HungTestError:
    return HungTestError(
        _what(phase, lines),
        why=f"{_LIMIT} The test was cancelled where it waits, so that its tear-down runs.",
        fix="The last line says what does not happen. If it only needs more time, give it:\n\n"
        f"    @pytest.mark.asgi(timeout={phase.seconds * 4:g})",
    )


def _busy(phase: Phase, lines: list[str], *, is_loop_blocked: bool) -> HungTestError:
    advice = (
        "Call it in a thread (`await asyncio.to_thread(…)`), or use something that can be awaited."
        " If it"
    )
    why = (
        "This code does not wait, so nothing else went on either: no other task, no answer, no"
        " time limit of asyncio."
    )
    return HungTestError(
        _what(phase, lines),
        why=f"{_LIMIT} {why if is_loop_blocked else 'An exception has ended it there.'}",
        fix=f"{advice if is_loop_blocked else 'If it'} only needs more time, give it:\n\n"
        f"    @pytest.mark.asgi(timeout={phase.seconds * 4:g})",
    )


def _what(phase: Phase, lines: list[str]) -> str:
    text = "\n".join(f"    {line}" for line in lines)
    return (
        f"The {phase.name} of {phase.test} took longer than {phase.seconds:g} seconds:\n\n{text}"
    )
