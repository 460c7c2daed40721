-- What notices that the schema was changed; only a superuser may install it.

create function pytest_asgi.record_schema_change() returns event_trigger
    language plpgsql security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    if current_setting('pytest_asgi.is_silent', true) = 'on' then
        return;
    elsif tg_event = 'sql_drop' then
        if exists (select from pg_event_trigger_dropped_objects() where not is_temporary) then
            insert into pytest_asgi.schema_change (command) values (tg_tag);
        end if;
    elsif exists (
        select from pg_event_trigger_ddl_commands() where schema_name is distinct from 'pg_temp'
    ) then
        insert into pytest_asgi.schema_change (command) values (tg_tag);
    end if;
end $$;

create event trigger pytest_asgi_schema_change on ddl_command_end
    execute function pytest_asgi.record_schema_change();
create event trigger pytest_asgi_drop on sql_drop
    execute function pytest_asgi.record_schema_change();
alter event trigger pytest_asgi_schema_change enable always;
alter event trigger pytest_asgi_drop enable always;
