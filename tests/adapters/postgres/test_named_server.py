"""A server that the project names: only what is ours is made, used and dropped there."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any
from urllib.parse import quote

import psycopg
import pytest

from pytest_asgi.adapters.postgres import PostgresOpener
from pytest_asgi.adapters.postgres.store import PostgresStore
from pytest_asgi.errors import DatabaseError, IsolationError
from tests.adapters.postgres.conftest import TARGET, Connect, Open
from tests.adapters.postgres.fingerprint import fingerprint
from tests.promises import promise

_SCHEMA = """
    create table users (id serial primary key, name text);
    create table audit (id serial, what text);
    create function note() returns trigger language plpgsql as $$ begin
        insert into audit (what) values (tg_op); return null; end $$;
    create trigger note after insert or update or delete on users
        for each row execute function note();
    insert into users (name) values ('ada'), ('grace')
"""

Admin = psycopg.Connection[Any]


@pytest.fixture
def admin(open_store: Open, connect: Connect) -> Admin:
    """A superuser on a server that was there before."""
    return connect(open_store("select 1"))


@pytest.fixture
def url(admin: Admin) -> Callable[[str], str]:
    """Make a role with these rights, and return the URL with which it reaches the server."""

    def url(rights: str) -> str:
        name = f"named_{rights.lower().replace(' ', '_')}_{os.getpid()}"
        if not admin.execute("select 1 from pg_roles where rolname = %s", [name]).fetchone():
            admin.execute(f'create role "{name}" login {rights}'.encode())
        return f"postgresql://{name}@/shop?host={quote(admin.info.host, safe='')}"

    return url


@pytest.fixture(params=["CREATEDB", "SUPERUSER"])
def named(request: pytest.FixtureRequest, url: Callable[[str], str]) -> Iterator[PostgresOpener]:
    with closing(PostgresOpener(url(request.param))) as opener:
        yield opener


def _open(opener: PostgresOpener, script: str = _SCHEMA) -> PostgresStore:
    return opener.open(TARGET, build=lambda store: store.run_script(script), key=script)


def _names(admin: Admin) -> set[str]:
    """Return the databases of the roles of this process; other workers have theirs."""
    statement = (
        "select datname from pg_database where pg_get_userbyid(datdba) like %s"
        " or datname = 'shop_of_a_user'"
    )
    return {name for (name,) in admin.execute(statement, [f"named_%_{os.getpid()}"]).fetchall()}


@promise("database.postgres-named")
@pytest.mark.parametrize(
    "writes",
    [
        "insert into users (name) values ('new'); update users set name = 'x'",
        "truncate users restart identity",
        "select nextval('users_id_seq')",
        "alter table users add column age int",
        "create table late (id int)",
        "drop table audit",
    ],
)
def test_a_user_without_special_rights_has_databases_that_are_put_back(
    writes: str, named: PostgresOpener, connect: Connect
) -> None:
    with closing(_open(named)) as store:
        schema, at_schema = store.mark(), fingerprint(connect(store))
        connect(store).execute("insert into users (name) values ('of the module')")
        mark, before = store.mark(), fingerprint(connect(store))

        connect(store).execute(writes.encode())
        store.restore(mark)

        assert fingerprint(connect(store)) == before
        place = store.address
        store.restore(mark)
        assert store.address == place, "nothing was written, so it does not move"
        store.restore(schema)
        assert fingerprint(connect(store)) == at_schema


def test_foreign_keys_in_the_way_are_an_error_that_says_what_to_grant(
    url: Callable[[str], str], connect: Connect, admin: Admin
) -> None:
    script = "create table a (id int primary key, b int); insert into a values (1, 1);"
    script += "alter table a add foreign key (b) references a on delete restrict"
    with (
        closing(PostgresOpener(url("CREATEDB"))) as named,
        closing(_open(named, script)) as store,
    ):
        app = connect(store)
        app.execute("update a set b = null; insert into a values (2, 1)")
        app.execute("begin; set constraints all deferred; update a set id = 3, b = 3 where id = 2")
        app.execute("commit; insert into a values (5, 3); update a set b = 5 where id = 3")
        mark = store.mark()
        app.execute("delete from a where id = 1")

        with pytest.raises(IsolationError, match="GRANT SET ON PARAMETER"):
            store.restore(mark)


@promise("database.postgres-named")
def test_a_run_leaves_nothing_on_a_named_server_and_touches_nothing_else(
    url: Callable[[str], str], admin: Admin
) -> None:
    admin.execute("drop database if exists shop_of_a_user")
    admin.execute("create database shop_of_a_user")
    before = _names(admin)

    with closing(PostgresOpener(url("CREATEDB"))) as named, closing(_open(named)):
        made = _names(admin) - before
        assert all(name.startswith("shop_pytest_") for name in made)
        assert made

    assert _names(admin) == before
    admin.execute("drop database shop_of_a_user")


_KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from tests.adapters.postgres.test_named_server import PostgresOpener, _open
store = _open(PostgresOpener(sys.argv[2]))
os.kill(os.getpid(), signal.SIGKILL)
"""


@promise("database.postgres-named")
def test_what_a_killed_run_left_behind_is_swept_by_the_next_one(
    url: Callable[[str], str], admin: Admin, pytestconfig: pytest.Config
) -> None:
    before = _names(admin)
    place = url("CREATEDB")
    command = [sys.executable, "-c", _KILLED, str(pytestconfig.rootpath), place]
    subprocess.run(command, check=False)
    assert _names(admin) > before

    with closing(PostgresOpener(place)) as named, closing(_open(named, "select 1")):
        pass

    assert _names(admin) == before


def test_a_template_is_kept_if_asked_for_until_the_schema_is_another_one(
    url: Callable[[str], str], admin: Admin
) -> None:
    before = _names(admin)
    built: list[str] = []

    def run(key: str) -> None:
        with (
            closing(PostgresOpener(url("CREATEDB"), keep=True)) as named,
            closing(named.open(TARGET, build=lambda _: built.append(key), key=key)),
        ):
            pass

    for key in ("first", "first", "second", "second"):
        run(key)

    assert built == ["first", "second"]
    (kept,) = _names(admin) - before
    admin.execute(f'drop database "{kept}"'.encode())


def test_a_user_who_may_not_create_databases_is_told_so(url: Callable[[str], str]) -> None:
    with pytest.raises(DatabaseError, match="may not create databases"):
        PostgresOpener(url("NOCREATEDB")).open(TARGET, build=None, key=None)


def test_a_server_that_is_not_there_is_an_error_with_its_address() -> None:
    opener = PostgresOpener("postgresql://someone:secret@localhost:1/app")

    with pytest.raises(DatabaseError, match="localhost") as caught:
        opener.open(TARGET, build=None, key=None)

    assert "secret" not in str(caught.value)
