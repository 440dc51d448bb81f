-- The monitor's two round trips: the facts that it judges, then what it made of them. Pruning (51_retention) rides on
-- the second.

create table billing_ops.stripe_deliveries (
  one boolean primary key default true check (one),
  asked_at timestamptz not null,
  said jsonb
);
comment on table billing_ops.stripe_deliveries is 'What Stripe last said of the delivery of its events: one row, so that it is not asked at every pass.';
comment on column billing_ops.stripe_deliveries.one is 'There is one row.';
comment on column billing_ops.stripe_deliveries.asked_at is 'When Stripe was asked.';
comment on column billing_ops.stripe_deliveries.said is '{failing, oldest_at}: events that no endpoint has taken; null where Stripe did not say.';
alter table billing_ops.stripe_deliveries enable row level security;
create policy stripe_deliveries_admin_read on billing_ops.stripe_deliveries
  for select to authenticated using ((select billing_ops.caller_standing() = 'ok'));
comment on policy stripe_deliveries_admin_read on billing_ops.stripe_deliveries is
  'Admins of any organization read: global operational data, by intention.';

create function billing_ops.gather_monitor_facts()
returns jsonb
language sql stable
set search_path = ''
as $$
  -- Alerts that nobody attends to. The monitor's own, which are left out, are named here and nowhere else.
  with unattended as (
    select a.id, a.alert_key, a.severity, coalesce(a.severe_since, least(a.created_at, a.first_seen_at)) as since
    from public.billing_alerts a
    where a.resolved = false and a.severity in ('critical', 'high')
      and a.alert_key not in ('reconcile_stale', 'high_severity_stale', 'reconcile_failing', 'sweep_incomplete',
        'notifications_failing', 'stripe_deliveries_failing', 'events_backlog', 'settings_invalid')
      and not billing_ops.attended(a)
  )
  select pg_catalog.jsonb_build_object(
    'now', billing_ops.utc(pg_catalog.clock_timestamp()),
    'last_good_run_finished_at', (
      select billing_ops.utc(max(r.finished_at)) from public.reconciliation_logs r
      where r.scope <> 'due' and r.status in ('success', 'partial')),
    'last_complete_sweep_at', (
      select billing_ops.utc(max(r.finished_at)) from public.reconciliation_logs r
      where r.scope = 'all' and r.cursor is null and r.status in ('success', 'partial') and billing_ops.is_complete_sweep(r)),
    'first_run_started_at', (select billing_ops.utc(min(r.started_at)) from public.reconciliation_logs r where r.scope <> 'due'),
    'live_run_id', (
      select r.id from public.reconciliation_logs r
      where r.scope <> 'due' and r.status = 'running' and r.lease_expires_at > pg_catalog.clock_timestamp()),
    'latest_results', (
      select coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
        'id', latest.id, 'status', latest.status, 'error_code', latest.error_code) order by latest.finished_at desc), '[]')
      from (
        select r.id, r.status, r.error_code, r.finished_at from public.reconciliation_logs r
        where r.scope <> 'due' and r.status in ('success', 'partial', 'error')
        order by r.finished_at desc, r.id desc limit 3
      ) latest),
    'oldest_high_severity_alert', (
      select pg_catalog.jsonb_build_object('id', a.id, 'alert_key', a.alert_key, 'severity', a.severity,
        'since', billing_ops.utc(a.since))
      from unattended a order by a.since limit 1),
    'open_high_severity_count', (select count(*) from unattended),
    'notifications', billing_ops.notification_facts(),
    'oldest_due_at', (select billing_ops.utc(min(d.due_at)) from public.stripe_due d),
    'deliveries_asked_at', (select billing_ops.utc(s.asked_at) from billing_ops.stripe_deliveries s),
    'deliveries', (select s.said from billing_ops.stripe_deliveries s),
    'reconcile_stale_since', (
      select billing_ops.utc(a.first_seen_at) from public.billing_alerts a
      where a.resolved = false and a.alert_key = 'reconcile_stale')
  )
$$;
comment on function billing_ops.gather_monitor_facts() is
  'What the monitor judges by, as of one snapshot. Alerts that the monitor raises itself are left out of the high severity
  ones, or that condition could never clear.';

create function public.monitor_facts(p_client text default null)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_retry_after integer := billing_ops.consume_rate_limit('monitor', p_client);
begin
  if v_retry_after is not null then
    return jsonb_build_object('outcome', 'rate_limited', 'retry_after', v_retry_after);
  end if;
  return jsonb_build_object('outcome', 'ok', 'facts', billing_ops.gather_monitor_facts());
end
$$;
comment on function public.monitor_facts(text) is
  'For callers with a machine secret: counts the call and answers {outcome: ok|rate_limited, facts, retry_after}.';

create function public.apply_monitor_outcomes(p_outcomes jsonb, p_deliveries jsonb default null)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_alerts jsonb := billing_ops.apply_condition_outcomes(p_outcomes);
  v_pruned jsonb;
begin
  if p_deliveries is not null then
    insert into billing_ops.stripe_deliveries (asked_at, said)
    values (clock_timestamp(), nullif(p_deliveries, '{}'))
    on conflict (one) do update set asked_at = excluded.asked_at, said = excluded.said;
  end if;
  -- Housekeeping must not undo an alarm. The block takes back what pruning did and nothing else. "others" leaves out the
  -- statement timeout, which would be the likeliest to come: it is caught by its name. It has then gone off for this statement
  -- and does not come again, so nothing may follow that could take long.
  begin
    v_pruned := billing_ops.prune(5000);
  exception when query_canceled or others then
    raise warning 'nothing was pruned: % (%)', sqlerrm, sqlstate;
    v_pruned := jsonb_build_object('error', sqlstate);
  end;
  return jsonb_build_object('alerts', v_alerts, 'pruned', v_pruned);
end
$$;
comment on function public.apply_monitor_outcomes(jsonb, jsonb) is
  'Raises, refreshes and resolves the monitor''s alerts in one transaction, then prunes what has been kept long enough. p_deliveries: what Stripe said
  when it was asked about its deliveries, {} where it did not answer; null: it was not asked. (PostgREST turns JSON''s null into SQL''s.) Answers
  {alerts: {raised, refreshed, resolved}, pruned}; where pruning failed, pruned is {error: <SQLSTATE>}, the alerts stand, and the
  next pass tries again.';
