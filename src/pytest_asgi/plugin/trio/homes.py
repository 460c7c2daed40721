"""Where async fixtures of wider scopes live: on the session's loop, or in a run of trio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_asgi.plugin import pytest_private
from pytest_asgi.plugin.tracebacks import hides_our_frames
from pytest_asgi.plugin.trio.refusals import other_home

if TYPE_CHECKING:
    from collections.abc import Callable

__tracebackhide__ = hides_our_frames


class Homes:
    """Refuses to give a fixture to a test that runs elsewhere.

    Its hooks are registered when the first test runs on trio.

    Args:
        find_home: Returns where the running test runs.
    """

    def __init__(self, find_home: Callable[[], object]) -> None:
        self._find_home = find_home
        self._homes: dict[pytest.FixtureDef[Any], object] = {}

    def add(
        self, fixture: pytest.FixtureDef[Any], request: pytest.FixtureRequest, home: object
    ) -> None:
        """Remember where a fixture lives, until it is torn down."""
        self._homes[fixture] = home
        request.addfinalizer(lambda: self._homes.pop(fixture, None))

    @pytest.hookimpl(tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> None:
        """Refuse what a fixture asks for."""
        self._refuse(lambda used: used.argname in fixturedef.argnames)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> None:
        """Refuse what a test asks for."""
        if isinstance(item, pytest.Function):
            self._refuse(lambda used: pytest_private.is_used_by(item, used))

    def _refuse(self, is_used: Callable[[pytest.FixtureDef[Any]], bool]) -> None:
        here = self._find_home()
        for fixture, home in self._homes.items():
            if home is not here and is_used(fixture):
                raise other_home(fixture.argname)
