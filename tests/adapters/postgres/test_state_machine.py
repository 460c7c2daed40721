"""Whatever is done on however many connections: restoring leaves the fingerprint unchanged."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import closing, suppress
from typing import Any

import asyncpg
import psycopg
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from pytest_asgi.adapters.postgres import PostgresOpener
from pytest_asgi.adapters.postgres.store import PostgresStore
from tests.adapters.postgres.conftest import TARGET
from tests.adapters.postgres.fingerprint import fingerprint
from tests.promises import promise

_SCHEMA = """
    create table parent (id serial primary key, name text, doc json,
        size int generated always as (length(name)) stored);
    create table child (id int generated always as identity, parent int references parent
        on delete cascade on update cascade, unique (parent, id));
    create table bag (what text);
    create table parted (id int, v text) partition by range (id);
    create table parted_low partition of parted for values from (minvalue) to (3);
    create table parted_high partition of parted for values from (3) to (maxvalue);
    create table audit (id serial, what text);
    create function note() returns trigger language plpgsql as $$ begin
        insert into audit (what) values (tg_op || old.id || new.id); return null; end $$;
    create trigger note after update on parent for each row execute function note();
    insert into parent (name, doc) values ('a', '{"x":  1}'), ('b', null), ('c', '[]');
    insert into child (parent) values (1), (1), (2);
    insert into bag values ('x'), ('x'), (null);
    insert into parted values (1, 'low'), (5, 'high');
"""

_number = st.integers(0, 6)
_statements = st.one_of(
    st.builds("insert into parent (name) values ('n{}')".format, _number),
    st.builds("insert into parent (id, name) values ({0}, 'n{0}')".format, _number),
    st.builds("update parent set name = name || '!' where id = {}".format, _number),
    st.builds("update parent set id = {} where id = {}".format, _number, _number),
    st.builds("update parent set id = -id where id > {}".format, _number),
    st.builds("delete from parent where id = {}".format, _number),
    st.builds("insert into child (parent) values ({})".format, _number),
    st.builds("update child set parent = {} where id = {}".format, _number, _number),
    st.builds("insert into bag select 'x' from generate_series(1, {})".format, _number),
    st.builds("delete from bag where ctid = '(0,{})'".format, _number),
    st.builds("update bag set what = what || {} where what like 'x%'".format, _number),
    st.builds("update parted set id = {} where id = {}".format, _number, _number),
    st.builds("insert into parted values ({}, 'new')".format, _number),
    st.sampled_from(
        [
            "truncate bag",
            "truncate child restart identity",
            "truncate parent restart identity cascade",
            "truncate parted",
            "select nextval('parent_id_seq')",
            "select setval('audit_id_seq', 100, false)",
            "set session_replication_role = replica",
            "set session_replication_role = origin",
            "vacuum bag",
            "select 1 / 0",
        ]
    ),
)
_steps = st.one_of(
    _statements,
    _statements,
    st.sampled_from(["begin", "commit", "rollback", "savepoint s", "rollback to s", "release s"]),
)


class _Connections:
    """Two connections of psycopg and one of asyncpg; each has its own transactions."""

    def __init__(self, store: PostgresStore, loop: asyncio.AbstractEventLoop) -> None:
        self._store = store
        self._loop = loop
        self._run: list[Callable[[str], object]] = []
        self._close: list[Callable[[], object]] = []

    def run(self, number: int, statement: str) -> None:
        """Run a statement; it may fail as it may in an app."""
        if not self._run:
            self._open()
        with suppress(psycopg.Error, asyncpg.PostgresError, asyncpg.InterfaceError):
            self._run[number](statement)

    def close(self) -> None:
        """Close all of them, as the end of a test does."""
        for close in self._close:
            close()
        self._run.clear()
        self._close.clear()

    def _open(self) -> None:
        for _ in range(2):
            connection: psycopg.Connection[Any] = psycopg.connect(
                **self._store.address, autocommit=True
            )
            connection.execute("set lock_timeout = '10ms'")
            self._run.append(lambda statement, c=connection: c.execute(statement.encode()))  # type: ignore[misc] # a default binds it
            self._close.append(connection.close)
        address = dict(self._store.address)
        address["database"] = address.pop("dbname")
        other = self._loop.run_until_complete(asyncpg.connect(**address))
        self._loop.run_until_complete(other.execute("set lock_timeout = '10ms'"))
        self._run.append(lambda text: self._loop.run_until_complete(other.execute(text)))
        self._close.append(lambda: self._loop.run_until_complete(other.close()))


def _machine(store: PostgresStore, loop: asyncio.AbstractEventLoop) -> type[RuleBasedStateMachine]:
    def look() -> dict[str, Any]:
        with psycopg.connect(**store.address, autocommit=True) as connection:
            return fingerprint(connection)

    schema, at_schema = store.mark(), look()

    class Writes(RuleBasedStateMachine):
        @initialize(statements=st.lists(_statements, max_size=3))
        def set_up(self, statements: list[str]) -> None:
            """Write what a wider fixture does."""
            self.connections = _Connections(store, loop)
            for statement in statements:
                self.connections.run(0, statement)
            self.connections.close()
            self.mark, self.before = store.mark(), look()

        @rule(number=st.integers(0, 2), step=_steps)
        def run(self, number: int, step: str) -> None:
            self.connections.run(number, step)

        @rule()
        def tell_changes(self) -> None:
            store.changes(self.mark)

        @rule()
        def restore(self) -> None:
            self.connections.close()
            store.restore(self.mark)
            assert look() == self.before
            assert store.changes(self.mark) == {}

        def teardown(self) -> None:
            self.restore()
            store.restore(schema)
            assert look() == at_schema

    return Writes


@promise("database.postgres-restored")
def test_restoring_leaves_the_fingerprint_unchanged(postgres: PostgresOpener) -> None:
    loop = asyncio.new_event_loop()
    store = postgres.open(TARGET, build=lambda new: new.run_script(_SCHEMA), key=_SCHEMA)
    with closing(loop), closing(store):
        run_state_machine_as_test(
            _machine(store, loop),
            settings=settings(
                max_examples=15,
                stateful_step_count=25,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
