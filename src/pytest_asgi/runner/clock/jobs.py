"""The jobs that a loop has given to executors: `asyncio.to_thread`, names that are looked up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable


class Jobs:
    """Counts those that were given and are not done.

    Args:
        loop: The loop.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.count = 0
        self._loop = loop

    def begin(self) -> None:
        """Count from now on."""
        self._run = self._loop.run_in_executor
        self._loop.run_in_executor = self._run_counted  # type: ignore[assignment, method-assign]

    def end(self) -> None:
        """Count no more."""
        self._loop.run_in_executor = self._run  # type: ignore[method-assign]

    def _run_counted(
        self, executor: Any, function: Callable[..., Any], *arguments: Any
    ) -> asyncio.Future[Any]:
        future = self._run(executor, function, *arguments)
        self.count += 1
        future.add_done_callback(self._note_end)
        return future

    def _note_end(self, _: object) -> None:
        self.count -= 1
