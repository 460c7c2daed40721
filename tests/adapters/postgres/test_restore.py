"""A private database is what it was, whatever was committed in between."""

from __future__ import annotations

import pytest

from tests.adapters.postgres.conftest import Connect, Open
from tests.adapters.postgres.fingerprint import fingerprint
from tests.promises import promise

_USERS = """
    create table users (id serial primary key, name text not null);
    insert into users (name) values ('ada'), ('grace');
"""

# What a schema is, and what is written to it: each must be undone without a trace.
_CASES = {
    "insert, update, delete": (
        _USERS,
        (
            "insert into users (name) values ('new');"
            "update users set name = 'other' where id = 1; delete from users where id = 2"
        ),
    ),
    "keys that change and swap": (
        "create table t (id int primary key); insert into t values (1), (2), (3)",
        "update t set id = id + 10; update t set id = id - 9; delete from t where id = 2",
    ),
    "a table without a key": (
        "create table t (x int, y float8); insert into t values (1, 'nan'), (1, 'nan'), (2, 0.1)",
        (
            "delete from t where ctid = '(0,1)'; insert into t values (1, 'nan'), (9, 9);"
            "update t set y = 7 where x = 2"
        ),
    ),
    "a composite key": (
        (
            "create table t (a int, b text, c int, primary key (a, b)); insert into t values"
            " (1, 'x', 1), (1, 'y', 2)"
        ),
        "update t set b = b || 'z'; insert into t values (1, 'x', 3)",
    ),
    "generated and identity columns": (
        (
            "create table t (id int generated always as identity, v int,"
            " twice int generated always as (v * 2) stored); insert into t (v) values (1), (2)"
        ),
        "update t set v = v + 1; insert into t (v) values (9); delete from t where v = 3",
    ),
    "json, which knows no equality": (
        """create table t (id int primary key, j json, b jsonb);
        insert into t values (1, '{"b":  1, "a": 2, "a": 3}', '{"a": 1}')""",
        "update t set j = '[]'; update t set b = b || '{\"c\": 2}'",
    ),
    "types of many kinds": (
        """create type mood as enum ('sad', 'ok'); create type pair as (a int, b text);
        create domain positive as int check (value > 0);
        create table t (id uuid primary key, m mood, p pair, d positive, n numeric, f float8,
            r real, b bytea, i interval, tz timestamptz, tt time with time zone, da date,
            a int[], ta text[], ra int4range, mr nummultirange, ip inet, bits bit varying(8),
            cash money, pt point, ts tsvector, c char(5), name name, o oid, reg regclass);
        insert into t values ('00000000-0000-0000-0000-000000000001', 'ok', '(1,"x, y")', 5,
            1.10, 0.1::float8 + 0.2, 3.14, '\\x00deadbeef', '1 mon -2 days 03:04:05.678',
            '2024-02-29 12:00:00.123456+05:30', '01:02:03+02', 'infinity',
            '[0:1]={1,NULL}', '{"a b","","NULL",NULL,"\\"q\\""}', '[1,5)', '{[1,2),[3,4)}',
            '10.0.0.1/8', '1010', '12.34', '(1,2)', 'a fat cat', 'ab', 'n', 42, 'pg_class')""",
        (
            "update t set m = 'sad', p = null, d = 1, n = 'nan', f = 'infinity', r = 0, b = '',"
            " i = '-1 year', tz = '-infinity', a = '{}', ta = null, ra = 'empty', cash = '-1',"
            " pt = '(3,4)', reg = 't'; delete from t"
        ),
    ),
    "settings that change how values look": (
        (
            "create table t (id int primary key, at timestamptz, i interval, f float8, m money,"
            " b bytea); insert into t values (1, '2024-02-03 04:05:06+00', '1 day 2 hours',"
            " 0.1::float8 + 0.2, 1.5, '\\xff')"
        ),
        (
            "set datestyle = 'SQL, DMY'; set intervalstyle = 'sql_standard';"
            " set extra_float_digits = -15; set bytea_output = 'escape'; set timezone ="
            " 'Asia/Tokyo';"
            " set search_path = pg_temp; update public.t set f = 1; delete from public.t"
        ),
    ),
    "large values": (
        (
            "create table t (id int primary key, v text); insert into t"
            " select 1, string_agg(md5(g::text), '') from generate_series(1, 50000) g"
        ),
        "update t set v = 'short'; insert into t select 2, repeat('x', 3000000)",
    ),
    "partitions": (
        (
            "create table t (id int, at date) partition by range (at);"
            "create table t1 partition of t for values from ('2024-01-01') to ('2025-01-01');"
            "create table t2 partition of t for values from ('2025-01-01') to ('2026-01-01');"
            "insert into t values (1, '2024-05-05'), (2, '2025-05-05')"
        ),
        (
            "update t set at = '2025-06-06' where id = 1; insert into t values (3, '2024-01-01');"
            "truncate t2"
        ),
    ),
    "inheritance": (
        (
            "create table base (id int); create table derived (x int) inherits (base);"
            "insert into base values (1); insert into derived values (2, 3)"
        ),
        (
            "update base set id = id + 1; delete from base where id = 2; insert into derived"
            " values (4, 5)"
        ),
    ),
    "foreign keys in a circle, cascades, and a deferred constraint": (
        (
            "create table a (id int primary key, b int);"
            "create table b (id int primary key, a int references a on delete cascade);"
            "alter table a add foreign key (b) references b on delete set null"
            " deferrable initially deferred; insert into a values (1, null), (2, null);"
            "insert into b values (1, 1), (2, 2); update a set b = id"
        ),
        (
            "delete from a where id = 1; begin; insert into a values (3, 3);"
            " insert into b values (3, 3); commit; delete from b where id = 3"
        ),
    ),
    "a constraint that old rows break": (
        (
            "create table t (id int); insert into t values (-1);"
            "alter table t add check (id > 0) not valid"
        ),
        "insert into t values (5)",
    ),
    "TRUNCATE with all that it may do": (
        (
            "create table a (id serial primary key); create table b (a int references a);"
            "insert into a select from generate_series(1, 5); insert into b values (1), (2)"
        ),
        (
            "truncate a restart identity cascade; insert into a default values;"
            "insert into b values (1)"
        ),
    ),
    "TRUNCATE of what the same transaction wrote": (
        "create table t (id int); insert into t values (1)",
        "begin; insert into t values (2); truncate t; insert into t values (3), (4); commit",
    ),
    "triggers of the app's own, which must not run again": (
        (
            "create table t (id int primary key, n int default 0);"
            "create table audit (id serial, what text);"
            "create function note() returns trigger language plpgsql as $$ begin"
            " insert into audit (what) values (tg_op); return new; end $$;"
            "create trigger a_note after insert or update or delete on t for each row"
            " execute function note();"
            "create function touch() returns trigger language plpgsql as $$ begin"
            " update t set n = n + 1 where id <> new.id; return null; end $$;"
            "create trigger a_touch after insert on t for each row execute function touch();"
            "insert into t values (1), (2)"
        ),
        "insert into t values (3), (4), (5); update t set n = 0; delete from t where id < 4",
    ),
    "replica role, in which triggers do not fire": (
        _USERS,
        "set session_replication_role = replica; update users set name = 'x'; truncate users",
    ),
    "views with triggers, and rules": (
        _USERS + "create view v as select * from users;"
        "create function into_users() returns trigger language plpgsql as $$ begin"
        " insert into users (name) values (new.name); return new; end $$;"
        "create trigger i instead of insert on v for each row execute function into_users();"
        "create table r (x int); insert into r values (1);"
        "create rule no_delete as on delete to r do instead nothing;"
        "create rule no_insert as on insert to r do instead nothing",
        "insert into v (name) values ('via a view'); update r set x = 2",
    ),
    "row level security, forced": (
        (
            "create role cautious; create table t (owner text, v int);"
            "insert into t values ('cautious', 1), ('other', 2); alter table t owner to cautious;"
            "alter table t enable row level security; alter table t force row level security;"
            "create policy own on t using (owner = current_user)"
        ),
        (
            "set role cautious; update t set v = v + 1; insert into t values ('cautious', 3);"
            " delete from t where v = 2"
        ),
    ),
    "several schemas and awkward names": (
        (
            'create schema "Other One"; create table "Other One"."a ""b" ("c d" int primary key,'
            ' "select" text); insert into "Other One"."a ""b" values (1, \'x\')'
        ),
        (
            'update "Other One"."a ""b" set "select" = \'%s\'; insert into "Other One"."a ""b"'
            " values (2, '$1')"
        ),
    ),
    "unlogged and temporary tables": (
        "create unlogged table t (id int); insert into t values (1)",
        "update t set id = 2; create temporary table own (id int); insert into own values (1)",
    ),
    "columns that were dropped": (
        (
            "create table t (a int, b text, c int); insert into t values (1, 'x', 2);"
            " alter table t drop column b; alter table t add column d int default 7"
        ),
        "update t set c = 9; insert into t values (3, 4, 5)",
    ),
    "sequences, also those that nobody has used": (
        "create sequence unused; create sequence used start 5; select nextval('used')",
        (
            "select nextval('unused'); begin; select nextval('used'); rollback;"
            " select setval('used', 100, false)"
        ),
    ),
    "a sequence that is set before its first use": (
        "create sequence unused",
        "select setval('unused', 50, false)",
    ),
    "COPY": (_USERS, "copy users (name) from program 'printf \"x\\ny\\n\"'"),
    "MERGE and ON CONFLICT": (
        _USERS,
        (
            "insert into users values (1, 'again') on conflict (id) do update"
            " set name = 'changed';"
            "merge into users u using (values (2), (7)) v (id) on u.id = v.id"
            " when matched then delete when not matched then insert values (v.id, 'merged')"
        ),
    ),
    "savepoints": (
        _USERS,
        (
            "begin; insert into users (name) values ('kept'); savepoint s; update users set"
            " name = 'lost'; rollback to s; delete from users where id = 1; commit"
        ),
    ),
    "what vacuum and a rewrite of the file do": (
        _USERS,
        "update users set name = 'x'; vacuum full users; update users set name = 'y'",
    ),
    "a large object": (
        _USERS + "select lo_from_bytea(4711, 'before')",
        "select lo_put(4711, 0, 'AFTER!')",
    ),
    "an extension, a function and a type": (
        _USERS,
        "create type t as enum ('a'); create function f() returns int language sql as 'select 1'",
    ),
    "ALTER, DROP and CREATE of tables": (
        _USERS + "create table other (id int); insert into other values (1)",
        (
            "alter table users add column age int default 7; update users set age = 8;"
            " drop table other; create table another (id serial)"
        ),
    ),
    "DDL that is rolled back": (
        _USERS,
        "begin; drop table users; rollback; update users set name = 'x'",
    ),
    "a partition that is detached": (
        (
            "create table t (id int) partition by list (id);"
            "create table t1 partition of t for values in (1); insert into t values (1)"
        ),
        "alter table t detach partition t1; update t1 set id = 5",
    ),
    "a materialized view": (
        _USERS + "create materialized view m as select count(*) from users",
        "insert into users (name) values ('x'); refresh materialized view m",
    ),
}


@promise("database.postgres-restored")
@pytest.mark.parametrize("case", _CASES)
def test_what_was_committed_is_undone(case: str, open_store: Open, connect: Connect) -> None:
    schema, writes = _CASES[case]
    store = open_store(schema)
    mark = store.mark()
    before = fingerprint(connect(store))

    app = connect(store)
    for statement in _statements(writes):
        app.execute(statement.encode())
    app.close()
    store.restore(mark)

    assert fingerprint(connect(store)) == before
    assert store.changes(mark) == {}


def _statements(script: str) -> list[str]:
    """Split a script where no body of a function is: each statement commits by itself."""
    return [script] if "$$" in script else [part for part in script.split(";") if part.strip()]
