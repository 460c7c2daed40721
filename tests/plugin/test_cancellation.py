"""A test that is cancelled, by itself or by what a fixture holds."""

from __future__ import annotations

import pytest

from tests.plugin.world import World
from tests.promises import promise

_HOLDERS = """
    import asyncio
    import contextlib
    import anyio
    import pytest

    @pytest.fixture
    async def asyncio_timeout():
        async with asyncio.timeout(0.01):
            yield

    @pytest.fixture
    async def anyio_timeout():
        with anyio.fail_after(0.01):
            yield

    @pytest.fixture
    async def stack_with_timeout():
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(asyncio.timeout(0.01))
            yield

    @contextlib.asynccontextmanager
    async def limit():
        async with asyncio.timeout(0.01):
            yield

    @pytest.fixture
    async def timeout_in_a_function():
        async with limit():
            yield

    @pytest.fixture
    async def move_on():
        with anyio.move_on_after(0.01) as scope:
            yield scope
        assert scope.cancelled_caught

    @pytest.fixture
    async def scope():
        with anyio.CancelScope() as scope:
            yield scope
"""
_RAISE_TIMEOUTS = (
    "asyncio_timeout",
    "anyio_timeout",
    "stack_with_timeout",
    "timeout_in_a_function",
)


@promise("task.scopes")
@pytest.mark.parametrize("name", _RAISE_TIMEOUTS)
def test_a_timeout_of_a_fixture_fails_the_test_with_timeout_error(world: World, name: str) -> None:
    world.write(
        conftest=_HOLDERS,
        test_a=f"""
            import asyncio

            async def test_waits({name}):
                await asyncio.Event().wait()

            async def test_next_is_well():
                await asyncio.sleep(0)
        """,
    )

    result = world.run()

    assert result.parseoutcomes() == {"failed": 1, "passed": 1}, result.stdout.str()
    result.stdout.fnmatch_lines(
        [
            "> *await asyncio.Event().wait()",
            "E *TimeoutError",
            "E *test_waits was cancelled by this while it waited at *test_a.py:5.",
        ]
    )


@promise("task.scopes")
def test_a_cancel_scope_of_a_fixture_is_named(world: World) -> None:
    world.write(
        conftest=_HOLDERS,
        test_a="""
            import asyncio

            async def test_too_slow(move_on):
                await asyncio.Event().wait()

            async def test_cancelled(scope):
                scope.cancel()
                await asyncio.Event().wait()
                raise AssertionError("went on")
        """,
    )

    result = world.run()

    assert result.parseoutcomes() == {"failed": 2}, result.stdout.str()
    for test, holder in (("test_too_slow", "move_on"), ("test_cancelled", "scope")):
        result.stdout.fnmatch_lines(
            [
                "> *await asyncio.Event().wait()",
                f"*CancelledTestError: {test} was cancelled*, by the fixture '{holder}'.",
            ]
        )


_OF_TWO = {
    "outer-timeout": ("asyncio.timeout(0.01)", "asyncio.TaskGroup()", "outer"),
    "inner-timeout": ("asyncio.TaskGroup()", "asyncio.timeout(0.01)", "inner"),
    "outer-of-two": ("asyncio.timeout(0.01)", "asyncio.timeout(60)", "outer"),
    "inner-of-two": ("asyncio.timeout(60)", "asyncio.timeout(0.01)", "inner"),
    "anyio-group": ("asyncio.timeout(0.01)", "anyio.create_task_group()", "outer"),
    "group-outside-anyio": ("anyio.create_task_group()", "asyncio.timeout(0.01)", "inner"),
}


@promise("task.scopes")
@pytest.mark.parametrize("kind", _OF_TWO)
def test_of_several_fixtures_the_one_that_raises_is_the_one_whose_time_is_over(
    world: World, kind: str
) -> None:
    outer, inner, culprit = _OF_TWO[kind]
    world.write(
        test_a=f"""
            import asyncio
            import anyio
            import pytest

            @pytest.fixture
            async def outer():
                async with {outer} as held:
                    yield held

            @pytest.fixture
            async def inner(outer):
                async with {inner} as held:
                    yield held

            @pytest.fixture
            async def plain(inner):
                yield
                await asyncio.sleep(0)
                print("<torn down>")

            async def test_waits(outer, inner, plain):
                await asyncio.Event().wait()
        """,
    )

    result = world.run("-s")

    assert result.parseoutcomes() == {"failed": 1}, result.stdout.str()
    assert result.stdout.str().count("<torn down>\n") == 1
    result.stdout.fnmatch_lines([f"    async def {culprit}(*):", ">* as held:", "E *TimeoutError"])
    result.stdout.no_fnmatch_line("*CancelledTestError*")


@promise("task.scopes")
def test_a_time_limit_ends_the_children_of_a_group_that_stands_inside(world: World) -> None:
    world.write(
        test_a="""
            import asyncio
            import pytest

            @pytest.fixture
            async def deadline():
                async with asyncio.timeout(0.01):
                    yield

            @pytest.fixture
            async def group(deadline):
                async with asyncio.TaskGroup() as group:
                    yield group

            async def test_waits(group):
                group.create_task(asyncio.Event().wait())
                await asyncio.Event().wait()
        """,
    )

    result = world.run()

    assert result.parseoutcomes() == {"failed": 1}, result.stdout.str()
    result.stdout.fnmatch_lines(["E *TimeoutError"])


@promise("task.scopes")
@pytest.mark.parametrize("limit", ["anyio.fail_after(0.01)", "anyio.move_on_after(0.01)"])
def test_tear_downs_inside_a_scope_of_anyio_are_cancelled_with_it_and_mentioned(
    world: World, limit: str
) -> None:
    world.write(
        test_a=f"""
            import asyncio
            import anyio
            import pytest

            @pytest.fixture
            async def deadline():
                with {limit}:
                    yield

            @pytest.fixture
            async def resource(deadline):
                yield
                await asyncio.sleep(0)

            async def test_waits(resource):
                await asyncio.Event().wait()
        """,
    )

    result = world.run()

    assert result.parseoutcomes() == {"failed": 1}, result.stdout.str()
    result.stdout.fnmatch_lines(
        ["*So was its tear-down: The fixture 'resource' was cancelled*by the fixture 'deadline'*"]
    )


@promise("task.scopes")
def test_a_fixture_cancelled_by_another_ones_limit_names_it(world: World) -> None:
    world.write(
        test_a="""
            import asyncio
            import pytest

            @pytest.fixture
            async def generous():
                async with asyncio.timeout(60):
                    yield

            @pytest.fixture
            async def deadline(generous):
                async with asyncio.timeout(0.01):
                    yield

            @pytest.fixture
            async def slow(deadline):
                await asyncio.Event().wait()

            @pytest.fixture
            async def slow_to_leave(deadline):
                yield
                await asyncio.Event().wait()

            async def test_set_up(slow):
                raise AssertionError("ran")

            async def test_tear_down(slow_to_leave):
                pass
        """,
    )

    result = world.run()

    assert result.parseoutcomes() == {"errors": 2, "passed": 1}, result.stdout.str()
    for name in ("slow", "slow_to_leave"):
        result.stdout.fnmatch_lines(
            [
                "> *await asyncio.Event().wait()",
                f"E *The fixture '{name}' was cancelled*, by the fixture 'deadline'.",
            ]
        )


@promise("task.scopes", "task.wider")
@pytest.mark.parametrize(
    ("limit", "error"),
    [
        ("asyncio.timeout(0.01)", "TimeoutError"),
        ("limit()", "FixtureError: The async fixture 'wide' ended before the tests that use it."),
    ],
    ids=["raises", "moves-on"],
)
def test_the_limit_of_a_wider_fixture_cancels_the_test_that_uses_it(
    world: World, limit: str, error: str
) -> None:
    world.write(
        test_a=f"""
            import asyncio
            import contextlib
            import anyio
            import pytest

            @contextlib.asynccontextmanager
            async def limit():
                with anyio.move_on_after(0.01):
                    yield

            @pytest.fixture(scope="module")
            async def wide():
                async with {limit}:
                    yield

            async def test_waits(wide):
                await asyncio.Event().wait()

            async def test_later(wide):
                raise AssertionError("ran")
        """,
    )

    result = world.run()

    assert result.parseoutcomes() == {"failed": 1, "errors": 1}, result.stdout.str()
    result.stdout.fnmatch_lines(
        [f"E *{error}", "*test_waits was cancelled by this while it waited at *test_a.py:18."]
    )
    result.stdout.fnmatch_lines(["E *The fixture 'wide' died during an earlier test."])


@promise("task.scopes")
def test_a_test_cancelled_by_hand_and_a_failing_tear_down_are_both_reported(world: World) -> None:
    world.write(
        test_a="""
            import asyncio
            import pytest

            @pytest.fixture
            async def generous():
                async with asyncio.timeout(60):
                    yield
                raise LookupError("in the tear-down")

            async def test_cancels_itself(generous):
                asyncio.current_task().cancel()
                await asyncio.sleep(0)
        """,
    )

    result = world.run()

    assert result.parseoutcomes() == {"failed": 1}, result.stdout.str()
    result.stdout.fnmatch_lines(
        [
            "*test_cancels_itself was cancelled, and its tear-down failed (2 sub-exceptions)*",
            "*CancelledTestError: test_cancels_itself was cancelled while it waited.*",
            "*LookupError: in the tear-down*",
        ]
    )


@promise("task.scopes")
def test_a_timeout_of_a_test_body_is_the_tests_own_business(world: World) -> None:
    world.write(
        test_a="""
            import asyncio
            import anyio
            import pytest

            @pytest.fixture(autouse=True)
            async def held():
                async with asyncio.TaskGroup() as group, anyio.create_task_group() as other:
                    yield

            async def test_timeouts():
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0):
                        await asyncio.sleep(60)
                with anyio.move_on_after(0) as scope:
                    await anyio.sleep(60)
                assert scope.cancelled_caught
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(asyncio.Event().wait(), 0)
                assert asyncio.current_task().cancelling() == 0

            async def test_cancelled_error_by_hand():
                with pytest.raises(asyncio.CancelledError):
                    raise asyncio.CancelledError

            async def test_children_cancelled():
                task = asyncio.create_task(asyncio.sleep(60))
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
        """,
    )

    world.passes(3)


@promise("task.one", "fixture.teardown-errors")
def test_a_test_that_cancels_itself_fails_and_is_torn_down_once(world: World) -> None:
    world.write(
        test_a="""
            import asyncio
            import pytest

            @pytest.fixture
            async def resource():
                yield
                await asyncio.sleep(0)
                print("closed")

            async def test_cancels_itself(resource):
                asyncio.current_task().cancel()
                await asyncio.sleep(0)

            async def test_raises_cancelled(resource):
                raise asyncio.CancelledError

            @pytest.fixture
            async def cancelled_fixture(resource):
                asyncio.current_task().cancel()
                await asyncio.sleep(0)

            async def test_fixture(cancelled_fixture):
                raise AssertionError("ran")

            async def test_next_test_is_well(resource):
                await asyncio.sleep(0)
        """,
    )

    result = world.run("-s")

    assert result.parseoutcomes() == {"failed": 2, "errors": 1, "passed": 1}
    assert result.stdout.str().count("closed") == 4
    result.stdout.fnmatch_lines(["*test_cancels_itself was cancelled while it waited.*"])
    result.stdout.fnmatch_lines(["*The fixture 'cancelled_fixture' was cancelled*"])
