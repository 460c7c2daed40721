"""Which tests run on trio: the setting, the marks, and the value of `anyio_backend`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

    from pytest_asgi.plugin.neighbours import Neighbours
    from pytest_asgi.plugin.settings import Settings
    from pytest_asgi.plugin.survey import Survey

CLOCKS = ("autojump_clock", "mock_clock")
"""Fixtures that give the clock of the test's own run."""


class TrioChoice:
    """Tells which tests run on trio.

    Args:
        settings: What the project has set.
        neighbours: Other plugins that run async tests.
    """

    def __init__(self, settings: Settings, neighbours: Neighbours) -> None:
        self._is_default = settings.loop == "trio" or neighbours.is_trio_mode
        self._neighbours = neighbours
        self._is_open = True

    def look_at(self, asked: Survey) -> None:
        """Be told what the collected tests ask for: most runs have nothing to choose from."""
        self._is_open = (
            self._is_default or "trio" in asked.marks or "anyio_backend" in asked.fixtures
        )

    def of(self, item: pytest.Function) -> bool | None:
        """Tell whether a test runs on trio; `None` if its `anyio_backend` will say so later."""
        if not self._is_open:
            return False
        if self._is_default or "trio" in item.keywords:
            for mark in item.iter_markers():  # the closest first
                if mark.name in {"trio", "asyncio"}:
                    return mark.name == "trio"
        if not self._neighbours.chooses_backend(item):
            return self._is_default
        parameters = parameters_of(item)
        return is_trio(parameters["anyio_backend"]) if "anyio_backend" in parameters else None

    def is_late(self, item: pytest.Function) -> bool:
        """Tell whether the value of `anyio_backend` says where a test runs, and is not known."""
        return self._is_open and "anyio_backend" in item.fixturenames and self.of(item) is None


def options_of(item: pytest.Function, backend: object = "trio") -> dict[str, Any]:
    """Return with which options the run of a test is made.

    Args:
        item: The test.
        backend: The value of its `anyio_backend`.
    """
    options = dict(backend[1]) if isinstance(backend, tuple) else {}
    clocks = [name for name in CLOCKS if name in item.fixturenames]
    return {**options, "clock": clocks[0]} if clocks else options


def parameters_of(item: pytest.Function) -> dict[str, Any]:
    """Return the parameters that a test is called with."""
    return item.callspec.params if hasattr(item, "callspec") else {}


def is_trio(backend: object) -> bool:
    """Tell whether a value of `anyio_backend` names trio."""
    return (backend[0] if isinstance(backend, tuple) else backend) == "trio"
