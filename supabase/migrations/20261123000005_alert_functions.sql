-- Alerts by condition: raise, refresh, resolve. A condition that holds has one open alert; a condition that cleared
-- has none; a condition that could not be judged keeps what it has.

set local lock_timeout = '10s';

create function billing_ops.severity_rank(p_severity text)
returns integer
language sql immutable
set search_path = ''
as $$
  select case p_severity when 'critical' then 4 when 'high' then 3 when 'warning' then 2 when 'info' then 1 else 0 end
$$;
comment on function billing_ops.severity_rank(text) is 'Orders severities: critical 4, high 3, warning 2, info 1.';
revoke all on function billing_ops.severity_rank(text) from public, anon, authenticated;
grant execute on function billing_ops.severity_rank(text) to service_role;

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
revoke all on function billing_ops.alert_json(public.billing_alerts) from public, anon, authenticated;
grant execute on function billing_ops.alert_json(public.billing_alerts) to authenticated, service_role;

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
      (alert_key, alert_type, severity, message, metadata, first_seen_at, last_seen_at, created_at, previous_alert_id)
    values
      (p_alert_key, p_alert_type, p_severity, p_message, p_metadata,
       clock_timestamp(), clock_timestamp(), clock_timestamp(),
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
revoke all on function billing_ops.raise_alert(text, text, text, text, jsonb) from public, anon, authenticated;
grant execute on function billing_ops.raise_alert(text, text, text, text, jsonb) to service_role;

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
revoke all on function billing_ops.clear_alert(text, text) from public, anon, authenticated;
grant execute on function billing_ops.clear_alert(text, text) to service_role;

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
revoke all on function billing_ops.apply_condition_outcomes(jsonb) from public, anon, authenticated;
grant execute on function billing_ops.apply_condition_outcomes(jsonb) to service_role;

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
revoke all on function public.resolve_billing_alert(uuid, uuid, text) from public, anon, authenticated;
grant execute on function public.resolve_billing_alert(uuid, uuid, text) to service_role;

-- A run and the alerts that follow from it end in one transaction.
create function public.finish_reconciliation_run(
  p_run_id uuid,
  p_attempt integer,
  p_status text,
  p_counts jsonb,
  p_message text,
  p_error_code text default null,
  p_error_message text default null,
  p_result jsonb default null,
  p_cursor jsonb default null,
  p_outcomes jsonb default null,
  p_judged jsonb default null
)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_run public.reconciliation_logs;
  v_alerts jsonb;
begin
  if p_status not in ('success', 'partial', 'error') then
    raise exception 'a run ends as success, partial or error, not as %', p_status
      using errcode = 'invalid_parameter_value';
  end if;
  if not billing_ops.hold_run(p_run_id, p_attempt, 0, null, p_counts) then
    select * into v_run from public.reconciliation_logs where id = p_run_id and attempt = p_attempt;
    -- The same finish again, after its answer was lost on the way, is no late writer.
    if found and v_run.status = p_status and v_run.error_code is not distinct from p_error_code
      and v_run.result is not distinct from p_result
    then
      return jsonb_build_object('outcome', 'finished', 'run', billing_ops.run_json(v_run));
    end if;
    return jsonb_build_object('outcome', 'fenced');
  end if;
  update public.reconciliation_logs
  set status = p_status, finished_at = clock_timestamp(), lease_expires_at = null, message = p_message,
      error_code = p_error_code, error_message = p_error_message, result = p_result, cursor = p_cursor
  where id = p_run_id
  returning * into v_run;
  -- What a sweep over everything has not seen is gone, also where neither side knows its subject any more.
  perform billing_ops.clear_drift(p_run_id, array(
    select d.drift_key from public.drift d
    where d.closed_at is null and d.last_seen_at < v_run.sweep_started_at
      and d.type in (select jsonb_array_elements_text(p_judged))));
  v_alerts := billing_ops.apply_condition_outcomes(p_outcomes);
  return jsonb_build_object('outcome', 'finished', 'run', billing_ops.run_json(v_run), 'alerts', v_alerts);
end
$$;
comment on function public.finish_reconciliation_run(uuid, integer, text, jsonb, text, text, text, jsonb, jsonb, jsonb, jsonb) is
  'Ends a running attempt and applies its alert outcomes. p_judged: the classes of drift that its sweep has judged as a whole;
  entries of these that it has not seen are closed. Answers {outcome: finished|fenced, run, alerts}. A late finish of
  an attempt that was given up for dead is fenced and changes nothing; the same finish sent twice is finished twice.';
revoke all on function public.finish_reconciliation_run(uuid, integer, text, jsonb, text, text, text, jsonb, jsonb, jsonb, jsonb)
  from public, anon, authenticated;
grant execute on function public.finish_reconciliation_run(uuid, integer, text, jsonb, text, text, text, jsonb, jsonb, jsonb, jsonb)
  to service_role;
