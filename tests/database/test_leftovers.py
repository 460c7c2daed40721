"""Whether the owner of something on a shared server is still there."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from pytest_asgi.database.leftovers import is_running, this_machine


def test_a_process_is_running_until_it_has_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass

    assert is_running(os.getpid())
    assert not is_running(process.pid)


def test_a_process_of_somebody_else_is_running_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(pid: int, signal: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)

    assert is_running(1)


def test_a_machine_has_one_word() -> None:
    assert this_machine().isalnum()
    assert this_machine() == this_machine()
