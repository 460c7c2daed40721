"""Explain errors that arise when an object of one event loop is used in another.

`LoopOrigins` remembers who made which loop; `explain` turns an error into a note. asyncio's own
messages ("attached to a different loop", "Event loop is closed") name neither object nor loops.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_asgi.runner.foreign_loops.origins import LoopOrigins

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

__all__ = ["LoopOrigins", "explain"]


def explain(
    error: BaseException, *, session_loop: AbstractEventLoop | None, origins: LoopOrigins
) -> str | None:
    """Return a note for an error that two event loops have caused, or None for any other error.

    Args:
        error: What a test raised. Exceptions in its group, its cause and its context count too.
        session_loop: The loop that fixtures, tests and the app share, if it was made.
        origins: What is known of the loops of this run.
    """
    try:
        # Few runs have an error to explain, and each with an async test imports this package.
        from pytest_asgi.runner.foreign_loops.diagnosis import diagnose
        from pytest_asgi.runner.foreign_loops.note import write_note

        diagnosis = diagnose(error, session_loop)
        return None if diagnosis is None else write_note(diagnosis, origins)
    except Exception:  # noqa: BLE001 - foreign objects may do anything; the error itself must show
        return None
