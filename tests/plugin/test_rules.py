"""The option `asgi_rules`: what happens in a suite whose app breaks a rule."""

from __future__ import annotations

import pytest

from tests.plugin.world import World
from tests.promises import promise

BROKEN_APP = """
    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            return
        start = {"type": "http.response.start", "status": 200, "headers": [(b"x-a", b"1\\n2")]}
        await send(start)
        await send({"type": "http.response.body", "body": b"Hello"})
"""


@promise("rules.told")
def test_a_broken_rule_fails_the_test_and_names_rule_message_place_and_fix(world: World) -> None:
    world.write(
        main=BROKEN_APP,
        test_a="""
            async def test_async(client):
                await client.get("/")

            def test_sync(client):
                client.get("/")
        """,
    )

    result = world.run_in_process()

    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            "E *ProtocolError: The app sent 'http.response.start', whose header b'x-a' is *",
            "E *{'type': 'http.response.start', 'status': 200, *",
            "E *sent at *main.py:6 in app",
            "E *Why: *https://www.rfc-editor.org/rfc/rfc9110#section-5.5",
            "E *Fix: *",
            "E *Rule: header.value-characters",
        ]
    )


@promise("rules.set")
@pytest.mark.parametrize(
    ("mode", "outcomes"),
    [
        ("error", {"failed": 2}),
        ("strict", {"failed": 2}),
        ("warn", {"passed": 2, "warnings": 2}),
        ("off", {"passed": 2}),
    ],
)
def test_the_option_says_how_loud_a_broken_rule_is(
    world: World, mode: str, outcomes: dict[str, int]
) -> None:
    world.configure(f"asgi_rules = {mode}")
    world.write(
        main=BROKEN_APP,
        test_a="""
            from main import app
            from pytest_asgi import AsyncClient

            async def test_fixture(client):
                assert (await client.get("/")).text == "Hello"

            async def test_own_client():
                assert (await AsyncClient(app).get("/")).text == "Hello"
        """,
    )

    world.run_in_process("-Wdefault").assert_outcomes(**outcomes)


@promise("rules.set")
def test_the_mark_says_it_for_one_test(world: World) -> None:
    world.write(
        main=BROKEN_APP,
        test_a="""
            import pytest

            @pytest.mark.asgi(rules="off")
            async def test_async(client):
                assert (await client.get("/")).text == "Hello"

            @pytest.mark.asgi(rules="off")
            def test_sync(client):
                assert client.get("/").text == "Hello"

            def test_of_the_project(client):
                client.get("/")

            async def test_of_the_project_too(client):
                await client.get("/")
        """,
    )

    world.run_in_process().assert_outcomes(passed=2, failed=2)


@promise("rules.set")
def test_a_lifespan_follows_the_option_of_the_session(world: World) -> None:
    world.configure("asgi_rules = warn")
    world.write(
        main="""
            async def app(scope, receive, send):
                await receive()
                await send({"type": "lifespan.startup.complete"})
                await send({"type": "lifespan.startup.complete"})
                await receive()
                await send({"type": "lifespan.shutdown.complete"})
        """,
        test_a="def test_a(client): pass",
    )

    world.run_in_process("-Wdefault").assert_outcomes(passed=1, warnings=1)


@promise("rules.set")
def test_a_test_changes_the_rules_for_no_other(world: World) -> None:
    world.write(
        test_a="""
            import pytest
            from pytest_asgi.asgi.modes import rules_mode

            @pytest.mark.asgi(rules="warn")
            @pytest.mark.parametrize("_", [1, 2])
            def test_marked(_):
                assert rules_mode.get() == "warn"

            def test_plain():
                assert rules_mode.get() == "error"

            @pytest.mark.asgi(rules="off")
            async def test_marked_too():
                assert rules_mode.get() == "off"

            async def test_plain_too():
                assert rules_mode.get() == "error"
        """
    )

    world.run_in_process().assert_outcomes(passed=5)
