"""What fails in async fixtures, and what is said about it."""

from __future__ import annotations

import pytest

from tests.plugin.world import World
from tests.promises import promise


@promise("fixture.yields")
@pytest.mark.parametrize("scope", ["function", "module"])
def test_a_fixture_that_yields_never_or_twice_fails_and_is_named(world: World, scope: str) -> None:
    world.write(
        test_a=f"""
            import asyncio
            import pytest

            closed = []

            @pytest.fixture(scope="{scope}")
            async def yields_never():
                await asyncio.sleep(0)
                if False:
                    yield

            @pytest.fixture(scope="{scope}")
            async def outer():
                yield
                print("closed in time" if closed else "not closed")

            @pytest.fixture(scope="{scope}")
            async def yields_twice(outer):
                try:
                    yield 1
                    yield 2
                finally:
                    await asyncio.sleep(0)
                    closed.append(True)

            async def test_never(yields_never):
                raise AssertionError("ran")

            def test_never_in_a_sync_test(yields_never):
                raise AssertionError("ran")

            async def test_twice(yields_twice):
                assert yields_twice == 1
        """,
    )

    result = world.run("-s")

    assert result.parseoutcomes() == {"errors": 3, "passed": 1}
    result.stdout.fnmatch_lines(["*The async fixture 'yields_never' did not yield a value."])
    result.stdout.fnmatch_lines(["*The async fixture 'yields_twice' yielded more than once."])
    result.stdout.fnmatch_lines(["*closed in time*"])


@promise("fixture.teardown-errors")
def test_an_error_in_one_teardown_does_not_keep_others_from_running(world: World) -> None:
    world.write(
        test_a="""
            import asyncio
            import pytest

            done = []

            def make(name, scope):
                @pytest.fixture(scope=scope, name=name)
                async def fixture():
                    yield name
                    await asyncio.sleep(0)
                    done.append(name)
                    raise LookupError(name)
                return fixture

            outer = make("outer", "module")
            middle = make("middle", "module")
            first = make("first", "function")
            second = make("second", "function")

            @pytest.fixture
            def synchronous(first):
                yield
                done.append("synchronous")
                raise LookupError("synchronous")

            @pytest.fixture(scope="session", autouse=True)
            async def check():
                yield
                names = ["second", "synchronous", "first", "middle", "outer"]
                print("torn down in order" if done == names else done)

            async def test_it(outer, middle, synchronous, second):
                assert done == []
        """,
    )

    result = world.run("-s")

    assert result.parseoutcomes() == {"passed": 1, "errors": 1}
    result.stdout.fnmatch_lines(["*torn down in order*"])
    for name in ("second", "synchronous", "first", "middle", "outer"):
        result.stdout.fnmatch_lines([f"*LookupError: {name}"])


@promise("fixture.teardown-errors")
def test_a_failing_test_and_its_failing_teardown_are_both_reported(world: World) -> None:
    world.write(
        test_a="""
            import asyncio
            import pytest

            @pytest.fixture
            async def fragile():
                yield
                raise LookupError("tear-down")

            async def test_both(fragile):
                await asyncio.sleep(0)
                raise ValueError("test")

            async def test_next():
                pass
        """,
    )

    result = world.run()

    assert result.parseoutcomes() == {"failed": 1, "errors": 1, "passed": 1}
    result.stdout.fnmatch_lines(["*LookupError: tear-down", "*ValueError: test"])


@promise("fixture.teardown-errors")
def test_an_error_in_set_up_is_the_users_own_and_tears_down_what_was_set_up(
    world: World,
) -> None:
    world.write(
        test_a="""
            import asyncio
            import pytest

            @pytest.fixture(scope="module")
            async def wide():
                yield
                print("wide is torn down")

            @pytest.fixture
            async def first(wide):
                yield
                print("first is torn down")

            @pytest.fixture(params=["function", "generator"])
            async def broken(first, request):
                await asyncio.sleep(0)
                raise LookupError("set-up")

            @pytest.fixture(scope="module")
            async def broken_wide():
                await asyncio.sleep(0)
                raise KeyError("wide set-up")
                yield

            async def test_first(broken):
                raise AssertionError("ran")

            def test_sync(broken):
                raise AssertionError("ran")

            @pytest.mark.parametrize("number", [1, 2])
            async def test_wide(broken_wide, number):
                raise AssertionError("ran")

            @pytest.fixture
            async def skips():
                pytest.skip("not today")

            async def test_skipped_by_a_fixture(skips):
                raise AssertionError("ran")
        """,
    )

    result = world.run("-s")

    assert result.parseoutcomes() == {"errors": 6, "skipped": 1}
    assert result.stdout.str().count("first is torn down") == 4
    assert result.stdout.str().count("wide is torn down") == 1
    result.stdout.fnmatch_lines(["*LookupError: set-up", "*KeyError: 'wide set-up'"])
    assert "CancelledError" not in result.stdout.str()
