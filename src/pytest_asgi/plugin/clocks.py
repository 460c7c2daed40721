"""The clock of a test: from its fixture's set-up to its tear-down."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from pytest_asgi.adapters.time_machine import WallTime
from pytest_asgi.errors import ClockError
from pytest_asgi.plugin.asynchronous import is_async_test
from pytest_asgi.runner.clock.clock import Clock, SyncClock

if TYPE_CHECKING:
    from collections.abc import Generator

    from pytest_asgi.plugin.assembly import Assembly

_REAL_WALL_TIME = (
    "`time.time()` and `datetime.now()` told the real time: time-machine is not installed"
    " (pip install 'pytest-asgi[clock]')."
)


@contextmanager
def running_clock(assembly: Assembly, item: pytest.Item) -> Generator[Clock | SyncClock]:
    """Make the time of the session's loop virtual in the block.

    Raises:
        ClockError: The test is run on another loop, or that loop does not allow it.
    """
    if isinstance(item, pytest.Function):
        if assembly.neighbours.keeps(item):
            raise _another_runner(item)
        assembly.waiting_for(item)  # its `anyio_backend` may be known only now
        if assembly.is_on_trio:
            raise _on_trio(item)
    time, wall_time = assembly.waiting.loop.virtual_time, WallTime()
    if not wall_time.is_movable:
        item.add_report_section("setup", "clock", _REAL_WALL_TIME)
    with wall_time.standing_still():
        time.begin(wall_time.move)
        clock = Clock(time, moves_wall_time=wall_time.is_movable)
        try:
            yield clock if is_async_test(item) else SyncClock(clock, assembly.run_coroutine)
        finally:
            time.end()


def _another_runner(item: pytest.Item) -> ClockError:
    return ClockError(
        f"The clock does not control the time of {item.name}.",
        why="Another plugin runs this test, on a loop of its own: anyio's or pytest-trio.",
        fix="Use that one's clock, such as `trio.testing.MockClock`; or let the test run on the"
        " session's loop.",
    )


def _on_trio(item: pytest.Item) -> ClockError:
    return ClockError(
        f"The clock does not control the time of {item.name}.",
        why="The test runs on trio, whose time is not that of the session's loop.",
        fix="Take the fixture `autojump_clock` or `mock_clock`, which are trio's own clocks.",
    )
