"""Every use of private trio, each with its reason. Checked with trio 0.32 and 0.35.

Nothing else in the package reads a name of trio's that starts with an underscore.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import outcome
import trio
from sniffio import thread_local as _library
from trio._core._run import GLOBAL_RUN_CONTEXT as _HERE

if TYPE_CHECKING:
    from collections.abc import Callable

__tracebackhide__ = True  # a failure ends in the user's line

Running = tuple[dict[str, Any], str | None]


def hide_running_trio() -> Running | None:
    """Make the thread say that trio does not run, and return what it said before."""
    if not _HERE.__dict__:
        return None
    running = dict(_HERE.__dict__), _library.name
    _HERE.__dict__.clear()
    _library.name = None
    return running


def show_running_trio(running: Running | None) -> None:
    """Make the thread say again what `hide_running_trio` returned."""
    if running is not None:
        run, _library.name = running
        _HERE.__dict__.update(run)


def raise_in(task: trio.lowlevel.Task, make: Callable[[], BaseException]) -> bool:
    """Raise an exception where a task waits; tell whether that is possible.

    trio does so for Ctrl-C, but in the main task of a run only; a cancel scope would cancel all
    that comes after as well, and tear-downs have to run. `make` is called if it is raised.
    """

    def raise_it() -> None:
        raise make()

    if task._abort_func is not None:  # it waits for something that can be cancelled
        task._attempt_abort(raise_it)
        return True
    if isinstance(task._next_send, outcome.Value):  # it goes on at once: it has let others go on
        task._next_send = outcome.Error(make())
        return True
    return False


def open_scopes() -> list[trio.CancelScope]:
    """Return the cancel scopes that the running task is in, the outermost first.

    No public function tells which scopes an async generator leaves open at its `yield`.
    """
    scopes = []
    status: Any = trio.lowlevel.current_task()._cancel_status
    while status is not None:
        scopes.append(status._scope)
        status = status._parent
    return scopes[::-1]


def is_cancelled(scope: trio.CancelScope) -> bool:
    """Tell whether a scope was cancelled; the public property can be asked in a run only."""
    return scope._cancel_called
