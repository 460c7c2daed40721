"""Small worlds: files in; outcomes, report and exit code out."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mongodb import HAS_MONGODB
from tests.plugin.environments import make_environment
from tests.plugin.world import World

if not HAS_MONGODB:
    collect_ignore = ["test_mongo.py"]


@pytest.fixture
def world(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> World:
    """An empty project folder in which only our plugin is loaded, and warnings are errors."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    for name in ("CI", "BUILD_NUMBER"):  # where pytest shortens nothing
        monkeypatch.delenv(name, raising=False)
    return World(pytester)


@pytest.fixture(scope="session")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment in which pytest-asyncio is not installed."""
    return make_environment(tmp_path_factory.mktemp("bare"), without=["pytest-asyncio"])


@pytest.fixture(scope="session")
def python_without_uvloop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment in which uvloop is not installed."""
    return make_environment(tmp_path_factory.mktemp("without-uvloop"), without=["uvloop"])
