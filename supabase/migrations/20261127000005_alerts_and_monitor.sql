-- Alerts, the monitor, and how long rows are kept.

set local lock_timeout = '10s';

-- Alerts and their history. A condition that holds has one open alert; a condition that cleared has none; a condition
-- that could not be judged keeps what it has.

create policy billing_alerts_admin_read on public.billing_alerts
  for select to authenticated using ((select billing_ops.caller_standing() = 'ok'));
comment on policy billing_alerts_admin_read on public.billing_alerts is
  'Admins of any organization read: global operational data, by intention.';

create table public.billing_alert_events (
  id bigint generated always as identity primary key,
  alert_id uuid not null references public.billing_alerts (id) on delete cascade,
  event text not null check (event in ('raised', 'escalated', 'resolved')),
  severity text not null,
  actor uuid,
  reason text,
  created_at timestamptz not null default now()
);
comment on table public.billing_alert_events is
  'History of alerts, append only: raised, escalated (refreshed to a higher severity), resolved by whom and why.';
comment on column public.billing_alert_events.id is 'Rises in the order of events.';
comment on column public.billing_alert_events.alert_id is 'The alert that it happened to.';
comment on column public.billing_alert_events.event is 'raised, escalated or resolved.';
comment on column public.billing_alert_events.severity is 'The alert''s severity after the event.';
comment on column public.billing_alert_events.actor is 'The person who did it; null for the system.';
comment on column public.billing_alert_events.reason is 'The message it was raised with, or the note it was resolved with.';
comment on column public.billing_alert_events.created_at is 'When it happened.';
create index billing_alert_events_alert_id_idx on public.billing_alert_events (alert_id, id);
comment on index public.billing_alert_events_alert_id_idx is 'The history of one alert.';
alter table public.billing_alert_events enable row level security;
create policy billing_alert_events_admin_read on public.billing_alert_events
  for select to authenticated using ((select billing_ops.caller_standing() = 'ok'));
comment on policy billing_alert_events_admin_read on public.billing_alert_events is
  'Admins of any organization read: global operational data, by intention.';

create function billing_ops.severity_rank(p_severity text)
returns integer
language sql immutable
set search_path = ''
as $$
  select case p_severity when 'critical' then 4 when 'high' then 3 when 'warning' then 2 when 'info' then 1 else 0 end
$$;
comment on function billing_ops.severity_rank(text) is 'Orders severities: critical 4, high 3, warning 2, info 1.';

create function billing_ops.alert_json(p_alert public.billing_alerts)
returns jsonb
language sql stable
set search_path = ''
as $$
  select pg_catalog.jsonb_build_object(
    'id', p_alert.id,
    'alert_key', p_alert.alert_key,
    'alert_type', p_alert.alert_type,
    'severity', p_alert.severity,
    'message', p_alert.message,
    'metadata', p_alert.metadata,
    'occurrences', p_alert.occurrences,
    'first_seen_at', billing_ops.utc(p_alert.first_seen_at),
    'last_seen_at', billing_ops.utc(p_alert.last_seen_at),
    'severe_since', billing_ops.utc(p_alert.severe_since),
    'created_at', billing_ops.utc(p_alert.created_at),
    'resolved', p_alert.resolved,
    'resolved_at', billing_ops.utc(p_alert.resolved_at),
    'resolved_by', p_alert.resolved_by,
    'resolution', p_alert.resolution,
    'resolution_note', p_alert.resolution_note,
    'previous_alert_id', p_alert.previous_alert_id
  )
$$;
comment on function billing_ops.alert_json(public.billing_alerts) is 'An alert as callers see it.';

create function billing_ops.raise_alert(
  p_alert_key text, p_alert_type text, p_severity text, p_message text, p_metadata jsonb
)
returns text
language plpgsql
set search_path = ''
as $$
declare
  v_id uuid;
  v_before text;
  v_after text;
begin
  -- Bounded: on a table whose unique index lacks the predicate a resolved alert would be in the way for ever.
  for v_round in 1..100 loop
    update public.billing_alerts a
    set occurrences = a.occurrences + 1,
        last_seen_at = clock_timestamp(),
        severity = case when billing_ops.severity_rank(p_severity) > billing_ops.severity_rank(a.severity)
                   then p_severity else a.severity end,
        -- One that somebody else wrote, or an earlier version, has been what it is since it began.
        severe_since = case
          when billing_ops.severity_rank(a.severity) >= 3 then coalesce(a.severe_since, a.first_seen_at)
          when billing_ops.severity_rank(p_severity) >= 3 then clock_timestamp()
        end,
        message = p_message,
        metadata = p_metadata
    from (
      select id, severity from public.billing_alerts
      where alert_key = p_alert_key and resolved = false for no key update
    ) before
    where a.id = before.id
    returning a.id, before.severity, a.severity into v_id, v_before, v_after;
    if found then
      if v_before <> v_after then
        insert into public.billing_alert_events (alert_id, event, severity, reason)
        values (v_id, 'escalated', v_after, p_message);
      end if;
      return 'refreshed';
    end if;

    insert into public.billing_alerts
      (alert_key, alert_type, severity, message, metadata, first_seen_at, last_seen_at, created_at, severe_since,
       previous_alert_id)
    values
      (p_alert_key, p_alert_type, p_severity, p_message, p_metadata,
       clock_timestamp(), clock_timestamp(), clock_timestamp(),
       case when billing_ops.severity_rank(p_severity) >= 3 then clock_timestamp() end,
       (select a.id from public.billing_alerts a where a.alert_key = p_alert_key and a.resolved
        order by a.created_at desc limit 1))
    on conflict (alert_key) where resolved = false do nothing
    returning id into v_id;
    if found then
      insert into public.billing_alert_events (alert_id, event, severity, reason)
      values (v_id, 'raised', p_severity, p_message);
      return 'raised';
    end if;
    -- Another caller raised it between the two statements: refresh theirs.
  end loop;
  raise exception 'alert % could be neither raised nor refreshed', p_alert_key using errcode = 'lock_not_available';
end
$$;
comment on function billing_ops.raise_alert(text, text, text, text, jsonb) is
  'Opens the alert of a condition (raised), or counts it again (refreshed). For apply_condition_outcomes, which holds the lock.
  The conflict target names the predicate of the partial unique index: that is what PostgREST''s upsert cannot do.';

create function billing_ops.clear_alert(p_alert_key text, p_note text)
returns boolean
language plpgsql
set search_path = ''
as $$
declare
  v_id uuid;
  v_severity text;
begin
  update public.billing_alerts
  set resolved = true, resolved_at = clock_timestamp(), resolution = 'auto', resolution_note = p_note
  where alert_key = p_alert_key and resolved = false
  returning id, severity into v_id, v_severity;
  if not found then
    return false;
  end if;
  insert into public.billing_alert_events (alert_id, event, severity, reason)
  values (v_id, 'resolved', v_severity, p_note);
  return true;
end
$$;
comment on function billing_ops.clear_alert(text, text) is 'Resolves the open alert of a condition that cleared, if there is one.';

create function billing_ops.apply_condition_outcomes(p_outcomes jsonb)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_outcome jsonb;
  v_key text;
  v_raised text[] := array[]::text[];
  v_refreshed text[] := array[]::text[];
  v_resolved text[] := array[]::text[];
begin
  -- Outcomes are applied one caller at a time. The index alone would keep the promise, but an order of keys is not enough
  -- against deadlocks: a caller who waited for an episode that was resolved meanwhile keeps its lock, and whoever opens the
  -- next one refers to it. Nor could the index keep the chain of episodes from forking.
  perform pg_advisory_xact_lock(hashtext('billing_ops.apply_condition_outcomes'));
  for v_outcome in
    select value from jsonb_array_elements(coalesce(p_outcomes, '[]'::jsonb)) order by value ->> 'alert_key'
  loop
    v_key := v_outcome ->> 'alert_key';
    case v_outcome ->> 'state'
      when 'holds' then
        if billing_ops.raise_alert(v_key, v_outcome ->> 'alert_type', v_outcome ->> 'severity',
             v_outcome ->> 'message', coalesce(v_outcome -> 'metadata', '{}'::jsonb)) = 'raised' then
          v_raised := v_raised || v_key;
        else
          v_refreshed := v_refreshed || v_key;
        end if;
      when 'clear' then
        if billing_ops.clear_alert(v_key, coalesce(v_outcome ->> 'message', 'The condition cleared.')) then
          v_resolved := v_resolved || v_key;
        end if;
      when 'unknown' then
        null;
    end case;
  end loop;
  return jsonb_build_object('raised', to_jsonb(v_raised), 'refreshed', to_jsonb(v_refreshed),
                            'resolved', to_jsonb(v_resolved));
end
$$;
comment on function billing_ops.apply_condition_outcomes(jsonb) is
  'Applies [{alert_key, alert_type, state: holds|clear|unknown, severity, message, metadata}]; answers the keys that were
  raised, refreshed and resolved. Any other state is refused and nothing is applied.';

create function public.resolve_billing_alert(p_alert_id uuid, p_resolved_by uuid, p_note text default null)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_alert public.billing_alerts;
begin
  update public.billing_alerts
  set resolved = true, resolved_at = clock_timestamp(), resolved_by = p_resolved_by, resolution = 'manual',
      resolution_note = p_note
  where id = p_alert_id and resolved = false
  returning * into v_alert;
  if found then
    insert into public.billing_alert_events (alert_id, event, severity, actor, reason)
    values (v_alert.id, 'resolved', v_alert.severity, p_resolved_by, p_note);
    return jsonb_build_object('outcome', 'resolved', 'alert', billing_ops.alert_json(v_alert));
  end if;
  select * into v_alert from public.billing_alerts where id = p_alert_id;
  if found then
    return jsonb_build_object('outcome', 'already_resolved', 'alert', billing_ops.alert_json(v_alert));
  end if;
  return jsonb_build_object('outcome', 'not_found');
end
$$;
comment on function public.resolve_billing_alert(uuid, uuid, text) is
  'Resolves one alert in a person''s name. Answers {outcome: resolved|already_resolved|not_found, alert}; a second call
  changes nothing. The service role calls it after the person was found to be an admin.';

-- The monitor's two round trips: the facts that it judges, then what it made of them. Pruning (51_retention) rides on
-- the second.

create function billing_ops.gather_monitor_facts()
returns jsonb
language sql stable
set search_path = ''
as $$
  -- Nobody has answered to these yet. The monitor's own are named here and nowhere else.
  with unattended as (
    select a.id, a.alert_key, a.severity, coalesce(a.severe_since, least(a.created_at, a.first_seen_at)) as since
    from public.billing_alerts a
    where a.resolved = false and a.severity in ('critical', 'high')
      and a.alert_key not in ('reconcile_stale', 'high_severity_stale', 'reconcile_failing', 'sweep_incomplete',
        'settings_invalid')
  )
  select pg_catalog.jsonb_build_object(
    'now', billing_ops.utc(pg_catalog.clock_timestamp()),
    'last_good_run_finished_at', (
      select billing_ops.utc(max(r.finished_at)) from public.reconciliation_logs r
      where r.status in ('success', 'partial')),
    -- An incomplete run leaves a cursor, but where it had no time to read anything. What failed for single subscriptions, or was held
    -- back, makes a run partial too, and it has looked at everything all the same.
    'last_complete_sweep_at', (
      select billing_ops.utc(max(r.finished_at)) from public.reconciliation_logs r
      where r.cursor is null and (r.status = 'success' or (r.status = 'partial' and r.scanned_count > 0))),
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
        'since', billing_ops.utc(a.since))
      from unattended a order by a.since limit 1),
    'open_high_severity_count', (select count(*) from unattended),
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

create function public.apply_monitor_outcomes(p_outcomes jsonb)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_alerts jsonb := billing_ops.apply_condition_outcomes(p_outcomes);
  v_pruned jsonb;
begin
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
comment on function public.apply_monitor_outcomes(jsonb) is
  'Raises, refreshes and resolves the monitor''s alerts in one transaction, then prunes what is past its keep. Answers
  {alerts: {raised, refreshed, resolved}, pruned}; where pruning failed, pruned is {error: <SQLSTATE>}, the alerts stand, and the
  next pass tries again.';

-- How long rows are kept, and what deletes them: nothing else does. Bounded, so that a pass of the monitor stays short.

create function billing_ops.prune(p_limit integer)
returns jsonb
language plpgsql security definer
set search_path = ''
-- Whoever holds a row that pruning wants must not hold up the pass: what is past its keep can wait for the next one.
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
  v_runs bigint := 0;
  v_alerts bigint := 0;
  v_windows bigint := 0;
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

    -- By age, and by number: of the closed ones the 200,000 that ended last are kept.
    delete from public.drift d
    where d.id in (
      select o.id from public.drift o
      where o.closed_at < greatest(now() - interval '90 days', (
        select n.closed_at from public.drift n where n.closed_at is not null order by n.closed_at desc offset 199999 limit 1))
      order by o.closed_at limit v_piece for update skip locked);
    get diagnostics v_count = row_count;
    v_drift := v_drift + v_count;
    v_seen := v_seen + v_count;

    -- The newest run stays whatever its age: it carries the cursor, and its age is what the monitor speaks of.
    delete from public.reconciliation_logs r
    where r.id in (
      select o.id from public.reconciliation_logs o
      where o.started_at < now() - interval '400 days' and o.status <> 'running'
        and o.id <> (select n.id from public.reconciliation_logs n order by n.started_at desc, n.id desc limit 1)
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

    exit when v_seen = 0 or clock_timestamp() > v_until;
  end loop;
  return jsonb_build_object('drift', v_drift, 'runs', v_runs, 'alerts', v_alerts, 'rate_limit_windows', v_windows);
end
$$;
comment on function billing_ops.prune(integer) is
  'Deletes at most p_limit rows of each kind that are past their keep: closed drift 90 days, and at most 200,000 entries; runs, resolved alerts and their
  history 400 days, so that a yearly audit finds them; rate limit windows 1 day. Open alerts and the newest run stay for
  ever. It begins no further piece after two seconds: the next pass goes on. Definer: nobody else may delete.';
