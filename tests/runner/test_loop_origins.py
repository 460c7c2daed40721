"""`LoopOrigins` tells where every event loop was made, and leaves no trace of itself."""

import asyncio
import functools
import gc
import importlib
import sys
import threading
import unittest
import weakref
from collections.abc import Callable, Generator, Iterator
from types import ModuleType
from typing import Any

import anyio
import pytest
import uvicorn
import uvloop
from anyio.from_thread import start_blocking_portal

from pytest_asgi.runner.foreign_loops.origins import PORTAL, LoopOrigins, Origin

MakeLoop = Callable[[], asyncio.AbstractEventLoop]


async def running_loop() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


def by_runner() -> asyncio.AbstractEventLoop:
    with asyncio.Runner() as runner:
        return runner.get_loop()


def by_anyio_with_uvloop() -> asyncio.AbstractEventLoop:
    return anyio.run(running_loop, backend_options={"use_uvloop": True})


def by_test_case() -> asyncio.AbstractEventLoop:
    loops = []

    class Case(unittest.IsolatedAsyncioTestCase):
        async def test(self) -> None:
            loops.append(asyncio.get_running_loop())

    Case("test").run()
    return loops[0]


WAYS: dict[str, MakeLoop] = {
    "asyncio.run": lambda: asyncio.run(running_loop()),
    "asyncio.Runner": by_runner,
    "asyncio.new_event_loop": lambda: asyncio.new_event_loop(),  # noqa: PLW0108 - the line looked for
    "asyncio.SelectorEventLoop": lambda: asyncio.SelectorEventLoop(),  # noqa: PLW0108 - the line looked for
    "uvloop.run": lambda: uvloop.run(running_loop()),
    "uvloop.new_event_loop": lambda: uvloop.new_event_loop(),  # noqa: PLW0108 - the line looked for
    "uvloop.Loop": lambda: uvloop.Loop(),  # noqa: PLW0108 - the line looked for
    "anyio.run": by_anyio_with_uvloop,
    "unittest.IsolatedAsyncioTestCase": by_test_case,
}
CALLS = {"unittest.IsolatedAsyncioTestCase": 'Case("test").run'}


@pytest.fixture
def origins() -> Generator[LoopOrigins]:
    with LoopOrigins() as origins:
        yield origins


@pytest.fixture
def made(origins: LoopOrigins) -> Iterator[Callable[[MakeLoop], Origin]]:
    loops: list[asyncio.AbstractEventLoop] = []

    def make(function: MakeLoop) -> Origin:
        loops.append(function())
        origin = origins.origin(loops[-1])
        assert origin is not None
        return origin

    yield make
    for loop in loops:
        loop.close()


@pytest.mark.parametrize("way", WAYS)
def test_a_loop_is_traced_to_the_users_line_whatever_makes_it(
    way: str, made: Callable[[MakeLoop], Origin]
) -> None:
    origin = made(WAYS[way])

    assert origin.made_by == way
    assert origin.place is not None
    assert origin.place.file == __file__
    assert f"{CALLS.get(way, way)}(" in origin.place.source
    assert origin.package_place is None
    assert origin.thread is None


def test_a_loop_factory_is_traced_to_the_factory(made: Callable[[MakeLoop], Origin]) -> None:
    def factory() -> asyncio.AbstractEventLoop:
        return asyncio.SelectorEventLoop()

    def run() -> asyncio.AbstractEventLoop:
        with asyncio.Runner(loop_factory=factory) as runner:
            return runner.get_loop()

    origin = made(run)

    assert origin.place is not None
    assert origin.place.source == "return asyncio.SelectorEventLoop()"


def test_a_loop_made_inside_of_a_package_names_the_package_and_its_caller(
    made: Callable[[MakeLoop], Origin],
) -> None:
    loops = []

    class Server(uvicorn.Server):
        async def serve(self, sockets: object = None) -> None:
            loops.append(asyncio.get_running_loop())

    def serve() -> asyncio.AbstractEventLoop:
        Server(uvicorn.Config("main:app")).run()
        return loops[0]

    origin = made(serve)

    assert origin.place is not None
    assert origin.place.source == 'Server(uvicorn.Config("main:app")).run()'
    assert origin.package_place is not None
    assert "uvicorn" in origin.package_place.file


def test_a_package_that_another_maker_of_loops_called_is_named_all_the_same(
    made: Callable[[MakeLoop], Origin],
) -> None:
    loops = []

    class Server(uvicorn.Server):
        async def serve(self, sockets: object = None) -> None:
            loops.append(asyncio.get_running_loop())

    def serve() -> asyncio.AbstractEventLoop:
        case = unittest.TestCase()
        case.addCleanup(Server(uvicorn.Config("main:app")).run)
        case.doCleanups()
        return loops[0]

    origin = made(serve)

    assert origin.made_by in {"asyncio.run", "asyncio.Runner"}
    assert origin.package_place is not None
    assert "uvicorn" in origin.package_place.file
    assert origin.place is not None
    assert origin.place.source == "case.doCleanups()"


def test_a_loop_in_a_thread_of_anyio_names_the_thread_and_no_line(
    made: Callable[[MakeLoop], Origin],
) -> None:
    def start() -> asyncio.AbstractEventLoop:
        with start_blocking_portal() as portal:
            return portal.call(running_loop)

    origin = made(start)

    assert origin.made_by == PORTAL
    assert origin.place is None
    assert origin.package_place is None
    assert origin.thread is not None


def test_a_loop_that_pytest_or_a_plugin_makes_for_itself_has_no_line(
    made: Callable[[MakeLoop], Origin],
) -> None:
    namespace: dict[str, Any] = {"asyncio": asyncio, "__name__": "_pytest.runner"}
    exec("def make(): return asyncio.new_event_loop()", namespace)

    origin = made(namespace["make"])

    assert origin.made_by == "asyncio.new_event_loop"
    assert origin.place is None


def test_a_loop_in_the_users_own_thread_is_traced_to_the_threads_code(
    made: Callable[[MakeLoop], Origin],
) -> None:
    def start() -> asyncio.AbstractEventLoop:
        loops: list[asyncio.AbstractEventLoop] = []
        thread = threading.Thread(target=lambda: loops.append(asyncio.new_event_loop()), name="w")
        thread.start()
        thread.join()
        return loops[0]

    origin = made(start)

    assert origin.thread == "w"
    assert origin.place is not None
    assert "asyncio.new_event_loop()" in origin.place.source


def test_a_place_below_the_working_directory_is_written_relative_to_it(
    made: Callable[[MakeLoop], Origin], monkeypatch: pytest.MonkeyPatch
) -> None:
    origin = made(asyncio.new_event_loop)
    assert origin.place is not None

    monkeypatch.chdir(__file__.rpartition("/")[0])

    assert str(origin.place) == f"test_loop_origins.py:{origin.place.line}"


def test_constructors_are_what_they_were_after_uninstall() -> None:
    before = vars(asyncio.BaseEventLoop)["__init__"], vars(uvloop.Loop).get("__init__")

    with LoopOrigins():
        during = vars(asyncio.BaseEventLoop)["__init__"], vars(uvloop.Loop).get("__init__")
    after = vars(asyncio.BaseEventLoop)["__init__"], vars(uvloop.Loop).get("__init__")

    assert during[0] is not before[0]
    assert during[1] is not before[1]
    assert after == before


def test_installing_twice_wraps_once(origins: LoopOrigins) -> None:
    wrapped = vars(asyncio.BaseEventLoop)["__init__"]

    origins.install()

    assert vars(asyncio.BaseEventLoop)["__init__"] is wrapped


def test_a_kind_of_loop_that_is_imported_later_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "uvloop")
    finders = list(sys.meta_path)

    with LoopOrigins() as origins:
        imported_later = importlib.import_module("uvloop")
        loop = imported_later.new_event_loop()

    assert imported_later is not uvloop
    assert origins.origin(loop) is not None
    assert sys.meta_path == finders
    loop.close()


def test_a_module_that_only_bears_the_name_of_one_with_loops_does_no_harm(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", ModuleType("uvloop"))

    with LoopOrigins() as origins:
        loop = asyncio.new_event_loop()

    assert origins.origin(loop) is not None
    loop.close()


def test_after_uninstall_nothing_is_remembered_even_by_a_wrapper_that_was_wrapped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    origins = LoopOrigins()
    original = vars(asyncio.BaseEventLoop)["__init__"]
    with monkeypatch.context() as patch:
        patch.setattr(asyncio.BaseEventLoop, "__init__", original)  # put back in the end
        origins.install()
        ours = vars(asyncio.BaseEventLoop)["__init__"]

        @functools.wraps(ours)
        def theirs(*args: object) -> None:
            ours(*args)

        patch.setattr(asyncio.BaseEventLoop, "__init__", theirs)
        origins.uninstall()
        loop = asyncio.new_event_loop()

        assert vars(asyncio.BaseEventLoop)["__init__"] is theirs
        assert origins.origin(loop) is None
        loop.close()


def test_two_observers_see_the_same_loop_and_leave_one_after_the_other() -> None:
    before = vars(asyncio.BaseEventLoop)["__init__"]

    with LoopOrigins() as outer:
        with LoopOrigins() as inner:
            loop = asyncio.new_event_loop()
        later = asyncio.new_event_loop()

    assert inner.origin(loop) is not None
    assert outer.origin(loop) is not None
    assert inner.origin(later) is None
    assert outer.origin(later) is not None
    assert vars(asyncio.BaseEventLoop)["__init__"] is before
    loop.close()
    later.close()


def test_a_remembered_loop_can_be_collected(origins: LoopOrigins) -> None:
    loop = asyncio.new_event_loop()
    alive = weakref.ref(loop)
    loop.close()

    del loop
    gc.collect()

    assert alive() is None


def test_a_loop_that_cannot_be_hashed_can_be_made_and_has_no_origin(origins: LoopOrigins) -> None:
    class Unhashable(asyncio.SelectorEventLoop):
        __hash__ = None  # type: ignore[assignment]

    loop = Unhashable()
    loop.close()

    assert origins.origin(loop) is None
