"""A task beside the caller's: what it keeps, how it ends, whose context it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextvars import ContextVar
from typing import Any

import anyio
import pytest

from pytest_asgi.asgi.stacks import describe_wait, warn_user
from pytest_asgi.asgi.tasks import AppTask, Bell

variable: ContextVar[str] = ContextVar("variable", default="unset")


@pytest.fixture(autouse=True)
async def time_limit() -> AsyncIterator[None]:
    async with asyncio.timeout(10):
        yield


@pytest.fixture(params=["scope", "task"])
def way_to_cancel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cancel through anyio's scopes, and as asyncio does it where anyio is not imported."""
    if request.param == "task":
        monkeypatch.setattr("pytest_asgi.asgi.tasks._make_scope", _make_no_scope)


def _make_no_scope(trio: Any) -> None:
    return None


def nothing() -> None: ...


def start(function: Any) -> AppTask:
    return AppTask(function, on_finished=nothing)


async def wait_for_ever() -> None:
    await asyncio.Event().wait()


async def test_what_the_coroutine_raises_is_kept() -> None:
    error = KeyError()

    async def fail() -> None:
        raise error

    task = start(fail)
    await task.wait()

    assert task.exception is error
    assert not task.was_cancelled


def test_ctrl_c_is_kept_and_passed_on() -> None:
    error = KeyboardInterrupt()
    tasks: list[AppTask] = []

    async def interrupt() -> None:
        raise error

    async def wait_for_it() -> None:
        tasks.append(start(interrupt))
        await wait_for_ever()

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(wait_for_it())

    assert tasks[0].exception is error
    assert tasks[0].is_finished


@pytest.mark.usefixtures("way_to_cancel")
@pytest.mark.parametrize("has_begun", [True, False])
async def test_a_task_that_is_cancelled_has_raised_nothing(*, has_begun: bool) -> None:
    finished: list[str] = []
    task = AppTask(wait_for_ever, on_finished=lambda: finished.append("finished"))
    if has_begun:
        await asyncio.sleep(0)
    assert task.has_begun is has_begun

    await task.cancel()

    assert task.is_finished
    assert task.was_cancelled
    assert task.exception is None
    assert finished == ["finished"]


@pytest.mark.usefixtures("way_to_cancel")
async def test_what_is_raised_instead_of_a_cancellation_is_kept() -> None:
    async def fail() -> None:
        try:
            await wait_for_ever()
        finally:
            raise KeyError("while tidying up")

    task = start(fail)
    await asyncio.sleep(0)
    await task.cancel()

    assert isinstance(task.exception, KeyError)


@pytest.mark.usefixtures("way_to_cancel")
async def test_a_cancellation_of_ones_own_is_kept() -> None:
    async def cancel() -> None:
        raise asyncio.CancelledError

    task = start(cancel)
    await task.wait()

    assert isinstance(task.exception, asyncio.CancelledError)


async def test_a_task_that_others_cancel_before_its_first_turn_ends() -> None:
    task = start(wait_for_ever)
    task._task.cancel()

    await task.wait()

    assert isinstance(task.exception, asyncio.CancelledError)


async def test_cancelling_what_has_ended_does_nothing() -> None:
    task = start(_return)
    await task.wait()

    await task.cancel()

    assert not task.was_cancelled


async def _return() -> None: ...


async def test_the_end_is_awaited_though_a_scope_around_it_was_cancelled() -> None:
    ended: list[str] = []

    async def tidy_up() -> None:
        try:
            await wait_for_ever()
        finally:
            with anyio.CancelScope(shield=True):
                await asyncio.sleep(0)
            ended.append("tidied up")

    with anyio.CancelScope() as scope:
        task = start(tidy_up)
        await asyncio.sleep(0)
        scope.cancel()
        await task.cancel()
        ended.append("awaited")

    assert ended == ["tidied up", "awaited"]


async def test_what_the_coroutine_has_set_is_adopted_once() -> None:
    task = start(_set_variable)
    await task.wait()
    assert variable.get() == "unset"

    task.adopt_context()
    assert variable.get() == "of the app"

    variable.set("of the test")
    task.adopt_context()
    assert variable.get() == "of the test"


async def test_what_the_coroutine_has_set_can_be_shared_again() -> None:
    task = start(_set_variable)
    await task.wait()
    task.share_context()
    variable.set("of the test")

    task.share_context()

    assert variable.get() == "of the app"


async def _set_variable() -> None:
    variable.set("of the app")


async def test_a_bell_wakes_everyone_who_waits() -> None:
    bell = Bell()
    waiting = [asyncio.create_task(bell.wait()) for _ in range(2)]
    await asyncio.sleep(0)

    bell.ring()

    assert await asyncio.gather(*waiting) == [True, True]


async def test_a_bell_that_has_rung_is_waited_for_anew() -> None:
    bell = Bell()
    bell.ring()

    assert await bell.wait(0.001) is False


async def test_a_coroutine_that_does_not_wait_is_described_as_that() -> None:
    coroutine = _return()

    assert "in _return" in describe_wait(coroutine)
    coroutine.close()
    assert describe_wait(coroutine) == "it is not waiting for anything"


async def test_a_task_that_has_ended_is_not_told() -> None:
    waiting, ended = _return(), _return()
    ended.close()

    assert "its task" not in describe_wait(waiting, [("ended", ended)])
    waiting.close()


def test_a_warning_of_nobody_elses_code_is_still_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_asgi.asgi.stacks._is_users", lambda _: False)

    with pytest.warns(UserWarning, match="text"):
        warn_user("text", UserWarning)


# --- the bell --------------------------------------------------------------------------------


async def test_a_ring_wakes_all_who_wait_and_nobody_who_comes_later() -> None:
    bell = Bell()
    early = [asyncio.ensure_future(bell.wait()) for _ in range(2)]
    await asyncio.sleep(0)

    bell.ring()
    late = asyncio.ensure_future(bell.wait())

    assert await asyncio.gather(*early) == [True, True]
    assert not late.done()
    bell.ring()
    assert await late


async def test_a_bell_forgets_who_no_longer_waits() -> None:
    bell = Bell()
    waiting = asyncio.ensure_future(bell.wait())
    await asyncio.sleep(0)
    waiting.cancel()

    bell.ring()  # before the task has learnt of it

    with pytest.raises(asyncio.CancelledError):
        await waiting
    impatient = asyncio.ensure_future(bell.wait())
    await asyncio.sleep(0)
    impatient.cancel()
    await asyncio.wait([impatient])
    assert bell._waiting == []
