"""Hooks for what a project may decide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable


@pytest.hookspec(firstresult=True)
def pytest_asgi_make_loop(config: pytest.Config) -> AbstractEventLoop | None:  # a specification
    """Return a new event loop for the session, or None to leave it to `asgi_loop`."""


@pytest.hookspec(firstresult=True)
def pytest_asgi_find_app(config: pytest.Config) -> Callable[..., Any] | None:  # a specification
    """Return the app that the `app` fixture gives, or None to have it found."""
