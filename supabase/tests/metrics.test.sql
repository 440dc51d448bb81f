-- What a Prometheus is told: each number, and that the counters never fall.
begin;
\ir helpers/actors.psql
select no_plan();

create function tests.facts() returns jsonb language sql as $$
  select tests.call('service_role', 'public.read_metrics()') -> 'facts'
$$;

-- Nothing has happened yet ---------------------------------------------------------------------------------------------------

select is(facts(), '{"last_runs": [], "last_run": null, "drift_open": [], "drift_closed": [], "deliveries": [], "due": 0,
  "alerts_open": {"critical": 0, "high": 0, "warning": 0, "info": 0}}', 'a database in which nothing has happened');

-- Runs -----------------------------------------------------------------------------------------------------------------------

create function tests.ended(p_scope text, p_status text, p_at timestamptz, p_seconds numeric, p_scanned integer) returns void language sql as $$
  insert into public.reconciliation_logs (run_key, run_type, scope, status, started_at, finished_at, scanned_count)
  values (concat_ws('_', p_scope, p_status, p_at), 'request', p_scope, p_status, p_at - make_interval(secs => p_seconds), p_at, p_scanned)
$$;
select ended('all', 'success', '2026-11-20 10:00:00.25+00', 12.5, 100), ended('all', 'success', '2026-11-19 10:00+00', 1, 1),
  ended('changed', 'partial', '2026-11-20 11:00+00', 3.25, 7), ended('all', 'error', '2026-11-20 12:00+00', 99, 99),
  ended('due', 'success', '2026-11-20 13:00+00', 0.5, 2), ended('due', 'error', '2026-11-20 09:00+00', 0.5, 2);
insert into public.reconciliation_logs (run_key, run_type, status, started_at) values ('at_work', 'request', 'running', '2026-11-20 14:00+00');
select is(facts() -> 'last_runs', '[["all", "success", 1795168800250], ["all", "error", 1795176000000], ["changed", "partial", 1795172400000],
  ["due", "success", 1795179600000], ["due", "error", 1795165200000]]', 'when the last run of each scope that ended so did, whatever came after it');
select is(facts() -> 'last_run', '{"duration_ms": 3250, "scanned": 7}',
  'how long the last that finished took, and how much it read: neither a pass nor one that ended in error');
select ended('all', 'success', '2026-11-20 15:00+00', 12.5, 100);
select is(facts() -> 'last_run', '{"duration_ms": 12500, "scanned": 100}', 'a full run, too');
update public.reconciliation_logs set started_at = finished_at + interval '1 second' where finished_at = '2026-11-20 15:00+00';
select is(facts() #>> '{last_run,duration_ms}', '0', 'a clock that was set back makes no run end before it began');

-- Drift ------------------------------------------------------------------------------------------------------------------------

create function tests.drift(p_key text, p_type text, p_action text, p_closed timestamptz default null) returns uuid language sql as $$
  insert into public.drift (drift_key, type, severity, issue, action, first_seen_at, last_seen_at, first_run_id, last_run_id, closed_at)
  values (p_key, p_type, 'info', 'i', p_action, now(), now(), gen_random_uuid(), gen_random_uuid(), p_closed) returning id
$$;
select drift('1', 'status_mismatch', 'waiting'), drift('2', 'status_mismatch', 'waiting'), drift('3', 'status_mismatch', 'held'),
  drift('4', 'tier_mismatch', 'observed'), drift('5', 'status_mismatch', 'repaired', now()), drift('6', 'status_mismatch', 'repaired', now()),
  drift('7', 'status_mismatch', 'cleared', now()), drift('8', 'tier_mismatch', 'moved', now() - interval '91 days'),
  drift('9', 'status_mismatch', 'repaired', now() - interval '91 days'), drift('10', 'status_mismatch', 'repaired', now() - interval '92 days');
select is(facts() -> 'drift_open', '[["status_mismatch", "held", 1], ["status_mismatch", "waiting", 2], ["tier_mismatch", "observed", 1]]',
  'what stands, by class and by what was done about it');
create function tests.closed() returns jsonb language sql as $$ select tests.facts() -> 'drift_closed' $$;
select is(closed(), '[["status_mismatch", "cleared", 1], ["status_mismatch", "repaired", 4], ["tier_mismatch", "moved", 1]]', 'what ended, and how');
select is(call('service_role', 'billing_ops.prune(1)') ->> 'drift', '1', 'one of them is pruned');
select is(closed(), '[["status_mismatch", "cleared", 1], ["status_mismatch", "repaired", 4], ["tier_mismatch", "moved", 1]]', 'and no counter falls');
select is(call('service_role', 'billing_ops.prune(5000)') ->> 'drift', '2', 'so are the others');
select is(closed(), '[["status_mismatch", "cleared", 1], ["status_mismatch", "repaired", 4], ["tier_mismatch", "moved", 1]]',
  'nor does it fall then, though nothing else is left of a class');
select drift('11', 'tier_mismatch', 'moved', now());
select is(closed() -> 2, '["tier_mismatch", "moved", 2]', 'it goes on from there');
-- Two thousand entries are two pieces, and are counted once.
select drift('piece_' || n, 'price_mismatch', case when n % 2 = 0 then 'cleared' else 'repaired' end, now() - interval '95 days') from generate_series(1, 2000) n;
select is(call('service_role', 'billing_ops.prune(5000)') ->> 'drift', '2000', 'in several pieces');
select is(closed() - 4 - 3 - 2, '[["price_mismatch", "cleared", 1000], ["price_mismatch", "repaired", 1000]]', 'each is counted by itself');

-- Taken back -------------------------------------------------------------------------------------------------------------------

insert into public.subscriptions (organization_id, stripe_subscription_id, status, quantity)
select '00000000-0000-4000-8000-00000000000a', 'sub_' || n, 'active', 5 from generate_series(1, 3) n;
create function tests.repaired(p_subject text, p_action text) returns uuid language sql as $$
  insert into public.drift (drift_key, type, severity, stripe_subscription_id, issue, action, first_seen_at, last_seen_at, first_run_id, last_run_id,
    closed_at, before, row_key, row_version)
  select 'quantity_mismatch:' || p_subject, 'quantity_mismatch', 'info', p_subject, 'i', p_action, now(), now(), gen_random_uuid(), gen_random_uuid(),
    now(), '{"quantity": 3}', r ->> 0, r ->> 1
  from billing_ops.adapter_read(array[p_subject], null) r returning id
$$;
create temporary table taken_back as select repaired('sub_1', 'repaired') as id union all select repaired('sub_2', 'moved')
  union all select repaired('sub_3', 'repaired');
create function tests.of_quantity() returns text language sql as $$
  select string_agg(concat_ws(' ', e ->> 1, e ->> 2), ', ' order by e ->> 1) from jsonb_array_elements(tests.closed()) e where e ->> 0 = 'quantity_mismatch'
$$;
select is(of_quantity(), 'moved 1, repaired 2', 'three repairs');
select is((select string_agg(call('service_role', format('public.revert_drift(%L, %L, null)', id, '00000000-0000-4000-8000-000000000001')) ->> 'outcome', ' ')
  from taken_back), 'reverted reverted reverted', 'all are taken back');
select is(of_quantity(), 'moved 1, repaired 2, reverted 3', 'they were repaired all the same');
select is((select string_agg(call('service_role', format('public.revert_drift(%L, %L, null)', id, '00000000-0000-4000-8000-000000000001')) ->> 'outcome', ' ')
  from taken_back), 'not_repaired not_repaired not_repaired', 'once more');
select is(of_quantity(), 'moved 1, repaired 2, reverted 3', 'counts nothing');
update public.drift set closed_at = now() - interval '91 days' where type = 'quantity_mismatch' and closed_at is not null;
select is(call('service_role', 'billing_ops.prune(5000)') ->> 'drift', '3', 'and once they are pruned');
select is(of_quantity(), 'moved 1, repaired 2, reverted 3', 'the counters stay');

-- Alerts, deliveries, what is due ----------------------------------------------------------------------------------------------

insert into public.billing_alerts (alert_key, alert_type, severity, message, resolved) values
  ('a', 't', 'critical', 'm', false), ('b', 't', 'warning', 'm', false), ('c', 't', 'warning', 'm', false), ('d', 't', 'high', 'm', true);
select is(facts() -> 'alerts_open', '{"critical": 1, "high": 0, "warning": 2, "info": 0}', 'open alerts by severity, none is a zero');
insert into public.notification_channels (channel, fingerprint, min_severity, configured) values ('slack', 'f', 'warning', true), ('email', 'f', 'high', false);
insert into public.notification_deliveries (channel, kind, severity, status) values
  ('slack', 'test', 'info', 'sent'), ('slack', 'test', 'info', 'sent'), ('slack', 'raised', 'info', 'due'), ('email', 'raised', 'info', 'dead');
select is(facts() -> 'deliveries', '[["email", "dead", 1], ["slack", "dead", 0], ["slack", "due", 1], ["slack", "sent", 2], ["slack", "suppressed", 0]]',
  'messages by channel and what became of them; zeros for a channel that is set up');
insert into public.stripe_due (stripe_subscription_id, due_at) values ('sub_1', now()), ('sub_2', now() + interval '2 minutes');
select is(facts() -> 'due', '2', 'what events spoke of and nobody has read, be it time or not');

-- Who asks ---------------------------------------------------------------------------------------------------------------------

select is(call('service_role', $$public.read_metrics('192.0.2.1')$$) ->> 'outcome', 'ok', 'within the limit');
update public.rate_limit_windows set hits = 60 where route = 'metrics' and client = '192.0.2.1';
select is((call('service_role', $$public.read_metrics('192.0.2.1')$$)) - 'retry_after', '{"outcome": "rate_limited"}', 'beyond it nothing is read');
select is(call('service_role', $$public.read_metrics('192.0.2.2')$$) ->> 'outcome', 'ok', 'another address goes on');
select ok(facts()::text !~ 'sub_|cus_|[0-9a-f]{8}-', 'no id is told');

select * from finish();
rollback;
