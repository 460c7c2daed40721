"""Decide, when all tests are collected, whether some run at the same time, and tell.

Nothing else of this package is imported by a run in which none does.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_asgi.plugin.assembly import Assembly
    from pytest_asgi.plugin.survey import Survey


class ConcurrencyGate:
    """The hooks before the first test."""

    def __init__(self, assembly: Assembly) -> None:
        self._assembly = assembly
        self._lines: list[str] = []

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker of pytest-xdist how tests are distributed."""
        from pytest_asgi.plugin.concurrency.solitude import DISTRIBUTION  # noqa: PLC0415

        node.workerinput[DISTRIBUTION] = node.config.getoption("dist")

    def let_in(self, session: pytest.Session, asked: Survey) -> None:
        """Let tests run at the same time if the project wants that."""
        if not self._is_wanted(session.items, asked):
            return
        from pytest_asgi.plugin.concurrency.solitude import Solitude  # noqa: PLC0415 - rarely needed

        solitude = Solitude(
            session.config,
            self._assembly.settings,
            self._assembly.neighbours,
            self._assembly.trio_choice,
            self._assembly.redirect,
        )
        reason = solitude.of_session()
        if reason is not None:
            self._lines = [f"no tests at the same time: {reason}"]
            return
        from pytest_asgi.plugin.concurrency.crowd import Crowd  # noqa: PLC0415 - rarely needed

        session.config.pluginmanager.register(
            Crowd(self._assembly, session, solitude), "asgi-crowd"
        )
        alone = {item: solitude.of_test(item) for item in session.items}
        self._lines = list(self._describe(alone, is_long=session.config.getoption("asgi_explain")))

    def pytest_report_collectionfinish(self) -> list[str]:
        """Say how many tests run at the same time, and why the others do not."""
        return [f"asgi: {line}" for line in self._lines]

    def _is_wanted(self, items: list[pytest.Item], asked: Survey) -> bool:
        settings = self._assembly.settings
        if settings.concurrency == "off":
            return False
        return settings.are_all_concurrent or (
            "concurrent" in asked.options and any(map(_is_marked, items))
        )

    def _describe(self, alone: dict[pytest.Item, str | None], *, is_long: bool) -> Iterator[str]:
        reasons = {item: reason for item, reason in alone.items() if reason is not None}
        limit, count = self._assembly.settings.concurrency_limit, len(alone) - len(reasons)
        yield f"{f'up to {limit} of {count}' if count else 'no'} tests at the same time"
        if is_long:
            yield from (f"alone: {item.nodeid}: {reason}" for item, reason in reasons.items())
            return
        for reason, count in Counter(reasons.values()).most_common():
            yield f"{count} alone: {reason}"


def _is_marked(item: pytest.Item) -> bool:
    return any(mark.kwargs.get("concurrent") for mark in item.iter_markers("asgi"))
