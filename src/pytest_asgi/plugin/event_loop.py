"""What makes the session's event loop: `asgi_loop`, or the project's hook. Never a loop policy."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from pytest_asgi.plugin.import_path import NoSuchNameError, import_object

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_asgi.plugin.settings import Settings


def loop_factory(
    config: pytest.Config, settings: Settings
) -> Callable[[], asyncio.AbstractEventLoop]:
    """Return the function that makes the session's loop.

    Raises:
        pytest.UsageError: `asgi_loop` names something that is not there.
    """
    if settings.loop in {"asyncio", "trio"}:
        chosen: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
    else:
        path = "uvloop:new_event_loop" if settings.loop == "uvloop" else settings.loop
        try:
            chosen = import_object(path, root=config.rootpath)
        except (ImportError, NoSuchNameError) as error:
            raise pytest.UsageError(
                f"asgi_loop: {settings.loop!r} is not there: {error}"
            ) from error
        if not callable(chosen):
            raise pytest.UsageError(
                f"asgi_loop: {settings.loop!r} is {chosen!r}; it must be a function that returns"
                " a new event loop"
            )

    def make() -> asyncio.AbstractEventLoop:
        try:
            loop = config.hook.pytest_asgi_make_loop(config=config) or chosen()
        except TypeError as error:
            raise pytest.UsageError(
                f"asgi_loop: {settings.loop!r} cannot be called without arguments: {error}"
            ) from error
        if isinstance(loop, asyncio.AbstractEventLoop):
            return loop
        raise pytest.UsageError(
            f"asgi_loop: {settings.loop!r} returned {loop!r}, which is not an event loop"
        )

    return make
