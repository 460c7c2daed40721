"""Whether a person has stopped the program to look at it: then no clock counts."""

from __future__ import annotations

import sys

_DEBUGGERS = ("bdb", "pdb", "pydevd", "_pydevd", "debugpy")


def is_debugging() -> bool:
    """Tell whether a debugger follows the calling thread."""
    monitoring = getattr(sys, "monitoring", None)  # since Python 3.12
    if monitoring is not None and monitoring.get_tool(monitoring.DEBUGGER_ID) is not None:
        return True
    trace = sys.gettrace()
    owner = getattr(trace, "__self__", None)
    kinds = [trace, *([] if owner is None else type(owner).__mro__)]
    return any(_module(kind).startswith(_DEBUGGERS) for kind in kinds)


def _module(thing: object) -> str:
    return getattr(thing, "__module__", None) or ""
