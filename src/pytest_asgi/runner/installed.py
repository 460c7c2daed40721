"""Whose code a file holds: the project's, or that of a package or of Python itself."""

from __future__ import annotations

import os

_STANDARD_LIBRARY = os.path.dirname(os.__file__) + os.sep  # noqa: PTH120 - as code objects name it
_FOLDERS = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")


def is_installed(file: str) -> bool:
    """Tell whether a file belongs to an installed package or to the standard library."""
    if file.startswith(("<", _STANDARD_LIBRARY)):
        return True
    return any(folder in file for folder in _FOLDERS)
