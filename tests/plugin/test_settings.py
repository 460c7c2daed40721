"""Options: ini keys, flags and the mark; a wrong one is refused, with the valid ways."""

from __future__ import annotations

import pytest

from tests.plugin.world import World
from tests.promises import promise

INVALID = [
    ("loop", "twisted", "asyncio, uvloop, trio, MODULE:NAME"),
    ("loop", "uvloop:", "asyncio, uvloop, trio, MODULE:NAME"),
    ("lifespan", "maybe", "on, off, variables"),
    ("lifespan", "", "on, off, variables"),
    ("lifespan", "ON", "on, off, variables"),
    ("compat", "true", "on, off"),
    ("app", "main", "MODULE:NAME"),
    ("app", "main.py:app", "MODULE:NAME"),
    ("app", "./main:app", "MODULE:NAME"),
    ("app", "main:app:app", "MODULE:NAME"),
    ("schema", "tables", "PATH/alembic.ini"),
    ("schema", "schema.sql and more", "MODULE:NAME"),
    ("database", "oracle", "postgresql, sqlite, mongodb, redis"),
    ("database", "mysql://host/name", "postgresql://USER@HOST/NAME"),
    ("isolation", "rollback", "restore, clone, transaction, off"),
    ("database_keep", "yes", "on, off"),
]


@promise("settings.invalid")
@pytest.mark.parametrize(("option", "value", "valid"), INVALID)
def test_a_wrong_ini_value_is_refused_and_the_valid_ones_are_named(
    world: World, option: str, value: str, valid: str
) -> None:
    world.configure(f"asgi_{option} = {value}")
    world.write(test_a="async def test_a(): pass")

    result = world.run_in_process()

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    text = result.stderr.str()
    assert text.startswith(f"ERROR: asgi_{option}: {value!r} is not valid")
    assert valid in text


@promise("settings.invalid")
@pytest.mark.parametrize(("option", "value", "valid"), INVALID[:4])
def test_a_wrong_flag_is_refused_by_its_own_name(
    world: World, option: str, value: str, valid: str
) -> None:
    world.configure("asgi_loop = asyncio")
    world.write(test_a="async def test_a(): pass")

    result = world.run_in_process(f"--asgi-{option}={value}")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    text = result.stderr.str()
    assert text.startswith(f"ERROR: --asgi-{option}: {value!r} is not valid")
    assert valid in text


@promise("settings.invalid")
def test_a_flag_wins_over_an_ini_key_that_is_wrong(world: World) -> None:
    world.configure("asgi_lifespan = maybe")
    world.write(test_a="async def test_a(): pass")

    world.run_in_process("--asgi-lifespan=off").assert_outcomes(passed=1)


@promise("settings.invalid")
def test_an_unknown_option_is_refused_by_pytest_itself(world: World) -> None:
    world.configure("asgi_lifespam = off")
    world.write(test_a="async def test_a(): pass")

    result = world.run_in_process("--strict-config")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "asgi_lifespam" in result.stderr.str()


@promise("settings.invalid")
@pytest.mark.parametrize(
    ("ini", "flags"),
    [
        ("[pytest]\nasgi_lifespan = off", []),
        ("[pytest]\nasgi_lifespan = on", ["--asgi-lifespan=off"]),
        ("[pytest]\naddopts = --asgi-lifespan=off", []),
        ("[pytest]", ["--override-ini=asgi_lifespan=off"]),
        ("[pytest]", ["--asgi-lifespan", "off"]),
    ],
)
def test_every_way_to_set_an_option_is_read(world: World, ini: str, flags: list[str]) -> None:
    world.pytester.makeini(ini)
    world.write(test_a="async def test_a(): pass")

    result = world.run_in_process("--strict-config", *flags)

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["asgi: * lifespan off *"])


@promise("settings.invalid")
@pytest.mark.skipif(pytest.version_tuple < (9, 0), reason="the table came with pytest 9")
def test_pyproject_sets_options_in_its_native_table_too(world: World) -> None:
    world.pytester.makepyprojecttoml("[tool.pytest]\nasgi_lifespan = 'off'\nasgi_loop = 'asyncio'")
    world.write(test_a="async def test_a(): pass")

    result = world.run_in_process("--strict-config")

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["asgi: * lifespan off *"])


COUNTING_APP = """
    starts = []

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            await receive()
            starts.append(1)
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
        else:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": str(len(starts)).encode()})
"""


@promise("settings.mark")
def test_the_mark_changes_an_option_for_one_test(world: World) -> None:
    world.write(
        main=COUNTING_APP,
        test_a="""
            import pytest

            @pytest.mark.asgi(lifespan="off")
            async def test_without(client):
                assert (await client.get("/")).text == "0"

            @pytest.mark.asgi(lifespan="off")
            class TestClosest:
                async def test_of_the_class(self, client):
                    assert (await client.get("/")).text == "0"

                @pytest.mark.asgi(lifespan="on")
                def test_its_own(self, client):
                    assert client.get("/").text == "1"

            @pytest.mark.asgi()
            async def test_with(client):
                assert (await client.get("/")).text == "1"
        """,
    )

    result = world.run_in_process("--strict-markers")

    result.assert_outcomes(passed=4)


@promise("settings.mark")
def test_the_mark_checks_its_words(world: World) -> None:
    world.write(
        main=COUNTING_APP,
        test_a="""
            import pytest

            @pytest.mark.asgi(lifespan="maybe")
            async def test_value(client): pass

            @pytest.mark.asgi(lifespam="off")
            async def test_name(client): pass

            @pytest.mark.asgi("off")
            async def test_position(client): pass

            @pytest.mark.asgi(app="main:app")
            async def test_not_for_a_mark(client): pass
        """,
    )

    result = world.run_in_process()

    result.assert_outcomes(errors=4)
    result.stdout.fnmatch_lines(
        [
            "E *@pytest.mark.asgi(*): lifespan: 'maybe' is not valid; valid values: on, off, *",
            "E *@pytest.mark.asgi(*): there is no 'lifespam'*",
            "*Fix: Valid keywords: lifespan*",
            "E *@pytest.mark.asgi(*): 'off' has no name*",
            "E *@pytest.mark.asgi(*): there is no 'app'*",
        ]
    )


@promise("settings.mark")
def test_a_wrong_mark_is_reported_on_a_test_that_has_no_client(world: World) -> None:
    world.write(
        test_a="""
            import pytest

            @pytest.mark.asgi(lifespan="maybe")
            async def test_async(): pass

            @pytest.mark.asgi(lifespam="off")
            def test_sync(): pass
        """,
    )

    result = world.run_in_process()

    outcomes = result.parseoutcomes()
    assert "passed" not in outcomes
    assert outcomes.get("failed", 0) + outcomes.get("errors", 0) == 2


def test_a_conftest_may_load_the_plugin(world: World) -> None:
    world.write(
        conftest='pytest_plugins = ["pytest_asgi.plugin"]',
        test_a="""
            import asyncio
            import pytest

            @pytest.fixture
            async def loop():
                yield asyncio.get_running_loop()

            @pytest.mark.asyncio
            async def test_async(loop):
                assert asyncio.get_running_loop() is loop
        """,
    )

    result = world.pytester.runpytest_subprocess("-Werror", "--strict-markers")

    result.assert_outcomes(passed=1)
