"""The section at the end of a run that shows what was left behind, here or in workers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

FOUND = "asgi_leaks"
"""The attribute of a test's last report that has the lines: workers send it home."""

_NAME = "asgi-leak-summary"
_SHOWN = 20  # lines


def register(manager: pytest.PytestPluginManager) -> None:
    """Let what is found be shown at the end."""
    if not manager.has_plugin(_NAME):
        manager.register(LeakSummary(), _NAME)


class LeakSummary:
    """The hooks that collect what was found, and show it."""

    def __init__(self) -> None:
        self._lines: dict[str, None] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collect it."""
        self._lines |= dict.fromkeys(getattr(report, FOUND, ()))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Show it."""
        if not self._lines:
            return
        terminalreporter.section("left behind", yellow=True)
        for line in list(self._lines)[:_SHOWN]:
            terminalreporter.write_line(line)
        if len(self._lines) > _SHOWN:
            terminalreporter.write_line(f"and {len(self._lines) - _SHOWN} more")
        terminalreporter.write_line("asgi_leaks = off hides this, error lets the tests fail.")
