-- What a private database keeps in order to be put back: every version of a row that was made or
-- ended since, by a trigger on each table; and that its schema was changed, by event triggers.
--
-- A version of a row is known by where it is and who made it: (file, ctid, xmin) never comes
-- twice. So what is undone is a difference of two sets, in whatever order the log was written: the
-- versions that were made and not ended are deleted, those that were ended and not made are
-- inserted again. Rows need no key for that. What was rolled back is not in the log, as it is not
-- in the tables. The image of a row is its text as pg_dump would write it.

create schema pytest_asgi;

-- Statements that destroy something run only where this table is.
create table pytest_asgi.marker (made_by text);
insert into pytest_asgi.marker values ('pytest-asgi');

create unlogged table pytest_asgi.log (
    seq bigint generated always as identity,
    xid xid8 not null default pg_catalog.pg_current_xact_id(),
    rel oid not null,
    file oid not null,
    old_at tid,
    old_xmin xid,
    old text,
    new_at tid,
    new_xmin xid,
    new text
);

create unlogged table pytest_asgi.schema_change (
    xid xid8 not null default pg_catalog.pg_current_xact_id(),
    command text,
    is_tracked boolean not null default false
);

-- The tables with triggers. A partition goes by the name of the table that users know. `filling`
-- inserts the rows that `$1` are the images of, `readable` are their columns that are kept, and
-- `virtuals` computes those that are not. `version` is another one when the columns may be others.
-- An image tells as much as its row if the columns are all of types that are written in one way
-- only, whatever is set and wherever it is read: then `columns` and `types` tell how to read it.
create table pytest_asgi.tracked (
    rel oid primary key,
    name text,
    filling text,
    readable text,
    virtuals text,
    columns text[],
    types oid[],
    version xid8 not null default pg_catalog.pg_current_xact_id()
);

create function pytest_asgi.record_row() returns trigger
    language plpgsql security definer
    set search_path = pg_catalog, pg_temp
    set datestyle = 'ISO'
    set intervalstyle = 'postgres'
    set extra_float_digits = 1
    set bytea_output = 'hex'
    set lc_monetary = 'C'
as $$
begin
    if current_setting('pytest_asgi.is_silent', true) = 'on' then
        return null;
    elsif tg_op = 'INSERT' then
        insert into pytest_asgi.log (rel, file, new_at, new_xmin, new)
        values (tg_relid, pg_relation_filenode(tg_relid), new.ctid, new.xmin, new::text);
    elsif tg_op = 'UPDATE' then
        insert into pytest_asgi.log (rel, file, old_at, old_xmin, old, new_at, new_xmin, new)
        values (tg_relid, pg_relation_filenode(tg_relid), old.ctid, old.xmin, old::text,
                new.ctid, new.xmin, new::text);
    else
        insert into pytest_asgi.log (rel, file, old_at, old_xmin, old)
        values (tg_relid, pg_relation_filenode(tg_relid), old.ctid, old.xmin, old::text);
    end if;
    return null;
end $$;

create function pytest_asgi.record_truncate() returns trigger
    language plpgsql security definer
    set search_path = pg_catalog, pg_temp
    set datestyle = 'ISO'
    set intervalstyle = 'postgres'
    set extra_float_digits = 1
    set bytea_output = 'hex'
    set lc_monetary = 'C'
as $$
begin
    if current_setting('pytest_asgi.is_silent', true) = 'on' then
        return null;
    -- A large table is quicker copied than written again, and TRUNCATE also ends rows that a
    -- transaction with an old snapshot does not see.
    elsif pg_relation_size(tg_relid) > 1048576
        or current_setting('transaction_isolation') <> 'read committed'
    then
        insert into pytest_asgi.schema_change (command) values ('TRUNCATE');
    end if;
    execute format(
        'insert into pytest_asgi.log (rel, file, old_at, old_xmin, old)'
        ' select %s, %s, gone.ctid, gone.xmin, (gone.*)::text from only %s gone',
        tg_relid, pg_relation_filenode(tg_relid), tg_relid::regclass
    );
    return null;
end $$;

-- Put triggers on the tables that have none yet, and know all columns and sequences anew.
create function pytest_asgi.track() returns void
    language plpgsql security definer
as $$
declare
    found record;
    states text;
begin
    for found in
        select c.oid::regclass as rel
        from pg_class c
        where c.relkind = 'r' and c.relpersistence <> 't' and c.oid >= 16384
            and c.relnamespace <> 'pytest_asgi'::regnamespace
            and not exists (
                select from pg_trigger t
                where t.tgrelid = c.oid and t.tgfoid = 'pytest_asgi.record_row'::regproc
            )
    loop
        execute format(
            'create trigger pytest_asgi_row after insert or update or delete on %1$s'
            ' for each row execute function pytest_asgi.record_row();'
            'create trigger pytest_asgi_truncate before truncate on %1$s'
            ' for each statement execute function pytest_asgi.record_truncate();'
            'alter table %1$s enable always trigger pytest_asgi_row;'
            'alter table %1$s enable always trigger pytest_asgi_truncate',
            found.rel
        );
    end loop;
    update pytest_asgi.schema_change set is_tracked = true where not is_tracked;
    delete from pytest_asgi.tracked;
    insert into pytest_asgi.tracked (rel, name, filling, readable, virtuals, columns, types)
    select t.tgrelid,
        (
            select case when n.nspname = current_schema() then c.relname
                else n.nspname || '.' || c.relname end
            from pg_class c join pg_namespace n on n.oid = c.relnamespace
            where c.oid = coalesce(pg_partition_root(t.tgrelid), t.tgrelid)
        ),
        format(
            'insert into %1$s %2$s overriding system value select %3$s'
            ' from (select image::%1$s as made from unnest($1) image offset 0) rows',
            t.tgrelid::regclass,
            '(' || string_agg(quote_ident(a.attname), ', ' order by a.attnum)
                filter (where a.attgenerated = '') || ')',
            string_agg('(made).' || quote_ident(a.attname), ', ' order by a.attnum)
                filter (where a.attgenerated = '')
        ),
        string_agg('(made).' || quote_ident(a.attname), ', ' order by a.attnum)
            filter (where a.attgenerated = ''),
        string_agg(', (' || pg_get_expr(d.adbin, d.adrelid) || ') as ' || quote_ident(a.attname), '')
            filter (where a.attgenerated = 'v'),
        array_agg(a.attname::text order by a.attnum),
        case when bool_and(
            a.attgenerated <> 'v' and (coalesce(b.typtype, y.typtype) = 'e' or coalesce(b.oid, y.oid)
                = any('{bool,bpchar,bytea,date,float4,float8,inet,int2,int4,int8,interval,json,'
                    'jsonb,numeric,text,time,timestamp,timestamptz,uuid,varchar,'
                    'bool[],float8[],int4[],int8[],numeric[],text[],uuid[],varchar[]}'::regtype[]))
        ) then array_agg(coalesce(b.oid, y.oid) order by a.attnum) end
    from pg_trigger t
        left join pg_attribute a
            on a.attrelid = t.tgrelid and a.attnum > 0 and not a.attisdropped
        left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
        left join pg_type y on y.oid = a.atttypid
        left join pg_type b on b.oid = y.typbasetype
    where t.tgfoid = 'pytest_asgi.record_row'::regproc
    group by t.tgrelid;
    -- One function for each table, because the plans of its statements are kept.
    for found in select * from pytest_asgi.tracked loop
        execute format(
            'create or replace function pytest_asgi.swap_%s(images text[], gone tid[])'
            ' returns bigint language plpgsql as %L',
            found.rel,
            format(
                'declare found bigint := 0; begin'
                ' if gone is not null then'
                '  delete from only %s where ctid = any(gone); get diagnostics found = row_count;'
                ' end if;'
                ' if images is not null then %s; end if;'
                ' return found; end',
                found.rel::regclass, found.filling
            )
        );
    end loop;
    -- From PostgreSQL 18 on one function tells the state of a sequence, which is quicker.
    select case when current_setting('server_version_num')::int >= 180000 then
        format(
            'select s.seq, d.last_value, d.is_called from unnest(%L::oid[]) s (seq),'
            ' lateral pg_get_sequence_data(s.seq) d',
            array_agg(c.oid)
        )
    else
        string_agg(
            format('select %s::oid, last_value, is_called from %s', c.oid, c.oid::regclass),
            ' union all ' order by c.oid
        )
    end
    into states
    from pg_class c
    where c.relkind = 'S' and c.relpersistence <> 't'
        and c.relnamespace <> 'pytest_asgi'::regnamespace
    having count(*) > 0;
    execute format(
        'create or replace function pytest_asgi.sequences()'
        ' returns table (seq oid, last bigint, called boolean) language plpgsql'
        ' as %L',
        'begin return query '
        || coalesce(states, 'select null::oid, null::bigint, null::boolean where false')
        || '; end'
    );
end $$;

-- What large objects there are, in one number: nothing else tells that they were written to.
create function pytest_asgi.large_objects() returns numeric
    language plpgsql
as $$
begin
    if pg_relation_size('pg_largeobject') = 0
        and pg_relation_size('pg_largeobject_metadata') = 0
    then
        return 0;
    end if;
    return (
        case when has_table_privilege('pg_largeobject', 'select') then
            (select coalesce(sum(xmin::text::numeric), 0) + count(*) from pg_largeobject)
        else 0 end
    ) + (select coalesce(sum(xmin::text::numeric), 0) + count(*) from pg_largeobject_metadata);
end $$;

-- The schema in one number, for who may not have event triggers: it differs when the schema does.
create function pytest_asgi.schema_number() returns numeric
    language sql
as $$
    select sum(number) + count(*) * 4294967296 from (
        select xmin::text::numeric as number from pg_class
        where relpersistence <> 't' and relkind <> 't'
        union all select xmin::text::numeric from pg_constraint
        union all select xmin::text::numeric from pg_proc
        union all select xmin::text::numeric from pg_enum
        union all select xmin::text::numeric from pg_policy
        union all select xmin::text::numeric from pg_rewrite
        union all select xmin::text::numeric from pg_extension
        union all select xmin::text::numeric from pg_attrdef
        union all select xmin::text::numeric from pg_namespace where nspname !~ '^pg_(toast_)?temp'
        -- Whether a trigger is enabled does not count: see redo().
        union all select hashtext(format('%s %s %s', tgname, tgrelid, tgfoid)) from pg_trigger
    ) numbers
$$;

create function pytest_asgi.mark(
    has_event_triggers boolean,
    out at pg_snapshot, out seqs oid[], out lasts bigint[], out called boolean[],
    out blobs numeric, out schema numeric
)
    language plpgsql
as $$
begin
    if exists (select from pytest_asgi.schema_change where not is_tracked) then
        perform pytest_asgi.track();
    end if;
    at := pg_current_snapshot();
    select array_agg(s.seq), array_agg(s.last), array_agg(s.called)
    into seqs, lasts, called from pytest_asgi.sequences() s;
    blobs := pytest_asgi.large_objects();
    if not has_event_triggers then
        schema := pytest_asgi.schema_number();
    end if;
end $$;

create function pytest_asgi.reset_sequences(seqs oid[], lasts bigint[], called boolean[])
    returns void
    language plpgsql
as $$
begin
    perform setval(was.seq::regclass, was.last, was.called)
    from unnest(seqs, lasts, called) was (seq, last, called)
        join pytest_asgi.sequences() now on now.seq = was.seq
    where (now.last, now.called) is distinct from (was.last, was.called);
end $$;

select pytest_asgi.track();
