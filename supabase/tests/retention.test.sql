-- Retention: what is deleted, what is kept, and that it comes in bounded pieces.
begin;
\ir helpers/actors.psql
select no_plan();

create function tests.prune(p_limit integer default 5000) returns jsonb language sql as $$
  select tests.call('service_role', format('billing_ops.prune(%s)', p_limit))
$$;

select is(prune(), '{"drift": 0, "runs": 0, "alerts": 0, "deliveries": 0, "digests": 0, "rate_limit_windows": 0}', 'nothing to delete');

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

select is(prune(1), '{"drift": 1, "runs": 1, "alerts": 1, "deliveries": 0, "digests": 0, "rate_limit_windows": 1}', 'at most so many of each kind');
select is((select string_agg(drift_key, ' ' order by drift_key) from public.drift), 'closed_89 closed_91 open', 'the oldest first');
select is((select string_agg(run_key, ' ' order by run_key) from public.reconciliation_logs), 'run_399 run_401 run_402', 'of runs too');
select is(prune(), '{"drift": 1, "runs": 2, "alerts": 0, "deliveries": 0, "digests": 0, "rate_limit_windows": 0}', 'then the rest');
select is((select string_agg(drift_key, ' ' order by drift_key) from public.drift), 'closed_89 open',
          'drift: 90 days after it ended; what stands for ever');
select is((select string_agg(alert_key, ' ' order by alert_key) from public.billing_alerts), 'next open resolved_late young',
          'alerts: 400 days after they were resolved; an open one for ever');
select is((select previous_alert_id from public.billing_alerts where alert_key = 'next'), null, 'the episode after one that is gone stays');
select is((select count(*)::integer from public.billing_alert_events), 4, 'the history of an alert goes with it and no sooner');
select is((select string_agg(client, ' ') from public.rate_limit_windows), 'young', 'rate limit windows: a day');

update public.reconciliation_logs set started_at = now() - interval '9 years';
select is(prune() ->> 'runs', '0', 'the newest run stays whatever its age');
insert into public.reconciliation_logs (run_key, run_type, status, started_at) values ('dead', 'scheduled', 'running', now() - interval '9 years 1 day');
select is(prune() ->> 'runs', '0', 'so does one that is marked as running');


-- Of passes over what was due there can be one every few seconds.
insert into public.reconciliation_logs (run_key, run_type, status, scope, started_at, total_issues)
select concat_ws('_', scope, days), 'scheduled', 'success', scope, now() - make_interval(days => days), 1
from unnest(array['due', 'changed']) scope, unnest(array[13, 15, 16, 17, 399, 401]) days;
insert into public.reconciliation_logs (run_key, run_type, status, scope, started_at) values ('due', 'scheduled', 'success', 'due', now());
select is((prune(1) ->> 'runs', prune(2) ->> 'runs')::text, '(1,2)', 'runs go in pieces');
select prune();
select is((select string_agg(run_key, ' ' order by scope, started_at desc) from public.reconciliation_logs where run_key ~ '^(due|changed)'),
  'changed_13 changed_15 changed_16 changed_17 changed_399 due due_13', 'passes over what was due after 14 days, other runs after 400');
insert into public.reconciliation_logs (run_key, run_type, status, scope, started_at)
select concat_ws('_', scope, status, days), 'scheduled', status, scope, now() - make_interval(days => days)
from unnest(array['due', 'changed']) scope, unnest(array['success', 'partial']) status, unnest(array[1, 3]) days;
select prune();
select is((select string_agg(run_key, ' ' order by run_key) from public.reconciliation_logs where run_key ~ '(success|partial)_'),
  'changed_partial_1 changed_partial_3 changed_success_1 changed_success_3 due_partial_1 due_partial_3 due_success_1', 'passes that found nothing after two');

select is((call('service_role', $$public.apply_monitor_outcomes('[]')$$) -> 'pruned') - array['drift', 'runs', 'alerts', 'deliveries', 'digests', 'rate_limit_windows'],
          '{}', 'the monitor''s second call prunes');
insert into public.rate_limit_windows (route, client, window_started_at, hits) values ('r', 'old', now() - interval '25 hours', 1);
select is(call('service_role', $$public.apply_monitor_outcomes('[]')$$) -> 'pruned' ->> 'rate_limit_windows', '1', 'really');

-- Deliveries -------------------------------------------------------------------------------------------------------------------

insert into public.billing_alerts (alert_key, alert_type, severity, message, resolved, resolved_at)
select k, 't', 'info', 'm', days is not null, now() - make_interval(days => days)
from (values ('stands', null), ('over_young', 89), ('over', 91)) alerts (k, days);
create function tests.delivery(p_kind text, p_status text, p_days integer, p_key text default null) returns void language sql as $$
  insert into public.notification_deliveries (channel, kind, severity, status, reason, created_at, alert_id)
  values ('slack', p_kind, 'info', p_status, concat_ws(' ', p_key, p_kind, p_status, p_days), now() - make_interval(days => p_days),
    (select id from public.billing_alerts where alert_key = p_key))
$$;
select delivery('summary', status, days) from unnest(array['sent', 'suppressed', 'dead', 'due']) status, unnest(array[89, 91]) days;
select delivery(kind, 'sent', 91, key) from unnest(array['raised', 'repeated']) kind, unnest(array['stands', 'over_young', 'over']) key;
select is(prune(1) ->> 'deliveries', '1', 'deliveries, in pieces');
select is(prune() ->> 'deliveries', '6', 'the rest');
select is((select array_agg(reason order by reason) from public.notification_deliveries), array['over_young raised sent 91', 'stands raised sent 91',
  'summary dead 89', 'summary due 89', 'summary due 91', 'summary sent 89', 'summary suppressed 89'],
  'finished ones: 90 days, of an alert what was told but repeats until 90 days after its end; what is due for ever');

-- Digests ----------------------------------------------------------------------------------------------------------------------

insert into billing_ops.digests (week, created_at)
select date_trunc('week', now())::date - 7 * n, now() - make_interval(days => days) from (values (1, 0), (2, 399), (3, 401), (4, 402)) d (n, days);
insert into public.notification_deliveries (channel, kind, severity, status, digest_week) select 'slack', 'digest', 'info', 'due', min(week) from billing_ops.digests;
select is(prune(1) ->> 'digests', '1', 'digests, in pieces');
select is(prune() ->> 'digests', '1', 'the rest');
select is((select array_agg(created_at > now() - interval '400 days') from billing_ops.digests), array[true, true], '400 days');
select is((select count(*)::integer from public.notification_deliveries where kind = 'digest'), 0, 'and what nobody has sent of them');

-- Housekeeping does not undo an alarm ------------------------------------------------------------------------------------------

-- A pass that raises that alert.
create function tests.alarm(p_key text) returns jsonb language sql as $$
  select tests.call('service_role', format('public.apply_monitor_outcomes(%L)', jsonb_build_array(jsonb_build_object(
    'alert_key', p_key, 'alert_type', 't', 'state', 'holds', 'severity', 'critical', 'message', 'm'))))
$$;
create function tests.old_window(p_client text) returns void language sql as $$
  insert into public.rate_limit_windows (route, client, window_started_at, hits) values ('r', p_client, now() - interval '25 hours', 1)
$$;
set local client_min_messages = error;
create temporary table alarms (name text, answer jsonb);
create function tests.refuses() returns trigger language plpgsql as $$ begin raise exception 'not today'; end $$;
create trigger refuses before delete on public.rate_limit_windows for each row execute function tests.refuses();
select old_window('refused');
insert into alarms values ('refused', alarm('while_pruning_is_refused'));
select is((select answer from alarms where name = 'refused'), '{"alerts": {"raised": ["while_pruning_is_refused"], "refreshed": [],
  "resolved": []}, "pruned": {"error": "P0001"}}', 'an error in pruning undoes no alert, and is told');
select is((select count(*)::integer from public.billing_alerts where alert_key = 'while_pruning_is_refused'), 1, 'it is there');
drop trigger refuses on public.rate_limit_windows;

create function tests.takes_long() returns trigger language plpgsql as $$ begin perform pg_sleep(20); return old; end $$;
create trigger takes_long before delete on public.rate_limit_windows for each row execute function tests.takes_long();
set local statement_timeout = '500ms';
insert into alarms values ('slow', alarm('while_pruning_takes_long'));
set local statement_timeout = '30s';
select is((select answer from alarms where name = 'slow'), '{"alerts": {"raised": ["while_pruning_takes_long"], "refreshed": [],
  "resolved": []}, "pruned": {"error": "57014"}}', 'nor does the statement timeout');
select is((select count(*)::integer from public.billing_alerts where alert_key = 'while_pruning_takes_long'), 1, 'it is there too');
drop trigger takes_long on public.rate_limit_windows;
select is(alarm('once_it_works_again') -> 'pruned' ->> 'rate_limit_windows', '1', 'the next pass makes up for it');

-- However much there is, a pass ends soon: a piece takes two seconds here, and there are three.
create function tests.naps() returns trigger language plpgsql as $$ begin perform pg_sleep(2.1); return old; end $$;
create trigger naps before delete on public.rate_limit_windows for each row when (old.client = 'piece_1') execute function tests.naps();
insert into public.rate_limit_windows (route, client, window_started_at, hits)
select 'r', 'piece_' || n, now() - interval '30 hours' + make_interval(secs => n), 1 from generate_series(1, 2500) n;
select is(prune() ->> 'rate_limit_windows', '1000', 'after two seconds no further piece is begun');
select is(prune() ->> 'rate_limit_windows', '1500', 'what is quick goes on to the end');

select * from finish();
rollback;
