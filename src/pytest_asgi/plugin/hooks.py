"""Calling what is left of a hook: the implementations that would come after one's own."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    import pluggy

__tracebackhide__ = True  # a failure ends in the user's line


def remaining_implementations(hook: pluggy.HookCaller, plugin: object) -> Callable[..., Any]:
    """Return a function that calls the implementations of `hook` that follow that of `plugin`.

    Wrappers are not among them: they are already around the call. So a hook that stops at the
    first result can be carried out somewhere else, for example in another greenlet.
    """
    implementations = hook.get_hookimpls()  # first called comes last
    followers = list(takewhile(lambda each: each.plugin is not plugin, implementations))
    followers.reverse()

    def call_first(**arguments: Any) -> Any:
        for follower in followers:
            given = [arguments[name] for name in follower.argnames]
            result = follower.function(*given)
            if result is not None:
                return result
        return None

    return call_first
