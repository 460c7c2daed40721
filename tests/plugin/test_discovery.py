"""The app is found by reading files; it is imported when a test asks for it, and not before."""

from __future__ import annotations

import pytest

from tests.plugin.world import World
from tests.promises import promise

APP = """
async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": __name__.encode()})
"""

ASKS = """
    import pytest

    @pytest.mark.asgi(lifespan="off")
    async def test_a(client):
        assert (await client.get("/")).text == {expected!r}
"""


def factory(signature: str) -> str:
    return APP.replace("def app(", "def _app(") + f"{signature}:\n    return _app\n"


LAYOUTS = [
    ("main.py", APP, "main:app"),
    ("app.py", APP, "app:app"),
    ("asgi.py", APP, "asgi:app"),
    ("app/main.py", APP, "app.main:app"),
    ("app/app.py", APP, "app.app:app"),
    ("app/__init__.py", APP, "app:app"),
    ("src/shop/main.py", APP, "shop.main:app"),
    ("src/shop/app.py", APP, "shop.app:app"),
    ("src/shop/asgi.py", APP, "shop.asgi:app"),
    ("backend/main.py", APP, "backend.main:app"),
    ("main.py", APP.replace("def app(", "def application("), "main:application"),
    ("main.py", factory("def create_app()"), "main:create_app()"),
    ("main.py", factory("def create_app(settings=None, *, debug=False)"), "main:create_app()"),
    ("main.py", factory("def create_app()") + "app = create_app()\n", "main:app"),
    ("main.py", factory("def create_app()") + "app: object = create_app()\n", "main:app"),
    ("main.py", factory("def create_app()") + "app = api = create_app()\n", "main:app"),
    ("main.py", factory("def create_app()") + "app, x = create_app(), 1\n", "main:app"),
    ("main.py", factory("def create_app()") + "if True:\n    app = create_app()\n", "main:app"),
    (
        "main.py",
        factory("def create_app()") + "try:\n    app = _app\nfinally: x = 1\n",
        "main:app",
    ),
    (
        "main.py",
        factory("def create_app()") + "with open(__file__):\n    app = _app\n",
        "main:app",
    ),
    ("main.py", factory("def create_app()") + "(app := _app)\n", "main:app"),
    ("main.py", "from package.made import made as app\n", "main:app"),
    ("main.py", factory("async def create_app()"), "main:create_app()"),
    (
        "main.py",
        factory("def create_app()") + "if __name__ == '__main__':\n    app = create_app()\n",
        "main:create_app()",
    ),
    (
        "main.py",
        factory("def create_app()") + "if '__main__' == __name__: pass\nelse:\n    app = _app\n",
        "main:app",
    ),
    (
        "main.py",
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from package import app\n" + factory("def create_app()"),
        "main:create_app()",
    ),
    ("main.py", "app: object\n" + factory("def create_app()"), "main:create_app()"),
    ("main.py", factory("def create_app()") + "[app for app in ()]\n", "main:create_app()"),
    ("shop/__init__.py", factory("def create_app()"), "shop:create_app()"),
    ("src/shop/__init__.py", factory("def create_app()"), "shop:create_app()"),
    # The imports of the module tell which folder it is imported from.
    ("src/main.py", APP, "main:app"),
    ("src/main.py", APP + "import src.neighbour\n", "src.main:app"),
    ("src/main.py", APP + "from .neighbour import nothing\n", "src.main:app"),
    ("src/main.py", APP + "import neighbour\n", "main:app"),
    ("src/shop/main.py", APP + "import src.shop.neighbour\n", "src.shop.main:app"),
    ("src/shop/main.py", APP + "import shop.neighbour\n", "shop.main:app"),
    ("src/shop/main.py", APP + "import neighbour\n", "main:app"),
    ("backend/main.py", APP + "import neighbour\n", "main:app"),
    ("backend/main.py", APP + "from . import neighbour\n", "backend.main:app"),
    ("app/main.py", "from app import neighbour\n" + APP, "app.main:app"),
    ("app/main.py", APP + "import neighbour\n", "main:app"),
]


@promise("client.discovery")
@pytest.mark.parametrize(("file", "text", "expected"), LAYOUTS)
def test_each_layout_is_found(world: World, file: str, text: str, expected: str) -> None:
    path = world.pytester.path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.with_name("neighbour.py").write_text("nothing = None\n")
    world.write(
        package__made=APP.replace("def app", "def made"),
        tests__test_a="""
            async def test_a(client):
                assert (await client.get("/")).status_code == 200
        """,
    )

    result = world.run_in_process()

    result.stdout.fnmatch_lines([f"asgi: app {expected} ({file}) *"])
    result.assert_outcomes(passed=1)


@promise("client.discovery")
def test_of_several_candidates_the_first_is_taken_and_named(world: World) -> None:
    world.write(
        main="import os\nhandler = None\n",
        app__main=APP,
        src__shop__main=APP,
        tests__main=APP,
        test_a=ASKS.format(expected="app.main"),
    )

    result = world.run_in_process()

    result.stdout.fnmatch_lines(["asgi: app app.main:app (app/main.py) *"])
    result.assert_outcomes(passed=1)


@promise("client.discovery")
def test_apps_of_folders_that_are_no_packages_are_not_found(world: World) -> None:
    for folder in ("tests", "docs", "examples", "scripts", ".hidden", ".venv"):
        (world.pytester.mkdir(folder) / "main.py").write_text(APP)
    world.write(test_a="async def test_a(): pass")

    result = world.run_in_process("test_a.py")

    result.stdout.fnmatch_lines(["asgi: app none found *"])


@promise("client.discovery")
@pytest.mark.parametrize(
    ("form", "value"),
    [
        ("ini", "package.web:app"),
        ("ini", "package.web:create"),
        ("ini", "package.web:create()"),
        ("ini", "package.web:Holder.app"),
        ("ini", "package.web:Holder.create"),
        ("flag", "package.web:app"),
    ],
)
def test_the_option_names_an_app_or_what_makes_it(world: World, form: str, value: str) -> None:
    world.configure(f"asgi_app = {value if form == 'ini' else 'main:app'}")
    world.write(
        main="raise AssertionError('not to be imported')\napp = 1",
        package__web=APP
        + """
class Holder:
    app = staticmethod(app)

    @staticmethod
    def create():
        return app

create = Holder.create
""",
        test_a=ASKS.format(expected="package.web"),
    )
    flags = [f"--asgi-app={value}"] if form == "flag" else []

    result = world.run_in_process(*flags)

    result.stdout.fnmatch_lines([f"asgi: app {value} (asgi_app) *"])
    result.assert_outcomes(passed=1)


FUNCTIONS = [
    ("@functools.cache\ndef made(): return app", "factory"),
    ("made = functools.partial(lambda given: given, app)", "factory"),
    ("class Maker:\n    def make(self): return app\nmade = Maker().make", "factory"),
    ("def made(*middleware, **options): return app", "factory"),
    ("async def made(debug=False): return app", "factory"),
    ("async def made(*call): await app(*call)", "app"),
    ("def made(scope, receive, send): return app(scope, receive, send)", "app"),
    ("class Made:\n    async def __call__(self, *call): await app(*call)\nmade = Made()", "app"),
]


@promise("client.discovery")
@pytest.mark.parametrize(("text", "kind"), FUNCTIONS)
def test_a_function_that_makes_the_app_is_told_from_an_app(
    world: World, text: str, kind: str
) -> None:
    world.configure("asgi_app = web:made")
    world.write(
        web=f"import functools\n{APP}\n{text}\n",
        test_a=f"""
            import pytest
            import web

            @pytest.mark.asgi(lifespan="off")
            async def test_a(client, asgi_app):
                assert asgi_app is web.{"made" if kind == "app" else "app"}
                assert (await client.get("/")).text == "web"
        """,
    )

    world.run_in_process().assert_outcomes(passed=1)


@promise("client.discovery", "loop.one")
@pytest.mark.parametrize("first", ["async def", "def"])
def test_an_async_factory_is_awaited_once_on_the_loop_of_the_tests(
    world: World, first: str
) -> None:
    world.write(
        main=APP.replace("async def app", "async def served")
        + """
import asyncio
loops = []

async def create_app():
    await asyncio.sleep(0)
    loops.append(asyncio.get_running_loop())
    return served
""",
        test_a=f"""
            import asyncio

            {first} test_first(asgi_app): pass

            async def test_second(asgi_app):
                import main
                assert main.loops == [asyncio.get_running_loop()]
                assert asgi_app is main.served
        """,
    )

    world.run_in_process().assert_outcomes(passed=2)


@promise("client.not-found")
@pytest.mark.parametrize("named", ["", "main:create_app", "main:create_app()"])
@pytest.mark.parametrize(
    ("signature", "call"),
    [
        ("def create_app(settings)", "return create_app(settings=…)"),
        ("def create_app(settings, *, db, debug=False)", "return create_app(settings=…, db=…)"),
        ("async def create_app(*, settings)", "return await create_app(settings=…)"),
    ],
)
def test_a_factory_that_needs_arguments_is_explained(
    world: World, named: str, signature: str, call: str
) -> None:
    world.configure(f"asgi_app = {named}")
    world.write(main=factory(signature), test_a="async def test_a(client): pass")

    result = world.run_in_process()

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [
            "E *AppNotFoundError: main:create_app* cannot be called: it needs settings*",
            "* from main import create_app",
            "*@pytest.fixture(scope=*session*)",
            "*def app():",
            f"*{call}",
        ]
    )
    result.stdout.no_fnmatch_line("*TypeError*")


@promise("client.discovery")
def test_a_factory_that_needs_arguments_is_the_last_choice(world: World) -> None:
    world.write(
        main=factory("def create_app(settings)"),
        src__shop__asgi=APP,
        test_a=ASKS.format(expected="shop.asgi"),
    )

    world.run_in_process().assert_outcomes(passed=1)


@promise("client.discovery")
@pytest.mark.parametrize(
    "text", ["app = typer.Typer()", "app = Celery('tasks')", "app: Flask = flask.Flask('web')"]
)
def test_an_app_of_another_kind_is_none(world: World, text: str) -> None:
    world.write(main=text, app__main=APP, test_a=ASKS.format(expected="app.main"))

    world.run_in_process().assert_outcomes(passed=1)


@promise("client.discovery")
def test_a_module_that_the_tests_import_by_another_name_is_not_imported_twice(
    world: World,
) -> None:
    world.configure("pythonpath = .")
    world.write(
        src__shop__main=APP,
        test_a="""
            import src.shop.main

            async def test_a(asgi_app):
                assert asgi_app is src.shop.main.app
        """,
    )

    world.run_in_process().assert_outcomes(passed=1)


@promise("client.discovery")
def test_a_named_module_may_lie_in_src(world: World) -> None:
    world.configure("asgi_app = shop.web:app")
    world.write(src__shop__web=APP, test_a=ASKS.format(expected="shop.web"))

    world.run_in_process().assert_outcomes(passed=1)


@promise("client.discovery")
def test_the_installed_copy_of_a_package_is_taken_if_the_tests_use_it(world: World) -> None:
    world.configure("pythonpath = installed")
    world.write(
        src__shop__main=APP,
        installed__shop__main=APP,
        installed__shop____init__="",
        test_a="""
            import shop.main

            async def test_a(asgi_app):
                assert asgi_app is shop.main.app
        """,
    )

    world.run_in_process().assert_outcomes(passed=1)


@promise("client.not-found")
@pytest.mark.parametrize("text", [APP, ""])
def test_another_module_of_the_same_name_is_not_mistaken_for_the_apps(
    world: World, text: str
) -> None:
    world.write(
        main=APP,
        tests__main=text,
        tests__test_a="import main\nasync def test_a(client): pass",
    )

    result = world.run_in_process()

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["E *main.py cannot be imported as main: main is another module (*tests?main.py)."]
    )


@promise("client.not-found")
def test_a_folder_with_the_name_of_a_standard_module_is_explained(world: World) -> None:
    world.write(time__main=APP, test_a="async def test_a(client): pass")

    result = world.run_in_process()

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["E *time?main.py cannot be imported as time.main: time is another module (built into*"]
    )


@promise("client.not-found")
def test_a_named_module_that_is_not_there_is_explained(world: World) -> None:
    world.configure("asgi_app = shopp.main:app")
    world.write(shop__main=APP, test_a="async def test_a(client): pass")

    result = world.run_in_process()

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["E *AppNotFoundError: shopp.main:app cannot be imported: No module named 'shopp'."]
    )


@promise("client.not-found")
@pytest.mark.parametrize("call", ["uvicorn.run(app)", "app.run(debug=True)"])
def test_a_module_that_starts_a_server_is_not_imported(world: World, call: str) -> None:
    world.write(
        main="import sys\nuvicorn = sys\n" + APP + f"\n{call}\n",
        test_a="async def test_a(client): pass",
    )

    result = world.run_in_process()

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [
            "E *AppError: main.py starts a server when it is imported, in line 9.",
            "*if __name__ == *__main__*",
        ]
    )


@promise("client.discovery")
@pytest.mark.parametrize(
    "call",
    [
        "if __name__ == '__main__':\n    uvicorn.run(app)",
        "if None:\n    uvicorn.run(app)",
        "def serve():\n    uvicorn.run(app)",
    ],
)
def test_a_server_that_starts_on_a_condition_is_no_obstacle(world: World, call: str) -> None:
    world.write(main=f"{APP}\n{call}\n", test_a=ASKS.format(expected="main"))

    world.run_in_process().assert_outcomes(passed=1)


@promise("client.discovery")
def test_fastapis_own_entry_point_comes_before_main(world: World) -> None:
    world.pytester.makepyprojecttoml("[tool.fastapi]\nentrypoint = 'backend.web:app'")
    world.write(main=APP, backend__web=APP, test_a=ASKS.format(expected="backend.web"))

    result = world.run_in_process()

    result.stdout.fnmatch_lines(["asgi: app backend.web:app (pyproject.toml [[]tool.fastapi]) *"])
    result.assert_outcomes(passed=1)


@promise("client.discovery")
@pytest.mark.parametrize(
    "text",
    [
        "[tool.fastapi]\n",
        "[tool]\nfastapi = 1\n",
        "[tool.fastapi]\nentrypoint = 3\n",
        "[tool.fastapi]\nentrypoint = 'main'\n",
        "[tool]\nentrypoint = 'fastapi:app'\n",
        "tool = 1  # fastapi\n",
        "[[tool]]\nfastapi = {entrypoint = 'other:app'}\n",
        "[tool.fastapi\n",
        "fastapi = 'other:app'\n",
    ],
)
def test_a_pyproject_without_an_entry_point_is_no_obstacle(world: World, text: str) -> None:
    world.write(main=APP, test_a=ASKS.format(expected="main"))
    (world.pytester.path / "pytest.ini").write_text("[pytest]")
    (world.pytester.path / "pyproject.toml").write_text(text)

    # Without -c pytest reads the other one too, and refuses what is no table.
    world.run_in_process("-cpytest.ini").assert_outcomes(passed=1)


@promise("client.discovery")
def test_a_hook_of_the_project_gives_the_app(world: World) -> None:
    world.write(
        main="raise AssertionError('not to be imported')\napp = 1",
        web=APP,
        conftest="""
            def pytest_asgi_find_app(config):
                import web
                return web.app
        """,
        test_a=ASKS.format(expected="web"),
    )

    world.run_in_process().assert_outcomes(passed=1)


@promise("client.discovery")
def test_nothing_is_imported_before_a_test_asks(world: World) -> None:
    world.write(
        main="open('imported.txt', 'w').close()\n" + APP,
        test_a="""
            import sys

            async def test_without(): assert "main" not in sys.modules
            def test_sync(): assert "main" not in sys.modules
        """,
        test_b="async def test_with(client): pass",
    )
    trace = world.pytester.path / "imported.txt"

    result = world.run_in_process("test_a.py")
    collected = world.run_in_process("--collect-only")
    listed = world.run_in_process("--fixtures")

    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["asgi: app main:app (main.py) *"])
    assert collected.ret == listed.ret == 0
    assert not trace.exists()
    world.run_in_process().assert_outcomes(passed=3)
    assert trace.exists()


@promise("client.not-found")
def test_without_an_app_only_tests_that_ask_for_one_fail_and_are_told_what_to_add(
    world: World,
) -> None:
    world.write(
        test_a="""
            async def test_without(): pass
            async def test_async(client): pass
            def test_sync(client): pass
            def test_app(asgi_app): pass
        """,
    )

    result = world.run_in_process()

    result.assert_outcomes(passed=1, errors=3)
    result.stdout.fnmatch_lines(
        [
            "asgi: app none found *",
            "E *AppNotFoundError: No app was found in *",
            '*asgi_app = "package.module:app"*',
            "*def app():*",
        ]
    )
    result.stdout.no_fnmatch_line("*pytest_asgi/plugin/*.py:*")


@promise("client.not-found")
def test_the_line_to_add_is_the_one_that_works(world: World) -> None:
    world.write(package__module=APP, test_a=ASKS.format(expected="package.module"))
    before = world.run_in_process()
    line = next(line for line in before.outlines if "asgi_app =" in line).removeprefix("E").strip()
    heading = next(line for line in before.outlines if "[tool.pytest" in line).removeprefix("E")

    world.pytester.makepyprojecttoml(f"{heading.strip()}\n{line}\n")
    after = world.run_in_process()

    before.assert_outcomes(errors=1)
    after.assert_outcomes(passed=1)


BROKEN = [
    (
        "import not_installed_at_all\napp = 1",
        "ModuleNotFoundError: No module named 'not_installed_at_all'",
    ),
    ("app = 1 / 0", "ZeroDivisionError: division by zero"),
    ("from os import nothing_like_it as app", "ImportError: cannot import name 'nothing_like_it'"),
    ("app = undefined_name", "NameError: name 'undefined_name' is not defined"),
    ("app = object.missing", "AttributeError: type object 'object' has no attribute 'missing'"),
    ("def create_app():\n    raise KeyError('DATABASE_URL')", "KeyError: 'DATABASE_URL'"),
    ("def create_app():\n    return object.missing", "AttributeError: type object 'object'"),
]


@promise("client.not-found", "client.discovery")
@pytest.mark.parametrize(("text", "error"), BROKEN)
def test_a_module_that_is_broken_shows_its_own_error(world: World, text: str, error: str) -> None:
    world.write(main=text, test_a="async def test_a(client): pass\nasync def test_b(): pass")

    result = world.run_in_process()

    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines([f"E *{error}*"])
    result.stdout.fnmatch_lines(["*main.py:*: *"])
    result.stdout.no_fnmatch_line("*AppNotFoundError*")


@promise("client.not-found")
@pytest.mark.parametrize(
    ("value", "text", "reason"),
    [
        ("main:missing", APP, "main:missing does not exist"),
        ("main:app.missing", APP, "main:app.missing does not exist"),
        ("main:app", "app = 3", "main:app is no ASGI app: 3"),
        ("main:create()", "def create(): return 3", "main:create() is no ASGI app: 3"),
        ("main:create()", "def create(): pass", "main:create() is no ASGI app: None"),
    ],
)
def test_an_option_that_names_no_app_is_explained(
    world: World, value: str, text: str, reason: str
) -> None:
    world.configure(f"asgi_app = {value}")
    world.write(main=text, test_a="async def test_a(client): pass")

    result = world.run_in_process()

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"E *AppNotFoundError: {reason}*", "*asgi_app*module:name*"])


@promise("client.discovery")
def test_a_file_that_cannot_be_parsed_does_not_break_the_run(world: World) -> None:
    world.write(main="def app(:", test_a="async def test_a(): pass")
    (world.pytester.path / "app.py").write_bytes(b"\xff\x00")

    world.run_in_process().assert_outcomes(passed=1)


@promise("client.discovery")
def test_a_file_that_python_warns_about_is_read_as_well(world: World) -> None:
    world.write(main=APP + r'pattern = "\d"', test_a="async def test_a(): pass")

    result = world.run_in_process()

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["asgi: app main:app (main.py) *"])


@promise("client.discovery")
def test_djangos_asgi_application_is_found(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("django")
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "site_settings")
    world.write(
        site_settings="""
            SECRET_KEY = "x"
            ROOT_URLCONF = "site_urls"
            ASGI_APPLICATION = "site_web.served"
            ALLOWED_HOSTS = ["*"]
        """,
        site_urls="""
            from django.http import HttpResponse
            from django.urls import path

            async def hello(request):
                return HttpResponse("hello")

            urlpatterns = [path("", hello)]
        """,
        site_web="""
            from django.core.asgi import get_asgi_application

            served = get_asgi_application()
        """,
        test_a="""
            async def test_async(client):
                assert (await client.get("/")).text == "hello"

            def test_sync(client):
                assert client.get("/").text == "hello"
        """,
    )

    result = world.run()

    result.stdout.fnmatch_lines(["asgi: app site_settings:ASGI_APPLICATION *"])
    result.assert_outcomes(passed=2)


@promise("client.discovery")
def test_django_without_the_setting_gives_its_default_app(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("django")
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "site_settings")
    world.write(
        site_settings="""
            SECRET_KEY = "x"
            ROOT_URLCONF = "site_urls"
            ALLOWED_HOSTS = ["*"]
        """,
        site_urls="""
            from django.http import HttpResponse
            from django.urls import path

            urlpatterns = [path("", lambda request: HttpResponse("hello"))]
        """,
        test_a="""
            async def test_a(client):
                assert (await client.get("/")).text == "hello"
        """,
    )

    world.run().assert_outcomes(passed=1)
