"""Options and hooks of pytest-asyncio, anyio and pytest-trio, known also without those.

A suite that was configured for a peer runs without it, also with `--strict-config`.
"""

from __future__ import annotations

from typing import Any

import pytest

_INI_KEYS = (
    "asyncio_mode",
    "asyncio_debug",
    "asyncio_default_fixture_loop_scope",
    "asyncio_default_test_loop_scope",
    "anyio_mode",
    "trio_mode",
)
_FLAGS = {"asyncio_mode": "--asyncio-mode", "anyio_mode": "--anyio-mode"}
_SWITCHES = {"asyncio_debug": "--asyncio-debug"}


def option_of_peer(config: pytest.Config, name: str) -> Any:
    """Return an option of a peer, or None when neither the peer nor we have made it known."""
    value = config.getoption(name, default=None)
    if value is not None:
        return value
    try:
        return config.getini(name)
    except ValueError:
        return None


def make_known(config: pytest.Config) -> None:
    """Make known what the loaded plugins have not made known themselves."""
    manager = config.pluginmanager
    manager.register(_PeerOptions(config), "asgi-peer-options")
    if not hasattr(manager.hook, "pytest_asyncio_loop_factories"):
        manager.add_hookspecs(_PeerHooks)


class _PeerHooks:
    """Makes a hook of pytest-asyncio known, which pytest would refuse in a conftest otherwise."""

    @staticmethod
    @pytest.hookspec
    def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> None:
        """Accept an implementation; `asgi_loop` makes the session's one loop."""


class _PeerOptions:
    """Makes the options of peers known that the peers have not made known themselves."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_addoption(self, parser: pytest.Parser) -> None:
        group = parser.getgroup("asgi")
        for key in filter(self._is_unknown, _INI_KEYS):
            text = "accepted for suites of a peer; pytest-asgi does not need it"
            parser.addini(key, text)
            if key in _FLAGS:
                group.addoption(_FLAGS[key], metavar="MODE", help=text)
            if key in _SWITCHES:
                group.addoption(_SWITCHES[key], action="store_true", default=None, help=text)

    def _is_unknown(self, key: str) -> bool:
        try:
            self._config.getini(key)
        except ValueError:
            return True
        return False
