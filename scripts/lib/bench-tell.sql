-- What it costs to tell five channels of alerts, after a million events that they were told of, with 300 open alerts and 10,000
-- deliveries that are due.
set synchronous_commit = off;

insert into public.notification_channels (channel, fingerprint, min_severity, since)
select c, 'f', 'info', now() - interval '1 year' from unnest(array['pagerduty', 'slack', 'discord', 'email', 'webhook']) c;
-- Half a million that are over, told of from beginning to end, each to one channel.
insert into public.billing_alerts (id, alert_key, alert_type, severity, message, resolved, resolved_at, resolution, created_at, first_seen_at, last_seen_at)
select md5('old ' || n)::uuid, 'old_' || n % 1000, 't', (array['critical', 'high', 'warning', 'info'])[1 + n % 4], 'm', true, at, 'auto', at, at, at
from generate_series(1, 500000) n, lateral (select now() - interval '1 day' - n * interval '20 seconds' as at) old;
insert into public.billing_alert_events (alert_id, event, severity, created_at)
select a.id, e, a.severity, a.created_at from public.billing_alerts a, unnest(array['raised', 'resolved']) e;
insert into public.notification_deliveries (event_id, alert_id, channel, kind, severity, status, reason, attempts, due_since, next_attempt_at, created_at,
  last_attempt_at, sent_at)
select e.id, e.alert_id, (array['pagerduty', 'slack', 'discord', 'email', 'webhook'])[1 + e.id % 5], e.event, e.severity, case when e.id % 10 = 0 then 'suppressed' else 'sent' end,
  case when e.id % 10 = 0 then 'below_severity' end, 1, e.created_at, e.created_at, e.created_at, e.created_at, e.created_at
from public.billing_alert_events e order by e.created_at;
-- 300 stand, and were told to all an hour ago. 1,000 are over, and 500 have been for as short as they lasted: all that is still to be told.
insert into public.billing_alerts (id, alert_key, alert_type, severity, message, resolved, resolved_at)
select md5('new ' || n)::uuid, 'new_' || n, 't', (array['critical', 'high', 'warning', 'info'])[1 + n % 4], 'm', n > 300, case when n > 300 then now() end
from generate_series(1, 1800) n;
insert into public.billing_alert_events (alert_id, event, severity)
select a.id, e, a.severity from public.billing_alerts a, unnest(array['raised', 'resolved']) e where a.alert_key like 'new%' and (e = 'raised' or a.resolved)
order by a.alert_key, e;
insert into public.notification_deliveries (event_id, alert_id, channel, kind, severity, status, attempts, last_attempt_at, sent_at)
select e.id, e.alert_id, c.channel, e.event, e.severity, s.status, case s.status when 'sent' then 1 else 0 end,
  case s.status when 'sent' then now() - interval '1 hour' end, case s.status when 'sent' then now() - interval '1 hour' end
from public.billing_alert_events e join public.billing_alerts a on a.id = e.alert_id cross join public.notification_channels c,
  lateral (select case when e.event = 'raised' and substr(a.alert_key, 5)::integer <= 1300 then 'sent' else 'due' end as status) s
where a.alert_key like 'new%' order by e.id;
vacuum analyze public.billing_alerts, public.billing_alert_events, public.notification_deliveries, public.notification_channels;
select count(*) filter (where status = 'due') as due, count(*) as deliveries, (select count(*) from public.billing_alert_events) as events,
  (select count(*) from public.billing_alerts where not resolved) as open from public.notification_deliveries;

\ir bench-time.sql
create function pg_temp.channels() returns jsonb language sql as $$
  select jsonb_agg(jsonb_build_object('channel', channel, 'fingerprint', 'f', 'min_severity', 'info')) from public.notification_channels
$$;
-- What is claimed, and said of it, in one call.
create function pg_temp.claim_and_finish() returns jsonb language sql as $$
  select public.finish_deliveries((select jsonb_agg(d || '{"outcome": "sent"}') from jsonb_array_elements(public.claim_deliveries(pg_temp.channels()) -> 'deliveries') d))
$$;
create function pg_temp.measure(p_what text) returns void language plpgsql as $$
begin
  perform pg_temp.time_it('claim: ' || p_what, 'service_role', format('select public.claim_deliveries(%L)', pg_temp.channels()));
  perform pg_temp.time_it('facts: ' || p_what, 'service_role', 'select public.monitor_facts(''bench'')');
  perform pg_temp.time_it('a new alert: ' || p_what, 'service_role', $q$select
    billing_ops.apply_condition_outcomes('[{"alert_key": "k", "alert_type": "t", "state": "holds", "severity": "high", "message": "m"}]')$q$);
end
$$;
-- What was summed up stays so, and the caps are used up.
create function pg_temp.used_up() returns void language plpgsql as $$
begin
  perform public.claim_deliveries(pg_temp.channels());
  perform pg_temp.time_it('claim: 7,500 due, and the caps are used up', 'service_role', format('select public.claim_deliveries(%L)', pg_temp.channels()));
  update public.notification_deliveries set last_attempt_at = last_attempt_at - interval '61 seconds', next_attempt_at = next_attempt_at - interval '61 seconds',
    claimed_until = claimed_until - interval '61 seconds' where status = 'due';
  perform pg_temp.time_it('claim: 7,500 due, a minute later', 'service_role', format('select public.claim_deliveries(%L)', pg_temp.channels()));
end
$$;
do $$
begin
  insert into public.users (id, email, role) values (md5('user 1')::uuid, '1@example.test', 'owner');
  perform pg_temp.measure('10,000 due, of which 2,500 are summed up');
  perform pg_temp.time_it('claim and finish 30: 10,000 due', 'service_role', 'select pg_temp.claim_and_finish()');
  perform pg_temp.used_up();
  perform pg_temp.time_it('a test of a channel', 'service_role', format('select public.claim_delivery(%L, %L)', pg_temp.channels(), 'slack'));
  perform pg_temp.time_it('deliveries: first page', 'authenticated', $q$select public.admin_notifications('bench')$q$);
  perform pg_temp.time_it('deliveries: of an alert', 'authenticated', format($q$select public.admin_notifications('bench', p_alert_id => %L)$q$, md5('new 1')::uuid));
  perform pg_temp.time_it('deliveries: given up, of which there are none', 'authenticated', $q$select public.admin_notifications('bench', p_status => 'dead')$q$);
  perform pg_temp.time_it('deliveries: due', 'authenticated', $q$select public.admin_notifications('bench', p_status => 'due')$q$);
  perform pg_temp.time_it('monitor outcomes (5,000 deliveries pruned)', 'service_role', $q$select public.apply_monitor_outcomes('[]')$q$);
end
$$;
-- As mostly: nothing is due.
update public.notification_deliveries set status = 'sent', sent_at = now(), last_attempt_at = now() - interval '2 hours' where status = 'due';
vacuum analyze public.notification_deliveries;
do $$
begin
  perform pg_temp.measure('nothing due');
end
$$;
table pg_temp.report;
