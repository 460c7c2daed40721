"""Suites written for pytest-asyncio and anyio run without: module, fixtures, marks and keys."""

from __future__ import annotations

import socket
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from pytest_asgi.plugin.stand_ins.ports import _LOCAL, FreePorts
from tests.plugin.world import World
from tests.promises import promise

ASYNCIO = "pytest_asyncio.plugin"
ANYIO = "anyio.pytest_plugin"

DECLARES_FIXTURES = """
    import asyncio
    import pytest
    import pytest_asyncio
    from pytest_asyncio import fixture as async_fixture

    @pytest_asyncio.fixture
    async def bare():
        return asyncio.get_running_loop()

    @pytest_asyncio.fixture()
    async def called(bare):
        yield bare
        assert bare is asyncio.get_running_loop()

    @pytest_asyncio.fixture(scope="module", loop_scope="session", name="renamed")
    async def _original():
        yield asyncio.get_running_loop()

    @async_fixture(loop_scope="function", params=[1, 2], ids=["one", "two"])
    async def parametrized(request):
        return request.param

    @pytest_asyncio.fixture(autouse=True)
    async def automatic():
        runs.append(1)
        yield

    @pytest_asyncio.fixture
    def synchronous(bare):
        return bare

    runs = []

    async def test_all(called, renamed, parametrized, synchronous):
        assert called is renamed is synchronous is asyncio.get_running_loop()
        assert parametrized in (1, 2)

    def test_sync(called, renamed):
        assert called is renamed
        assert runs

    class TestClass:
        @pytest_asyncio.fixture
        async def own(self, bare):
            self.value = 1
            yield bare

        async def test_method(self, own, renamed):
            assert own is renamed
            assert self.value == 1
"""


@promise("neighbour.stand-in", "fixture.pytest-asyncio")
def test_without_pytest_asyncio_its_fixture_decorator_works_in_every_form(
    world: World, bare_python: Path
) -> None:
    world.write(test_a=DECLARES_FIXTURES)

    result = world.run("--strict-markers", python=bare_python)

    assert result.parseoutcomes() == {"passed": 4}, result.stdout.str()
    result.stdout.fnmatch_lines(
        ["asgi: pytest_asyncio is not installed; a stand-in answers its import*"]
    )


@promise("fixture.pytest-asyncio")
def test_with_pytest_asyncio_its_fixture_decorator_works_in_every_form(world: World) -> None:
    world.write(test_a=DECLARES_FIXTURES)

    result = world.run("--strict-markers", plugins=(ASYNCIO, ANYIO))

    assert result.parseoutcomes() == {"passed": 4}, result.stdout.str()
    result.stdout.no_fnmatch_line("*stand-in*")


@promise("neighbour.stand-in")
def test_a_conftest_may_import_pytest_asyncio_or_name_it_as_a_plugin(
    world: World, bare_python: Path
) -> None:
    world.write(
        conftest="""
            import pytest_asyncio

            pytest_plugins = ("pytest_asyncio",)

            @pytest_asyncio.fixture(scope="session")
            async def number():
                yield 1
        """,
        test_a="""
            from inspect import iscoroutinefunction
            from pytest_asyncio import is_async_test

            async def test_async(number, request):
                assert number == 1
                assert is_async_test(request.node)

            def test_sync(number, request):
                assert not is_async_test(request.node)
        """,
    )

    result = world.run(python=bare_python)

    assert result.parseoutcomes() == {"passed": 2}, result.stdout.str()
    assert result.stdout.str().count("a stand-in answers its import") == 1


@promise("neighbour.stand-in")
@pytest.mark.parametrize("way", ["ini", "flag"])
def test_the_stand_in_can_be_refused(world: World, bare_python: Path, way: str) -> None:
    world.configure("asgi_compat = off" if way == "ini" else "")
    world.write(test_a="import pytest_asyncio\nasync def test_a(): pass")
    flags = ["--asgi-compat=off"] if way == "flag" else []

    result = world.run(*flags, python=bare_python)

    assert result.parseoutcomes() == {"errors": 1}
    result.stdout.fnmatch_lines(["E *ModuleNotFoundError: No module named 'pytest_asyncio'"])
    result.stdout.no_fnmatch_line("*stand-in*")


@promise("neighbour.stand-in")
def test_the_stand_in_is_no_longer_there_after_the_run(world: World, bare_python: Path) -> None:
    world.write(
        test_a="import pytest_asyncio\nasync def test_a(): pass",
        run="""
            import importlib.util
            import sys
            import pytest

            assert pytest.main(["-ppytest_asgi.plugin"]) == 0
            assert "pytest_asyncio" not in sys.modules
            assert importlib.util.find_spec("pytest_asyncio") is None
        """,
    )

    result = world.pytester.run(bare_python, "run.py")

    assert result.ret == 0, result.stderr.str()


ALL_KEYS = """
    asyncio_mode = strict
    asyncio_debug = false
    asyncio_default_fixture_loop_scope = function
    asyncio_default_test_loop_scope = session
    anyio_mode = strict
    filterwarnings = error
    xfail_strict = true
"""

ALL_MARKS = """
    import pytest

    @pytest.mark.asyncio
    async def test_asyncio(): pass

    @pytest.mark.asyncio(loop_scope="module")
    async def test_scope(): pass

    @pytest.mark.asgi
    async def test_asgi(): pass

    class TestClass:
        pytestmark = pytest.mark.anyio

        @pytest.fixture
        def anyio_backend(self):
            return "asyncio"

        async def test_anyio(self): pass
"""

WORLDS = [
    pytest.param((), [], id="nothing-loaded"),
    pytest.param((ASYNCIO,), [], id="asyncio"),
    pytest.param((ANYIO,), [], id="anyio"),
    pytest.param((ASYNCIO, ANYIO), [], id="both"),
    pytest.param((), ["-pno:asyncio", "-pno:anyio"], id="both-blocked"),
]


@promise("neighbour.strict")
@pytest.mark.parametrize(("plugins", "flags"), WORLDS)
def test_strict_suites_pass_with_and_without_the_peers(
    world: World, plugins: tuple[str, ...], flags: list[str]
) -> None:
    world.configure(ALL_KEYS)
    world.write(test_a=ALL_MARKS)

    world.passes(4, "--strict-markers", "--strict-config", *flags, plugins=plugins)


@promise("neighbour.strict")
def test_strict_suites_pass_where_pytest_asyncio_is_not_installed(
    world: World, bare_python: Path
) -> None:
    flags = "--asyncio-mode=auto --anyio-mode auto --asyncio-debug"
    world.configure(f"{ALL_KEYS}    addopts = {flags}\n")
    world.write(test_a=ALL_MARKS)

    world.passes(4, "--strict-markers", "--strict-config", python=bare_python)


@promise("neighbour.strict")
def test_strict_suites_pass_where_plugins_load_themselves(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    world.configure(ALL_KEYS)
    world.write(test_a=ALL_MARKS)

    # Where the package is installed its plugin loads itself, and cannot be loaded twice.
    ours = [] if entry_points(group="pytest11", name="asgi") else ["-ppytest_asgi.plugin"]
    options = [*ours, "-Werror", "--strict-markers", "--strict-config"]

    result = world.pytester.runpytest_subprocess(*options, timeout=200)
    blocked = world.pytester.runpytest_subprocess(
        *options, "-pno:asyncio", "-pno:anyio", timeout=200
    )

    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(["asgi: pytest-asyncio is installed and stands aside: *"])
    blocked.assert_outcomes(passed=4)
    blocked.stdout.no_fnmatch_line("*stands aside*")


@promise("neighbour.strict")
@pytest.mark.parametrize("form", ["flag", "ini"])
def test_asyncio_debug_turns_the_debug_mode_of_the_loop_on(world: World, form: str) -> None:
    world.configure("asyncio_debug = true" if form == "ini" else "asyncio_debug = false")
    world.write(
        test_a="""
            import asyncio

            async def test_a():
                assert asyncio.get_running_loop().get_debug()
        """,
    )

    result = world.run_in_process(*(["--asyncio-debug"] if form == "flag" else []))

    result.assert_outcomes(passed=1)


PORTS = """
    import socket
    import pytest

    def can_bind(port, kind):
        with socket.socket(type=kind) as taken:
            try:
                taken.bind(("127.0.0.1", port))
            except OSError:
                return False
        return True

    @pytest.mark.parametrize("prefix", {prefixes})
    @pytest.mark.parametrize("kind", ["tcp", "udp"])
    async def test_ports(request, prefix, kind):
        of_socket = socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM
        factory = request.getfixturevalue(f"{{prefix}}_{{kind}}_port_factory")
        port = request.getfixturevalue(f"{{prefix}}_{{kind}}_port")
        ports = {{port, *(factory() for _ in range(20))}}
        assert len(ports) >= 20
        # Another program may take one of them before this one does, and hardly ever a second one.
        assert sum(can_bind(port, of_socket) for port in ports) >= len(ports) - 1

    async def test_families(request):
        factory = request.getfixturevalue("free_tcp_port_factory")
        assert factory(socket.AF_INET) != factory(family=socket.AF_INET)

    async def test_anyio(anyio_backend, anyio_backend_name, anyio_backend_options):
        assert (anyio_backend, anyio_backend_name) == ("asyncio", "asyncio")
        assert anyio_backend_options == {{}}

    def test_policy(event_loop_policy):
        assert event_loop_policy.new_event_loop
"""


@promise("neighbour.fixtures")
def test_the_fixtures_of_the_peers_are_there_without_them(world: World) -> None:
    world.write(test_a=PORTS.format(prefixes=["unused", "free"]))

    world.run_in_process("-pno:anyio").assert_outcomes(passed=7)


@promise("neighbour.fixtures")
def test_the_fixtures_of_the_peers_are_there_with_them(world: World) -> None:
    world.write(test_a=PORTS.format(prefixes=["unused", "free"]))

    result = world.run("-k", "not trio", plugins=(ASYNCIO, ANYIO))

    result.assert_outcomes(passed=7, deselected=1)


@promise("neighbour.fixtures")
def test_a_port_is_given_only_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ports = FreePorts(socket.SOCK_STREAM)
    found = iter([5000, 5000, None, 5001])
    monkeypatch.setattr(ports, "_candidate", lambda _families: next(found))

    assert [ports(), ports()] == [5000, 5001]


@pytest.fixture
def no_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which nothing can be bound to the local address of IPv6."""
    address_of_documents = "2001:db8::1"
    monkeypatch.setitem(_LOCAL, socket.AF_INET6, address_of_documents)


@promise("neighbour.fixtures")
def test_a_machine_without_ipv6_has_the_ports_of_ipv4(no_ipv6: None) -> None:
    port = FreePorts(socket.SOCK_STREAM)()

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))


@promise("neighbour.fixtures")
def test_a_port_that_is_taken_in_one_family_is_not_given(no_ipv6: None) -> None:
    ports = FreePorts(socket.SOCK_STREAM)

    assert ports._candidate([socket.AF_INET, socket.AF_INET6]) is None


@promise("neighbour.fixtures")
def test_a_family_that_is_not_there_is_an_error_and_no_endless_search(no_ipv6: None) -> None:
    ports = FreePorts(socket.SOCK_STREAM)

    with pytest.raises(OSError, match="address"):
        ports(socket.AF_INET6)


@promise("neighbour.no-shadow")
def test_a_fixture_of_the_project_is_never_shadowed(world: World) -> None:
    names = ["app", "client", "event_loop", "unused_tcp_port", "free_udp_port"]
    fixtures = "".join(
        f"@pytest.fixture\ndef {name}():\n    return '{{where}} {name}'\n" for name in names
    )
    check = "async def test_{where}(" + ", ".join(names) + "):\n"
    check += "".join(f"    assert {name} == '{{where}} {name}'\n" for name in names)
    world.pytester.mkdir("deep")
    world.pytester.makefile(
        ".py",
        conftest="import pytest\n" + fixtures.format(where="conftest"),
        test_conftest=check.format(where="conftest"),
        test_module="import pytest\n" + (fixtures + check).format(where="module"),
    )
    world.write(
        test_class="""
            import pytest

            class TestClass:
                @pytest.fixture
                def client(self, client):
                    return "class over " + client

                async def test_class(self, client, unused_tcp_port):
                    assert client == "class over conftest client"
                    assert unused_tcp_port == "conftest unused_tcp_port"
        """,
        deep__conftest="""
            import pytest

            @pytest.fixture
            async def client():
                return "deep client"
        """,
        deep__test_deep="""
            async def test_deep(client, app):
                assert (client, app) == ("deep client", "conftest app")
        """,
    )

    world.passes(4, "--import-mode=importlib")


@promise("neighbour.no-shadow")
@pytest.mark.parametrize("order", ["before", "after"])
def test_a_fixture_of_another_plugin_is_never_shadowed(world: World, order: str) -> None:
    world.configure("addopts = -p other" if order == "before" else "")
    world.write(
        other="""
            import pytest

            @pytest.fixture
            def client():
                return "the other plugin's"

            @pytest.fixture(scope="session")
            def unused_tcp_port():
                return 1
        """,
        main="async def app(scope, receive, send): ...",
        test_a="""
            async def test_a(client, asgi_client, unused_tcp_port):
                assert client == "the other plugin's"
                assert unused_tcp_port == 1
                assert type(asgi_client).__name__ == "AsyncClient"
        """,
    )

    world.passes(1, plugins=("other",) if order == "after" else ())


# --- Starlette's TestClient --------------------------------------------------------------------

SUITE = Path(__file__).with_name("suites") / "starlette_client.py"
APP = Path(__file__).parents[1] / "apps" / "typical.py"
ANNOUNCEMENT = (
    "asgi: the TestClient of Starlette and FastAPI is pytest_asgi.TestClient (asgi_compat = {})"
)


@promise("neighbour.test-client")
@pytest.mark.parametrize("compat", ["on", "testclient", "testclient-in-thread"])
def test_a_suite_for_starlettes_client_passes_with_that_one_and_with_ours(
    world: World, compat: str
) -> None:
    world.configure(f"asgi_compat = {compat}")
    world.write(test_suite=SUITE.read_text("utf-8"), tests__apps__typical=APP.read_text("utf-8"))
    # A library may install a package `tests` of its own, which goes before folders that are none.
    for package in ("tests", "tests/apps"):
        (world.pytester.path / package / "__init__.py").touch()

    result = world.run()

    assert result.parseoutcomes() == {"passed": 34}, result.stdout.str()
    assert (ANNOUNCEMENT.format(compat) in result.stdout.str()) is (compat != "on")


@promise("neighbour.test-client")
@pytest.mark.parametrize("compat", ["on", "testclient-in-thread"])
def test_a_suite_that_blocks_its_thread_passes_with_starlettes_client_and_ours_in_a_thread(
    world: World, compat: str
) -> None:
    world.configure(f"asgi_compat = {compat}")
    world.write(
        test_blocking="""
            import asyncio
            import threading
            from starlette.applications import Starlette
            from starlette.responses import Response
            from starlette.routing import Route
            from starlette.testclient import TestClient

            is_done = threading.Event()

            async def work():
                await asyncio.sleep(0)
                is_done.set()

            async def start(request):
                request.app.state.work = asyncio.create_task(work())
                return Response()

            def test_blocking():
                with TestClient(Starlette(routes=[Route("/", start)])) as client:
                    client.get("/")
                    assert is_done.wait(60)
        """
    )

    assert world.run().parseoutcomes() == {"passed": 1}


WHICH = """
    import sys
    import fastapi.testclient
    import pytest_asgi
    import starlette.testclient
    from starlette.testclient import TestClient

    def test_which():
        assert TestClient is pytest_asgi.TestClient
        assert starlette.testclient.TestClient is fastapi.testclient.TestClient is TestClient
        assert sys.modules["early"].Client is TestClient
"""


@promise("neighbour.test-client")
@pytest.mark.parametrize("order", ["before", "after"])
@pytest.mark.parametrize("module", ["starlette", "fastapi"])
def test_ours_takes_the_place_of_starlettes_client_that_was_imported_before_or_after(
    world: World, order: str, module: str
) -> None:
    world.write(
        early=f"from {module}.testclient import TestClient as Client",
        conftest="import early" if order == "after" else "",
        test_a=WHICH,
    )
    early = ["-pearly"] if order == "before" else []

    # A plugin named on the command line is imported before any hook is called.
    result = world.run("--asgi-compat=testclient", *early)

    assert result.parseoutcomes() == {"passed": 1}, result.stdout.str()


@promise("neighbour.test-client")
def test_starlettes_client_is_back_after_the_run(world: World) -> None:
    world.write(
        early="from starlette.testclient import TestClient as Client",
        test_a=WHICH,
        run="""
            import pytest
            import early

            assert pytest.main(["-ppytest_asgi.plugin", "--asgi-compat=testclient"]) == 0

            import fastapi.testclient
            import starlette.testclient

            for client in (
                early.Client, starlette.testclient.TestClient, fastapi.testclient.TestClient
            ):
                assert client.__module__ == "starlette.testclient"
        """,
    )

    result = world.pytester.run(sys.executable, "run.py")

    assert result.ret == 0, result.stdout.str() + result.stderr.str()


@promise("neighbour.test-client")
def test_a_starlette_whose_client_is_of_another_library_is_refused(world: World) -> None:
    world.pytester.mkpydir("starlette")
    world.write(
        starlette__testclient="class TestClient: ...",
        test_a="from starlette.testclient import TestClient",
    )

    result = world.run("--asgi-compat=testclient")

    assert result.parseoutcomes() == {"errors": 1}
    result.stdout.fnmatch_lines(
        ["*asgi_compat = testclient: Starlette's TestClient is no httpx2*"]
    )
