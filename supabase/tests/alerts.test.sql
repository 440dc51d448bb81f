-- Alerts by condition: one open episode at most, severity that only rises, a history of every step.
begin;
\ir helpers/actors.psql
select no_plan();

create function tests.apply(p_state text, p_severity text default 'warning', p_key text default 'drift', p_message text default 'm')
returns jsonb language sql as $$
  select tests.call('service_role', format('public.apply_monitor_outcomes(%L)', jsonb_build_array(jsonb_build_object(
    'alert_key', p_key, 'alert_type', 'type', 'state', p_state, 'severity', p_severity, 'message', p_message,
    'metadata', jsonb_build_object('message', p_message))))) -> 'alerts'
$$;
create function tests.open(p_key text default 'drift') returns public.billing_alerts language sql as $$
  select a from public.billing_alerts a where alert_key = p_key and not resolved
$$;
create function tests.history(p_key text default 'drift') returns text language sql as $$
  select string_agg(e.event || ' ' || e.severity, ', ' order by e.id) from public.billing_alert_events e
  join public.billing_alerts a on a.id = e.alert_id where a.alert_key = p_key
$$;

-- raise, refresh, escalate, never lower ---------------------------------------------------------------------------------------

select is(apply('holds'), '{"raised": ["drift"], "refreshed": [], "resolved": []}', 'a condition that holds: raised');
select is((select (severity, message, metadata, occurrences, resolved, alert_type)::text from open()),
  '(warning,m,"{""message"": ""m""}",1,f,type)', 'as it was told');
select is((select (first_seen_at = created_at or abs(extract(epoch from first_seen_at - created_at)) < 1)
             and previous_alert_id is null from open()), true, 'its first episode');
select is(apply('holds', 'warning', 'drift', 'n'), '{"raised": [], "refreshed": ["drift"], "resolved": []}', 'seen again: refreshed');
select is((select (severity, message, metadata, occurrences)::text from open()), '(warning,n,"{""message"": ""n""}",2)',
  'counted, with the newest words');
select ok((select last_seen_at > first_seen_at from open()), 'seen last after it was seen first');
select is(apply('holds', 'high') ->> 'refreshed', '["drift"]', 'worse');
select is((select (severity, occurrences)::text from open()), '(high,3)', 'severity rises');
select apply('holds', 'critical');
select is((select severity from open()), 'critical', 'to the highest');
select apply('holds', 'info');
select apply('holds', 'high');
select is((select (severity, occurrences)::text from open()), '(critical,6)', 'and is never lowered while the alert is open');
select is(history(), 'raised warning, escalated high, escalated critical', 'the history has what changed, not every sight');
select is((select count(*)::integer from public.billing_alerts), 1, 'all that is one alert');

select is((select count(*)::integer from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()), 1,
          'outcomes are applied one caller at a time: a lock until the transaction ends');

-- severe_since ------------------------------------------------------------------------------------------------------------------

create function tests.severe(p_key text) returns text language sql as $$
  select case when severe_since is null then 'no' when severe_since = first_seen_at then 'from the first'
              when severe_since > first_seen_at and severe_since < last_seen_at + interval '1 second' then 'later' else 'nonsense' end from tests.open(p_key)
$$;
create function tests.severe_moment(p_key text) returns timestamptz language sql as $$ select severe_since from tests.open(p_key) $$;
select apply('holds', 'warning', 'rising');
select apply('holds', 'warning', 'rising');
select is(severe('rising'), 'no', 'a warning is not severe, however long it stands');
select apply('holds', 'high', 'rising');
select is(severe('rising'), 'later', 'it is from when it rises, not from when it began');
create temporary table moment as select severe_moment('rising') as rose;
select apply('holds', 'critical', 'rising');
select apply('holds', 'info', 'rising');
select is(severe_moment('rising'), (select rose from moment), 'and stays so since then, whatever comes after');
select is(billing_ops.alert_json(open('rising')) -> 'severe_since', to_jsonb(billing_ops.utc(severe_moment('rising'))), 'which is shown');
select apply('clear', 'info', 'rising');
select is((select severe_since from public.billing_alerts where alert_key = 'rising'), (select rose from moment), 'in what has ended too');
select apply('holds', 'info', 'rising');
select is(severe('rising'), 'no', 'a new episode starts afresh');
select apply('holds', 'high', 'severe');
select ok((select abs(extract(epoch from severe_since - first_seen_at)) < 1 from open('severe')), 'raised as severe: from the first');
insert into public.billing_alerts (alert_key, alert_type, severity, message, first_seen_at) values ('foreign', 't', 'high', 'm', '2026-01-01Z');
select apply('holds', 'critical', 'foreign');
select is(severe_moment('foreign'), '2026-01-01Z', 'one that was written without it has been severe since it began');
delete from public.billing_alerts where alert_key in ('rising', 'severe', 'foreign');

-- unknown and clear -----------------------------------------------------------------------------------------------------------

select is(apply('unknown'), '{"raised": [], "refreshed": [], "resolved": []}', 'could not be judged: nothing');
select is((select occurrences from open()), 6, 'and nothing is changed');
select is(apply('clear'), '{"raised": [], "refreshed": [], "resolved": ["drift"]}', 'cleared: resolved');
select is(open(), null, 'none is open');
select is((select (resolved, resolved_at is not null, resolved_by is null, resolution, resolution_note)::text
           from public.billing_alerts), '(t,t,t,auto,m)', 'by itself, with the reason');
select is(history(), 'raised warning, escalated high, escalated critical, resolved critical', 'in the history too');
select is(apply('clear'), '{"raised": [], "refreshed": [], "resolved": []}', 'clear and clear again: nothing');
select is(apply('clear', 'info', 'never'), '{"raised": [], "refreshed": [], "resolved": []}', 'clear without an alert: nothing');

-- episodes ---------------------------------------------------------------------------------------------------------------------

select is(apply('holds', 'info') ->> 'raised', '["drift"]', 'it comes back: a new episode');
select is((select (severity, occurrences)::text from open()), '(info,1)', 'that starts afresh');
select is((select previous_alert_id from open()), (select id from public.billing_alerts where resolved), 'linked to the one before');
select apply('clear');
select apply('holds');
select is((select previous_alert_id from open()),
  (select id from public.billing_alerts where resolved order by created_at desc limit 1), 'the one just before, of several');
select is((select count(*)::integer from public.billing_alerts where resolved), 2, 'and the others stay');
select apply('holds', 'info', 'another');
select is((select previous_alert_id from open('another')), null, 'another condition has another history');

-- Several at once, and what is refused ------------------------------------------------------------------------------------------

select is(call('service_role', $$public.apply_monitor_outcomes('[
    {"alert_key": "b", "alert_type": "t", "state": "holds", "severity": "info", "message": "m"},
    {"alert_key": "a", "alert_type": "t", "state": "holds", "severity": "info", "message": "m"},
    {"alert_key": "drift", "alert_type": "t", "state": "clear"},
    {"alert_key": "another", "alert_type": "t", "state": "holds", "severity": "info", "message": "m"}]')$$) -> 'alerts',
  '{"raised": ["a", "b"], "refreshed": ["another"], "resolved": ["drift"]}', 'several conditions, in the order of their keys');
select is((select resolution_note from public.billing_alerts where alert_key = 'drift' order by resolved_at desc limit 1),
  'The condition cleared.', 'a clear without words');
select is(call('service_role', $$public.apply_monitor_outcomes('[]')$$) -> 'alerts',
  '{"raised": [], "refreshed": [], "resolved": []}', 'none at all');
select throws_ok($$select public.apply_monitor_outcomes('[
    {"alert_key": "c", "alert_type": "t", "state": "holds", "severity": "info", "message": "m"},
    {"alert_key": "d", "alert_type": "t", "state": "perhaps"}]')$$, '20000', null, 'another state is refused');
select is(open('c'), null, 'and nothing of it was applied');
select throws_ok($$insert into public.billing_alerts (alert_key, alert_type, severity, message) values ('a', 't', 'info', 'm')$$,
  '23505', null, 'a second open alert of a key is refused');
select lives_ok($$insert into public.billing_alerts (alert_key, alert_type, severity, message, resolved)
  values ('a', 't', 'info', 'm', true)$$, 'resolved ones are many');

-- A person resolves ---------------------------------------------------------------------------------------------------------------

create function tests.resolve(p_id uuid, p_note text) returns jsonb language sql as $$
  select tests.call('service_role', format('public.resolve_billing_alert(%L, %L, %L)', p_id,
                                           '00000000-0000-4000-8000-000000000001', p_note))
$$;
create temporary table answers as select resolve((open('b')).id, 'seen to') as answer;
select is((select answer ->> 'outcome' from answers), 'resolved', 'resolved');
select is((select (a ->> 'resolved', a ->> 'resolution', a ->> 'resolution_note', a ->> 'resolved_by', a ->> 'alert_key')::text
           from (select answer -> 'alert' as a from answers) x),
  '(true,manual,"seen to",00000000-0000-4000-8000-000000000001,b)', 'by whom and why');
select is((select array_agg(key order by key) from answers, jsonb_object_keys(answer -> 'alert') key),
  array['acknowledged_at', 'acknowledged_by', 'acknowledged_until', 'alert_key', 'alert_type', 'created_at', 'first_seen_at', 'history', 'id',
        'last_seen_at', 'message', 'metadata', 'occurrences', 'previous_alert_id', 'resolution', 'resolution_note', 'resolved', 'resolved_at',
        'resolved_by', 'severe_since', 'severity', 'snoozed_by', 'snoozed_until'],
  'an alert is shown with these fields');
select is((select (event, actor, reason)::text from public.billing_alert_events order by id desc limit 1),
  '(resolved,00000000-0000-4000-8000-000000000001,"seen to")', 'the history says so too');
select is(resolve((select id from public.billing_alerts where alert_key = 'b'), 'again') ->> 'outcome', 'already_resolved', 'twice');
select is((select (resolution_note, (select count(*) from public.billing_alert_events e where e.alert_id = a.id))::text
           from public.billing_alerts a where alert_key = 'b'), '("seen to",2)', 'changes nothing');
select is(resolve(gen_random_uuid(), 'none'), '{"outcome": "not_found"}', 'no such alert');
select is(apply('holds', 'info', 'b') ->> 'raised', '["b"]', 'a condition that still holds opens a new alert');
select is((select previous_alert_id from open('b')), (select id from public.billing_alerts where alert_key = 'b' and resolved),
  'linked to the one that was resolved');

select * from finish();
rollback;
