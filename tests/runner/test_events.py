"""What the runner tells the listener of a test."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

from pytest_asgi import events
from pytest_asgi.runner.loop import Home, SessionLoop


def run_test(function: Callable[[SessionLoop], object]) -> list[events.Event]:
    """Run a test on a loop of its own, in a thread of its own, and return what was told."""
    heard: list[events.Event] = []

    def run() -> None:
        home = Home(threading.get_ident(), copy_context())
        loop = SessionLoop(asyncio.new_event_loop, home=home)
        context = loop.shared_context.copy()
        context.run(events.listener.set, heard.append)
        loop.run_test(lambda: function(loop), context=context, name="test_it")
        loop.close()

    with ThreadPoolExecutor() as pool:
        pool.submit(run).result()
    return heard


def test_the_beginning_and_the_end_of_a_test_are_told() -> None:
    started, finished = run_test(lambda _: None)

    assert isinstance(started, events.TestStarted)
    assert isinstance(finished, events.TestFinished)
    assert started.test == finished.test == "test_it"
    assert started.at <= finished.at


def test_what_fails_in_the_background_is_told() -> None:
    error = ConnectionError()

    async def leave_a_failing_callback_behind() -> None:
        asyncio.get_running_loop().call_soon(fail)
        await asyncio.sleep(0)

    def fail() -> None:
        raise error

    _, failed, _ = run_test(lambda loop: loop.run(leave_a_failing_callback_behind()))

    assert isinstance(failed, events.BackgroundFailed)
    assert failed.exception is error
