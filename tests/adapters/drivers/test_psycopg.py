"""psycopg 3 and its pools, as an app uses them."""

from pathlib import Path
from typing import Any

import psycopg
import psycopg_pool
import pytest
from psycopg import connect as connect_early
from psycopg.rows import dict_row

from pytest_asgi.adapters.psycopg import _read
from pytest_asgi.database.redirect import Redirect
from tests.promises import promise

PRODUCTION = (
    "postgresql://shop:geheim@db.example.com:6432/shop?sslmode=verify-full&application_name=shop"
)


def _database(connection: psycopg.Connection[Any]) -> str:
    row = connection.execute("SELECT name FROM here").fetchone()
    assert row is not None
    return str(row[0])


@promise("database.redirect-psycopg")
@pytest.mark.parametrize(
    "connect",
    [psycopg.connect, psycopg.Connection.connect, connect_early],
    ids=["module", "class", "early"],
)
def test_a_connection_leads_to_the_private_database(redirect: Redirect, connect: Any) -> None:
    with connect(PRODUCTION) as connection:
        assert _database(connection) == "private_a"
    assert [str(store.target) for store in redirect.stores] == [
        "postgresql://shop@db.example.com:6432/shop"
    ]


async def test_an_asynchronous_connection(redirect: Redirect) -> None:
    async with await psycopg.AsyncConnection.connect(PRODUCTION) as connection:
        cursor = await connection.execute("SELECT name FROM here")
        assert await cursor.fetchone() == ("private_a",)


def test_what_is_the_apps_own_stays(redirect: Redirect) -> None:
    with psycopg.connect(
        PRODUCTION, options="-c search_path=shop", autocommit=True, row_factory=dict_row
    ) as connection:
        row = connection.execute(
            "SELECT current_setting('search_path') AS path,"
            " current_setting('application_name') AS name"
        ).fetchone()
        assert row == {"path": "shop", "name": "shop"}
        assert connection.autocommit


class _Tenants(psycopg.Connection[Any]):
    """A class of the app's own."""


def test_a_class_of_the_apps_own(redirect: Redirect) -> None:
    with _Tenants.connect(PRODUCTION) as connection:
        assert type(connection) is _Tenants
        assert _database(connection) == "private_a"


def test_a_pool(redirect: Redirect) -> None:
    pool = psycopg_pool.ConnectionPool(PRODUCTION, min_size=1, open=True)
    with pool, pool.connection() as connection:
        assert _database(connection) == "private_a"


@promise("database.redirect-psycopg")
async def test_an_asynchronous_pool(redirect: Redirect) -> None:
    pool = psycopg_pool.AsyncConnectionPool(PRODUCTION, min_size=1, open=False)
    async with pool, pool.connection() as connection:
        cursor = await connection.execute("SELECT name FROM here")
        assert await cursor.fetchone() == ("private_a",)


@pytest.mark.parametrize(
    ("dsn", "url"),
    [
        ("", "postgresql://tester@localhost/from_env"),
        ("dbname=shop host=/run/postgresql", "postgresql://tester@%2Frun%2Fpostgresql/shop"),
        ("postgresql://a:1,b:2/shop", "postgresql://tester@a:1,b:2/shop"),
        ("host=a,b port=5432 dbname=shop", "postgresql://tester@a,b/shop"),
        ("host=localhost hostaddr=192.0.2.1 dbname=shop", "postgresql://tester@192.0.2.1/shop"),
        ("service=shop", "postgresql://clerk@shop.example.com:6000/stock"),
        ("service=shop dbname=mine", "postgresql://clerk@shop.example.com:6000/mine"),
        ("user=clerk", "postgresql://clerk@localhost/from_env"),
    ],
)
def test_the_database_is_named_in_every_way_that_libpq_knows(
    dsn: str, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = tmp_path / "services.conf"
    services.write_text(
        "[shop]\nhost=shop.example.com\nport=6000\ndbname=stock\nuser=clerk\noptions=-csearch_path=x\n",
        encoding="utf-8",
    )
    monkeypatch.setenv("PGSERVICEFILE", str(services))
    monkeypatch.setenv("PGDATABASE", "from_env")
    monkeypatch.setenv("PGUSER", "tester")

    target, kept = _read(psycopg.conninfo.conninfo_to_dict(dsn))

    assert str(target) == url
    assert kept.get("options") == ("-csearch_path=x" if "service" in dsn else None)


def test_a_service_of_the_environment_does_not_lead_anywhere_else(
    redirect: Redirect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = tmp_path / "services.conf"
    services.write_text("[shop]\nhostaddr=192.0.2.1\ndbname=stock\n", encoding="utf-8")
    monkeypatch.setenv("PGSERVICEFILE", str(services))
    monkeypatch.setenv("PGSERVICE", "shop")

    with psycopg.connect("") as connection:
        assert _database(connection) == "private_a"
    assert redirect.stores[0].target.name == "stock"
