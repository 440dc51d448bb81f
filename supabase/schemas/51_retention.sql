-- How long rows are kept, and what deletes them: nothing else does. Bounded, so that a pass of the monitor stays short.

create function billing_ops.prune(p_limit integer)
returns jsonb
language plpgsql security definer
set search_path = ''
-- Whoever holds a row that pruning wants must not hold up the pass: what is due for deletion can wait for the next one.
set lock_timeout = '1s'
as $$
declare
  -- A quarter of the 8 s that hosted projects give a statement.
  v_until timestamptz := clock_timestamp() + interval '2 seconds';
  v_left integer := p_limit;
  v_piece integer;
  v_count bigint;
  v_seen bigint;
  v_drift bigint := 0;
  v_closed jsonb := '[]'::jsonb;
  v_runs bigint := 0;
  v_alerts bigint := 0;
  v_windows bigint := 0;
  v_deliveries bigint := 0;
  v_digests bigint := 0;
begin
  -- In pieces, as a row that is deleted takes its history with it, and nobody knows how long that is.
  while v_left > 0 loop
    v_piece := least(v_left, 1000);
    v_left := v_left - v_piece;
    v_seen := 0;

    delete from public.rate_limit_windows w
    where (w.route, w.client) in (
      select o.route, o.client from public.rate_limit_windows o
      where o.window_started_at < now() - interval '1 day' order by o.window_started_at limit v_piece
      for update skip locked);
    get diagnostics v_count = row_count;
    v_windows := v_windows + v_count;
    v_seen := v_seen + v_count;

    delete from public.notification_deliveries n
    where n.id in (
      select o.id from public.notification_deliveries o
      where o.status <> 'due' and o.created_at < now() - interval '90 days'
        -- What was told of an alert decides whether its end is told, and shows that the alert was told at all.
        and (o.kind = 'repeated' or (
          select coalesce(a.resolved_at, now()) >= now() - interval '90 days' from public.billing_alerts a where a.id = o.alert_id) is not true)
      order by o.created_at limit v_piece for update skip locked);
    get diagnostics v_count = row_count;
    v_deliveries := v_deliveries + v_count;
    v_seen := v_seen + v_count;

    -- By age, and by number: of the closed ones the 200,000 that ended last are kept.
    with gone as (
      delete from public.drift d
      where d.id in (
        select o.id from public.drift o
        where o.closed_at < greatest(now() - interval '90 days', (
          select n.closed_at from public.drift n where n.closed_at is not null order by n.closed_at desc offset 199999 limit 1))
        order by o.closed_at limit v_piece for update skip locked)
      returning d.type, d.action
    ),
    counted as (select g.type, g.action, count(*) as entries from gone g group by g.type, g.action)
    select coalesce(sum(c.entries), 0), v_closed || coalesce(jsonb_agg(jsonb_build_array(c.type, c.action, c.entries)), '[]')
    into v_count, v_closed from counted c;
    v_drift := v_drift + v_count;
    v_seen := v_seen + v_count;

    -- The newest run over everything stays whatever its age: it carries the cursor, and its age is what the monitor speaks of.
    delete from public.reconciliation_logs r
    where r.id in (
      select o.id from public.reconciliation_logs o
      where o.started_at < now() - interval '2 days' and o.status <> 'running'
        and (o.started_at < now() - interval '400 days' or (o.scope = 'due'
          and (o.started_at < now() - interval '14 days' or (o.status = 'success' and o.total_issues = 0))))
        and o.id <> (select n.id from public.reconciliation_logs n where n.scope = 'all' order by n.started_at desc, n.id desc limit 1)
      order by o.started_at limit v_piece for update skip locked);
    get diagnostics v_count = row_count;
    v_runs := v_runs + v_count;
    v_seen := v_seen + v_count;

    delete from public.billing_alerts a
    where a.id in (
      select o.id from public.billing_alerts o
      where o.resolved and o.created_at < now() - interval '400 days' and o.resolved_at < now() - interval '400 days'
      order by o.created_at limit v_piece for update skip locked);
    get diagnostics v_count = row_count;
    v_alerts := v_alerts + v_count;
    v_seen := v_seen + v_count;

    delete from billing_ops.digests g
    where g.week in (
      select o.week from billing_ops.digests o
      where o.created_at < now() - interval '400 days' order by o.week limit v_piece for update skip locked);
    get diagnostics v_count = row_count;
    v_digests := v_digests + v_count;
    v_seen := v_seen + v_count;

    exit when v_seen = 0 or clock_timestamp() > v_until;
  end loop;
  -- The counters go on counting what was deleted. At the end and in one order, so that two passes cannot wait for one another.
  insert into billing_ops.closed_drift_counts as c (type, action, entries)
  select e.item ->> 0, e.item ->> 1, sum((e.item ->> 2)::bigint) from jsonb_array_elements(v_closed) e (item)
  group by 1, 2 order by 1, 2
  on conflict (type, action) do update set entries = c.entries + excluded.entries;
  return jsonb_build_object('drift', v_drift, 'runs', v_runs, 'alerts', v_alerts, 'deliveries', v_deliveries,
    'digests', v_digests, 'rate_limit_windows', v_windows);
end
$$;
comment on function billing_ops.prune(integer) is
  'Deletes at most p_limit rows of each kind that have been kept long enough: closed drift 90 days, and at most 200,000 entries;
  deliveries 90 days, but what was told of an alert (repeats aside) until 90 days after its end; passes over what was due, of which there
  can be one every few seconds, 14 days, and 2 days where they found nothing; other runs, resolved alerts and their history, and digests
  400 days, so that a yearly audit finds them; rate limit windows 1 day. Open alerts and the newest run over everything stay for ever.
  What it deletes of drift goes on being counted in closed_drift_counts. It begins no further piece after two seconds: the next pass goes
  on. Definer: nobody else may delete.';
