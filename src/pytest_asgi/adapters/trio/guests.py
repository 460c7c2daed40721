"""Async generators that live in a test's own task of trio."""

from __future__ import annotations

from typing import Any

import trio

from pytest_asgi.adapters.trio.private_trio import is_cancelled, open_scopes
from pytest_asgi.runner.guests import Guest

__tracebackhide__ = True  # a failure ends in the user's line


class TrioGuest(Guest):
    """Runs one async generator in the task of whoever starts and stops it.

    In trio a cancelled scope stays cancelled: whatever is awaited in it is cancelled again. The
    tear-down of a generator that is in such a scope of another one is shielded, so that it runs.
    """

    _scopes: tuple[trio.CancelScope, ...] = ()

    async def start(self) -> Any:
        """Run the generator to its `yield` and return the value."""
        before = len(open_scopes())
        value = await super().start()
        self._scopes = tuple(open_scopes()[before:])
        return value

    async def stop(self) -> None:
        """Run the generator to its end."""
        if self._scopes:  # they are left now, and have to be the innermost ones
            await super().stop()
        else:
            with trio.CancelScope(shield=True):
                await super().stop()

    @property
    def has_cancelled(self) -> bool:
        """Whether a scope that it holds has cancelled the task."""
        return any(map(is_cancelled, self._scopes))

    @property
    def holds_task_group(self) -> bool:
        """Whether it holds a scope, which may be that of a nursery."""
        return bool(self._scopes)
