"""Which failures hide our frames, so that their traceback ends in the user's line."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest


def hides_our_frames(excinfo: pytest.ExceptionInfo[BaseException]) -> bool:
    """Tell whether to hide a frame of ours; modules call this `__tracebackhide__`.

    pytest 8.4 shows an exception group in Python's own way, all frames included, and stops with
    an internal error when the outermost exception of a chain with a group has no frame left.
    """
    return not any(isinstance(error, BaseExceptionGroup) for error in _chain(excinfo.value))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the exceptions that a traceback shows one after the other."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
