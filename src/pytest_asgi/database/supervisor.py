"""Keeps one server alive as long as anybody uses it: a program of its own, started by `servers`.

It outlives a test process that is killed, so nothing of the server does. Who uses the server
holds a shared lock on the file `in-use` of its folder; the system lets go of the lock however the
process ends. Once nobody holds it, the supervisor gets the lock, stops the server and removes the
folder.

It imports little, for every run that needs a server waits until it has started.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import FrameType

IN_USE = "in-use"
SERVER_PID = "server.pid"
EXITED = "exited"
_STOP_SECONDS = 10


def supervise(folder: str, plan: dict[str, Any]) -> None:
    """Run the server of `plan` until nobody uses it any more, and remove `folder`."""
    server = _Server(folder, plan)
    signal.signal(signal.SIGCHLD, server.reap)
    signal.signal(signal.SIGTERM, _end)
    server.reap()  # It may have ended before anybody listened.
    try:
        with open(f"{folder}/{IN_USE}", "rb") as in_use:  # noqa: PTH123 - pathlib takes a while
            fcntl.flock(in_use, fcntl.LOCK_EX)
            server.stop()
            _remove(folder)
    finally:
        server.stop()


class _Server:
    """The server's process."""

    def __init__(self, folder: str, plan: dict[str, Any]) -> None:
        self._folder = folder
        self._stop_signal = plan["stop_signal"]
        self._has_exited = False
        self._pid = os.fork()
        if not self._pid:
            _become(plan)
        self._note(SERVER_PID, str(self._pid))

    def reap(self, *_: object) -> None:
        """Note it if the server has ended."""
        # A signal may come while this is running already; only one of the two reaps the process.
        with suppress(ChildProcessError):
            if not self._has_exited and os.waitpid(self._pid, os.WNOHANG)[0]:
                self._has_exited = True
                self._note(EXITED, "")

    def stop(self) -> None:
        """Ask the server to end, and make it end if it does not."""
        for number in (self._stop_signal, signal.SIGKILL):
            deadline = time.monotonic() + _STOP_SECONDS
            with suppress(ProcessLookupError):
                if not self._has_exited:
                    os.kill(self._pid, number)
            while not self._has_exited and time.monotonic() < deadline:
                time.sleep(0.005)
                self.reap()

    def _note(self, name: str, text: str) -> None:
        with (
            suppress(FileNotFoundError),  # Somebody else has swept the folder.
            open(f"{self._folder}/{name}.new", "w", encoding="ascii") as file,  # noqa: PTH123
        ):
            file.write(text)
            os.rename(file.name, f"{self._folder}/{name}")  # noqa: PTH104


def _become(plan: dict[str, Any]) -> None:
    """Turn this process into the server; who cannot says so in the log."""
    try:
        os.chdir("/")
        if plan["user"] is not None:
            os.setgroups([])
            os.setgid(plan["group"])
            os.setuid(plan["user"])
        os.execve(plan["command"][0], plan["command"], plan["environment"])  # noqa: S606
    except OSError as error:
        os.write(2, f"{plan['command'][0]}: {error}\n".encode())
    finally:
        os._exit(127)


def _remove(folder: str) -> None:
    import shutil  # noqa: PLC0415 - only at the end, when nobody waits

    shutil.rmtree(folder, ignore_errors=True)  # Somebody else may be sweeping it.


def _end(number: int, _: FrameType | None) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    # Nobody's child: the test process has nothing to wait for, and a child less to wonder at.
    if os.fork():
        os._exit(0)
    os.setsid()  # Ctrl-C is for the tests.
    supervise(sys.argv[1], json.loads(sys.argv[2]))
