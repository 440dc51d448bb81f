-- The life of a run: start, heartbeat, finish. Each is one round trip; each writer is fenced by run id, attempt and
-- status, so that a process that was given up for dead changes nothing when it comes back.

set local lock_timeout = '10s';

create function billing_ops.run_json(p_run public.reconciliation_logs)
returns jsonb
language sql stable
set search_path = ''
as $$
  select pg_catalog.jsonb_build_object(
    'id', p_run.id,
    'run_key', p_run.run_key,
    'run_type', p_run.run_type,
    'attempt', p_run.attempt,
    'status', p_run.status,
    'lookback_hours', p_run.lookback_hours,
    'started_at', billing_ops.utc(p_run.started_at),
    'finished_at', billing_ops.utc(p_run.finished_at),
    'heartbeat_at', billing_ops.utc(p_run.heartbeat_at),
    'lease_expires_at', billing_ops.utc(p_run.lease_expires_at),
    'duration_ms', case when p_run.finished_at is not null then
      greatest(0, floor(extract(epoch from p_run.finished_at - p_run.started_at) * 1000))::bigint end,
    'scanned_count', p_run.scanned_count,
    'created_count', p_run.created_count,
    'updated_count', p_run.updated_count,
    'mismatch_count', p_run.mismatch_count,
    'superseded_count', p_run.superseded_count,
    'skipped_count', p_run.skipped_count,
    'error_count', p_run.error_count,
    'total_issues', p_run.total_issues,
    'sweep_started_at', billing_ops.utc(p_run.sweep_started_at),
    'message', p_run.message,
    'error_code', p_run.error_code,
    'error_message', p_run.error_message,
    'triggered_by', p_run.triggered_by
  )
$$;
comment on function billing_ops.run_json(public.reconciliation_logs) is 'A run as callers see it, without cursor and result.';
revoke all on function billing_ops.run_json(public.reconciliation_logs) from public, anon, authenticated;
grant execute on function billing_ops.run_json(public.reconciliation_logs) to authenticated, service_role;

create function billing_ops.start_answer(p_outcome text, p_run public.reconciliation_logs)
returns jsonb
language sql stable
set search_path = ''
as $$
  select pg_catalog.jsonb_build_object(
    'outcome', p_outcome,
    'run', billing_ops.run_json(p_run),
    'result', p_run.result
  )
$$;
comment on function billing_ops.start_answer(text, public.reconciliation_logs) is
  'What start_reconciliation_run answers where a run is involved.';
revoke all on function billing_ops.start_answer(text, public.reconciliation_logs) from public, anon, authenticated;
grant execute on function billing_ops.start_answer(text, public.reconciliation_logs) to service_role;

create function public.start_reconciliation_run(
  p_run_key text,
  p_run_type text,
  p_lookback_hours integer,
  p_lease_seconds integer,
  p_triggered_by text default null,
  p_triggered_by_user uuid default null,
  p_client text default null,
  p_run_id uuid default gen_random_uuid()
)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_retry_after integer;
  v_now timestamptz;
  v_run public.reconciliation_logs;
  v_attempt integer;
  v_outcome text := 'created';
  v_resume jsonb;
  v_sweep_started_at timestamptz;
begin
  if p_client is not null then
    v_retry_after := billing_ops.consume_rate_limit('reconcile', p_client);
    if v_retry_after is not null then
      return jsonb_build_object('outcome', 'rate_limited', 'retry_after', v_retry_after);
    end if;
  end if;

  -- Starts are taken one by one. The unique indexes alone would keep the promise; the lock spares callers that
  -- race over an expired lease a deadlock between those two indexes.
  perform pg_advisory_xact_lock(hashtext('billing_ops.start_reconciliation_run'));

  for v_round in 1..10 loop
    v_now := clock_timestamp();

    select * into v_run from public.reconciliation_logs
    where run_key = p_run_key order by attempt desc limit 1 for update;
    v_attempt := coalesce(v_run.attempt, 0) + 1;

    if found then
      -- The caller's own start, sent again after its answer was lost: nobody else knows this id.
      if v_run.id = p_run_id then
        return billing_ops.start_answer('created', v_run) || jsonb_build_object('resume', v_run.cursor);
      end if;
      -- Only a request_… key carries parameters that its caller chose; the other keys name an hour or a minute.
      if p_run_key like 'request\_%'
        and (v_run.run_type, v_run.lookback_hours) is distinct from (p_run_type, p_lookback_hours)
      then
        return billing_ops.start_answer('conflict', v_run);
      end if;
      if v_run.status = 'running' and v_run.lease_expires_at > v_now then
        return billing_ops.start_answer('existing_running', v_run);
      end if;
      if v_run.status in ('success', 'partial') then
        return billing_ops.start_answer('existing_finished', v_run);
      end if;
    end if;

    select * into v_run from public.reconciliation_logs where status = 'running' for update;
    if found then
      if v_run.lease_expires_at > v_now then
        return billing_ops.start_answer('busy', v_run);
      end if;
      update public.reconciliation_logs
      set status = 'error', finished_at = v_now, error_code = 'stale_run',
          error_message = 'The process that ran it died: its lease expired without a word.',
          message = 'stopped without a word; its lease expired'
      where id = v_run.id;
      if v_run.run_key = p_run_key then
        v_outcome := 'reclaimed';
      end if;
    end if;

    -- What the run before this one had left to do, unless it looked at everything.
    select case when ended.status <> 'success' then ended.cursor end,
           case when ended.status <> 'success' and ended.cursor is not null then ended.sweep_started_at end
    into v_resume, v_sweep_started_at
    from public.reconciliation_logs ended
    where ended.status in ('success', 'partial', 'error')
    order by ended.finished_at desc, ended.id desc limit 1;

    begin
      insert into public.reconciliation_logs
        (id, run_key, run_type, status, attempt, lookback_hours, started_at, heartbeat_at, lease_expires_at,
         cursor, sweep_started_at, triggered_by, triggered_by_user)
      values
        (p_run_id, p_run_key, p_run_type, 'running', v_attempt, p_lookback_hours, v_now, v_now,
         v_now + make_interval(secs => p_lease_seconds), v_resume, coalesce(v_sweep_started_at, v_now), p_triggered_by,
         p_triggered_by_user)
      returning * into v_run;
      return billing_ops.start_answer(v_outcome, v_run) || jsonb_build_object('resume', v_resume);
    exception when unique_violation then
      -- Somebody wrote the table without this function: look again. Which of the unique indexes speaks up does not matter,
      -- and its name may be an earlier schema's.
      null;
    end;
  end loop;
  raise exception 'a run could not be started in ten rounds' using errcode = 'lock_not_available';
end
$$;
comment on function public.start_reconciliation_run(text, text, integer, integer, text, uuid, text, uuid) is
  'Starts a run, or says which one stands in its way. Answers {outcome, run, result, resume, retry_after}; outcome is
  created, reclaimed (the same key had a dead attempt), existing_running, existing_finished, busy (another key runs),
  conflict (a request_ key with other parameters) or rate_limited. A null p_client is not counted. p_run_id makes the
  call safe to send again. A new run inherits the
  cursor of an incomplete one, so that a run that dies at once hands it on.';
revoke all on function public.start_reconciliation_run(text, text, integer, integer, text, uuid, text, uuid)
  from public, anon, authenticated;
grant execute on function public.start_reconciliation_run(text, text, integer, integer, text, uuid, text, uuid) to service_role;

create function billing_ops.hold_run(p_run_id uuid, p_attempt integer, p_lease_seconds integer, p_cursor jsonb,
                                     p_counts jsonb)
returns boolean
language plpgsql
set search_path = ''
as $$
begin
  update public.reconciliation_logs
  set heartbeat_at = clock_timestamp(),
      lease_expires_at = greatest(lease_expires_at, clock_timestamp() + make_interval(secs => p_lease_seconds)),
      cursor = coalesce(p_cursor, cursor),
      scanned_count = coalesce((p_counts ->> 'scanned_count')::bigint, scanned_count),
      created_count = coalesce((p_counts ->> 'created_count')::integer, created_count),
      updated_count = coalesce((p_counts ->> 'updated_count')::integer, updated_count),
      mismatch_count = coalesce((p_counts ->> 'mismatch_count')::integer, mismatch_count),
      superseded_count = coalesce((p_counts ->> 'superseded_count')::integer, superseded_count),
      skipped_count = coalesce((p_counts ->> 'skipped_count')::integer, skipped_count),
      error_count = coalesce((p_counts ->> 'error_count')::integer, error_count),
      total_issues = coalesce((p_counts ->> 'total_issues')::integer, total_issues)
  where id = p_run_id and attempt = p_attempt and status = 'running';
  return found;
end
$$;
comment on function billing_ops.hold_run(uuid, integer, integer, jsonb, jsonb) is
  'Locks the run for the rest of the transaction, extends its lease, and stores cursor and counts where given.
  False: the attempt has been given up for dead and may write nothing (fencing).';
revoke all on function billing_ops.hold_run(uuid, integer, integer, jsonb, jsonb) from public, anon, authenticated;
grant execute on function billing_ops.hold_run(uuid, integer, integer, jsonb, jsonb) to service_role;

create function public.heartbeat_reconciliation_run(
  p_run_id uuid,
  p_attempt integer,
  p_lease_seconds integer,
  p_cursor jsonb default null,
  p_counts jsonb default null
)
returns jsonb
language sql
set search_path = ''
as $$
  select pg_catalog.jsonb_build_object('outcome', case
    when billing_ops.hold_run(p_run_id, p_attempt, p_lease_seconds, p_cursor, p_counts) then 'extended'
    else 'fenced' end)
$$;
comment on function public.heartbeat_reconciliation_run(uuid, integer, integer, jsonb, jsonb) is
  'Extends the lease of a running attempt. Answers {outcome}: extended, or fenced (the attempt must stop).';
revoke all on function public.heartbeat_reconciliation_run(uuid, integer, integer, jsonb, jsonb)
  from public, anon, authenticated;
grant execute on function public.heartbeat_reconciliation_run(uuid, integer, integer, jsonb, jsonb) to service_role;
