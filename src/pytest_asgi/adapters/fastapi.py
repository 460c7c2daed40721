"""FastAPI's dependency overrides: whose they are, and putting back what a test has set.

The attribute `dependency_overrides` is watched, so an app is known from the moment it is made or
used, wherever it is. Nothing here imports FastAPI: until somebody else does, there is no app.
"""

from __future__ import annotations

import gc
import sys
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from types import FrameType

    from fastapi import FastAPI

    Overrides = dict[Callable[..., Any], Callable[..., Any]]

_NAME = "dependency_overrides"
_IMPORTING = "<frozen importlib._bootstrap>"  # where the code of a module is called from
_MISSING = object()

# The overrides of a test that runs beside others, by the identity of the app, which is kept: they
# are copied when the test first looks, and nobody else sees what it changes.
own_overrides: ContextVar[dict[int, tuple[FastAPI, Overrides]] | None] = ContextVar(
    "pytest_asgi_own_overrides", default=None
)


class DependencyOverrides:
    """The overrides of every FastAPI app, and what they were before the running test.

    What an app's own code overrides while the app is made belongs to the app, even if a test is
    the first to import it: the module is run once, and the next test needs it as well.
    """

    def __init__(self) -> None:
        # By identity: an app's class may compare its objects, and then they have no hash.
        self._apps: WeakValueDictionary[int, FastAPI] = WeakValueDictionary()
        self._before_test: dict[int, _Memory] | None = None  # each keeps its app, and so the id
        self._makers: dict[int, FrameType] = {}

    def watch(self) -> Watch:
        """Begin to watch all apps, those that have been made already too."""
        from fastapi import FastAPI

        for kind in _with_subclasses(FastAPI):
            for thing in gc.get_referrers(kind):
                if type(thing) is kind:
                    self._apps[id(thing)] = thing
        return Watch(FastAPI, self)

    def begin_test(self) -> None:
        """Remember the overrides of all apps; those of later ones when a test gets to see them."""
        self._before_test = self._remember_all()

    def end_test(self) -> None:
        """Put back what the test has changed."""
        before, self._before_test = self._before_test, None
        self._makers.clear()
        for memory in (before or {}).values():
            memory.put_back()

    @contextmanager
    def outlive_test(self) -> Generator[None]:
        """Let what is overridden in this block stay after the running test."""
        if self._before_test is None:
            yield
            return
        before_test, self._before_test = self._before_test, None
        before_block = self._remember_all()
        try:
            yield
        finally:
            for key, now in self._remember_all().items():
                if key in before_test:
                    before_test[key].follow(before_block[key], now)
                elif key not in before_block:
                    before_test[key] = now
            self._before_test = before_test

    def notice(self, app: FastAPI) -> None:
        """Be told that the overrides of `app` are about to be read, or have been assigned."""
        if self._before_test is not None and id(app) in self._before_test:
            return
        self._apps[id(app)] = app
        if self._before_test is not None and not _is_being_made(self._makers.get(id(app))):
            self._before_test[id(app)] = _Memory(app)

    def notice_new(self, app: FastAPI, maker: FrameType) -> None:
        """Be told that `app` is being made by the code in the frame `maker`."""
        if self._before_test is not None:
            self._makers[id(app)] = maker
        self._apps[id(app)] = app

    def _remember_all(self) -> dict[int, _Memory]:
        apps = [reference() for reference in self._apps.valuerefs()]
        return {id(app): _Memory(app) for app in apps if app is not None}


class Watch:
    """Stands in for an attribute of FastAPI's objects, and tells of each use."""

    def __init__(self, kind: type[FastAPI], overrides: DependencyOverrides) -> None:
        self._kind = kind
        self._told = overrides
        self._replaced = vars(kind).get(_NAME)  # another run of pytest in this process
        setattr(kind, _NAME, self)

    def stop(self) -> None:
        """Leave the attribute as it was."""
        if self._replaced is None:
            delattr(self._kind, _NAME)
        else:
            setattr(self._kind, _NAME, self._replaced)

    def __get__(self, app: FastAPI | None, kind: type[FastAPI]) -> Any:
        if app is None:
            return self
        try:
            overrides = vars(app)[_NAME]
        except KeyError:
            raise AttributeError(f"{kind.__name__!r} object has no attribute {_NAME!r}") from None
        own = own_overrides.get()
        if own is not None:
            return own.setdefault(id(app), (app, dict(overrides)))[1]
        self._told.notice(app)
        return overrides

    def __set__(self, app: FastAPI, overrides: Overrides) -> None:
        own = own_overrides.get()
        if own is not None and _NAME in vars(app):
            own[id(app)] = (app, overrides)
            return
        is_new = _NAME not in vars(app)
        if not is_new:
            self._told.notice(app)  # before it is changed
        vars(app)[_NAME] = overrides
        if is_new:
            self._told.notice_new(app, _maker(app, sys._getframe(1)))


class _Memory:
    """The overrides of one app as they were at some moment."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._overrides: Overrides = vars(app)[_NAME]
        self._content = dict(self._overrides)

    def put_back(self) -> None:
        # Tests also assign a new dictionary, and others keep a reference to the old one.
        vars(self._app)[_NAME] = self._overrides
        if self._overrides != self._content:
            self._overrides.clear()
            self._overrides.update(self._content)

    def follow(self, before: _Memory, after: _Memory) -> None:
        """Change what will be put back as the overrides have changed between two moments."""
        if after._overrides is not before._overrides:
            self._overrides = after._overrides
        for dependency in before._content.keys() - after._content.keys():
            self._content.pop(dependency, None)
        for dependency, override in after._content.items():
            if before._content.get(dependency, _MISSING) is not override:
                self._content[dependency] = override


def _with_subclasses(kind: type[FastAPI]) -> Iterator[type[FastAPI]]:
    yield kind
    for subclass in kind.__subclasses__():
        yield from _with_subclasses(subclass)


def _maker(app: FastAPI, frame: FrameType) -> FrameType:
    """Return the frame that has called the class, behind the constructors in `frame`."""
    while frame.f_back is not None and frame.f_locals.get("self") is app:
        frame = frame.f_back
    return frame


def _is_being_made(maker: FrameType | None) -> bool:
    """Tell whether the calling code runs below the maker of an app, or below an import."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame is maker or frame.f_code.co_filename == _IMPORTING:
            return True
        frame = frame.f_back
    return False
