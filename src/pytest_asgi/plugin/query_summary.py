"""The section at the end of a run that shows one query for each row (N+1), here or in workers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

FOUND = "asgi_n_plus_one"
"""The attribute of a test's report that has the lines: workers send it home."""

_NAME = "asgi-query-summary"
_SHOWN = 10  # lines


def register(manager: pytest.PytestPluginManager) -> None:
    """Let what is found be shown at the end."""
    if not manager.has_plugin(_NAME):
        manager.register(QuerySummary(), _NAME)


class QuerySummary:
    """The hooks that collect what was found, and show it."""

    def __init__(self) -> None:
        self._found: dict[str, list[str]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collect it, also from a worker."""
        for line in getattr(report, FOUND, ()):
            self._found.setdefault(line, []).append(report.nodeid)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Show it."""
        if not self._found:
            return
        terminalreporter.section("one query for each row (N+1)", yellow=True)
        for line, tests in list(self._found.items())[:_SHOWN]:
            more = f" and {len(tests) - 1} more" if len(tests) > 1 else ""
            terminalreporter.write_line(line)
            terminalreporter.write_line(f"  in {tests[0]}{more}")
        hidden = len(self._found) - _SHOWN
        if hidden > 0:
            terminalreporter.write_line(f"and {hidden} more")
        terminalreporter.write_line("asgi_n_plus_one = off hides this, error lets the tests fail.")
