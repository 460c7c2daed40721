"""blockbuster: it refuses, in a coroutine, to call functions that could block the loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contextlib import AbstractContextManager


def refusing_to_block() -> AbstractContextManager[Any]:
    """Return a block in which it does."""
    from blockbuster import blockbuster_ctx

    refusing: AbstractContextManager[Any] = blockbuster_ctx()
    return refusing
