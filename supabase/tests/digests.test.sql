-- The weekly digest: when it is due, who gets it, what it counts, and that it never stands in the way of an alarm.
begin;
\ir helpers/actors.psql
select no_plan();

-- The week of which a digest is due now, and times within it.
create temporary table week (monday date, began timestamptz);
insert into week select billing_ops.digest_week(now()), billing_ops.digest_week(now())::timestamp at time zone 'utc';
grant select on week to public;
create temporary table claimed (place bigint, id bigint, claim uuid, item jsonb);

create function tests.channels(p_words text, p_severity text default 'critical') returns jsonb language sql as $$
  select coalesce(jsonb_agg(jsonb_build_object('channel', w, 'min_severity', p_severity, 'fingerprint', 'f')), '[]')
  from regexp_split_to_table(p_words, ' ') w where w <> ''
$$;
-- Claims what is due, and says what it is.
create function tests.claim(p_words text, p_digest jsonb default '{"access": ["active", "trialing"]}') returns text language plpgsql as $$
declare
  v_answer jsonb := tests.call('service_role', format('public.claim_deliveries(%L, null, %L)', tests.channels(p_words), p_digest));
begin
  delete from claimed;
  insert into claimed select place, (d ->> 'id')::bigint, (d ->> 'claim')::uuid, d
  from jsonb_array_elements(v_answer -> 'deliveries') with ordinality x (d, place);
  return coalesce((select string_agg(concat_ws(' ', item ->> 'channel', item ->> 'kind', item #>> '{alert,alert_key}'), ', ' order by place) from claimed), 'nothing');
end
$$;
create function tests.finish(p_outcome text, p_answer text default null) returns integer language sql as $$
  select (tests.call('service_role', format('public.finish_deliveries(%L)', (select jsonb_agg(jsonb_build_object('id', id, 'claim', claim, 'outcome', p_outcome,
    'answer', p_answer)) from claimed))) ->> 'finished')::integer
$$;
-- No digest has been made yet, but those of earlier weeks.
create function tests.monday() returns void language sql as $$
  delete from public.notification_deliveries;
  delete from billing_ops.digests;
  insert into billing_ops.digests (week) select monday - 7 from week;
$$;
create function tests.facts(p_access jsonb default '["active", "trialing"]') returns jsonb language sql as $$
  select tests.call('service_role', format('billing_ops.digest_facts(%L, %L)', monday, p_access)) from week
$$;

-- When it is due -----------------------------------------------------------------------------------------------------------------

select is(billing_ops.digest_week(at), week, format('at %s the last one that is due is that of the week of %s', at, week))
from (values ('2026-11-23 06:59:59Z'::timestamptz, '2026-11-09'::date), ('2026-11-23 07:00:00Z', '2026-11-16'), ('2026-11-29 23:59:59Z', '2026-11-16'),
             ('2026-11-30 06:59:59Z', '2026-11-16'), ('2026-11-30 07:00:00Z', '2026-11-23'), ('2027-01-04 07:00:00Z', '2026-12-28'),
             -- In Auckland it is Monday long before.
             ('2026-11-23 13:00:00+13', '2026-11-09')) times (at, week);
set local timezone = 'Pacific/Auckland';
select is(billing_ops.digest_week('2026-11-23 06:59:59Z'), '2026-11-09', 'wherever the session is');
reset timezone;

-- The first week -----------------------------------------------------------------------------------------------------------------

select is(claim('slack'), 'nothing', 'a database that was first used this week has no digest of the one before');
select is((select array_agg((week, facts is null)::text) from billing_ops.digests), (select array[(monday, true)::text] from week), 'that week is done with');
select is(claim('slack'), 'nothing', 'and stays so');
update billing_ops.digests set week = week - 7;
select is(claim('slack'), 'slack digest', 'the next one has');

-- One a week ---------------------------------------------------------------------------------------------------------------------

select monday();
select is(claim('pagerduty slack discord email webhook'), 'discord digest, email digest, slack digest, webhook digest',
  'every channel but PagerDuty gets one, whatever its least severity');
select is((select count(distinct item -> 'digest')::integer from claimed), 1, 'and all of them the same');
select is((select item #>> '{digest,week}' from claimed limit 1), (select monday::text from week), 'which says of which week it is');
select is((select item #> '{digest,access}' from claimed limit 1), '{"raised": 0, "lowered": 0}', 'and whose access rose and fell');
select is((select array_agg(distinct (item ->> 'severity', item -> 'alert', item -> 'summary')::text) from claimed), array['(info,null,null)'], 'it is about no alert');
select finish('sent');
select is(claim('pagerduty slack discord email webhook'), 'nothing', 'once');
select is((select count(*)::integer from public.notification_deliveries), 4, 'however often it is asked for');
select monday();
select claim('slack');
select is(claim('slack email'), 'nothing', 'a channel that comes after it waits for the next one');
select monday();
select is(claim('slack', null), 'nothing', 'nobody wants digests');
select is((select array_agg(week) from billing_ops.digests), (select array[monday - 7] from week), 'then none is made');
select is(claim('slack'), 'slack digest', 'until somebody does');
select monday();
select is(claim('pagerduty'), 'nothing', 'where there is nobody to be told');
select is(claim('pagerduty slack'), 'nothing', 'the week is done with as well');
select is((select facts from billing_ops.digests, week where digests.week = monday), null, 'and nothing was counted for it');
select monday();
select claim('slack', '{"access": null}');
select is((select item #> '{digest,access}' from claimed), 'null', 'where it is not known what access is, nothing is said of it');
-- Several weeks went by in which nobody called.
select monday();
update billing_ops.digests set week = week - 700;
select is(claim('slack'), 'slack digest', 'after a long silence there is one, of the last week');

-- What becomes of it -------------------------------------------------------------------------------------------------------------

select monday();
update public.notification_channels set off_at = now() where channel = 'slack';
select is(claim('slack webhook'), 'webhook digest', 'a channel that is off gets none');
select is((select (status, reason)::text from public.notification_deliveries where channel = 'slack'), '(suppressed,channel_off)', 'and it is said why');
select finish('failed', '503');
select is((select (status, reason)::text from public.notification_deliveries where channel = 'webhook'), '(due,503)', 'it is tried again');
update public.notification_deliveries set due_since = now() - interval '25 hours', next_attempt_at = now();
select is(claim('slack webhook'), 'webhook digest', 'for a day');
select finish('failed', '503');
select is((select (status, reason)::text from public.notification_deliveries where channel = 'webhook'), '(dead,"gave up after 24 h: 503")', 'then it is given up');
select is(claim('slack webhook'), 'nothing', 'nobody is reminded of it');
select is(call('service_role', format('public.claim_delivery(%L, null, %s)', channels('slack webhook'), id)) #>> '{deliveries,0,digest,week}', (select monday::text from week),
  'a person can have it sent again') from public.notification_deliveries where channel = 'webhook';

-- An alarm first -----------------------------------------------------------------------------------------------------------------

create function tests.alert(p_state text, p_key text, p_severity text) returns void language sql as $$
  select tests.call('service_role', format('public.apply_monitor_outcomes(%L)', jsonb_build_array(jsonb_build_object('alert_key', p_key, 'alert_type', 't',
    'state', p_state, 'severity', p_severity, 'message', 'm'))))
$$;
delete from public.notification_channels;
delete from billing_ops.digests;
insert into public.notification_channels (channel, fingerprint, min_severity) values ('webhook', 'f', 'info');
create function tests.claim_all() returns text language sql as $$
  select string_agg(concat_ws(' ', d ->> 'kind', d #>> '{alert,alert_key}'), ', ' order by place)
  from jsonb_array_elements(tests.call('service_role', format('public.claim_deliveries(%L, null, %L)', tests.channels('webhook', 'info'), '{}')) -> 'deliveries')
    with ordinality x (d, place)
$$;
select monday();
select alert('holds', 'over', 'critical');
update public.notification_deliveries set status = 'sent', sent_at = now();
select alert('clear', 'over', 'critical');
select claim_all();
update public.notification_deliveries set claim = null, claimed_until = null, last_attempt_at = null, attempts = 0;
select alert('holds', 'small', 'info');
select is(claim_all(), 'raised small, resolved over, digest', 'what is wrong goes first, and what is over: a digest can wait');
update public.notification_deliveries set claim = null, claimed_until = null, last_attempt_at = null, attempts = 0;
select alert('holds', 'k' || n, 'warning') from generate_series(1, 7) n;
select is(claim_all(), 'raised k1, raised k2, raised k3, raised k4, raised k5, summary', 'it takes no alarm''s place');
select is((select (summary ->> 'count') from public.notification_deliveries where kind = 'summary'), '3', 'and no summary counts it');
select is((select status from public.notification_deliveries where kind = 'digest'), 'due', 'its turn will come');
delete from public.billing_alerts;

-- What cannot be counted must not hold up an alarm.
select monday();
create function tests.fails() returns text language plpgsql as $$
declare
  v_said text;
begin
  alter table public.drift rename to drift_aside;
  v_said := tests.claim_all();
  alter table public.drift_aside rename to drift;
  return v_said;
end
$$;
set local client_min_messages = error;
select alert('holds', 'k', 'critical');
select is(fails(), 'raised k', 'an error in counting holds up nothing');
select is((select facts from billing_ops.digests, week where digests.week = monday), null, 'that week has no digest');
select is(coalesce(claim_all(), 'nothing'), 'nothing', 'and nobody tries again');
select monday();
delete from public.billing_alerts;
select alert('holds', 'k', 'critical');
create function tests.slow(p_run public.reconciliation_logs) returns boolean language plpgsql as $$ begin perform pg_sleep(20); return true; end $$;
grant execute on function tests.slow(public.reconciliation_logs) to service_role;
insert into public.reconciliation_logs (run_key, run_type, status, started_at, finished_at) select 'slow', 'scheduled', 'success', began, began from week;
do $do$
begin
  execute replace(pg_get_functiondef('billing_ops.digest_facts(date, jsonb)'::regprocedure), 'billing_ops.is_complete_sweep(r)', 'tests.slow(r)');
end
$do$;
grant usage on schema tests to service_role;
set local statement_timeout = '700ms';
select is(claim_all(), 'raised k', 'nor does the statement timeout');
set local statement_timeout = '30s';
do $do$
begin
  execute replace(pg_get_functiondef('billing_ops.digest_facts(date, jsonb)'::regprocedure), 'tests.slow(r)', 'billing_ops.is_complete_sweep(r)');
end
$do$;
reset client_min_messages;
delete from public.billing_alerts;
delete from public.reconciliation_logs;

-- What it counts -----------------------------------------------------------------------------------------------------------------

select is(facts(), '{"runs": {"ended": 0, "success": 0, "partial": 0, "error": 0, "sweeps": 0},
  "drift": {"found": 0, "repaired": 0, "created": 0, "moved": 0, "cleared": 0}, "access": {"raised": 0, "lowered": 0},
  "standing": 0, "waiting": {"approval": 0, "held": 0, "refused": 0, "decision": 0}, "exceptions_ending": 0,
  "alerts": {"raised": 0, "open": 0, "by_severity": []}}', 'a week in which nothing was');

-- Two of each at the edges of the week, and two beyond.
create temporary table moments (name text, at timestamptz, within boolean);
insert into moments select name, began + after, within from week, (values ('before', interval '-1 second', false), ('first', interval '0', true),
  ('last', interval '167 hours 59 minutes 59 seconds', true), ('after', interval '168 hours', false)) m (name, after, within);

insert into public.reconciliation_logs (run_key, run_type, scope, status, started_at, finished_at, cursor, scanned_count)
select concat_ws('_', m.name, r.scope, r.status, r.is_whole), 'scheduled', r.scope, r.status, m.at - interval '1 hour', m.at, case when not r.is_whole then '{}'::jsonb end, 1
from moments m, (values ('all', 'success', true), ('all', 'partial', true), ('all', 'partial', false), ('all', 'error', true), ('changed', 'success', true),
  ('due', 'success', true)) r (scope, status, is_whole);
insert into public.reconciliation_logs (run_key, run_type, status, started_at) select 'at_work', 'scheduled', 'running', began from week;
select is(facts() -> 'runs', '{"ended": 10, "success": 4, "partial": 4, "error": 2, "sweeps": 4}',
  'runs that ended in that week: those over everything or what changed; and how often one got to the end of everything');

create function tests.entry(p_key text, p_type text, p_action text, p_first timestamptz, p_closed timestamptz, p_before text default null, p_after text default null,
  p_column text default 'status') returns void language sql as $$
  insert into public.drift (drift_key, type, severity, stripe_subscription_id, issue, details, action, first_seen_at, last_seen_at, first_run_id, last_run_id, closed_at)
  values (p_key, p_type, 'info', split_part(p_key, ' ', 1), 'i', case when p_after is null then '{}' else jsonb_build_object(p_column,
    jsonb_build_object('database', p_before, 'stripe', p_after)) end, p_action, p_first, p_first, gen_random_uuid(), gen_random_uuid(), p_closed)
$$;
select entry(concat_ws(' ', 'sub', name, action), 'tier_mismatch', action, at, at) from moments, unnest(array['repaired', 'created', 'moved', 'cleared', 'reverted']) action;
select is(facts() -> 'drift', '{"found": 10, "repaired": 2, "created": 2, "moved": 2, "cleared": 2}', 'what was found and what became of it in that week');
select is(facts() -> 'access', '{"raised": 0, "lowered": 0}', 'of which none changed anybody''s access');
delete from public.drift;
select entry('old', 't', 'repaired', began - interval '1 year', began) from week;
select entry('new', 't', 'none', began, null) from week;
select is(facts() -> 'drift', '{"found": 1, "repaired": 1, "created": 0, "moved": 0, "cleared": 0}', 'what was found before is repaired now, and the other way round');
delete from public.drift;

select entry(key, type, action, at, at, before, after) from moments, (values
  ('sub_up', 'status_mismatch', 'repaired', 'canceled', 'active'),
  ('sub_up again', 'status_mismatch', 'repaired', 'past_due', 'trialing'),
  ('sub_down', 'status_mismatch', 'repaired', 'active', 'canceled'),
  ('sub_same', 'status_mismatch', 'repaired', 'trialing', 'active'),
  ('sub_none', 'status_mismatch', 'repaired', 'canceled', 'unpaid'),
  ('sub_made', 'missing_in_database', 'created', null, 'active'),
  ('sub_made_closed', 'missing_in_database', 'created', null, 'past_due'),
  ('sub_moved', 'missing_in_database', 'moved', 'canceled', 'active'),
  ('sub_alone', 'status_mismatch', 'cleared', 'canceled', 'active'),
  ('sub_back', 'status_mismatch', 'reverted', 'canceled', 'active'),
  ('sub_other', 'unknown_status', 'repaired', 'canceled', 'active')) e (key, type, action, before, after) where within and name = 'first';
select is(facts() -> 'access', '{"raised": 3, "lowered": 1}', 'whose access rose and fell: each subscription once');
select is(facts('["active", "trialing", "past_due"]') -> 'access', '{"raised": 4, "lowered": 1}', 'by what the app calls access');
select is(facts(null) -> 'access', 'null', 'where that is not known, nothing is said');
update public.drift set closed_at = (select at from moments where name = 'after');
select is(facts() -> 'access', '{"raised": 0, "lowered": 0}', 'in that week');
delete from public.drift;
-- A table whose column is called otherwise.
create temporary table mapping as select seed_mapping() || '{"status": "state"}' as mapping;
alter table public.subscriptions rename column status to state;
select billing_ops.adopt(mapping) is not null from mapping;
select entry('sub_up', 'status_mismatch', 'repaired', began, began, 'canceled', 'active', 'state') from week;
select entry('sub_made', 'missing_in_database', 'created', began, began, null, 'active') from week;
select is(facts() -> 'access', '{"raised": 2, "lowered": 0}', 'whatever the app calls its column');
delete from public.drift;

-- What stands is told as of now, whenever it came.
insert into public.drift (drift_key, type, severity, issue, action, first_seen_at, last_seen_at, first_run_id, last_run_id, closed_at)
select concat_ws(' ', action, n, closed), 't', 'info', 'i', action, now() - interval '1 year', now(), gen_random_uuid(), gen_random_uuid(), case when closed then now() end
from (values ('waiting', 1), ('held', 2), ('refused', 3), ('none', 4), ('observed', 5), ('superseded', 6)) s (action, times), generate_series(1, times) n,
  unnest(array[true, false]) closed;
select is(facts() - array['runs', 'drift', 'access', 'alerts'], '{"standing": 21, "waiting": {"approval": 1, "held": 2, "refused": 3, "decision": 4}, "exceptions_ending": 0}',
  'what waits for a person, and what for the next run');
delete from public.drift;
select entry('sub ' || n, 't', 'excepted', now(), null) from generate_series(1, 5) n;
update public.drift set excepted_until = now() + e.until
from (values ('sub 1', interval '-1 hour'), ('sub 2', interval '1 hour'), ('sub 3', interval '167 hours'), ('sub 4', interval '169 hours')) e (key, until) where drift_key = e.key;
select is(facts() - array['runs', 'drift', 'access', 'alerts'], '{"standing": 5, "waiting": {"approval": 0, "held": 0, "refused": 0, "decision": 0}, "exceptions_ending": 2}',
  'exceptions that end within a week');
update public.drift set closed_at = now();
select is(facts() -> 'exceptions_ending', '0', 'of what stands');

insert into public.billing_alerts (alert_key, alert_type, severity, message, created_at, resolved, resolved_at)
select name, 't', 'warning', 'm', at, true, now() from moments;
insert into public.billing_alerts (alert_key, alert_type, severity, message, created_at)
select 'open_' || s || n, 't', s, 'm', now() - interval '1 year' from unnest(array['info', 'critical', 'warning']) s, generate_series(1, length(s)) n;
select is(facts() -> 'alerts', '{"raised": 2, "open": 19, "by_severity": [["critical", 8], ["warning", 7], ["info", 4]]}', 'alerts of that week, and all that are open');

-- Numbers and nothing else.
select is_empty($$select p from jsonb_path_query(facts(), '$.** ? (@.type() == "string")') p where p #>> '{}' not in ('critical', 'high', 'warning', 'info')$$,
  'no id, no name, no address');

select * from finish();
rollback;
