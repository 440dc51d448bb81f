-- How long rows are kept, and what deletes them: nothing else does. Bounded, so that a pass of the monitor stays short.

create function billing_ops.prune(p_limit integer)
returns jsonb
language plpgsql security definer
set search_path = ''
as $$
declare
  v_findings bigint;
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

  delete from public.reconciliation_findings f
  where f.id in (
    select o.id from public.reconciliation_findings o
    where o.created_at < now() - interval '90 days' order by o.created_at limit p_limit for update skip locked);
  get diagnostics v_findings = row_count;

  -- The newest run stays whatever its age: it carries the cursor, and its age is what the monitor speaks of.
  delete from public.reconciliation_logs r
  where r.id in (
    select o.id from public.reconciliation_logs o
    where o.started_at < now() - interval '400 days' and o.status <> 'running'
      and o.id <> (select n.id from public.reconciliation_logs n order by n.started_at desc, n.id desc limit 1)
      and not exists (select 1 from public.reconciliation_findings f where f.reconciliation_log_id = o.id)
    order by o.started_at limit p_limit for update skip locked);
  get diagnostics v_runs = row_count;

  delete from public.billing_alerts a
  where a.id in (
    select o.id from public.billing_alerts o
    where o.resolved and o.created_at < now() - interval '400 days' and o.resolved_at < now() - interval '400 days'
    order by o.created_at limit p_limit for update skip locked);
  get diagnostics v_alerts = row_count;

  return jsonb_build_object('findings', v_findings, 'runs', v_runs, 'alerts', v_alerts, 'rate_limit_windows', v_windows);
end
$$;
comment on function billing_ops.prune(integer) is
  'Deletes at most p_limit rows of each kind that are past their keep: findings 90 days; runs, resolved alerts and their
  history 400 days, so that a yearly audit finds them; rate limit windows 1 day. Open alerts and the newest run stay for
  ever. Definer: nobody else may delete.';
