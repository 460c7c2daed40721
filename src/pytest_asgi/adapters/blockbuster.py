"""blockbuster: it refuses, in a coroutine, to call functions that could block the loop."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_asgi.asgi.stacks import Place, calling_frames
from pytest_asgi.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

# What these do for a test may block: questions to a database, the look at other threads.
_PACKAGE = Path(__file__).parent.parent
_MAY_BLOCK = tuple(str(_PACKAGE / folder) for folder in ("database", "runner"))


@contextmanager
def refusing_to_block() -> Generator[None]:
    """Let it do so in the block, except for our own work.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        from blockbuster import BlockBuster
    except ImportError as error:
        raise MissingExtraError(
            "asgi_blocking = strict needs blockbuster.",
            why="It knows the functions that could block, and refuses to call them in a coroutine;"
            " it is not installed.",
            fix="pip install blockbuster",
        ) from error
    guard = BlockBuster()
    for function in guard.functions.values():
        function.can_block_predicate = _or_ours(function.can_block_predicate)
    guard.activate()
    try:
        yield
    finally:
        guard.deactivate()


def _or_ours(may_block: Callable[..., bool]) -> Callable[..., bool]:
    def decide(*arguments: Any, **options: Any) -> bool:
        return may_block(*arguments, **options) or _is_our_work()

    return decide


def _is_our_work() -> bool:
    """Tell whether the call comes from us, and not from the user's code through us."""
    for frame in calling_frames():
        code = frame.f_code
        if code.co_filename.startswith(_MAY_BLOCK):
            return True
        is_guard = frame.f_globals.get("__name__", "").startswith("blockbuster")
        if not is_guard and Place(code.co_filename, frame.f_lineno, code.co_name).is_users:
            return False
    return False
