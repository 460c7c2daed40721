"""Which line of the user's own code began something, if it was the user's own code.

What an installed package begins for itself is the package's: a pool of a driver, a monitor of a
client, a framework's worker. What Python's own library or anyio begins is the business of whoever
asked for it, and so are the tasks that our client makes to run an app in.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pytest_asgi.asgi.stacks import Place
from pytest_asgi.runner.installed import is_installed

if TYPE_CHECKING:
    from types import FrameType

_OURS = str(Path(__file__).parents[2])
_OUR_CLIENT = tuple(os.path.join(_OURS, folder, "") for folder in ("asgi", "client"))  # noqa: PTH118
_LIBRARIES = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
_ANYIO = f"{os.sep}anyio{os.sep}"
_CLIENTS = f"{os.sep}httpx{os.sep}", f"{os.sep}httpx2{os.sep}"


def find_beginning(frame: FrameType | None, *, through_clients: bool = False) -> Place | None:
    """Return the user's line that leads to `frame`, unless a package stands in between.

    Args:
        frame: Where the search begins, outwards.
        through_clients: Whether our client, and httpx around it, count as no package.
    """
    while frame is not None:
        role = _role(frame.f_code.co_filename)
        if role == "user":
            return Place(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_qualname)
        if role == "package" or (role == "client" and not through_clients):
            return None
        frame = frame.f_back
    return None


def is_users(file: str) -> bool:
    """Tell whether the code of a file is the user's own."""
    return _role(file) == "user"


@lru_cache(maxsize=1024)
def _role(file: str) -> Literal["user", "python", "client", "package"]:
    if file.startswith(_OURS):
        return "client" if file.startswith(_OUR_CLIENT) else "package"
    if not is_installed(file):
        return "user"
    if not any(folder in file for folder in _LIBRARIES) or _ANYIO in file:
        return "python"
    return "client" if any(package in file for package in _CLIENTS) else "package"
