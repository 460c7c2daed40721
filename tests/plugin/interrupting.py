"""A world whose fixtures tell what was torn down, and Ctrl-C for it while it runs."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.plugin.world import World

# Only what hangs for ever takes so long, however busy the machine is.
_TIMEOUT_SECONDS = 300

# A shell that starts us in the background makes its children ignore SIGINT.
_START = """
import signal, sys, pytest
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(pytest.main(["-ppytest_asgi.plugin", "-Werror", "-s", *sys.argv[1:]]))
"""

CONFTEST = """
    import asyncio
    from pathlib import Path

    import pytest

    def ready():
        Path(__file__).with_name("ready").touch()

    def ready_when_waiting():
        loop = asyncio.get_running_loop()
        loop.call_soon(ready)
        loop.call_later(600, ready)  # a wait that nothing can end would not be waited for

    def make_async(scope):
        @pytest.fixture(scope=scope, name=f"async_{scope}")
        async def fixture():
            await asyncio.sleep(0)
            yield
            await asyncio.sleep(0)
            print(f"<async {scope}>")
        return fixture

    def make_sync(scope):
        @pytest.fixture(scope=scope, name=f"sync_{scope}")
        def fixture():
            yield
            print(f"<sync {scope}>")
        return fixture

    async_function, async_module = make_async("function"), make_async("module")
    async_session = make_async("session")
    sync_function, sync_module = make_sync("function"), make_sync("module")
    sync_session = make_sync("session")

    @pytest.fixture
    async def whole(
        async_session, sync_session, sync_module, async_module, async_function, sync_function
    ):
        async with asyncio.TaskGroup() as group, asyncio.timeout(600):
            yield group
        print("<held>")
"""
EVERYTHING = {
    f"<{kind} {scope}>": 1
    for kind in ("async", "sync")
    for scope in ("function", "module", "session")
}


def start(world: World, *, name: str = "ready") -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-Xdev", "-c", _START],
        cwd=world.pytester.path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for(world.pytester.path / name, process)
    return process


def wait_for(file: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    while not file.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    if not file.exists():
        process.kill()
        pytest.fail(f"{file.name} was never written\n" + "\n".join(process.communicate()))


def interrupt(world: World) -> tuple[int, str, str]:
    process = start(world)
    process.send_signal(signal.SIGINT)
    return finish(process)


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    try:
        output, errors = process.communicate(timeout=_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        pytest.fail("It did not end.\n" + "\n".join(process.communicate()))
    return process.returncode, output, errors


def tags_in(output: str) -> dict[str, int]:
    """Count what fixtures and tests printed; pytest itself prints `<frozen codecs>:319:` too."""
    tags = re.findall(r"<[a-z ]+>(?!:)", output)
    return {tag: tags.count(tag) for tag in tags}
