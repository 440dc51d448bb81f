-- Drift: one row for as long as a difference stands, however many runs see it. Written by apply_reconciliation_batch
-- (32_repairs) and finish_reconciliation_run (30_runs), read by admins (60_admin_pages), deleted by retention (51_retention).

-- Room on each page for a second version of every row: a run that sees an entry again changes no indexed column, so the new
-- version stays on the page and no index grows. (At 70 only 43 % of them found room in the second run: PERFORMANCE-SQL.md.)
create table public.drift (
  id uuid primary key default gen_random_uuid(),
  drift_key text not null,
  type text not null,
  severity text not null check (severity in ('critical', 'high', 'warning', 'info')),
  owner text,
  stripe_subscription_id text,
  stripe_customer_id text,
  livemode boolean,
  issue text not null,
  details jsonb not null default '{}'::jsonb,
  proposal jsonb,
  lowers_access boolean not null default false,
  action text not null check (action in ('repaired', 'created', 'moved', 'observed', 'waiting', 'held', 'excepted',
                                         'superseded', 'refused', 'none', 'cleared', 'reverted')),
  reason text,
  first_seen_at timestamptz not null,
  last_seen_at timestamptz not null,
  seen_count integer not null default 1,
  first_run_id uuid not null,
  last_run_id uuid not null,
  closed_at timestamptz,
  closed_run_id uuid,
  decided_by uuid,
  decided_at timestamptz,
  note text,
  excepted_until timestamptz,
  before jsonb,
  row_key text,
  row_version text
) with (fillfactor = 45);
comment on table public.drift is
  'Differences between Stripe and the database: one row for as long as a difference stands. A repaired one opens and closes in
  the same run.';
comment on column public.drift.id is 'The entry''s id.';
comment on column public.drift.drift_key is '<type>:<subject>: the dedup key while the entry is open.';
comment on column public.drift.type is 'The drift class: status_mismatch, missing_in_database, …';
comment on column public.drift.severity is 'critical, high, warning or info.';
comment on column public.drift.owner is 'Whose subscription it is, where known. Not a foreign key: the entry outlives the owner.';
comment on column public.drift.stripe_subscription_id is 'Stripe''s sub_….';
comment on column public.drift.stripe_customer_id is 'Stripe''s cus_….';
comment on column public.drift.livemode is 'Stripe''s live mode.';
comment on column public.drift.issue is 'The difference in a sentence; as of last_seen_at.';
comment on column public.drift.details is '{column: {"database": …, "stripe": …}}; as of last_seen_at.';
comment on column public.drift.proposal is 'What a repair would set, where one is possible and has not been made.';
comment on column public.drift.lowers_access is 'Whether the repair takes something away from the customer.';
comment on column public.drift.action is
  'What was done about it. Closed: repaired, created, moved, cleared (it went away by itself), reverted. Open: observed, waiting,
  held (circuit breaker), excepted, superseded (a newer write won), refused (by the table), none (a person decides).';
comment on column public.drift.reason is 'Why, where the action alone does not say it: who or what refused it, or what it waits for.';
comment on column public.drift.first_seen_at is 'When a run first saw it.';
comment on column public.drift.last_seen_at is 'When a run last saw it.';
comment on column public.drift.seen_count is 'How many runs have seen it.';
comment on column public.drift.first_run_id is 'The attempt that first saw it. Not a foreign key: the entry may outlive the run.';
comment on column public.drift.last_run_id is 'The attempt that last saw it.';
comment on column public.drift.closed_at is 'When it ended; null while it stands.';
comment on column public.drift.closed_run_id is 'The attempt that repaired it or no longer saw it.';
comment on column public.drift.decided_by is 'The person who decided about it.';
comment on column public.drift.decided_at is 'When they did.';
comment on column public.drift.note is 'What they wrote.';
comment on column public.drift.excepted_until is 'Until when a person lets it stand.';
comment on column public.drift.before is
  'Where it was repaired: what the row said before in the fields that were set, by the mapping''s words. revert_drift puts it back.';
comment on column public.drift.row_key is 'The row that was repaired.';
comment on column public.drift.row_version is
  'The version that the repair left that row in: while the row still has it, nobody has written it since.';
create unique index drift_one_open_per_key on public.drift (drift_key) where closed_at is null;
comment on index public.drift_one_open_per_key is 'Dedup: a difference has one entry while it stands.';
create index drift_open on public.drift (first_seen_at desc, id desc) include (type, severity, action) where closed_at is null;
comment on index public.drift_open is 'The list of what stands, newest first, and its counts.';
create index drift_open_subscription on public.drift (stripe_subscription_id) where closed_at is null;
comment on index public.drift_open_subscription is 'The open entries of the subscriptions that a run compares.';
create index drift_newest on public.drift (first_seen_at desc, id desc);
comment on index public.drift_newest is 'The list of all entries, newest first, by keyset pages.';
-- These two hold what the page of a run counts and sorts by: the table itself is ten times as large.
create index drift_first_run on public.drift (first_run_id) include (type, first_seen_at, id);
comment on index public.drift_first_run is 'What was new in a run.';
create index drift_closed_run on public.drift (closed_run_id, drift_key) include (type, first_seen_at, id)
  where closed_run_id is not null;
comment on index public.drift_closed_run is 'What a run ended, and whether a batch that is sent again has been applied.';
create index drift_age on public.drift (closed_at) include (type, action) where closed_at is not null;
comment on index public.drift_age is 'What retention deletes, and how much ended in which way: the metrics count it without reading the table.';
create index drift_row on public.drift (row_key) where row_key is not null;
comment on index public.drift_row is 'The other repairs that the same write made.';
alter table public.drift enable row level security;
create policy drift_admin_read on public.drift
  for select to authenticated using ((select billing_ops.caller_standing() = 'ok'));
comment on policy drift_admin_read on public.drift is
  'Admins of any organization read: global operational data, by intention.';

create table public.drift_events (
  id bigint generated always as identity primary key,
  drift_id uuid not null references public.drift (id) on delete cascade,
  event text not null,
  run_id uuid,
  actor uuid,
  note text,
  created_at timestamptz not null default now()
);
comment on table public.drift_events is 'History of drift, append only: what became of an entry, by which run or person, and why.';
comment on column public.drift_events.id is 'Rises in the order of events.';
comment on column public.drift_events.drift_id is 'The entry that it happened to.';
comment on column public.drift_events.event is
  'The entry''s action after the event; or allowed: a person let a run write it in spite of the circuit breaker.';
comment on column public.drift_events.run_id is 'The attempt that did it; null where a person did.';
comment on column public.drift_events.actor is 'The person who did it; null where a run did.';
comment on column public.drift_events.note is 'The entry''s reason, or what the person wrote.';
comment on column public.drift_events.created_at is 'When it happened.';
create index drift_events_drift on public.drift_events (drift_id, id);
comment on index public.drift_events_drift is 'The history of one entry.';
create index drift_events_time on public.drift_events (created_at, id);
comment on index public.drift_events_time is 'The history of a span of time, oldest first, by keyset pages.';
alter table public.drift_events enable row level security;
create policy drift_events_admin_read on public.drift_events
  for select to authenticated using ((select billing_ops.caller_standing() = 'ok'));
comment on policy drift_events_admin_read on public.drift_events is
  'Admins of any organization read: global operational data, by intention.';

create function billing_ops.ends_drift(p_action text)
returns boolean
language sql immutable
set search_path = ''
as $$
  select p_action in ('repaired', 'created', 'moved', 'cleared', 'reverted')
$$;
comment on function billing_ops.ends_drift(text) is 'Whether a difference is gone after this action.';

create function billing_ops.record_drift(p_run_id uuid, p_found jsonb, p_actor uuid default null)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_now timestamptz := clock_timestamp();
  v_entries jsonb;
begin
  with found as materialized (
    -- A batch may name one difference twice, for example where an object that cannot be read has no id: the last word counts.
    select distinct on (f.drift_key) f.*,
      case when billing_ops.ends_drift(f.action) then v_now end as closed_at,
      case when billing_ops.ends_drift(f.action) then p_run_id end as closed_run_id
    from rows from (jsonb_to_recordset(p_found) as (
      drift_key text, type text, severity text, owner text, stripe_subscription_id text, stripe_customer_id text,
      livemode boolean, issue text, details jsonb, proposal jsonb, lowers_access boolean, action text, reason text,
      before jsonb, row_key text, row_version text)) with ordinality f
    -- What this run has ended with this action already came with the same batch, sent before its answer was lost.
    where not exists (
      select 1 from public.drift d
      where d.closed_run_id = p_run_id and d.drift_key = f.drift_key and d.action = f.action)
    order by f.drift_key, f.ordinality desc
  ),
  before as materialized (
    select d.id, d.drift_key, d.action, d.reason,
      -- What a person lets stand stays so, whatever a run would make of it, until it is gone.
      coalesce(d.excepted_until > v_now, false) and f.closed_at is null as excepted
    from public.drift d join found f on f.drift_key = d.drift_key
    where d.closed_at is null
  ),
  again as (
    update public.drift d
    set severity = f.severity, owner = f.owner, stripe_customer_id = f.stripe_customer_id, livemode = f.livemode,
        issue = f.issue, details = coalesce(f.details, '{}'), proposal = f.proposal,
        lowers_access = coalesce(f.lowers_access, false),
        action = case when b.excepted then 'excepted' else f.action end, reason = case when not b.excepted then f.reason end,
        last_seen_at = v_now, last_run_id = coalesce(p_run_id, d.last_run_id),
        seen_count = d.seen_count + coalesce((d.last_run_id <> p_run_id)::integer, 0),
        closed_at = f.closed_at, closed_run_id = f.closed_run_id,
        before = f.before, row_key = f.row_key, row_version = f.row_version
    from found f join before b on b.drift_key = f.drift_key
    where d.id = b.id and d.closed_at is null
    returning d.id, d.drift_key, d.action, d.reason, d.first_seen_at, b.action as action_before, b.reason as reason_before
  ),
  new as (
    insert into public.drift as d
      (drift_key, type, severity, owner, stripe_subscription_id, stripe_customer_id, livemode, issue, details, proposal,
       lowers_access, action, reason, first_seen_at, last_seen_at, first_run_id, last_run_id, closed_at, closed_run_id,
       before, row_key, row_version)
    select f.drift_key, f.type, f.severity, f.owner, f.stripe_subscription_id, f.stripe_customer_id, f.livemode, f.issue,
      coalesce(f.details, '{}'), f.proposal, coalesce(f.lowers_access, false), f.action, f.reason, v_now, v_now, p_run_id,
      p_run_id, f.closed_at, f.closed_run_id, f.before, f.row_key, f.row_version
    from found f
    where not exists (select 1 from before b where b.drift_key = f.drift_key)
    -- Another writer opened it between the two statements: theirs stands, and this run has seen it.
    on conflict (drift_key) where closed_at is null do update
      set last_seen_at = excluded.last_seen_at, last_run_id = excluded.last_run_id,
          action = case when d.excepted_until > v_now then d.action else excluded.action end,
          reason = case when d.excepted_until > v_now then d.reason else excluded.reason end
    returning d.id, d.drift_key, d.action, d.reason, d.first_seen_at
  ),
  history as (
    insert into public.drift_events (drift_id, event, run_id, actor, note)
    select n.id, n.action, p_run_id, p_actor, n.reason from new n
    union all
    select a.id, a.action, p_run_id, p_actor, a.reason from again a
    where p_actor is not null or (a.action, a.reason) is distinct from (a.action_before, a.reason_before)
  )
  select jsonb_agg(jsonb_build_array(e.drift_key, e.id, billing_ops.utc(e.first_seen_at), e.action)) into v_entries
  from (
    select id, drift_key, first_seen_at, action from new
    union all
    select id, drift_key, first_seen_at, action from again
    union all
    select d.id, d.drift_key, d.first_seen_at, d.action from public.drift d
    where d.closed_run_id = p_run_id
      and d.drift_key in (select f.drift_key from jsonb_to_recordset(p_found) as f (drift_key text))
  ) e;
  return coalesce(v_entries, '[]');
end
$$;
comment on function billing_ops.record_drift(uuid, jsonb, uuid) is
  'Opens entries for differences that are new, notes that a run has seen the others again, and closes those whose action ends
  them. What a person lets stand stays excepted. p_actor: the person who decided, where no run did (p_run_id null); then every
  entry is there already. Answers [[drift_key, id, first_seen_at, action], …]. History gets an event where an entry is new or its
  action changes, and for whatever a person does.';

create function billing_ops.clear_drift(p_run_id uuid, p_keys text[])
returns void
language sql
set search_path = ''
as $$
  with cleared as (
    update public.drift
    set action = 'cleared', reason = null, closed_at = pg_catalog.clock_timestamp(), closed_run_id = p_run_id
    where drift_key = any (p_keys) and closed_at is null
    returning id
  )
  insert into public.drift_events (drift_id, event, run_id) select c.id, 'cleared', p_run_id from cleared c
$$;
comment on function billing_ops.clear_drift(uuid, text[]) is
  'Closes entries whose subject a run has looked at without seeing the difference any more.';
