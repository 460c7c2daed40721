-- How a private database is put back: see tracking.sql for what the log holds. Only connections
-- with the settings that `templates.py` tells call these functions.

-- Delete the versions at `gone`, which must all be there, and insert rows from their images.
create function pytest_asgi.swap_rows(rel oid, gone tid[], images text[]) returns void
    language plpgsql
as $$
declare
    found bigint;
begin
    execute format('select pytest_asgi.swap_%s($1, $2)', rel) into found using images, gone;
    if found <> coalesce(cardinality(gone), 0) then
        raise 'rows of % have moved', rel::regclass;
    end if;
end $$;

-- Insert rows that the log knows, by the number of the entry that made each: an older mark, or
-- whoever copies the database, looks for them there.
create function pytest_asgi.insert_known(rel oid, images text[], known bigint[]) returns void
    language plpgsql
as $$
declare
    statement text;
    place tid;
    maker xid;
begin
    if images is null then
        return;
    end if;
    select filling || ' returning ctid, xmin'
    into statement
    from pytest_asgi.tracked t where t.rel = insert_known.rel;
    for number in 1 .. cardinality(images) loop
        execute statement into place, maker using array[images[number]];
        update pytest_asgi.log
        set new_at = place, new_xmin = maker, file = pg_relation_filenode(insert_known.rel)
        where seq = known[number];
    end loop;
end $$;

-- Undo what was committed since a mark. Returns what is in the way of that, else nothing.
create function pytest_asgi.undo(
    mark pg_snapshot, seqs oid[], lasts bigint[], called boolean[], blobs numeric, schema numeric
)
    returns text
    language plpgsql
as $$
declare
    has_older boolean;
    changed record;
begin
    if exists (
        select from pg_stat_get_activity(null) a, pg_database d
        where d.datname = current_database() and a.datid = d.oid
            and a.backend_xid is not null and a.pid <> pg_backend_pid()
    ) then
        return 'a transaction is open';
    end if;
    if exists (
        select from pytest_asgi.schema_change s where not pg_visible_in_snapshot(s.xid, mark)
    ) then
        return 'the schema was changed';
    end if;
    if schema is not null then  -- It takes a while to tell.
        if schema <> pytest_asgi.schema_number() then
            return 'the schema was changed';
        end if;
    end if;
    if pytest_asgi.large_objects() <> blobs then
        return 'large objects were written';
    end if;
    if exists (select from pytest_asgi.log l where not pg_visible_in_snapshot(l.xid, mark)) then
        -- Without that role, foreign keys and triggers would get in between.
        if current_setting('session_replication_role') <> 'replica' then
            return 'rows were written';
        end if;
        has_older := exists (
            select from pytest_asgi.log l where pg_visible_in_snapshot(l.xid, mark)
        );
        for changed in
            select coalesce(made.rel, ended.rel) as rel,
                array_agg(made.new_at) filter (where ended.seq is null) as gone,
                array_agg(ended.old)
                    filter (where made.seq is null and origin.seq is null) as images,
                array_agg(ended.old)
                    filter (where made.seq is null and origin.seq is not null) as known_images,
                array_agg(origin.seq)
                    filter (where made.seq is null and origin.seq is not null) as known,
                bool_or(made.file <> pg_relation_filenode(made.rel))
                    filter (where ended.seq is null) as has_moved
            from (
                select * from pytest_asgi.log l
                where l.new_at is not null and not pg_visible_in_snapshot(l.xid, mark)
            ) made full join (
                select * from pytest_asgi.log l
                where l.old_at is not null and not pg_visible_in_snapshot(l.xid, mark)
            ) ended on made.rel = ended.rel and made.file = ended.file
                and made.new_at = ended.old_at and made.new_xmin = ended.old_xmin
            left join pytest_asgi.log origin on has_older
                and origin.rel = ended.rel and origin.file = ended.file
                and origin.new_at = ended.old_at and origin.new_xmin = ended.old_xmin
            group by 1
        loop
            if changed.has_moved then
                return 'a table was rewritten';
            end if;
            perform pytest_asgi.swap_rows(changed.rel, changed.gone, changed.images);
            perform pytest_asgi.insert_known(changed.rel, changed.known_images, changed.known);
        end loop;
        delete from pytest_asgi.log l where not pg_visible_in_snapshot(l.xid, mark);
    end if;
    perform pytest_asgi.reset_sequences(seqs, lasts, called);
    return null;
end $$;

-- Keep the app's triggers from firing again, where the role does not.
create function pytest_asgi.switch_triggers(verb text) returns void
    language plpgsql
as $$
declare
    found record;
begin
    if current_setting('session_replication_role') = 'replica' then
        return;
    end if;
    for found in
        select t.tgrelid::regclass as rel, t.tgname from pg_trigger t
            join pytest_asgi.tracked on tracked.rel = t.tgrelid
        where not t.tgisinternal and t.tgparentid = 0 and t.tgname !~ '^pytest_asgi_'
            and t.tgenabled = case verb when 'disable' then 'O' else 'D' end
    loop
        execute format('alter table %s %s trigger %I', found.rel, verb, found.tgname);
    end loop;
end $$;

-- Do again, in a fresh copy of the database that the log began in, what the log tells.
create function pytest_asgi.redo(seqs oid[], lasts bigint[], called boolean[]) returns void
    language plpgsql
as $$
declare
    changed record;
    gone tid[];
    images text[];
    known bigint[];
    missing bigint;
begin
    perform pytest_asgi.switch_triggers('disable');
    for changed in
        select l.rel, t.readable
        from (select rel, min(seq) as first from pytest_asgi.log group by rel) l
            join pytest_asgi.tracked t using (rel)
        order by l.first
    loop
        -- Where they are in this copy only their content tells.
        execute format(
            'with gone as ('
            '    select key, row_number() over (partition by key) as number from ('
            '        select row(%2$s)::text as key from ('
            '            select ended.old::%1$s as made from pytest_asgi.log ended'
            '            where ended.rel = $1 and ended.old_at is not null and not exists ('
            '                select from pytest_asgi.log made'
            '                where made.rel = ended.rel and made.file = ended.file'
            '                    and made.new_at = ended.old_at'
            '                    and made.new_xmin = ended.old_xmin'
            '            ) offset 0'
            '        ) images'
            '    ) keys'
            '), present as ('
            '    select ctid, key, row_number() over (partition by key) as number from ('
            '        select ctid, row(%2$s)::text as key'
            '        from (select ctid, found as made from only %1$s found) rows'
            '    ) keys'
            ') select array_agg(present.ctid), (select count(*) from gone)'
            ' from gone join present using (key, number)',
            changed.rel::regclass, changed.readable
        ) into gone, missing using changed.rel;
        if coalesce(cardinality(gone), 0) <> missing then
            raise 'rows of % are not in the copy', changed.rel::regclass;
        end if;
        select array_agg(made.new order by made.seq), array_agg(made.seq order by made.seq)
        into images, known
        from pytest_asgi.log made
        where made.rel = changed.rel and made.new_at is not null
            and not exists (
                select from pytest_asgi.log ended
                where ended.rel = made.rel and ended.file = made.file
                    and ended.old_at = made.new_at and ended.old_xmin = made.new_xmin
            );
        perform pytest_asgi.swap_rows(changed.rel, gone, null);
        perform pytest_asgi.insert_known(changed.rel, images, known);
    end loop;
    perform pytest_asgi.switch_triggers('enable');
    perform pytest_asgi.reset_sequences(seqs, lasts, called);
end $$;
