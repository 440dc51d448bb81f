-- Included by what measures calls: pg_temp.time_it(name, role, call) and the view pg_temp.report.
create temporary table timings (place serial, name text, milliseconds double precision, cpu_milliseconds double precision);
grant all on timings, timings_place_seq to public;

-- Time that this backend has spent on a processor, in ms (Linux): what is left when others keep the machine busy.
create function pg_temp.cpu() returns double precision language sql as $$
  select split_part(pg_read_file('/proc/self/schedstat'), ' ', 1)::double precision / 1e6
$$;

-- Nine calls in somebody's name, each rolled back, so that all see the same data.
create function pg_temp.time_it(p_name text, p_actor text, p_sql text) returns void
language plpgsql as $$
declare
  v_from timestamptz;
  v_took double precision;
  v_cpu_from double precision;
  v_cpu double precision;
begin
  perform set_config('request.jwt.claims', case when p_actor = 'authenticated' then jsonb_build_object('sub', md5('user 1')::uuid,
    'aud', 'authenticated', 'role', 'authenticated') else '{}' end::text, false);
  for v_call in 1..9 loop
    begin
      v_cpu_from := pg_temp.cpu();
      perform set_config('role', p_actor, true);
      v_from := clock_timestamp();
      execute p_sql;
      v_took := extract(epoch from clock_timestamp() - v_from) * 1000;
      perform set_config('role', 'none', true);
      v_cpu := pg_temp.cpu() - v_cpu_from;
      raise exception using errcode = 'TTTTT';
    exception when sqlstate 'TTTTT' then
      null;
    end;
    -- Limits are a minute's; here a minute's calls come in a second.
    update public.rate_limit_windows set hits = 0 where route <> 'reconcile' and hits > 0;
    insert into timings (name, milliseconds, cpu_milliseconds) values (p_name, v_took, v_cpu);
  end loop;
end
$$;

create temporary view report as
select name as "call",
  round((percentile_cont(0.5) within group (order by milliseconds))::numeric, 1) as "median ms",
  round(max(milliseconds)::numeric, 1) as "worst ms",
  round((percentile_cont(0.5) within group (order by cpu_milliseconds))::numeric, 1) as "median CPU ms",
  round(max(cpu_milliseconds)::numeric, 1) as "worst CPU ms",
  case when max(cpu_milliseconds) < 250 then '' else 'over 250 ms' end as " "
from timings group by name order by min(place);
