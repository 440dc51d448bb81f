-- What an admin's session calls: judged, counted and answered in one call; pages by keyset, counts of all.
begin;
\ir helpers/actors.psql
select no_plan();

-- Who is let in ------------------------------------------------------------------------------------------------------------------

create temporary table calls (name text, sql text);
insert into calls values
  ('admin_authorize', $$public.admin_authorize('resolve')$$),
  ('admin_monitor_facts', 'public.admin_monitor_facts()'),
  ('admin_billing_alerts', 'public.admin_billing_alerts()'),
  ('admin_notifications', 'public.admin_notifications()'),
  ('admin_export', $$public.admin_export('drift')$$),
  ('admin_reconciliation_runs', 'public.admin_reconciliation_runs()'),
  ('admin_drift', 'public.admin_drift()'),
  ('admin_reconciliation_run', 'public.admin_reconciliation_run(gen_random_uuid())');
select is(call('admin', sql) ->> 'outcome', case when name = 'admin_reconciliation_run' then 'not_found' else 'ok' end, name || ': an admin')
from calls;
select is(call('owner', sql) ->> 'outcome', case when name = 'admin_reconciliation_run' then 'not_found' else 'ok' end, name || ': an owner')
from calls;
select is(call('member', sql), '{"outcome": "forbidden"}', name || ': a member gets nothing else') from calls;
select is(call('admin', sql, tests.claims(1, '{"is_anonymous": true}')), '{"outcome": "unauthorized"}', name || ': an anonymous sign-in') from calls;
select is(call('admin', sql, tests.claims(1) - 'sub'), '{"outcome": "unauthorized"}', name || ': no person') from calls;
select is(call('admin', $$public.admin_authorize('resolve')$$) ->> 'user_id', '00000000-0000-4000-8000-000000000001', 'who it is');

-- Alerts ---------------------------------------------------------------------------------------------------------------------------

delete from public.rate_limit_windows;
insert into public.billing_alerts (id, alert_key, alert_type, severity, message, created_at, resolved, resolved_at, resolution)
select ('00000000-0000-4000-8000-0000000000' || lpad(n::text, 2, '0'))::uuid, 'key_' || n, case when n % 2 = 0 then 'even' else 'odd' end,
  (array['critical', 'high', 'warning', 'info'])[1 + n % 4], 'm',
  -- Two alerts of each time: the id decides.
  timestamptz '2026-01-01Z' + make_interval(hours => n / 2), n > 8, case when n > 8 then now() end, case when n > 8 then 'auto' end
from generate_series(1, 12) n;
create function tests.alerts(p_arguments text) returns jsonb language sql as $$
  select tests.call('admin', format('public.admin_billing_alerts(%s)', p_arguments))
$$;
create function tests.keys(p_answer jsonb) returns text language sql as $$
  select string_agg(substr(coalesce(item ->> 'alert_key', item ->> 'run_key'), 5), ' ' order by place)
  from jsonb_array_elements(p_answer -> 'items') with ordinality items (item, place)
$$;
select is(keys(alerts('')), '8 7 6 5 4 3 2 1', 'open ones, newest first');
select is(keys(alerts($$p_status => 'resolved'$$)), '12 11 10 9', 'resolved ones');
select is(keys(alerts($$p_status => 'all'$$)), '12 11 10 9 8 7 6 5 4 3 2 1', 'all');
select is(keys(alerts($$p_severity => 'critical'$$)), '8 4', 'open, by severity');
select is(keys(alerts($$p_type => 'even'$$)), '8 6 4 2', 'open, by type');
select is(keys(alerts($$p_status => 'all', p_severity => 'high', p_type => 'odd'$$)), '9 5 1', 'all, by both');
select is(keys(alerts($$p_status => 'resolved', p_severity => 'high', p_type => 'odd'$$)), '9', 'resolved, by both');
select is(alerts('') - 'items', '{"outcome": "ok", "count": 8, "critical_count": 2, "high_count": 2, "warning_count": 2, "info_count": 2}',
          'the counts are of the open ones');
select is(alerts($$p_status => 'resolved', p_limit => 1, p_type => 'odd'$$) - 'items', alerts('') - 'items', 'whatever the page');
select is(keys(alerts($$p_limit => 2$$)), '8 7 6', 'a page, and one more that says there is a next');
select is(keys(alerts(format($$p_limit => 2, p_before_at => %L, p_before_id => %L$$, timestamptz '2026-01-01 03:00Z',
  '00000000-0000-4000-8000-000000000007'))), '6 5 4', 'the next page: the id decides within one time');
select is(keys(alerts(format($$p_limit => 2, p_before_at => %L, p_before_id => %L, p_status => 'all'$$, timestamptz '2026-01-01 06:00Z',
  '00000000-0000-4000-8000-000000000012'))), '11 10 9', 'of all');
select is(keys(alerts(format($$p_limit => 2, p_before_at => %L, p_before_id => %L, p_status => 'resolved'$$, timestamptz '2026-01-01 05:00Z',
  '00000000-0000-4000-8000-000000000011'))), '10 9', 'of the resolved ones');
select is(keys(alerts(format($$p_before_at => %L, p_before_id => %L$$, timestamptz '2026-01-01 00:00Z',
  '00000000-0000-4000-8000-000000000001'))), null, 'after the last there is none');
select is(alerts($$p_severity => 'none'$$) -> 'items', '[]', 'none at all: an empty list');

-- By who attends to them: 1 and 2 are acknowledged, 2 and 3 snoozed; of 4 both has run out; 9 is resolved, and says it all the same.
update public.billing_alerts set acknowledged_until = clock_timestamp() + case when alert_key = 'key_4' then interval '-1 second' else interval '1 hour' end
where alert_key in ('key_1', 'key_2', 'key_4', 'key_9');
update public.billing_alerts set snoozed_until = clock_timestamp() + case when alert_key = 'key_4' then interval '-1 second' else interval '1 hour' end
where alert_key in ('key_2', 'key_3', 'key_4', 'key_9');
select is(keys(alerts($$p_state => 'acknowledged'$$)), '2 1', 'those that are acknowledged');
select is(keys(alerts($$p_state => 'snoozed'$$)), '3 2', 'those that are snoozed: one that is both is in both lists');
select is(keys(alerts($$p_state => 'unattended'$$)), '8 7 6 5 4', 'those that nobody attends to: what has run out counts no more');
select is(keys(alerts(format($$p_state => %L, p_status => 'all'$$, state))), shown, 'of all, only open ones are ' || state)
from (values ('acknowledged', '2 1'), ('snoozed', '3 2'), ('unattended', '8 7 6 5 4')) states (state, shown);
select is(alerts($$p_state => 'snoozed', p_status => 'resolved'$$) -> 'items', '[]', 'what is resolved is nothing of the kind');
select is(keys(alerts($$p_state => 'unattended', p_severity => 'critical', p_type => 'even', p_limit => 1$$)), '8 4', 'with other filters, by pages');
select is(alerts($$p_state => 'snoozed'$$) - 'items', alerts('') - 'items', 'the counts are of the open ones all the same');
select is((select (item ->> 'acknowledged_until')::timestamptz from jsonb_array_elements(alerts('') -> 'items') item where item ->> 'alert_key' = 'key_4'),
  (select acknowledged_until from public.billing_alerts where alert_key = 'key_4'), 'a time that has run out is still shown');

insert into public.billing_alerts (alert_key, alert_type, severity, message) select 'more_' || n, 't', 'info', 'm' from generate_series(1, 300) n;
select is(jsonb_array_length(alerts('p_limit => 1000000') -> 'items'), 201, 'a page is never longer than 200');
select is(jsonb_array_length(alerts('p_limit => null') -> 'items'), 51, '50 where nothing is said');

-- Runs -----------------------------------------------------------------------------------------------------------------------------

delete from public.rate_limit_windows;
insert into public.reconciliation_logs (id, run_key, run_type, status, started_at, finished_at)
select ('00000000-0000-4000-8000-0000000000' || lpad(n::text, 2, '0'))::uuid, 'run_' || n,
  case when n % 2 = 0 then 'manual' else 'scheduled' end, (array['success', 'partial', 'error'])[1 + n % 3],
  timestamptz '2026-01-01Z' + make_interval(hours => n / 2), timestamptz '2026-01-01Z' + make_interval(hours => n / 2, secs => 1.5)
from generate_series(1, 8) n;
create function tests.runs(p_arguments text) returns jsonb language sql as $$
  select tests.call('admin', format('public.admin_reconciliation_runs(%s)', p_arguments))
$$;
select is(keys(runs('')), '8 7 6 5 4 3 2 1', 'runs, newest first');
select is(keys(runs($$p_status => 'error'$$)), '8 5 2', 'by status');
select is(keys(runs($$p_type => 'manual'$$)), '8 6 4 2', 'by type');
select is(keys(runs($$p_type => 'manual', p_status => 'error'$$)), '8 2', 'by both');
select is(keys(runs('p_limit => 2')), '8 7 6', 'a page and one more');
select is(keys(runs(format($$p_limit => 2, p_before_at => %L, p_before_id => %L$$, timestamptz '2026-01-01 03:00Z',
  '00000000-0000-4000-8000-000000000007'))), '6 5 4', 'the next page');
select is(runs('p_limit => 1') -> 'items' -> 0 ->> 'duration_ms', '1500', 'how long it took');
update public.reconciliation_logs set scope = case run_key when 'run_1' then 'due' when 'run_6' then 'changed' else 'all' end;
select is(keys(runs($$p_scope => 'due'$$)), '1', 'by what they are over');
select is(keys(runs($$p_scope => 'all', p_type => 'manual'$$)), '8 4 2', 'by that and type');
select is(runs($$p_scope => 'changed'$$) #>> '{items,0,scope}', 'changed', 'each says it');
select is(runs($$p_status => 'running'$$), '{"outcome": "ok", "items": []}', 'none: an empty list');

-- One run --------------------------------------------------------------------------------------------------------------------------

create function tests.entry(p_n integer, p_first integer, p_closed integer, p_action text, p_type text) returns void language sql as $$
  insert into public.drift (id, drift_key, type, severity, owner, stripe_subscription_id, stripe_customer_id, livemode, issue,
    details, action, first_seen_at, last_seen_at, first_run_id, last_run_id, closed_at, closed_run_id)
  values (('00000000-0000-4000-8000-0000000001' || lpad(p_n::text, 2, '0'))::uuid, 'key_' || p_n, p_type,
    case when p_n = 3 then 'warning' else 'info' end, '00000000-0000-4000-8000-00000000000a', 'sub_' || p_n, 'cus_' || p_n, true,
    'issue ' || p_n, '{"n": 1}', p_action, timestamptz '2026-01-02Z' + make_interval(hours => p_first, mins => p_n),
    '2026-01-02Z', ('00000000-0000-4000-8000-00000000000' || p_first)::uuid, '00000000-0000-4000-8000-000000000002',
    timestamptz '2026-01-02Z' + make_interval(hours => p_closed, mins => 30),
    ('00000000-0000-4000-8000-00000000000' || p_closed)::uuid)
$$;
update public.reconciliation_logs set started_at = '2026-01-02 01:00Z', finished_at = '2026-01-02 01:59Z', status = 'success'
where id = '00000000-0000-4000-8000-000000000001';
-- Six entries: run 1 saw 1 to 4 first and ended 1 and 2, and 6 that an earlier run had seen; 4 ended in run 2, 5 is of run 2.
select entry(1, 1, 1, 'repaired', 'other'), entry(2, 1, 1, 'created', 'other'), entry(3, 1, null, 'held', 'third'),
  entry(4, 1, 2, 'cleared', 'other'), entry(5, 2, null, 'none', 'other'), entry(6, 0, 1, 'cleared', 'third');
create function tests.run(p_arguments text) returns jsonb language sql as $$
  select tests.call('admin', format('public.admin_reconciliation_run(%L %s)', '00000000-0000-4000-8000-000000000001', p_arguments))
$$;
create function tests.issues(p_answer jsonb) returns text language sql as $$
  select string_agg(substr(item ->> 'issue', 7), ' ' order by place) from jsonb_array_elements(p_answer -> 'items') with ordinality items (item, place)
$$;
select is(run('') -> 'run' ->> 'run_key', 'run_1', 'the run');
select is(run('') -> 'counts', '{"new": {"third": 1, "other": 3}, "ended": {"third": 1, "other": 2},
  "standing": {"third": 1, "other": 1}}', 'what was new in it, what it ended, what stood at its end, by type');
select is(issues(run('')), '4 3 2 1', 'what was new, newest first');
select is(issues(run($$, p_show => 'ended'$$)), '2 1 6', 'what it ended');
select is(issues(run($$, p_show => 'standing'$$)), '4 3', 'what stood at its end, though one has ended since');
select is(run(format(', p_show => %L', shown)) -> 'counts', run('') -> 'counts', 'the same counts, whatever is shown: ' || coalesce(shown, 'null'))
from unnest(array['ended', 'standing', 'whatever', null]) shown;
select is(issues(run($$, p_type => 'third'$$)), '3', 'of one type');
select is(run($$, p_type => 'third', p_limit => 1$$) -> 'counts', run('') -> 'counts', 'which the counts are not');
select is(issues(run(', p_limit => 2')), '4 3 2', 'a page and one more');
select is(issues(run(format($$, p_limit => 2, p_before_at => %L, p_before_id => %L$$, run('') -> 'items' -> 1 ->> 'first_seen_at',
  run('') -> 'items' -> 1 ->> 'id'))), '2 1', 'the next page');

-- Drift ------------------------------------------------------------------------------------------------------------------------------

create function tests.drift(p_arguments text) returns jsonb language sql as $$
  select tests.call('admin', format('public.admin_drift(%s)', p_arguments))
$$;
select is(issues(drift('')), '5 3', 'what stands, newest first');
select is(drift('') -> 'by_type', '{"third": 1, "other": 1}', 'by type');
select is((drift('') -> 'items' -> 1) - array['first_seen_at', 'last_seen_at'], '{"id": "00000000-0000-4000-8000-000000000103",
  "drift_key": "key_3", "type": "third", "severity": "warning", "owner": "00000000-0000-4000-8000-00000000000a",
  "organization_id": "00000000-0000-4000-8000-00000000000a", "stripe_subscription_id": "sub_3", "stripe_customer_id": "cus_3",
  "livemode": true, "issue": "issue 3", "details": {"n": 1}, "proposal": null, "lowers_access": false, "action": "held",
  "reason": null, "seen_count": 1, "first_run_id": "00000000-0000-4000-8000-000000000001",
  "last_run_id": "00000000-0000-4000-8000-000000000002", "closed_at": null, "closed_run_id": null, "decided_by": null,
  "decided_at": null, "note": null, "excepted_until": null}', 'an entry');
select is(issues(drift($$p_state => 'closed'$$)), '4 2 1 6', 'what has ended');
select is(issues(drift($$p_state => 'all'$$)), '5 4 3 2 1 6', 'all of it');
select is(array[issues(drift($$p_type => 'third'$$)), issues(drift($$p_severity => 'info'$$)), issues(drift($$p_action => 'held'$$)),
  issues(drift($$p_owner => 'nobody'$$))], array['3', '5', '3', null], 'each filter');
select is(drift($$p_state => 'all', p_type => 'third', p_limit => 1$$) - array['items', 'outcome'],
  '{"count": 2, "by_type": {"third": 2}}', 'the counts are of what fits the filters, not of the page');
select is(issues(drift($$p_state => 'all', p_limit => 2$$)), '5 4 3', 'a page and one more');

select * from finish();
rollback;
