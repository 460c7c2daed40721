"""`asgi_schema`: what makes the tables."""

from __future__ import annotations

import re

import pytest

from tests.plugin.test_databases import SIGN_UP, SQLITE, app_on
from tests.plugin.world import World
from tests.promises import promise

APP = app_on(SQLITE)
TABLE = "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);\n"
ASYNC_FUNCTION = """
    async def create_tables():
        async with engine.begin() as connection:
            await connection.run_sync(Model.metadata.create_all)
"""
FUNCTION = """
    def create_tables(url):
        from sqlalchemy import create_engine

        engine = create_engine(url)
        Model.metadata.create_all(engine)
        engine.dispose()
"""


@pytest.fixture
def shop(world: World) -> World:
    world.write(test_a=SIGN_UP)
    return world


@promise("database.schema")
@pytest.mark.parametrize("name", ["main:Model", "main:Model.metadata"])
def test_sqlalchemy_metadata_makes_the_tables(shop: World, name: str) -> None:
    shop.configure(f"asgi_schema = {name}\npythonpath = .")
    shop.write(main=APP)

    shop.passes(3)


@promise("database.schema")
@pytest.mark.parametrize("function", [ASYNC_FUNCTION, FUNCTION], ids=["async", "sync"])
def test_a_function_of_the_project_makes_the_tables(shop: World, function: str) -> None:
    shop.configure("asgi_schema = main:create_tables\npythonpath = .")
    shop.write(main=APP + function)

    shop.passes(3)


@promise("database.schema")
def test_files_and_functions_are_run_in_order(shop: World) -> None:
    shop.configure("asgi_schema = db/tables.sql db/people.sql main:more\npythonpath = .")
    shop.write(
        main=APP + "\n    async def more():\n        await add('root')\n",
        test_a="""
            async def test_seeded(client):
                assert (await client.get("/users")).json() == ["ada", "bob", "root"]
        """,
    )
    folder = shop.pytester.mkdir("db")
    (folder / "tables.sql").write_text(TABLE, encoding="utf-8")
    people = "INSERT INTO users (name) VALUES ('ada');\nINSERT INTO users (name) VALUES ('bob');\n"
    (folder / "people.sql").write_text(people, encoding="utf-8")

    shop.passes(1)


@promise("database.schema")
def test_a_schema_that_fails_is_shown_once(shop: World) -> None:
    shop.configure("asgi_schema = main:create_tables\npythonpath = .")
    shop.write(
        main=APP + "\n    async def create_tables():\n        raise LookupError('no ink')\n"
    )

    result = shop.run()

    result.assert_outcomes(failed=3)
    failures = result.stdout.str().partition(" short test summary info ")[0]
    assert len(re.findall(r"^E +LookupError: no ink", failures, flags=re.MULTILINE)) == 1
    assert failures.count("Why: LookupError: no ink") == 2


@promise("settings.invalid")
@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("main:nothing", "module 'main' has no attribute 'nothing'"),
        ("nowhere:Model", "No module named 'nowhere'"),
        ("tables.sql", "There is no file"),
        ("main:NUMBER", "It is 5"),
    ],
)
def test_a_schema_that_is_not_there_is_refused(shop: World, name: str, why: str) -> None:
    shop.configure(f"asgi_schema = {name}\npythonpath = .")
    shop.write(main=APP + "\n    NUMBER = 5\n")

    text = shop.run().stdout.str()

    assert f"asgi_schema names '{name}', which makes no tables." in text
    assert why in text


ALEMBIC_INI = """\
[alembic]
script_location = migrations
sqlalchemy.url = sqlite+aiosqlite:///users.db

[loggers]
keys = root

[handlers]
keys =

[formatters]
keys =

[logger_root]
level = ERROR
handlers =
"""
ENV = """
    import asyncio
    from logging.config import fileConfig

    from alembic import context
    from sqlalchemy.ext.asyncio import async_engine_from_config

    fileConfig(context.config.config_file_name)

    def migrate(connection):
        context.configure(connection=connection)
        with context.begin_transaction():
            context.run_migrations()

    async def connect():
        section = context.config.get_section("alembic")
        engine = async_engine_from_config(section, prefix="sqlalchemy.")
        async with engine.connect() as connection:
            await connection.run_sync(migrate)
        await engine.dispose()

    asyncio.run(connect())
"""
REVISION = """
    import sqlalchemy as sa
    from alembic import op

    revision = "1"
    down_revision = None

    def upgrade():
        op.create_table(
            "users",
            sa.Column("id", sa.Integer, primary_key=True),
            sa.Column("name", sa.String, unique=True),
        )
"""


@promise("database.schema")
def test_migrations_with_an_async_environment_make_the_tables(shop: World) -> None:
    shop.configure("asgi_schema = alembic.ini\npythonpath = .")
    shop.write(
        main=APP,
        migrations__env=ENV,
        migrations__versions__one=REVISION,
        test_logging="""
            import logging

            logger = logging.getLogger("app")

            async def test_migrations_leave_logging_alone(client, caplog):
                await client.get("/users")
                logger.warning("still here")
                assert caplog.messages == ["still here"]
        """,
    )
    (shop.pytester.path / "alembic.ini").write_text(ALEMBIC_INI, encoding="utf-8")

    shop.passes(4)
