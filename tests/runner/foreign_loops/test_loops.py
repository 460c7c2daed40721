"""The note tells the loops apart: the session's, a second one, and who made that."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncGenerator, Callable

import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient

from pytest_asgi.runner.foreign_loops import LoopOrigins, explain
from tests.runner.foreign_loops.errors import (
    Explain,
    awaited_queue,
    contended_lock,
    failure,
    pending_future,
    required,
    unwrapped,
    use_it,
)


def test_an_object_of_the_session_used_in_a_loop_of_ones_own_is_told_the_other_way_round(
    session_loop: asyncio.AbstractEventLoop, note_of: Explain
) -> None:
    queue = session_loop.run_until_complete(awaited_queue())

    text_of_note = required(note_of(failure(lambda: asyncio.run(queue.get()))))

    assert "its loop  the session's loop, open" in text_of_note
    assert "used in   closed, made by asyncio.run at" in text_of_note
    assert "Fix: Await `queue` in the session's loop" in text_of_note


def test_a_loop_of_uvloop_that_only_a_runner_holds_is_known(
    session_loop: asyncio.AbstractEventLoop, note_of: Explain
) -> None:
    future = session_loop.run_until_complete(pending_future())

    async def wait() -> None:
        await future

    text_of_note = required(note_of(failure(lambda: uvloop.run(wait()))))

    assert "its loop  the session's loop, open" in text_of_note
    assert "used in   closed, made by uvloop.run at" in text_of_note


def test_a_loop_of_uvloop_that_no_variable_holds_stays_unknown(
    session_loop: asyncio.AbstractEventLoop, note_of: Explain
) -> None:
    future = session_loop.run_until_complete(pending_future())
    loops = [uvloop.new_event_loop()]

    async def wait() -> None:
        await future

    text_of_note = required(note_of(failure(lambda: loops[0].run_until_complete(wait()))))

    assert "its loop  the session's loop, open" in text_of_note
    assert "\n  used in " not in text_of_note
    loops[0].close()


def test_an_object_of_the_session_awaited_by_an_app_in_a_thread_names_the_threads_loop(
    session_loop: asyncio.AbstractEventLoop, note_of: Explain
) -> None:
    queue = session_loop.run_until_complete(awaited_queue())

    async def endpoint(request: Request) -> Response:
        await queue.get()
        return Response()

    client = TestClient(Starlette(routes=[Route("/", endpoint)]))

    text_of_note = required(note_of(failure(lambda: client.get("/"))))

    assert "`queue`, of type asyncio.queues.Queue" in text_of_note
    assert "anyio.from_thread.start_blocking_portal used it in" in text_of_note


def test_an_object_of_the_session_used_in_a_loop_of_uvloop_is_told_the_other_way_round(
    session_loop: asyncio.AbstractEventLoop, note_of: Explain
) -> None:
    future = session_loop.run_until_complete(pending_future())
    loop = uvloop.new_event_loop()

    async def wait() -> None:
        await future

    text_of_note = required(note_of(failure(lambda: loop.run_until_complete(wait()))))

    assert "its loop  the session's loop, open" in text_of_note
    assert "used in   open, made by uvloop.new_event_loop at" in text_of_note
    loop.close()


def test_an_object_of_the_session_used_by_an_app_in_a_thread_is_told_the_other_way_round(
    session_loop: asyncio.AbstractEventLoop, note_of: Explain
) -> None:
    future = session_loop.run_until_complete(pending_future())

    async def endpoint(request: Request) -> Response:
        await future
        return Response()

    client = TestClient(Starlette(routes=[Route("/", endpoint)]))

    text_of_note = required(note_of(failure(lambda: client.get("/"))))

    assert "its loop  the session's loop, open" in text_of_note
    assert "code in another thread or loop used it in another." in unwrapped(text_of_note)
    assert "pytest_asgi.TestClient" in text_of_note


def test_an_object_of_a_third_loop_used_in_the_loop_of_a_thread_is_named(
    other_loop: asyncio.AbstractEventLoop, note_of: Explain
) -> None:
    thing = asyncio.run(pending_future())
    thread = threading.Thread(target=other_loop.run_forever)
    thread.start()

    async def use() -> None:
        await thing

    error = failure(lambda: asyncio.run_coroutine_threadsafe(use(), other_loop).result(5))
    other_loop.call_soon_threadsafe(other_loop.stop)
    thread.join()

    text_of_note = required(note_of(error))
    assert text_of_note.startswith("`thing` belongs to an event loop that is closed.")
    assert "\n  used in " not in text_of_note


def test_an_object_of_a_synchronous_test_clients_loop_leads_to_our_clients(
    note: Callable[..., str],
) -> None:
    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncGenerator[None]:
        app.state.lock = await contended_lock()
        yield

    app = Starlette(lifespan=lifespan)

    async def test() -> None:
        await app.state.lock.acquire()

    with TestClient(app):
        text_of_note = note(test)

    assert "its loop  running, made by anyio.from_thread.start_blocking_portal" in text_of_note
    assert "Fix: Use the `client` fixture or pytest_asgi.TestClient" in text_of_note


def test_an_object_used_after_the_session_is_to_be_ended_in_time(
    session_loop: asyncio.AbstractEventLoop, note_of: Explain
) -> None:
    queue = session_loop.run_until_complete(awaited_queue())
    session_loop.close()

    error = failure(lambda: session_loop.call_soon(queue.put_nowait, 1))

    assert "Fix: End `queue` in time" in required(note_of(error))


def test_a_closed_loop_that_is_run_again_is_explained_without_an_object(
    note_of: Explain,
) -> None:
    loop = asyncio.new_event_loop()
    loop.close()

    text_of_note = required(note_of(failure(loop.run_forever)))

    assert text_of_note.startswith("An event loop was used after it was closed.")
    assert "its loop  closed, made by asyncio.new_event_loop at" in text_of_note
    assert "\n  used in " not in text_of_note
    assert "Fix: Make no loop of your own." in text_of_note


def test_without_an_object_the_loops_that_could_be_meant_are_listed(
    note: Callable[..., str], other_loop: asyncio.AbstractEventLoop
) -> None:
    async def test() -> None:
        use_it(None, None)

    text_of_note = note(test)

    assert text_of_note.startswith("An object belongs to one event loop")
    assert "another   open, made by asyncio.new_event_loop at" in text_of_note
    assert text_of_note.count("another   ") == 1


def test_a_loop_made_before_anybody_watched_is_said_to_be_unknown(
    note: Callable[..., str], origins: LoopOrigins
) -> None:
    origins.uninstall()
    thing = asyncio.run(pending_future())

    async def test() -> None:
        await thing

    text_of_note = note(test)

    assert "made by code that ran before pytest-asgi could watch" in unwrapped(text_of_note)
    assert "other code made another" in unwrapped(text_of_note)
    assert "thing = ...  # open it here" in text_of_note


def test_trio_has_no_session_loop_of_asyncio_and_errors_are_explained_all_the_same(
    origins: LoopOrigins,
) -> None:
    future = asyncio.run(pending_future())

    async def test() -> None:
        await future

    error = failure(lambda: asyncio.run(test()))

    assert "`future`" in required(explain(error, session_loop=None, origins=origins))
