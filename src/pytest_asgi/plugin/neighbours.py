"""Other plugins that run async tests: pytest-asyncio, anyio, pytest-trio. Who runs what.

Exactly one runner runs a test. pytest-asyncio stands aside: its tests run here, because a loop per
test or module beside the session's loop is how objects get attached to a different loop.
anyio's plugin, which comes with Starlette, keeps the tests that want an event loop of their own;
pytest-trio, where somebody has installed it, those that are marked `trio`.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from pytest_asgi.plugin.asynchronous import is_async_test
from pytest_asgi.plugin.peer_options import option_of_peer

if TYPE_CHECKING:
    from collections.abc import Sequence

PYTEST_ASYNCIO = "pytest_asyncio.plugin"
ANYIO = "anyio.pytest_plugin"
PYTEST_TRIO = "pytest_trio.plugin"


def find_plugin(manager: pytest.PytestPluginManager, module: str) -> Any | None:
    """Return the registered plugin that is the module of this name."""
    for plugin in manager.get_plugins():
        if getattr(plugin, "__name__", None) == module:
            return plugin
    return None


def has_implementation(manager: pytest.PytestPluginManager, hook: str) -> bool:
    """Tell whether any plugin or conftest implements `hook`."""
    caller = getattr(manager.hook, hook, None)
    return caller is not None and bool(caller.get_hookimpls())


def declare_marks(config: pytest.Config) -> None:
    """Make known our mark, and those of peers that suites use without the peer."""
    config.addinivalue_line(
        "markers", "asgi(lifespan=...): change an option of pytest-asgi for this test"
    )
    config.addinivalue_line(
        "markers", "asyncio(loop_scope=...): accepted; every async test runs on the session's loop"
    )
    if find_plugin(config.pluginmanager, ANYIO) is None:
        config.addinivalue_line("markers", "anyio: accepted; every async test runs")
    if find_plugin(config.pluginmanager, PYTEST_TRIO) is None:
        config.addinivalue_line("markers", "trio: the test runs on trio")


def stand_aside(plugin: object, manager: pytest.PytestPluginManager) -> None:
    """Unregister pytest-asyncio's plugin; its options, marks and fixtures stay known."""
    if getattr(plugin, "__name__", None) == PYTEST_ASYNCIO and plugin in manager.get_plugins():
        manager.unregister(plugin)


class Neighbours:
    """Decides which runner a test belongs to."""

    def __init__(self, config: pytest.Config) -> None:
        manager = config.pluginmanager
        self.has_anyio = find_plugin(manager, ANYIO) is not None
        self.has_asyncio = PYTEST_ASYNCIO in sys.modules and not manager.is_blocked("asyncio")
        self.has_trio = find_plugin(manager, PYTEST_TRIO) is not None
        self.has_loop_factories = has_implementation(manager, "pytest_asyncio_loop_factories")
        self.is_anyio_auto = option_of_peer(config, "anyio_mode") == "auto"
        self._asyncio_auto = option_of_peer(config, "asyncio_mode") == "auto"
        self.is_trio_mode = option_of_peer(config, "trio_mode") in {True, "true", "True", "1"}

    def describe(self, items: Sequence[pytest.Item]) -> list[str]:
        """Say, a line each, which of the collected tests other plugins run, and why."""
        if not (self.has_anyio or self.has_trio):
            return []
        tests = [item for item in items if isinstance(item, pytest.Function)]
        async_tests = [item for item in tests if is_async_test(item)]
        kept = [item for item in async_tests if self.keeps(item)]
        by_trio = sum(item.get_closest_marker("trio") is not None for item in kept)
        undecided = sum(map(self._is_undecided, async_tests))
        return [
            *_line(by_trio, "marked trio", "run by pytest-trio"),
            *_line(len(kept) - by_trio, "with another anyio_backend", "run by anyio's plugin"),
            *_line(
                undecided,
                "with an anyio_backend fixture",
                "run where it says: here, or by anyio's plugin on a loop of its own",
            ),
        ]

    def _is_undecided(self, item: pytest.Function) -> bool:
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        return self.has_anyio and self.chooses_backend(item) and "anyio_backend" not in parameters

    def keeps(self, item: pytest.Function) -> bool:
        """Tell whether another plugin runs this test, as far as can be told before set-up."""
        if self.has_trio and item.get_closest_marker("trio") is not None:
            return True
        if not self.has_anyio or "anyio_backend" not in item.fixturenames:
            return False
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        return self.is_for_anyio(item, parameters.get("anyio_backend", "asyncio"))

    def is_for_anyio(self, item: pytest.Function, backend: object) -> bool:
        """Tell whether anyio's plugin runs this test, now that its backend is known."""
        return self.has_anyio and self.chooses_backend(item) and not can_run(backend)

    def chooses_backend(self, item: pytest.Function) -> bool:
        """Tell whether the value of `anyio_backend` says where the test runs.

        In an asyncio suite a fixture of that name is an ordinary one.
        """
        if "anyio_backend" not in item.fixturenames or item.get_closest_marker("asyncio"):
            return False
        is_marked = item.get_closest_marker("anyio") is not None
        return is_marked or self.is_anyio_auto or not self._asyncio_auto


def can_run(backend: object) -> bool:
    """Tell whether a test with a value of `anyio_backend` can run here.

    Values are names or pairs of a name and the backend's options; a loop of their own that the
    options ask for is anyio's to make.
    """
    if isinstance(backend, tuple):
        name, options = backend
        asks_for_loop = options.get("use_uvloop") or options.get("loop_factory")
        return name == "trio" or (name == "asyncio" and not asks_for_loop)
    return backend in {"asyncio", "trio"}


def _line(count: int, kind: str, runner: str) -> list[str]:
    if count == 0:
        return []
    return [
        f"{count} test {kind} is {runner}" if count == 1 else f"{count} tests {kind} are {runner}"
    ]
