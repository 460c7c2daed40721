"""Make the way to wait on trio: trio is imported when the first test wants it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from pytest_asgi.errors import MissingExtraError
from pytest_asgi.plugin.tracebacks import hides_our_frames

if TYPE_CHECKING:
    from contextvars import Context

    from pytest_asgi.plugin.trio.waiting import TrioWaiting

__tracebackhide__ = hides_our_frames


def make_trio_waiting(shared_context: Context) -> TrioWaiting:
    """Return the way to wait on trio.

    Args:
        shared_context: The context that all tests share.

    Raises:
        MissingExtraError: trio is not installed.
    """
    try:
        module = import_module("pytest_asgi.plugin.trio.waiting")
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"This test runs on trio, and the package {error.name!r} is not installed.",
            why="Its mark, its anyio_backend or asgi_loop says so, and trio is an optional extra.",
            fix='Install it with\n\n    pip install "pytest-asgi[trio]"',
        ) from error
    waiting: TrioWaiting = module.TrioWaiting(shared_context)
    return waiting
