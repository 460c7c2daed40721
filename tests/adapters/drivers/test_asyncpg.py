"""asyncpg, as an app uses it."""

import asyncio
import socket
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from asyncpg import connect as connect_early

from pytest_asgi.adapters.asyncpg import _read
from pytest_asgi.database.redirect import Redirect
from pytest_asgi.database.stores import Store
from pytest_asgi.database.targets import Target
from pytest_asgi.errors import DatabaseRefusedError
from tests.promises import promise

PRODUCTION = "postgresql://shop:geheim@db.example.com:6432/shop?sslmode=verify-full"


@promise("database.redirect-asyncpg")
@pytest.mark.parametrize("connect", [asyncpg.connect, connect_early], ids=["module", "early"])
async def test_a_connection_leads_to_the_private_database(
    redirect: Redirect, connect: Any
) -> None:
    connection = await connect(PRODUCTION)

    assert await connection.fetchval("SELECT name FROM here") == "private_a"
    assert [str(store.target) for store in redirect.stores] == [
        "postgresql://shop@db.example.com:6432/shop"
    ]
    await connection.close()


async def test_a_pool(redirect: Redirect) -> None:
    async with asyncpg.create_pool(PRODUCTION, min_size=1, max_size=3) as pool:
        assert await pool.fetchval("SELECT name FROM here") == "private_a"


@promise("database.never-reached")
async def test_the_name_of_the_real_server_is_never_looked_up(
    redirect: Redirect, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any, **options: Any) -> Any:
        raise AssertionError(args)

    monkeypatch.setattr(socket, "getaddrinfo", refuse)

    connection = await asyncpg.connect(PRODUCTION)
    await connection.close()


async def test_what_is_the_apps_own_stays(redirect: Redirect) -> None:
    class Tenants(asyncpg.Connection):  # type: ignore[misc]  # asyncpg has no types
        pass

    connection = await asyncpg.connect(
        PRODUCTION + "&application_name=shop",
        server_settings={"search_path": "shop"},
        connection_class=Tenants,
        statement_cache_size=0,
        command_timeout=5,
    )

    assert type(connection) is Tenants
    assert await connection.fetchval("SHOW search_path") == "shop"
    assert await connection.fetchval("SHOW application_name") == "shop"
    assert connection._config.statement_cache_size == 0
    await connection.close()


async def test_a_password_that_is_asked_for_is_not_asked_for(redirect: Redirect) -> None:
    def token() -> str:
        raise AssertionError

    connection = await asyncpg.connect(host="db.example.com", database="shop", password=token)
    await connection.close()


async def test_what_is_refused_names_the_line(redirect: Redirect) -> None:
    def refuse(target: Target) -> Store:
        raise DatabaseRefusedError("No.", why="Because.", fix="Do not.")

    redirect.open_store = refuse

    with pytest.raises(DatabaseRefusedError) as caught:
        await asyncpg.connect(PRODUCTION)

    (note,) = caught.value.__notes__
    assert note.startswith(f"The connection is opened at {__file__}:")


@promise("database.allowed")
async def test_what_is_allowed_is_reached(redirect: Redirect) -> None:
    reached = asyncio.Event()

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.set()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        redirect.allowed = (f"postgresql://*:{port}/metrics",)
        for name in ("shop", "metrics"):
            connecting = asyncpg.connect(f"postgresql://app@127.0.0.1:{port}/{name}", ssl=False)
            if name == "shop":
                await (await connecting).close()
                assert not reached.is_set()
            else:
                with pytest.raises(asyncpg.ConnectionDoesNotExistError):
                    await connecting

    assert reached.is_set()


@pytest.mark.parametrize(
    ("options", "url"),
    [
        ({}, "postgresql://tester@localhost/from_env"),
        ({"database": "shop", "host": "/run/x"}, "postgresql://tester@%2Frun%2Fx/shop"),
        ({"dsn": "postgres://a:1,b/shop"}, "postgresql://tester@a:1,b/shop"),
        ({"dsn": "postgres://clerk@?service=shop"}, "postgresql://clerk@shop.example.com:6000/x"),
        ({"user": "clerk", "database": "shop"}, "postgresql://clerk@localhost/shop"),
        ({"host": "db", "port": 5432}, "postgresql://tester@db/from_env"),
        (
            {"dsn": "postgres://db/shop?sslmode=verify-full&sslnegotiation=direct"},
            "postgresql://tester@db/shop",
        ),
    ],
)
def test_the_database_is_named_in_every_way_that_asyncpg_knows(
    options: dict[str, Any], url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = tmp_path / "services.conf"
    services.write_text("[shop]\nhost=shop.example.com\nport=6000\ndbname=x\n", encoding="utf-8")
    monkeypatch.setenv("PGSERVICEFILE", str(services))
    monkeypatch.setenv("PGDATABASE", "from_env")
    monkeypatch.setenv("PGUSER", "tester")
    unsaid = dict.fromkeys(
        [
            "dsn",
            "host",
            "port",
            "user",
            "password",
            "passfile",
            "database",
            "command_timeout",
            "ssl",
            "direct_tls",
            "server_settings",
            "target_session_attrs",
            "krbsrvname",
            "gsslib",
            "service",
            "servicefile",
        ]
    )
    sizes = dict.fromkeys(
        ("statement_cache_size", "max_cached_statement_lifetime", "max_cacheable_statement_size"),
        1,
    )

    target, _ = _read(unsaid | sizes | options)

    assert str(target) == url
