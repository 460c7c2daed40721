"""Register the hooks around tests and fixtures, after those of all other plugins.

What few runs need is imported by those that do: every run of pytest loads this.
"""
# ruff: noqa: PLC0415

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_asgi.plugin import leak_summary, pytest_private, query_summary
from pytest_asgi.plugin.anyio_marks import AnyioMarks
from pytest_asgi.plugin.concurrency.gate import ConcurrencyGate
from pytest_asgi.plugin.execution import CheckedMarks, Execution
from pytest_asgi.plugin.fixture_setup import FixtureSetup
from pytest_asgi.plugin.hung_test_summary import HungTestSummary
from pytest_asgi.plugin.second_loops import SecondLoops, watch_loops
from pytest_asgi.plugin.survey import survey

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from pytest_asgi.plugin.assembly import Assembly
    from pytest_asgi.plugin.settings import Settings
    from pytest_asgi.plugin.survey import Survey

_DATABASE_FIXTURES = frozenset({"asgi_db", "asgi_queries"})


def register_hooks(assembly: Assembly, config: pytest.Config) -> None:
    """Register each part; what comes later is called earlier."""
    manager = config.pluginmanager
    gate = ConcurrencyGate(assembly)
    if assembly.settings.concurrency != "off":
        manager.register(gate, "asgi-concurrency")
    manager.register(FixtureSetup(assembly), "asgi-fixture-setup")
    if assembly.settings.isolation != "off" and assembly.settings.names_database:
        assembly.databases.redirect.is_on = True
    manager.register(SecondLoops(assembly, watch_loops(config)), "asgi-second-loops")
    manager.register(Execution(assembly), "asgi-execution")
    if not assembly.neighbours.has_anyio:
        manager.register(AnyioMarks(is_auto=assembly.neighbours.is_anyio_auto), "asgi-anyio-marks")
    manager.register(HungTestSummary(), "asgi-hung-test-summary")
    manager.register(Registration(assembly, gate), "asgi-registration")
    if assembly.settings.leaks != "off":
        leak_summary.register(manager)
    if config.getoption("trace"):
        from pytest_asgi.plugin.debugging import Tracing

        manager.register(Tracing(), "asgi-tracing")
    _wait_in_xunit_functions(assembly, config)


class Registration:
    """Registers, when the tests are known, the hooks that only some of them need."""

    def __init__(self, assembly: Assembly, gate: ConcurrencyGate) -> None:
        self._assembly = assembly
        self._gate = gate

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Collect what a worker of pytest-xdist finds: there a mark may let it look."""
        leak_summary.register(node.config.pluginmanager)
        query_summary.register(node.config.pluginmanager)

    @pytest.hookimpl(tryfirst=True)  # before the terminal says what was collected
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Register what they ask for."""
        assembly, settings = self._assembly, self._assembly.settings
        manager, asked = session.config.pluginmanager, survey(session.items)
        assembly.trio_choice.look_at(asked)
        if "asgi" in asked.marks or settings.leaks != "off":
            manager.register(CheckedMarks(assembly), "asgi-checked-marks")
        if _uses_database(asked, settings):
            assembly.databases.register_phases(manager)
            assembly.query_watch.register(manager)
        self._gate.let_in(session, asked)
        if settings.blocking != "off" or "blocking" in asked.options:
            from pytest_asgi.plugin.blocking import WatchedTests

            manager.register(WatchedTests(assembly), "asgi-watched-tests")
        if settings.timeout != "off" or "timeout" in asked.options:
            from pytest_asgi.plugin.time_limits import LimitedPhases

            manager.register(LimitedPhases(assembly, session.config), "asgi-limited-phases")


def _uses_database(asked: Survey, settings: Settings) -> bool:
    if settings.isolation == "off":
        return False
    return (
        settings.names_database
        or "isolation" in asked.options
        or not _DATABASE_FIXTURES.isdisjoint(asked.fixtures)
    )


def _wait_in_xunit_functions(assembly: Assembly, config: pytest.Config) -> None:
    def wait(awaitable: Awaitable[object], name: str) -> None:
        waiting = assembly.trio if assembly.is_on_trio else assembly.waiting
        waiting.for_fixture(awaitable, name)

    patches = pytest.MonkeyPatch()
    config.add_cleanup(patches.undo)
    pytest_private.wait_in_xunit_functions(patches, wait)
