"""The way from synchronous code into the loop of the test: one variable, set by who owns the loop.

A module of its own, because it costs nothing to import: the plugin sets the variable in every
run, whether a test uses a client or not.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from typing import Any, TypeAlias

RunCoroutine: TypeAlias = Callable[[Coroutine[Any, Any, Any]], Any]

# Unset in plain scripts.
run_coroutine: ContextVar[RunCoroutine | None] = ContextVar(
    "pytest_asgi_run_coroutine", default=None
)
