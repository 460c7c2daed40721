"""Register the hooks around tests and fixtures, after those of all other plugins."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_asgi.plugin import leak_summary, pytest_private
from pytest_asgi.plugin.anyio_marks import AnyioMarks
from pytest_asgi.plugin.blocking import Blocking
from pytest_asgi.plugin.concurrency.gate import ConcurrencyGate
from pytest_asgi.plugin.debugging import Tracing
from pytest_asgi.plugin.execution import Execution
from pytest_asgi.plugin.fixture_setup import FixtureSetup
from pytest_asgi.plugin.second_loops import SecondLoops, watch_loops
from pytest_asgi.plugin.time_limits import TimeLimits

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from pytest_asgi.plugin.assembly import Assembly


def register_hooks(assembly: Assembly, config: pytest.Config) -> None:
    """Register each part; what comes later is called earlier."""
    manager = config.pluginmanager
    if assembly.settings.concurrency != "off":
        manager.register(ConcurrencyGate(assembly), "asgi-concurrency")
    manager.register(FixtureSetup(assembly), "asgi-fixture-setup")
    manager.register(assembly.overrides, "asgi-overrides")
    manager.register(assembly.databases, "asgi-databases")
    manager.register(assembly.query_watch, "asgi-queries")
    manager.register(SecondLoops(assembly, watch_loops(config)), "asgi-second-loops")
    manager.register(Execution(assembly), "asgi-execution")
    if not assembly.neighbours.has_anyio:
        manager.register(AnyioMarks(is_auto=assembly.neighbours.is_anyio_auto), "asgi-anyio-marks")
    manager.register(Blocking(assembly), "asgi-blocking")
    manager.register(TimeLimits(assembly), "asgi-time-limits")
    # A mark may ask for it too: then this process runs the test, or one of its workers does.
    if assembly.settings.leaks != "off" or manager.has_plugin("dsession"):
        leak_summary.register(manager)
    if config.getoption("trace"):
        manager.register(Tracing(), "asgi-tracing")
    _wait_in_xunit_functions(assembly, config)


def _wait_in_xunit_functions(assembly: Assembly, config: pytest.Config) -> None:
    def wait(awaitable: Awaitable[object], name: str) -> None:
        waiting = assembly.trio if assembly.is_on_trio else assembly.waiting
        waiting.for_fixture(awaitable, name)

    patches = pytest.MonkeyPatch()
    config.add_cleanup(patches.undo)
    pytest_private.wait_in_xunit_functions(patches, wait)
