"""Beside pytest-asyncio's and anyio's plugins every test runs exactly once, where it should."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.plugin.world import World
from tests.promises import promise

ASYNCIO = "pytest_asyncio.plugin"
ANYIO = "anyio.pytest_plugin"

# What runs where, written down by the tests themselves.
DIARY = """
    import asyncio
    import sniffio

    def write(who):
        library = sniffio.current_async_library()
        where = id(asyncio.get_running_loop()) if library == "asyncio" else 0
        with open("diary.txt", "a") as file:
            print(who, library, where, file=file)
"""

SUITE = """
    import pytest
    import pytest_asyncio
    from diary import write

    @pytest.fixture(scope="module")
    async def plain():
        write("plain")
        yield

    @pytest_asyncio.fixture(loop_scope="module", scope="module")
    async def declared():
        write("declared")
        yield

    @pytest.mark.asyncio
    async def test_marked(plain, declared):
        write("marked")

    @pytest.mark.asyncio(loop_scope="class")
    class TestClass:
        async def test_method(self):
            write("method")

    @pytest.mark.parametrize("value", [1, 2])
    @pytest.mark.asyncio(loop_scope="session")
    async def test_parametrized(value, declared):
        write(f"parametrized-{value}")
"""

UNMARKED = """
    from diary import write

    async def test_unmarked():
        write("unmarked")
"""

FOR_ANYIO = """
    import pytest
    from diary import write

    @pytest.fixture
    async def number():
        write("number")
        yield 1

    @pytest.mark.anyio
    async def test_anyio(number):
        write("anyio")
"""


class Entry(NamedTuple):
    """What one test or fixture wrote into the diary."""

    who: str
    library: str
    loop: str


def read_diary(world: World) -> list[Entry]:
    text = (world.pytester.path / "diary.txt").read_text()
    return sorted(Entry(*line.split()) for line in text.splitlines())


def who_ran(world: World, library: str) -> list[str]:
    return [entry.who for entry in read_diary(world) if entry.library == library]


@promise("neighbour.pytest-asyncio", "fixture.pytest-asyncio")
@pytest.mark.parametrize(
    ("mode", "addopts", "plugins"),
    [
        pytest.param("strict", "", (ASYNCIO,), id="loaded-last"),
        pytest.param("auto", f"-p {ASYNCIO}", (), id="loaded-first"),
        pytest.param("auto", "", (ASYNCIO, ANYIO), id="with-anyio"),
    ],
)
def test_with_pytest_asyncio_each_test_runs_once_and_here(
    world: World, mode: str, addopts: str, plugins: tuple[str, ...]
) -> None:
    world.configure(f"addopts = {addopts}\nasyncio_mode = {mode}")
    world.write(diary=DIARY, test_a=SUITE, test_b=UNMARKED)

    world.passes(5, "--strict-markers", plugins=plugins)

    assert who_ran(world, "asyncio") == [
        "declared",
        "marked",
        "method",
        "parametrized-1",
        "parametrized-2",
        "plain",
        "unmarked",
    ]
    assert len({entry.loop for entry in read_diary(world)}) == 1


@promise("neighbour.pytest-asyncio", "neighbour.anyio", "neighbour.header")
@pytest.mark.parametrize(
    ("asyncio_mode", "anyio_mode"), [("strict", "auto"), ("auto", "strict"), ("auto", "auto")]
)
def test_with_both_plugins_both_backends_run_here(
    world: World, asyncio_mode: str, anyio_mode: str
) -> None:
    world.configure(f"asyncio_mode = {asyncio_mode}\nanyio_mode = {anyio_mode}")
    world.write(diary=DIARY, test_a=UNMARKED, test_b=FOR_ANYIO)
    on_trio = ["anyio", "number", "unmarked"] if anyio_mode == "auto" else ["anyio", "number"]

    result = world.run(plugins=(ASYNCIO, ANYIO))

    tests_on_trio = len(on_trio) - 1
    result.assert_outcomes(passed=2 + tests_on_trio)
    assert who_ran(world, "asyncio") == ["anyio", "number", "unmarked"]
    assert who_ran(world, "trio") == on_trio
    result.stdout.fnmatch_lines(["asgi: pytest-asyncio is installed and stands aside: *"])
    result.stdout.fnmatch_lines([f"asgi: {tests_on_trio} test* on trio"])


@promise("neighbour.anyio", "run.anyio-mark")
def test_beside_anyios_plugin_the_trio_half_runs_with_its_async_fixtures(world: World) -> None:
    world.write(
        diary=DIARY,
        test_a="""
            import pytest
            from diary import write

            pytestmark = pytest.mark.anyio

            @pytest.fixture(scope="module")
            async def shared(anyio_backend):
                write("shared")
                yield anyio_backend
                write("shared-end")

            @pytest.fixture
            async def own(shared):
                write("own")
                return shared

            class TestClass:
                async def test_both(self, own, anyio_backend_name, anyio_backend_options):
                    write("test")
                    assert own == anyio_backend_name
                    assert anyio_backend_options == {}

            async def test_on_one_backend(own):
                write("second")

            def test_that_is_synchronous(own, anyio_backend):
                assert own == anyio_backend
        """,
    )

    world.passes(6, plugins=(ANYIO,))

    assert who_ran(world, "asyncio") == who_ran(world, "trio")
    assert who_ran(world, "trio") == [
        "own",
        "own",
        "own",
        "second",
        "shared",
        "shared-end",
        "test",
    ]
    assert len({entry.loop for entry in read_diary(world) if entry.library == "asyncio"}) == 1


@promise("neighbour.anyio-backend")
@pytest.mark.parametrize("plugins", [(ANYIO,), ()], ids=["with-anyio", "without"])
def test_an_overridden_backend_that_is_asyncio_runs_on_the_one_loop(
    world: World, plugins: tuple[str, ...]
) -> None:
    world.write(
        diary=DIARY,
        conftest="""
            import pytest

            @pytest.fixture(scope="session")
            def anyio_backend():
                return "asyncio"
        """,
        test_a="""
            import pytest
            from diary import write

            @pytest.mark.anyio
            async def test_of_conftest(anyio_backend_name):
                write(anyio_backend_name)

            class TestClass:
                @pytest.fixture
                def anyio_backend(self):
                    return ("asyncio", {})

                @pytest.mark.anyio
                async def test_of_class(self, anyio_backend_name, anyio_backend_options):
                    write(anyio_backend_name)
                    assert anyio_backend_options == {}
        """,
        test_b="""
            import pytest
            from diary import write

            pytestmark = pytest.mark.anyio

            @pytest.fixture(scope="module", params=[("asyncio", {"debug": True})], ids=["debug"])
            def anyio_backend(request):
                return request.param

            async def test_of_module(anyio_backend_options):
                write("asyncio")
                assert anyio_backend_options == {"debug": True}

            @pytest.mark.parametrize("anyio_backend", ["asyncio"])
            async def test_parametrized(anyio_backend):
                write(anyio_backend)
        """,
    )

    world.passes(4, "--strict-markers", plugins=plugins)

    assert who_ran(world, "asyncio") == ["asyncio"] * 4
    assert len({entry.loop for entry in read_diary(world)}) == 1


@promise("neighbour.anyio", "neighbour.anyio-backend")
def test_an_overridden_backend_is_where_the_test_runs(world: World) -> None:
    world.write(
        diary=DIARY,
        test_a="""
            import asyncio
            import pytest
            from diary import write

            pytestmark = pytest.mark.anyio

            class TestTrio:
                @pytest.fixture
                def anyio_backend(self):
                    return "trio"

                @pytest.fixture
                async def number(self):
                    write("number")
                    yield 1
                    write("number-end")

                async def test_on_trio(self, number):
                    write("trio")

                async def test_without_fixture(self):
                    write("bare")

            class TestUvloop:
                @pytest.fixture
                def anyio_backend(self):
                    return ("asyncio", {"use_uvloop": True})

                async def test_on_uvloop(self):
                    write("uvloop")
                    assert "uvloop" in type(asyncio.get_running_loop()).__module__

            async def test_on_the_one_loop(anyio_backend_name):
                if anyio_backend_name == "asyncio":
                    write("one")
        """,
    )

    world.passes(5, plugins=(ANYIO,))

    assert who_ran(world, "asyncio") == ["one", "uvloop"]
    assert who_ran(world, "trio") == ["bare", "number", "number-end", "trio"]
    assert len({entry.loop for entry in read_diary(world) if entry.library == "asyncio"}) == 2


@promise("neighbour.anyio-backend")
@pytest.mark.parametrize(
    ("mode", "plugins"),
    [("auto", (ANYIO,)), ("strict", (ANYIO,)), ("auto", (ASYNCIO, ANYIO)), ("strict", ())],
)
def test_in_an_asyncio_suite_anyio_backend_is_an_ordinary_fixture(
    world: World, mode: str, plugins: tuple[str, ...]
) -> None:
    world.configure(f"asyncio_mode = {mode}")
    world.write(
        diary=DIARY,
        conftest="""
            import pytest
            from diary import write

            @pytest.fixture(params=["asyncio", "trio"])
            def anyio_backend(request):
                return request.param

            @pytest.fixture
            async def name(anyio_backend):
                write(anyio_backend)
                return anyio_backend
        """,
        test_marked="""
            import pytest
            from diary import write

            @pytest.mark.asyncio
            async def test_marked(name, anyio_backend):
                write("test")
                assert name == anyio_backend
        """,
        test_auto="""
            from diary import write

            async def test_of_an_auto_suite(name, anyio_backend):
                write("test")
                assert name == anyio_backend
        """,
    )
    files = ["test_marked.py", "test_auto.py"] if mode == "auto" else ["test_marked.py"]

    world.passes(2 * len(files), *files, plugins=plugins)

    assert who_ran(world, "asyncio") == sorted(["asyncio", "test", "test", "trio"] * len(files))


@promise("neighbour.anyio", "neighbour.anyio-backend")
def test_without_anyios_plugin_a_loop_of_its_own_is_refused_by_name(world: World) -> None:
    world.write(
        test_a="""
            import pytest

            pytestmark = pytest.mark.anyio

            @pytest.fixture(params=["asyncio", ("asyncio", {"use_uvloop": True})])
            def anyio_backend(request):
                return request.param

            async def test_each(anyio_backend):
                assert anyio_backend == "asyncio"

            async def test_implicit(anyio_backend_name):
                assert anyio_backend_name == "asyncio"
        """,
    )

    result = world.run("-pno:anyio", "--strict-markers")

    result.assert_outcomes(passed=2, failed=2)
    result.stdout.fnmatch_lines(["*test_each*asks for the backend *use_uvloop*", "*-p no:anyio*"])


@promise("neighbour.anyio")
def test_tests_marked_trio_are_run_by_pytest_trio(world: World) -> None:
    world.write(
        diary=DIARY,
        test_a="""
            import pytest
            from diary import write

            @pytest.fixture
            async def number():
                write("number")
                yield 1

            @pytest.mark.trio
            async def test_on_trio(number):
                write("test")

            async def test_unmarked(number):
                write("test")
        """,
    )

    result = world.run(plugins=("pytest_trio.plugin",))

    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["asgi: 1 test marked trio is run by pytest-trio"])
    assert who_ran(world, "asyncio") == who_ran(world, "trio") == ["number", "test"]


@promise("neighbour.timeout")
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGALRM to interrupt with")
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("hang", ["await asyncio.Event().wait()", "time.sleep(90)"])
def test_pytest_timeout_fails_a_test_that_hangs_and_the_loop_goes_on(
    world: World, hang: str, loop: str
) -> None:
    pytest.importorskip(loop)
    world.configure(f"asgi_loop = {loop}")
    world.write(
        test_a=f"""
            import asyncio
            import time
            import pytest

            torn_down = []

            @pytest.fixture(scope="module")
            async def loop():
                yield asyncio.get_running_loop()

            @pytest.fixture
            async def name(loop):
                yield "Ada"
                await asyncio.sleep(0)
                torn_down.append("name")

            async def test_that_loads_what_is_loaded_once(loop):
                pass

            @pytest.mark.timeout(1, method="signal")
            async def test_that_hangs(name):
                {hang}

            async def test_after(loop):
                await asyncio.sleep(0)
                assert asyncio.get_running_loop() is loop
                assert torn_down == ["name"]
        """,
    )

    result = world.run(plugins=("pytest_timeout",))

    assert result.parseoutcomes() == {"passed": 2, "failed": 1}, result.stdout.str()
    result.stdout.fnmatch_lines(["E *Failed: Timeout (>1.0s) from pytest-timeout."])


@promise("neighbour.pytest-asyncio", "neighbour.stand-in")
@pytest.mark.parametrize("is_installed", [True, False], ids=["installed", "bare"])
def test_a_hook_may_force_the_session_loop_with_is_async_test(
    world: World, bare_python: Path, *, is_installed: bool
) -> None:
    world.write(
        diary=DIARY,
        conftest="""
            import pytest
            from pytest_asyncio import is_async_test

            def pytest_collection_modifyitems(items):
                mark = pytest.mark.asyncio(loop_scope="session")
                for item in (item for item in items if is_async_test(item)):
                    item.add_marker(mark, append=False)
        """,
        test_a=SUITE,
        test_b="def test_sync(request): assert request.node.get_closest_marker('asyncio') is None",
    )

    if is_installed:
        world.passes(5, plugins=(ASYNCIO,))
    else:
        world.passes(5, python=bare_python)

    assert len({entry.loop for entry in read_diary(world)}) == 1
