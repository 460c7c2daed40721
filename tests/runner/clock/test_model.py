"""Any program of sleeps, timeouts and tasks does what arithmetic says, at the time it says."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from pytest_asgi import Clock
from tests.promises import promise

# Quarters of a second, so that sums of them are exact.
_SECONDS = st.integers(0, 400).map(lambda quarters: quarters / 4)


@dataclass(frozen=True)
class Sleep:
    seconds: float


@dataclass(frozen=True)
class Limited:
    """Steps with a time limit."""

    seconds: float
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Spawn:
    """Steps in a task of their own."""

    steps: tuple[Step, ...]


Step = Sleep | Limited | Spawn
Log = list[tuple[float, tuple[int, ...]]]
"""What has happened, and when; by the place of the step."""

_steps = st.recursive(
    st.builds(Sleep, _SECONDS),
    lambda step: st.one_of(
        st.builds(Limited, _SECONDS, st.lists(step, max_size=4).map(tuple)),
        st.builds(Spawn, st.lists(step, max_size=4).map(tuple)),
    ),
    max_leaves=12,
)


@promise("clock.model")
@given(program=st.lists(_steps, max_size=6).map(tuple))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
async def test_any_program_does_what_arithmetic_says(
    clock: Clock, program: tuple[Step, ...]
) -> None:
    expected = Log()
    _expect(program, (), 0, math.inf, expected)
    began, log = clock.elapsed, Log()

    async with asyncio.TaskGroup() as group:
        group.create_task(_run(program, (), log, clock, group))

    passed = [(time - began, label) for time, label in log]
    assert sorted(passed) == sorted(expected)
    assert [time for time, _ in passed] == sorted(time for time, _ in expected)


async def _run(
    steps: tuple[Step, ...],
    label: tuple[int, ...],
    log: Log,
    clock: Clock,
    group: asyncio.TaskGroup,
) -> None:
    for number, step in enumerate(steps):
        here = (*label, number)
        match step:
            case Sleep(seconds):
                await asyncio.sleep(seconds)
                log.append((clock.elapsed, here))
            case Limited(seconds, inner):
                try:
                    async with asyncio.timeout(seconds):
                        await _run(inner, here, log, clock, group)
                except TimeoutError:
                    log.append((clock.elapsed, (*here, -1)))
            case Spawn(inner):
                group.create_task(_run(inner, here, log, clock, group))


class _LimitReachedError(Exception):
    pass


def _expect(
    steps: tuple[Step, ...], label: tuple[int, ...], time: float, limit: float, log: Log
) -> float:
    """Note what happens, and when, by adding up the seconds; return when it is over.

    What is due at the very moment at which it is interrupted may happen or not: such programs say
    nothing.
    """
    for number, step in enumerate(steps):
        here = (*label, number)
        match step:
            case Sleep(seconds):
                assume(time + seconds != limit)
                if time + seconds > limit:
                    raise _LimitReachedError
                time += seconds
                log.append((time, here))
            case Limited(seconds, inner):
                own = time + seconds
                assume(own != limit)
                try:
                    time = _expect(inner, here, time, min(limit, own), log)
                except _LimitReachedError:
                    if own > limit:
                        raise
                    time = own
                    log.append((time, (*here, -1)))
            case Spawn(inner):
                _expect(inner, here, time, math.inf, log)
    return time
