-- Brings a database to one shape, whatever version of the earlier migrations it has seen: fewer columns, narrower
-- CHECKs, rows without keys, duplicates. Nothing is dropped but constraints that are made wider, and no row is lost.

create schema if not exists billing_ops;
revoke all on schema billing_ops from public;
grant usage on schema billing_ops to authenticated, service_role;

create function billing_ops.replace_column_checks(p_table regclass, p_column text, p_name text, p_check text)
returns void
language plpgsql
set search_path = ''
as $$
declare
  v_constraint name;
begin
  for v_constraint in
    select c.conname from pg_catalog.pg_constraint c
    where c.conrelid = p_table and c.contype = 'c'
      and c.conkey = array[(select a.attnum from pg_catalog.pg_attribute a
                            where a.attrelid = p_table and a.attname = p_column and not a.attisdropped)]
  loop
    execute pg_catalog.format('alter table %s drop constraint %I', p_table, v_constraint);
  end loop;
  execute pg_catalog.format('alter table %s add constraint %I check (%s) not valid', p_table, p_name, p_check);
  begin
    execute pg_catalog.format('alter table %s validate constraint %I', p_table, p_name);
  exception when check_violation then
    raise warning '% has rows that % would refuse; they stay as they are, new ones are checked', p_table, p_name;
  end;
end
$$;
comment on function billing_ops.replace_column_checks(regclass, text, text, text) is
  'Migrations only: replaces every CHECK on one column by a wider one, keeping rows that even that one would refuse.';
revoke all on function billing_ops.replace_column_checks(regclass, text, text, text) from public, anon, authenticated;

-- People ---------------------------------------------------------------------------------------------------------

alter table public.users add column if not exists role text not null default 'member';
create index if not exists organization_members_user_id_idx on public.organization_members (user_id);

-- Runs -----------------------------------------------------------------------------------------------------------

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
  add column if not exists triggered_by_user uuid;
alter table public.reconciliation_logs alter column status set default 'running';

comment on column public.reconciliation_logs.run_key is
  'Idempotency key: scheduled_YYYY-MM-DD_HH, manual_YYYY-MM-DD_HH:MM or request_<uuid>, in UTC.';
comment on column public.reconciliation_logs.run_type is 'scheduled, manual, webhook_failure or request.';
comment on column public.reconciliation_logs.status is
  'running, success (all was looked at, nothing failed), partial (time budget, or some items failed) or error.';
comment on column public.reconciliation_logs.lookback_hours is 'How far back completed checkout sessions are searched.';
comment on column public.reconciliation_logs.attempt is 'Counts from 1 within a run_key; each attempt is a row of its own.';
comment on column public.reconciliation_logs.heartbeat_at is 'When the attempt last said that it lives.';
comment on column public.reconciliation_logs.lease_expires_at is
  'Until when the attempt owns the run. After that the next caller ends it as stale_run and starts another.';
comment on column public.reconciliation_logs.cursor is
  'What a run that was not complete left to do: open windows, subscriptions that still need a fresh look, counts.';
comment on column public.reconciliation_logs.scanned_count is 'Subscriptions read from Stripe.';
comment on column public.reconciliation_logs.created_count is 'Rows that were missing and have been created.';
comment on column public.reconciliation_logs.updated_count is 'Rows that were repaired.';
comment on column public.reconciliation_logs.mismatch_count is 'Findings other than rows that were missing.';
comment on column public.reconciliation_logs.superseded_count is 'Repairs that lost to a newer write of somebody else.';
comment on column public.reconciliation_logs.skipped_count is
  'Subscriptions left to the next run, as their webhook may still be on its way.';
comment on column public.reconciliation_logs.error_count is 'Items that could not be looked at or repaired.';
comment on column public.reconciliation_logs.total_issues is 'All findings of the run.';
comment on column public.reconciliation_logs.message is 'The run in one sentence.';
comment on column public.reconciliation_logs.error_code is 'Why a run ended in error, for machines: stale_run, stripe_error, …';
comment on column public.reconciliation_logs.error_message is 'Why a run ended in error, for people. Never a secret.';
comment on column public.reconciliation_logs.result is 'What the caller was answered, for duplicates of the call.';
comment on column public.reconciliation_logs.triggered_by is 'cron, secret or admin.';
comment on column public.reconciliation_logs.triggered_by_user is 'The admin, where one pressed Reconcile Now.';

update public.reconciliation_logs set run_key = 'legacy_' || id::text where run_key is null;
alter table public.reconciliation_logs alter column run_key set not null;

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

select billing_ops.replace_column_checks('public.reconciliation_logs', 'status', 'reconciliation_logs_status_check',
  $$status in ('running', 'success', 'partial', 'error')$$);
select billing_ops.replace_column_checks('public.reconciliation_logs', 'run_type', 'reconciliation_logs_run_type_check',
  $$run_type in ('scheduled', 'manual', 'webhook_failure', 'request')$$);

create unique index if not exists reconciliation_logs_one_running_per_key
  on public.reconciliation_logs (run_key) where status = 'running';
create unique index reconciliation_logs_one_running
  on public.reconciliation_logs ((true)) where status = 'running';
comment on index public.reconciliation_logs_one_running is 'Two scans never overlap: one running row, whatever its key.';
create unique index reconciliation_logs_attempts on public.reconciliation_logs (run_key, attempt);
comment on index public.reconciliation_logs_attempts is 'Finds the latest attempt of a key, and keeps attempts distinct.';
create index reconciliation_logs_newest on public.reconciliation_logs (started_at desc, id desc);
comment on index public.reconciliation_logs_newest is 'The list of runs, newest first, by keyset pages.';
create index reconciliation_logs_finished on public.reconciliation_logs (finished_at desc, id desc)
  where status in ('success', 'partial', 'error');
comment on index public.reconciliation_logs_finished is 'The monitor''s facts: last good run, last three results.';

-- Alerts ---------------------------------------------------------------------------------------------------------

alter table public.billing_alerts
  add column if not exists alert_key text,
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
  add column if not exists previous_alert_id uuid references public.billing_alerts (id) on delete set null;

comment on column public.billing_alerts.alert_key is
  'Dedup key: names the condition and nothing else. Severity is never part of it.';
comment on column public.billing_alerts.alert_type is 'The kind of condition, for filters.';
comment on column public.billing_alerts.severity is 'critical, high, warning or info. It only rises while the alert is open.';
comment on column public.billing_alerts.occurrences is 'How often the condition was seen in this episode.';
comment on column public.billing_alerts.first_seen_at is 'When this episode began.';
comment on column public.billing_alerts.last_seen_at is 'When the condition was last seen to hold.';
comment on column public.billing_alerts.resolution is 'manual (by a person) or auto (the condition cleared).';
comment on column public.billing_alerts.resolution_note is 'What the person wrote, or why it was resolved by itself.';
comment on column public.billing_alerts.previous_alert_id is 'The episode before this one, of the same alert_key.';

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
update public.billing_alerts
set resolution = case when resolved_by is null then 'auto' else 'manual' end
where resolved and resolution is null;

alter table public.billing_alerts
  alter column alert_key set not null,
  alter column resolved set default false,
  alter column resolved set not null,
  alter column metadata set default '{}'::jsonb,
  alter column metadata set not null,
  alter column first_seen_at set default now(),
  alter column first_seen_at set not null,
  alter column last_seen_at set default now(),
  alter column last_seen_at set not null;

select billing_ops.replace_column_checks('public.billing_alerts', 'severity', 'billing_alerts_severity_check',
  $$severity in ('critical', 'high', 'warning', 'info')$$);
select billing_ops.replace_column_checks('public.billing_alerts', 'resolution', 'billing_alerts_resolution_check',
  $$resolution in ('manual', 'auto')$$);

create unique index if not exists billing_alerts_one_open_per_key
  on public.billing_alerts (alert_key) where resolved = false;
create index billing_alerts_newest on public.billing_alerts (created_at desc, id desc);
comment on index public.billing_alerts_newest is 'The list of all alerts, newest first, by keyset pages.';
create index billing_alerts_open on public.billing_alerts (created_at desc, id desc) include (severity, alert_type)
  where resolved = false;
comment on index public.billing_alerts_open is 'The list of open alerts, and their counts by severity.';
create index billing_alerts_episodes on public.billing_alerts (alert_key, created_at desc);
comment on index public.billing_alerts_episodes is 'Finds the episode before.';
create index billing_alerts_previous on public.billing_alerts (previous_alert_id) where previous_alert_id is not null;
comment on index public.billing_alerts_previous is 'For the foreign key, when old episodes are pruned.';

-- Subscriptions --------------------------------------------------------------------------------------------------

alter table public.subscriptions
  add column if not exists stripe_customer_id text,
  add column if not exists stripe_subscription_id text,
  add column if not exists tier text,
  add column if not exists current_period_start timestamptz,
  add column if not exists current_period_end timestamptz,
  add column if not exists created_at timestamptz not null default now(),
  add column if not exists updated_at timestamptz not null default now(),
  add column if not exists stripe_price_id text,
  add column if not exists quantity integer,
  add column if not exists cancel_at_period_end boolean,
  add column if not exists trial_end timestamptz,
  add column if not exists livemode boolean,
  add column if not exists stripe_created timestamptz,
  add column if not exists stripe_observed_at timestamptz,
  add column if not exists row_version bigint not null default 1;

comment on column public.subscriptions.status is
  'Stripe''s own word, one of eight (https://docs.stripe.com/api/subscriptions/object#subscription_object-status).';
comment on column public.subscriptions.tier is 'What the customer may use. From PRICE_TIERS or metadata, never guessed.';
comment on column public.subscriptions.stripe_price_id is 'The price of the first item.';
comment on column public.subscriptions.livemode is 'Stripe''s live mode; null until it has been observed.';
comment on column public.subscriptions.stripe_created is 'When Stripe created it: the coordinate by which scans are split.';
comment on column public.subscriptions.stripe_observed_at is 'When a reconcile run last wrote what it had read from Stripe.';
comment on column public.subscriptions.row_version is
  'Rises with every change of the row, by a trigger; a repair applies only to the version that it was made for.';

select billing_ops.replace_column_checks('public.subscriptions', 'status', 'subscriptions_status_check',
  $$status in ('incomplete', 'incomplete_expired', 'trialing', 'active', 'past_due', 'canceled', 'unpaid', 'paused')$$);

do $$
begin
  create unique index subscriptions_stripe_subscription_id_key
    on public.subscriptions (stripe_subscription_id) where stripe_subscription_id is not null;
exception when unique_violation then
  -- No row may be lost and none can be called the right one: lookups still need their index.
  raise warning 'public.subscriptions holds a stripe_subscription_id more than once; please resolve, then add the unique index';
  create index subscriptions_stripe_subscription_id_key
    on public.subscriptions (stripe_subscription_id) where stripe_subscription_id is not null;
end
$$;
comment on index public.subscriptions_stripe_subscription_id_key is 'One row for a Stripe subscription.';
create index subscriptions_stripe_created_idx on public.subscriptions (stripe_created, id)
  where stripe_subscription_id is not null;
comment on index public.subscriptions_stripe_created_idx is
  'Rows of a scan''s window, and (as nulls sort last) those that no scan has placed yet.';
create index subscriptions_stripe_customer_id_idx on public.subscriptions (stripe_customer_id)
  where stripe_customer_id is not null;
comment on index public.subscriptions_stripe_customer_id_idx is 'Whose customer a subscription without an organization is.';
create index subscriptions_live_organization_idx on public.subscriptions (organization_id)
  where status in ('trialing', 'active', 'past_due', 'unpaid', 'paused');
comment on index public.subscriptions_live_organization_idx is 'Organizations with two live subscriptions.';
create index if not exists subscriptions_organization_id_idx on public.subscriptions (organization_id);
comment on index public.subscriptions_organization_id_idx is 'For the foreign key.';

create function billing_ops.bump_row_version()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  new.row_version := old.row_version + 1;
  new.updated_at := pg_catalog.clock_timestamp();
  return new;
end
$$;
comment on function billing_ops.bump_row_version() is
  'Keeps row_version and updated_at true, whoever writes the row and whatever they set.';
revoke all on function billing_ops.bump_row_version() from public, anon, authenticated;
create trigger subscriptions_row_version before update on public.subscriptions
  for each row execute function billing_ops.bump_row_version();
comment on trigger subscriptions_row_version on public.subscriptions is 'Compare-and-set rests on it.';
