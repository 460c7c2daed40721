"""`--trace` for async tests: the debugger stops in the first line of the user's function."""

from __future__ import annotations

import sys
from functools import wraps
from typing import TYPE_CHECKING, Any

import pytest

from pytest_asgi.plugin import pytest_private
from pytest_asgi.plugin.function_kinds import is_async_function

if TYPE_CHECKING:
    from bdb import Bdb
    from collections.abc import Callable

__tracebackhide__ = True  # a failure ends in the user's line


class Tracing:
    """The hook that hands a traced test on as a coroutine function. Registered with `--trace`."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> None:
        """Let the debugger follow the coroutine, not the call that makes it."""
        traced = pytest_private.tracing_debugger(pyfuncitem)
        if traced is not None and is_async_function(traced[1]):
            pyfuncitem.obj = _stop_in_first_line(*traced)


def _stop_in_first_line(debugger: Bdb, function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    async def trace(*args: Any, **kwargs: Any) -> object:
        coroutine = function(*args, **kwargs)
        # As `Bdb.runcall` does it. The debugger stops in the first frame that begins from here on.
        debugger.reset()
        sys.settrace(debugger.trace_dispatch)
        try:
            return await coroutine
        finally:
            debugger.set_quit()

    return trace
