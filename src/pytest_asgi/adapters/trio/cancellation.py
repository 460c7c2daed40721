"""Tell a cancellation of trio's from other exceptions, also in a group: nurseries make those."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from collections.abc import Iterator

__tracebackhide__ = True  # a failure ends in the user's line


class Ended(BaseException):
    """Ends what a test waits for; no `Exception`, so that the test's code does not catch it."""


def is_cancellation(error: BaseException) -> bool:
    """Tell whether an exception, or one that a group of them holds, is a cancellation."""
    return find(error, trio.Cancelled) is not None


def find(error: BaseException, kind: type[BaseException]) -> BaseException | None:
    """Return the exception of a kind that `error` is, or that a group of them holds."""
    return next((leaf for leaf in _leaves(error) if isinstance(leaf, kind)), None)


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error
