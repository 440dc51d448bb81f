-- How long rows are kept, and what deletes them: nothing else does. Bounded, so that a pass of the monitor stays short.

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
