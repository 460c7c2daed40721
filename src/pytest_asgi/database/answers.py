"""An answer that has not been awaited: nobody can take it for the answer itself.

A coroutine is true, so `assert db.has(…)` without `await` would pass whatever the database holds.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from pytest_asgi.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import TracebackType

__tracebackhide__ = True  # a failure ends in the user's line

P = ParamSpec("P")
T = TypeVar("T")


def to_be_awaited(
    method: Callable[P, Coroutine[Any, Any, T]],
) -> Callable[P, Coroutine[Any, Any, T]]:
    """Let a method's coroutine refuse to be tested or compared."""

    @wraps(method)
    def ask(*arguments: P.args, **options: P.kwargs) -> Coroutine[Any, Any, T]:
        return Answer(method(*arguments, **options), method.__name__)

    return ask


class Answer(Coroutine[Any, Any, T]):
    """A coroutine that is no value.

    Args:
        coroutine: What gives the answer.
        question: The method that was asked, for the message.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, T], question: str) -> None:
        self._coroutine = coroutine
        self._question = question

    def __await__(self) -> Generator[Any, Any, T]:
        return self._coroutine.__await__()

    def send(self, value: Any, /) -> Any:
        """Go on."""
        return self._coroutine.send(value)

    def throw(
        self, kind: Any, error: Any = None, traceback: TracebackType | None = None, /
    ) -> Any:
        """Go on with an exception."""
        return self._coroutine.throw(kind if error is None else error.with_traceback(traceback))

    def close(self) -> None:
        """Give up."""
        self._coroutine.close()

    def __getattr__(self, name: str) -> Any:
        """Return what else a coroutine tells of itself; debuggers ask."""
        return getattr(self._coroutine, name)

    def __bool__(self) -> bool:
        raise self._refusal()

    def __eq__(self, other: object) -> bool:
        raise self._refusal()

    __hash__ = Coroutine.__hash__

    def _refusal(self) -> DatabaseError:
        self.close()
        return DatabaseError(
            f"What `db.{self._question}(…)` gives was used before it was awaited.",
            why="In an async test it is a coroutine, which is true whatever the answer is.",
            fix=f"Await it:\n\n    assert await db.{self._question}(…)",
        )
