"""Servers that a run of the tests starts for itself: shared by its processes, never left behind.

A server lives in a folder of its own, with everything it writes, and with a supervisor beside it
that ends it when the last process that uses it has gone, however that went. Nothing here knows
what kind of server it is.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

from pytest_asgi.database import supervisor
from pytest_asgi.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence

_LOG = "log"
_START_SECONDS = 60.0
_POLL_SECONDS = 0.002
_LOG_LINES = 15


class Program(NamedTuple):
    """How a server is run.

    Attributes:
        name: What it is called in an error.
        command: The program's path and its arguments.
        environment: All of its environment variables.
        is_ready: Tells, quickly and often, whether the server answers.
        user: Who runs it, with `group`; `None` for whoever runs the tests.
        group: See `user`.
        stop_signal: What ends it at once.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    is_ready: Callable[[], bool]
    user: int | None = None
    group: int | None = None
    stop_signal: int = signal.SIGTERM


Prepare = Callable[[Path], Program]
"""Fills an empty folder with what the server needs, and says how to run it there."""


class Server:
    """A server that this process uses, until it is closed.

    Attributes:
        folder: Where the server lives; gone when the last process has closed it.
    """

    def __init__(self, folder: Path, in_use: IO[bytes]) -> None:
        self.folder = folder
        self._in_use = in_use

    def close(self) -> None:
        """Use the server no longer; whoever is the last one to say so ends it."""
        self._in_use.close()


class Homes:
    """The folders that servers of this user may live in, in memory first.

    Args:
        parents: Where to make them; the usual places when left out.
        needed_bytes: How much room a server wants; a place with less is the last choice.
    """

    def __init__(
        self, parents: Sequence[Path] | None = None, *, needed_bytes: int = 1 << 30
    ) -> None:
        places = (Path("/dev/shm"), Path(tempfile.gettempdir()), Path("/tmp"))  # noqa: S108
        found = [_home_in(place) for place in (places if parents is None else parents)]
        self._homes = list(dict.fromkeys(home for home in found if home is not None))
        self._needed_bytes = needed_bytes
        if not self._homes:
            raise _no_home()

    def __iter__(self) -> Iterator[Path]:
        return iter(self._homes)

    @contextmanager
    def locked(self) -> Generator[None]:
        """Let no other process start or sweep servers meanwhile."""
        with (self._homes[0] / "lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def choose(self) -> Path:
        """Return the first one with room, else the one with most."""
        rooms = {home: shutil.disk_usage(home).free for home in self._homes}
        return next(
            (home for home, free in rooms.items() if free >= self._needed_bytes),
            max(rooms, key=lambda home: rooms[home]),
        )


def share_server(name: str, prepare: Prepare, *, homes: Homes | None = None) -> Server:
    """Return the server of this name that this run of the tests has; start it if there is none.

    Workers of pytest-xdist share it.

    Raises:
        DatabaseError: It does not start.
    """
    homes = homes or Homes()
    with homes.locked():
        sweep_servers(homes)
        prefix = f"{name}-{_run()}-"
        for home in homes:
            for folder in home.glob(f"{prefix}*"):
                if (server := _join(folder)) is not None:
                    return server
        # A name that never was: whoever still takes an earlier server away touches its own only.
        return _start(Path(tempfile.mkdtemp(prefix=prefix, dir=homes.choose())), prepare)


def sweep_servers(homes: Homes) -> None:
    """End and remove what is left of runs that were killed together with their supervisors."""
    for home in homes:
        for folder in home.iterdir():
            with suppress(OSError), ExitStack() as stack:
                with suppress(FileNotFoundError):  # the rest of one that was half removed
                    in_use = stack.enter_context((folder / supervisor.IN_USE).open("rb"))
                    fcntl.flock(in_use, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _kill(folder)
                shutil.rmtree(folder, ignore_errors=True)


def _run() -> str:
    """Return what the processes of one run have in common: xdist's workers, or this process."""
    return os.environ.get("PYTEST_XDIST_TESTRUNUID", "")[:16] or str(os.getpid())


def _join(folder: Path) -> Server | None:
    """Use the server that lives in `folder`, if there is one."""
    try:
        in_use = (folder / supervisor.IN_USE).open("rb")
    except FileNotFoundError:
        return None
    with suppress(BlockingIOError):  # else its supervisor is just ending it
        fcntl.flock(in_use, fcntl.LOCK_SH | fcntl.LOCK_NB)
        if (folder / supervisor.IN_USE).exists() and not (folder / supervisor.EXITED).exists():
            return Server(folder, in_use)
    in_use.close()
    return None


def _start(folder: Path, prepare: Prepare) -> Server:
    folder.chmod(0o755)  # Its home decides who gets here.
    (folder / supervisor.IN_USE).touch()
    in_use = (folder / supervisor.IN_USE).open("rb")
    fcntl.flock(in_use, fcntl.LOCK_SH)
    try:
        program = prepare(folder)
        _launch(folder, program)
        _wait_until_ready(folder, program)
    except BaseException:
        in_use.close()
        if not (folder / supervisor.SERVER_PID).exists():  # Else its supervisor removes it.
            shutil.rmtree(folder, ignore_errors=True)
        raise
    return Server(folder, in_use)


def _launch(folder: Path, program: Program) -> None:
    plan = program._asdict() | {"environment": dict(program.environment)}
    del plan["is_ready"], plan["name"]
    with (folder / _LOG).open("wb") as log:
        subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-I", "-S", supervisor.__file__, str(folder), json.dumps(plan)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            check=True,
            cwd="/",
        )


def _wait_until_ready(folder: Path, program: Program) -> None:
    deadline = time.monotonic() + _START_SECONDS
    # The number of the process is what a sweep finds the server by.
    while not ((folder / supervisor.SERVER_PID).exists() and program.is_ready()):
        if (folder / supervisor.EXITED).exists() or time.monotonic() > deadline:
            lines = (folder / _LOG).read_text(encoding="utf-8", errors="replace").splitlines()
            raise _does_not_start(program, "\n".join(lines[-_LOG_LINES:]))
        time.sleep(_POLL_SECONDS)


def _kill(folder: Path) -> None:
    """Kill a server whose supervisor was killed; never another process that has its number now."""
    try:
        pid = int((folder / supervisor.SERVER_PID).read_text(encoding="ascii"))
    except FileNotFoundError:
        return
    if os.fsencode(folder) in _command_of(pid):
        os.kill(pid, signal.SIGKILL)


def _command_of(pid: int) -> bytes:
    if Path("/proc/self/cmdline").exists():
        with suppress(FileNotFoundError):
            return Path(f"/proc/{pid}/cmdline").read_bytes()
        return b""
    command = ["ps", "-ww", "-o", "command=", "-p", str(pid)]
    return subprocess.run(command, capture_output=True, check=False).stdout  # noqa: S603


def _home_in(parent: Path) -> Path | None:
    """Return the folder below `parent` that only this user can write to."""
    home = parent / f"pytest-asgi-{os.geteuid()}"
    try:
        with suppress(FileExistsError):
            home.mkdir()
        found = home.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            return None
        # A server that may not run as root runs as somebody who has to get through here.
        home.chmod(0o711 if os.geteuid() == 0 else 0o700)
    except OSError:
        return None
    return home


def _no_home() -> DatabaseError:
    return DatabaseError(
        "There is no place for a server's files.",
        why=f"Neither /dev/shm nor {tempfile.gettempdir()} has a folder"
        f" 'pytest-asgi-{os.geteuid()}' of yours.",
        fix="Remove the folders of that name, or set TMPDIR to a folder of your own.",
    )


def _does_not_start(program: Program, log: str) -> DatabaseError:
    return DatabaseError(
        f"{program.name} does not start.",
        why=f"It ended, or said nothing for {_START_SECONDS:.0f} seconds, and wrote:\n\n{log}",
        fix="Remove the cause that it names, or let the tests use a server of yours"
        " (`asgi_database`).",
    )
