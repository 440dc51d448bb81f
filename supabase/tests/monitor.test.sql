-- The monitor's facts: what it judges by, and what it must not see.
begin;
\ir helpers/actors.psql
select no_plan();

create function tests.facts() returns jsonb language sql as $$
  delete from public.rate_limit_windows;
  select tests.call('service_role', 'public.monitor_facts()') -> 'facts'
$$;
create function tests.utc(p_time text) returns jsonb language sql as $$ select to_jsonb(billing_ops.utc(p_time::timestamptz)) $$;

-- A database in which nothing has happened ------------------------------------------------------------------------------------

select is(facts() - 'now', '{"last_good_run_finished_at": null, "last_complete_sweep_at": null, "first_run_started_at": null, "live_run_id": null,
  "latest_results": [], "oldest_high_severity_alert": null, "open_high_severity_count": 0, "reconcile_stale_since": null,
  "oldest_due_at": null, "deliveries": null, "deliveries_asked_at": null, "notifications": {"overdue": 0, "oldest_due_since": null,
  "off": 0, "configured": 0, "given_up": 0, "channels": [], "none_works": false}}', 'nothing yet');
select ok(abs(extract(epoch from clock_timestamp() - (facts() ->> 'now')::timestamptz)) < 5, 'the database''s clock is the one that counts');

-- Runs --------------------------------------------------------------------------------------------------------------------------

insert into public.reconciliation_logs (id, run_key, run_type, status, started_at, finished_at, lease_expires_at, error_code) values
  ('00000000-0000-4000-8000-000000000001', 'k1', 'scheduled', 'success', '2026-01-01 01:00Z', '2026-01-01 01:01Z', null, null),
  ('00000000-0000-4000-8000-000000000002', 'k2', 'scheduled', 'partial', '2026-01-01 02:00Z', '2026-01-01 02:01Z', null, null),
  ('00000000-0000-4000-8000-000000000003', 'k3', 'scheduled', 'error', '2026-01-01 03:00Z', '2026-01-01 03:01Z', null, 'stripe_error'),
  ('00000000-0000-4000-8000-000000000004', 'k4', 'scheduled', 'error', '2026-01-01 04:00Z', '2026-01-01 04:01Z', null, 'stale_run'),
  ('00000000-0000-4000-8000-000000000005', 'k5', 'scheduled', 'running', '2026-01-01 05:00Z', null, now() - interval '1 second', null);
select is(facts() -> 'last_good_run_finished_at', utc('2026-01-01 02:01Z'), 'a partial run is a good one, an error is not');
select is(facts() -> 'last_complete_sweep_at', utc('2026-01-01 01:01Z'), 'one that had no time to read anything has not looked at everything');
update public.reconciliation_logs set scanned_count = 1 where run_key = 'k2';
select is(facts() -> 'last_complete_sweep_at', utc('2026-01-01 02:01Z'), 'one that left nothing to do has looked at everything');
update public.reconciliation_logs set cursor = '{}' where run_key in ('k2', 'k3');
select is(facts() -> 'last_complete_sweep_at', utc('2026-01-01 01:01Z'), 'one that left a cursor has not, nor has one that failed');
select is(facts() -> 'first_run_started_at', utc('2026-01-01 01:00Z'), 'when runs began');
select is(facts() -> 'live_run_id', 'null', 'a run whose lease expired does not live');
select is(facts() -> 'latest_results', '[
  {"id": "00000000-0000-4000-8000-000000000004", "status": "error", "error_code": "stale_run"},
  {"id": "00000000-0000-4000-8000-000000000003", "status": "error", "error_code": "stripe_error"},
  {"id": "00000000-0000-4000-8000-000000000002", "status": "partial", "error_code": null}]', 'the last three that ended, newest first');
update public.reconciliation_logs set lease_expires_at = now() + interval '1 hour' where status = 'running';
select is(facts() -> 'live_run_id', '"00000000-0000-4000-8000-000000000005"', 'one under a live lease does');

-- A pass over what is due is no run for any of that; one over what changed is, but has not looked at everything.
create temporary table judged as select facts() - 'now' as facts;
insert into public.reconciliation_logs (id, run_key, run_type, status, scope, started_at, finished_at, scanned_count)
select ('00000000-0000-4000-8000-0000000001' || to_char(row_number() over (), 'FM00'))::uuid, concat_ws('_', s, at), 'scheduled', s, 'due', at::timestamptz, at::timestamptz, 1
from unnest(array['success', 'partial', 'error']) s, unnest(array['2025-12-31Z', '2026-01-06Z']) at;
select is(facts() - 'now', (select facts from judged), 'passes over what is due are no runs for any of these');
update public.reconciliation_logs set status = 'success', finished_at = started_at where status = 'running';
insert into public.reconciliation_logs (run_key, run_type, status, scope, lease_expires_at) values ('due', 'scheduled', 'running', 'due', now() + interval '1 hour');
select is(facts() -> 'live_run_id', 'null', 'nor is one that runs');
update public.reconciliation_logs set scope = 'changed' where run_key = 'due';
select is(facts() -> 'live_run_id', (select to_jsonb(id) from public.reconciliation_logs where run_key = 'due'), 'a run over what changed is one');
update public.reconciliation_logs set scope = 'changed' where scope = 'due';
select is(facts() -> 'last_good_run_finished_at', utc('2026-01-06Z'), 'it counts as a good one');
select is(facts() -> 'last_complete_sweep_at', utc('2026-01-01 05:00Z'), 'but not as one that has looked at everything');
select is(facts() -> 'first_run_started_at', utc('2025-12-31Z'), 'it counts as the first');
select is(facts() #>> '{latest_results,0,id}', (select id::text from public.reconciliation_logs where finished_at = '2026-01-06Z' order by id desc limit 1), 'and as the last');

-- What Stripe's events speak of, and whether they arrive ---------------------------------------------------------------------------

insert into public.stripe_due (stripe_subscription_id, due_at) values ('sub_1', '2026-01-03Z'), ('sub_2', '2026-01-02Z'), ('sub_3', now() + interval '1 hour');
select is(facts() -> 'oldest_due_at', utc('2026-01-02Z'), 'since when something is due');

-- What a pass of the monitor says that Stripe said; answers what is remembered, and whether it is new.
create function tests.says(p_said text) returns text language plpgsql as $$
begin
  update billing_ops.stripe_deliveries set asked_at = '2026-01-01Z';
  perform tests.call('service_role', format($q$public.apply_monitor_outcomes('[]' %s)$q$, p_said));
  return concat_ws(' ', tests.facts() ->> 'deliveries', (tests.facts() ->> 'deliveries_asked_at')::timestamptz > clock_timestamp() - interval '5 seconds');
end
$$;
select is(says(''), '', 'nobody has asked Stripe');
select is(says($$, '{"failing": 1, "oldest_at": "2026-01-01T00:00:00Z"}'$$), '{"failing": 1, "oldest_at": "2026-01-01T00:00:00Z"} t', 'what Stripe said is remembered');
select is(says(''), '{"failing": 1, "oldest_at": "2026-01-01T00:00:00Z"} f', 'a pass that did not ask leaves it');
select is(says(', null'), '{"failing": 1, "oldest_at": "2026-01-01T00:00:00Z"} f', 'whether it says so or not');
select is(says($$, '{"failing": 0}'$$), '{"failing": 0} t', 'what it says next takes its place');
select is(says($$, '{}'$$), 't', 'so does that it did not answer');
select is(facts() -> 'deliveries', 'null', 'then nothing is known');
select is((select said from billing_ops.stripe_deliveries), null, 'nor remembered');
select is(says($$, '{"failing": 2}'$$), '{"failing": 2} t', 'until it does');
select is(says($$, 'null'$$), 't', 'a null in JSON is no answer, either');

-- Alerts --------------------------------------------------------------------------------------------------------------------------

insert into public.billing_alerts (id, alert_key, alert_type, severity, message, resolved, created_at, first_seen_at) values
  ('00000000-0000-4000-8000-000000000011', 'reconcile_stale', 'reconcile_stale', 'critical', 'm', false, '2026-01-01Z', '2026-01-01Z'),
  ('00000000-0000-4000-8000-000000000012', 'high_severity_stale', 'high_severity_stale', 'critical', 'm', false, '2026-01-01Z', '2026-01-01Z'),
  ('00000000-0000-4000-8000-000000000013', 'reconcile_failing', 'reconcile_failing', 'critical', 'm', false, '2026-01-01Z', '2026-01-01Z'),
  ('00000000-0000-4000-8000-000000000014', 'sweep_incomplete', 'sweep_incomplete', 'critical', 'm', false, '2026-01-01Z', '2026-01-01Z'),
  ('00000000-0000-4000-8000-000000000015', 'settings_invalid', 'settings_invalid', 'critical', 'm', false, '2026-01-01Z', '2026-01-01Z'),
  ('00000000-0000-4000-8000-000000000016', 'notifications_failing', 'notifications_failing', 'critical', 'm', false, '2026-01-01Z', '2026-01-01Z'),
  ('00000000-0000-4000-8000-000000000017', 'stripe_deliveries_failing', 'stripe_deliveries_failing', 'critical', 'm', false, '2026-01-01Z', '2026-01-01Z'),
  ('00000000-0000-4000-8000-000000000018', 'events_backlog', 'events_backlog', 'critical', 'm', false, '2026-01-01Z', '2026-01-01Z');
select is(facts() -> 'oldest_high_severity_alert', 'null', 'the monitor''s own alerts don''t count, or it could never clear');
select is(facts() -> 'open_high_severity_count', '0', 'not in the count either');
select is(facts() -> 'reconcile_stale_since', utc('2026-01-01Z'), 'how long reconcile_stale has been open');
insert into public.billing_alerts (id, alert_key, alert_type, severity, message, resolved, created_at, first_seen_at) values
  ('00000000-0000-4000-8000-000000000021', 'warning', 't', 'warning', 'm', false, '2026-01-01Z', '2026-01-01Z'),
  ('00000000-0000-4000-8000-000000000022', 'info', 't', 'info', 'm', false, '2026-01-01Z', '2026-01-01Z'),
  ('00000000-0000-4000-8000-000000000023', 'resolved', 't', 'critical', 'm', true, '2026-01-01Z', '2026-01-01Z'),
  ('00000000-0000-4000-8000-000000000024', 'high', 't', 'high', 'm', false, '2026-01-03Z', '2026-01-02Z'),
  ('00000000-0000-4000-8000-000000000025', 'critical', 't', 'critical', 'm', false, '2026-01-04Z', '2026-01-04Z');
select is(facts() -> 'oldest_high_severity_alert', jsonb_build_object('id', '00000000-0000-4000-8000-000000000024', 'alert_key', 'high',
  'severity', 'high', 'since', utc('2026-01-02Z')), 'the oldest open critical or high one, since it was first seen');
select is(facts() -> 'open_high_severity_count', '2', 'and how many there are');
insert into public.billing_alerts (id, alert_key, alert_type, severity, message, created_at, first_seen_at, severe_since) values
  ('00000000-0000-4000-8000-000000000026', 'old', 't', 'critical', 'm', '2025-01-01Z', '2025-01-01Z', '2026-01-02 00:01Z');
select is(facts() #>> '{oldest_high_severity_alert,alert_key}', 'high', 'one that stood for a year before it became severe has not waited a year');
update public.billing_alerts set severe_since = '2026-01-01 23:59Z' where alert_key = 'old';
select is(facts() -> 'oldest_high_severity_alert', jsonb_build_object('id', '00000000-0000-4000-8000-000000000026', 'alert_key', 'old',
  'severity', 'critical', 'since', utc('2026-01-01 23:59Z')), 'but since it became so');
-- What somebody attends to is not what nobody attends to.
create function tests.oldest(p_change text) returns text language plpgsql as $$
begin
  execute 'update public.billing_alerts set ' || p_change || ' where alert_key = ''old''';
  return tests.facts() #>> '{oldest_high_severity_alert,alert_key}' || ' ' || (tests.facts() ->> 'open_high_severity_count');
end
$$;
select is(oldest('acknowledged_until = clock_timestamp() + interval ''1 minute'''), 'high 2', 'one that is acknowledged is left out');
select is(oldest('acknowledged_until = clock_timestamp()'), 'old 3', 'until that has run out');
select is(oldest('snoozed_until = clock_timestamp() + interval ''1 minute'''), 'high 2', 'so is one that is snoozed');
select is(oldest('snoozed_until = clock_timestamp(), acknowledged_until = null'), 'old 3', 'until that has run out, too');
delete from public.billing_alerts where alert_key = 'old';
update public.billing_alerts set resolved = true where alert_key = 'reconcile_stale';
select is(facts() -> 'reconcile_stale_since', 'null', 'reconcile_stale is not open any more');

-- Whether messages arrive (what makes them so: notifications) ---------------------------------------------------------------------

insert into public.notification_channels (channel, fingerprint, min_severity, last_failure_at) values ('slack', 'f', 'warning', now());
insert into public.notification_deliveries (channel, kind, severity, status, due_since) values ('slack', 'summary', 'info', 'due', '2026-01-01Z');
select is(facts() -> 'notifications', jsonb_build_object('overdue', 1, 'oldest_due_since', utc('2026-01-01Z'), 'off', 0, 'configured', 1, 'given_up', 0,
  'channels', jsonb_build_array('slack'), 'none_works', true), 'one of last year has not arrived, and no channel works');

-- An admin sees the same facts ----------------------------------------------------------------------------------------------------

select is((call('admin', 'public.admin_monitor_facts()') -> 'facts') - 'now', facts() - 'now', 'under row level security, the same facts');
select is(call('admin', 'public.admin_monitor_facts()') ->> 'outcome', 'ok', 'for an admin');
select is(call('member', 'public.admin_monitor_facts()'), '{"outcome": "forbidden"}', 'not for a member');
select is(call('member', 'billing_ops.gather_monitor_facts()') - 'now', '{"last_good_run_finished_at": null, "last_complete_sweep_at": null, "first_run_started_at": null,
  "live_run_id": null, "latest_results": [], "oldest_high_severity_alert": null, "open_high_severity_count": 0,
  "reconcile_stale_since": null, "oldest_due_at": null, "deliveries": null, "deliveries_asked_at": null,
  "notifications": {"overdue": 0, "oldest_due_since": null, "off": 0, "configured": 0, "given_up": 0, "channels": [], "none_works": false}}', 'the helper shows a member nothing');

-- Health ------------------------------------------------------------------------------------------------------------------------

select is(call('service_role', 'public.billing_ops_schema()'), '{"outcome": "ok", "version": 2}', 'the schema tells its version');

select * from finish();
rollback;
