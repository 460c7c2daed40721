"""FastAPI's `dependency_overrides` are put back after every test."""

from __future__ import annotations

import importlib

import pytest

from tests.plugin.world import World
from tests.promises import promise

MAIN = """
    from typing import Annotated
    from fastapi import Depends, FastAPI

    def user(): return "nobody"
    def role(): return "guest"

    app = FastAPI()
    other = FastAPI()
    app.mount("/other", other)

    @app.get("/")
    @other.get("/")
    def root(user: Annotated[str, Depends(user)], role: Annotated[str, Depends(role)]):
        return f"{user} {role}"
"""

UNTOUCHED = """
    async def test_{name}(client):
        assert (await client.get("/")).json() == "{expected}"
        assert (await client.get("/other/")).json() == "nobody guest"
"""


@promise("client.overrides")
@pytest.mark.parametrize(
    "statement",
    [
        "app.dependency_overrides[user] = lambda: 'ann'",
        "app.dependency_overrides.update({user: lambda: 'ann'})",
        "app.dependency_overrides = {user: lambda: 'ann'}",
        "app.dependency_overrides |= {user: lambda: 'ann'}",
    ],
)
@pytest.mark.parametrize("kind", ["async def", "def"])
def test_what_a_test_overrides_is_gone_for_the_next(
    world: World, statement: str, kind: str
) -> None:
    wait = "await " if kind == "async def" else ""
    world.write(
        main=MAIN,
        test_a=f"""
            from main import app, user

            {kind} test_overrides(client):
                {statement}
                assert ({wait}client.get("/")).json() == "ann guest"
        """,
        test_b=UNTOUCHED.format(name="b", expected="nobody guest"),
    )

    world.run_in_process().assert_outcomes(passed=2)


@promise("client.overrides")
def test_a_test_that_fails_or_clears_too_much_is_cleaned_up_as_well(world: World) -> None:
    world.write(
        main=MAIN,
        conftest="""
            import pytest
            from main import app, role

            app.dependency_overrides[role] = lambda: "admin"
        """,
        test_a="""
            from main import app, user

            async def test_fails(client):
                app.dependency_overrides[user] = lambda: "ann"
                raise LookupError

            async def test_clears_at_its_end(client):
                app.dependency_overrides[user] = lambda: "ann"
                app.dependency_overrides.clear()

            async def test_assigns_an_empty_dict(client):
                app.dependency_overrides = {}
                assert (await client.get("/")).json() == "nobody guest"
        """,
        test_b=UNTOUCHED.format(name="b", expected="nobody admin"),
    )

    world.run_in_process().assert_outcomes(passed=3, failed=1)


@promise("client.overrides")
def test_what_a_module_overrides_when_imported_stays(world: World) -> None:
    world.write(
        main=MAIN,
        test_a="""
            from main import app, role, user

            app.dependency_overrides[user] = lambda: "ann"

            async def test_first(client):
                assert (await client.get("/")).json() == "ann guest"
                app.dependency_overrides[role] = lambda: "admin"

            def test_second(client):
                assert client.get("/").json() == "ann guest"
        """,
    )

    world.run_in_process().assert_outcomes(passed=2)


@promise("client.overrides")
@pytest.mark.parametrize("kind", ["async def", "def"])
@pytest.mark.parametrize("scope", ["session", "module", "class"])
def test_what_a_wider_fixture_overrides_lives_as_long_as_the_fixture(
    world: World, scope: str, kind: str
) -> None:
    world.write(
        main=MAIN,
        conftest=f"""
            import pytest
            from main import app, role, user

            @pytest.fixture(scope="{scope}")
            {kind} as_ann():
                app.dependency_overrides[user] = lambda: "ann"
                yield
                del app.dependency_overrides[user]

            @pytest.fixture
            {kind} as_admin():
                app.dependency_overrides[role] = lambda: "admin"
        """,
        test_a="""
            import pytest

            @pytest.mark.usefixtures("as_ann")
            class TestAnn:
                async def test_alone(self, client):
                    assert (await client.get("/")).json() == "ann guest"

                async def test_with_a_function_scoped_one(self, client, as_admin):
                    assert (await client.get("/")).json() == "ann admin"

                def test_the_function_scoped_one_is_gone(self, client):
                    assert client.get("/").json() == "ann guest"
        """,
        test_b=UNTOUCHED.format(
            name="b", expected="ann guest" if scope == "session" else "nobody guest"
        ),
    )

    world.run_in_process().assert_outcomes(passed=4)


@promise("client.overrides")
def test_a_function_fixture_without_a_tear_down_is_put_back(world: World) -> None:
    world.write(
        main=MAIN,
        conftest="""
            import pytest
            from main import app, other, user

            @pytest.fixture(autouse=True)
            def override_everywhere(request):
                if "override" in request.node.name:
                    app.dependency_overrides[user] = other.dependency_overrides[user] = get_ann

            @pytest.fixture
            async def late(client):
                app.dependency_overrides[user] = lambda: "late"

            def get_ann():
                return "ann"
        """,
        test_a="""
            async def test_override(client):
                assert (await client.get("/")).json() == "ann guest"
                assert (await client.get("/other/")).json() == "ann guest"

            async def test_late(late, client):
                assert (await client.get("/")).json() == "late guest"
        """,
        test_b=UNTOUCHED.format(name="b", expected="nobody guest"),
    )

    world.run_in_process().assert_outcomes(passed=3)


@promise("client.overrides")
def test_overrides_work_with_clients_of_your_own_and_in_unittest_classes(world: World) -> None:
    world.write(
        main=MAIN,
        test_a="""
            import unittest
            from main import app, user
            from pytest_asgi import AsyncClient, TestClient

            class TestOld(unittest.TestCase):
                def setUp(self):
                    app.dependency_overrides[user] = lambda: "ann"

                def test_old(self):
                    assert TestClient(app).get("/").json() == "ann guest"

            async def test_own_client():
                app.dependency_overrides[user] = lambda: "bob"
                async with AsyncClient(app=app) as own:
                    assert (await own.get("/")).json() == "bob guest"
        """,
        test_b=UNTOUCHED.format(name="b", expected="nobody guest"),
    )

    world.run_in_process().assert_outcomes(passed=3)


LATE = """
    def test_before_anything_is_imported():
        import sys
        assert "fastapi" not in sys.modules

    def test_{name}(request):
        from main import app, other, role, user
        from pytest_asgi import TestClient

        assert TestClient(app).get("/").json() == "{expected}"
        app.dependency_overrides[user] = other.dependency_overrides[user] = lambda: "ann"
        app.dependency_overrides.pop(role, None)
        assert TestClient(app).get("/").json() == "ann guest"
"""


@promise("client.overrides")
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("in_a_body", LATE),
        (
            "in_a_fixture",
            LATE.replace("def test_{name}", "@__import__('pytest').fixture\n    def late")
            + "\n    def test_{name}(late): pass\n",
        ),
        ("in_an_async_body", LATE.replace("def test_{name}", "async def test_{name}")),
    ],
)
def test_an_app_that_a_test_imports_first_is_put_back(world: World, name: str, text: str) -> None:
    world.write(
        main=MAIN,
        test_a=text.format(name=name, expected="nobody guest"),
        test_b=UNTOUCHED.format(name="b", expected="nobody guest"),
    )

    world.run().assert_outcomes(passed=3)


@promise("client.overrides")
def test_what_a_module_overrides_stays_if_a_test_imports_it_first(world: World) -> None:
    world.write(
        main=MAIN,
        wired="""
            from main import app, other, role, user

            app.dependency_overrides[role] = lambda: "admin"
        """,
        test_a=LATE.replace("from main", "from wired").format(name="a", expected="nobody admin"),
        test_b=UNTOUCHED.format(name="b", expected="nobody admin"),
    )

    world.run().assert_outcomes(passed=3)


@promise("client.overrides")
def test_what_a_factory_overrides_stays_with_the_app_that_it_keeps(world: World) -> None:
    world.write(
        main=MAIN,
        made="""
            from functools import cache
            from fastapi import FastAPI
            import main

            class Shop(FastAPI):
                def __init__(self, title):
                    super().__init__(title=title)

            @cache
            def get_app():
                app = Shop("shop")
                app.get("/")(main.root)
                app.dependency_overrides[main.role] = lambda: "admin"
                return app
        """,
        test_a="""
            import pytest
            from main import user
            from made import get_app
            from pytest_asgi import AsyncClient

            @pytest.mark.parametrize("name", ["ann", "bob"])
            async def test_override(name):
                async with AsyncClient(app=get_app()) as own:
                    assert (await own.get("/")).json() == "nobody admin"
                    get_app().dependency_overrides[user] = lambda: name
                    assert (await own.get("/")).json() == f"{name} admin"
        """,
    )

    world.run_in_process().assert_outcomes(passed=2)


@promise("client.overrides")
@pytest.mark.parametrize("kind", ["async def", "def"])
@pytest.mark.parametrize(
    "statement",
    [
        "app.dependency_overrides[role] = lambda: 'admin'",
        "app.dependency_overrides = {role: lambda: 'admin', user: app.dependency_overrides[user]}",
    ],
)
def test_what_a_wider_fixture_overrides_stays_if_a_test_requests_it_late(
    world: World, kind: str, statement: str
) -> None:
    world.write(
        main=MAIN,
        test_a=f"""
            import pytest
            from main import app, role, user

            @pytest.fixture(scope="module")
            {kind} as_admin():
                {statement}
                yield app.dependency_overrides
                del app.dependency_overrides[role]

            async def test_requests(client, request):
                app.dependency_overrides[user] = lambda: "ann"
                request.getfixturevalue("as_admin")
                assert (await client.get("/")).json() == "ann admin"
                app.dependency_overrides.clear()

            async def test_uses(client, as_admin):
                assert (await client.get("/")).json() == "nobody admin"
                assert app.dependency_overrides is as_admin
        """,
        test_b=UNTOUCHED.format(name="b", expected="nobody guest"),
    )

    world.run_in_process().assert_outcomes(passed=3)


@promise("client.overrides")
def test_what_a_wider_fixture_takes_back_late_stays_taken_back(world: World) -> None:
    world.write(
        main=MAIN,
        test_a="""
            import pytest
            from main import app, role

            app.dependency_overrides[role] = lambda: "admin"

            @pytest.fixture(scope="module")
            def as_guest():
                del app.dependency_overrides[role]
                import fastapi
                made = fastapi.FastAPI()
                return made, made.dependency_overrides

            async def test_requests(client, request):
                app.dependency_overrides[role] = lambda: "owner"
                _, overrides = request.getfixturevalue("as_guest")
                overrides[role] = lambda: "of a test"

            async def test_uses(client, as_guest):
                assert (await client.get("/")).json() == "nobody guest"
                assert as_guest[0].dependency_overrides == {}
        """,
    )

    world.run_in_process().assert_outcomes(passed=2)


@promise("client.overrides", "client.lifespan")
def test_what_a_lifespan_overrides_lives_as_long_as_the_lifespan(world: World) -> None:
    world.write(
        main=MAIN.replace("app = FastAPI()", "app = FastAPI(lifespan=lambda app: wired(app))")
        + """
    from contextlib import asynccontextmanager

    @asynccontextmanager
    async def wired(app):
        app.dependency_overrides[role] = lambda: "admin"
        yield
        del app.dependency_overrides[role]
""",
        test_a="""
            import pytest

            class TestFresh:
                @pytest.fixture
                def app(self):
                    import main
                    return main.app

                async def test_one(self, client):
                    assert (await client.get("/")).json() == "nobody admin"

                async def test_two(self):
                    import main
                    assert main.app.dependency_overrides == {}
        """,
        test_b=UNTOUCHED.format(name="first", expected="nobody admin")
        + UNTOUCHED.format(name="second", expected="nobody admin"),
    )

    world.run_in_process().assert_outcomes(passed=4)


@promise("client.overrides")
def test_a_dictionary_that_a_wider_fixture_hands_out_is_put_back(world: World) -> None:
    world.write(
        main=MAIN,
        conftest="""
            import pytest
            from main import app

            kept = app.dependency_overrides

            @pytest.fixture(scope="session")
            def overrides():
                return kept
        """,
        test_a="""
            from main import user

            async def test_a(client, overrides):
                overrides[user] = lambda: "ann"
                assert (await client.get("/")).json() == "ann guest"
        """,
        test_b=UNTOUCHED.format(name="b", expected="nobody guest"),
    )

    world.run_in_process().assert_outcomes(passed=2)


@promise("client.overrides", "run.reruns")
def test_a_test_that_runs_again_begins_without_what_it_has_set(world: World) -> None:
    world.write(
        main=MAIN,
        test_a="""
            import pytest
            from main import app, user

            runs = []

            @pytest.mark.flaky(reruns=2)
            async def test_fails_twice(client):
                assert (await client.get("/")).json() == "nobody guest"
                app.dependency_overrides[user] = lambda: "ann"
                runs.append(1)
                assert len(runs) == 3
        """,
        test_b=UNTOUCHED.format(name="b", expected="nobody guest"),
    )

    result = world.run(plugins=("pytest_rerunfailures",))

    assert result.parseoutcomes() == {"passed": 2, "rerun": 2}


@promise("client.overrides")
def test_fastapi_is_left_as_it_was_when_the_run_is_over(world: World) -> None:
    fastapi = importlib.import_module("fastapi")  # the run finds it imported, and uses it
    before = dict(vars(fastapi.FastAPI))
    world.write(
        main=MAIN,
        test_a="""
            from fastapi import FastAPI
            from main import app, user

            async def test_a(client):
                app.dependency_overrides[user] = lambda: "ann"
                assert isinstance(FastAPI.dependency_overrides, object)
                assert not hasattr(FastAPI.__new__(FastAPI), "dependency_overrides")
        """,
        test_b=UNTOUCHED.format(name="b", expected="nobody guest"),
    )

    world.run_in_process().assert_outcomes(passed=2)

    assert dict(vars(fastapi.FastAPI)) == before
