"""The context of one test, and the context that all tests share.

Every test runs in a `contextvars.Context` of its own, a copy of the shared one. The shared context
is the one in which pytest itself runs: a fixture of a wider scope than one test is set up and
torn down there, so what it sets is seen by every later test, and its tokens can be reset.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import Context, copy_context
from typing import TYPE_CHECKING

from greenlet import getcurrent

if TYPE_CHECKING:
    from collections.abc import Generator

_UNSET = object()


def current_context() -> Context:
    """Return the context that the calling code runs in: the object itself, not a copy."""
    here = getcurrent()
    if here.gr_context is None:  # a thread has none before the first variable is set
        here.gr_context = copy_context()
    return here.gr_context


def shareable_context() -> Context:
    """Return the calling code's context, made fit for tasks to take their steps in.

    A context that somebody entered with `Context.run` cannot be entered again; then the caller
    goes on in a copy of it.
    """
    here, context = getcurrent(), current_context()
    if not can_enter(context):
        here.gr_context = context = context.copy()
    return context


def return_to(context: Context) -> None:
    """Let the calling code go on in the context that it was in before `shareable_context`.

    Whoever entered that context can leave it only there.
    """
    copy = current_context()
    if copy is not context:
        getcurrent().gr_context = context
        copy_changes(context.copy(), copy)


def can_enter(context: Context) -> bool:
    """Tell whether a task may take its steps in `context` now."""
    try:
        context.run(_nothing)
    except RuntimeError:
        return False
    return True


def copy_changes(before: Context, after: Context) -> None:
    """Set in the calling code's context each variable that differs between the two contexts."""
    for variable, value in after.items():
        if before.get(variable, _UNSET) is not value:
            variable.set(value)


def _nothing() -> None:
    """Be the function that `can_enter` runs."""


@contextmanager
def living_in(context: Context) -> Generator[None]:
    """Let the calling code live in `context` while the block runs, without entering it.

    So a task can take its steps there while that code waits for it.
    """
    here, home = getcurrent(), current_context()
    here.gr_context = context
    try:
        yield
    finally:
        here.gr_context = home


class Visit:
    """Lets the calling code run in another context for a while, and brings home what it set.

    Unlike `Context.run` a visit does not *enter* the context, so that tasks which live in it can
    take their steps while the visitor waits for them.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._home: Context | None = None

    def begin(self) -> None:
        """Go there."""
        self._home = current_context()
        self._before = self._context.copy()
        getcurrent().gr_context = self._context

    def end(self) -> None:
        """Come back, with the variables that have changed meanwhile. Does nothing at home."""
        if self._home is not None:
            getcurrent().gr_context = self._home
            self._home = None
            copy_changes(self._before, self._context)
