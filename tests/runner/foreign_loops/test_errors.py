"""Errors that two event loops have caused are explained; others are left alone."""

import asyncio

import pytest

from pytest_asgi.runner.foreign_loops import LoopOrigins, explain
from tests.runner.foreign_loops.errors import (
    Explain,
    closed,
    failure,
)


def caused(error: BaseException, *, by: BaseException) -> BaseException:
    error.__cause__ = by
    return error


def during(error: BaseException, *, of: BaseException) -> BaseException:
    error.__context__ = of
    return error


@pytest.mark.parametrize(
    "error",
    [
        closed(),
        ExceptionGroup("two", [ValueError(), ExceptionGroup("one", [closed()])]),
        caused(KeyError(), by=closed()),
        during(KeyError(), of=closed()),
        caused(KeyError(), by=during(KeyError(), of=ExceptionGroup("one", [closed()]))),
        RuntimeError("Cannot use AsyncMongoClient in different event loop."),
        RuntimeError("Session and connector has to use same event loop"),
    ],
)
def test_an_error_is_found_among_the_relatives_of_what_was_raised(
    error: BaseException, note_of: Explain
) -> None:
    assert note_of(error) is not None


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("boom"),
        RuntimeError(),
        RuntimeError(1),
        AssertionError("Event loop is closed"),
        KeyError("attached to a different loop"),
        caused(during(KeyError(), of=closed()), by=ValueError()),  # raised `from` something else
        RuntimeError("Timeout context manager should be used inside a task"),
        RuntimeError("unable to perform operation on <TCPTransport>; the handler is closed"),
    ],
)
def test_any_other_error_is_left_alone(error: BaseException, note_of: Explain) -> None:
    assert note_of(error) is None


def test_errors_that_are_each_others_cause_are_looked_at_once(note_of: Explain) -> None:
    one, two = KeyError(), KeyError()
    one.__cause__, two.__cause__ = two, one

    assert note_of(one) is None


def test_an_explanation_that_fails_is_none(origins: LoopOrigins) -> None:
    class Broken(asyncio.SelectorEventLoop):
        def is_closed(self) -> bool:
            if broken:
                raise ZeroDivisionError
            return super().is_closed()

    broken = False
    loop = Broken()
    future = loop.create_future()

    async def test() -> None:
        await future

    error = failure(lambda: asyncio.run(test()))
    broken = True

    assert explain(error, session_loop=None, origins=origins) is None
    broken = False
    loop.close()
