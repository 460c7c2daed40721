"""A function that is left in the middle and entered again: it has a greenlet of its own.

So a library that wants to be called once and to run until everything is over, such as trio, can
do so for a whole session: it is entered when there is something to do, and left when that is done.
"""

from __future__ import annotations

from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from greenlet import getcurrent, greenlet

if TYPE_CHECKING:
    from collections.abc import Callable

__tracebackhide__ = True  # a failure ends in the user's line


class Aside:
    """Runs one function, a stretch at a time.

    Args:
        function: What is run. It calls `leave`, directly or not, as often as it likes.
    """

    def __init__(self, function: Callable[[], object]) -> None:
        self._function = function
        self._greenlet = greenlet(self._serve)

    @property
    def is_over(self) -> bool:
        """Whether the function has ended."""
        return self._greenlet.dead

    def enter(self, value: object = None) -> Any:
        """Go on in the function, where `leave` returns `value`, until it leaves or ends.

        What ends the function with an exception is raised here.
        """
        if not self._greenlet:  # not begun: it has a context of its own from then on
            self._greenlet.gr_context = copy_context()
        self._greenlet.parent = getcurrent()
        return self._greenlet.switch(value)

    def leave(self, value: object = None) -> Any:
        """Leave the function; return, when it is entered again, what `enter` was given."""
        parent = self._greenlet.parent
        assert parent is not None
        return parent.switch(value)

    def _serve(self, _value: object) -> object:
        return self._function()
