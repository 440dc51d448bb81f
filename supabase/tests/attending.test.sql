-- What people do about open alerts: acknowledge, snooze, note; how long it holds, and what ends it.
begin;
\ir helpers/actors.psql
select no_plan();

create function tests.apply(p_state text, p_severity text default 'warning', p_key text default 'k', p_type text default null)
returns jsonb language sql as $$
  select tests.call('service_role', format('public.apply_monitor_outcomes(%L)', jsonb_build_array(jsonb_build_object(
    'alert_key', p_key, 'alert_type', 'type', 'state', p_state, 'severity', p_severity, 'message', 'm',
    'metadata', jsonb_build_object('type', p_type))))) -> 'alerts'
$$;
create function tests.open(p_key text default 'k') returns public.billing_alerts language sql as $$
  select a from public.billing_alerts a where alert_key = p_key and not resolved
$$;
-- One of two people, who does something about an open alert.
create function tests.attend(p_key text, p_action text, p_minutes integer default null, p_note text default null, p_person integer default 1)
returns jsonb language sql as $$
  select tests.call('service_role', format('public.attend_billing_alert(%L, %L, %L, %L, %L)', (tests.open(p_key)).id,
    '00000000-0000-4000-8000-00000000000' || p_person, p_action, p_minutes, p_note))
$$;
create function tests.did(p_key text, p_action text, p_minutes integer default null, p_note text default null, p_person integer default 1)
returns text language sql as $$
  select tests.attend(p_key, p_action, p_minutes, p_note, p_person) ->> 'outcome'
$$;
-- What is in force: who acknowledged and for how many more minutes, who snoozed and for how many.
create function tests.standing(p_key text) returns text language sql as $$
  select concat_ws(', ', 'acknowledged by ' || right(acknowledged_by::text, 1) || ' for ' || round(extract(epoch from acknowledged_until - clock_timestamp()) / 60),
    'snoozed by ' || right(snoozed_by::text, 1) || ' for ' || round(extract(epoch from snoozed_until - clock_timestamp()) / 60)) from tests.open(p_key)
$$;
create function tests.history(p_key text) returns text language sql as $$
  select string_agg(concat_ws(' ', e.event, right(e.actor::text, 1), case when e.reason <> 'm' then e.reason end), ', ' order by e.id)
  from public.billing_alert_events e join public.billing_alerts a on a.id = e.alert_id where a.alert_key = p_key
$$;

-- Acknowledge --------------------------------------------------------------------------------------------------------------------

select apply('holds', severity, severity) from unnest(array['critical', 'high', 'warning', 'info']) severity;
select is(did(severity, 'acknowledge'), 'done', severity || ': acknowledged') from unnest(array['critical', 'high', 'warning', 'info']) severity;
select is(standing(severity), 'acknowledged by 1 for ' || minutes, format('%s: where nothing is said, for %s minutes', severity, minutes))
from (values ('critical', 240), ('high', 1440), ('warning', 1440), ('info', 1440)) defaults (severity, minutes);
select ok((open('high')).acknowledged_at > clock_timestamp() - interval '5 seconds', 'it says when');
select is(did('high', 'acknowledge'), 'already', 'the same again is no news');
select is(did('high', 'acknowledge', 1440, null, 2), 'already', 'nor is it another''s, for as long');
select is(standing('high'), 'acknowledged by 1 for 1440', 'and changes nothing');
select is(did('high', 'acknowledge', 1441), 'done', 'for a minute longer it is');
select is(did('high', 'acknowledge', 60, null, 2), 'done', 'for less, too');
select is(standing('high'), 'acknowledged by 2 for 60', 'then the other attends to it');
select is(history('high'), 'raised, acknowledged 1, acknowledged 1, acknowledged 2', 'history says who, and nothing of what was no news');
update public.billing_alerts set acknowledged_until = acknowledged_until - interval '50 seconds' where alert_key = 'high';
select is(did('high', 'acknowledge', 60), 'already', 'less than a minute apart is the same');
update public.billing_alerts set acknowledged_until = clock_timestamp() - interval '1 second' where alert_key = 'high';
select is(did('high', 'unacknowledge'), 'already', 'what has run out need not be undone');
select isnt((open('high')).acknowledged_by, null, 'and is still shown');
select is(did('high', 'acknowledge', 60), 'done', 'but it can be acknowledged again');
select is(did('high', 'unacknowledge', null, null, 2), 'done', 'whoever it was, anybody may undo it');
select is((select (acknowledged_at, acknowledged_by, acknowledged_until)::text from open('high')), '(,,)', 'then nothing is left of it');
select is(did('high', 'unacknowledge'), 'already', 'and nothing to undo');

-- Snooze -------------------------------------------------------------------------------------------------------------------------

select apply('holds');
select is(did('k', 'unsnooze'), 'already', 'what is not snoozed need not be undone');
select is(did('k', 'snooze', 30, 'after lunch'), 'done', 'snoozed');
select is(standing('k'), 'snoozed by 1 for 30', 'for as long as was said');
select is(did('k', 'snooze', 30, 'again'), 'already', 'the same again is no news');
select is(did('k', 'snooze', 60, null, 2), 'done', 'for longer it is');
select is(did('k', 'acknowledge'), 'done', 'what is snoozed can be acknowledged');
select is(standing('k'), 'acknowledged by 1 for 1440, snoozed by 2 for 60', 'then both hold');
select is(did('k', 'unsnooze'), 'done', 'one is undone');
select is(standing('k'), 'acknowledged by 1 for 1440', 'and the other holds');
select is(did('k', 'snooze', 60), 'done', 'snoozed again');
select is(did('k', 'unacknowledge'), 'done', 'the other is undone');
select is(standing('k'), 'snoozed by 1 for 60', 'and this one holds');
update public.billing_alerts set snoozed_until = clock_timestamp() - interval '1 second' where alert_key = 'k';
select is(did('k', 'unsnooze'), 'already', 'what has run out need not be undone');
select is(did('k', 'snooze', 5), 'done', 'but it can be snoozed again');

-- Note ---------------------------------------------------------------------------------------------------------------------------

select is(did('k', 'note', null, 'asked the bank', 2), 'done', 'a note');
select is(did('k', 'note', null, 'asked the bank', 2), 'done', 'the same note twice is two notes');
select is(history('k'), 'raised, snoozed 1 after lunch, snoozed 2, acknowledged 1, unsnoozed 1, snoozed 1, unacknowledged 1, snoozed 1, '
  'noted 2 asked the bank, noted 2 asked the bank', 'history has who did what, and what they wrote');
select is(standing('k'), 'snoozed by 1 for 5', 'a note changes nothing else');

create temporary table answers as select attend('k', 'note', null, 'third') as answer;
select is((select (answer -> 'alert' -> 'history' -> 0) - 'created_at' from answers),
  '{"event": "noted", "severity": "warning", "actor": "00000000-0000-4000-8000-000000000001", "reason": "third"}', 'the answer has the history, newest first');
select is((select (answer #>> '{alert,history,0,created_at}')::timestamptz from answers),
  (select created_at from public.billing_alert_events order by id desc limit 1), 'and when it happened');
select is((select answer -> 'alert' ->> 'snoozed_by' from answers), '00000000-0000-4000-8000-000000000001', 'and who snoozed it');
select attend('k', 'note', null, 'note ' || n) from generate_series(1, 25) n;
select is((select jsonb_array_length(h) || ' ' || (h -> 0 ->> 'reason') || ' ' || (h -> 19 ->> 'reason')
  from (select billing_ops.alert_json(open('k')) -> 'history' as h) x), '20 note 25 note 6', 'twenty at most: the newest');

-- What is refused -------------------------------------------------------------------------------------------------------------------

select is(call('service_role', format('public.attend_billing_alert(gen_random_uuid(), null, %L)', action)), '{"outcome": "not_found"}', action || ': no such alert')
from unnest(array['acknowledge', 'unacknowledge', 'snooze', 'unsnooze', 'note']) action;
select throws_ok(format('select public.attend_billing_alert(%L, null, %L)', (open('k')).id, 'forget'), '20000', null, 'another word is refused');
select apply('holds', 'warning', 'gone');
create temporary table gone as select (open('gone')).id;
select apply('clear', 'warning', 'gone');
select is(call('service_role', format('public.attend_billing_alert(%L, null, %L, 60, %L)', id, action, 'n')) ->> 'outcome', 'alert_resolved',
  action || ': what is resolved stays as it is') from gone, unnest(array['acknowledge', 'unacknowledge', 'snooze', 'unsnooze', 'note']) action;
select is(history('gone'), 'raised, resolved', 'in its history, too');
select is(call('service_role', format('public.attend_billing_alert(%L, null, %L)', id, 'acknowledge')) #>> '{alert,resolved}', 'true', 'the answer shows it')
from gone;

-- What ends both --------------------------------------------------------------------------------------------------------------------

create function tests.attended(p_key text) returns boolean language sql as $$ select billing_ops.attended(tests.open(p_key)) $$;
create function tests.attend_both(p_key text, p_severity text default 'warning', p_type text default null) returns void language plpgsql as $$
begin
  perform tests.apply('holds', p_severity, p_key, p_type);
  perform tests.attend(p_key, 'acknowledge'), tests.attend(p_key, 'snooze', 60);
  if not tests.attended(p_key) then
    raise exception 'it is not attended to';
  end if;
end
$$;

select attend_both('rising');
select apply('holds', severity, 'rising') from unnest(array['warning', 'info']) severity;
select is(standing('rising'), 'acknowledged by 1 for 1440, snoozed by 1 for 60', 'a refresh keeps both, be it less severe');
select apply('unknown', 'critical', 'rising');
select ok(attended('rising'), 'what cannot be judged keeps both');
select apply('holds', 'high', 'rising');
select is((select (acknowledged_at, acknowledged_by, acknowledged_until, snoozed_until, snoozed_by)::text from open('rising')), '(,,,,)',
  'a rise in severity ends both');
select is(history('rising'), 'raised, acknowledged 1, snoozed 1, escalated', 'and is an event');

-- Members of a class of drift, first seen at a minute of the day.
create function tests.member(p_n integer, p_minute integer, p_type text default 'status_mismatch') returns void language sql as $$
  insert into public.drift (drift_key, type, severity, issue, action, first_seen_at, last_seen_at, first_run_id, last_run_id)
  values (p_type || ':' || p_n, p_type, 'warning', 'i', 'none', '2026-01-01Z'::timestamptz + make_interval(mins => p_minute), now(), gen_random_uuid(), gen_random_uuid())
$$;
select member(1, 1), member(2, 2), member(3, 3);
select attend_both('drift_status_mismatch', 'warning', 'status_mismatch');
select apply('holds', 'warning', 'drift_status_mismatch', 'status_mismatch');
select ok(attended('drift_status_mismatch'), 'the same members keep both');
select member(4, 2);
select apply('holds', 'warning', 'drift_status_mismatch', 'status_mismatch');
select ok(attended('drift_status_mismatch'), 'one more that was seen before the newest is no news: the count alone says nothing');
update public.drift set closed_at = now(), action = 'cleared' where drift_key = 'status_mismatch:3';
select apply('holds', 'warning', 'drift_status_mismatch', 'status_mismatch');
select ok(attended('drift_status_mismatch'), 'nor is one that went');
select member(5, 3);
select apply('holds', 'warning', 'drift_status_mismatch', 'status_mismatch');
select ok(attended('drift_status_mismatch'), 'the newest is the newest there ever was, not the newest that is left');
select member(10, 9);
update public.drift set closed_at = now(), action = 'repaired' where drift_key = 'status_mismatch:10';
select apply('holds', 'warning', 'drift_status_mismatch', 'status_mismatch');
select ok(attended('drift_status_mismatch'), 'what came and went is no news');
select member(6, 4, 'tier_mismatch');
select apply('holds', 'warning', 'drift_status_mismatch', 'status_mismatch');
select ok(attended('drift_status_mismatch'), 'another class is another alert''s');
select member(7, 4);
update public.drift set excepted_until = clock_timestamp() + interval '1 day', action = 'excepted' where drift_key = 'status_mismatch:7';
select apply('holds', 'warning', 'drift_status_mismatch', 'status_mismatch');
select ok(attended('drift_status_mismatch'), 'one that somebody lets stand does not count');
select is(history('drift_status_mismatch'), 'raised, acknowledged 1, snoozed 1', 'all that is no event');
update public.drift set excepted_until = clock_timestamp() - interval '1 second' where drift_key = 'status_mismatch:7';
select apply('holds', 'warning', 'drift_status_mismatch', 'status_mismatch');
select is(standing('drift_status_mismatch'), '', 'once that has run out it does: a newer one ends both');
select is(history('drift_status_mismatch'), 'raised, acknowledged 1, snoozed 1, grown', 'and is an event');
select apply('holds', 'warning', 'drift_status_mismatch', 'status_mismatch');
select is(history('drift_status_mismatch'), 'raised, acknowledged 1, snoozed 1, grown', 'once');
select member(8, 5);
select apply('holds', 'high', 'drift_status_mismatch', 'status_mismatch');
select is(history('drift_status_mismatch'), 'raised, acknowledged 1, snoozed 1, grown, escalated', 'more and more severe at once is one event');
select attend_both('drift_status_mismatch', 'high', 'status_mismatch');
update public.billing_alerts set newest_member_at = null where alert_key = 'drift_status_mismatch';
select apply('holds', 'high', 'drift_status_mismatch', 'status_mismatch');
select ok(attended('drift_status_mismatch'), 'one that an earlier version raised does not grow by what it had');
select member(9, 6);
select apply('holds', 'high', 'drift_status_mismatch', 'status_mismatch');
select ok(not attended('drift_status_mismatch'), 'but by what comes');

-- One that spoke of nothing but what had been repaired by then.
select apply('holds', 'warning', 'drift_price_mismatch', 'price_mismatch');
select attend_both('drift_price_mismatch', 'warning', 'price_mismatch');
select apply('holds', 'warning', 'drift_price_mismatch', 'price_mismatch');
select ok(attended('drift_price_mismatch'), 'an alert without a member that stands does not grow by being seen');
select member(20, 0, 'price_mismatch');
update public.drift set first_seen_at = clock_timestamp() where drift_key = 'price_mismatch:20';
select apply('holds', 'warning', 'drift_price_mismatch', 'price_mismatch');
select ok(not attended('drift_price_mismatch'), 'the first member that stands is new');

select attend_both('cleared');
select apply('clear', 'warning', 'cleared');
select is((select (acknowledged_at, acknowledged_by, acknowledged_until, snoozed_until, snoozed_by)::text from public.billing_alerts where alert_key = 'cleared'),
  '(,,,,)', 'what cleared is attended to by nobody');
select apply('holds', 'warning', 'cleared');
select is(standing('cleared'), '', 'nor is it when it comes back');
select attend_both('resolved');
select call('service_role', format('public.resolve_billing_alert(%L, null)', (open('resolved')).id));
select is((select (acknowledged_at, acknowledged_by, acknowledged_until, snoozed_until, snoozed_by)::text from public.billing_alerts where alert_key = 'resolved'),
  '(,,,,)', 'nor is what a person resolved');

select * from finish();
rollback;
