"""Async tests run, however they are written down."""

from __future__ import annotations

from tests.plugin.world import World
from tests.promises import promise


@promise("run.unmarked", "loop.one")
def test_an_async_test_runs_with_no_mark_and_no_configuration(world: World) -> None:
    world.write(
        test_a="""
            import asyncio

            async def test_that_waits():
                await asyncio.sleep(0)
                assert asyncio.current_task() is not None

            async def test_that_fails_after_waiting():
                await asyncio.sleep(0)
                assert 1 == 2

            async def test_that_never_waits():
                raise LookupError("reached")

            def test_that_is_synchronous():
                pass
        """,
    )

    result = world.run()

    assert result.parseoutcomes() == {"passed": 2, "failed": 2}
    result.stdout.fnmatch_lines(["*assert 1 == 2", "*LookupError: reached"])
    assert result.ret == 1


@promise("run.classes")
def test_async_methods_of_classes_run_on_an_instance_of_their_own(world: World) -> None:
    world.write(
        test_a="""
            import asyncio
            import pytest

            class Base:
                value = "base"

                async def test_inherited(self):
                    await asyncio.sleep(0)
                    assert self.value == "overridden"

            class TestMethods(Base):
                value = "overridden"

                @pytest.fixture
                async def prepared(self):
                    self.prepared_by_fixture = True
                    yield self

                async def test_instance_is_the_fixtures(self, prepared):
                    assert prepared is self
                    assert self.prepared_by_fixture

                async def test_instance_is_fresh(self):
                    assert not hasattr(self, "prepared_by_fixture")

                @staticmethod
                async def test_static(prepared):
                    assert prepared.value == "overridden"

                @classmethod
                async def test_class_method(cls):
                    assert cls is TestMethods

                class TestNested:
                    async def test_nested(self):
                        raise LookupError("nested")
        """,
    )

    result = world.run()

    assert result.parseoutcomes() == {"passed": 5, "failed": 1}
    result.stdout.fnmatch_lines(["*LookupError: nested"])


@promise("run.parametrized")
def test_parametrized_tests_run_once_for_each_set_of_parameters(world: World) -> None:
    world.write(
        test_a="""
            import asyncio
            import pytest

            seen = []

            @pytest.fixture
            async def doubled(request):
                await asyncio.sleep(0)
                return request.param * 2

            @pytest.mark.parametrize("letter", ["a", "b"])
            @pytest.mark.parametrize("number", [1, pytest.param(2, id="two")])
            async def test_stacked(number, letter):
                await asyncio.sleep(0)
                seen.append((number, letter))

            @pytest.mark.parametrize("doubled", [1, 2], indirect=True)
            async def test_indirect(doubled):
                seen.append(doubled)

            @pytest.mark.parametrize("word", ["x", "y"])
            class TestClass:
                async def test_method(self, word):
                    seen.append(word)

            def test_each_was_seen_once():
                assert seen[:4] == [(1, "a"), (1, "b"), (2, "a"), (2, "b")]
                assert seen[4:] == [2, 4, "x", "y"]
        """,
    )

    world.passes(9)


@promise("run.parametrized")
def test_a_parameter_that_fails_does_not_hide_the_others(world: World) -> None:
    world.write(
        test_a="""
            import pytest

            @pytest.mark.parametrize(
                "value",
                [
                    1,
                    2,
                    pytest.param(3, marks=pytest.mark.skip),
                    pytest.param(4, marks=pytest.mark.xfail(strict=True)),
                ],
            )
            async def test_odd(value):
                assert value % 2
        """,
    )

    result = world.run("-v")

    assert result.parseoutcomes() == {"passed": 1, "failed": 1, "skipped": 1, "xfailed": 1}
    result.stdout.fnmatch_lines(["*test_odd?2? FAILED*"])


@promise("run.unmarked")
def test_decorated_async_tests_run(world: World) -> None:
    world.write(
        test_a="""
            import asyncio
            import functools
            from unittest.mock import AsyncMock, patch

            def twice(function):
                @functools.wraps(function)
                async def wrapper(*args, **kwargs):
                    await function(*args, **kwargs)
                    await function(*args, **kwargs)
                return wrapper

            calls = []

            @twice
            async def test_decorated(tmp_path):
                await asyncio.sleep(0)
                calls.append(tmp_path)

            @patch("asyncio.sleep", new_callable=AsyncMock)
            async def test_patched(sleep, tmp_path):
                await asyncio.sleep(60)
                sleep.assert_awaited_once_with(60)
                calls.append(tmp_path)

            def test_all_were_called():
                assert len(calls) == 3 and len(set(calls)) == 2
        """,
    )

    world.passes(3)
