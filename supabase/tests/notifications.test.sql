-- Who is told of what, when, how often, and why not: deliveries, claims, retries, caps, repeats, and channels that come and go.
begin;
\ir helpers/actors.psql
select no_plan();

create temporary table settings (words text);
insert into settings values ('');
-- What the last claim handed out.
create temporary table claimed (place bigint, id bigint, claim uuid, channel text, kind text, alert_key text, message_id uuid, item jsonb);
grant select on settings to public;

-- 'slack pagerduty:high webhook:info:other': channels, with a least severity (warning) and a fingerprint (f).
create function tests.channels(p_words text) returns jsonb language sql as $$
  select coalesce(jsonb_agg(jsonb_build_object('channel', split_part(w, ':', 1), 'min_severity', coalesce(nullif(split_part(w, ':', 2), ''), 'warning'),
    'fingerprint', coalesce(nullif(split_part(w, ':', 3), ''), 'f'))), '[]')
  from regexp_split_to_table(p_words, ' ') w where w <> ''
$$;
create function tests.configured() returns jsonb language sql as $$ select tests.channels(words) from settings $$;
-- Claims what is due, and says what it is, in the order in which it comes.
create function tests.claim() returns text language plpgsql as $$
declare
  v_answer jsonb := tests.call('service_role', format('public.claim_deliveries(%L)', tests.configured()));
begin
  delete from claimed;
  insert into claimed
  select place, (d ->> 'id')::bigint, (d ->> 'claim')::uuid, d ->> 'channel', d ->> 'kind', d #>> '{alert,alert_key}', (d ->> 'message_id')::uuid, d
  from jsonb_array_elements(v_answer -> 'deliveries') with ordinality x (d, place);
  return coalesce((select string_agg(concat_ws(' ', channel, kind, alert_key), ', ' order by place) from claimed), 'nothing');
end
$$;
-- Says what became of what was claimed; answers of how many.
create function tests.finish(p_outcome text, p_answer text default null, p_retry_after float default null, p_unanswered boolean default null,
  p_channel text default null) returns integer language plpgsql as $$
declare
  v_results jsonb := (select coalesce(jsonb_agg(jsonb_build_object('id', id, 'claim', claim, 'outcome', p_outcome, 'answer', p_answer,
    'retry_after', p_retry_after, 'unanswered', p_unanswered)), '[]') from claimed where p_channel is null or channel = p_channel);
begin
  return tests.call('service_role', format('public.finish_deliveries(%L)', v_results)) ->> 'finished';
end
$$;
-- Claims what is due and sends it; says what it was, by channel and alert.
create function tests.told() returns text language plpgsql as $$
begin
  perform tests.claim(), tests.finish('sent');
  return coalesce((select string_agg(concat_ws(' ', channel, kind, alert_key), ', ' order by channel, alert_key, kind) from claimed), 'nothing');
end
$$;
create function tests.alert(p_state text, p_key text, p_severity text default 'high', p_type text default null) returns void language sql as $$
  select tests.call('service_role', format('public.apply_monitor_outcomes(%L)', jsonb_build_array(jsonb_build_object('alert_key', p_key, 'alert_type', 't',
    'state', p_state, 'severity', p_severity, 'message', 'm', 'metadata', jsonb_build_object('type', p_type)))))
$$;
create function tests.attend(p_key text, p_action text, p_minutes integer default null) returns text language sql as $$
  select tests.call('service_role', format('public.attend_billing_alert(%L, null, %L, %L)',
    (select id from public.billing_alerts where alert_key = p_key and not resolved), p_action, p_minutes)) ->> 'outcome'
$$;
-- Time passes: all that is on record lies so much further back.
create function tests.later(p_by interval) returns void language sql as $$
  update public.notification_deliveries set due_since = due_since - p_by, next_attempt_at = next_attempt_at - p_by, claimed_until = claimed_until - p_by,
    created_at = created_at - p_by, last_attempt_at = last_attempt_at - p_by, sent_at = sent_at - p_by;
  update public.notification_channels set since = since - p_by, off_at = off_at - p_by, wait_until = wait_until - p_by,
    last_success_at = last_success_at - p_by, last_failure_at = last_failure_at - p_by;
  update public.billing_alerts set acknowledged_at = acknowledged_at - p_by, acknowledged_until = acknowledged_until - p_by,
    snoozed_until = snoozed_until - p_by, resolved_at = resolved_at - p_by;
$$;
-- The same, a minute later: then the caps are no matter.
create function tests.told_later() returns text language plpgsql as $$
begin
  perform tests.later('61 seconds');
  return tests.told();
end
$$;
-- What became of what was told of an alert, oldest first: all of it, or what a channel was told.
create function tests.became(p_key text, p_channel text default null) returns text language sql as $$
  select string_agg(concat_ws(' ', case when p_channel is null then d.channel end, d.kind, d.status, d.reason), ', ' order by d.id)
  from public.notification_deliveries d join public.billing_alerts a on a.id = d.alert_id
  where a.alert_key = p_key and (p_channel is null or d.channel = p_channel)
$$;
-- Nothing has happened, and these channels are there.
create function tests.fresh(p_words text) returns void language plpgsql as $$
begin
  delete from public.billing_alerts;
  delete from public.notification_deliveries;
  delete from public.notification_channels;
  update settings set words = p_words;
  perform tests.claim();
end
$$;
create function tests.facts() returns jsonb language sql as $$
  select (tests.call('service_role', 'public.monitor_facts()') #> '{facts,notifications}') - array['off', 'configured']
$$;
-- How many channels there are, and how many of them are off.
create function tests.channels() returns text language sql as $$
  select concat_ws(' off of ', f ->> 'off', f ->> 'configured')
  from (select tests.call('service_role', 'public.monitor_facts()') #> '{facts,notifications}' as f) x
$$;

-- One at a time ------------------------------------------------------------------------------------------------------------------

-- Whether a call holds the lock of claims until its transaction ends. Nothing that it wrote stays, nor does the lock.
create function tests.takes_the_lock(p_sql text) returns boolean language plpgsql as $$
begin
  perform tests.call('service_role', p_sql);
  raise exception using errcode = 'TTTTT', message = exists (select 1 from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()
    and objid::bigint = hashtext('billing_ops.claim_deliveries')::bigint & 4294967295);
exception when sqlstate 'TTTTT' then
  return sqlerrm;
end
$$;
select is(takes_the_lock(sql), true, sql || ': one at a time') from unnest(array[$$public.claim_deliveries('[]')$$, $$public.claim_delivery('[]', 'slack')$$,
  $$public.finish_deliveries('[]')$$]) sql;
select is(takes_the_lock($$public.apply_monitor_outcomes('[]')$$), 'false', 'who raises alerts waits for none of them');

-- One delivery for each event and channel ---------------------------------------------------------------------------------------------

select alert('holds', 'before');
select is((select count(*)::integer from public.notification_deliveries), 0, 'where nobody is to be told, nothing is written');
select fresh('pagerduty:high slack webhook:info');
select is((select string_agg(channel || ' ' || min_severity, ', ' order by channel) from public.notification_channels), 'pagerduty high, slack warning, webhook info',
  'a claim says which channels there are');
select alert('holds', 'a', 'warning');
select is(became('a'), 'pagerduty raised suppressed below_severity, slack raised due, webhook raised due', 'an alarm: one delivery for each channel');
select alert('holds', 'a', 'warning');
select is((select count(*)::integer from public.notification_deliveries), 3, 'a refresh is no event');
select is(claim(), 'slack raised a, webhook raised a', 'what is due is handed out');
select is((select array_agg(key order by key) from claimed, jsonb_object_keys(item) key where channel = 'slack'),
  array['alert', 'channel', 'claim', 'created_at', 'digest', 'id', 'kind', 'message_id', 'reopens', 'severity', 'summary'], 'with these fields');
select is((select item -> 'alert' from claimed where channel = 'slack'), (select billing_ops.alert_json(a) from public.billing_alerts a), 'and the alert as it is');
select is((select item ->> 'severity' from claimed where channel = 'slack'), 'warning', 'how bad it was');
select is((select (item ->> 'created_at')::timestamptz from claimed where channel = 'slack'), (select created_at from public.billing_alert_events), 'when it happened');
select is(finish('sent'), 2, 'both are finished');
select is(became('a'), 'pagerduty raised suppressed below_severity, slack raised sent, webhook raised sent', 'and sent');
select is(claim(), 'nothing', 'once');
select alert('holds', 'a', 'high');
select is(told(), 'pagerduty escalated a, slack escalated a, webhook escalated a', 'a rise in severity is told, now to whom it matters');
select is(attend('a', 'acknowledge'), 'done', 'somebody acknowledges it');
select is(told(), 'pagerduty acknowledged a', 'which PagerDuty is told of');
select is(became('a', 'slack'), 'raised sent, escalated sent, acknowledged suppressed pagerduty_only', 'and nobody else');
select attend('a', action, 60) from unnest(array['note', 'snooze', 'unsnooze', 'unacknowledge']) action;
select is(told(), 'nothing', 'of notes, snoozes and what is undone nobody is told');
select alert('clear', 'a');
select is(told(), 'pagerduty resolved a, slack resolved a, webhook resolved a', 'all are told that it is over');
select is((select count(*)::integer from public.billing_alert_events e, public.notification_channels c
    where e.event in ('raised', 'escalated', 'acknowledged', 'resolved')
      and (select count(*) from public.notification_deliveries d where d.event_id = e.id and d.channel = c.channel) <> 1), 0,
  'of each event that is told there is one delivery for each channel');
insert into public.drift (drift_key, type, severity, issue, action, first_seen_at, last_seen_at, first_run_id, last_run_id)
select 'k' || n, 'tier_mismatch', 'warning', 'i', 'none', '2026-01-01Z'::timestamptz + make_interval(mins => n), now(), gen_random_uuid(), gen_random_uuid()
from generate_series(1, 2) n;
update public.drift set closed_at = now() where drift_key = 'k2';
select alert('holds', 'drift_tier_mismatch', 'warning', 'tier_mismatch');
select is(told(), 'slack raised drift_tier_mismatch, webhook raised drift_tier_mismatch', 'a class of drift');
update public.drift set closed_at = null where drift_key = 'k2';
select alert('holds', 'drift_tier_mismatch', 'warning', 'tier_mismatch');
select is(told(), 'slack grown drift_tier_mismatch, webhook grown drift_tier_mismatch', 'that grew is told again');
create temporary table person as select id from public.billing_alerts where alert_key = 'drift_tier_mismatch';
select call('service_role', format('public.resolve_billing_alert(%L, null)', id)) from person;
select is(told(), 'slack resolved drift_tier_mismatch, webhook resolved drift_tier_mismatch', 'a person''s resolve is one as any other');
select alert('holds', 'i', 'info');
select is(told_later(), 'webhook raised i', 'information: to whom wants it');
select alert('clear', 'i', 'info');
select is(became('i', 'slack'), 'raised suppressed below_severity, resolved suppressed alarm_not_sent', 'who heard nothing of it is not told that it is over');
select is(told(), 'webhook resolved i', 'whoever heard of it is');

-- In order, within an alert and a channel ------------------------------------------------------------------------------------------

select fresh('slack pagerduty');
select alert('holds', 'a', 'warning');
select alert('holds', 'a', 'high');
select alert('clear', 'a');
select alert('holds', 'b');
select is(claim(), 'pagerduty raised b, pagerduty raised a, slack raised b, slack raised a', 'of each alert only what happened first, the most severe first');
select is(claim(), 'nothing', 'while it is being sent, the rest waits');
select later('61 seconds');
select is(claim(), 'pagerduty raised b, pagerduty raised a, slack raised b, slack raised a', 'and for as long as nobody knows');
select finish('sent', null, null, null, 'slack');
select finish('failed', '503: x', null, null, 'pagerduty');
select is(claim(), 'slack escalated a', 'then what happened next; where it failed that waits');
select finish('sent');
select is(claim(), 'slack resolved a', 'until it is over');
select finish('sent');
select later('61 seconds');
select is(claim(), 'pagerduty raised b, pagerduty raised a', 'what failed is sent again');
select finish('sent');
select is(told(), 'pagerduty escalated a', 'then the rest');
select is(told(), 'pagerduty resolved a', 'in its order');
select is(told(), 'nothing', 'that was all');

-- Told that it is over: where it is known that it began, or may be ----------------------------------------------------------------------

create function tests.ended_after(p_outcome text, p_unanswered boolean default null) returns text language plpgsql as $$
begin
  perform tests.fresh('slack'), tests.alert('holds', 'a'), tests.claim(), tests.finish(p_outcome, '400: x', null, p_unanswered);
  perform tests.alert('clear', 'a'), tests.claim(), tests.finish('sent');
  return tests.became('a', 'slack');
end
$$;
select is(ended_after('sent'), 'raised sent, resolved sent', 'sent: told of the end');
select is(ended_after('refused'), 'raised dead 400: x, resolved suppressed alarm_not_sent', 'refused for good: not');
select is(ended_after('refused', true), 'raised dead 400: x, resolved sent', 'refused, but an earlier attempt may have arrived: told');
select is(ended_after('failed'), 'raised due 400: x, resolved due', 'not yet sent: the end waits for the beginning');
update public.notification_deliveries set due_since = due_since - interval '25 hours', next_attempt_at = clock_timestamp() where kind = 'raised';
select is(claim(), 'slack raised a', 'which is tried for the last time');
select finish('failed', '503: y');
select is(claim(), 'nothing', 'and nothing follows');
select is(became('a', 'slack'), 'raised dead gave up after 24 h: 503: y, resolved suppressed alarm_not_sent', 'as it was never sent');
select fresh('slack');
select alert('holds', 'a');
select claim();
select later('61 seconds');
select alert('clear', 'a');
select is(claim(), 'slack raised a', 'one whose claim ran out');
select finish('refused', '400: x');
select is(told(), 'slack resolved a', 'may have arrived, whatever is said of it afterwards');

-- Claims -------------------------------------------------------------------------------------------------------------------------------

select fresh('slack');
select alert('holds', 'a');
select claim();
create temporary table first_claim as table claimed;
select is((select claimed_until > clock_timestamp() + interval '55 seconds' and claimed_until <= clock_timestamp() + interval '60 seconds'
  from public.notification_deliveries), true, 'a claim holds for a minute');
select is((select (attempts, may_have_arrived)::text from public.notification_deliveries), '(1,f)', 'it is the first attempt');
select later('59 seconds');
select is(claim(), 'nothing', 'until then it is nobody else''s');
select later('2 seconds');
select is(claim(), 'slack raised a', 'then it is handed out again');
select is((select (attempts, may_have_arrived)::text from public.notification_deliveries), '(2,t)', 'as one that may have arrived');
select is((select message_id from claimed), (select message_id from first_claim), 'with the same id, by which a receiver knows it');
select isnt((select claim from claimed), (select claim from first_claim), 'under another claim');
create function tests.late(p_outcome text) returns jsonb language sql as $$
  select tests.call('service_role', format('public.finish_deliveries(%L)', (select jsonb_agg(jsonb_build_object('id', id, 'claim', claim, 'outcome', p_outcome,
    'answer', 'late', 'retry_after', 60)) from first_claim)))
$$;
create temporary table before_late as table public.notification_deliveries;
select is(late(outcome), '{"finished": 0}', outcome || ': who comes late with the first claim') from unnest(array['sent', 'failed', 'refused', 'gone', 'released']) outcome;
select results_eq('table public.notification_deliveries', 'table before_late', 'changes nothing');
select is((select (last_failure, wait_until, off_at, last_success_at)::text from public.notification_channels), '(,,,)', 'nor anything about the channel');
select is(finish('sent'), 1, 'who has the last one finishes it');
select is(finish('failed'), 0, 'once');
select is(late('failed'), '{"finished": 0}', 'what is finished stays so');
select is(became('a', 'slack'), 'raised sent', 'it is sent');
select is(call('service_role', $$public.finish_deliveries('[]')$$), '{"finished": 0}', 'nothing is finished where nothing is said');
select alert('holds', 'b');
select claim();
select throws_ok(format('select finish(%L)', 'lost'), '20000', null, 'another word is refused');
select is(finish('released'), 1, 'one that was not sent after all');
select is((select (status, attempts, last_attempt_at, claim)::text from public.notification_deliveries where status = 'due'), '(due,0,,)', 'was not tried');
select is(claim(), 'slack raised b', 'and can be claimed at once');
select finish('failed', '503: x');
select later('31 seconds');
select claim();
select finish('released');
select is((select (attempts, last_attempt_at is not null)::text from public.notification_deliveries where status = 'due'), '(1,t)', 'released at its second attempt it has had its first');
select fresh('slack');
select alert('holds', k) from unnest(array['a', 'b', 'c']) k;
select claim();
select is(call('service_role', format('public.finish_deliveries(%L)', (select jsonb_agg(jsonb_build_object('id', id, 'claim', claim, 'answer', '410: x',
    'outcome', case alert_key when 'a' then 'gone' when 'b' then 'sent' else 'released' end) order by alert_key) from claimed))), '{"finished": 3}',
  'what a call says of others counts, though the first found its channel gone');
select is(concat_ws('; ', became('a'), became('b'), became('c')), 'slack raised dead 410: x; slack raised sent; slack raised suppressed channel_off', 'of each of them');


-- Retries ------------------------------------------------------------------------------------------------------------------------------

select fresh('slack');
select alert('holds', 'a');
create temporary table pauses (attempt integer, seconds integer);
create function tests.fails(p_attempt integer) returns void language plpgsql as $$
begin
  if tests.claim() <> 'slack raised a' then
    raise exception 'attempt %: %', p_attempt, tests.became('a');
  end if;
  perform tests.finish('failed', '503: busy ' || p_attempt);
  insert into pauses select p_attempt, round(extract(epoch from next_attempt_at - clock_timestamp())) from public.notification_deliveries where status = 'due';
  perform tests.later(make_interval(secs => (select seconds from pauses where attempt = p_attempt)));
end
$$;
select fails(n) from generate_series(1, 10) n;
select is((select array_agg(seconds order by attempt) from pauses), array[30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600],
  'what failed is tried again after 30 seconds, doubled up to an hour');
select is(became('a', 'slack'), 'raised due 503: busy 10', 'it says what was answered last');
select fails(n) from generate_series(11, 29) n;
select is((select count(*)::integer from pauses), 29, 'hour by hour');
select is(claim(), 'slack raised a', 'until 24 hours are over');
select finish('failed', '503: busy');
select is((select next_attempt_at - due_since from public.notification_deliveries), interval '24 hours', 'then there is one more try, at the end of them');
select later('1 hour');
select claim();
select finish('failed', '503: busy');
select is(became('a', 'slack'), 'raised dead gave up after 24 h: 503: busy', 'and it is given up, and says why');
select later('1 minute');
select is(claim(), 'nothing', 'for good');
select later('12 hours');
select is(claim(), 'slack repeated a', 'but the alarm is repeated as one that was sent');

select fresh('slack:info');
select alert('holds', 'a', 'info');
select claim();
select later('25 hours');
select is(claim(), 'nothing', 'one that processes die over is given up after 24 hours, too');
select is((select (status, reason, may_have_arrived)::text from public.notification_deliveries where kind = 'raised'),
  '(dead,"gave up after 24 h: no answer",t)', 'and may have arrived');
select fresh('slack');
select alert('holds', 'a');
select later('30 hours');
select is(told(), 'slack raised a', 'what nobody has come for yet is sent, however late');

-- Retry-After ---------------------------------------------------------------------------------------------------------------------------

select fresh('slack discord');
select alert('holds', k) from unnest(array['a', 'b']) k;
select claim();
select finish('sent', null, null, null, 'discord');
select is((select count(*)::integer from claimed where channel = 'slack'), 2, 'two were sent');
delete from claimed where alert_key = 'b';
select finish('failed', '429: slow down', 120, null, 'slack');
select later('61 seconds');
select is(claim(), 'nothing', 'a channel whose receiver asks for two minutes waits as a whole');
select alert('holds', 'c');
select is(told(), 'discord raised c', 'and no other');
select later('60 seconds');
select is(told(), 'slack raised a, slack raised b, slack raised c', 'then all that is due goes out');
select alert('holds', 'd');
select claim();
update public.notification_deliveries set attempts = 9 where status = 'due';
select finish('failed', '429: slow down', 1);
select is((select (wait_until <= clock_timestamp() + interval '1 second')::text || ' ' || round(extract(epoch from next_attempt_at - clock_timestamp()))
  from public.notification_channels c join public.notification_deliveries d using (channel) where channel = 'slack' and status = 'due'), 'true 3600',
  'it waits as long as it was asked to, whatever the pause of the one message');
select later('1 hour');
select claim();
select finish('failed', '429: slow down', 1e300);
select ok((select wait_until between clock_timestamp() + interval '23 hours' and clock_timestamp() + interval '24 hours'
  from public.notification_channels where channel = 'slack'), 'a day at most');
select fresh('slack');
select alert('holds', 'a');
select claim();
select finish('failed', '429: slow down', 600);
select is((call('service_role', format('public.claim_delivery(%L, %L)', configured(), 'slack')) #>> '{deliveries,0,kind}'), 'test', 'a test does not wait');
update claimed c set id = d.id, claim = d.claim from public.notification_deliveries d where d.kind = 'test';
select finish('sent');
select alert('holds', 'b');
select is(told(), 'slack raised b', 'and what arrives makes an end of waiting');

-- Refused, and gone ------------------------------------------------------------------------------------------------------------------------

select fresh('slack discord');
select alert('holds', 'a');
select claim();
select finish('sent', null, null, null, 'discord');
select finish('refused', '400: invalid_blocks', null, null, 'slack');
select is(became('a', 'slack'), 'raised dead 400: invalid_blocks', 'what is refused is given up at once, with the reason');
select is((select (last_failure, off_at)::text from public.notification_channels where channel = 'slack'), '("400: invalid_blocks",)', 'the channel stays');
select alert('holds', 'b');
select is(told(), 'discord raised b, slack raised b', 'and is told of the next');

select fresh('slack discord');
select alert('holds', k) from unnest(array['sent', 'ends', 'old']) k;
select told();
select alert('clear', 'ends');
select claim();
select finish('sent', null, null, null, 'discord');
select finish('failed', '503: x', null, null, 'slack');
select alert('holds', k) from unnest(array['a', 'b']) k;
select claim();
delete from claimed where alert_key = 'b';
select finish('gone', '404: no_service', null, null, 'slack');
select is((select (off_reason, last_failure, off_at is not null)::text from public.notification_channels where channel = 'slack'),
  '("404: no_service","404: no_service",t)', 'a destination that is gone switches its channel off');
select is(became('a', 'slack'), 'raised dead 404: no_service', 'the message is given up');
select is(concat_ws(', ', became('b', 'slack'), became('ends', 'slack')), 'raised suppressed channel_off, raised sent, resolved suppressed channel_off',
  'and all else that was due is suppressed');
select is((select off_at from public.notification_channels where channel = 'discord'), null, 'other channels stay');
select alert('holds', 'c');
select alert('clear', 'sent');
select alert('clear', 'b');
select later('61 seconds');
select is(told(), 'discord raised a, discord raised b, discord raised c, discord resolved sent', 'it is told of nothing');
select is(concat_ws(', ', became('c', 'slack'), became('sent', 'slack'), became('b', 'slack')), 'raised suppressed channel_off, raised sent, '
  'resolved suppressed channel_off, raised suppressed channel_off, resolved suppressed channel_off', 'for that reason');
select later('24 hours');
select is(told(), 'discord repeated a, discord resolved b, discord repeated c, discord repeated old', 'nor is anything repeated to it');
update settings set words = 'slack:critical discord';
select claim();
select isnt((select off_at from public.notification_channels where channel = 'slack'), null, 'another least severity is no other destination');
update settings set words = 'slack discord';

-- A test that passes switches it on.
create function tests.test(p_channel text, p_outcome text) returns void language plpgsql as $$
declare
  v_answer jsonb := tests.call('service_role', format('public.claim_delivery(%L, %L)', tests.configured(), p_channel)) -> 'deliveries' -> 0;
begin
  perform tests.call('service_role', format('public.finish_deliveries(%L)', jsonb_build_array(v_answer || jsonb_build_object('outcome', p_outcome, 'answer', 'x'))));
end
$$;
select test('slack', 'failed');
select is(claim(), 'nothing', 'a test that fails leaves it off');
select test('slack', 'sent');
select is((select (off_at, off_reason)::text from public.notification_channels where channel = 'slack'), '(,)', 'a test that passes switches it on');
select is(told(), 'slack raised a, slack resolved b, slack raised c, slack resolved ends, slack raised old, slack resolved sent',
  'then it is told of what ended meanwhile, or had ended before, where it knows of it or may, and of all that stands');
select is(told(), 'nothing', 'once');
select alert('clear', k) from unnest(array['old', 'a', 'c']) k;
select told_later();
-- Off for the second time, while what it is to be told of the first is still due.
select fresh('slack');
select alert('holds', 'a');
select told();
select test('slack', 'gone');
select alert('clear', 'a');
select claim();
select test('slack', 'sent');
select test('slack', 'gone');
select claim();
select is(became('a', 'slack'), 'raised sent, resolved suppressed channel_off', 'off again before it was told');
select test('slack', 'sent');
select is(told(), 'slack resolved a', 'it is told once it is on again');

-- Changed settings switch it on.
select fresh('slack');
select alert('holds', k) from unnest(array['a', 'b', 'c']) k;
select told();
select alert('holds', 'd');
select claim();
select finish('gone', '410: x');
select alert('clear', 'a');
select claim();
update settings set words = 'slack:warning:other';
select is(told_later(), 'slack raised b, slack raised c, slack raised d', 'changed settings switch it on: another destination is told of what stands');
select is((select (off_at, fingerprint, last_failure)::text from public.notification_channels), '(,other,)', 'and has no past');
select test('slack', 'gone');
select test('slack', 'sent');
select is(told_later(), 'slack raised b, slack raised c, slack raised d', 'what ended before has nothing to do with it, however often it is off and on');
select alert('clear', 'b');
select is(told_later(), 'slack resolved b', 'what ends now has');

-- A retry in a channel that is off.
select fresh('slack');
select alert('holds', 'a');
select claim();
select finish('gone', '404: x');
create function tests.retry(p_key text, p_channel text) returns jsonb language sql as $$
  select tests.call('service_role', format('public.claim_delivery(%L, null, %s)', tests.configured(), (
    select d.id from public.notification_deliveries d join public.billing_alerts a on a.id = d.alert_id
    where a.alert_key = p_key and d.channel = p_channel order by d.id limit 1)))
$$;
create function tests.retried(p_key text, p_channel text, p_outcome text) returns void language plpgsql as $$
declare
  v_answer jsonb := tests.retry(p_key, p_channel) -> 'deliveries' -> 0;
begin
  perform tests.call('service_role', format('public.finish_deliveries(%L)', jsonb_build_array(v_answer || jsonb_build_object('outcome', p_outcome, 'answer', 'again'))));
end
$$;
select retried('a', 'slack', 'failed');
select is(claim(), 'nothing', 'a retry that fails in a channel that is off');
select is(became('a', 'slack'), 'raised suppressed channel_off', 'does not stay due');

-- A channel that comes, one that goes, one that comes back -----------------------------------------------------------------------------------

select fresh('slack');
select alert('holds', k, s) from (values ('a', 'high'), ('b', 'critical'), ('c', 'info'), ('over', 'high')) alerts (k, s);
select told();
select alert('clear', 'over');
select attend('a', 'acknowledge');
select told_later();
update settings set words = 'slack email:high';
select is(told(), 'email raised b', 'a new channel is told of what is open, severe enough, and unattended');
select is((select (event_id is null, severity)::text from public.notification_deliveries where channel = 'email'), '(t,critical)', 'as of now');
select attend('a', 'unacknowledge');
select is(told(), 'email raised a', 'of what somebody attended to, when they do no more');
update settings set words = 'slack email:info';
select is(told(), 'email raised c', 'who wants to hear of less severe ones is told of those that are open');
select alert('clear', 'a');
select is(told(), 'email resolved a, slack resolved a', 'and of their end');

select fresh('slack discord');
select alert('holds', k) from unnest(array['a', 'b', 'c']) k;
select told();
select alert('clear', 'a');
select alert('holds', 'd');
update settings set words = 'discord';
select is(told_later(), 'discord resolved a, discord raised d', 'a channel that is gone from the settings is told nothing');
select is(concat_ws(', ', became('a', 'slack'), became('d', 'slack')), 'raised sent, resolved suppressed not_configured, raised suppressed not_configured',
  'what was due to it is suppressed');
select is((select configured from public.notification_channels where channel = 'slack'), false, 'and it says so');
select alert('clear', 'b');
select alert('clear', 'd');
select alert('holds', 'e');
select told();
select is(concat_ws('; ', became('b', 'slack'), became('d', 'slack'), became('e', 'slack')),
  'raised sent, resolved suppressed not_configured; raised suppressed not_configured', 'of what happens then, only the end of what it knows of is noted');
update settings set words = 'discord slack';
select is(told_later(), 'slack resolved a, slack resolved b, slack raised c, slack raised e', 'when it comes back it is told of what ended and of what stands');
select is(told(), 'nothing', 'once');
update settings set words = 'discord';
select claim();
select alert('clear', 'c');
select told();
update settings set words = 'discord slack:warning:other';
select is(told_later(), 'slack raised e', 'another destination in its place is told of what stands, and of no end');
select fresh('slack');
select alert('holds', 'a');
select claim();
update settings set words = '';
select call('service_role', $$public.claim_deliveries('[]')$$);
select alert('clear', 'a');
select is(finish('sent'), 1, 'what is being sent while a channel goes');
select is(became('a', 'slack'), 'raised sent, resolved due', 'is sent');
select is(call('service_role', $$public.claim_deliveries('[]')$$), '{"outcome": "ok", "deliveries": []}', 'without channels nothing is handed out');
update settings set words = 'slack';
select is(told(), 'slack resolved a', 'when it comes back it is told of its end');

-- Caps -----------------------------------------------------------------------------------------------------------------------------------------

create function tests.many(p_state text, p_prefix text, p_count integer, p_severity text default 'warning') returns void language sql as $$
  select tests.alert(p_state, p_prefix || lpad(n::text, 2, '0'), p_severity) from generate_series(1, p_count) n
$$;
select fresh('slack discord');
select many('holds', 'a', 6);
select is(claim(), 'discord raised a01, discord raised a02, discord raised a03, discord raised a04, discord raised a05, discord raised a06, '
  'slack raised a01, slack raised a02, slack raised a03, slack raised a04, slack raised a05, slack raised a06', 'six a minute, for each channel');
select finish('sent');
select alert('holds', 'b', 'critical');
select is(claim(), 'nothing', 'the seventh waits, however severe');
select test('slack', 'sent');
select is((select count(*)::integer from public.notification_deliveries where kind = 'test' and status = 'sent'), 1, 'but for a test');
select later('58 seconds');
select is(claim(), 'nothing', 'until the minute is over');
select later('2 seconds');
select is(told(), 'discord raised b, slack raised b', 'then it goes');
select test('slack', 'sent') from generate_series(1, 7);
select many('holds', 'c', 5);
select is(claim(), 'discord raised c01, discord raised c02, discord raised c03, discord raised c04, discord raised c05, '
  'slack raised c01, slack raised c02, slack raised c03, slack raised c04, slack raised c05', 'tests do not count');

select fresh('slack');
select many('holds', 'w', 5, 'warning');
select many('holds', 'h', 3, 'high');
select many('holds', 'c', 2, 'critical');
select is(claim(), 'slack raised c01, slack raised c02, slack raised h01, slack raised h02, slack raised h03, slack summary',
  'too many at once: the most severe go, the last is a summary of the others');
select is((select item -> 'summary' from claimed where kind = 'summary'), jsonb_build_object('count', 5, 'by_severity', '[["warning", 5]]'::jsonb,
  'alert_ids', (select jsonb_agg(id order by alert_key) from public.billing_alerts where alert_key like 'w%')), 'with their number, severities and alerts');
select is((select (item ->> 'severity', item ->> 'alert')::text from claimed where kind = 'summary'), '(warning,)', 'as bad as the worst of them');
select is(became('w03', 'slack'), 'raised suppressed summarised', 'they are told by it');
select finish('sent');
select later('61 seconds');
select is(claim(), 'nothing', 'and not again');
select many('clear', 'c', 2);
select alert('clear', 'w03');
select is(told(), 'slack resolved c01, slack resolved c02', 'of their end only those are told that were told one by one');

select fresh('slack');
select many('holds', 'h', 9, 'high');
select many('holds', 'w', 3, 'warning');
select claim();
select is((select (item -> 'summary') - 'alert_ids' from claimed where kind = 'summary'), '{"count": 7, "by_severity": [["high", 4], ["warning", 3]]}',
  'a summary of several severities begins with the worst');
select is((select (item ->> 'severity') || ' ' || jsonb_array_length(item #> '{summary,alert_ids}') from claimed where kind = 'summary'), 'high 5',
  'and names five alerts at most');
select is((select item #>> '{summary,alert_ids,0}' from claimed where kind = 'summary'), (select id::text from public.billing_alerts where alert_key = 'h06'),
  'those that come first');
select finish('failed', '503: x');
select later('61 seconds');
select is(claim(), 'slack raised h01, slack raised h02, slack raised h03, slack raised h04, slack raised h05, slack summary', 'a summary that failed is sent again, as it was');

select fresh('slack');
select many('holds', 'a', 6);
select told();
select later('61 seconds');
select many('holds', 'b', 2);
select told();
select many('clear', 'a', 6);
select is(claim(), 'slack resolved a01, slack resolved a02, slack resolved a03, slack resolved a04', 'what is over waits for its turn, and is never summed up');
select finish('sent');
select many('holds', 'c', 1, 'critical');
select later('61 seconds');
select many('holds', 'd', 3);
select is(claim(), 'slack raised c01, slack raised d01, slack raised d02, slack raised d03, slack resolved a05, slack resolved a06', 'six fit, and what is wrong goes before what is over');
select finish('sent');
select fresh('slack');
select many('holds', 'a', 6);
select told();
select many('clear', 'a', 6);
select many('holds', 'z', 8);
select later('61 seconds');
select is(claim(), 'slack raised z01, slack raised z02, slack raised z03, slack raised z04, slack raised z05, slack summary',
  'where alarms and ends are too many, alarms are summed up');
select finish('sent');
select later('61 seconds');
select is(told(), 'slack resolved a01, slack resolved a02, slack resolved a03, slack resolved a04, slack resolved a05, slack resolved a06', 'and ends are told');

select fresh('slack');
create function tests.minute(p_n integer) returns integer language plpgsql as $$
begin
  perform tests.many('holds', 'm' || p_n || '_', 6), tests.told(), tests.later('61 seconds');
  return (select count(*) from claimed);
end
$$;
select is((select array_agg(minute(n) order by n) from generate_series(1, 6) n), array[6, 6, 6, 6, 6, 0], 'thirty an hour');
select later('53 minutes');
select is(claim(), 'nothing', 'until the hour is over');
select later('62 seconds');
select claim();
select is((select count(*)::integer || ' ' || string_agg(distinct kind, ' ') from claimed), '6 raised', 'then the next');
select fresh('slack');
select many('holds', 'a', 5);
select told();
select many('holds', 'b', 4);
select is(claim(), 'slack summary', 'where one more fits, it is a summary of all');
select is((select item #>> '{summary,count}' from claimed), '4', 'of them');
select fresh('slack');
select many('holds', 'a', 5);
select told();
select many('holds', 'b', 1);
select is(claim(), 'slack raised b01', 'a single one is told as it is');
select fresh('slack');
select many('holds', 'a', 5);
select told();
select alert('clear', 'a01');
select alert('holds', 'b', 'critical');
select is(claim(), 'slack raised b', 'also where an end has to wait for it');

-- Repeats ---------------------------------------------------------------------------------------------------------------------------------------

create function tests.repeated_after(p_severity text, p_first interval, p_second interval) returns text language plpgsql as $$
declare
  v_said text;
begin
  perform tests.fresh('slack:info'), tests.alert('holds', 'a', p_severity), tests.told(), tests.later(p_first);
  v_said := tests.told();
  perform tests.later(p_second);
  return v_said || ', ' || tests.told();
end
$$;
select is(repeated_after('critical', '3:59', '0:01'), 'nothing, slack repeated a', 'critical: repeated after four hours');
select is(repeated_after('high', '11:59', '0:01'), 'nothing, slack repeated a', 'high: after twelve');
select is(repeated_after('warning', '23:59', '0:01'), 'nothing, slack repeated a', 'a warning: after a day');
select is(repeated_after('info', '1 year', '1 year'), 'nothing, nothing', 'information: never');
select is(repeated_after('critical', '4:00', '4:00'), 'slack repeated a, slack repeated a', 'and again, from when it was last sent');
select fresh('slack');
select alert('holds', 'a', 'warning');
select told();
select later('3 hours');
select alert('holds', 'a', 'critical');
select is(told(), 'slack escalated a', 'whatever was sent last');
select later('3 hours');
select is(told(), 'nothing', 'counts');
select later('61 minutes');
select is(claim(), 'slack repeated a', 'then it is repeated, by how bad it is now');
select is((select item ->> 'severity' from claimed), 'critical', 'and says so');
select finish('failed', '503: x');
select later('31 seconds');
select is(claim(), 'slack repeated a', 'a repeat that failed is tried again, and not doubled');
select finish('failed', '503: x');
select alert('clear', 'a');
select later('61 seconds');
select is(told(), 'slack resolved a', 'what is over is repeated no more');
select is(became('a', 'slack'), 'raised sent, escalated sent, repeated suppressed resolved_meanwhile, resolved sent', 'for that reason');
select fresh('slack');
select alert('holds', 'a', 'critical');
select claim();
select finish('refused', '400: x');
select later('4 hours');
select claim();
select finish('failed', '503: x');
select alert('clear', 'a');
select is(told(), 'nothing', 'nor is its end told, where the repeat would have been the first that arrives');
select is(became('a', 'slack'), 'raised dead 400: x, repeated suppressed resolved_meanwhile, resolved suppressed alarm_not_sent', 'for that reason');
select fresh('slack discord');
select alert('holds', 'a', 'critical');
select claim();
select finish('sent', null, null, null, 'slack');
select finish('failed', '503: x', null, null, 'discord');
select later('2 hours');
select told();
select later('2 hours');
select is(told(), 'slack repeated a', 'each channel counts for itself');
select fresh('slack');
select alert('holds', 'a', 'critical');
select claim();
select finish('refused', '400: x');
select is(told(), 'nothing', 'what was refused is not tried again at once');
select later('4 hours');
select is(told(), 'slack repeated a', 'but repeated as if it had been sent');
select alert('clear', 'a');
select is(told(), 'slack resolved a', 'and then its end is told');

-- Acknowledged, snoozed ---------------------------------------------------------------------------------------------------------------------------

select fresh('slack');
select alert('holds', 'a', 'critical');
select told();
select attend('a', 'acknowledge', 600);
select later('9 hours');
select is(told(), 'nothing', 'what is acknowledged is not repeated');
select later('61 minutes');
select is(told(), 'slack repeated a', 'until that has run out');
select attend('a', 'acknowledge', 600);
select alert('holds', 'b', 'critical');
select is(told(), 'slack raised b', 'of others one is told');
select later('5 hours');
select attend('a', 'unacknowledge');
select is(told(), 'slack repeated a, slack repeated b', 'what is acknowledged no more is repeated when its time has come');

select fresh('slack');
select alert('holds', 'a', 'warning');
select attend('a', 'snooze', 60);
select is(told(), 'nothing', 'what is snoozed before it was sent');
select is(became('a', 'slack'), 'raised suppressed snoozed', 'is suppressed');
select later('59 minutes');
select is(told(), 'nothing', 'until then');
select later('2 minutes');
select is(told(), 'slack raised a', 'then it is told');
select attend('a', 'snooze', 60);
select later('61 minutes');
select is(told(), 'slack repeated a', 'what was told before is told once more when its snooze has run out');
select later('23 hours');
select is(told(), 'nothing', 'once');
select later('61 minutes');
select is(told(), 'slack repeated a', 'and then as ever');
select attend('a', 'snooze', 120);
select later('61 minutes');
select attend('a', 'unsnooze');
select is(told(), 'nothing', 'who ends a snooze needs no reminder');
select attend('a', 'snooze', 60);
select attend('a', 'acknowledge', 180);
select later('61 minutes');
select is(told(), 'nothing', 'nor is anybody reminded who attends to it');
select later('2 hours');
select is(told(), 'slack repeated a', 'until they do no more');
select attend('a', 'snooze', 60);
select alert('clear', 'a');
select is(told(), 'slack resolved a', 'the end of a snoozed one is told at once');
select fresh('slack');
select alert('holds', 'a', 'warning');
select told();
select attend('a', 'snooze', 60);
select alert('holds', 'a', 'high');
select is(told(), 'slack escalated a', 'so is a rise, which ends the snooze');
select attend('a', 'snooze', 60);
select later('30 minutes');
select alert('holds', 'i', 'warning');
select claim();
select attend('i', 'snooze', 60);
select is(finish('sent'), 1, 'what is being sent while it is snoozed is sent');
select fresh('slack');
select alert('holds', 'a');
select claim();
select later('61 seconds');
select attend('a', 'snooze', 60);
select is(claim(), 'nothing', 'one whose claim had run out when it was snoozed');
select alert('clear', 'a');
select is(told(), 'slack resolved a', 'may have arrived: its end is told');

select fresh('pagerduty slack');
select alert('holds', 'a');
select attend('a', 'acknowledge');
select is(claim(), 'pagerduty raised a, slack raised a', 'what was acknowledged before it was sent is sent');
select finish('failed', '503: x');
select later('31 seconds');
select is(claim(), 'pagerduty raised a, slack raised a', 'and tried again');
select finish('sent');
select is(told(), 'pagerduty acknowledged a', 'and then PagerDuty is told who attends to it');
select fresh('pagerduty slack');
select alert('holds', 'a');
select attend('a', 'acknowledge');
select claim();
select finish('refused', '400: x');
select is(claim(), 'nothing', 'but where it was refused');
select is(became('a', 'pagerduty'), 'raised dead 400: x, acknowledged suppressed alarm_not_sent', 'nobody is told of the acknowledgement');

-- One that died with its claim, and was summed up or suppressed after that, may have arrived.
create function tests.end_is_told(p_between text) returns text language plpgsql as $$
begin
  perform tests.fresh('slack'), tests.alert('holds', 'a', 'warning'), tests.claim(), tests.later('61 seconds');
  execute p_between;
  perform tests.alert('clear', 'a'), tests.later('61 seconds');
  return tests.claim();
end
$$;
select is(end_is_told($$select tests.many('holds', 'm', 9, 'high'), tests.told()$$), 'slack resolved a', 'it was summed up: its end is told');
select is(end_is_told($$select tests.test('slack', 'gone'), tests.claim(), tests.test('slack', 'sent')$$), 'slack resolved a', 'its channel went off and on');
select is(end_is_told($$select tests.claim(), tests.test('slack', 'gone'), tests.later('61 seconds'), tests.claim(), tests.test('slack', 'sent')$$),
  'slack resolved a', 'or while it was being sent again');
select is(end_is_told($$update settings set words = ''; select tests.claim(); update settings set words = 'slack'$$), 'slack resolved a', 'its channel was gone for a while');

-- Facts ----------------------------------------------------------------------------------------------------------------------------------------------

select fresh('slack discord');
select is(facts(), '{"overdue": 0, "oldest_due_since": null, "given_up": 0, "channels": [], "none_works": false}', 'nothing to be told: all is well');
select alert('holds', 'a');
select alert('holds', 'b');
select is(facts() -> 'overdue', '0', 'what has just become due is not overdue');
select claim();
select finish('sent', null, null, null, 'discord');
select later('14 minutes 50 seconds');
select is(facts() -> 'overdue', '0', 'nor is it for a quarter of an hour');
select later('11 seconds');
select is(facts() - 'oldest_due_since', '{"overdue": 2, "given_up": 0, "channels": ["slack"], "none_works": false}', 'then it is, with its channel, be it claimed or not');
select is((facts() ->> 'oldest_due_since')::timestamptz, (select min(due_since) from public.notification_deliveries where status = 'due'), 'and since when');
select told();
select is(facts() - 'oldest_due_since', '{"overdue": 0, "given_up": 0, "channels": [], "none_works": false}', 'until it is sent');

select fresh('slack discord');
select alert('holds', 'a');
select claim();
select finish('sent', null, null, null, 'discord');
select finish('refused', '400: x', null, null, 'slack');
select is(facts(), '{"overdue": 0, "oldest_due_since": null, "given_up": 1, "channels": ["slack"], "none_works": false}', 'one was given up; the other channel works');
select later('23 hours 59 minutes');
select is(facts() -> 'given_up', '1', 'for a day');
select later('2 minutes');
select is(facts() -> 'given_up', '0', 'and no longer');
select alert('holds', 'b');
select claim();
select finish('sent', null, null, null, 'discord');
delete from claimed where alert_key = 'a';
select finish('refused', '400: x', null, null, 'slack');
select is(facts() -> 'given_up', '1', 'the next one');
select alert('holds', 'c');
select later('61 seconds');
select claim();
select finish('sent');
select is(facts() -> 'given_up', '0', 'is made up for by what arrives in its channel');
select test('slack', 'failed');
select is(facts() -> 'given_up', '0', 'a test that fails is nothing that was given up');

select fresh('slack discord');
select test('slack', 'failed');
select is(facts() -> 'none_works', 'false', 'one has not been tried yet');
select test('discord', 'refused');
select is(facts() -> 'none_works', 'true', 'no channel works: the last attempt of each failed');
select test('discord', 'sent');
select is(facts() -> 'none_works', 'false', 'until one arrives');
select test('discord', 'failed');
select is(facts() -> 'none_works', 'true', 'and fails again');
update settings set words = 'slack email discord';
select claim();
select is(facts() -> 'none_works', 'false', 'a new one may work');
update settings set words = 'slack discord';
select claim();
select is(facts() -> 'none_works', 'true', 'one that is gone from the settings does not count');
select test('discord', 'sent');
select test('discord', 'gone');
update public.notification_channels set last_failure_at = null where channel = 'discord';
select is(facts() -> 'none_works', 'true', 'one that is off does not work');
update settings set words = '';
select claim();
select is(facts() -> 'none_works', 'false', 'where there are no channels, none fails');

-- A channel that is off is told nothing: that is no peace.
select fresh('slack discord');
select is(channels(), '0 off of 2', 'two channels');
select test('slack', 'gone');
select later('3 days');
select is((channels(), facts() -> 'channels')::text, '("1 off of 2","[""slack""]")', 'one that is off is named, however long');
select test('slack', 'sent');
select is((channels(), facts() -> 'channels')::text, '("0 off of 2",[])', 'until it is on');
update settings set words = '';
select claim();
select is(channels(), '0 off of 0', 'none');

-- A test that nobody finished.
select fresh('slack');
select call('service_role', format('public.claim_delivery(%L, %L)', configured(), 'slack'));
select later('16 minutes');
select is(facts() -> 'overdue', '0', 'a test whose process died is not overdue');
select is(claim(), 'nothing', 'nor is it sent again');
select is((select (status, reason)::text from public.notification_deliveries), '(dead,"no answer")', 'it has failed');
select is(facts(), '{"overdue": 0, "oldest_due_since": null, "given_up": 0, "channels": [], "none_works": false}', 'which worries nobody');

-- At a person's word -----------------------------------------------------------------------------------------------------------------------------------

select fresh('slack');
create function tests.word(p_arguments text) returns jsonb language sql as $$
  select tests.call('service_role', format('public.claim_delivery(%L, %s)', tests.configured(), p_arguments))
$$;
select is(word($$'discord'$$), '{"outcome": "not_configured"}', 'a test of a channel that is not configured');
select is((select count(*)::integer from public.notification_deliveries), 0, 'is none');
create temporary table answer as select word($$'slack'$$) as a;
select is((select a ->> 'outcome' from answer), 'ok', 'a test');
select is((select (d ->> 'channel', d ->> 'kind', d ->> 'severity', d ->> 'alert', d ->> 'summary')::text from (select a -> 'deliveries' -> 0 as d from answer) x),
  '(slack,test,info,,)', 'is about nothing');
select is(claim(), 'nothing', 'and nobody else''s');
update claimed c set id = null;
select is(call('service_role', format('public.finish_deliveries(%L)', (select jsonb_agg((a -> 'deliveries' -> 0) || '{"outcome": "failed", "answer": "503: x"}') from answer))),
  '{"finished": 1}', 'one that fails');
select is((select (status, reason)::text from public.notification_deliveries), '(dead,"503: x")', 'is not tried again');
select is((select last_failure from public.notification_channels), '503: x', 'but the channel knows');

select fresh('slack discord');
select alert('holds', 'a');
select is(retry('a', 'slack'), '{"outcome": "conflict", "status": "due"}', 'what is due cannot be tried again');
select claim();
select is(retry('a', 'slack'), '{"outcome": "conflict", "status": "due"}', 'nor what is being sent');
select finish('sent', null, null, null, 'discord');
select is(retry('a', 'discord'), '{"outcome": "conflict", "status": "sent"}', 'nor what was sent');
select finish('refused', '400: x', null, null, 'slack');
select is(word('null, 0'), '{"outcome": "not_found"}', 'nor what does not exist');
update settings set words = 'discord';
select is(retry('a', 'slack'), '{"outcome": "not_configured"}', 'nor anything in a channel that is not configured');
update settings set words = 'discord slack';
update public.notification_deliveries set attempts = 7, due_since = due_since - interval '3 days' where channel = 'slack';
create temporary table told_again as select retry('a', 'slack') as a;
select is((select (a ->> 'outcome', a #>> '{deliveries,0,kind}', a #>> '{deliveries,0,alert,alert_key}')::text from told_again), '(ok,raised,a)', 'what was given up can');
select is((select (attempts, due_since > clock_timestamp() - interval '1 minute')::text from public.notification_deliveries where channel = 'slack' order by id limit 1), '(1,t)',
  'from its first attempt');
select is(retry('a', 'slack') ->> 'outcome', 'conflict', 'once');
select is(call('service_role', format('public.finish_deliveries(%L)', (select jsonb_agg((a -> 'deliveries' -> 0) || '{"outcome": "failed", "answer": "503: y"}') from told_again))),
  '{"finished": 1}', 'one that fails again');
select is(became('a', 'slack') like 'raised due 503: y%', true, 'is due again, as any other');
select later('31 seconds');
select is(told() like '%slack raised a%', true, 'and tried again');

select fresh('slack');
select alert('holds', 'a');
select claim();
select finish('refused', '400: x');
select alert('clear', 'a');
select claim();
select is(became('a', 'slack'), 'raised dead 400: x, resolved suppressed alarm_not_sent', 'an alarm that was refused, and is over');
select retried('a', 'slack', 'sent');
select is(told(), 'slack resolved a', 'where it is sent after all, so is its end');
select fresh('slack');
select alert('holds', 'a');
select claim();
select finish('refused', '400: x');
select alert('clear', 'a');
select claim();
select retried('a', 'slack', 'refused');
select is(claim(), 'nothing', 'where it is refused again');
select is(became('a', 'slack'), 'raised dead again, resolved suppressed alarm_not_sent', 'it is not');
select many('holds', 'm', 6);
select told();
select is(retry('a', 'slack') ->> 'outcome', 'ok', 'caps do not hold up a person');
select fresh('slack');
select alert('holds', 'a');
select claim();
select finish('refused', '400: x', null, true);
select alert('clear', 'a');
select is(told(), 'slack resolved a', 'where the end was told as the alarm may have arrived');
select retried('a', 'slack', 'sent');
select is(told(), 'slack resolved a', 'it is told once more after it');
select fresh('slack');
select alert('holds', 'a');
select claim();
select finish('refused', '400: x');
update settings set words = '';
select claim();
select alert('clear', 'a');
update settings set words = 'slack';
select claim();
select retried('a', 'slack', 'sent');
select is(told(), 'slack resolved a', 'and where its channel was gone when it came');

-- What people and receivers do meanwhile ---------------------------------------------------------------------------------------------------------------

create function tests.reopens(p_channel text default 'pagerduty') returns text language plpgsql as $$
declare
  v_all jsonb := tests.call('service_role', format('public.claim_deliveries(%L)', tests.configured())) -> 'deliveries';
begin
  perform tests.call('service_role', format('public.finish_deliveries(%L)', (select jsonb_agg(d || '{"outcome": "sent"}') from jsonb_array_elements(v_all) d)));
  return (select string_agg(concat_ws(' ', d ->> 'kind', d ->> 'reopens'), ', ') from jsonb_array_elements(v_all) d where d ->> 'channel' = p_channel);
end
$$;
select fresh('pagerduty slack');
select alert('holds', 'a', 'high');
select is(reopens(), 'raised false', 'an incident begins');
select attend('a', 'acknowledge', 60);
select is(reopens(), 'acknowledged false', 'and is acknowledged');
select later('13 hours');
select is(reopens(), 'repeated true', 'nobody attends to it any more: it has to ring again');
select alert('holds', 'a', 'critical');
select is(reopens(), 'escalated false', 'which it does, until it is acknowledged again');
select attend('a', 'acknowledge', 60);
select reopens();
select alert('clear', 'a');
select is(reopens(), 'resolved false', 'an end opens nothing');
select alert('holds', 'b', 'high');
select reopens();
select attend('b', 'acknowledge', 60);
select reopens();
select alert('holds', 'b', 'critical');
select is(reopens('slack'), 'escalated false', 'who is told of no acknowledgement needs to be told of no end of it');

select fresh('slack');
select alert('holds', 'a', 'warning');
select told();
select alert('holds', 'a', 'critical');
select claim();
select finish('failed', '503: x');
select attend('a', 'snooze', 60);
select later('61 seconds');
select is(told(), 'nothing', 'a rise that a snooze has swallowed');
select attend('a', 'unsnooze');
select is(told(), 'slack repeated a', 'is told when the snooze is taken back');
select is(told(), 'nothing', 'once');

select fresh('slack');
select many('holds', 'm', 9, 'high');
select claim();
create temporary table summary as select id, summary from public.notification_deliveries where kind = 'summary';
select is((select jsonb_array_length(summary -> 'delivery_ids') from summary), 4, 'a summary knows what it stands for');
select finish('refused', '400: x');
select is((select count(*)::integer from public.notification_deliveries where status = 'dead' and kind = 'raised' and reason = '400: x'), 9,
  'one that is refused has told of nothing: what it stands for is as dead as it');
select is((facts() ->> 'given_up')::integer, 10, 'and counts as given up');

select fresh('slack');
select alert('holds', 'a');
select told();
select alert('clear', 'a');
select claim();
select finish('gone', '401: x');
select test('slack', 'sent');
select is(told(), 'slack resolved a', 'the end that found its channel gone is told when it is on again');

select fresh('slack');
select alert('holds', 'a');
select told();
create temporary table settings_before as select fingerprint, configured, since from public.notification_channels;
update settings set words = 'discord';
select word($$'slack'$$);
select is((select array_agg((c.fingerprint, c.configured, c.since)::text) from public.notification_channels c),
  (select array_agg((b.fingerprint, b.configured, b.since)::text) from settings_before b), 'a test that is refused changes no channel');

-- The list ------------------------------------------------------------------------------------------------------------------------------------------------

select fresh('slack discord:high');
select alert('holds', 'a', 'high');
select alert('holds', 'b', 'warning');
select told();
select alert('clear', 'a');
create function tests.list(p_arguments text) returns jsonb language sql as $$
  select tests.call('admin', format('public.admin_notifications(%s)', p_arguments))
$$;
create function tests.shown(p_arguments text) returns text language sql as $$
  select string_agg(concat_ws(' ', i ->> 'channel', i ->> 'kind', i ->> 'alert_key', i ->> 'status'), ', ' order by place)
  from jsonb_array_elements(tests.list(p_arguments) -> 'items') with ordinality x (i, place)
$$;
create function tests.ids(p_where text) returns text[] language plpgsql as $$
declare
  v_ids text[];
begin
  execute 'select array_agg(id::text order by id desc) from public.notification_deliveries where ' || p_where into v_ids;
  return v_ids;
end
$$;
create function tests.listed(p_arguments text) returns text[] language sql as $$
  select array_agg(i ->> 'id' order by place) from jsonb_array_elements(tests.list(p_arguments) -> 'items') with ordinality x (i, place)
$$;
select is(listed(''), ids('true'), 'deliveries, newest first');
select is(cardinality(ids('true')), 6, 'six of them');
select is(shown($$p_channel => 'discord'$$), 'discord resolved a due, discord raised b suppressed, discord raised a sent', 'of a channel');
select is(listed($$p_status => 'due'$$), ids($$status = 'due'$$), 'of a status');
select is(shown(format('p_alert_id => %L, p_channel => %L', id, 'slack')), 'slack raised b sent', 'of an alert') from public.billing_alerts where alert_key = 'b';
select is(listed('p_limit => 2'), (ids('true'))[:3], 'a page and one more');
select is(listed('p_limit => 2, p_before => ' || (ids('true'))[2]), (ids('true'))[3:5], 'the next page');
select is(list($$p_status => 'dead'$$) -> 'items', '[]', 'none: an empty list');
select is((select array_agg(key order by key) from jsonb_object_keys(list('') -> 'items' -> 0) key), array['alert_id', 'alert_key', 'attempts', 'channel', 'created_at',
  'id', 'kind', 'next_attempt_at', 'reason', 'sent_at', 'severity', 'status'], 'with these fields');
select is(list('') #> '{items,0,id}', to_jsonb((select max(id)::text from public.notification_deliveries)), 'the id is text');
select is(list('') #> '{items,2,next_attempt_at}', 'null', 'what is finished has no next attempt');
select is((list('') #>> '{items,0,next_attempt_at}')::timestamptz, (select max(next_attempt_at) from public.notification_deliveries where channel = 'slack' and status = 'due'),
  'what is due has');
select claim();
select finish('gone', '410: x', null, null, 'slack');
update settings set words = 'slack';
select claim();
create function tests.channel(p_channel text) returns jsonb language sql as $$
  select c from jsonb_array_elements(tests.list('') -> 'channels') c where c ->> 'channel' = p_channel
$$;
select is(channel('slack') - array['off_at', 'last_success_at', 'last_failure_at'],
  '{"channel": "slack", "configured": true, "off_reason": "410: x", "fingerprint": "f", "last_failure": "410: x"}', 'a channel that is off');
select is((channel('slack') ->> 'off_at')::timestamptz, (select off_at from public.notification_channels where channel = 'slack'), 'says since when');
select is(array[(channel('slack') ->> 'last_success_at')::timestamptz, (channel('slack') ->> 'last_failure_at')::timestamptz],
  (select array[last_success_at, last_failure_at] from public.notification_channels where channel = 'slack'), 'and when messages arrived, and did not');
select is(channel('discord') ->> 'configured', 'false', 'one that is gone from the settings is shown as such');
select is(channel('email'), null, 'one that never was is not shown');
select is(call('member', 'public.admin_notifications()'), '{"outcome": "forbidden"}', 'who is no admin sees nothing of it');

select * from finish();
rollback;
