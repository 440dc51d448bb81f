-- What Prometheus reads: numbers by their labels, all of one snapshot, in one round trip. No label holds an id. How they are written
-- down is not the database's business. All of them are whole: fractions do not survive every reader of JSON.

-- A counter never falls. Rows that are pruned (51_retention) and repairs that are taken back (33_decisions) go on being counted here.
create table billing_ops.closed_drift_counts (
  type text not null,
  action text not null,
  entries bigint not null,
  primary key (type, action)
);
comment on table billing_ops.closed_drift_counts is
  'Entries of drift that ended and that no row counts any more under that action: pruned, or reverted since. Added to what the rows say, they
  give how many have ever ended with that action.';
comment on column billing_ops.closed_drift_counts.type is 'The drift class.';
comment on column billing_ops.closed_drift_counts.action is 'How they had ended: repaired, created, moved, cleared, reverted.';
comment on column billing_ops.closed_drift_counts.entries is 'How many. Only ever rises.';
alter table billing_ops.closed_drift_counts enable row level security;

create function billing_ops.gather_metrics()
returns jsonb
language sql stable
set search_path = ''
as $$
  select pg_catalog.jsonb_build_object(
    -- One look into the index for each pair, as there may be a hundred thousand passes.
    'last_runs', (
      select coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(s.scope, e.status, floor(extract(epoch from last.finished_at) * 1000)::bigint)
        order by s.place, e.place), '[]')
      from pg_catalog.unnest(array['all', 'changed', 'due']) with ordinality s (scope, place)
      cross join pg_catalog.unnest(array['success', 'partial', 'error']) with ordinality e (status, place)
      cross join lateral (
        select r.finished_at from public.reconciliation_logs r
        where r.scope = s.scope and r.status = e.status and r.finished_at is not null
        order by r.finished_at desc limit 1) last),
    'last_run', (
      select pg_catalog.jsonb_build_object('duration_ms', greatest(0, floor(extract(epoch from r.finished_at - r.started_at) * 1000)::bigint),
        'scanned', r.scanned_count)
      from public.reconciliation_logs r
      where r.scope <> 'due' and r.status in ('success', 'partial') and r.finished_at is not null
      order by r.finished_at desc, r.id desc limit 1),
    'drift_open', (
      select coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(o.type, o.action, o.entries) order by o.type, o.action), '[]')
      from (select d.type, d.action, count(*) as entries from public.drift d where d.closed_at is null group by d.type, d.action) o),
    'drift_closed', (
      select coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(t.type, t.action, t.entries) order by t.type, t.action), '[]')
      from (
        select c.type, c.action, sum(c.entries)::bigint as entries
        from (
          select k.type, k.action, k.entries from billing_ops.closed_drift_counts k
          union all
          select d.type, d.action, count(*) from public.drift d where d.closed_at is not null group by d.type, d.action
        ) c
        group by c.type, c.action
      ) t),
    'alerts_open', (
      select pg_catalog.jsonb_build_object(
        'critical', count(*) filter (where a.severity = 'critical'), 'high', count(*) filter (where a.severity = 'high'),
        'warning', count(*) filter (where a.severity = 'warning'), 'info', count(*) filter (where a.severity = 'info'))
      from public.billing_alerts a where a.resolved = false),
    -- With zeros for the channels that are set up: a series that begins at one has not risen, for whoever watches it.
    'deliveries', (
      select coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(n.channel, n.status, n.entries) order by n.channel, n.status), '[]')
      from (
        select m.channel, m.status, sum(m.entries)::bigint as entries
        from (
          select c.channel, s.status, 0 as entries
          from public.notification_channels c
          cross join pg_catalog.unnest(array['due', 'sent', 'suppressed', 'dead']) s (status)
          where c.configured
          union all
          select d.channel, d.status, count(*) from public.notification_deliveries d group by d.channel, d.status
        ) m
        group by m.channel, m.status
      ) n),
    'due', (select count(*) from public.stripe_due)
  )
$$;
comment on function billing_ops.gather_metrics() is
  'As of one snapshot: {last_runs: [[scope, status, Unix milliseconds when the last that ended so finished], …], last_run: {duration_ms, scanned}
  of the last that finished over more than what was due (null: none has), drift_open: [[type, action, entries], …], drift_closed: the same of
  all that ever ended, alerts_open: {critical, high, warning, info}, deliveries: [[channel, status, rows], …], due: rows}.';

create function public.read_metrics(p_client text default null)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_retry_after integer := billing_ops.consume_rate_limit('metrics', p_client);
begin
  if v_retry_after is not null then
    return jsonb_build_object('outcome', 'rate_limited', 'retry_after', v_retry_after);
  end if;
  return jsonb_build_object('outcome', 'ok', 'facts', billing_ops.gather_metrics());
end
$$;
comment on function public.read_metrics(text) is
  'For /api/metrics, with its secret: counts the call and answers {outcome: ok|rate_limited, facts: gather_metrics, retry_after}.';
