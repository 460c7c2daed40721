"""Servers of a run: shared, ended with the last process that uses them, swept after accidents."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_asgi.database import supervisor
from pytest_asgi.database.servers import Homes, Program, Server, share_server, sweep_servers
from pytest_asgi.errors import DatabaseError
from tests.promises import promise


def _prepare(folder: Path) -> Program:
    """Run a server that does no more than a server's minimum: say it is ready, and stay."""
    ready = folder / "ready"
    script = 'echo "server in $0" ; mkfifo "$0/never" ; echo > "$1" ; read nothing < "$0/never"'
    return Program(
        name="The sleeper",
        command=["/bin/sh", "-c", script, str(folder), str(ready)],
        environment={"PATH": os.environ["PATH"]},
        is_ready=ready.exists,
        stop_signal=signal.SIGKILL,
    )


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def _server_pid(server: Server) -> int:
    return int((server.folder / supervisor.SERVER_PID).read_text())


def _keeper_of(server: Server) -> int:
    status = Path(f"/proc/{_server_pid(server)}/stat").read_text()
    return int(status.rpartition(")")[2].split()[1])


def _is_running(pid: int) -> bool:
    try:
        return "zombie" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


@pytest.fixture
def homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Homes]:
    monkeypatch.setenv("PYTEST_XDIST_TESTRUNUID", "one-run")
    homes = Homes([tmp_path])
    yield homes
    (home,) = homes
    _wait_until(lambda: {path.name for path in home.iterdir()} <= {"lock"})


@promise("database.server-shared")
def test_the_processes_of_a_run_share_a_server_until_the_last_has_closed_it(homes: Homes) -> None:
    first = share_server("sleeper", _prepare, homes=homes)
    second = share_server("sleeper", _prepare, homes=homes)
    pid = _server_pid(first)
    first.close()

    third = share_server("sleeper", _prepare, homes=homes)

    assert {first.folder, second.folder} == {third.folder}
    assert _server_pid(third) == pid
    second.close()
    third.close()
    _wait_until(lambda: not _is_running(pid))


def test_another_run_has_a_server_of_its_own(
    homes: Homes, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = share_server("sleeper", _prepare, homes=homes)
    monkeypatch.delenv("PYTEST_XDIST_TESTRUNUID")

    other = share_server("sleeper", _prepare, homes=homes)

    assert mine.folder != other.folder
    mine.close()
    other.close()


_USER = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests.database.test_servers import _prepare
from pytest_asgi.database.servers import Homes, share_server
server = share_server("sleeper", _prepare, homes=Homes([Path(sys.argv[2])]))
print(server.folder, flush=True)
time.sleep(600)
"""


@promise("database.server-ends")
def test_a_test_process_that_is_killed_leaves_no_server_and_no_folder(
    homes: Homes, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    command = [sys.executable, "-c", _USER, str(pytestconfig.rootpath), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as user:
        assert user.stdout is not None
        folder = Path(user.stdout.readline().strip())
        pid = int((folder / supervisor.SERVER_PID).read_text())
        assert _is_running(pid)

        user.kill()

    _wait_until(lambda: not folder.exists() and not _is_running(pid))


@promise("database.server-ends")
def test_a_server_whose_supervisor_was_killed_too_is_swept_by_the_next_run(homes: Homes) -> None:
    server = share_server("sleeper", _prepare, homes=homes)
    pid = _server_pid(server)
    keeper = _keeper_of(server)
    os.kill(keeper, signal.SIGKILL)
    _wait_until(lambda: not _is_running(keeper))
    server.close()

    sweep_servers(homes)

    assert not server.folder.exists()
    _wait_until(lambda: not _is_running(pid))


def test_what_was_half_removed_is_swept_too(homes: Homes) -> None:
    (home,) = homes
    rest = home / "sleeper-an-earlier-run"
    rest.mkdir()
    (rest / supervisor.EXITED).touch()

    sweep_servers(homes)

    assert not rest.exists()


def test_a_server_that_died_is_started_again(homes: Homes) -> None:
    server = share_server("sleeper", _prepare, homes=homes)
    pid = _server_pid(server)
    os.kill(pid, signal.SIGKILL)
    _wait_until((server.folder / supervisor.EXITED).exists)
    server.close()
    _wait_until(lambda: not server.folder.exists())

    again = share_server("sleeper", _prepare, homes=homes)

    assert _server_pid(again) != pid
    again.close()


def test_a_server_that_is_started_again_lives_somewhere_else(homes: Homes) -> None:
    server = share_server("sleeper", _prepare, homes=homes)
    keeper = _keeper_of(server)
    os.kill(keeper, signal.SIGSTOP)  # so slow that the next one comes first
    server.close()
    again = share_server("sleeper", _prepare, homes=homes)
    os.kill(keeper, signal.SIGCONT)
    _wait_until(lambda: not _is_running(keeper))

    assert again.folder != server.folder
    assert not server.folder.exists()
    assert (again.folder / supervisor.IN_USE).exists()
    again.close()


def test_a_server_that_ends_at_once_is_an_error_with_its_last_words(homes: Homes) -> None:
    def prepare(folder: Path) -> Program:
        return _prepare(folder)._replace(
            command=["/bin/sh", "-c", "echo no room for me"], is_ready=lambda: False
        )

    with pytest.raises(DatabaseError, match=r"The sleeper does not start\.") as caught:
        share_server("sleeper", prepare, homes=homes)

    assert "no room for me" in caught.value.why


def test_a_program_that_is_not_there_is_an_error_that_names_it(homes: Homes) -> None:
    def prepare(folder: Path) -> Program:
        return _prepare(folder)._replace(command=["/nowhere/server"], is_ready=lambda: False)

    with pytest.raises(DatabaseError) as caught:
        share_server("sleeper", prepare, homes=homes)

    assert "/nowhere/server: " in caught.value.why


def test_what_cannot_be_prepared_leaves_nothing(homes: Homes) -> None:
    def prepare(folder: Path) -> Program:
        raise NotImplementedError

    with pytest.raises(NotImplementedError):
        share_server("sleeper", prepare, homes=homes)


def test_nobody_else_gets_to_the_servers(homes: Homes) -> None:
    (home,) = homes

    assert home.stat().st_mode & 0o077 in ((0o011,) if os.geteuid() == 0 else (0,))


def test_a_home_that_somebody_else_made_is_not_used(tmp_path: Path) -> None:
    (tmp_path / f"pytest-asgi-{os.geteuid()}").symlink_to(tmp_path)

    with pytest.raises(DatabaseError, match="There is no place"):
        Homes([tmp_path])


def test_the_home_with_room_is_chosen_and_else_the_one_with_most(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()

    assert Homes([first, second], needed_bytes=1).choose().parent == first
    assert Homes([first, second], needed_bytes=1 << 62).choose().parent in {first, second}
