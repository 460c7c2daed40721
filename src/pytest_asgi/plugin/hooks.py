"""Calling what is left of a hook: the implementations that would come after one's own."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    import pluggy

__tracebackhide__ = True  # a failure ends in the user's line


class RestOfHook:
    """Finds the implementations of a hook that follow that of one plugin.

    Wrappers are not among them: they are already around the call. So a hook that stops at the
    first result can be carried out somewhere else, for example in another greenlet.
    """

    def __init__(self, plugin: object) -> None:
        self._plugin = plugin
        self._implementations: list[pluggy.HookImpl] = []
        self._call_rest: Callable[..., Any] = _first_result([])

    def of(self, hook: pluggy.HookCaller) -> Callable[..., Any]:
        """Return a function that calls them."""
        implementations = hook.get_hookimpls()
        if implementations != self._implementations:  # plugins come and go during a session
            self._implementations = implementations  # first called comes last
            followers = list(takewhile(self._is_not_own, implementations))
            self._call_rest = _first_result(followers[::-1])
        return self._call_rest

    def _is_not_own(self, implementation: pluggy.HookImpl) -> bool:
        return implementation.plugin is not self._plugin


def _first_result(implementations: list[pluggy.HookImpl]) -> Callable[..., Any]:
    def call_first(**arguments: Any) -> Any:
        for each in implementations:
            result = each.function(*[arguments[name] for name in each.argnames])
            if result is not None:
                return result
        return None

    return call_first
