"""Where event loops come from: the line of the user's code that made each of them.

Only event loops' constructors are wrapped, and only between `install` and `uninstall`; event loop
policies, which are deprecated, are never asked. Loops are remembered weakly.
"""

from __future__ import annotations

import linecache
import os
import sys
import threading
from contextlib import suppress
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from weakref import WeakKeyDictionary

from pytest_asgi.import_watch import ImportWatch
from pytest_asgi.runner.installed import is_installed

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable, Iterator
    from types import FrameType

# Packages whose functions make loops on behalf of whoever calls them.
_MAKERS = frozenset({"anyio", "asyncio", "pytest_asyncio", "unittest", "uvloop", "winloop"})
_THREADS = frozenset({"concurrent", "threading"})
# The user's code runs inside of these, so that a search outwards has missed it when it gets here.
_HOSTS = frozenset({"_pytest", "pluggy", "pytest", "pytest_asgi"})
# Loops that are not asyncio's own are wrapped as soon as somebody imports their module.
_LOOPS = {"asyncio": "BaseEventLoop", "uvloop": "Loop", "winloop": "Loop"}
# anyio runs the app in a thread with this; so do the synchronous test clients built on anyio.
PORTAL = "anyio.from_thread.start_blocking_portal"
_INIT = "__init__"


class Place(NamedTuple):
    """A line of code."""

    file: str
    line: int
    function: str

    @property
    def source(self) -> str:
        """The text of the line, or nothing when the file cannot be read."""
        return linecache.getline(self.file, self.line).strip()

    def __str__(self) -> str:
        """Return file and line, as short as the working directory allows."""
        below = os.path.join(os.getcwd(), "")  # noqa: PTH109, PTH118 - files are strings here
        return f"{self.file.removeprefix(below)}:{self.line}"


class Origin(NamedTuple):
    """How an event loop was made.

    Attributes:
        made_by: The public name of what made it, such as `asyncio.run`.
        place: The line of the user's code; None when no such code was running.
        package_place: The line of an installed package that `place` called, if there is one.
        thread: The name of the thread, unless it was the main one.
    """

    made_by: str
    place: Place | None
    package_place: Place | None
    thread: str | None


class LoopOrigins:
    """Remembers the origin of every event loop that is made while installed."""

    def __init__(self) -> None:
        self._origins: WeakKeyDictionary[AbstractEventLoop, Origin] = WeakKeyDictionary()
        self._wrapped: dict[type[AbstractEventLoop], Callable[[], None]] = {}
        self._watches: list[ImportWatch] = []

    def install(self) -> None:
        """Begin to remember."""
        if self._watches:
            return
        for module, name in _LOOPS.items():
            watch = ImportWatch(module, partial(self._wrap_imported, module, name))
            self._watches.append(watch)
            watch.start()

    def uninstall(self) -> None:
        """Put the constructors back. What was remembered stays."""
        while self._watches:
            self._watches.pop().stop()
        while self._wrapped:
            _, unwrap = self._wrapped.popitem()
            unwrap()

    def __enter__(self) -> Self:
        self.install()
        return self

    def __exit__(self, *_: object) -> None:
        self.uninstall()

    def origin(self, loop: AbstractEventLoop) -> Origin | None:
        """Return how `loop` was made, if that is known."""
        with suppress(TypeError):  # a loop that cannot be hashed
            return self._origins.get(loop)
        return None

    def loops(self) -> list[AbstractEventLoop]:
        """Return the known loops that still exist, the oldest first."""
        return list(self._origins)

    def _wrap_imported(self, module: str, name: str) -> None:
        kind = getattr(sys.modules[module], name, None)
        if isinstance(kind, type):
            self._wrapped[kind] = self._wrap(kind)

    def _wrap(self, kind: type[AbstractEventLoop]) -> Callable[[], None]:
        construct: Callable[..., None] = getattr(kind, _INIT)
        own = vars(kind).get(_INIT)

        @wraps(construct)
        def remember(loop: AbstractEventLoop, *args: Any, **kwargs: Any) -> None:
            construct(loop, *args, **kwargs)
            # Asked each time: who wrapped this function in turn keeps it after `uninstall`.
            if kind in self._wrapped:
                self._remember(loop, sys._getframe(1))  # noqa: SLF001 - documented in `sys`

        def unwrap() -> None:
            if vars(kind).get(_INIT) is not remember:
                return
            if own is None:
                delattr(kind, _INIT)
            else:
                setattr(kind, _INIT, own)

        setattr(kind, _INIT, remember)
        return unwrap

    def _remember(self, loop: AbstractEventLoop, frame: FrameType) -> None:
        with suppress(TypeError):  # a loop that cannot be hashed or weakly referenced
            self._origins[loop] = _find_origin(loop, frame)


def package_of(module: str) -> str:
    """Return the first part of a module's name."""
    return module.partition(".")[0]


def is_users_own(frame: FrameType) -> bool:
    """Tell whether the code of a frame is the user's: of no package and not the library's."""
    if is_host(frame) or package_of(module_at(frame)) in _MAKERS:
        return False
    return not is_installed(frame.f_code.co_filename)


def is_host(frame: FrameType) -> bool:
    """Tell whether the code of a frame is pytest's or ours."""
    return package_of(module_at(frame)) in _HOSTS


def module_at(frame: FrameType) -> str:
    """Return the name of the module whose code a frame runs."""
    return str(frame.f_globals.get("__name__", ""))


def _find_origin(loop: AbstractEventLoop, frame: FrameType) -> Origin:
    """Walk outwards to the first line that is the user's own."""
    made_by = f"{package_of(type(loop).__module__)}.{type(loop).__qualname__}"
    package_place = place = None
    for outer in _callers(frame):
        package = package_of(module_at(outer))
        if package in _MAKERS:
            if package_place is None:
                made_by = _public_name(package, outer.f_code.co_qualname)
        elif is_users_own(outer):
            place = _place(outer)
            break
        elif package_place is None and _is_worth_naming(package, outer):
            package_place = _place(outer)
    return Origin(made_by, place, package_place, _thread_name())


def _is_worth_naming(package: str, frame: FrameType) -> bool:
    return package not in _THREADS and not frame.f_code.co_filename.startswith("<")


def _callers(frame: FrameType) -> Iterator[FrameType]:
    outer: FrameType | None = frame
    while outer is not None and not is_host(outer):
        yield outer
        outer = outer.f_back


def _public_name(package: str, qualified: str) -> str:
    """Return the name a user knows: `asyncio.run`, `asyncio.Runner`, `asyncio.new_event_loop`."""
    owner, _, function = qualified.rpartition(".")
    if "blocking_portal" in qualified:
        return PORTAL
    if owner.endswith("Policy"):
        return f"{package}.{function}"
    if owner.endswith("EventLoop"):
        return f"{package}.{owner.lstrip('_').removeprefix('Unix').removeprefix('Base')}"
    return f"{package}.{qualified.partition('.')[0]}"


def _place(frame: FrameType) -> Place:
    return Place(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_qualname)


def _thread_name() -> str | None:
    thread = threading.current_thread()
    return None if thread is threading.main_thread() else thread.name
