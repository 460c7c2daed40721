"""Django's ORM with our databases, and beside pytest-django, which has databases of its own."""

from __future__ import annotations

from contextlib import closing
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from pytest_asgi.adapters.openers import Openers
from pytest_asgi.database.targets import Target
from tests.promises import promise

if TYPE_CHECKING:
    from tests.plugin.world import World

_MODELS = """
    from django.db import models

    class User(models.Model):
        email = models.CharField(max_length=100, unique=True)

        class Meta:
            db_table = "users"
"""
_MIGRATION = """
    from django.db import migrations, models

    class Migration(migrations.Migration):
        initial = True
        operations = [
            migrations.CreateModel(
                "User",
                [
                    ("id", models.BigAutoField(primary_key=True, serialize=False)),
                    ("email", models.CharField(max_length=100, unique=True)),
                ],
                options={"db_table": "users"},
            )
        ]
"""
_URLS = """
    from asgiref.sync import sync_to_async
    from django.db import transaction
    from django.http import HttpResponse
    from django.urls import path

    from shop.models import User

    def sign_up(request, email):
        with transaction.atomic():
            User.objects.create(email=email)
        return HttpResponse(status=201)

    async def sign_up_async(request, email):
        await User.objects.acreate(email=email)
        return HttpResponse(status=201)

    async def sign_up_in_a_thread(request, email):
        return await sync_to_async(sign_up)(request, email)

    urlpatterns = [
        path("sync/<email>", sign_up),
        path("async/<email>", sign_up_async),
        path("thread/<email>", sign_up_in_a_thread),
    ]
"""
_SETTINGS = """
    SECRET_KEY = "not secret"
    ALLOWED_HOSTS = ["*"]
    ROOT_URLCONF = "shop.urls"
    INSTALLED_APPS = ["shop"]
    USE_TZ = True
    DATABASES = {{"default": {database}}}
"""
_SQLITE = {"ENGINE": "django.db.backends.sqlite3", "NAME": "shop.db"}
_POSTGRESQL = {
    "ENGINE": "django.db.backends.postgresql",
    "NAME": "shop",
    "HOST": "production.example",
    "USER": "shop",
    "PASSWORD": "secret",
}


def _write_shop(world: World, database: dict[str, object]) -> None:
    world.write(
        shop__settings=dedent(_SETTINGS).format(database=database),
        shop__models=_MODELS,
        shop__urls=_URLS,
        shop__migrations__0001_initial=_MIGRATION,
    )
    for folder in ("shop", "shop/migrations"):
        world.pytester.path.joinpath(folder, "__init__.py").touch()


@promise("database.django")
@pytest.mark.parametrize("database", [_SQLITE, _POSTGRESQL], ids=["sqlite", "postgresql"])
def test_django_uses_the_private_database_in_views_of_every_kind(
    world: World, database: dict[str, object]
) -> None:
    _write_shop(world, database)
    world.configure("pythonpath = .\nasgi_schema = schema:migrate\nasgi_n_plus_one = error")
    world.write(
        conftest="""
            import os

            import django

            os.environ["DJANGO_SETTINGS_MODULE"] = "shop.settings"
            django.setup()
        """,
        schema="""
            from django.core.management import call_command
            from django.db import connections

            def migrate():
                call_command("migrate", verbosity=0)
                connections.close_all()
        """,
        test_a="""
            import pytest
            from pytest_asgi import Inserted
            from shop.models import User

            def test_the_database_is_known_before_django_connects(db):
                assert db.count("users") == 0

            @pytest.mark.parametrize("view", ["sync", "async", "thread"])
            async def test_view(client, db, view):
                async with db.changes() as changes:
                    response = await client.get(f"/{view}/a@b.c")
                assert response.status_code == 201
                assert changes == {"users": [Inserted(id=1, email="a@b.c")]}
                assert await User.objects.acount() == await db.count("users") == 1

            def test_synchronous(db):
                User.objects.create(email="a@b.c")
                assert db.changes() == {"users": [Inserted(id=1, email="a@b.c")]}
        """,
    )

    world.passes(5)

    assert not world.pytester.path.joinpath("shop.db").exists()


_BESIDE_PYTEST_DJANGO = """
    import pytest
    import pytest_asyncio
    from asgiref.sync import sync_to_async
    from django.db import connections
    from shop.models import User

    @pytest_asyncio.fixture(scope="session", autouse=True)
    async def connections_of_threads(django_db_setup):
        yield
        await sync_to_async(connections.close_all)()

    @pytest.mark.django_db(transaction=True)
    @pytest.mark.parametrize("view", ["sync", "async", "thread"])
    async def test_view(asgi_client, asgi_queries, view):
        response = await asgi_client.get(f"/{view}/a@b.c")
        assert response.status_code == 201
        assert await User.objects.acount() == 1
        assert "test_shop" in str(await sync_to_async(name)())

    def name():
        return connections["default"].settings_dict["NAME"]

    @pytest.mark.parametrize("again", [1, 2])
    def test_synchronous(db, client, again):
        assert client.get("/sync/a@b.c").status_code == 201
        assert User.objects.count() == 1

    async def test_without_the_mark(asgi_client):
        with pytest.raises(RuntimeError, match="Database access not allowed"):
            await User.objects.acount()
"""


@promise("database.pytest-django")
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_the_databases_of_django_are_pytest_djangos_if_it_is_there(
    world: World, kind: str
) -> None:
    world.configure("pythonpath = .\nDJANGO_SETTINGS_MODULE = shop.settings")
    world.write(test_a=_BESIDE_PYTEST_DJANGO)
    with closing(Openers("", keep=False)) as openers:
        if kind == "postgresql":
            server = openers.of("postgresql").open(
                Target("postgresql", "shop"), build=None, key=None
            )
            place = {name.upper(): server.address[name] for name in ("host", "port", "user")}
            _write_shop(world, _POSTGRESQL | place)
        else:
            _write_shop(world, _SQLITE | {"TEST": {"NAME": "test_shop.db"}})

        world.passes(6, plugins=("pytest_django.plugin",))
