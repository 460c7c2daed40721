"""How an async method waits for a store, whose calls are synchronous: in a thread."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable

__tracebackhide__ = True  # a failure ends in the user's line

T = TypeVar("T")


class InThread(Protocol):
    """Calls a function in a thread and waits for it."""

    async def __call__(self, function: Callable[[], T], /) -> T:
        """Return what `function` returns."""


async def in_thread(function: Callable[[], T]) -> T:
    """Call `function` in a thread of asyncio's, or here on another event loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return function()
    result, error = await asyncio.to_thread(_attempt, function)
    if error is not None:  # Raised here, so that it does not come through the thread's machinery.
        raise error
    return cast("T", result)


def _attempt(function: Callable[[], T]) -> tuple[T | None, BaseException | None]:
    try:
        return function(), None
    except BaseException as error:  # noqa: BLE001 - raised by who waits
        return None, error
