"""What tests on trio are refused, and why."""

from __future__ import annotations

from pytest_asgi.errors import FixtureError


def clock_and_wider_fixture() -> FixtureError:
    """Return the error of a test that has its own clock and needs something that outlives it."""
    return FixtureError(
        "A test with a clock of its own asks for something that lives longer than the test.",
        why="`autojump_clock` and `mock_clock` give the test a run of trio of its own, which ends"
        " with it; a fixture of a wider scope, or the lifespan of the app, lives in the run that"
        " the other tests share.",
        fix="Give the fixture function scope, or start the app in the test:\n\n"
        "    async with AsyncClient(app) as client: …",
    )


def late_clock(name: str) -> FixtureError:
    """Return the error of a test that asks for a clock when it is running already."""
    return FixtureError(
        f"The fixture {name!r} was asked for in a test that has no clock of its own.",
        why="The clock belongs to the run of trio, which is made before the test begins; so"
        " `request.getfixturevalue` comes too late, and of two clocks there is only the first.",
        fix=f"Let the test, or a fixture that it names, take {name!r} as an argument.",
    )


def no_trio_test(name: str) -> FixtureError:
    """Return the error of a test that asks for a fixture of trio's and runs on asyncio."""
    return FixtureError(
        f"The fixture {name!r} is for tests on trio, and this test is none.",
        why="Tests run on asyncio unless a mark, their `anyio_backend` or `asgi_loop` says"
        " otherwise.",
        fix="Mark the test:\n\n    @pytest.mark.trio\n\nor set `asgi_loop = trio` for all.",
    )


def other_home(name: str) -> FixtureError:
    """Return the error of a test whose fixture lives elsewhere than the test runs."""
    return FixtureError(
        f"The async fixture {name!r} was set up for a test that ran elsewhere.",
        why="One of the two tests runs on trio and the other one on asyncio, or each on a run of"
        " trio with options of its own. What the fixture holds, such as a connection, belongs to"
        " where it was made, and a fixture of a wider scope is set up once, for the first test.",
        fix="Let it be set up for each backend:\n\n"
        "    @pytest.fixture(scope=…)\n"
        f"    async def {name}(anyio_backend): …\n\n"
        "where `anyio_backend` has at least the same scope and these backends as parameters; or"
        " give it function scope, or have a fixture for each.",
    )
