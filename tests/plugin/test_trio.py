"""Tests on trio: which they are, and that everything promised for asyncio holds there too."""

from __future__ import annotations

import signal
import sys

import pytest
import trio  # noqa: F401 - runs in this process share it

from tests.plugin.interrupting import EVERYTHING, finish, start, tags_in
from tests.plugin.world import World
from tests.promises import promise

ANYIO = "anyio.pytest_plugin"


@promise("trio.choice", "neighbour.anyio-backend")
@pytest.mark.parametrize("plugins", [(), (ANYIO,)], ids=["alone", "with-anyio"])
def test_a_mark_or_the_backend_says_which_tests_run_on_trio(
    world: World, plugins: tuple[str, ...]
) -> None:
    world.write(
        test_a="""
            import asyncio
            import pytest
            import sniffio
            import trio

            def where():
                return sniffio.current_async_library()

            async def test_default():
                assert where() == "asyncio"
                assert not trio.lowlevel.in_trio_run()

            @pytest.mark.trio
            async def test_marked():
                assert where() == "trio"
                with pytest.raises(RuntimeError):
                    asyncio.get_running_loop()

            @pytest.mark.trio
            class TestClass:
                async def test_method(self):
                    assert where() == "trio"

                @pytest.mark.asyncio
                async def test_the_closest_mark_wins(self):
                    assert where() == "asyncio"
        """,
        test_b="""
            import pytest
            import sniffio
            import trio

            pytestmark = pytest.mark.anyio
            OPTIONS = {"strict_exception_groups": True}

            @pytest.fixture(scope="module", params=["asyncio", "trio", ("trio", OPTIONS)])
            def anyio_backend(request):
                return request.param

            @pytest.fixture(scope="module")
            async def wide(anyio_backend):
                yield sniffio.current_async_library()

            @pytest.fixture
            async def own(wide):
                return sniffio.current_async_library()

            async def test_each(wide, own, anyio_backend_name):
                assert wide == own == anyio_backend_name == sniffio.current_async_library()

            def test_sync(own, anyio_backend_name):
                assert own == anyio_backend_name

            class TestLate:
                @pytest.fixture
                def anyio_backend(self):
                    return "trio"

                @pytest.fixture
                async def task(self):
                    return trio.lowlevel.current_task()

                async def test_known_at_set_up(self, task):
                    assert trio.lowlevel.current_task() is task
        """,
    )

    result = world.run("--strict-markers", plugins=plugins)

    assert result.parseoutcomes() == {"passed": 11}, result.stdout.str()
    result.stdout.fnmatch_lines(["asgi: 4 tests run on trio"])


@promise("trio.choice")
@pytest.mark.parametrize("line", ["asgi_loop = trio", "trio_mode = true"])
def test_a_setting_makes_trio_the_default(world: World, line: str) -> None:
    world.configure(line)
    world.write(
        test_a="""
            import pytest
            import sniffio

            @pytest.fixture
            async def library():
                return sniffio.current_async_library()

            async def test_async(library):
                assert library == sniffio.current_async_library() == "trio"

            def test_sync(library):
                assert library == "trio"

            @pytest.mark.asyncio
            async def test_of_asyncio(library):
                assert library == sniffio.current_async_library() == "asyncio"
        """,
    )

    result = world.run_in_process("--strict-config")

    result.assert_outcomes(passed=3)


@promise("trio.task", "trio.scopes", "trio.wider", "trio.sync")
def test_one_task_and_one_context_from_the_first_fixture_to_the_last(world: World) -> None:
    world.write(
        test_a="""
            import asyncio
            from contextvars import ContextVar

            import pytest
            import trio
            from trio.lowlevel import current_task

            pytestmark = pytest.mark.trio
            variable = ContextVar("variable", default="unset")
            wider = ContextVar("wider", default="unset")
            tasks = []

            @pytest.fixture(scope="module")
            async def served():
                wider.set("set")
                task = current_task()
                send, receive = trio.open_memory_channel(0)
                async def serve():
                    async for _ in receive:
                        pass
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(serve)
                    yield send, task
                    assert current_task() is task
                    await send.aclose()

            @pytest.fixture
            async def held():
                variable.set("of the fixture")
                task = current_task()
                with trio.fail_after(600):
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(trio.sleep_forever)
                        yield task
                        await trio.lowlevel.checkpoint()
                        assert current_task() is task
                        assert variable.get() == "of the test"
                        nursery.cancel_scope.cancel()

            @pytest.fixture
            def synchronous(held):
                assert variable.get() == "of the fixture"
                assert not trio.lowlevel.in_trio_run()
                trio.run(trio.lowlevel.checkpoint)
                asyncio.run(asyncio.sleep(0))
                return held

            @pytest.fixture
            async def on_demand(synchronous):
                await trio.lowlevel.checkpoint()
                return current_task()

            async def test_first(held, request, served):
                assert current_task() is held
                assert current_task() is not served[1]
                await served[0].send("message")
                assert request.getfixturevalue("on_demand") is held
                assert current_task() is held
                assert variable.get() == "of the fixture"
                variable.set("of the test")
                tasks.append(held)

            async def test_second(served):
                assert current_task() not in tasks
                assert variable.get() == "unset"
                assert wider.get() == "set"
                await served[0].send("message")

            @pytest.mark.asyncio
            async def test_between():
                await asyncio.sleep(0)
                assert not trio.lowlevel.in_trio_run()

            class TestXunit:
                async def setup_method(self):
                    self.task = current_task()

                async def teardown_method(self):
                    assert current_task() is self.task

                async def test_method(self):
                    assert current_task() is self.task
        """,
    )

    world.run_in_process().assert_outcomes(passed=4)


@promise("trio.crash", "trio.scopes")
def test_what_cancels_a_test_in_a_fixture_is_its_cause(world: World) -> None:
    world.write(
        test_a="""
            import pytest
            import trio

            pytestmark = pytest.mark.trio

            def make(scope):
                @pytest.fixture(scope=scope)
                async def server():
                    go = trio.Event()
                    async def child():
                        await go.wait()
                        raise LookupError("server died")
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(child)
                        yield go
                        print("<unreachable>")
                return server

            own, shared = make("function"), make("module")

            @pytest.fixture
            async def plain():
                yield
                await trio.lowlevel.checkpoint()
                print("<plain>")

            @pytest.fixture
            async def holding(plain):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(trio.sleep_forever)
                    try:
                        yield
                    finally:
                        nursery.cancel_scope.cancel()
                        print("<holding>")

            @pytest.fixture
            async def limited():
                with trio.move_on_after(600) as scope:
                    yield scope

            async def test_own(own, holding):
                own.set()
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(trio.sleep_forever)
                    await trio.sleep_forever()

            async def test_shared(shared, holding):
                shared.set()
                await trio.sleep_forever()

            async def test_of_what_is_dead(shared): pass

            async def test_scope(limited):
                limited.cancel()
                await trio.sleep_forever()

            async def test_nothing_else_is_lost():
                await trio.lowlevel.checkpoint()
        """,
    )

    result = world.run_in_process()

    assert result.parseoutcomes() == {"failed": 3, "errors": 1, "passed": 1}
    output = result.stdout.str()
    for name in ("test_own", "test_shared"):
        assert f"{name} was cancelled by this while it waited at " in output
    assert output.count("<plain>") == output.count("<holding>") == 2
    assert "<unreachable>" not in output.replace('print("<unreachable>")', "")
    result.stdout.fnmatch_lines(
        [
            "*The fixture 'shared' died during an earlier test.*",
            "*test_scope was cancelled while it waited, by the fixture 'limited'.*",
        ]
    )


@promise("trio.mixing")
def test_a_fixture_that_lives_elsewhere_is_refused_by_name(world: World) -> None:
    world.write(
        test_a="""
            import pytest

            @pytest.fixture(scope="module")
            async def connection():
                yield 1

            @pytest.fixture
            async def user(connection):
                return 1

            async def test_of_asyncio(connection): pass

            @pytest.mark.trio
            async def test_of_trio(connection): pass

            @pytest.mark.trio
            async def test_through_another(user): pass
        """,
    )

    result = world.run_in_process()

    assert result.parseoutcomes() == {"passed": 1, "failed": 1, "errors": 1}
    what = "The async fixture 'connection' was set up for a test that ran elsewhere."
    assert result.stdout.str().count(f"FixtureError: {what}") == 2


@promise("trio.fixtures")
def test_the_fixtures_of_pytest_trio_are_there(world: World) -> None:
    world.write(
        test_a="""
            import pytest
            import trio

            @pytest.fixture(scope="module")
            async def wide():
                yield

            @pytest.mark.trio
            async def test_nursery(nursery):
                started = trio.Event()
                async def child():
                    started.set()
                    await trio.sleep_forever()
                nursery.start_soon(child)
                await started.wait()

            @pytest.mark.trio
            async def test_crash(nursery):
                async def child():
                    raise LookupError("of a child")
                nursery.start_soon(child)
                await trio.sleep_forever()

            @pytest.mark.trio
            async def test_jump(autojump_clock, nursery):
                nursery.start_soon(trio.sleep, 1)
                begin = trio.current_time()
                await trio.sleep(86_400)
                assert trio.current_time() - begin >= 86_400

            @pytest.mark.trio
            async def test_move(mock_clock):
                begin = trio.current_time()
                mock_clock.jump(60)
                assert trio.current_time() - begin == 60

            @pytest.mark.trio
            async def test_wide(autojump_clock, wide): pass

            @pytest.mark.trio
            async def test_late(request):
                request.getfixturevalue("mock_clock")

            async def test_of_asyncio(nursery): pass
        """,
    )

    result = world.run_in_process()

    assert result.parseoutcomes() == {"passed": 3, "failed": 2, "errors": 2}
    result.stdout.fnmatch_lines(
        [
            "*FixtureError: A test with a clock of its own asks for something that lives longer*",
            "*FixtureError: The fixture 'nursery' is for tests on trio, and this test is none.",
            "*LookupError: of a child",
            "*FixtureError: The fixture 'mock_clock' was asked for in a test that has no clock*",
        ]
    )


@promise("trio.client")
def test_the_clients_work_and_the_lifespan_runs_where_the_test_does(world: World) -> None:
    world.write(
        main="""
            import anyio
            import sniffio
            from contextlib import asynccontextmanager
            from starlette.applications import Starlette
            from starlette.responses import PlainTextResponse
            from starlette.routing import Route

            lives = []

            @asynccontextmanager
            async def live(app):
                lives.append(sniffio.current_async_library())
                send, receive = anyio.create_memory_object_stream(0)
                async def answer():
                    async for number in receive:
                        number.append(sniffio.current_async_library())
                async with anyio.create_task_group() as group:
                    group.start_soon(answer)
                    yield {"send": send}
                    group.cancel_scope.cancel()
                send.close()
                receive.close()

            async def tell(request):
                answer = []
                await request.state.send.send(answer)
                while not answer:
                    await anyio.sleep(0)
                return PlainTextResponse(answer[0])

            app = Starlette(routes=[Route("/", tell)], lifespan=live)
        """,
        test_a="""
            import pytest
            from main import app, lives
            from pytest_asgi import AsyncClient, TestClient

            NAMES = ["asyncio", "trio"]
            BACKENDS = pytest.mark.parametrize("anyio_backend", NAMES, scope="module")

            @BACKENDS
            @pytest.mark.anyio
            async def test_fixture(client, anyio_backend):
                assert (await client.get("/")).text == anyio_backend

            @BACKENDS
            @pytest.mark.anyio
            async def test_async_client(anyio_backend):
                async with AsyncClient(app) as client:
                    assert (await client.get("/")).text == anyio_backend

            @BACKENDS
            @pytest.mark.anyio
            async def test_sync_client(anyio_backend):
                with TestClient(app) as client:
                    assert client.get("/").text == anyio_backend

            @pytest.mark.trio
            async def test_a_clock_of_its_own(autojump_clock):
                async with AsyncClient(app) as client:
                    assert (await client.get("/")).text == "trio"
        """,
    )

    result = world.run_in_process()

    assert result.parseoutcomes() == {"passed": 7}, result.stdout.str()


@promise("trio.client", "trio.sync")
def test_a_synchronous_client_waits_in_a_thread_and_is_refused_in_a_task(world: World) -> None:
    world.write(
        test_a="""
            import pytest
            import trio
            from pytest_asgi import BridgeError, TestClient

            pytestmark = pytest.mark.trio

            @pytest.fixture
            def client():
                async def app(scope, receive, send):
                    await trio.lowlevel.checkpoint()
                    await send({"type": "http.response.start", "status": 204})
                    await send({"type": "http.response.body"})

                return TestClient(app)

            async def test_thread(client):
                response = await trio.to_thread.run_sync(client.get, "/")
                assert response.status_code == 204

            async def test_task(client):
                async def get():
                    with pytest.raises(BridgeError, match="trio.to_thread.run_sync"):
                        client.get("/")
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(get)
        """,
    )

    world.run_in_process().assert_outcomes(passed=2)


@promise("trio.task")
def test_when_trio_breaks_off_a_run_the_next_test_has_a_new_one(world: World) -> None:
    world.write(
        test_a="""
            import pytest
            import trio

            pytestmark = pytest.mark.trio

            @pytest.fixture(scope="module")
            async def wide():
                yield

            @pytest.fixture
            async def own(wide):
                yield

            async def fail():
                raise LookupError("in a system task")

            async def test_breaks_off():
                trio.lowlevel.spawn_system_task(fail)
                await trio.sleep_forever()

            async def test_next(own):
                await trio.lowlevel.checkpoint()
        """,
    )

    result = world.run_in_process()

    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*LookupError: in a system task*", "*TrioInternalError*"])


@promise("trio.client", "trio.sync")
def test_the_database_is_put_back_after_a_test_on_trio(world: World) -> None:
    world.configure("asgi_schema = schema.sql\nasgi_database = sqlite")
    world.pytester.path.joinpath("schema.sql").write_text("create table letters (text text)")
    world.write(
        main="""
            import sqlite3
            from starlette.applications import Starlette
            from starlette.responses import PlainTextResponse
            from starlette.routing import Route

            def write(request):
                with sqlite3.connect("letters.db") as connection:
                    connection.execute("insert into letters values ('Dear Ada')")
                connection.close()
                return PlainTextResponse("written")

            app = Starlette(routes=[Route("/", write, methods=["POST"])])
        """,
        test_a="""
            import pytest

            @pytest.mark.trio
            @pytest.mark.parametrize("time", ["first", "second"])
            async def test_write(client, db, queries, time):
                assert await db.count("letters") == 0
                async with db.changes() as changes:
                    await client.post("/")
                assert len(changes["letters"]) == 1
                assert len(queries) > 0
        """,
    )

    world.passes(2)


_HOLDING = """
    from pathlib import Path

    import pytest
    import trio

    def make_async(scope):
        @pytest.fixture(scope=scope, name=f"async_{scope}")
        async def fixture():
            await trio.lowlevel.checkpoint()
            yield
            await trio.lowlevel.checkpoint()
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
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            yield nursery
            await trio.lowlevel.checkpoint()
            print("<held>")
            nursery.cancel_scope.cancel()

    async def tell_when_waiting():
        await trio.testing.wait_all_tasks_blocked()
        Path(__file__).with_name("ready").touch()
"""


@promise("trio.interrupt")
@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot be sent Ctrl-C")
def test_ctrl_c_ends_a_waiting_test_and_every_tear_down_runs_once(world: World) -> None:
    world.configure("asgi_loop = trio")
    world.write(
        conftest=_HOLDING,
        test_a="""
            import trio
            from conftest import tell_when_waiting

            async def test_it(whole):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(trio.sleep_forever)
                    nursery.start_soon(tell_when_waiting)
                    try:
                        await trio.sleep_forever()
                    finally:
                        print("<cancelled>")

            async def test_next():
                print("<next>")
        """,
    )

    process = start(world)
    process.send_signal(signal.SIGINT)
    code, output, errors = finish(process)

    assert tags_in(output) == {"<cancelled>": 1, "<held>": 1, **EVERYTHING}, output
    assert code == pytest.ExitCode.INTERRUPTED
    assert "KeyboardInterrupt" in output
    assert errors == ""


@promise("trio.hang")
def test_the_time_limit_ends_what_waits_and_what_does_not(world: World) -> None:
    world.configure("asgi_loop = trio")
    world.write(
        test_a="""
            import pytest
            import trio

            limited = pytest.mark.asgi(timeout=2)

            @pytest.fixture
            async def hangs():
                yield
                await trio.sleep_forever()

            @limited
            async def test_waits(nursery):
                nursery.start_soon(trio.sleep_forever, name="sleeper")
                try:
                    await trio.sleep_forever()
                finally:
                    await trio.lowlevel.checkpoint()
                    print("<torn down>")

            @limited
            async def test_is_busy():
                while True:
                    pass

            @limited
            async def test_never_rests():
                while True:
                    await trio.sleep(0)

            @limited
            async def test_tear_down(hangs): pass

            async def test_next():
                await trio.lowlevel.checkpoint()
        """,
    )

    result = world.run()

    assert result.parseoutcomes() == {"failed": 3, "errors": 1, "passed": 2}, result.stdout.str()
    result.stdout.fnmatch_lines(
        [
            "*HungTestError: The tear-down of test_a.py::test_tear_down took longer*",
            "*test_a.py:* in hangs",
            "*HungTestError: The body of test_a.py::test_waits took longer than 2 seconds:",
            "*test_a.py:* in test_waits",
            "*its task 'sleeper' waits:",
            "<torn down>",
            "*HungTestError: The body of test_a.py::test_is_busy took longer than 2 seconds:",
            "*HungTestError: The body of test_a.py::test_never_rests took longer than 2 seconds:",
        ]
    )


@promise("neighbour.timeout", "trio.hang")
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGALRM to interrupt with")
def test_pytest_timeout_fails_a_test_that_hangs_and_the_run_goes_on(world: World) -> None:
    world.configure("asgi_loop = trio")
    world.write(
        test_a="""
            import pytest
            import trio

            @pytest.fixture(scope="module")
            async def run():
                yield trio.lowlevel.current_trio_token()

            @pytest.mark.timeout(1, method="signal")
            async def test_that_hangs(run):
                await trio.sleep_forever()

            async def test_after(run):
                assert trio.lowlevel.current_trio_token() is run
        """,
    )

    result = world.run(plugins=("pytest_timeout",))

    assert result.parseoutcomes() == {"passed": 1, "failed": 1}, result.stdout.str()
    result.stdout.fnmatch_lines(["E *Failed: Timeout (>1.0s) from pytest-timeout."])


@promise("trio.optional")
def test_trio_is_imported_on_demand_and_named_when_it_is_missing(world: World) -> None:
    world.write(
        test_a="""
            import sys
            import pytest

            async def test_of_asyncio(client):
                assert "trio" not in sys.modules
                sys.modules["trio"] = None

            @pytest.fixture
            def app():
                async def app(scope, receive, send): pass
                return app

            @pytest.mark.trio
            @pytest.mark.parametrize("time", ["first", "second"])
            async def test_of_trio(time): pass
        """,
    )

    result = world.run("--asgi-lifespan=off")

    assert result.parseoutcomes()["passed"] == 1, result.stdout.str()
    assert 'pip install "pytest-asgi[trio]"' in result.stdout.str()
