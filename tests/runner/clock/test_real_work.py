"""Time does not jump past a timeout while something real is at work."""

from __future__ import annotations

import asyncio
import queue
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import aiosqlite
import anyio.from_thread
import anyio.to_thread
import pytest

from pytest_asgi import Clock
from pytest_asgi.runner.clock.threads import ThreadsAtWork
from tests.promises import promise

# How long something real takes here: longer than anything that the clock waits for by itself, and
# far less than `_LIMIT`, so that only a jump can end a block with that limit.
_REAL_SECONDS = 0.3
_LIMIT = 100


_STRANGER = f"""
import socket, threading, time

def answer(connection):
    with connection:
        while asked := connection.recv(100):
            if asked == b"slow\\n":
                time.sleep({_REAL_SECONDS})
            connection.sendall(asked)

with socket.create_server(("127.0.0.1", 0)) as listening:
    print(listening.getsockname()[1], flush=True)
    while True:
        threading.Thread(target=answer, args=[listening.accept()[0]], daemon=True).start()
"""


@pytest.fixture(scope="module")
def stranger() -> Iterator[tuple[str, int]]:
    """A process that sends back what it is sent, and where it listens."""
    with subprocess.Popen(
        [sys.executable, "-c", _STRANGER], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield "127.0.0.1", int(process.stdout.readline())
        process.kill()


def _slow() -> str:
    time.sleep(_REAL_SECONDS)
    return "done"


async def _in_executor() -> str:
    return await asyncio.to_thread(_slow)


async def _in_anyios_worker() -> str:
    return await anyio.to_thread.run_sync(_slow)


async def _in_a_pool_of_the_projects() -> str:
    with ThreadPoolExecutor(1) as pool:
        return await asyncio.wrap_future(pool.submit(_slow))


async def _in_a_thread_of_the_projects() -> str:
    loop, done = asyncio.get_running_loop(), asyncio.get_running_loop().create_future()

    def work() -> None:
        loop.call_soon_threadsafe(done.set_result, _slow())

    thread = threading.Thread(target=work)
    thread.start()
    try:
        return str(await done)
    finally:
        thread.join()


async def _in_a_process() -> str:
    code = f"import time; time.sleep({_REAL_SECONDS}); print('done')"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdout=subprocess.PIPE
    )
    output, _ = await process.communicate()
    return output.decode().strip()


async def _in_aiosqlite() -> str:
    async with aiosqlite.connect(":memory:") as connection:
        await connection.create_function("slow", 0, _slow)
        cursor = await connection.execute("SELECT slow()")
        row = await cursor.fetchone()
        assert row is not None
        return str(row[0])


async def _on_a_socket(address: tuple[str, int]) -> str:
    reader, writer = await asyncio.open_connection(*address)
    writer.writelines([b"sl", b"ow\n"])
    answer = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return answer.decode().strip()


async def _on_a_socket_of_the_loops(address: tuple[str, int]) -> str:
    loop = asyncio.get_running_loop()
    with socket.create_connection(address) as connection:
        connection.settimeout(0)
        await loop.sock_sendall(connection, b"slow\n")
        return (await loop.sock_recv(connection, 100)).decode().strip()


@promise("clock.real-work")
@pytest.mark.parametrize(
    "work",
    [
        _in_executor,
        _in_anyios_worker,
        _in_a_pool_of_the_projects,
        _in_a_thread_of_the_projects,
        _in_a_process,
        _in_aiosqlite,
    ],
    ids=lambda work: work.__name__.strip("_"),
)
async def test_real_work_takes_no_time_of_the_clock(clock: Clock, work: Callable[[], Any]) -> None:
    async with asyncio.timeout(_LIMIT):
        assert await work() == "done"

    assert clock.elapsed == 0
    await asyncio.sleep(_LIMIT * 1000)  # takes as long as a jump does


@promise("clock.real-work")
@pytest.mark.parametrize(
    "ask", [_on_a_socket, _on_a_socket_of_the_loops], ids=lambda ask: ask.__name__.strip("_")
)
async def test_an_answer_of_another_process_takes_no_time_of_the_clock(
    clock: Clock, stranger: tuple[str, int], ask: Callable[[tuple[str, int]], Any]
) -> None:
    async with asyncio.timeout(_LIMIT):
        assert await ask(stranger) == "slow"

    assert clock.elapsed == 0
    await asyncio.sleep(_LIMIT * 1000)


@promise("clock.real-work")
async def test_a_thread_that_has_not_come_to_its_function_yet_is_at_work() -> None:
    lock = threading.Lock()
    lock.acquire()
    # A function in C has no frame, so this thread looks like one that is being started.
    thread = threading.Thread(target=lock.acquire)
    thread.start()

    found = ThreadsAtWork(asyncio.get_running_loop(), list).find(0)

    lock.release()
    thread.join()
    assert found.startswith("a thread, at ")


@promise("clock.real-work")
async def test_real_work_that_takes_too_long_is_timed_out_as_without_the_clock(
    clock: Clock,
) -> None:
    release = threading.Event()
    began = time.monotonic()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await asyncio.to_thread(release.wait, 60)

    assert time.monotonic() - began >= 0.2
    assert clock.elapsed == 0.2
    release.set()


@promise("clock.advance")
async def test_advance_returns_when_what_it_set_off_is_done(clock: Clock) -> None:
    done = list[str]()

    async def job() -> None:
        await asyncio.sleep(60)
        done.append(await asyncio.to_thread(_slow))

    task = asyncio.create_task(job())

    await clock.advance(60)

    assert done == ["done"]
    assert clock.elapsed == 60
    await task


@promise("clock.idle")
async def test_threads_that_have_nothing_to_do_hold_nothing_up(clock: Clock) -> None:
    await asyncio.to_thread(int)
    await anyio.to_thread.run_sync(int)
    jobs: queue.Queue[None] = queue.Queue()
    worker = threading.Thread(target=jobs.get)
    worker.start()
    try:
        async with aiosqlite.connect(":memory:") as connection:
            await connection.execute("SELECT 1")
            await asyncio.sleep(1e6)
    finally:
        jobs.put(None)
        worker.join()

    assert clock.elapsed == 1e6


@promise("clock.idle")
async def test_a_thread_that_waits_for_the_loop_holds_nothing_up(clock: Clock) -> None:
    def in_anyio() -> None:
        anyio.from_thread.run(asyncio.sleep, 1e6)

    loop = asyncio.get_running_loop()

    def in_asyncio() -> None:
        asyncio.run_coroutine_threadsafe(asyncio.sleep(1e6), loop).result()

    await anyio.to_thread.run_sync(in_anyio)
    await asyncio.to_thread(in_asyncio)

    assert clock.elapsed == 2e6


@promise("clock.idle")
async def test_an_open_connection_that_nothing_is_asked_on_holds_nothing_up(
    clock: Clock, stranger: tuple[str, int]
) -> None:
    reader, writer = await asyncio.open_connection(*stranger)
    writer.write(b"hello\n")
    assert await reader.readline() == b"hello\n"
    listener = asyncio.create_task(reader.readline())

    await asyncio.sleep(1e6)

    assert not listener.done()
    writer.close()
    await writer.wait_closed()
    assert await listener == b""


@promise("clock.idle")
@pytest.mark.parametrize("kind", ["tcp", "unix"])
async def test_a_server_on_the_same_loop_answers_when_its_own_time_has_come(
    clock: Clock, kind: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        await asyncio.sleep(1e5)
        writer.write(b"done\n")
        writer.close()

    if kind == "unix":
        if sys.platform == "win32":
            pytest.skip("no such sockets")
        path = str(tmp_path_factory.mktemp("s") / "s")
        server = await asyncio.start_unix_server(answer, path)
        reader, writer = await asyncio.open_unix_connection(path)
    else:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"ask\n")

    assert await reader.readline() == b"done\n"

    assert clock.elapsed == 1e5
    writer.close()
    await writer.wait_closed()
    server.close()
    await server.wait_closed()


async def test_the_clock_says_what_it_stands_still_for(clock: Clock) -> None:
    texts = list[str]()

    def work() -> None:
        while not texts:
            texts.extend(text for text in [repr(clock)] if __file__ in text)

    await asyncio.gather(asyncio.to_thread(work), asyncio.sleep(_LIMIT))

    assert "stands still for a thread, at" in texts[0]
    assert "stands still" not in repr(clock)
