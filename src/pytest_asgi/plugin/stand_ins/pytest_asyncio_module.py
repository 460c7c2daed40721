"""Stands in for `pytest_asyncio` where that package is not installed.

Async fixtures and tests need nothing special here, so the names only have to be accepted:
https://pytest-asyncio.readthedocs.io/en/stable/reference/decorators/

PYTEST_DONT_REWRITE: it has no assertions, and may be imported before it is named as a plugin.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_asgi.plugin.asynchronous import is_async_test

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["fixture", "is_async_test"]
__version__ = "0+pytest-asgi"


def fixture(
    fixture_function: Callable[..., Any] | None = None,
    *,
    loop_scope: str | None = None,
    **options: Any,
) -> Any:
    """Declare a fixture: `pytest.fixture`, and `loop_scope` is of no importance on one loop."""
    del loop_scope
    if fixture_function is None:
        return pytest.fixture(**options)
    return pytest.fixture(fixture_function, **options)
