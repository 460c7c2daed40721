"""What a suspended generator holds: the scopes that can cancel the task around it.

An `async with` that is open across a `yield` is on the generator's stack, whether or not a
variable names it. The garbage collector shows what is there; nobody's code is run.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections import deque
from contextvars import Context
from itertools import pairwise
from types import (
    AsyncGeneratorType,
    BuiltinMethodType,
    CodeType,
    FrameType,
    FunctionType,
    GeneratorType,
    MethodDescriptorType,
    MethodType,
    ModuleType,
)
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST_OBJECTS = 500  # a scope is a step or two away from the block that holds it
_FUNCTIONS = (MethodType, BuiltinMethodType, FunctionType, MethodDescriptorType)
_GENERATORS = (AsyncGeneratorType, GeneratorType)
_LEAVES = (
    type,
    ModuleType,
    FunctionType,
    CodeType,
    FrameType,
    BaseException,
    Context,
    asyncio.Future,
    asyncio.Handle,
    asyncio.AbstractEventLoop,
)


def has_cancelled(generator: object) -> bool:
    """Tell whether a scope that `generator` holds has cancelled the task that entered it."""
    return any(map(_is_cancelled, _scopes(generator)))


def holds_task_group(generator: object) -> bool:
    """Tell whether `generator` holds a task group, which waits for its children when left."""
    groups = (asyncio.TaskGroup, *_of_anyio("anyio.abc", "TaskGroup"))
    return any(isinstance(scope, groups) for scope in _scopes(generator))


def _is_cancelled(scope: Any) -> bool:
    match scope:
        case asyncio.Timeout():
            return scope.expired()
        case asyncio.TaskGroup():
            return scope._aborting  # type: ignore[attr-defined, no-any-return]  # noqa: SLF001 - not public anywhere
        case _:
            return bool(getattr(scope, "cancel_called", False))  # a task group of anyio has none


def _scopes(generator: object) -> Iterator[object]:
    """Yield the timeouts, cancel scopes and task groups that are open in `generator`."""
    groups = _of_anyio("anyio.abc", "TaskGroup")  # each has a cancel scope inside
    others = (asyncio.Timeout, asyncio.TaskGroup, *_of_anyio("anyio", "CancelScope"))
    coming, seen = deque(_open_blocks(generator)), set[int]()
    while coming and len(seen) < _MOST_OBJECTS:
        each = coming.popleft()
        if id(each) in seen or isinstance(each, _LEAVES):
            continue
        seen.add(id(each))
        if isinstance(each, (*groups, *others)):
            yield each
        if isinstance(each, _GENERATORS):
            coming.extend(_open_blocks(each))  # its variables may name what others hold
        elif not isinstance(each, others):
            coming.extend(gc.get_referents(each))


def _open_blocks(generator: object) -> list[Any]:
    """Return the context managers whose `with` blocks `generator` is in."""
    stack = [*gc.get_referents(generator), None]
    return [
        # Python 3.14 keeps a plain function and, above it, the object that it is called with.
        getattr(leave, "__self__", above)
        for leave, above in pairwise(stack)
        if isinstance(leave, _FUNCTIONS) and leave.__name__ in {"__exit__", "__aexit__"}
    ]


def _of_anyio(module: str, name: str) -> tuple[type, ...]:
    """Return the class if anyio has been imported; else nobody can hold one."""
    return (getattr(sys.modules[module], name),) if module in sys.modules else ()
