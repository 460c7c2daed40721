"""A schema is built once, kept if asked, and nothing is left behind."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from pytest_asgi.adapters.sqlite.opener import SqliteOpener
from pytest_asgi.adapters.sqlite.places import Places
from pytest_asgi.adapters.sqlite.store import SqliteStore
from pytest_asgi.database.targets import Target

_TARGET = Target("sqlite", "/project/app.db")


class _Build:
    def __init__(self) -> None:
        self.count = 0

    def __call__(self, store: SqliteStore) -> None:
        self.count += 1
        store.run_script("CREATE TABLE users(name); INSERT INTO users VALUES ('seed')")


def test_a_schema_with_a_key_is_built_once_and_copied(tmp_path: Path) -> None:
    build = _Build()
    with closing(SqliteOpener(places=Places(tmp_path))) as opener:
        for key in ("a", "a", "b", None, None):
            with closing(opener.open(_TARGET, build=build, key=key)) as store:
                assert store.count("users", {}) == 1
                store.fetch("DELETE FROM users")

    assert build.count == 4


def test_a_schema_is_kept_for_later_runs_if_asked(tmp_path: Path) -> None:
    build = _Build()
    for _ in range(2):
        places, cache = Places(tmp_path), tmp_path / "cache"
        with (
            closing(SqliteOpener(keep=True, places=places, cache=cache)) as opener,
            closing(opener.open(_TARGET, build=build, key="a")) as store,
        ):
            assert store.count("users", {}) == 1

    assert build.count == 1


def test_a_schema_that_fails_leaves_no_store(tmp_path: Path) -> None:
    def fail(_: SqliteStore) -> None:
        raise ZeroDivisionError

    with closing(SqliteOpener(places=Places(tmp_path))) as opener:
        with pytest.raises(ZeroDivisionError):
            opener.open(_TARGET, build=fail, key="a")
        (folder,) = tmp_path.iterdir()
        assert [*folder.glob("*.db")] == []


def test_the_folder_is_gone_in_the_end_and_that_of_a_killed_process_with_the_next_one(
    tmp_path: Path,
) -> None:
    killed = tmp_path / "pytest-asgi-sqlite-killed"
    killed.mkdir()
    (killed / "in-use").touch()
    with closing(SqliteOpener(places=Places(tmp_path))) as opener:
        opener.open(_TARGET, build=None, key=None).close()
        with closing(SqliteOpener(places=Places(tmp_path))) as other:
            other.open(_TARGET, build=None, key=None).close()
            assert len([*tmp_path.iterdir()]) == 2
            assert not killed.exists()

    assert [*tmp_path.iterdir()] == []
