"""Virtual time: what is due happens in its order, each at its own time."""

from __future__ import annotations

import asyncio
import math
from time import perf_counter

import anyio
import pytest
import trio

from pytest_asgi import Clock, ClockError, SyncClock
from tests.promises import promise


@promise("clock.jumps")
async def test_a_sleep_takes_no_time(clock: Clock) -> None:
    began = asyncio.get_running_loop().time()

    await asyncio.sleep(1e6)

    assert clock.elapsed == 1e6
    assert asyncio.get_running_loop().time() - began == 1e6


@promise("clock.jumps")
async def test_timeouts_and_timers_are_on_the_same_clock(clock: Clock) -> None:
    loop, seen = asyncio.get_running_loop(), list[tuple[str, float]]()

    def see(name: str) -> None:
        seen.append((name, clock.elapsed))

    loop.call_later(5, see, "later")
    loop.call_at(loop.time() + 7, see, "at")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(10):
            await asyncio.Event().wait()
    see("timeout")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.Event().wait(), 10)
    see("wait_for")
    with anyio.move_on_after(10):
        await anyio.sleep(30)
    see("move_on_after")
    with pytest.raises(TimeoutError), anyio.fail_after(10):
        await anyio.sleep_forever()
    see("fail_after")

    assert seen == [
        ("later", 5),
        ("at", 7),
        ("timeout", 10),
        ("wait_for", 20),
        ("move_on_after", 30),
        ("fail_after", 40),
    ]


@promise("clock.advance")
async def test_advance_lets_everything_happen_that_is_due(clock: Clock) -> None:
    seen = list[float]()

    async def beat() -> None:
        while True:
            await asyncio.sleep(20)
            for _ in range(10):
                await asyncio.sleep(0)
            seen.append(clock.elapsed)

    task = asyncio.create_task(beat())

    await clock.advance(59.5)
    assert (seen, clock.elapsed) == ([20, 40], 59.5)
    await clock.advance(0.5)
    assert seen == [20, 40, 60]
    task.cancel()


@promise("clock.advance")
async def test_fractions_of_a_second_add_up(clock: Clock) -> None:
    seen = list[float]()

    async def beat() -> None:
        while True:
            await asyncio.sleep(0.1)
            seen.append(clock.elapsed)

    task = asyncio.create_task(beat())

    await clock.advance(1)

    assert seen == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    task.cancel()


async def test_nothing_has_to_be_due(clock: Clock) -> None:
    await clock.advance(60)
    await clock.advance(0)

    assert clock.elapsed == 60


async def test_several_may_advance_at_the_same_time(clock: Clock) -> None:
    seen = list[float]()

    async def advance(seconds: float) -> None:
        await clock.advance(seconds)
        seen.append(clock.elapsed)

    await asyncio.gather(advance(3), advance(1), asyncio.create_task(advance(2)))

    assert seen == [1, 2, 3]


async def test_a_wait_that_is_cancelled_is_forgotten(clock: Clock) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(5):
            await clock.advance(60)

    await clock.advance(1)

    assert clock.elapsed == 6


@promise("clock.real-afterwards")
async def test_timers_keep_their_distance_when_the_time_is_real_again(
    request: pytest.FixtureRequest,
) -> None:
    loop = asyncio.get_running_loop()
    before = loop.call_later(3600, int)
    far = before.when() - loop.time()
    clock: Clock = request.getfixturevalue("clock")
    await clock.advance(1800)
    after = loop.call_later(3600, int)

    assert before.when() - loop.time() == pytest.approx(far - 1800, abs=60)
    assert after.when() - loop.time() == 3600
    before.cancel()
    after.cancel()


@promise("clock.real-afterwards")
async def test_the_loops_time_goes_on_for_real_without_the_clock() -> None:
    loop, began = asyncio.get_running_loop(), perf_counter()
    time = loop.time()

    await asyncio.sleep(0.01)

    assert loop.time() - time >= 0.009
    assert perf_counter() - began >= 0.009


@pytest.mark.parametrize("seconds", [-1, math.inf, math.nan])
async def test_time_only_goes_forward(clock: Clock, seconds: float) -> None:
    with pytest.raises(ClockError, match="cannot be advanced"):
        await clock.advance(seconds)


async def test_another_loop_has_another_time(clock: Clock) -> None:
    def advance_elsewhere() -> None:
        asyncio.run(clock.advance(1))

    with pytest.raises(ClockError, match="where the time is another one"):
        await asyncio.to_thread(advance_elsewhere)
    with pytest.raises(ClockError, match="where the time is another one"):
        await asyncio.to_thread(trio.run, clock.advance, 1)


def test_a_synchronous_test_has_it_without_await(clock: SyncClock) -> None:
    clock.advance(90)

    assert clock.elapsed == 90
    assert repr(clock).startswith("<Clock: 90 s have passed")
    assert clock.moves_wall_time


@promise("clock.jumps")
async def test_a_timer_of_no_seconds_fires_however_long_the_machine_runs(
    clock: Clock,
) -> None:
    await clock.advance(1e9)
    async with asyncio.timeout(1):
        fired = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_at(
            asyncio.get_running_loop().time(), fired.set_result, None
        )
        await fired
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await asyncio.sleep(1)
