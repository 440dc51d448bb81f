-- The monitor's two round trips: the facts, then the outcomes. Retention rides on the second, in bounded pieces.

set local lock_timeout = '10s';

create function billing_ops.gather_monitor_facts()
returns jsonb
language sql stable
set search_path = ''
as $$
  select pg_catalog.jsonb_build_object(
    'now', billing_ops.utc(pg_catalog.clock_timestamp()),
    'last_good_run_finished_at', (
      select billing_ops.utc(max(r.finished_at)) from public.reconciliation_logs r
      where r.status in ('success', 'partial')),
    'first_run_started_at', (select billing_ops.utc(min(r.started_at)) from public.reconciliation_logs r),
    'live_run_id', (
      select r.id from public.reconciliation_logs r
      where r.status = 'running' and r.lease_expires_at > pg_catalog.clock_timestamp()),
    'latest_results', (
      select coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
        'id', latest.id, 'status', latest.status, 'error_code', latest.error_code) order by latest.finished_at desc), '[]')
      from (
        select r.id, r.status, r.error_code, r.finished_at from public.reconciliation_logs r
        where r.status in ('success', 'partial', 'error')
        order by r.finished_at desc, r.id desc limit 3
      ) latest),
    'oldest_high_severity_alert', (
      select pg_catalog.jsonb_build_object('id', a.id, 'alert_key', a.alert_key, 'severity', a.severity,
        'since', billing_ops.utc(least(a.created_at, a.first_seen_at)))
      from public.billing_alerts a
      where a.resolved = false and a.severity in ('critical', 'high')
        and a.alert_key not in ('reconcile_stale', 'high_severity_stale', 'reconcile_failing')
      order by least(a.created_at, a.first_seen_at) limit 1),
    'open_high_severity_count', (
      select count(*) from public.billing_alerts a
      where a.resolved = false and a.severity in ('critical', 'high')
        and a.alert_key not in ('reconcile_stale', 'high_severity_stale', 'reconcile_failing')),
    'reconcile_stale_since', (
      select billing_ops.utc(a.first_seen_at) from public.billing_alerts a
      where a.resolved = false and a.alert_key = 'reconcile_stale')
  )
$$;
comment on function billing_ops.gather_monitor_facts() is
  'What the monitor judges by, as of one snapshot. Alerts that the monitor raises itself are left out of the high severity
  ones, or that condition could never clear.';
revoke all on function billing_ops.gather_monitor_facts() from public, anon, authenticated;
grant execute on function billing_ops.gather_monitor_facts() to authenticated, service_role;

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
revoke all on function public.monitor_facts(text) from public, anon, authenticated;
grant execute on function public.monitor_facts(text) to service_role;

create function billing_ops.prune(p_limit integer)
returns jsonb
language plpgsql security definer
set search_path = ''
as $$
declare
  v_drift bigint;
  v_runs bigint;
  v_alerts bigint;
  v_windows bigint;
begin
  delete from public.rate_limit_windows w
  where (w.route, w.client) in (
    select o.route, o.client from public.rate_limit_windows o
    where o.window_started_at < now() - interval '1 day' order by o.window_started_at limit p_limit
    for update skip locked);
  get diagnostics v_windows = row_count;

  -- By age, and by number: of the closed ones the 200,000 that ended last are kept.
  delete from public.drift d
  where d.id in (
    select o.id from public.drift o
    where o.closed_at < greatest(now() - interval '90 days', (
      select n.closed_at from public.drift n where n.closed_at is not null order by n.closed_at desc offset 199999 limit 1))
    order by o.closed_at limit p_limit for update skip locked);
  get diagnostics v_drift = row_count;

  -- The newest run stays whatever its age: it carries the cursor, and its age is what the monitor speaks of.
  delete from public.reconciliation_logs r
  where r.id in (
    select o.id from public.reconciliation_logs o
    where o.started_at < now() - interval '400 days' and o.status <> 'running'
      and o.id <> (select n.id from public.reconciliation_logs n order by n.started_at desc, n.id desc limit 1)
    order by o.started_at limit p_limit for update skip locked);
  get diagnostics v_runs = row_count;

  delete from public.billing_alerts a
  where a.id in (
    select o.id from public.billing_alerts o
    where o.resolved and o.created_at < now() - interval '400 days' and o.resolved_at < now() - interval '400 days'
    order by o.created_at limit p_limit for update skip locked);
  get diagnostics v_alerts = row_count;

  return jsonb_build_object('drift', v_drift, 'runs', v_runs, 'alerts', v_alerts, 'rate_limit_windows', v_windows);
end
$$;
comment on function billing_ops.prune(integer) is
  'Deletes at most p_limit rows of each kind that are past their keep: closed drift 90 days, and at most 200,000 entries; runs, resolved alerts and their
  history 400 days, so that a yearly audit finds them; rate limit windows 1 day. Open alerts and the newest run stay for
  ever. Definer: nobody else may delete.';
revoke all on function billing_ops.prune(integer) from public, anon, authenticated;
grant execute on function billing_ops.prune(integer) to service_role;

create function public.apply_monitor_outcomes(p_outcomes jsonb)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_alerts jsonb := billing_ops.apply_condition_outcomes(p_outcomes);
begin
  return jsonb_build_object('alerts', v_alerts, 'pruned', billing_ops.prune(5000));
end
$$;
comment on function public.apply_monitor_outcomes(jsonb) is
  'Raises, refreshes and resolves the monitor''s alerts in one transaction, then prunes what is past its keep. Answers
  {alerts: {raised, refreshed, resolved}, pruned}.';
revoke all on function public.apply_monitor_outcomes(jsonb) from public, anon, authenticated;
grant execute on function public.apply_monitor_outcomes(jsonb) to service_role;

create function public.billing_ops_schema(p_client text default null)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_retry_after integer := billing_ops.consume_rate_limit('health', p_client);
begin
  if v_retry_after is not null then
    return jsonb_build_object('outcome', 'rate_limited', 'retry_after', v_retry_after);
  end if;
  return jsonb_build_object('outcome', 'ok', 'version', 1);
end
$$;
comment on function public.billing_ops_schema(text) is
  'For /api/health?deep=1: answers {outcome: ok|rate_limited, version, retry_after}. The version rises with each migration that
  the functions need; they say which one they were built for.';
revoke all on function public.billing_ops_schema(text) from public, anon, authenticated;
grant execute on function public.billing_ops_schema(text) to service_role;
