"""Tests marked `anyio`, without anyio's plugin: they use `anyio_backend` all the same.

The plugin lets them, and suites count on it: a project's fixture of that name, which may have
parameters, says where the tests run.
"""

from __future__ import annotations

import pytest

from pytest_asgi.plugin import pytest_private
from pytest_asgi.plugin.function_kinds import is_async_function
from pytest_asgi.plugin.stand_ins import fixtures as stand_ins


class AnyioMarks:
    """The hook that lets marked tests use the project's `anyio_backend`.

    Args:
        is_auto: Whether every async test counts as marked (`anyio_mode = auto`).
    """

    def __init__(self, *, is_auto: bool) -> None:
        self._is_auto = is_auto
        self._marked: dict[pytest.Module | pytest.Class, bool] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_pycollect_makeitem(
        self, collector: pytest.Module | pytest.Class, name: str, obj: object
    ) -> None:
        """Let a marked test use the fixture, if the project has one."""
        if not is_async_function(obj) or not (self._is_auto or self._is_marked(collector, obj)):
            return
        if not collector.istestfunction(obj, name):
            return
        backend = pytest_private.visible_fixture(collector, "anyio_backend")
        if backend is not None and backend.func.__module__ != stand_ins.__name__:
            pytest.mark.usefixtures("anyio_backend")(obj)

    def _is_marked(self, collector: pytest.Module | pytest.Class, obj: object) -> bool:
        if any(mark.name == "anyio" for mark in getattr(obj, "pytestmark", ())):
            return True
        if collector not in self._marked:
            self._marked[collector] = collector.get_closest_marker("anyio") is not None
        return self._marked[collector]
