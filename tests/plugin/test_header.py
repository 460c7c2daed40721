"""The header says what was found, which loop there is, and who runs what and why."""

from __future__ import annotations

import pytest

from tests.plugin.world import World
from tests.promises import promise

ASYNCIO = "pytest_asyncio.plugin"
ANYIO = "anyio.pytest_plugin"


def lines_of_ours(result: pytest.RunResult) -> list[str]:
    return [line for line in result.outlines if line.startswith("asgi:")]


@promise("neighbour.header")
def test_alone_one_line_says_it_all(world: World) -> None:
    world.write(test_a="async def test_a(): pass")

    result = world.run_in_process()

    assert lines_of_ours(result) == [
        "asgi: app none found · loop asyncio, one per session · lifespan on · database none"
    ]


@promise("neighbour.header")
def test_a_quiet_run_has_no_header(world: World) -> None:
    world.write(test_a="async def test_a(): pass")

    assert lines_of_ours(world.run_in_process("-q")) == []


@promise("neighbour.header")
def test_tests_of_another_backend_are_counted_wherever_it_comes_from(world: World) -> None:
    world.write(
        test_a="""
            import pytest

            pytestmark = pytest.mark.anyio

            async def test_default(): pass

            @pytest.mark.parametrize("anyio_backend", ["trio"])
            async def test_parametrized(): pass

            def test_sync(anyio_backend): pass
        """,
        test_b="""
            import pytest

            @pytest.fixture(params=["asyncio", "trio", ("asyncio", {"use_uvloop": True})])
            def anyio_backend(request):
                return request.param

            @pytest.mark.anyio
            async def test_of_the_module(): pass

            @pytest.mark.asyncio
            async def test_of_asyncio(anyio_backend): pass
        """,
    )

    result = world.run(plugins=(ASYNCIO, ANYIO))

    result.assert_outcomes(passed=11)
    lines = lines_of_ours(result)
    assert lines[1].startswith("asgi: pytest-asyncio is installed and stands aside: one loop")
    assert lines[2:] == [
        "asgi: 1 test with another anyio_backend is run by anyio's plugin",
        "asgi: 3 tests run on trio",
    ]


@promise("neighbour.header")
def test_one_test_is_one_test(world: World) -> None:
    world.write(
        test_a="""
            import pytest

            @pytest.mark.anyio
            async def test_a(): pass
        """,
    )

    result = world.run(plugins=(ANYIO,))

    result.assert_outcomes(passed=2)
    assert lines_of_ours(result)[1:] == ["asgi: 1 test runs on trio"]


@promise("neighbour.header")
def test_tests_whose_backend_is_known_only_at_run_time_are_announced(world: World) -> None:
    world.write(
        test_a="""
            import pytest

            @pytest.fixture(scope="module")
            def anyio_backend():
                return "trio"

            @pytest.mark.anyio
            async def test_a(): pass
        """,
    )

    result = world.run(plugins=(ANYIO,))

    result.assert_outcomes(passed=1)
    assert any("anyio_backend" in line for line in lines_of_ours(result))
