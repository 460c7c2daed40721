"""Whose something on a shared server is, and whether that process is still there to need it."""

from __future__ import annotations

import os
import socket
from zlib import crc32


def this_machine() -> str:
    """Return a word for this machine, of letters and digits."""
    return f"{crc32(socket.gethostname().encode()):08x}"


def is_running(pid: int) -> bool:
    """Tell whether there is a process of this number on this machine."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True
