"""Async generators that were begun and never closed, if closing them has something to do.

`async for … : break` leaves a generator to the garbage collector, which closes it at some other
time, in another test's context perhaps. That is of no interest unless the generator waits inside
of a block that has to be left: `with`, `async with`, or `try` with `finally`. The generators of
packages belong to objects that are closed themselves, as `aiter_lines()` does to its response.
"""

from __future__ import annotations

import ast
import linecache
import sys
from typing import TYPE_CHECKING, Any
from weakref import ref

from pytest_asgi.asgi.stacks import Place
from pytest_asgi.runner.leaks.beginnings import find_beginning, is_users
from pytest_asgi.runner.leaks.keepers import Keeper, Leak, keeper, names_of, shorten

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator
    from types import CodeType, FrameType
    from weakref import ReferenceType

    Generator = AsyncGenerator[Any, Any]
    Hook = Callable[[Any], Any] | None

_CATCH_ALL = frozenset({"BaseException", "GeneratorExit"})
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


class GeneratorWatch:
    """Takes note of each async generator that begins, and of each that is collected unfinished."""

    def __init__(self) -> None:
        self._hooks = self._begin, self._collect
        self._loops: tuple[Hook, Hook] = None, None
        # Weak references are cleared before the hook is called: then only the identity is left.
        self._begun: dict[int, tuple[ReferenceType[Generator], Keeper, Place]] = {}

    def install(self) -> None:
        """Begin, in front of the hooks of the loop that runs: it sets them anew at each run."""
        hooks = sys.get_asyncgen_hooks()
        if hooks.firstiter is not None and hooks.firstiter is not self._hooks[0]:
            self._loops = hooks.firstiter, hooks.finalizer
            sys.set_asyncgen_hooks(*self._hooks)

    def forget(self, holder: Keeper) -> None:
        """Remember no more of what `holder` has begun and what has ended since."""
        for key, (reference, owner, _) in list(self._begun.items()):
            generator = reference()
            if owner is holder and (generator is None or _frame(generator) is None):
                del self._begun[key]

    def _begin(self, generator: Generator) -> None:
        if self._loops[0] is not None:
            self._loops[0](generator)
        holder = keeper.get()
        if holder is not None and is_users(_code(generator).co_filename):
            place = find_beginning(sys._getframe(1))  # noqa: SLF001 - documented in `sys`
            if place is not None:
                holder.generators[generator] = place
                self._begun[id(generator)] = ref(generator), holder, place

    def _collect(self, generator: Generator) -> None:
        begun = self._begun.pop(id(generator), None)
        stands_at = _open_block(generator)
        if begun is not None and stands_at is not None:
            _, holder, place = begun
            detail = f"it stands in a block that has to be left, at {shorten(stands_at)}"
            leak = Leak("generator", names_of(_code(generator).co_qualname), place, detail)
            holder.lost.append(leak)
        if self._loops[1] is not None:
            self._loops[1](generator)


def lost_generators(holder: Keeper) -> list[Leak]:
    """Return, once, those that nobody can close any more; what somebody keeps is not lost."""
    lost, holder.lost = holder.lost, []
    for generator in list(holder.generators):
        if _frame(generator) is None:
            del holder.generators[generator]
    return lost


def _code(generator: Any) -> CodeType:
    return generator.ag_code  # type: ignore[no-any-return]  # the abstract class has no code


def _frame(generator: Any) -> FrameType | None:
    return generator.ag_frame  # type: ignore[no-any-return]  # the abstract class has no frame


def _open_block(generator: Generator) -> Place | None:
    """Return where a generator stands, if that is inside of a block that has to be left."""
    code, frame = _code(generator), _frame(generator)
    if frame is None or not _is_in_block(code.co_filename, code.co_firstlineno, frame.f_lineno):
        return None
    return Place(code.co_filename, frame.f_lineno, code.co_qualname)


def _is_in_block(file: str, first_line: int, line: int) -> bool:
    try:
        tree = ast.parse("".join(linecache.getlines(file)))
    except (SyntaxError, ValueError):
        return False
    for node in ast.walk(tree):
        if isinstance(node, ast.AsyncFunctionDef) and _first_line(node) == first_line:
            return any(_spans(block, line) for block in _blocks(node))
    return False


def _first_line(function: ast.AsyncFunctionDef) -> int:
    return min([function.lineno, *(each.lineno for each in function.decorator_list)])


def _blocks(node: ast.AST) -> Iterator[ast.stmt]:
    """Yield the statements that have to be left, of one function and not of those inside it."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, _FUNCTIONS):
            continue
        if isinstance(child, (ast.With, ast.AsyncWith)) or (
            isinstance(child, ast.Try) and _tidies_up(child)
        ):
            yield child
        yield from _blocks(child)


def _tidies_up(block: ast.Try) -> bool:
    return bool(block.finalbody) or any(
        handler.type is None
        or (isinstance(handler.type, ast.Name) and handler.type.id in _CATCH_ALL)
        for handler in block.handlers
    )


def _spans(block: Any, line: int) -> bool:
    return any(part.lineno <= line <= (part.end_lineno or part.lineno) for part in block.body)
