-- Functions of every kind that matters to the gateway.

create table public.things (id int primary key, name text not null);
insert into public.things select number, 'thing ' || number from generate_series(1, 3) as number;
create table public.later (id int, unique (id) deferrable initially deferred);
create table public.closed (id int);
create type public.pair as (left_side int, right_side text);

create function public.who_am_i() returns jsonb language sql stable as $$
  select jsonb_build_object('role', current_user, 'uid', auth.uid(), 'claims', auth.jwt(),
    'timeout', current_setting('statement_timeout'), 'path', current_setting('request.path'))
$$;
create function public.echo(number int, words text, moment timestamptz, id uuid, data jsonb, extra text default 'default')
returns jsonb language sql stable as $$
  select jsonb_build_object('number', number, 'words', words, 'words_is_null', words is null, 'moment', moment,
    'id', id, 'data', data, 'data_is_null', data is null, 'extra', extra)
$$;
create function public.of_pair(given public.pair, many int[]) returns text language sql stable as $$
  select (given).right_side || (given).left_side || array_length(many, 1)
$$;
create function public.nothing() returns void language sql as 'select 1';
create function public.numbers(up_to int) returns setof int language sql stable as 'select generate_series(1, up_to)';
create function public.table_of(up_to int) returns table (number int, word text) language sql stable as $$
  select number, 'w' from generate_series(1, up_to) as number
$$;
create function public.one_thing(wanted int) returns public.things language sql stable as $$
  select * from public.things where id = wanted
$$;
create function public.writes_though_stable() returns int language plpgsql stable as $$
begin execute 'insert into public.things values (99, ''x'')'; return 1; end $$;
create function public.writes() returns int language sql as $$
  insert into public.things values (100, 'y') returning id
$$;
create function public.fails(code text) returns int language plpgsql as $$
begin raise exception using errcode = code, message = 'the message', detail = 'the detail', hint = 'the hint'; end $$;
create function public.slow_by_itself() returns int language plpgsql set statement_timeout = '100ms' as $$
begin perform pg_sleep(5); return 1; end $$;
create function public.deferred() returns int language sql as 'insert into public.later values (1), (1) returning 1';
create function public.no_one() returns int language sql as 'select 1';
revoke all on function public.no_one() from public;
create function public.teapot() returns text language plpgsql as $$
begin
  perform set_config('response.status', '418', true);
  perform set_config('response.headers', '[{"x-tea": "green"}]', true);
  return 'tea';
end $$;
grant select, insert on public.things to service_role;
grant select, insert on public.later to service_role;
grant select on public.things to authenticated;
notify pgrst, 'reload schema';
