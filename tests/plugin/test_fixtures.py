"""Async fixtures: kinds, scopes, and the ways in which tests ask for them."""

from __future__ import annotations

from tests.plugin.world import World
from tests.promises import promise

_LOG = """
    from pathlib import Path

    def log(line):
        with Path(__file__).with_name("log.txt").open("a") as file:
            file.write(line + "\\n")
"""


def _log(world: World) -> list[str]:
    return (world.pytester.path / "log.txt").read_text().split()


@promise("fixture.kinds", "loop.one")
def test_both_kinds_work_in_every_scope_on_one_loop(world: World) -> None:
    scopes = ("function", "class", "module", "package", "session")
    kinds = "".join(
        f"""
            @pytest.fixture(scope="{scope}")
            async def plain_{scope}():
                await asyncio.sleep(0)
                log("plain-{scope}")
                return asyncio.get_running_loop()

            @pytest.fixture(scope="{scope}")
            async def generator_{scope}():
                await asyncio.sleep(0)
                log("up-{scope}")
                yield asyncio.get_running_loop()
                await asyncio.sleep(0)
                log("down-{scope}")
    """
        for scope in scopes
    )
    names = ", ".join(f"plain_{scope}, generator_{scope}" for scope in scopes)
    test = f"""
            import asyncio

            class TestAll:
                async def test_first(self, {names}):
                    assert {{{names}}} == {{asyncio.get_running_loop()}}

                def test_sync(self, {names}):
                    assert len({{{names}}}) == 1
    """
    world.write(
        helper=_LOG,
        conftest="""
            import asyncio
            import pytest
            from helper import log
    """
        + kinds,
        test_a=test,
        test_b=test,
    )

    world.passes(4)

    log = _log(world)
    runs = {scope: log.count(f"plain-{scope}") for scope in scopes}
    assert runs == {"function": 4, "class": 2, "module": 2, "package": 1, "session": 1}
    for scope in scopes:
        assert log.count(f"up-{scope}") == log.count(f"down-{scope}") == runs[scope]
    assert log[-5:] == [
        "down-function",
        "down-class",
        "down-module",
        "down-package",
        "down-session",
    ]


@promise("fixture.uses")
def test_autouse_fixtures_surround_tests_that_do_not_name_them(world: World) -> None:
    world.write(
        test_a="""
            import asyncio
            import pytest

            seen = []

            @pytest.fixture(autouse=True, scope="module")
            async def for_module():
                seen.append("module")
                yield

            @pytest.fixture(autouse=True)
            async def for_each():
                await asyncio.sleep(0)
                seen.append("up")
                yield
                seen.append("down")

            class TestClass:
                @pytest.fixture(autouse=True)
                async def in_class(self):
                    seen.append("class")

                async def test_async(self):
                    assert seen == ["module", "up", "class"]

                def test_sync(self):
                    assert seen == ["module", "up", "class", "down", "up", "class"]

            @pytest.mark.usefixtures("named")
            async def test_usefixtures():
                assert seen[-1] == "named"

            @pytest.fixture
            async def named():
                seen.append("named")
        """,
    )

    world.passes(3)


@promise("fixture.uses")
def test_parametrized_fixtures_are_set_up_for_each_parameter(world: World) -> None:
    world.write(
        test_a="""
            import asyncio
            import pytest

            alive, seen = [], []

            @pytest.fixture(params=["a", "b"], ids=str.upper)
            async def letter(request):
                await asyncio.sleep(0)
                yield request.param

            @pytest.fixture(scope="module", params=[1, 2])
            async def number(request):
                alive.append(request.param)
                assert len(alive) == 1
                yield request.param
                alive.remove(request.param)

            async def test_async(letter, number):
                assert alive == [number]
                seen.append(letter + str(number))

            def test_sync(letter, number):
                assert alive == [number]
                seen.append(letter + str(number))

            def test_all_were_seen():
                assert sorted(seen) == sorted(2 * ["a1", "a2", "b1", "b2"])
        """,
    )

    world.passes(9)


@promise("fixture.uses")
def test_fixtures_are_overridden_at_every_level_in_either_kind(world: World) -> None:
    world.write(
        conftest="""
            import pytest

            @pytest.fixture
            async def value():
                return ["conftest"]

            @pytest.fixture
            def plain():
                return ["conftest"]
        """,
        test_a="""
            import asyncio
            import pytest

            @pytest.fixture
            async def value(value):
                await asyncio.sleep(0)
                yield [*value, "module"]

            @pytest.fixture
            async def plain(plain):
                return [*plain, "async"]

            class TestClass:
                @pytest.fixture
                def value(self, value, plain):
                    return [*value, *plain, "class"]

                async def test_class(self, value):
                    assert value == ["conftest", "module", "conftest", "async", "class"]

            async def test_module(value):
                assert value == ["conftest", "module"]

            @pytest.mark.parametrize("value", ["given"])
            async def test_a_parameter_overrides_too(value):
                assert value == "given"
        """,
    )

    world.passes(3)


@promise("fixture.uses")
def test_a_fixture_takes_request_and_arguments_of_any_name(world: World) -> None:
    world.write(
        test_a="""
            import pytest

            @pytest.fixture
            def function():
                return "function"

            @pytest.fixture(name="fixture")
            async def renamed(request, function):
                request.addfinalizer(lambda: print("finalized", request.fixturename))
                return request.node.name + function

            @pytest.fixture(scope="module")
            async def name(request):
                yield request.module.__name__

            async def test_it(request, fixture, name, arguments, generator):
                assert fixture == "test_itfunction"
                assert name == "test_a"
                assert arguments == generator == (fixture, "function")

            @pytest.fixture
            async def arguments(fixture, function, *, default=None):
                return fixture, function

            @pytest.fixture
            async def generator(fixture, function):
                yield fixture, function
        """,
    )

    result = world.run("-s")

    assert result.parseoutcomes() == {"passed": 1}
    assert result.stdout.str().count("finalized fixture") == 1
