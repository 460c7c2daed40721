"""Find the object that is bound to an event loop among what a traceback's frames can reach.

Reading an object must not run the user's code: no property, no `__getattr__`, no `repr`. Only
instance dictionaries, slots and plain containers are read, and only so many of them.
"""

from __future__ import annotations

import asyncio
import dis
import sys
from asyncio import AbstractEventLoop
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from types import (
    CodeType,
    FrameType,
    FunctionType,
    GetSetDescriptorType,
    MappingProxyType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
)
from typing import Any, TypeAlias

from pytest_asgi.runner.foreign_loops.origins import (
    Place,
    is_users_own,
    package_of,
)
from pytest_asgi.runner.installed import is_installed

IsForeign: TypeAlias = Callable[[object, AbstractEventLoop], bool]

_MOST_OBJECTS = 2000  # per frame: some ten milliseconds
_MOST_STEPS = 10
_MOST_ITEMS = 20
_LEAVES = (
    str,
    bytes,
    int,
    float,
    type(None),
    type,
    CodeType,
    FrameType,
    FunctionType,
    ModuleType,
    AbstractEventLoop,
    asyncio.Future,
)
# Test runners hold every loop and reach every object; what they hold explains nothing.
_RUNNERS = frozenset({"_pytest", "pluggy", "pytest", "pytest_asyncio", "unittest"})


@dataclass(frozen=True, slots=True)
class Step:
    """An object on the way from a variable, and the expression that reaches it, if one does."""

    name: str
    value: object


_Way: TypeAlias = tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class BoundObject:
    """An object that is bound to an event loop, and how a line of code reaches it.

    Attributes:
        steps: From a variable to the bound object itself.
        loop: The loop it is bound to.
        place: The line of code whose variable it is.
        is_users: Whether that line is the user's own.
    """

    steps: _Way
    loop: AbstractEventLoop
    place: Place
    is_users: bool

    @property
    def holder(self) -> Step:
        """The first object on the way that is not of the user's making, as the user knows it."""
        for step in self.steps:
            if _is_of_a_library(type(step.value)):
                return step
        return self.steps[-1]

    @property
    def bound(self) -> Step:
        """The bound object itself, which may be deep inside of the holder."""
        return self.steps[-1]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a traceback: a frame, and where it was when the exception passed."""

    frame: FrameType
    number: int

    @property
    def place(self) -> Place:
        """The line without its frame."""
        code = self.frame.f_code
        return Place(code.co_filename, self.number, code.co_qualname)


def find_bound_object(lines: Iterable[Line], is_foreign: IsForeign) -> BoundObject | None:
    """Return the object bound to a foreign loop that is nearest to where the exception arose.

    What the user's own code can name comes first, whatever libraries lie in between.

    Args:
        lines: The traceback, its innermost line first.
        is_foreign: Tells whether an object and the loop it is bound to are what is looked for.
    """

    def is_wanted(value: object) -> bool:
        loop = bound_loop(value)
        return loop is not None and is_foreign(value, loop)

    seen: set[int] = set()
    for line in sorted(lines, key=lambda line: not is_users_own(line.frame)):
        steps = _search(_variables(line.frame), is_wanted, seen)
        loop = bound_loop(steps[-1].value) if steps else None
        if loop is not None:
            return BoundObject(steps, loop, line.place, is_users_own(line.frame))
    return None


def find_name(line: Line, value: object) -> tuple[Step, ...]:
    """Return how a line of code reaches a value, or nothing if it does not."""
    return _search(_variables(line.frame), lambda other: other is value, set())


def bound_loop(value: object) -> AbstractEventLoop | None:
    """Return the loop that an object is bound to, if it says so in a way that is safe to read."""
    if is_of(value, asyncio.Future):
        return _loop_of_future(value)
    for name, attribute in attributes(value):
        if name.endswith("loop") and is_of(attribute, AbstractEventLoop):
            return attribute  # type: ignore[return-value]  # the line above says what it is
    return None


def is_of(value: object, *kinds: type) -> bool:
    """Tell whether a value is of a kind, without asking the value: proxies and mocks lie."""
    return not _mro(value).isdisjoint(kinds)


def attributes(value: object) -> Iterator[tuple[str, object]]:
    """Yield the attributes that an object stores itself, running none of its code."""
    for kind in type(value).__mro__:
        for name, descriptor in _namespace(kind).items():
            if isinstance(descriptor, MemberDescriptorType):
                try:
                    yield name, descriptor.__get__(value)
                except AttributeError:  # a slot without a value
                    continue
    yield from _instance_dict(value).items()


def module_of(kind: type) -> str:
    """Return the name of the module that a class says it is from."""
    name = type.__dict__["__module__"].__get__(kind)
    return name if isinstance(name, str) else ""


def _mro(value: object) -> set[type]:
    return set(type(value).__mro__)


def _namespace(kind: type) -> MappingProxyType[str, Any]:
    namespace: MappingProxyType[str, Any] = type.__dict__["__dict__"].__get__(kind)
    return namespace


def _instance_dict(value: object) -> dict[str, object]:
    for kind in type(value).__mro__:
        descriptor = _namespace(kind).get("__dict__")
        if descriptor is not None:
            is_plain = isinstance(descriptor, GetSetDescriptorType | MemberDescriptorType)
            found = descriptor.__get__(value) if is_plain else {}
            return dict(found) if type(found) is dict else {}
    return {}


def _loop_of_future(future: object) -> AbstractEventLoop | None:
    try:
        # The function of asyncio's own class: a subclass may say something else.
        return asyncio.Future.get_loop(future)  # type: ignore[arg-type]
    except (RuntimeError, TypeError):  # never initialised
        return None


def _variables(frame: FrameType) -> Iterator[Step]:
    """Yield what a line can name: local variables, then the globals that its code mentions."""
    # pytest's assertions keep values as `@py_assert1`.
    named = [item for item in frame.f_locals.items() if item[0].isidentifier()]
    named += [(name, frame.f_globals.get(name)) for name in _global_names(frame.f_code)]
    for name, value in named:
        if is_of(value, ModuleType):
            yield from _module_variables(name, value, frame.f_code.co_names)
        else:
            yield Step(name, value)


def _global_names(code: CodeType) -> set[str]:
    # `co_names` has the names of attributes too.
    return {
        instruction.argval
        for instruction in dis.get_instructions(code)
        if instruction.opname in {"LOAD_GLOBAL", "LOAD_NAME"}
    }


def _module_variables(module: str, value: object, names: tuple[str, ...]) -> Iterator[Step]:
    namespace = _instance_dict(value)
    yield from (Step(f"{module}.{name}", namespace[name]) for name in names if name in namespace)


def _search(
    variables: Iterable[Step], is_wanted: Callable[[object], bool], seen: set[int]
) -> _Way:
    """Go outwards from variables, the nearest first, to a wanted object."""
    ways: deque[_Way] = deque((step,) for step in variables)
    most = len(seen) + _MOST_OBJECTS
    while ways and len(seen) < most:
        way = ways.popleft()
        value = way[-1].value
        if id(value) in seen or _is_a_runners(type(value)):
            continue
        seen.add(id(value))
        if is_wanted(value):
            return way
        if len(way) < _MOST_STEPS:
            ways.extend((*way, step) for step in _steps(way[-1]))
    return ()


def _is_a_runners(kind: type) -> bool:
    module = module_of(kind)
    return package_of(module) in _RUNNERS or module.startswith("pytest_asgi.runner.")


def _steps(step: Step) -> Iterator[Step]:
    name, value = step.name, step.value
    if is_of(value, *_LEAVES):
        return
    if type(value) is MethodType:
        yield Step(name.rpartition(".")[0] or name, value.__self__)
    elif type(value) is dict:
        yield from (Step(f"{name}[{_key(key)}]", item) for key, item in _first(value.items()))
    elif type(value) in {list, tuple, deque}:
        yield from (Step(f"{name}[{at}]", item) for at, item in enumerate(_first(value)))
    elif type(value) in {set, frozenset}:
        yield from (Step(f"{name}[…]", item) for item in _first(value))
    else:
        yield from (Step(f"{name}.{key}", item) for key, item in attributes(value))


def _first(items: Any) -> list[Any]:
    return list(islice(items, _MOST_ITEMS))


def _key(key: object) -> str:
    return repr(key) if type(key) in {str, int} else "…"


def _is_of_a_library(kind: type) -> bool:
    module = sys.modules.get(module_of(kind))
    if module_of(kind) == "builtins" or module is None:
        return False  # a dictionary or a list is the user's way to keep something else
    return is_installed(_file_of(module))


def _file_of(module: object) -> str:
    file = _instance_dict(module).get("__file__")
    return file if isinstance(file, str) else "<built in>"
