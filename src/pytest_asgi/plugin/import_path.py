"""Import what a `module:name` names."""

from __future__ import annotations

import sys
from functools import reduce
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


__tracebackhide__ = True  # a failure ends in the user's line


class NoSuchNameError(LookupError):
    """A module that was imported has no such name."""


def import_object(path: str, *, root: Path) -> Any:
    """Return the object that `path` names; modules may lie in `root`.

    Args:
        path: `module:name`, where the name may have dots.
        root: The folder to import from first, usually the project's.

    Raises:
        ImportError: The module cannot be imported; its own errors pass through.
        NoSuchNameError: The module has no such name.
    """
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    module_name, _, name = path.partition(":")
    module = import_module(module_name)  # what its code raises is not ours to explain
    try:
        return reduce(getattr, name.split("."), module)
    except AttributeError as error:
        raise NoSuchNameError(str(error)) from error
