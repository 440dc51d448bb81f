-- Reconcile runs, from start to finish. start_reconciliation_run decides who holds the lease; hold_run extends it, and
-- says "fenced" to whoever has lost it. Each writer is fenced by run id, attempt and status, so that a process that was
-- given up for dead changes nothing when it comes back. Start, heartbeat and finish are one round trip each.

create table public.reconciliation_logs (
  id uuid primary key default gen_random_uuid(),
  run_key text not null,
  run_type text not null check (run_type = any ('{scheduled,manual,webhook_failure,request}'::text[])),
  status text not null default 'running' check (status = any ('{running,success,partial,error}'::text[])),
  lookback_hours integer not null default 24,
  started_at timestamptz not null default now(),
  finished_at timestamptz,
  created_count integer not null default 0,
  updated_count integer not null default 0,
  mismatch_count integer not null default 0,
  error_count integer not null default 0,
  created_at timestamptz not null default now(),
  attempt integer not null default 1,
  heartbeat_at timestamptz,
  lease_expires_at timestamptz,
  cursor jsonb,
  scanned_count bigint not null default 0,
  superseded_count integer not null default 0,
  skipped_count integer not null default 0,
  total_issues integer not null default 0,
  message text,
  error_code text,
  error_message text,
  result jsonb,
  triggered_by text,
  triggered_by_user uuid,
  sweep_started_at timestamptz,
  waiting_count integer not null default 0,
  held_count integer not null default 0,
  scope text not null default 'all' check (scope = any ('{all,changed,due}'::text[])),
  events_to timestamptz
);
comment on table public.reconciliation_logs is 'Reconcile runs: one row for each attempt.';
comment on column public.reconciliation_logs.id is 'The attempt''s id: reconciliation_log_id in answers.';
comment on column public.reconciliation_logs.run_key is
  'Idempotency key: scheduled_YYYY-MM-DD_HH, manual_YYYY-MM-DD_HH:MM, request_<uuid> or due_YYYY-MM-DD_HH:MM (with seconds after an event), in UTC.';
comment on column public.reconciliation_logs.run_type is 'scheduled, manual, webhook_failure or request.';
comment on column public.reconciliation_logs.status is
  'running, success (all was looked at, nothing failed), partial (time budget, or some items failed) or error.';
comment on column public.reconciliation_logs.lookback_hours is 'How far back completed checkout sessions are searched.';
comment on column public.reconciliation_logs.started_at is 'When this attempt started.';
comment on column public.reconciliation_logs.finished_at is 'When it ended, however it ended; null while it runs.';
comment on column public.reconciliation_logs.created_count is 'Rows that were missing and have been created.';
comment on column public.reconciliation_logs.updated_count is 'Rows that were repaired, or pointed at their owner''s live subscription.';
comment on column public.reconciliation_logs.mismatch_count is 'Differences other than rows that were missing.';
comment on column public.reconciliation_logs.error_count is 'Items that could not be looked at or repaired.';
comment on column public.reconciliation_logs.created_at is 'When the row was written.';
comment on column public.reconciliation_logs.attempt is 'Counts from 1 within a run_key; each attempt is a row of its own.';
comment on column public.reconciliation_logs.heartbeat_at is 'When the attempt last said that it lives.';
comment on column public.reconciliation_logs.lease_expires_at is
  'Until when the attempt owns the run. After that the next caller ends it as stale_run and starts another.';
comment on column public.reconciliation_logs.cursor is
  'What a run that was not complete left to do: open windows, subscriptions that still need a fresh look, counts.';
comment on column public.reconciliation_logs.scanned_count is 'Subscriptions read from Stripe.';
comment on column public.reconciliation_logs.superseded_count is 'Repairs that lost to a newer write of somebody else.';
comment on column public.reconciliation_logs.skipped_count is
  'Subscriptions left to the next run, as their webhook may still be on its way.';
comment on column public.reconciliation_logs.total_issues is 'All differences that the run saw.';
comment on column public.reconciliation_logs.message is 'The run in one sentence.';
comment on column public.reconciliation_logs.error_code is 'Why a run ended in error, for machines: stale_run, stripe_error, …';
comment on column public.reconciliation_logs.error_message is 'Why a run ended in error, for people. Never a secret.';
comment on column public.reconciliation_logs.result is 'What the caller was answered, for duplicates of the call.';
comment on column public.reconciliation_logs.triggered_by is 'cron, secret, admin or event.';
comment on column public.reconciliation_logs.triggered_by_user is 'The admin, where one pressed Reconcile Now.';
comment on column public.reconciliation_logs.sweep_started_at is
  'When the sweep began that this attempt is a part of: one pass over everything, in one run or in several.';
comment on column public.reconciliation_logs.waiting_count is 'Repairs that wait for a person.';
comment on column public.reconciliation_logs.held_count is 'Repairs that the circuit breaker held back.';
comment on column public.reconciliation_logs.scope is
  'all (every subscription), changed (those that Stripe''s events speak of) or due (a pass over what is due).';
comment on column public.reconciliation_logs.events_to is
  'All that Stripe''s events before this time speak of has been read, or is noted as due; null where the run cannot say so.';

create unique index reconciliation_logs_one_running_per_key
  on public.reconciliation_logs (run_key) where status = 'running';
comment on index public.reconciliation_logs_one_running_per_key is
  'Idempotency: a second caller with the same key finds the running row instead of starting another.';
create unique index reconciliation_logs_one_running
  on public.reconciliation_logs ((true)) where status = 'running';
comment on index public.reconciliation_logs_one_running is 'Two scans never overlap: one running row, whatever its key.';
create unique index reconciliation_logs_attempts on public.reconciliation_logs (run_key, attempt);
comment on index public.reconciliation_logs_attempts is 'Finds the latest attempt of a key, and keeps attempts distinct.';
create index reconciliation_logs_newest on public.reconciliation_logs (started_at desc, id desc);
comment on index public.reconciliation_logs_newest is 'The list of runs, newest first, by keyset pages.';
create index reconciliation_logs_finished on public.reconciliation_logs (finished_at desc, id desc)
  where scope <> 'due' and status in ('success', 'partial', 'error');
comment on index public.reconciliation_logs_finished is
  'The monitor''s facts: last good run, last three results; and the cursor to go on from. Without passes over what is due, of which there
  may be many.';
create index reconciliation_logs_events on public.reconciliation_logs (events_to desc) where events_to is not null;
comment on index public.reconciliation_logs_events is 'Where to go on in Stripe''s events.';
create index reconciliation_logs_sweeps on public.reconciliation_logs (sweep_started_at desc)
  where scope = 'all' and cursor is null and status in ('success', 'partial');
comment on index public.reconciliation_logs_sweeps is 'When everything was last looked at.';
create index reconciliation_logs_ended on public.reconciliation_logs (scope, status, finished_at desc) where finished_at is not null;
comment on index public.reconciliation_logs_ended is 'When the last run of a scope ended with a status: for the metrics.';

alter table public.reconciliation_logs enable row level security;
-- For this policy and the others like it: the comparison is inside the sub-select. The planner expects a bare boolean to
-- let half the rows pass, but "= 'ok'" one in two hundred, and then it sorts a table whose first page an index would have
-- given.
create policy reconciliation_logs_admin_read on public.reconciliation_logs
  for select to authenticated using ((select billing_ops.caller_standing() = 'ok'));
comment on policy reconciliation_logs_admin_read on public.reconciliation_logs is
  'Admins of any organization read: global operational data, by intention.';

create function billing_ops.run_json(p_run public.reconciliation_logs)
returns jsonb
language sql stable
set search_path = ''
as $$
  select pg_catalog.jsonb_build_object(
    'id', p_run.id,
    'run_key', p_run.run_key,
    'run_type', p_run.run_type,
    'scope', p_run.scope,
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
    'waiting_count', p_run.waiting_count,
    'held_count', p_run.held_count,
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

create function billing_ops.is_complete_sweep(p_run public.reconciliation_logs)
returns boolean
language sql immutable
set search_path = ''
as $$
  -- An incomplete run leaves a cursor, except where it had no time to read anything. Failures of single subscriptions, and repairs that
  -- were held back, make a run partial too, although it has looked at everything.
  select p_run.scope = 'all' and p_run.cursor is null
    and (p_run.status = 'success' or (p_run.status = 'partial' and p_run.scanned_count > 0))
$$;
comment on function billing_ops.is_complete_sweep(public.reconciliation_logs) is
  'Whether a run got to the end of a sweep over everything. A query over the whole table repeats the conditions on scope, cursor and
  status beside it: no index can be used through a function.';

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

create function billing_ops.changes_for_run(p_scope text)
returns jsonb
language sql stable
set search_path = ''
as $$
  select case when p_scope = 'all' then '{}'::jsonb else pg_catalog.jsonb_build_object(
    'events_from', (select billing_ops.utc(max(r.events_to)) from public.reconciliation_logs r where r.events_to is not null),
    'scanned', (
      select coalesce(sum(r.scanned_count), 0) from public.reconciliation_logs r
      where r.scope = 'all' and r.sweep_started_at = (
        select max(c.sweep_started_at) from public.reconciliation_logs c
        where c.scope = 'all' and c.cursor is null and c.status in ('success', 'partial') and billing_ops.is_complete_sweep(c))),
    'lately', (
      select pg_catalog.jsonb_build_object(
        'lowered', count(distinct d.stripe_subscription_id) filter (where d.action = 'repaired' and d.lowers_access),
        'created', count(*) filter (where d.action = 'created'))
      from public.drift d join public.reconciliation_logs r on r.id = d.closed_run_id
      where d.closed_at > pg_catalog.clock_timestamp() - interval '1 hour' and r.scope <> 'all')) end
$$;
comment on function billing_ops.changes_for_run(text) is
  'What a run over changes needs to know: since when it lists events, how many subscriptions the last whole sweep read, and what such runs
  have written within the last hour, so that the circuit breaker counts a stream of small passes as it counts one run.';

create function public.start_reconciliation_run(
  p_run_key text,
  p_run_type text,
  p_lookback_hours integer,
  p_lease_seconds integer,
  p_triggered_by text default null,
  p_triggered_by_user uuid default null,
  p_client text default null,
  p_run_id uuid default gen_random_uuid(),
  p_scope text default 'all',
  p_full_every_hours integer default 1
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
  v_scope text;
  v_events_from timestamptz;
  v_next_due_at timestamptz;
begin
  -- Starts are taken one by one. The unique indexes alone would keep the promise; the lock spares callers that
  -- race over an expired lease a deadlock between those two indexes. It comes before everything else, so that a start
  -- that is sent again while the first one is still being written finds that run.
  perform pg_advisory_xact_lock(hashtext('billing_ops.start_reconciliation_run'));

  -- The caller's own start, sent again after its answer was lost: nobody else knows this id. It has been counted, so the
  -- limit has no say. If it were refused, nobody would do the run until its lease is over.
  select * into v_run from public.reconciliation_logs where id = p_run_id and run_key = p_run_key;
  if found then
    return billing_ops.start_answer('created', v_run) || jsonb_build_object('resume', v_run.cursor)
      || billing_ops.changes_for_run(v_run.scope);
  end if;

  if p_client is not null then
    v_retry_after := billing_ops.consume_rate_limit('reconcile', p_client);
    if v_retry_after is not null then
      return jsonb_build_object('outcome', 'rate_limited', 'retry_after', v_retry_after);
    end if;
  end if;

  if p_scope = 'due' then
    select min(d.due_at) into v_next_due_at from public.stripe_due d;
    if v_next_due_at is null or v_next_due_at > clock_timestamp() then
      return jsonb_build_object('outcome', 'nothing_due',
        'next_due_in', ceil(extract(epoch from v_next_due_at - clock_timestamp())));
    end if;
  end if;

  for v_round in 1..10 loop
    v_now := clock_timestamp();

    select * into v_run from public.reconciliation_logs
    where run_key = p_run_key order by attempt desc limit 1 for update;
    v_attempt := coalesce(v_run.attempt, 0) + 1;

    if found then
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
    if found and v_run.lease_expires_at > v_now then
      if v_run.scope <> 'due' or p_scope = 'due' then
        return billing_ops.start_answer('busy', v_run);
      end if;
      -- Passes over what is due follow one another where a lot happens; a run over more must not wait for a gap. What the pass has not
      -- come to is still due, and whatever it writes from now on is fenced.
      update public.reconciliation_logs
      set status = 'partial', finished_at = v_now, lease_expires_at = null,
          message = 'gave way to a run over more; what it had not come to is still due'
      where id = v_run.id;
    elsif found then
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
    where p_scope <> 'due' and ended.scope = 'all' and ended.status in ('success', 'partial', 'error')
    order by ended.finished_at desc, ended.id desc limit 1;
    -- Whoever presses Reconcile Now has changed something and wants to see it: a sweep that is already past the subscription
    -- would not look at it again. One that has just begun is continued, or pressing twice would never get to the end of
    -- a long list.
    if p_run_type = 'manual' and (v_sweep_started_at > v_now - interval '10 minutes') is not true then
      v_resume := null;
      v_sweep_started_at := null;
    end if;
    -- Between full scans a scheduled run follows Stripe's events, if it is known where to go on in them: they are kept for 30 days. A
    -- scheduler is not on time to the minute.
    v_scope := p_scope;
    if p_scope = 'all' and p_run_type = 'scheduled' and p_full_every_hours > 1 and v_resume is null and exists (
      select 1 from public.reconciliation_logs r
      where r.scope = 'all' and r.cursor is null and r.status in ('success', 'partial') and billing_ops.is_complete_sweep(r)
        and r.sweep_started_at > v_now - make_interval(hours => p_full_every_hours) + interval '10 minutes')
    then
      select max(r.events_to) into v_events_from from public.reconciliation_logs r where r.events_to is not null;
      if v_events_from > v_now - interval '25 days' then
        v_scope := 'changed';
      end if;
    end if;

    begin
      insert into public.reconciliation_logs
        (id, run_key, run_type, status, attempt, lookback_hours, started_at, heartbeat_at, lease_expires_at,
         cursor, sweep_started_at, triggered_by, triggered_by_user, scope)
      values
        (p_run_id, p_run_key, p_run_type, 'running', v_attempt, p_lookback_hours, v_now, v_now,
         v_now + make_interval(secs => p_lease_seconds), v_resume, coalesce(v_sweep_started_at, v_now), p_triggered_by,
         p_triggered_by_user, v_scope)
      returning * into v_run;
      return billing_ops.start_answer(v_outcome, v_run) || jsonb_build_object('resume', v_resume)
        || billing_ops.changes_for_run(v_scope);
    exception when unique_violation then
      -- Somebody wrote to the table without this function: look again. Which of the unique indexes speaks up does not matter,
      -- and its name may be an earlier schema's.
      null;
    end;
  end loop;
  raise exception 'a run could not be started in ten rounds' using errcode = 'lock_not_available';
end
$$;
comment on function public.start_reconciliation_run(text, text, integer, integer, text, uuid, text, uuid, text, integer) is
  'Starts a run, or says which one stands in its way. Answers {outcome, run, result, resume, events_from, scanned, lately, retry_after,
  next_due_in}; outcome is created, reclaimed (the same key had a dead attempt), existing_running, existing_finished, busy (another key
  runs), conflict (a request_ key with other parameters), rate_limited or nothing_due. p_scope: all, or due: a pass over what is due,
  which gives way to any other run. A scheduled run over all becomes one over what changed (scope: changed) where everything was looked at
  within p_full_every_hours. A null p_client is not counted. p_run_id makes the call safe to send again: it finds its own run, whatever
  the limit says. A new run inherits the cursor of an incomplete one, so that a run that dies at once hands it on; a manual one only that
  of a sweep which began less than ten minutes ago.';

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
      waiting_count = coalesce((p_counts ->> 'waiting_count')::integer, waiting_count),
      held_count = coalesce((p_counts ->> 'held_count')::integer, held_count),
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
  p_judged jsonb default null,
  p_scope text default null,
  p_due jsonb default null,
  p_events_to timestamptz default null,
  p_covered boolean default false
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
    -- The same finish again, after its answer was lost on the way, is not a late writer.
    if found and v_run.status = p_status and v_run.error_code is not distinct from p_error_code
      and v_run.result is not distinct from p_result and v_run.message is not distinct from p_message
    then
      return jsonb_build_object('outcome', 'finished', 'run', billing_ops.run_json(v_run));
    end if;
    return jsonb_build_object('outcome', 'fenced');
  end if;
  update public.reconciliation_logs
  set status = p_status, finished_at = clock_timestamp(), lease_expires_at = null, message = p_message,
      error_code = p_error_code, error_message = p_error_message, result = p_result, cursor = p_cursor,
      scope = coalesce(p_scope, scope), events_to = p_events_to
  where id = p_run_id
  returning * into v_run;
  -- What a sweep over everything has not seen is gone, even where neither side knows its subject any more.
  perform billing_ops.clear_drift(p_run_id, array(
    select d.drift_key from public.drift d
    where d.closed_at is null and d.last_seen_at < v_run.sweep_started_at
      and d.type in (select jsonb_array_elements_text(p_judged))));
  if p_due is not null or p_covered then
    -- A scan has read whatever had its last event before it began. Five minutes are for clocks, and for what is too young for it to judge.
    perform billing_ops.settle_due(p_due, case when p_covered then v_run.sweep_started_at - interval '5 minutes' end);
  end if;
  -- What people allow in spite of the circuit breaker holds for the next run that gets to its end, whether that made use of it or not.
  begin
    update public.drift_policies
    set allowed_count = null, allowed_until = null, allowed_by = null, allowed_run = null
    where v_run.scope = 'all' and p_cursor is null and p_status <> 'error' and allowed_until - interval '24 hours' < v_run.started_at;
  exception when insufficient_privilege or undefined_table or undefined_column then
    -- Policies that cannot be read count as observe; the run ends all the same.
    null;
  end;
  v_alerts := billing_ops.apply_condition_outcomes(p_outcomes || billing_ops.exceptions_ending());
  return jsonb_build_object('outcome', 'finished', 'run', billing_ops.run_json(v_run), 'alerts', v_alerts);
end
$$;
comment on function public.finish_reconciliation_run(uuid, integer, text, jsonb, text, text, text, jsonb, jsonb, jsonb, jsonb, text, jsonb, timestamptz, boolean) is
  'Ends a running attempt and applies its alert outcomes. p_judged: the classes of drift that its sweep has judged as a whole; entries of
  these that it has not seen are closed. p_scope: what it has in fact looked at. p_due: what became of what was due (settle_due).
  p_events_to: all that Stripe''s events before that time speak of is read or noted. p_covered: its sweep has read every subscription.
  Answers {outcome: finished|fenced, run, alerts}. A late finish of an attempt that was given up for dead is fenced and changes nothing;
  the same finish sent twice is finished twice.';
