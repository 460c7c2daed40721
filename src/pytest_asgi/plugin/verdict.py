"""What a test says when it was cancelled, when something failed behind its back, or cannot run."""

from __future__ import annotations

from pathlib import Path
from traceback import extract_tb, format_exception
from typing import TYPE_CHECKING, Any

import pytest

from pytest_asgi.errors import (
    CancelledTestError,
    DeadlockError,
    FixtureError,
    HungTestError,
    RunnerError,
)
from pytest_asgi.plugin.tracebacks import hides_our_frames
from pytest_asgi.runner.installed import is_installed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_asgi.runner.guests import Unwinding

__tracebackhide__ = hides_our_frames

_PACKAGE = str(Path(__file__).parents[1])
# They tell the place themselves, but were raised in the loop.
TELLING_THE_PLACE = (DeadlockError, HungTestError)

_OUTCOMES = (pytest.skip.Exception, pytest.fail.Exception, pytest.xfail.Exception)


def cancelled_test(name: str, *, by: str | None = None) -> CancelledTestError:
    """Return the error of a test whose task was cancelled by something that left no exception.

    Args:
        name: The test, or the fixture that was being set up or torn down.
        by: The fixture that holds the scope which did it, if there is one.
    """
    if by is not None:
        return CancelledTestError(
            f"{name} was cancelled while it waited, by the fixture {by!r}.",
            why=f"{by!r} holds a time limit or a cancel scope across its `yield`; the limit has"
            " passed, or the scope was cancelled.",
            fix="The cancellation above shows what waited, and where. Give the limit more time, or"
            " find who cancels the scope.",
        )
    return CancelledTestError(
        f"{name} was cancelled while it waited.",
        why="Its task was cancelled from outside, by code that called `cancel()` on the test's"
        " task. No fixture holds a time limit or a cancel scope that did it.",
        fix="The cancellation above shows where the test waited. Find who calls `cancel()`.",
    )


def explain_unwinding(
    unwinding: Unwinding,
    errors: list[BaseException],
    name: str,
    cancelled: BaseException,
) -> list[BaseException]:
    """Return what a cancelled test failed with: the cause, and what else its tear-down raised.

    Args:
        unwinding: How the cancellation went out through the fixtures.
        errors: What the tear-down of the fixtures raised.
        name: The test.
        cancelled: The cancellation, where the test met it.
    """
    cause = unwinding.error
    if cause is None:
        cause = cancelled_test(name, by=unwinding.caught_by)
        cause.__cause__ = cancelled
    else:
        explain_crash(cause, name, cancelled)
    others = [error for error in errors if error is not cause]
    if not unwinding.is_over:
        return [cause, *others]
    for error in others:
        if isinstance(error, CancelledTestError):
            cause.add_note(f"So was its tear-down: {error.what}")
    return [cause, *(each for each in others if not isinstance(each, CancelledTestError))]


def explain_crash(crash: BaseException, name: str, cancelled: BaseException) -> BaseException:
    """Say in `crash`, which a task group of a fixture raised, what it did to the test.

    Args:
        crash: What the task group raised.
        name: The test, or the fixture that was being set up.
        cancelled: The cancellation, where the test met it.
    """
    if isinstance(crash, TELLING_THE_PLACE):
        return crash.with_traceback(cancelled.__traceback__)
    crash.add_note(f"{name} was cancelled by this {_place(cancelled)}.")
    if isinstance(crash, FixtureError):  # has no traceback of the user's own
        crash.__cause__ = cancelled
    return crash


def _place(cancelled: BaseException) -> str:
    frames = extract_tb(cancelled.__traceback__)
    own = [frame for frame in frames if _is_of_the_project(frame.filename)]
    return f"while it waited at {own[-1].filename}:{own[-1].lineno}" if own else "while it waited"


def _is_of_the_project(file: str) -> bool:
    return not is_installed(file) and not file.startswith(_PACKAGE)


def dead_fixture(name: str) -> FixtureError:
    """Return the error of a test whose fixture died during an earlier test."""
    return FixtureError(
        f"The fixture {name!r} died during an earlier test.",
        why="It holds a scope across its `yield`: a task group in which a task failed, or a limit"
        " that has passed, as shown above. Its value is of no use to this test.",
        fix="Mend the cause, or give the fixture function scope: then each test has its own, and a"
        " failure stays with the test that it belongs to.",
    )


def add_background(error: BaseException, failures: list[BaseException]) -> None:
    """Tell of background failures in the error that the test failed with."""
    for failure in failures:
        error.add_note("Meanwhile, in the background:\n" + "".join(format_exception(failure)))


def raise_together(message: str, failures: list[BaseException]) -> None:
    """Raise one exception as it is, several as a group, and nothing for none."""
    if len(failures) == 1:
        raise failures[0]
    if failures:
        raise BaseExceptionGroup(message, failures)


def only_outcome(group: BaseExceptionGroup[Any]) -> BaseException | None:
    """Return the one `pytest.skip()`, `fail()` or `xfail()` that a task group has wrapped."""
    leaves = list(_leaves(group))
    if len(leaves) == 1 and isinstance(leaves[0], (*_OUTCOMES, pytest.exit.Exception)):
        return leaves[0]
    return None


def generator_test(name: str) -> RunnerError:
    """Return the error of a test that is an async generator."""
    return RunnerError(
        f"{name} is an async generator: it has a `yield` in it.",
        why="Calling it runs none of its code, so the test would pass without testing anything.",
        fix="Remove the `yield`. What must happen before and after a test belongs in an async"
        " fixture, which may yield.",
    )


def no_runner(name: str, backend: object) -> RunnerError:
    """Return the error of a test that asks for a backend which nobody here can run."""
    return RunnerError(
        f"{name} asks for the backend {backend!r} and nothing is there to run it.",
        why="pytest-asgi runs tests on the session's loop and on trio; those that want a loop of"
        " their own are run by anyio's pytest plugin, which is not active.",
        fix="Remove `-p no:anyio`; or let the `anyio_backend` fixture return 'asyncio', and set"
        " `asgi_loop` for all tests.",
    )


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error
