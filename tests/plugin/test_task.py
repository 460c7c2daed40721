"""One task per test: what a fixture holds across its `yield` holds for the test."""

from __future__ import annotations

from tests.plugin.world import World
from tests.promises import promise


@promise("task.one", "loop.one")
def test_set_up_test_and_tear_down_run_in_the_same_task(world: World) -> None:
    world.write(
        test_a="""
            import asyncio
            import pytest

            tasks = []

            @pytest.fixture(autouse=True)
            async def outer():
                tasks.append([asyncio.current_task()])
                yield
                tasks[-1].append(asyncio.current_task())

            @pytest.fixture
            async def plain():
                tasks[-1].append(asyncio.current_task())

            @pytest.fixture
            async def generator(plain):
                await asyncio.sleep(0)
                tasks[-1].append(asyncio.current_task())
                yield
                await asyncio.sleep(0)
                tasks[-1].append(asyncio.current_task())

            async def test_first(generator):
                tasks[-1].append(asyncio.current_task())

            async def test_second(generator):
                tasks[-1].append(asyncio.current_task())

            def test_sync(generator):
                pass

            def test_each_had_one_task_of_its_own(request):
                own = [set(each) for each in tasks]
                assert [len(each) for each in own] == [1, 1, 1, 1]
                assert len(set.union(*own)) == 4
                assert all(task.done() for each in own[:-1] for task in each)
                assert "test_first" in tasks[0][0].get_name()
        """,
    )

    world.passes(4)


@promise("task.scopes")
def test_scopes_held_across_a_yield_work_in_every_scope(world: World) -> None:
    world.write(
        test_a="""
            import asyncio
            import anyio
            import pytest

            scopes = ["function", "class", "module", "session"]

            def holding(make):
                fixtures = {}
                for scope in scopes:
                    @pytest.fixture(scope=scope, name=f"{make.__name__}_{scope}")
                    async def fixture():
                        async with make() as held:
                            yield held
                    globals()[f"{make.__name__}_{scope}"] = fixture

            def cancel_scope():
                class Scope:
                    async def __aenter__(self):
                        return self.scope.__enter__()
                    async def __aexit__(self, *error):
                        return self.scope.__exit__(*error)
                    scope = anyio.CancelScope()
                return Scope()

            def task_group():
                return anyio.create_task_group()

            def fail_after():
                class After:
                    async def __aenter__(self):
                        return self.scope.__enter__()
                    async def __aexit__(self, *error):
                        return self.scope.__exit__(*error)
                    scope = anyio.fail_after(60)
                return After()

            def asyncio_group():
                return asyncio.TaskGroup()

            def asyncio_timeout():
                return asyncio.timeout(60)

            holders = [cancel_scope, task_group, fail_after, asyncio_group, asyncio_timeout]
            for holder in holders:
                holding(holder)

            names = [f"{holder.__name__}_{scope}" for holder in holders for scope in scopes]

            @pytest.mark.usefixtures(*names)
            class TestAll:
                async def test_async(self):
                    await asyncio.sleep(0)

                def test_sync(self):
                    pass

            @pytest.mark.parametrize("scope", scopes)
            async def test_the_groups_can_be_used(request, scope):
                done = []
                async def child():
                    await asyncio.sleep(0)
                    done.append(True)
                request.getfixturevalue(f"task_group_{scope}").start_soon(child)
                await request.getfixturevalue(f"asyncio_group_{scope}").create_task(child())
                while len(done) < 2:
                    await asyncio.sleep(0)
        """,
    )

    world.passes(6)


@promise("task.scopes")
def test_leaving_a_task_group_waits_for_its_children_at_tear_down(world: World) -> None:
    world.write(
        test_a="""
            import asyncio
            import pytest

            log = []

            @pytest.fixture(params=["function"])
            async def group():
                async with asyncio.TaskGroup() as group:
                    yield group
                log.append("left")

            async def test_starts_a_child(group):
                async def child():
                    for _ in range(3):
                        await asyncio.sleep(0)
                    log.append("child")
                group.create_task(child())

            def test_child_came_first():
                assert log == ["child", "left"]
        """,
    )

    world.passes(2)


@promise("task.wider")
def test_a_wider_fixture_has_one_task_from_set_up_to_tear_down(world: World) -> None:
    world.write(
        conftest="""
            import asyncio
            import pytest

            tasks = {}

            def make(scope):
                @pytest.fixture(scope=scope, name="of_" + scope)
                async def fixture():
                    tasks[scope] = asyncio.current_task()
                    await asyncio.sleep(0)
                    yield asyncio.current_task()
                    await asyncio.sleep(0)
                    assert asyncio.current_task() is tasks[scope]
                    print(scope, "in one task")
                return fixture

            of_class, of_module = make("class"), make("module")
            of_package, of_session = make("package"), make("session")
        """,
        test_a="""
            import asyncio

            class TestClass:
                async def test_async(self, of_class, of_module, of_package, of_session):
                    wider = {of_class, of_module, of_package, of_session}
                    assert len(wider) == 4
                    assert asyncio.current_task() not in wider
                    assert not any(task.done() for task in wider)

                def test_sync(self, of_class, of_session):
                    assert not of_class.done() and not of_session.done()

            def test_after_the_class(of_module):
                assert not of_module.done()
        """,
    )

    result = world.run("-s")

    assert result.parseoutcomes() == {"passed": 3}
    result.stdout.fnmatch_lines(
        [f"*{scope} in one task*" for scope in ("class", "module", "package", "session")]
    )
