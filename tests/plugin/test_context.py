"""Context variables: seen where they should be, and nowhere else."""

from __future__ import annotations

from tests.plugin.world import World
from tests.promises import promise

_VARIABLE = """
    from contextvars import ContextVar

    var = ContextVar("var", default="default")
    other = ContextVar("other", default="default")
"""


@promise("context.fixture")
def test_what_a_fixture_sets_is_seen_in_test_and_tear_down(world: World) -> None:
    world.write(
        helper=_VARIABLE,
        test_a="""
            import asyncio
            import pytest
            from helper import var

            @pytest.fixture
            async def plain():
                await asyncio.sleep(0)
                var.set("plain")

            @pytest.fixture
            async def generator():
                token = var.set("generator")
                await asyncio.sleep(0)
                yield
                assert var.get() == "test"
                await asyncio.sleep(0)
                var.reset(token)
                assert var.get() == "default"

            @pytest.fixture
            def synchronous():
                token = var.set("synchronous")
                yield
                var.reset(token)

            async def test_plain(plain):
                assert var.get() == "plain"

            async def test_generator(generator):
                assert var.get() == "generator"
                var.set("test")

            async def test_synchronous(synchronous):
                assert var.get() == "synchronous"

            def test_sync(plain):
                assert var.get() == "plain"

            async def test_dynamic(request):
                request.getfixturevalue("plain")
                assert var.get() == "plain"

            async def test_tasks_and_threads_carry_it(plain):
                async def child():
                    return var.get()
                assert await asyncio.create_task(child()) == "plain"
                assert await asyncio.to_thread(var.get) == "plain"

            async def test_nothing_is_left():
                assert var.get() == "default"
        """,
    )

    world.passes(7)


@promise("context.wider")
def test_what_a_wider_fixture_sets_is_seen_in_all_its_tests_and_reset(world: World) -> None:
    world.write(
        helper=_VARIABLE,
        conftest="""
            import asyncio
            import pytest
            from helper import other, var

            @pytest.fixture(scope="session", autouse=True)
            async def whole():
                token = var.set("session")
                yield
                assert var.get() == "session"
                var.reset(token)
                assert var.get() == "default"
                print("session is reset")

            @pytest.fixture(scope="module")
            async def of_module():
                await asyncio.sleep(0)
                token = var.set("module")
                await asyncio.sleep(0)
                yield
                assert var.get() == "module"
                var.reset(token)
                print("module is reset")

            @pytest.fixture(scope="module")
            async def plain_of_module():
                await asyncio.sleep(0)
                other.set("plain")

            @pytest.fixture(scope="class")
            def sync_of_class():
                token = var.set("class")
                yield
                var.reset(token)
        """,
        test_a="""
            import asyncio
            from helper import other, var

            async def test_session():
                assert var.get() == "session"

            async def test_module(of_module):
                assert var.get() == "module"
                var.set("mine")

            async def test_module_again(of_module):
                assert var.get() == "module"

            async def test_seen_by_later_tests_too():
                assert var.get() == "module"

            def test_sync():
                assert var.get() == "module"

            class TestClass:
                async def test_sync_fixture(self, sync_of_class):
                    assert var.get() == "class"

                async def test_again(self, sync_of_class):
                    assert var.get() == "class"

            async def test_class_is_over():
                assert var.get() == "module"

            async def test_dynamic(request):
                assert other.get() == "default"
                request.getfixturevalue("plain_of_module")
                assert other.get() == "plain"
                other.set("mine")

            async def test_after_dynamic():
                assert other.get() == "plain"
        """,
        test_b="""
            from helper import var

            async def test_module_is_over():
                assert var.get() == "session"

            def test_sync():
                assert var.get() == "session"
        """,
    )

    result = world.run("-s")

    assert result.parseoutcomes() == {"passed": 12}
    result.stdout.fnmatch_lines(["*module is reset*", "*session is reset*"])


@promise("context.no-leak")
def test_nothing_leaks_from_test_to_test(world: World) -> None:
    world.write(
        helper=_VARIABLE,
        test_a="""
            import asyncio
            import pytest
            from helper import var

            @pytest.fixture
            async def forgets_to_reset(request):
                var.set("fixture")
                yield
                var.set("tear-down")

            @pytest.fixture
            def forgets_too():
                var.set("sync fixture")

            async def test_sets():
                assert var.get() == "default"
                var.set("test")

            async def test_fixtures_set(forgets_to_reset, forgets_too):
                assert var.get() == "sync fixture"

            def test_a_sync_test_with_an_async_fixture_sets(forgets_to_reset):
                var.set("sync test")

            async def test_children_set():
                async def child():
                    var.set("child")
                await asyncio.gather(child(), child())
                assert var.get() == "default"

            async def test_fails(forgets_to_reset):
                var.set("failed")
                raise LookupError

            async def test_nothing_is_seen():
                assert var.get() == "default"

            def test_nothing_is_seen_in_a_sync_test():
                assert var.get() == "default"
        """,
    )

    result = world.run()

    assert result.parseoutcomes() == {"passed": 6, "failed": 1}


@promise("context.no-leak")
def test_a_test_that_ends_a_wider_fixture_first_keeps_its_own_context(world: World) -> None:
    world.write(
        helper=_VARIABLE,
        test_a="""
            import pytest
            from helper import var

            @pytest.fixture(scope="module", params=[1, 2])
            def synchronous(request):
                yield request.param

            @pytest.fixture(scope="module", params=[1, 2])
            async def asynchronous(request):
                yield request.param

            async def test_sets(synchronous, asynchronous):
                assert var.get() == "default"
                var.set("test")

            async def test_nothing_is_seen():
                assert var.get() == "default"
        """,
    )

    world.passes(5)


@promise("context.no-leak")
def test_pytests_own_context_is_not_changed_by_tests_run_inside_another(world: World) -> None:
    world.write(
        helper=_VARIABLE,
        conftest="""
            from helper import var

            def pytest_sessionstart():
                var.set("plugin")

            def pytest_sessionfinish():
                print("at the end:", var.get())
        """,
        test_a="""
            import asyncio
            import pytest
            from helper import var

            @pytest.fixture(scope="module", autouse=True)
            async def wide():
                token = var.set("wide")
                yield
                var.reset(token)

            async def test_async():
                assert var.get() == "wide"
                var.set("test")
        """,
    )

    result = world.run("-s")

    assert result.parseoutcomes() == {"passed": 1}
    result.stdout.fnmatch_lines(["*at the end: plugin*"])


def test_a_session_inside_a_context_that_somebody_entered_leaves_it_as_it_was(
    world: World,
) -> None:
    world.write(
        helper=_VARIABLE,
        test_a="""
            import pytest
            from helper import var

            @pytest.fixture(scope="session", autouse=True)
            async def setting():
                var.set("set")

            async def test_async():
                assert var.get() == "set"

            def test_sync():
                assert var.get() == "set"
        """,
        main="""
            import contextvars
            import sys
            import pytest

            arguments = ["-ppytest_asgi.plugin", "-Werror"]
            sys.exit(contextvars.copy_context().run(pytest.main, arguments))
        """,
    )

    result = world.pytester.runpython(world.pytester.path / "main.py")

    assert result.parseoutcomes() == {"passed": 2}, result.stdout.str()
    assert result.ret == 0, result.stderr.str()
