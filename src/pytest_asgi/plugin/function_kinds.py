"""What kind of function something is."""

from __future__ import annotations

import inspect
from types import FunctionType

_IS_ASYNC = inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR


def is_async_function(function: object) -> bool:
    """Tell whether calling `function` gives a coroutine or an async generator."""
    code = getattr(function, "__code__", None)
    if code is not None and code.co_flags & _IS_ASYNC:
        return True
    plain = getattr(function, "__func__", function)  # a method is what its function is
    if isinstance(plain, FunctionType) and not plain.__dict__:
        return False  # only an attribute could say otherwise, and to look for those is slow
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
