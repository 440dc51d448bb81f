-- Rate limits: counted by route and client address over all instances, within the call's own transaction.
begin;
\ir helpers/actors.psql
select no_plan();

create function tests.consume(p_route text, p_client text) returns integer language sql as $$
  select (tests.call('service_role', format('billing_ops.consume_rate_limit(%L, %L)', p_route, p_client)) #>> '{}')::integer
$$;
create function tests.consume_many(p_route text, p_client text, p_times integer) returns text language sql as $$
  select string_agg(case when tests.consume(p_route, p_client) is null then 'ok' else 'limited' end, ' ' order by n) from generate_series(1, p_times) n
$$;
create function tests.older(p_route text, p_by interval) returns void language sql as $$
  update public.rate_limit_windows set window_started_at = window_started_at - p_by where route = p_route
$$;

select is(billing_ops.rate_limit(route), calls, format('%s: %s a minute', route, calls))
from (values ('reconcile', 5), ('reconcile_now', 10), ('resolve', 10), ('acknowledge', 10), ('unacknowledge', 10), ('snooze', 10),
             ('unsnooze', 10), ('note', 10), ('notify', 10), ('notifications', 60), ('approve', 10), ('revert', 10),
             ('except', 10), ('unexcept', 10), ('set_policy', 10), ('policies', 60), ('monitor', 30), ('alerts', 60), ('runs', 60), ('run', 60),
             ('health', 60), ('metrics', 60)) limits (route, calls);

select is(consume_many('reconcile', '192.0.2.1', 7), 'ok ok ok ok ok limited limited', 'five calls pass, the sixth does not');
select is((select hits from public.rate_limit_windows), 5, 'a limited call is not counted');
select ok(consume('reconcile', '192.0.2.1') between 58 and 60, 'it is told how many seconds to wait');
select is(consume('reconcile', '192.0.2.2'), null, 'another address has a window of its own');
select is(consume('monitor', '192.0.2.1'), null, 'so has another route');
select older('reconcile', '45 seconds');
select ok(consume('reconcile', '192.0.2.1') between 13 and 15, 'the wait gets shorter');
select older('reconcile', '16 seconds');
select is(consume_many('reconcile', '192.0.2.1', 6), 'ok ok ok ok ok limited', 'after a minute a new window begins');
select is((select count(*)::integer from public.rate_limit_windows), 3, 'in the same row');
select is(consume('reconcile', null), null, 'a call without an address');
select is((select hits from public.rate_limit_windows where client = 'unknown'), 1, 'is counted as unknown');

-- In the functions ---------------------------------------------------------------------------------------------------------------

delete from public.rate_limit_windows;
create function tests.outcomes(p_actor text, p_sql text, p_times integer) returns text[] language sql as $$
  select array_agg(tests.call(p_actor, p_sql) ->> 'outcome' order by n) from generate_series(1, p_times) n
$$;
create temporary table starts as
select outcomes('service_role', $$public.start_reconciliation_run('manual_2026-11-23_10:05', 'manual', 24, 330, 'secret', null, '192.0.2.1')$$, 6) as o;
select is(o, array['created', 'existing_running', 'existing_running', 'existing_running', 'existing_running', 'rate_limited'],
          'starts: duplicates are counted too') from starts;
select ok((call('service_role', $$public.start_reconciliation_run('manual_2026-11-23_10:06', 'manual', 24, 330, 'secret', null, '192.0.2.1')$$)
           ->> 'retry_after')::integer between 1 and 60, 'a limited start says how long');
select is((select count(*)::integer from public.reconciliation_logs), 1, 'and starts nothing');
select is((outcomes('service_role', $$public.start_reconciliation_run('manual_2026-11-23_10:05', 'manual', 24, 330)$$, 8))[8], 'existing_running',
          'a start without an address is not counted');
-- A start that is sent again, as its answer was lost, must not be refused: its run would be nobody's.
delete from public.rate_limit_windows;
delete from public.reconciliation_logs;
create temporary table own as
select outcomes('service_role', $$public.start_reconciliation_run('manual_2026-11-23_10:07', 'manual', 24, 330, 'secret', null, '192.0.2.1',
                                                                '00000000-0000-4000-8000-0000000000aa')$$, 8) as o;
select is(o, array_fill('created'::text, array[8]), 'a start that is sent again finds its own run') from own;
select is((select hits from public.rate_limit_windows), 1, 'and is counted once');
select is((outcomes('service_role', $$public.start_reconciliation_run('manual_2026-11-23_10:07', 'manual', 24, 330, 'secret', null, '192.0.2.1')$$, 5))[4:5],
          array['existing_running', 'rate_limited'], 'others of the same address use the limit up');
select is(call('service_role', $$public.start_reconciliation_run('manual_2026-11-23_10:07', 'manual', 24, 330, 'secret', null, '192.0.2.1',
                                                              '00000000-0000-4000-8000-0000000000aa')$$) ->> 'outcome',
          'created', 'and still it finds its own run');
select is((select hits from public.rate_limit_windows), 5, 'nor is it counted then');

select is((outcomes('service_role', $$public.monitor_facts('192.0.2.1')$$, 31))[30:31], array['ok', 'rate_limited'], 'the monitor');
select is(outcomes('service_role', $$public.claim_deliveries('[]', '192.0.2.1')$$, 1), array['rate_limited'],
  'what sends and judges nothing is counted with it');
select is((outcomes('service_role', $$public.claim_deliveries('[]', '192.0.2.3')$$, 31))[30:31], array['ok', 'rate_limited'], 'and by itself');
select ok((call('service_role', $$public.claim_deliveries('[]', '192.0.2.3')$$) ->> 'retry_after')::integer between 1 and 60, 'it is told how long to wait');
select is((outcomes('service_role', $$public.claim_deliveries('[]')$$, 31))[31], 'ok', 'who sends what it has just raised is not counted');
select is((outcomes('service_role', $$public.billing_ops_schema('192.0.2.1')$$, 61))[60:61], array['ok', 'rate_limited'], 'health');
select is((outcomes('service_role', $$public.read_metrics('192.0.2.1')$$, 61))[60:61], array['ok', 'rate_limited'], 'metrics');
select is((outcomes('admin', $$public.admin_authorize('resolve', '192.0.2.1')$$, 11))[10:11], array['ok', 'rate_limited'], 'resolve');
select is((outcomes('admin', $$public.admin_authorize('reconcile_now', '192.0.2.1')$$, 11))[10:11], array['ok', 'rate_limited'], 'Reconcile Now');
select is((outcomes('admin', $$public.admin_monitor_facts('192.0.2.9')$$, 31))[30:31], array['ok', 'rate_limited'], 'the monitor, by an admin');
select is((outcomes('admin', $$public.admin_billing_alerts('192.0.2.1')$$, 61))[60:61], array['ok', 'rate_limited'], 'alerts');
select is((outcomes('admin', $$public.admin_notifications('192.0.2.1')$$, 61))[60:61], array['ok', 'rate_limited'], 'deliveries');
select is((outcomes('admin', format('public.admin_authorize(%L, %L)', route, '192.0.2.1'), 11))[10:11], array['ok', 'rate_limited'], route)
from unnest(array['acknowledge', 'unacknowledge', 'snooze', 'unsnooze', 'note', 'notify']) route;
select is((outcomes('admin', $$public.admin_drift_for_approval('[]', '192.0.2.1')$$, 11))[10:11], array['ok', 'rate_limited'], 'what is shown before an approval');
select is((outcomes('admin', $$public.admin_drift_policies('192.0.2.1')$$, 61))[60:61], array['ok', 'rate_limited'], 'policies');
select is((outcomes('admin', $$public.admin_reconciliation_runs('192.0.2.1')$$, 61))[60:61], array['ok', 'rate_limited'], 'runs');
select is((outcomes('admin', $$public.admin_reconciliation_run(gen_random_uuid(), '192.0.2.1')$$, 61))[60:61],
          array['not_found', 'rate_limited'], 'one run');

delete from public.rate_limit_windows;
select is(outcomes('member', $$public.admin_authorize('resolve', '192.0.2.1')$$, 2), array['forbidden', 'forbidden'], 'who is no admin is refused first');
select is((select count(*)::integer from public.rate_limit_windows), 0, 'and writes nothing, not even a count');

select * from finish();
rollback;
