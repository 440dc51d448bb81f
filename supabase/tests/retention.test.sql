-- Retention: what is deleted, what is kept, and that it comes in bounded pieces.
begin;
\ir helpers/actors.psql
select no_plan();

create function tests.prune(p_limit integer default 5000) returns jsonb language sql as $$
  select tests.call('service_role', format('billing_ops.prune(%s)', p_limit))
$$;

select is(prune(), '{"drift": 0, "runs": 0, "alerts": 0, "rate_limit_windows": 0}', 'nothing to delete');

insert into public.reconciliation_logs (run_key, run_type, status, started_at, finished_at)
select 'run_' || days, 'scheduled', 'success', now() - make_interval(days => days), now() - make_interval(days => days)
from unnest(array[399, 401, 402, 403]) days;
create function tests.entry(p_key text, p_seen timestamptz, p_closed timestamptz) returns void language sql as $$
  insert into public.drift (drift_key, type, severity, issue, action, first_seen_at, last_seen_at, first_run_id, last_run_id, closed_at)
  values (p_key, 't', 'info', 'i', 'none', p_seen, p_seen, gen_random_uuid(), gen_random_uuid(), p_closed)
$$;
select entry('closed_' || days, now() - interval '2 years', now() - make_interval(days => days)) from unnest(array[89, 91, 92]) days;
select entry('open', now() - interval '9 years', null);
insert into public.billing_alerts (alert_key, alert_type, severity, message, created_at, resolved, resolved_at) values
  ('old', 't', 'info', 'm', now() - interval '401 days', true, now() - interval '401 days'),
  ('resolved_late', 't', 'info', 'm', now() - interval '401 days', true, now() - interval '399 days'),
  ('open', 't', 'info', 'm', now() - interval '9 years', false, null),
  ('young', 't', 'info', 'm', now() - interval '399 days', true, now() - interval '399 days');
insert into public.billing_alerts (alert_key, alert_type, severity, message, previous_alert_id)
select 'next', 't', 'info', 'm', id from public.billing_alerts where alert_key = 'old';
insert into public.billing_alert_events (alert_id, event, severity, created_at)
select id, 'raised', 'info', now() - interval '401 days' from public.billing_alerts;
insert into public.rate_limit_windows (route, client, window_started_at, hits) values
  ('r', 'old', now() - interval '25 hours', 1), ('r', 'young', now() - interval '23 hours', 1);

select is(prune(1), '{"drift": 1, "runs": 1, "alerts": 1, "rate_limit_windows": 1}', 'at most so many of each kind');
select is((select string_agg(drift_key, ' ' order by drift_key) from public.drift), 'closed_89 closed_91 open', 'the oldest first');
select is((select string_agg(run_key, ' ' order by run_key) from public.reconciliation_logs), 'run_399 run_401 run_402', 'of runs too');
select is(prune(), '{"drift": 1, "runs": 2, "alerts": 0, "rate_limit_windows": 0}', 'then the rest');
select is((select string_agg(drift_key, ' ' order by drift_key) from public.drift), 'closed_89 open',
          'drift: 90 days after it ended; what stands for ever');
select is((select string_agg(alert_key, ' ' order by alert_key) from public.billing_alerts), 'next open resolved_late young',
          'alerts: 400 days after they were resolved; an open one for ever');
select is((select previous_alert_id from public.billing_alerts where alert_key = 'next'), null, 'the episode after one that is gone stays');
select is((select count(*)::integer from public.billing_alert_events), 4, 'the history of an alert goes with it and no sooner');
select is((select string_agg(client, ' ') from public.rate_limit_windows), 'young', 'rate limit windows: a day');

insert into public.drift (drift_key, type, severity, issue, action, first_seen_at, last_seen_at, first_run_id, last_run_id, closed_at)
select 'many_' || n, 't', 'info', 'i', 'none', now(), now(), gen_random_uuid(), gen_random_uuid(), now() - make_interval(secs => n)
from generate_series(1, 200005) n;
select is(prune(3) ->> 'drift', '3', 'of those that ended at most 200,000 are kept, and the pieces stay bounded');
select is(prune() ->> 'drift', '3', 'the oldest of them go');
select is((select max(substr(drift_key, 6)::integer) from public.drift where drift_key like 'many%'), 200000, 'and no others');
update public.reconciliation_logs set started_at = now() - interval '9 years';
select is(prune() ->> 'runs', '0', 'the newest run stays whatever its age');
insert into public.reconciliation_logs (run_key, run_type, status, started_at) values ('dead', 'scheduled', 'running', now() - interval '9 years 1 day');
select is(prune() ->> 'runs', '0', 'so does one that is marked as running');

select is((call('service_role', $$public.apply_monitor_outcomes('[]')$$) -> 'pruned') - array['drift', 'runs', 'alerts', 'rate_limit_windows'],
          '{}', 'the monitor''s second call prunes');
insert into public.rate_limit_windows (route, client, window_started_at, hits) values ('r', 'old', now() - interval '25 hours', 1);
select is(call('service_role', $$public.apply_monitor_outcomes('[]')$$) -> 'pruned' ->> 'rate_limit_windows', '1', 'really');

select * from finish();
rollback;
