"""Put back FastAPI's `dependency_overrides` after every test.

The overrides of an app are one dictionary that all tests share
(https://fastapi.tiangolo.com/advanced/testing-dependencies/). What a module sets when it is
imported, or a fixture of a wider scope than one test, stays; what a test or a function-scoped
fixture sets is gone for the next test.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import pytest

from pytest_asgi.adapters.fastapi import DependencyOverrides, own_overrides
from pytest_asgi.import_watch import ImportWatch
from pytest_asgi.plugin import pytest_private

if TYPE_CHECKING:
    from collections.abc import Generator
    from contextlib import AbstractContextManager

    from pytest_asgi.adapters.fastapi import Watch

__tracebackhide__ = True  # a failure ends in the user's line


class Overrides:
    """The hooks that tell where a test begins and ends, and what outlives it."""

    def __init__(self) -> None:
        self._overrides = DependencyOverrides()
        self._has_test_begun = False
        self._watch: Watch | None = None
        self._import = ImportWatch("fastapi", self._begin_to_watch)
        self._import.start()

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
    ) -> Generator[None, Any, Any]:
        """Begin the test before its first function-scoped fixture."""
        if fixturedef.scope == "function":
            self._begin(pytest_private.requesting_test(request))
        with self.living_with(fixturedef):
            return (yield)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> None:
        """Begin the test before its body, if it has no such fixture."""
        self._begin(item)

    def pytest_unconfigure(self) -> None:
        """Leave FastAPI as it was."""
        self._import.stop()
        if self._watch is not None:
            self._watch.stop()

    def living_with(self, fixture: pytest.FixtureDef[Any]) -> AbstractContextManager[None]:
        """Return a block in which what is overridden lives as long as `fixture`."""
        return nullcontext() if fixture.scope == "function" else self._overrides.outlive_test()

    def _begin(self, item: pytest.Item) -> None:
        if not self._has_test_begun and own_overrides.get() is None:
            self._has_test_begun = True
            # The first finalizer of a test is the last one to run, but runs before a module's.
            item.addfinalizer(self._end)
            self._overrides.begin_test()

    def _end(self) -> None:
        self._has_test_begun = False
        self._overrides.end_test()

    def _begin_to_watch(self) -> None:
        self._watch = self._overrides.watch()
