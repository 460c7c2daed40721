"""Startup and shutdown, done well, done badly, or not at all."""

from __future__ import annotations

import asyncio
import sys
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

import anyio
import pytest
import trio
import trio.testing
from fastapi import FastAPI

from pytest_asgi import events
from pytest_asgi.asgi.lifespan import Lifespan
from pytest_asgi.asgi.types import Receive, Scope, Send
from pytest_asgi.errors import AsgiWarning, LifespanError, ProtocolError
from tests.apps.lifespans import (
    Blocking,
    Recording,
    leaving_at_once,
    listening_forever,
    without_lifespan,
)
from tests.apps.plain import hello
from tests.promises import promise

FAILED_STARTUP = {"type": "lifespan.startup.failed", "message": "no database"}
FAILED_SHUTDOWN = {"type": "lifespan.shutdown.failed", "message": "still busy"}


@pytest.fixture
def heard() -> Iterator[list[events.Event]]:
    heard: list[events.Event] = []
    token = events.listener.set(heard.append)
    yield heard
    events.listener.reset(token)


async def test_the_app_runs_from_startup_to_shutdown() -> None:
    app = Recording()

    async with Lifespan(app):
        app.happened.append("between")

    assert app.happened == ["lifespan.startup", "between", "lifespan.shutdown"]


async def test_startup_and_shutdown_share_one_task_of_their_own() -> None:
    app = Recording()

    async with Lifespan(app):
        pass

    startup, shutdown = app.tasks
    assert startup is shutdown
    assert startup is not asyncio.current_task()


async def test_a_task_group_held_open_by_the_app_is_left_in_the_task_that_entered_it() -> None:
    happened: list[str] = []

    @asynccontextmanager
    async def live(app: FastAPI) -> AsyncIterator[None]:
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep_forever)
            yield
            group.cancel_scope.cancel()
        happened.append("left")

    async with Lifespan(FastAPI(lifespan=live)):
        pass

    assert happened == ["left"]


async def test_what_the_app_leaves_in_the_state_is_there_after_startup() -> None:
    pool = object()

    async with Lifespan(Recording(pool=pool)) as lifespan:
        assert lifespan.state == {"pool": pool}


async def test_a_state_that_is_given_is_filled() -> None:
    state: dict[str, Any] = {}

    async with Lifespan(Recording(pool=1), state=state):
        assert state == {"pool": 1}


async def test_a_context_variable_of_the_caller_is_seen_by_the_app() -> None:
    variable: ContextVar[str] = ContextVar("variable")
    seen: list[str] = []

    @asynccontextmanager
    async def live(app: FastAPI) -> AsyncIterator[None]:
        seen.append(variable.get())
        yield

    variable.set("test")
    async with Lifespan(FastAPI(lifespan=live)):
        pass

    assert seen == ["test"]


# --- apps without a lifespan -----------------------------------------------------------------


async def test_an_app_that_refuses_the_scope_is_fine() -> None:
    async with Lifespan(without_lifespan) as lifespan:
        assert not lifespan.is_supported
        assert isinstance(lifespan.refusal, ValueError)


@pytest.mark.parametrize(
    "refusal",
    [
        AssertionError(),
        NotImplementedError(),
        KeyError("headers"),
        KeyError("lifespan"),
        ValueError("only HTTP, not lifespan"),
        RuntimeError("unknown type of scope"),
    ],
    ids=repr,
)
async def test_what_means_that_the_scope_is_unknown_is_no_reason_to_warn(
    refusal: Exception,
) -> None:
    async with Lifespan(Blocking(hello, refusal)) as lifespan:
        assert lifespan.refusal is refusal


@promise("client.lifespan-not-reached")
@pytest.mark.parametrize(
    "error", [ConnectionError("no database"), KeyError("user"), KeyError(), TypeError()], ids=repr
)
async def test_what_hardly_means_that_is_told_by_a_warning(error: Exception) -> None:
    with pytest.warns(AsgiWarning) as caught:
        async with Lifespan(Blocking(hello, error)) as lifespan:
            assert lifespan.refusal is error

    assert repr(error) in str(caught[0].message)
    assert caught[0].filename == __file__


async def test_where_warnings_are_errors_the_warning_comes_with_its_cause() -> None:
    error = ConnectionError("no database")

    with pytest.raises(AsgiWarning) as caught:  # as the settings of these tests make of it
        await Lifespan(Blocking(hello, error)).start()

    assert caught.value.__cause__ is error


@promise("client.lifespan-not-reached")
@pytest.mark.parametrize("error", [ConnectionError("no database"), KeyError("headers")], ids=repr)
async def test_middleware_that_raises_before_a_lifespan_fails_the_startup(
    error: Exception,
) -> None:
    @asynccontextmanager
    async def live(app: FastAPI) -> AsyncIterator[None]:
        yield

    inside = FastAPI(lifespan=live)
    inside.add_middleware(Blocking, error=error)
    outside = Blocking(Blocking(FastAPI(lifespan=live), ValueError()), error)

    for app in (inside, outside):
        with pytest.raises(type(error)) as caught:
            await Lifespan(app).start()

        assert caught.value is error
        assert "before the lifespan was reached" in error.__notes__[0]


async def test_an_app_that_returns_at_once_is_fine() -> None:
    async with Lifespan(leaving_at_once) as lifespan:
        assert not lifespan.is_supported
        assert lifespan.refusal is None


async def test_an_app_that_takes_part_is_known_to_support_lifespans() -> None:
    async with Lifespan(Recording()) as lifespan:
        assert lifespan.is_supported


async def test_an_app_that_leaves_after_startup_is_not_asked_again() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})

    async with Lifespan(app) as lifespan:
        assert lifespan.is_supported


async def test_an_app_that_never_stops_listening_is_ended_after_shutdown() -> None:
    async with asyncio.timeout(10):
        before = asyncio.all_tasks()
        async with Lifespan(listening_forever) as lifespan:
            assert lifespan.is_supported

        assert asyncio.all_tasks() == before


async def test_an_app_that_leaves_at_shutdown_without_an_answer_is_fine() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()

    async with Lifespan(app):
        pass


# --- failures --------------------------------------------------------------------------------


async def test_an_exception_at_startup_is_the_apps_own() -> None:
    error = ConnectionError("no database")

    @asynccontextmanager
    async def live(app: FastAPI) -> AsyncIterator[None]:
        raise error
        yield

    with pytest.raises(ConnectionError) as caught:
        await Lifespan(FastAPI(lifespan=live)).start()

    assert caught.value is error
    frames = traceback.extract_tb(error.__traceback__)
    assert (frames[-1].name, frames[-1].line) == ("live", "raise error")


async def test_an_exception_at_shutdown_is_the_apps_own() -> None:
    error = ConnectionError("still busy")

    @asynccontextmanager
    async def live(app: FastAPI) -> AsyncIterator[None]:
        yield
        raise error

    with pytest.raises(ConnectionError) as caught:
        async with Lifespan(FastAPI(lifespan=live)):
            pass

    assert caught.value is error


async def test_an_exception_after_the_last_answer_surfaces_too() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for _ in range(2):
            message = await receive()
            await send({"type": message["type"] + ".complete"})
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        raise ConnectionError

    lifespan = Lifespan(app)
    await lifespan.start()

    with pytest.raises(ConnectionError):
        await lifespan.stop()


async def test_an_app_that_calls_its_startup_failed_and_listens_on_is_ended() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while True:
            await receive()
            await send(FAILED_STARTUP)

    async with asyncio.timeout(10):
        before = asyncio.all_tasks()
        with pytest.raises(LifespanError):
            await Lifespan(app).start()

        assert asyncio.all_tasks() == before


async def test_a_bare_app_that_raises_after_it_took_the_message_has_failed() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        raise ConnectionError

    with pytest.raises(ConnectionError) as caught:
        await Lifespan(app).start()
    assert "when it was told to start up" in caught.value.__notes__[0]


async def test_a_startup_that_the_app_calls_failed_says_why() -> None:
    with pytest.raises(LifespanError) as caught:
        await Lifespan(Recording(startup=FAILED_STARTUP)).start()

    assert caught.value.what == "The app's start-up failed:\n\nno database"


async def test_a_shutdown_that_the_app_calls_failed_says_why() -> None:
    with pytest.raises(LifespanError) as caught:
        async with Lifespan(Recording(shutdown=FAILED_SHUTDOWN)):
            pass

    assert caught.value.what == "The app's shutdown failed:\n\nstill busy"


async def test_a_failure_without_a_message_is_told_as_such() -> None:
    with pytest.raises(LifespanError, match="did not say why"):
        await Lifespan(Recording(startup={"type": "lifespan.startup.failed"})).start()


async def test_a_wrong_answer_is_a_broken_rule() -> None:
    with pytest.raises(ProtocolError, match=r"'lifespan.shutdown.complete' as the answer"):
        await Lifespan(Recording(startup={"type": "lifespan.shutdown.complete"})).start()


async def test_with_the_rules_off_a_wrong_answer_is_dropped() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})

    async with Lifespan(app, rules="off") as lifespan:
        assert lifespan.is_supported


async def test_with_the_rules_off_a_wrong_answer_is_not_waited_for_to_be_put_right() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        await receive()

    async with asyncio.timeout(10):
        before = asyncio.all_tasks()
        with pytest.raises(LifespanError, match=r"did not answer `lifespan\.startup`"):
            await Lifespan(app, rules="off").start()

        assert asyncio.all_tasks() == before


async def test_with_the_rules_off_nor_is_one_at_shutdown() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while True:
            await receive()
            await send({"type": "lifespan.startup.complete"})

    async with asyncio.timeout(10), Lifespan(app, rules="off") as lifespan:
        assert lifespan.is_supported


async def test_a_broken_rule_counts_even_if_the_app_fails_otherwise() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await send({"type": "lifespan.startup.done"})
        except Exception as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            raise ConnectionError from error

    with pytest.raises(ProtocolError, match=r"unknown type 'lifespan\.startup\.done'"):
        await Lifespan(app).start()


async def test_an_app_that_exits_at_startup_ends_the_caller_and_not_the_loop() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        await Lifespan(app).start()


async def test_an_app_that_cancels_itself_at_startup_has_failed() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise asyncio.CancelledError

    with pytest.raises(LifespanError, match="was cancelled"):
        await Lifespan(app).start()


async def test_a_crash_between_startup_and_shutdown_surfaces_at_shutdown() -> None:
    crash = asyncio.Event()

    @asynccontextmanager
    async def live(app: FastAPI) -> AsyncIterator[None]:
        async def worker() -> None:
            await crash.wait()
            raise ConnectionError("worker")

        async with asyncio.TaskGroup() as group:
            group.create_task(worker())
            yield

    lifespan = Lifespan(FastAPI(lifespan=live))
    await lifespan.start()
    crash.set()

    with pytest.raises(ExceptionGroup) as caught:
        await lifespan.stop()
    assert caught.group_contains(ConnectionError, match="worker")


async def test_the_app_is_shut_down_when_the_block_fails() -> None:
    app = Recording()

    with pytest.raises(KeyError):
        async with Lifespan(app):
            raise KeyError

    assert app.happened[-1] == "lifespan.shutdown"


async def test_a_failing_shutdown_does_not_replace_the_exception_of_the_block() -> None:
    with pytest.raises(KeyError) as caught:
        async with Lifespan(Recording(shutdown=FAILED_SHUTDOWN)):
            raise KeyError

    (note,) = caught.value.__notes__
    assert note.startswith("The app's shutdown failed as well:")
    assert "still busy" in note


async def test_a_cancelled_startup_takes_the_app_along() -> None:
    happened: list[str] = []
    started = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            happened.append("cleaned up")

    starting = asyncio.create_task(Lifespan(app).start())
    await started.wait()
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting

    assert happened == ["cleaned up"]


async def test_stopping_twice_stops_once(heard: list[events.Event]) -> None:
    app = Recording()
    lifespan = Lifespan(app)
    await lifespan.start()

    await lifespan.stop()
    await lifespan.stop()

    assert app.happened == ["lifespan.startup", "lifespan.shutdown"]
    assert [type(event) for event in heard] == [events.LifespanStarted, events.LifespanStopped]


# --- events ----------------------------------------------------------------------------------


async def test_startup_and_shutdown_are_told(heard: list[events.Event]) -> None:
    async with Lifespan(Recording()):
        assert [type(event) for event in heard] == [events.LifespanStarted]

    assert [type(event) for event in heard] == [events.LifespanStarted, events.LifespanStopped]


async def test_an_app_without_a_lifespan_tells_nothing(heard: list[events.Event]) -> None:
    async with Lifespan(without_lifespan):
        pass

    assert heard == []


# --- other ways to run tasks -----------------------------------------------------------------


async def test_the_lifespan_runs_with_eager_tasks() -> None:
    if sys.version_info < (3, 12):
        pytest.skip("eager tasks came with Python 3.12")
    app = Recording()
    loop = asyncio.get_running_loop()
    factory = loop.get_task_factory()

    loop.set_task_factory(asyncio.eager_task_factory)
    try:
        async with Lifespan(app), Lifespan(leaving_at_once):
            pass
    finally:
        loop.set_task_factory(factory)

    assert app.happened == ["lifespan.startup", "lifespan.shutdown"]


def test_the_lifespan_runs_on_trio_too() -> None:
    happened: list[str] = []

    @asynccontextmanager
    async def live(app: FastAPI) -> AsyncIterator[None]:
        with trio.CancelScope():
            happened.append("startup")
            yield
            happened.append("shutdown")

    async def main() -> None:
        async with Lifespan(FastAPI(lifespan=live)):
            happened.append("between")

    trio.run(main)

    assert happened == ["startup", "between", "shutdown"]


def test_a_cancelled_startup_takes_the_app_along_on_trio_too() -> None:
    happened: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await trio.sleep_forever()
        finally:
            happened.append("cleaned up")

    async def start() -> None:
        try:
            await Lifespan(app).start()
        finally:
            happened.append("gave up")

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(start)
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()

    trio.run(main)

    assert happened == ["cleaned up", "gave up"]
