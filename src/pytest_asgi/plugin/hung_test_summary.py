"""The section at the end of a run that names the files about slow and hung tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_asgi.plugin.notices import forget_earlier, list_files

if TYPE_CHECKING:
    from pathlib import Path


class HungTestSummary:
    """Tells at the end what was found.

    With pytest-xdist the tests run in other processes, and their files are told of here.
    """

    def __init__(self) -> None:
        self._crashed: list[str] = []

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Forget what an earlier run has written."""
        forget_earlier(session.config)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: object, error: object) -> None:
        """Remember the name of a worker that has died."""
        if error:
            self._crashed.append(str(getattr(getattr(node, "gateway", None), "id", "")))

    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter, config: pytest.Config
    ) -> None:
        """Name the files, and show those of processes that could not report any more."""
        files = list_files(config)
        if not files:
            return
        terminalreporter.section("slow and hung tests", yellow=True)
        for path in files:
            terminalreporter.write_line(f"{_relative(path)}")
            if any(path.stem.endswith(f"-{name}") for name in self._crashed):
                terminalreporter.write_line(path.read_text(encoding="utf-8").rstrip())


def _relative(path: Path) -> Path:
    here = path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
