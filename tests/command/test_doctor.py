"""`pytest-asgi doctor` says what there is in a project's folder."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pytest_asgi.command import main


def _doctor(folder: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """Run the command, and return what it says about each thing."""
    assert main(["doctor", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    return {line[:16].strip(): line[16:] for line in lines}


def test_the_app_is_named_and_not_imported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "main.py").write_text("app = 1 / 0")

    assert _doctor(tmp_path, capsys)["app"] == "main:app (main.py)"


def test_without_an_app_it_says_where_it_looked_and_what_to_add(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", str(tmp_path)]) == 0

    said = capsys.readouterr().out
    assert f"No app was found in {tmp_path}." in said
    assert 'asgi_app = "package.module:app"' in said


def test_a_peer_is_named_with_what_it_means(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = _doctor(tmp_path, capsys)

    assert said["pytest-xdist"].endswith(" - each worker has a loop of its own")
    assert "pytest-nothing" not in said


def test_the_folder_is_the_current_one_when_none_is_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "app.py").write_text("application = None")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["pytest-asgi", "doctor"])

    assert main() == 0
    assert "app             app:application (app.py)" in capsys.readouterr().out.splitlines()
