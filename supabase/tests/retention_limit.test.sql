-- Retention: of drift that ended, so many entries at most are kept. A file of its own, as so many rows take longer than all else.
begin;
\ir helpers/actors.psql
select no_plan();

create function tests.prune(p_limit integer default 5000) returns jsonb language sql as $$
  select tests.call('service_role', format('billing_ops.prune(%s)', p_limit))
$$;

-- How long so many rows take is up to the machine, and nothing is waited for here.
set local statement_timeout = '5min';
insert into public.drift (drift_key, type, severity, issue, action, first_seen_at, last_seen_at, first_run_id, last_run_id, closed_at)
select 'many_' || n, 't', 'info', 'i', 'none', now(), now(), gen_random_uuid(), gen_random_uuid(), now() - make_interval(secs => n)
from generate_series(1, 200005) n;
set local statement_timeout = '30s';
select is(prune(3) ->> 'drift', '3', 'of those that ended at most 200,000 are kept, and the pieces stay bounded');
select is(prune() ->> 'drift', '2', 'the oldest of them go');
select is((select max(substr(drift_key, 6)::integer) from public.drift where drift_key like 'many%'), 200000, 'and no others');

select * from finish();
rollback;
