"""How synchronous code waits for a coroutine: on the test's loop, or on a loop of its own.

No HTTP here, and no import of httpx2.
"""

from __future__ import annotations

import threading
import weakref
from importlib import import_module
from importlib.util import find_spec
from inspect import CORO_CREATED, getcoroutinestate
from typing import TYPE_CHECKING, Any, TypeVar

from pytest_asgi.client.own_loop import UVLOOP, BackgroundLoop, OwnLoop
from pytest_asgi.client.portal import RunCoroutine, run_coroutine
from pytest_asgi.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping

_T = TypeVar("_T")

# The options of each backend.
_OPTIONS: Mapping[str, tuple[str, ...]] = {
    "asyncio": ("debug", "loop_factory", "use_uvloop"),
    "trio": (
        "clock",
        "instruments",
        "restrict_keyboard_interrupt_to_checkpoints",
        "strict_exception_groups",
    ),
}


class Waiter:
    """Runs coroutines for one synchronous client.

    On the loop of the test if it has one. Else on a loop of its own, made at the first use and
    kept, so that connections which the app holds stay usable from one request to the next.

    Args:
        options: `debug` and `loop_factory` of the loop of its own, as in `asyncio.Runner`, and
            `use_uvloop`; or what `trio.run` takes.
        in_thread: Whether to have a loop of its own in any case, and a thread that runs it.
        backend: `"asyncio"`, or `"trio"`, which is always in a thread.
    """

    def __init__(
        self, options: dict[str, Any], *, in_thread: bool = False, backend: str = "asyncio"
    ) -> None:
        __tracebackhide__ = True
        _require_known(backend, options)
        self._options = options
        self._make_loop: Any = BackgroundLoop if in_thread else OwnLoop
        if backend == "trio":
            # Imported on demand: most environments have no trio.
            self._make_loop = import_module("pytest_asgi.adapters.trio.thread").TrioLoop
        self._is_own = in_thread or backend == "trio"
        self._given = run_coroutine.get()
        self._pinned: RunCoroutine | None = None
        self._close_own_loop: weakref.finalize[..., Waiter] | None = None
        self._own_loop: Any = None
        self._making = threading.Lock()  # several threads may use one client

    def run(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        """Run `coroutine` to its end and return its result."""
        __tracebackhide__ = True
        run = self._pinned or self._choose()
        try:
            result: _T = run(coroutine)
        except RuntimeError:  # The loop is closed: a reader that was left behind is collected.
            if getcoroutinestate(coroutine) == CORO_CREATED:
                coroutine.close()  # or it would warn that nobody awaited it
            raise
        return result

    def pin(self) -> None:
        """Stay with the loop of this moment: a startup and its shutdown belong on one loop."""
        self._pinned = self._pinned or self._choose()

    @property
    def portal(self) -> Any | None:
        """What the loop of its own has to call functions with, if that is not `run`."""
        return getattr(self._own_loop, "portal", None)

    def close(self) -> None:
        """Forget the loop, and close it if it is our own; the next use makes a new one."""
        self._pinned = None
        if self._close_own_loop is not None:
            self._close_own_loop()
        self._own_loop = self._close_own_loop = None

    def _choose(self) -> RunCoroutine:
        if self._is_own:
            return self._run_on_own_loop
        given = run_coroutine.get()
        if given is not None:
            self._given = given  # a thread of the test has none, and shares the loop of the test
        return self._given or self._run_on_own_loop

    def _run_on_own_loop(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        __tracebackhide__ = True
        try:
            run = self._find_own_loop().run
        except BaseException:
            coroutine.close()
            raise
        result: _T = run(coroutine)
        return result

    def _find_own_loop(self) -> Any:
        with self._making:
            if self._own_loop is None:
                self._own_loop = self._make_loop(self._options)
                # An unclosed loop warns when it is collected, and clients of modules are never
                # closed.
                self._close_own_loop = weakref.finalize(self, self._own_loop.close)
            return self._own_loop


def _require_known(backend: str, options: dict[str, Any]) -> None:
    __tracebackhide__ = True
    if backend not in _OPTIONS:
        raise SettingsError(
            f"TestClient cannot use the backend {backend!r}.",
            why="It shares the loop of the test, which is asyncio's, or runs the app on trio.",
            fix='Leave `backend` out, or use "asyncio" or "trio".',
        )
    unknown = ", ".join(repr(name) for name in options if name not in _OPTIONS[backend])
    if unknown:
        known = ", ".join(map(repr, _OPTIONS[backend]))
        raise SettingsError(
            f"backend_options has no {unknown} here.",
            why=f"The app runs on {backend}'s own runner, which knows {known}.",
            fix=f"Leave {unknown} out.",
        )
    if options.get("use_uvloop") and find_spec(UVLOOP) is None:
        raise SettingsError(
            f"backend_options asks for {UVLOOP}, which is not installed.",
            why=f"`use_uvloop` makes a loop of {UVLOOP}'s.",
            fix=f"Install it:\n\n    pip install {UVLOOP}",
        )
