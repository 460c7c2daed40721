"""Async tests that hypothesis calls many times."""

from __future__ import annotations

from tests.plugin.world import World
from tests.promises import promise

HYPOTHESIS = ("_hypothesis_pytestplugin",)


@promise("run.hypothesis", "task.one")
def test_all_examples_of_a_test_run_in_the_task_of_its_fixtures(world: World) -> None:
    world.write(
        test_a="""
            import asyncio
            import pytest
            from hypothesis import HealthCheck, given, settings, strategies as st

            examples, tasks, setups = [], [], []
            quick = settings(
                max_examples=20,
                deadline=None,
                database=None,
                suppress_health_check=[HealthCheck.function_scoped_fixture],
            )

            @pytest.fixture
            async def prepared():
                setups.append(asyncio.current_task())
                yield "prepared"
                assert asyncio.current_task() is setups[-1]

            @quick
            @given(number=st.integers())
            async def test_by_name(number, prepared):
                await asyncio.sleep(0)
                assert prepared == "prepared"
                assert asyncio.current_task() is setups[-1]
                examples.append(number)

            @pytest.mark.asyncio
            @quick
            @given(st.integers(), st.booleans())
            async def test_by_position(prepared, number, flag):
                await asyncio.sleep(0)
                assert asyncio.current_task() is setups[-1]
                examples.append(number)

            def test_fixtures_were_set_up_once_for_each_test():
                assert len(setups) == 2
                assert len(examples) == 40
        """,
    )

    world.passes(3, plugins=HYPOTHESIS)


@promise("run.hypothesis")
def test_the_failing_example_is_reported(world: World) -> None:
    world.write(
        test_a="""
            import asyncio
            from hypothesis import example, given, settings, strategies as st

            def quick(test):
                return settings(max_examples=50, deadline=None, database=None)(test)

            @quick
            @given(number=st.integers(min_value=0))
            async def test_small(number):
                await asyncio.sleep(0)
                assert number < 10

            @quick
            @example(word="explicit")
            @given(word=st.just("generated"))
            async def test_word(word):
                await asyncio.sleep(0)
                assert word == "generated"
        """,
    )

    result = world.run(plugins=HYPOTHESIS)

    assert result.parseoutcomes() == {"failed": 2}
    result.stdout.fnmatch_lines(["*assert 10 < 10", "*number=10,*"])
    result.stdout.fnmatch_lines(["*word='explicit',*"])


@promise("run.hypothesis", "run.classes", "run.parametrized")
def test_hypothesis_goes_with_classes_parameters_and_data(world: World) -> None:
    world.write(
        test_a="""
            import asyncio
            import pytest
            from hypothesis import HealthCheck, assume, given, settings, strategies as st

            calls = []
            quick = settings(
                max_examples=5,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
            )

            class TestClass:
                @pytest.fixture
                async def own(self):
                    self.mark = "set"
                    yield self

                @pytest.mark.parametrize("sign", [1, -1])
                @quick
                @given(data=st.data())
                async def test_method(self, own, sign, data):
                    number = data.draw(st.integers(1, 1000))
                    await asyncio.sleep(0)
                    assume(number != 7)
                    assert self.mark == "set"
                    calls.append((asyncio.current_task(), sign, number))

            @quick
            @given(number=st.integers())
            def test_synchronous(number):
                with pytest.raises(RuntimeError):
                    asyncio.get_running_loop()

            def test_a_task_for_each_set_of_parameters():
                assert len({task for task, sign, _ in calls if sign == 1}) == 1
                assert len({task for task, _, _ in calls}) == 2
        """,
    )

    world.passes(4, plugins=HYPOTHESIS)


@promise("run.hypothesis", "run.generator-test")
def test_an_async_generator_under_hypothesis_fails_and_says_why(world: World) -> None:
    world.write(
        test_a="""
            from hypothesis import given, strategies as st

            @given(st.integers())
            async def test_with_a_yield(number):
                yield number
        """,
    )

    result = world.run(plugins=HYPOTHESIS)

    assert result.parseoutcomes() == {"failed": 1}
    result.stdout.fnmatch_lines(["*test_with_a_yield is an async generator*"])
