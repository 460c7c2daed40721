"""The fixtures that tests on trio know from pytest-trio."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

from pytest_asgi.plugin import pytest_private
from pytest_asgi.plugin.assembly import ASSEMBLY
from pytest_asgi.plugin.trio.refusals import late_clock, no_trio_test

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

__tracebackhide__ = True  # a failure ends in the user's line

OFFERED = ("nursery", "autojump_clock", "mock_clock")


@pytest.fixture
async def nursery(request: pytest.FixtureRequest) -> AsyncGenerator[Any]:
    """A nursery of trio's around the test; what still runs in it at the end is cancelled."""
    if not request.config.stash[ASSEMBLY].is_on_trio:
        raise no_trio_test("nursery")
    trio = import_module("trio")
    async with trio.open_nursery() as opened:
        yield opened
        opened.cancel_scope.cancel()


@pytest.fixture
def autojump_clock(request: pytest.FixtureRequest) -> Any:
    """The clock of the test's own run of trio: it jumps ahead whenever all tasks wait."""
    return _clock(request, "autojump_clock")


@pytest.fixture
def mock_clock(request: pytest.FixtureRequest) -> Any:
    """The clock of the test's own run of trio: it stands still until the test moves it."""
    return _clock(request, "mock_clock")


def _clock(request: pytest.FixtureRequest, name: str) -> Any:
    assembly, test = request.config.stash[ASSEMBLY], pytest_private.requesting_test(request)
    assembly.waiting_for(test)  # its `anyio_backend` may be known only now
    if not assembly.is_on_trio:
        raise no_trio_test(name)
    clock = assembly.trio.waiter.clock
    if clock is None:
        raise late_clock(name)
    return clock
