"""Put back FastAPI's `dependency_overrides` after every test.

The overrides of an app are one dictionary that all tests share
(https://fastapi.tiangolo.com/advanced/testing-dependencies/). What a module sets when it is
imported, or a fixture of a wider scope than one test, stays; what a test or a function-scoped
fixture sets is gone for the next test.
"""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from pytest_asgi.adapters.fastapi import DependencyOverrides, own_overrides
from pytest_asgi.import_watch import ImportWatch
from pytest_asgi.plugin import pytest_private

if TYPE_CHECKING:
    from collections.abc import Generator
    from contextlib import AbstractContextManager

    import pytest

    from pytest_asgi.adapters.fastapi import Watch

__tracebackhide__ = True  # a failure ends in the user's line


class Overrides:
    """Is told where a test begins, and what outlives it."""

    def __init__(self) -> None:
        self._overrides = DependencyOverrides()
        self._test: pytest.Item | None = None
        self._watch: Watch | None = None
        self._import = ImportWatch("fastapi", self._begin_to_watch)
        self._import.start()

    def begin(self, item: pytest.Item) -> None:
        """Begin a test: before its first function-scoped fixture, or before its body."""
        if item is self._test:
            return
        self._test = item
        if self._watch is not None:
            self._remember(item)

    def living_with(self, fixture: pytest.FixtureDef[Any]) -> AbstractContextManager[None]:
        """Return a block in which what is overridden lives as long as `fixture`."""
        return nullcontext() if fixture.scope == "function" else self._outlive_test()

    def stop(self) -> None:
        """Leave FastAPI as it was."""
        self._import.stop()
        if self._watch is not None:
            self._watch.stop()

    @contextmanager
    def _outlive_test(self) -> Generator[None]:
        is_watching = self._watch is not None
        test, self._test = self._test, None
        try:
            with self._overrides.outlive_test():
                yield
        finally:
            self._test = test
            if self._watch is not None and not is_watching:  # imported in the block
                self._remember_late()

    def _remember(self, item: pytest.Item) -> None:
        if own_overrides.get() is None:
            # The first finalizer of a test is the last one to run, but runs before a module's.
            item.addfinalizer(self._end)
            self._overrides.begin_test()

    def _end(self) -> None:
        self._test = None
        self._overrides.end_test()

    def _begin_to_watch(self) -> None:
        self._watch = self._overrides.watch()
        self._remember_late()

    def _remember_late(self) -> None:
        """Begin the running test, which has imported FastAPI, as if it had been there before."""
        if self._test is not None and own_overrides.get() is None:
            is_running = pytest_private.add_last_finalizer(self._test, self._end)
            if is_running:
                self._overrides.begin_test()
