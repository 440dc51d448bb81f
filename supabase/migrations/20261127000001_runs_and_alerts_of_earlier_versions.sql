-- Runs and alerts, as any version of the earlier migrations left them, or none: fewer columns, narrower CHECKs, rows without keys,
-- duplicates. Nothing is dropped except constraints that are made wider and policies that are made anew, and no row is lost. The app's
-- own tables are not touched.

set local lock_timeout = '10s';

create schema if not exists billing_ops;
comment on schema billing_ops is
  'Helpers of billing-ops. Not exposed through the API: only functions in public are callable from outside.';

-- Replaces every CHECK on one column with one that allows the given words and those that rows have already.
create function pg_temp.replace_column_checks(p_table regclass, p_column text, p_values text[])
returns void
language plpgsql
set search_path = ''
as $$
declare
  v_constraint name;
  v_odd text[];
begin
  for v_constraint in
    select c.conname from pg_catalog.pg_constraint c
    where c.conrelid = p_table and c.contype = 'c'
      and c.conkey = array[(select a.attnum from pg_catalog.pg_attribute a
                            where a.attrelid = p_table and a.attname = p_column and not a.attisdropped)]
  loop
    execute pg_catalog.format('alter table %s drop constraint %I', p_table, v_constraint);
  end loop;
  -- An enum's values can't be used in the transaction that adds them, and every new word would need another transaction.
  if exists (
    select 1 from pg_catalog.pg_attribute a join pg_catalog.pg_type t on t.oid = a.atttypid
    where a.attrelid = p_table and a.attname = p_column and not a.attisdropped and t.typtype = 'e'
  ) then
    execute pg_catalog.format('alter table %s alter column %I type text using %2$I::text', p_table, p_column);
  end if;
  execute pg_catalog.format('select array_agg(distinct %I) from %s where %1$I <> all ($1)', p_column, p_table)
  into v_odd using p_values;
  if v_odd is not null then
    raise warning '%.% holds %: allowed from now on too, as a row that breaks a CHECK could not be updated any more',
      p_table, p_column, v_odd;
  end if;
  execute pg_catalog.format('alter table %s add constraint %I check (%I = any (%L::text[]))', p_table,
    (select relname from pg_catalog.pg_class where oid = p_table) || '_' || p_column || '_check',
    p_column, p_values || v_odd);
end
$$;

-- Drops unique constraints on exactly these columns (in alphabetical order) that have no predicate. The partial index that takes their
-- place forbids less.
create function pg_temp.drop_full_uniques(p_table regclass, p_columns text[])
returns void
language plpgsql
set search_path = ''
as $$
declare
  v_index record;
begin
  for v_index in
    select i.indexrelid::regclass as name, c.conname
    from pg_catalog.pg_index i
    left join pg_catalog.pg_constraint c on c.conindid = i.indexrelid and c.conrelid = p_table and c.contype = 'u'
    where i.indrelid = p_table and i.indisunique and not i.indisprimary and i.indpred is null
      and (select array_agg(a.attname::text order by a.attname) from pg_catalog.pg_attribute a
           where a.attrelid = p_table and a.attnum = any (i.indkey)) = p_columns
  loop
    if v_index.conname is not null then
      execute pg_catalog.format('alter table %s drop constraint %I', p_table, v_index.conname);
    else
      execute pg_catalog.format('drop index %s', v_index.name);
    end if;
  end loop;
end
$$;

-- Runs -----------------------------------------------------------------------------------------------------------

create table if not exists public.reconciliation_logs (
  id uuid primary key default gen_random_uuid(),
  run_key text not null,
  run_type text not null,
  status text not null default 'running',
  lookback_hours integer not null default 24,
  started_at timestamptz not null default now(),
  finished_at timestamptz,
  created_count integer not null default 0,
  updated_count integer not null default 0,
  mismatch_count integer not null default 0,
  error_count integer not null default 0,
  created_at timestamptz not null default now()
);
alter table public.reconciliation_logs
  add column if not exists run_key text,
  add column if not exists run_type text not null default 'scheduled',
  add column if not exists status text not null default 'error',
  add column if not exists lookback_hours integer not null default 24,
  add column if not exists started_at timestamptz not null default now(),
  add column if not exists finished_at timestamptz,
  add column if not exists created_count integer not null default 0,
  add column if not exists updated_count integer not null default 0,
  add column if not exists mismatch_count integer not null default 0,
  add column if not exists error_count integer not null default 0,
  add column if not exists created_at timestamptz not null default now(),
  add column if not exists attempt integer not null default 1,
  add column if not exists heartbeat_at timestamptz,
  add column if not exists lease_expires_at timestamptz,
  add column if not exists cursor jsonb,
  add column if not exists scanned_count bigint not null default 0,
  add column if not exists superseded_count integer not null default 0,
  add column if not exists skipped_count integer not null default 0,
  add column if not exists total_issues integer not null default 0,
  add column if not exists message text,
  add column if not exists error_code text,
  add column if not exists error_message text,
  add column if not exists result jsonb,
  add column if not exists triggered_by text,
  add column if not exists triggered_by_user uuid,
  add column if not exists sweep_started_at timestamptz,
  add column if not exists waiting_count integer not null default 0,
  add column if not exists held_count integer not null default 0,
  add column if not exists scope text not null default 'all' check (scope = any ('{all,changed,due}'::text[])),
  add column if not exists events_to timestamptz;
alter table public.reconciliation_logs alter column status set default 'running';

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
comment on column public.reconciliation_logs.created_at is 'When the row was written.';
comment on column public.reconciliation_logs.attempt is 'Counts from 1 within a run_key; each attempt is a row of its own.';
comment on column public.reconciliation_logs.heartbeat_at is 'When the attempt last said that it lives.';
comment on column public.reconciliation_logs.lease_expires_at is
  'Until when the attempt owns the run. After that the next caller ends it as stale_run and starts another.';
comment on column public.reconciliation_logs.cursor is
  'What a run that was not complete left to do: open windows, subscriptions that still need a fresh look, counts.';
comment on column public.reconciliation_logs.scanned_count is 'Subscriptions read from Stripe.';
comment on column public.reconciliation_logs.created_count is 'Rows that were missing and have been created.';
comment on column public.reconciliation_logs.updated_count is 'Rows that were repaired, or pointed at their owner''s live subscription.';
comment on column public.reconciliation_logs.mismatch_count is 'Differences other than rows that were missing.';
comment on column public.reconciliation_logs.superseded_count is 'Repairs that lost to a newer write of somebody else.';
comment on column public.reconciliation_logs.skipped_count is
  'Subscriptions left to the next run, as their webhook may still be on its way.';
comment on column public.reconciliation_logs.error_count is 'Items that could not be looked at or repaired.';
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

select pg_temp.replace_column_checks('public.reconciliation_logs', 'status',
  array['running', 'success', 'partial', 'error']);
select pg_temp.replace_column_checks('public.reconciliation_logs', 'run_type',
  array['scheduled', 'manual', 'webhook_failure', 'request']);
-- A key has one running attempt, and any number of ended ones.
select pg_temp.drop_full_uniques('public.reconciliation_logs', array['run_key']);
select pg_temp.drop_full_uniques('public.reconciliation_logs', array['run_key', 'status']);

update public.reconciliation_logs set run_key = 'legacy_' || id::text where run_key is null;
update public.reconciliation_logs set created_at = coalesce(started_at, now()) where created_at is null;
update public.reconciliation_logs set started_at = created_at where started_at is null;
alter table public.reconciliation_logs
  alter column run_key set not null,
  alter column created_at set default now(),
  alter column created_at set not null,
  alter column started_at set default now(),
  alter column started_at set not null;

-- Only the newest of several rows that claim to run can be running; the others are leftovers of dead processes.
update public.reconciliation_logs r
set status = 'error', finished_at = coalesce(r.finished_at, now()), error_code = 'stale_run',
    error_message = 'The run was still marked as running when leases were introduced.'
where r.status = 'running'
  and exists (
    select 1 from public.reconciliation_logs newer
    where newer.status = 'running' and (newer.started_at, newer.id) > (r.started_at, r.id)
  );

update public.reconciliation_logs r
set attempt = numbered.attempt
from (
  select id, row_number() over (partition by run_key order by started_at, id) as attempt
  from public.reconciliation_logs
) numbered
where numbered.id = r.id and r.attempt <> numbered.attempt;

-- "Newest first" puts nulls before everything: an ended run without an end would pass for the latest for ever.
update public.reconciliation_logs set finished_at = started_at
where finished_at is null and status in ('success', 'partial', 'error');

create unique index if not exists reconciliation_logs_one_running_per_key
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

-- Alerts ---------------------------------------------------------------------------------------------------------

create table if not exists public.billing_alerts (
  id uuid primary key default gen_random_uuid(),
  alert_type text not null,
  severity text not null,
  message text not null,
  metadata jsonb not null default '{}'::jsonb,
  resolved boolean not null default false,
  resolved_at timestamptz,
  resolved_by uuid,
  created_at timestamptz not null default now(),
  alert_key text not null
);
alter table public.billing_alerts
  add column if not exists alert_key text,
  add column if not exists alert_type text not null default 'unknown',
  add column if not exists severity text not null default 'warning',
  add column if not exists message text not null default '',
  add column if not exists metadata jsonb default '{}'::jsonb,
  add column if not exists resolved boolean default false,
  add column if not exists resolved_at timestamptz,
  add column if not exists resolved_by uuid,
  add column if not exists created_at timestamptz not null default now(),
  add column if not exists occurrences integer not null default 1,
  add column if not exists first_seen_at timestamptz,
  add column if not exists last_seen_at timestamptz,
  add column if not exists resolution text,
  add column if not exists resolution_note text,
  add column if not exists previous_alert_id uuid references public.billing_alerts (id) on delete set null,
  add column if not exists severe_since timestamptz,
  add column if not exists acknowledged_at timestamptz,
  add column if not exists acknowledged_by uuid,
  add column if not exists acknowledged_until timestamptz,
  add column if not exists snoozed_until timestamptz,
  add column if not exists snoozed_by uuid,
  add column if not exists newest_member_at timestamptz;

comment on table public.billing_alerts is 'Alarms about billing: one row for each episode of a condition.';
comment on column public.billing_alerts.id is 'The episode''s id.';
comment on column public.billing_alerts.alert_key is
  'Dedup key: names the condition and nothing else. Severity is never part of it.';
comment on column public.billing_alerts.alert_type is 'The kind of condition, for filters.';
comment on column public.billing_alerts.severity is 'critical, high, warning or info. It only rises while the alert is open.';
comment on column public.billing_alerts.message is 'What is wrong, in a sentence; as of last_seen_at.';
comment on column public.billing_alerts.metadata is 'Numbers and samples behind the message. Never a secret.';
comment on column public.billing_alerts.resolved is 'False while the alert is open.';
comment on column public.billing_alerts.resolved_at is 'When it was resolved.';
comment on column public.billing_alerts.resolved_by is 'The person who resolved it; null where the condition cleared.';
comment on column public.billing_alerts.created_at is 'When the row was written: the order of the list.';
comment on column public.billing_alerts.occurrences is 'How often the condition was seen in this episode.';
comment on column public.billing_alerts.first_seen_at is 'When this episode began.';
comment on column public.billing_alerts.last_seen_at is 'When the condition was last seen to hold.';
comment on column public.billing_alerts.resolution is 'manual (by a person) or auto (the condition cleared).';
comment on column public.billing_alerts.resolution_note is 'What the person wrote, or why it was resolved by itself.';
comment on column public.billing_alerts.previous_alert_id is 'The episode before this one, of the same alert_key.';
comment on column public.billing_alerts.severe_since is
  'Since when the alert has been critical or high without interruption; null while it is neither.';
comment on column public.billing_alerts.acknowledged_at is
  'When somebody said that they attend to it. A person sets this and the next four, and nothing else, on an open alert: they end with
  their time, when the alert rises or grows, and when it is resolved.';
comment on column public.billing_alerts.acknowledged_by is 'Who attends to it.';
comment on column public.billing_alerts.acknowledged_until is 'Until when: no repeats are sent before then.';
comment on column public.billing_alerts.snoozed_until is 'Until when nothing is sent. Then one reminder, if it still stands.';
comment on column public.billing_alerts.snoozed_by is 'Who snoozed it.';
comment on column public.billing_alerts.newest_member_at is
  'For a class of drift: when the newest difference that the alert speaks of was first seen. A newer one makes the alert grow.';

select pg_temp.replace_column_checks('public.billing_alerts', 'severity',
  array['critical', 'high', 'warning', 'info']);
select pg_temp.replace_column_checks('public.billing_alerts', 'resolution', array['manual', 'auto']);
-- A condition has one open episode, and any number of ended ones.
select pg_temp.drop_full_uniques('public.billing_alerts', array['alert_key']);
select pg_temp.drop_full_uniques('public.billing_alerts', array['alert_key', 'resolved']);

update public.billing_alerts set created_at = coalesce(resolved_at, now()) where created_at is null;

update public.billing_alerts
set alert_key = case
  when alert_type in ('reconcile_stale', 'high_severity_stale', 'reconcile_failing') then alert_type
  else alert_type || ':' || md5(message)
end
where alert_key is null;

update public.billing_alerts a
set resolved = true, resolved_at = now(), resolution = 'auto',
    resolution_note = 'A newer alert speaks of the same condition.'
where a.resolved is not true
  and exists (
    select 1 from public.billing_alerts newer
    where newer.alert_key = a.alert_key
      and newer.resolved is not true
      and (newer.created_at, newer.id) > (a.created_at, a.id)
  );

update public.billing_alerts set resolved = false where resolved is null;
update public.billing_alerts set metadata = '{}'::jsonb where metadata is null;
update public.billing_alerts set first_seen_at = created_at where first_seen_at is null;
update public.billing_alerts set last_seen_at = coalesce(resolved_at, created_at) where last_seen_at is null;
update public.billing_alerts set severe_since = first_seen_at where severe_since is null and severity in ('critical', 'high');
update public.billing_alerts
set resolution = case when resolved_by is null then 'auto' else 'manual' end
where resolved and resolution is null;

alter table public.billing_alerts
  alter column alert_key set not null,
  alter column created_at set default now(),
  alter column created_at set not null,
  alter column resolved set default false,
  alter column resolved set not null,
  alter column metadata set default '{}'::jsonb,
  alter column metadata set not null,
  alter column first_seen_at set default now(),
  alter column first_seen_at set not null,
  alter column last_seen_at set default now(),
  alter column last_seen_at set not null;

create unique index if not exists billing_alerts_one_open_per_key
  on public.billing_alerts (alert_key) where resolved = false;
comment on index public.billing_alerts_one_open_per_key is
  'Dedup: a condition has at most one unresolved alert, however many callers raise it at once.';
create index billing_alerts_newest on public.billing_alerts (created_at desc, id desc);
comment on index public.billing_alerts_newest is 'The list of all alerts, newest first, by keyset pages.';
create index billing_alerts_open on public.billing_alerts (created_at desc, id desc) include (severity, alert_type)
  where resolved = false;
comment on index public.billing_alerts_open is 'The list of open alerts, and their counts by severity.';
create index billing_alerts_episodes on public.billing_alerts (alert_key, created_at desc);
comment on index public.billing_alerts_episodes is 'Finds the previous episode.';
create index billing_alerts_previous on public.billing_alerts (previous_alert_id) where previous_alert_id is not null;
comment on index public.billing_alerts_previous is 'For the foreign key, when old episodes are pruned.';

-- Policies are combined with OR: one left over from an earlier schema could let more people in than the ones that follow.
do $$
declare
  v_policy record;
begin
  for v_policy in
    select tablename, policyname from pg_catalog.pg_policies
    where schemaname = 'public' and tablename in ('reconciliation_logs', 'billing_alerts')
  loop
    execute format('drop policy %I on public.%I', v_policy.policyname, v_policy.tablename);
  end loop;
end
$$;
alter table public.reconciliation_logs enable row level security;
alter table public.billing_alerts enable row level security;
