"""Which tests run alone, and why.

A test may run beside others if it touches nothing that the whole process has only once. What a
test does inside cannot be seen from here; what it asks for can.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_asgi.errors import SettingsError
from pytest_asgi.plugin.asynchronous import is_async_test, test_function
from pytest_asgi.plugin.peer_options import option_of_peer
from pytest_asgi.plugin.settings import settings_of_test

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_asgi.database.redirect import Redirect
    from pytest_asgi.plugin.neighbours import Neighbours
    from pytest_asgi.plugin.settings import Settings
    from pytest_asgi.plugin.trio.choice import TrioChoice

DISTRIBUTION = "asgi_distribution"
"""Under which name a worker of pytest-xdist is told the mode; its own option says no."""

# Each changes, or looks at, something that all tests share: the environment, modules, the clock,
# the standard streams, the filters of warnings, the levels of loggers, the network.
_GLOBAL_FIXTURES = frozenset(
    {
        *("monkeypatch", "class_mocker", "mocker", "module_mocker", "session_mocker"),
        *("capsys", "capsysbinary", "capteesys", "capfd", "capfdbinary", "caplog", "recwarn"),
        *("freezer", "time_machine", "benchmark", "subtests", "pytester", "testdir"),
        *("asgi_clock", "clock"),
        *("aioresponses", "httpx_mock", "requests_mock", "respx_mock", "responses"),
    }
)
# `with pytest.warns(…)` replaces for a while what the module `warnings` has for everybody.
_GLOBAL_NAMES = frozenset({"warns", "deprecated_call", "catch_warnings", "chdir"})
_GLOBAL_MARKS = {
    "filterwarnings": "has warning filters of its own",
    "flaky": "may be run again by pytest-rerunfailures",
    "timeout": "has a limit of pytest-timeout's, which is one for the process",
}


class Solitude:
    """Tells why a test runs alone.

    Args:
        config: The configuration of the session.
        settings: What the project has set.
        neighbours: Other plugins that run async tests.
        trio_choice: Which tests run on trio.
        redirect: Where connections to databases go.
    """

    def __init__(
        self,
        config: pytest.Config,
        settings: Settings,
        neighbours: Neighbours,
        trio_choice: TrioChoice,
        redirect: Redirect,
    ) -> None:
        self._config = config
        self._settings = settings
        self._neighbours = neighbours
        self._trio_choice = trio_choice
        self._redirect = redirect

    def of_session(self) -> str | None:
        """Return why no test of this run may run beside another; `None` if some may."""
        option: Callable[[str], object] = lambda name: option_of_peer(self._config, name)  # noqa: E731
        if option("usepdb") or option("trace"):
            return "a debugger may stop them (--pdb, --trace)"
        if option("setuponly") or option("setupshow"):
            return "their set-up is shown as it happens (--setup-show)"
        if option("reruns"):
            return "pytest-rerunfailures may run them again (--reruns)"
        if option("timeout"):
            return "pytest-timeout has one limit for the process; use asgi_timeout"
        if getattr(self._config, "workerinput", {}).get(DISTRIBUTION) == "worksteal":
            return "pytest-xdist may give them to another worker meanwhile (--dist=worksteal)"
        return None

    def of_test(self, item: pytest.Item) -> str | None:
        """Return why a test runs alone; `None` if others may run beside it."""
        if not isinstance(item, pytest.Function) or not is_async_test(item):
            return "it is not asynchronous"
        try:
            settings = settings_of_test(item, self._settings)
        except SettingsError:
            return "its mark is not valid"  # which it says when it is run
        if settings.concurrent is False:
            return "its mark says concurrent=False"
        if settings.concurrent is None and not self._settings.are_all_concurrent:
            return "no mark says concurrent=True, and asgi_concurrency is not set"
        return (
            self._of_runner(item)
            or self._of_process(item)
            or _of_watches(settings)
            or self._of_database(settings)
        )

    def _of_runner(self, item: pytest.Function) -> str | None:
        if self._neighbours.keeps(item):
            return "another plugin runs it"
        if self._neighbours.has_anyio and "anyio_backend" in item.fixturenames:
            return "the fixture anyio_backend says where it runs"
        if self._trio_choice.of(item) is not False:
            return "it runs on trio"
        if item.obj is not test_function(item):
            return "hypothesis keeps its state for the thread"
        return None

    def _of_process(self, item: pytest.Function) -> str | None:
        for fixture in item.fixturenames:
            if fixture in _GLOBAL_FIXTURES:
                return f"it uses {fixture}, which changes or watches the whole process"
        for mark, reason in _GLOBAL_MARKS.items():
            if item.get_closest_marker(mark) is not None:
                return f"it {reason}"
        code = getattr(item.obj, "__code__", None)
        for name in sorted(_GLOBAL_NAMES.intersection(getattr(code, "co_names", ()))):
            return f"it calls {name}(), which changes the whole process"
        return None

    def _of_database(self, settings: Settings) -> str | None:
        if self._redirect.is_on and settings.isolation in {"restore", "transaction"}:
            return "its database is put back after it (isolation='clone' gives it one of its own)"
        return None


def _of_watches(settings: Settings) -> str | None:
    if settings.blocking != "off":
        return "asgi_blocking looks at the loop, which is everybody's"
    if settings.leaks != "off":
        return "asgi_leaks looks at what the whole process has"
    return None
