"""Changes of `app.state` by a test or a fixture: Starlette's and FastAPI's.

What the app sets itself, while it starts or answers a request, is its own business; and so is the
state of an app that the test or fixture has made.
"""

from __future__ import annotations

import os
import sys
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, ref

from pytest_asgi.asgi import tasks
from pytest_asgi.import_watch import ImportWatch
from pytest_asgi.runner.leaks.beginnings import find_beginning
from pytest_asgi.runner.leaks.keepers import Change, Keeper, Leak, keeper

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from starlette.datastructures import State

_APPS = (
    f"{os.sep}site-packages{os.sep}starlette{os.sep}",
    os.path.join(Path(tasks.__file__).parent, ""),  # noqa: PTH118
)
_CHANGES = ("__setattr__", "__delattr__", "__setitem__", "__delitem__")
_INIT = "__init__"
_MISSING = object()


class StateWatch:
    """Takes note of each change."""

    def __init__(self) -> None:
        self._import = ImportWatch("starlette", self._wrap)
        self._makers: WeakKeyDictionary[State, Keeper] = WeakKeyDictionary()
        self._methods: dict[str, Callable[..., Any]] = {}
        self._kind: type[State] | None = None

    def start(self) -> None:
        """Begin, now or when Starlette is imported."""
        self._import.start()

    def stop(self) -> None:
        """Leave the class as it was."""
        self._import.stop()
        for name, method in self._methods.items():
            setattr(self._kind, name, method)

    def _wrap(self) -> None:
        from starlette.datastructures import State

        self._kind = State
        self._methods = {
            name: vars(State)[name] for name in (*_CHANGES, _INIT) if name in vars(State)
        }
        for name, method in self._methods.items():
            remember = self._remember_maker if name == _INIT else self._remember_change
            setattr(State, name, _preceded_by(remember, method))

    def _remember_maker(self, state: State, *_: object) -> None:
        holder = keeper.get()
        if holder is not None:
            self._makers[state] = holder

    def _remember_change(self, state: State, name: str, *_: object) -> None:
        holder, frame = keeper.get(), sys._getframe(2)
        if holder is None or self._makers.get(state) is holder or _is_of_app(frame):
            return
        place = find_beginning(frame)
        if place is not None:
            before = state._state.get(name, _MISSING)
            known = ref(state)
            leak = Leak("state", (f"app.state.{name}", name), place, "it has been put back")
            holder.changes.append(
                Change(
                    leak,
                    is_changed=partial(_is_changed, known, name, before),
                    put_back=partial(_put_back, known, name, before),
                )
            )


def _preceded_by(remember: Callable[..., None], method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def call(state: State, *args: Any, **kwargs: Any) -> Any:
        remember(state, *args)
        return method(state, *args, **kwargs)

    return call


def _is_of_app(frame: FrameType | None) -> bool:
    while frame is not None:
        if any(folder in frame.f_code.co_filename for folder in _APPS):
            return True
        frame = frame.f_back
    return False


def _is_changed(known: ref[State], name: str, before: object) -> bool:
    state = known()
    return state is not None and state._state.get(name, _MISSING) is not before


def _put_back(known: ref[State], name: str, before: object) -> None:
    state = known()
    if state is None:
        return
    if before is _MISSING:
        state._state.pop(name, None)
    else:
        state._state[name] = before
