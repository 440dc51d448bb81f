-- Drift, and the runs that find and repair it.

set local lock_timeout = '10s';

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

-- Policies: what may follow from a difference, by class, as people have set it. The setting REPAIR_MODE is above them, and is not here:
-- no session can raise it.

create table public.drift_policies (
  type text primary key,
  mode text not null default 'auto' check (mode in ('observe', 'approve', 'auto')),
  version integer not null default 0,
  updated_by uuid,
  updated_at timestamptz,
  allowed_count integer,
  allowed_until timestamptz,
  allowed_by uuid,
  allowed_run uuid
);
comment on table public.drift_policies is 'What may follow from a difference, by class. A class without a row is auto: the setting decides.';
comment on column public.drift_policies.type is 'The drift class.';
comment on column public.drift_policies.mode is 'observe (put on record), approve (a person decides about each) or auto (a run repairs it).';
comment on column public.drift_policies.version is 'Rises with each change of the mode, so that nobody overwrites what they have not seen.';
comment on column public.drift_policies.updated_by is 'The person who set the mode.';
comment on column public.drift_policies.updated_at is 'When they did.';
comment on column public.drift_policies.allowed_count is 'How many repairs a person lets one run write in spite of the circuit breaker.';
comment on column public.drift_policies.allowed_until is 'Until when that run may begin.';
comment on column public.drift_policies.allowed_by is 'The person.';
comment on column public.drift_policies.allowed_run is 'The run that has made use of it. Not a foreign key: the policy outlives the run.';
alter table public.drift_policies enable row level security;
create policy drift_policies_admin_read on public.drift_policies
  for select to authenticated using ((select billing_ops.caller_standing() = 'ok'));
comment on policy drift_policies_admin_read on public.drift_policies is
  'Admins of any organization read: global operational data, by intention.';

create function billing_ops.lower_mode(p_one text, p_other text)
returns text
language sql immutable
set search_path = ''
as $$
  select m.word from pg_catalog.unnest(array['observe', 'approve', 'auto']) with ordinality m (word, rank)
  where m.word in (p_one, p_other) order by m.rank limit 1
$$;
comment on function billing_ops.lower_mode(text, text) is 'Of two modes, the one in which less happens.';

create function billing_ops.policy_mode(p_type text)
returns text
language sql stable
set search_path = ''
as $$
  select coalesce((select p.mode from public.drift_policies p where p.type = p_type), 'auto')
$$;
comment on function billing_ops.policy_mode(text) is 'The mode that people have set for a class of drift.';

create function billing_ops.policies_json()
returns jsonb
language sql stable
set search_path = ''
as $$
  select pg_catalog.jsonb_build_object(
    'policies', (
      select coalesce(pg_catalog.jsonb_object_agg(p.type, pg_catalog.jsonb_build_object('mode', p.mode, 'version', p.version, 'updated_by', p.updated_by,
        'updated_at', billing_ops.utc(p.updated_at))), '{}')
      from public.drift_policies p),
    'previews', (
      select coalesce(pg_catalog.jsonb_object_agg(c.type, pg_catalog.jsonb_build_object('repairs', c.repairs, 'raises', c.raises, 'lowers', c.lowers,
        'creates', c.creates)), '{}')
      from (
        select d.type, count(*) as repairs, count(*) filter (where d.lowers_access) as lowers,
          count(*) filter (where d.severity = 'critical' and not d.lowers_access and d.type <> 'missing_in_database') as raises,
          count(*) filter (where d.type = 'missing_in_database') as creates
        from public.drift d
        where d.closed_at is null and d.proposal is not null and d.action <> 'excepted' group by d.type
      ) c))
$$;
comment on function billing_ops.policies_json() is 'What people have set by class, and how much of what stands a run would repair.';

create function public.set_drift_policy(p_type text, p_mode text, p_if_version integer, p_actor uuid)
returns jsonb
language plpgsql
set search_path = ''
as $$
begin
  insert into public.drift_policies (type) values (p_type) on conflict do nothing;
  update public.drift_policies
  set mode = p_mode, version = version + 1, updated_by = p_actor, updated_at = clock_timestamp()
  where type = p_type and version = p_if_version;
  if not found then
    return jsonb_build_object('outcome', 'conflict');
  end if;
  return jsonb_build_object('outcome', 'done') || billing_ops.policies_json();
end
$$;
comment on function public.set_drift_policy(text, text, integer, uuid) is
  'Sets the mode of a class in a person''s name. Answers {outcome: done|conflict} and, where it
  was done, billing_ops.policies_json(); conflict: somebody was quicker, and p_if_version is no
  longer the version.';

create function public.allow_held_drift(p_type text, p_count integer, p_repair_mode text, p_actor uuid)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_held bigint;
  v_until timestamptz := clock_timestamp() + interval '24 hours';
begin
  if billing_ops.lower_mode(billing_ops.policy_mode(p_type), p_repair_mode) <> 'auto' then
    return jsonb_build_object('outcome', 'not_written');
  end if;
  with held as (
    select d.id from public.drift d where d.closed_at is null and d.type = p_type and d.action = 'held'
  ),
  history as (
    insert into public.drift_events (drift_id, event, actor)
    select h.id, 'allowed', p_actor from held h where (select count(*) from held) = p_count
  )
  select count(*) into v_held from held;
  if v_held = 0 or v_held <> p_count then
    return jsonb_build_object('outcome', 'conflict', 'held', v_held);
  end if;
  insert into public.drift_policies as p (type, allowed_count, allowed_until, allowed_by)
  values (p_type, p_count, v_until, p_actor)
  on conflict (type) do update
    set allowed_count = excluded.allowed_count, allowed_until = excluded.allowed_until, allowed_by = excluded.allowed_by,
        allowed_run = null;
  return jsonb_build_object('outcome', 'allowed', 'until', billing_ops.utc(v_until));
end
$$;
comment on function public.allow_held_drift(text, integer, text, uuid) is
  'Lets the next run that begins within 24 hours write p_count repairs of a class in spite of the circuit breaker: as many as are held now,
  and no more. Answers {outcome: allowed, until}, {outcome: conflict, held} where a different number is held, or {outcome: not_written} where no
  run writes this class.';

create function billing_ops.exceptions_ending()
returns jsonb
language sql stable
set search_path = ''
as $$
  select case when count(*) = 0
    then '{"alert_key": "exceptions_ending", "alert_type": "exceptions_ending", "state": "clear", "message": "No exception ends soon."}'::jsonb
    else pg_catalog.jsonb_build_object('alert_key', 'exceptions_ending', 'alert_type', 'exceptions_ending', 'state', 'holds', 'severity', 'info',
      'message', pg_catalog.format('%s %s let stand until %s or soon after, the first of them; then it is repaired or alerted again.', count(*),
        case when count(*) = 1 then 'difference is' else 'differences are' end,
        pg_catalog.to_char(min(d.excepted_until) at time zone 'utc', 'YYYY-MM-DD HH24:MI "UTC"')),
      'metadata', pg_catalog.jsonb_build_object('count', count(*), 'first_ends_at', billing_ops.utc(min(d.excepted_until)),
        'samples', (pg_catalog.array_agg(coalesce(d.stripe_subscription_id, d.owner) order by d.excepted_until))[1:5])) end
  from public.drift d
  -- That an exception of three days or less ends soon is no news, so it is left out.
  where d.closed_at is null and d.excepted_until between now() and now() + interval '3 days'
    and d.excepted_until - d.decided_at > interval '3 days'
$$;
comment on function billing_ops.exceptions_ending() is
  'The condition exceptions_ending, as apply_condition_outcomes takes it: it holds where an exception that was made for
  more than three days ends within the next three.';

-- Subscriptions about which Stripe says that something changed: a set, so that events that come twice, late or out of order fold into
-- one row. Events speed things up, but only the scan is proof: a run that follows events never says that all is well.

create table public.stripe_due (
  stripe_subscription_id text primary key,
  first_event_at timestamptz not null default now(),
  last_event_at timestamptz not null default now(),
  due_at timestamptz not null,
  attempts integer not null default 0,
  version bigint generated always as identity
);
comment on table public.stripe_due is 'Subscriptions to be read afresh from Stripe, because an event spoke of them.';
comment on column public.stripe_due.stripe_subscription_id is 'Stripe''s sub_….';
comment on column public.stripe_due.first_event_at is 'When the first event came since it was last read.';
comment on column public.stripe_due.last_event_at is 'When the latest event came.';
comment on column public.stripe_due.due_at is 'When it may be read: the app''s own webhook goes first.';
comment on column public.stripe_due.attempts is 'How often it was read but could not be judged.';
comment on column public.stripe_due.version is 'A new one after each event: what was read before that event does not settle it.';
create index stripe_due_due_at on public.stripe_due (due_at, stripe_subscription_id);
comment on index public.stripe_due_due_at is 'What is due, the oldest first.';
alter table public.stripe_due enable row level security;
create policy stripe_due_admin_read on public.stripe_due
  for select to authenticated using ((select billing_ops.caller_standing() = 'ok'));
comment on policy stripe_due_admin_read on public.stripe_due is
  'Admins of any organization read: global operational data, by intention.';

create function public.note_stripe_events(p_events jsonb)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_now timestamptz := clock_timestamp();
begin
  -- In the order of the ids, so that two callers never wait for each other.
  insert into public.stripe_due as d (stripe_subscription_id, first_event_at, last_event_at, due_at)
  select e.said ->> 0, v_now, v_now, v_now + make_interval(secs => min((e.said ->> 1)::double precision))
  from jsonb_array_elements(p_events) e (said)
  group by 1 order by 1
  on conflict (stripe_subscription_id) do update
  set last_event_at = v_now,
      version = default,
      attempts = 0,
      -- It has been read since the first one.
      first_event_at = case when d.attempts > 0 then v_now else d.first_event_at end,
      due_at = case
        -- News of what could not be judged is a reason to try sooner, not later.
        when d.attempts > 0 then least(d.due_at, excluded.due_at)
        -- One change makes several events, each with a webhook of the app's; but one that keeps changing is not put off for ever.
        else least(excluded.due_at, d.first_event_at + interval '10 minutes')
      end;
  return jsonb_build_object('outcome', 'noted');
end
$$;
comment on function public.note_stripe_events(jsonb) is
  'Notes that something happened to subscriptions: [[stripe_subscription_id, seconds until it may be read], …]. A later event puts it
  off again, to at most ten minutes after the first. Answers {outcome: noted}.';

create function public.read_due_subscriptions(p_limit integer, p_since timestamptz default null)
returns jsonb
language sql stable
set search_path = ''
as $$
  select coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(d.stripe_subscription_id, d.version) order by d.due_at, d.stripe_subscription_id), '[]')
  from (
    select * from public.stripe_due s
    where s.due_at <= pg_catalog.clock_timestamp() and (p_since is null or s.last_event_at >= p_since)
    order by s.due_at, s.stripe_subscription_id limit p_limit
  ) d
$$;
comment on function public.read_due_subscriptions(integer, timestamptz) is
  'What is due, the oldest first: [[stripe_subscription_id, version], …]; p_since: only what had an event since. To be read before Stripe is
  asked.';

create function billing_ops.settle_due(p_due jsonb, p_before timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
declare
  v_ids text[];
begin
  -- All of them in one order, as above.
  v_ids := array(
    select d.stripe_subscription_id from public.stripe_due d
    where d.last_event_at < p_before or d.stripe_subscription_id in (
      select s.said ->> 0 from jsonb_array_elements((p_due -> 'done') || (p_due -> 'again')) s (said))
    order by d.stripe_subscription_id for update);
  delete from public.stripe_due d
  using jsonb_array_elements(p_due -> 'done') s (said)
  where d.stripe_subscription_id = s.said ->> 0 and d.version = (s.said ->> 1)::bigint;
  -- What is left of these had another event while it was read.
  update public.stripe_due d set first_event_at = d.last_event_at
  from jsonb_array_elements(p_due -> 'done') s (said)
  where d.stripe_subscription_id = s.said ->> 0;
  update public.stripe_due d
  set attempts = d.attempts + 1,
      due_at = clock_timestamp() + least(interval '5 minutes' * power(2, least(d.attempts, 4)), interval '1 hour')
  from jsonb_array_elements(p_due -> 'again') s (said)
  where d.stripe_subscription_id = s.said ->> 0 and d.version = (s.said ->> 1)::bigint;
  delete from public.stripe_due d
  where d.stripe_subscription_id = any (v_ids) and d.last_event_at < p_before
    and not exists (select 1 from jsonb_array_elements(p_due -> 'again') s (said) where s.said ->> 0 = d.stripe_subscription_id);
end
$$;
comment on function billing_ops.settle_due(jsonb, timestamptz) is
  'Of {done: [[stripe_subscription_id, version], …], again: […]}, takes what is done out of the set, and makes the rest due again after 5 minutes,
  doubled up to an hour; each only if no event has come since it was read. Also takes out all else whose last event was before p_before.';

-- Reconcile runs, from start to finish. start_reconciliation_run decides who holds the lease; hold_run extends it, and
-- says "fenced" to whoever has lost it. Each writer is fenced by run id, attempt and status, so that a process that was
-- given up for dead changes nothing when it comes back. Start, heartbeat and finish are one round trip each.

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

-- What a run reads, in as few calls as there are groups of pages: the adopted table's shape, the rows to compare, the rows that
-- Stripe did not list, and owners who pay twice. How the table itself is read is the adapter's business (23_adapter).

create function billing_ops.adoption_report()
returns jsonb
language sql stable security definer
set search_path = ''
as $$
  select pg_catalog.jsonb_build_object('state', billing_ops.adapter_state(), 'candidates', billing_ops.detect())
$$;
comment on function billing_ops.adoption_report() is
  'What is adopted, and what could be. Definer: proposing a mapping means looking at tables on which service_role has no rights yet.';

create function public.billing_ops_adoption()
returns jsonb
language sql stable
set search_path = ''
as $$
  select billing_ops.adoption_report()
$$;
comment on function public.billing_ops_adoption() is
  'For whoever sets a deployment up: {state: billing_ops.adapter_state(), candidates: billing_ops.detect()}.';

create function public.read_adapter_for_reconcile(p_access jsonb)
returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  v_state jsonb := billing_ops.adapter_state();
  v_granting bigint := 0;
  v_livemode boolean;
  v_policies jsonb;
begin
  begin
    select coalesce(jsonb_object_agg(p.type, p.mode), '{}') into v_policies from public.drift_policies p where p.mode <> 'auto';
  exception when insufficient_privilege or undefined_table or undefined_column then
    -- What cannot be read counts as observe.
    v_policies := null;
  end;
  if p_access is not null and (v_state ->> 'readable')::boolean then
    v_granting := billing_ops.adapter_granting(array(select jsonb_array_elements_text(p_access)));
    -- Of the newest subscriptions, those with a row: strangers say nothing about the mode of the rows.
    with seen as materialized (
      select m.stripe_subscription_id as id, m.livemode from billing_ops.subscription_marks m
      where m.livemode is not null order by m.created desc limit 1000
    )
    -- Where there are as many of either mode, neither is called the wrong one.
    select case sign(count(*) filter (where s.livemode) - count(*) filter (where not s.livemode)) when 1 then true when -1 then false end
    into v_livemode
    from seen s join billing_ops.adapter_present(array(select id from seen)) p on p = s.id;
  end if;
  return v_state || jsonb_build_object(
    'granting', v_granting,
    'livemode', v_livemode,
    'policies', v_policies,
    'horizon', pg_snapshot_xmin(pg_current_snapshot())::text,
    'columns', (
      select coalesce(jsonb_object_agg(m.word, m.attribute), '{}')
      from billing_ops.adoption a cross join lateral billing_ops.mapped_columns(a.mapping) m
      where m.word = any (array['customer'] || billing_ops.mapping_fields())));
end
$$;
comment on function public.read_adapter_for_reconcile(jsonb) is
  'Before a run asks Stripe: billing_ops.adapter_state(); granting: rows in one of the statuses p_access; livemode: which mode most of the
  rows are in, as far as scans have seen them; null if that is not known (both only where p_access is given); policies: the classes that
  people have set to less than auto, null where that cannot be read; columns: what the mapped words are called in the app''s table; and
  the horizon, by which a later read tells which rows have been written since.';

create function public.read_subscriptions_for_reconcile(
  p_listed jsonb,
  p_named jsonb default '[]',
  p_livemode boolean default null,
  p_horizon text default null,
  p_created_from timestamptz default null,
  p_created_to timestamptz default null,
  p_unlisted_limit integer default 1000
)
returns json
language plpgsql
set search_path = ''
as $$
declare
  -- Taken before anything is read: what commits from here on counts as written since.
  v_horizon constant text := pg_snapshot_xmin(pg_current_snapshot())::text;
  v_listed constant text[] := array(select l ->> 0 from jsonb_array_elements(p_listed) l);
  v_all constant text[] := v_listed || array(select jsonb_array_elements_text(p_named));
  v_marked text[];
  v_other_mode json;
  v_looked_up json;
  v_unlisted text[] := '{}'::text[];
  v_open json;
  v_excepted json;
  v_rows json;
begin
  select array_agg(m.stripe_subscription_id),
    json_agg(m.stripe_subscription_id) filter (where m.livemode <> p_livemode),
    json_agg(json_build_array(m.stripe_subscription_id, m.owner, m.owner_source)) filter (where m.looked_up_at is not null)
  into v_marked, v_other_mode, v_looked_up
  from billing_ops.subscription_marks m
  where m.stripe_subscription_id = any (v_all);

  -- No lease guards this: that Stripe lists a subscription is true whoever writes it down.
  if cardinality(v_listed) > 0 then
    insert into billing_ops.subscription_marks (stripe_subscription_id, created, livemode)
    -- Up to the year 9999: an odd object may give any number for a time.
    select l.said ->> 0, to_timestamp(least(greatest((l.said ->> 1)::bigint, 0), 253402300799)), p_livemode
    from jsonb_array_elements(p_listed) l (said)
    where not exists (select 1 from unnest(v_marked) k where k = l.said ->> 0)
    -- In one order, or two that list the same for the first time could wait for one another.
    order by l.said ->> 0
    on conflict do nothing;
  end if;

  select json_agg(r) into v_rows from billing_ops.adapter_read(v_all, p_horizon::xid8) r;

  if p_created_from is not null then
    v_unlisted := array(select billing_ops.adapter_unlisted(p_created_from, p_created_to, v_all));
  end if;

  select json_agg(json_build_array(d.stripe_subscription_id, d.drift_key)),
    json_agg(d.drift_key) filter (where d.excepted_until > clock_timestamp())
  into v_open, v_excepted
  from public.drift d
  where d.closed_at is null and d.stripe_subscription_id = any (v_all);

  return json_build_object(
    'horizon', v_horizon,
    'rows', coalesce(v_rows, '[]'::json),
    'other_mode', coalesce(v_other_mode, '[]'),
    'looked_up', coalesce(v_looked_up, '[]'),
    'open', coalesce(v_open, '[]'),
    'excepted', coalesce(v_excepted, '[]'),
    'unlisted', to_json(v_unlisted[1:p_unlisted_limit]),
    'unlisted_count', cardinality(v_unlisted));
end
$$;
comment on function public.read_subscriptions_for_reconcile(jsonb, jsonb, boolean, text, timestamptz, timestamptz, integer) is
  'For a part of Stripe''s list. p_listed: [[stripe_subscription_id, created in Unix seconds], …] as Stripe lists them, in p_livemode;
  each gets a mark if it has none. p_named: further ids. Answers {horizon, rows, other_mode, looked_up, open, excepted, unlisted,
  unlisted_count}: the rows of all these ids as the adapter reads them, compared with p_horizon; those of the ids whose mark is of the
  other mode; those whose checkout has been looked up before, [id, owner, source]; their open differences, [id, drift_key], and the keys
  of those that a person lets stand; and the ids of rows marked as created in [from, to) that are not among them (at most
  p_unlisted_limit; the count is of all).';

create function public.read_owners_for_reconcile(p_owners jsonb)
returns json
language sql stable
set search_path = ''
as $$
  select coalesce(pg_catalog.json_agg(o), '[]')
  from billing_ops.adapter_owners(array(select pg_catalog.jsonb_array_elements_text(p_owners))) o
$$;
comment on function public.read_owners_for_reconcile(jsonb) is 'Those of these owners who exist.';

create function public.read_rows_of_owners_for_reconcile(p_owners jsonb)
returns json
language sql stable
set search_path = ''
as $$
  select coalesce(pg_catalog.json_agg(r), '[]')
  from billing_ops.adapter_rows_of_owners(array(select pg_catalog.jsonb_array_elements_text(p_owners)), null) r
  where r ->> 3 is not null
$$;
comment on function public.read_rows_of_owners_for_reconcile(jsonb) is
  'The rows of these owners that follow a Stripe subscription, as the adapter reads them.';

create function public.read_unplaced_subscriptions(p_after text default null, p_limit integer default 1000, p_rows integer default 50000)
returns json
language sql stable
set search_path = ''
as $$
  select pg_catalog.json_build_object(
    'rows', u.piece -> 'rows',
    'next', u.piece -> 'next',
    'odd', (select coalesce(pg_catalog.json_agg(pg_catalog.json_build_array(o.key, o.owner, o.odd)), '[]')
            from billing_ops.adapter_odd(null, p_limit) o where p_after is null))
  from (select billing_ops.adapter_unplaced(p_after, p_rows, p_limit) as piece) u
$$;
comment on function public.read_unplaced_subscriptions(text, integer, integer) is
  'Rows that no page of Stripe''s list can lead to. Answers {rows: [[key, stripe_subscription_id]], next, odd: [[key, owner, what is odd]]}: of the
  next p_rows rows behind the Stripe id p_after, those whose subscription no scan has ever seen, at most p_limit; next: the p_after to go on
  with, null at the end; and, with the first piece, the rows whose Stripe id is an empty string.';

create function public.read_duplicate_live_subscriptions(
  p_statuses jsonb,
  p_after text default null,
  p_limit integer default 1000,
  p_piece integer default 0,
  p_pieces integer default 1)
returns json
language sql stable
set search_path = ''
as $$
  select pg_catalog.json_build_object('rows', coalesce(pg_catalog.json_agg(
    pg_catalog.json_build_array(d.owner, d.stripe_subscription_ids)), '[]'))
  from billing_ops.adapter_duplicates(p_after, p_limit, array(select pg_catalog.jsonb_array_elements_text(p_statuses)), p_piece, p_pieces) d
$$;
comment on function public.read_duplicate_live_subscriptions(jsonb, text, integer, integer, integer) is
  'Answers {rows: [[owner, [stripe_subscription_id, …]]]}: owners with more than one row in these statuses that does not
  end with its period, by pages. A row for a plan that Stripe does not know does not count. Owners are dealt out to p_pieces pieces, of
  which this is the one numbered p_piece, from 0: each reads the whole table, and keeps its share.';

-- How a run writes (in batches, fenced), and a person who decides (without a lease, 33_decisions). What happens to the rows is the adapter's
-- business (23_adapter_writes): compare-and-set, so that a row that was written since it was read is left alone, and one by one where the
-- table refuses a batch.

create function billing_ops.row_said(p_row json)
returns jsonb
language sql immutable
set search_path = ''
as $$
  select pg_catalog.jsonb_build_object('stripe_subscription_id', p_row -> 3, 'customer', p_row -> 4, 'status', p_row -> 5, 'tier', p_row -> 6,
    'price', p_row -> 7, 'quantity', p_row -> 8, 'period_start', p_row -> 9, 'period_end', p_row -> 10,
    'cancel_at_period_end', p_row -> 11, 'trial_end', p_row -> 12)
$$;
comment on function billing_ops.row_said(json) is 'A row, as the adapter reads it, by the mapping''s words.';

create function billing_ops.write_items(p_items jsonb, p_outcomes text[], p_reasons text[], p_owners text[])
returns table (outcomes text[], reasons text[], owners text[], written jsonb)
language plpgsql rows 1
set search_path = ''
as $$
declare
  -- By the item's place, from 1: what became of it, why, and whose a new row is.
  v_outcomes text[] := p_outcomes;
  v_reasons text[] := p_reasons;
  v_owners text[] := p_owners;
  v_owners_known boolean;
  v_named text[];
  v_customers text[];
  v_mapping jsonb;
  -- By the place of a creation that goes into the row its owner has already: what adapter_update is given for it, and what the row was.
  v_moves jsonb := '{}'::jsonb;
  v_was jsonb := '{}'::jsonb;
  v_blank jsonb := '{}'::jsonb;
  v_changed jsonb;
  v_written jsonb := '{}'::jsonb;
begin
  -- The owner of a new row: whom the subscription's own metadata name; else who has the customer; else whom its checkout's metadata name.
  -- Where these contradict each other, a person decides. A client_reference_id, which whoever pays can set, is never more than a proposal.
  select array_agg(distinct n.value) filter (where n.value is not null), array_agg(distinct e."row" ->> 'customer')
  into v_named, v_customers
  from jsonb_to_recordset(p_items) as e (kind text, named jsonb, "row" jsonb)
  left join lateral jsonb_each_text(e.named) n on true
  where e.kind = 'create';
  if v_customers is not null then
    select a.mapping #> '{owner,table}' is not null into v_owners_known from billing_ops.adoption a;
    with holders as materialized (
      select h.customer, h.owner from billing_ops.adapter_customers(v_customers) h
    ),
    asked as (
      select v_named || array(select h.owner from holders h where h.owner is not null) as owners
    ),
    -- The owner of the row with that customer may be gone, too, where no foreign key deletes the row with its owner.
    existing as materialized (
      select o as owner from asked a cross join lateral billing_ops.adapter_owners(a.owners) o
      union
      -- Without a table of owners nobody can say that one is not there: what the app's own server wrote down counts.
      select o from asked a cross join lateral unnest(a.owners) o where not v_owners_known
    )
    select array_agg(case when v_outcomes[e.place] is null then coalesce(trusted.owner, payer.owner) else v_owners[e.place] end order by e.place),
      array_agg(coalesce(v_outcomes[e.place], judged.outcome) order by e.place),
      array_agg(case when v_outcomes[e.place] is null and judged.outcome = 'waiting'
        then 'none yet: only the checkout''s client_reference_id names the owner, and whoever pays can set it'
        else v_reasons[e.place] end order by e.place)
    into v_owners, v_outcomes, v_reasons
    from rows from (jsonb_to_recordset(p_items) as (kind text, named jsonb, "row" jsonb, owner text))
      with ordinality e (kind, named, "row", owner, place)
    left join existing metadata on e.kind = 'create' and metadata.owner = e.named ->> 'metadata'
    left join existing checkout on e.kind = 'create' and checkout.owner = e.named ->> 'checkout'
    left join existing payer on e.kind = 'create' and payer.owner = e.named ->> 'client_reference_id'
    left join (holders h join existing holder on holder.owner = h.owner) on e.kind = 'create' and h.customer = e."row" ->> 'customer'
    cross join lateral (select coalesce(metadata.owner, holder.owner, checkout.owner) as owner) trusted
    cross join lateral (select case
      when e.kind <> 'create' then null
      -- The owner whom it names is gone: nobody else gets it.
      when e.named ->> 'metadata' is not null and metadata.owner is null then 'organization_unknown'
      when (select count(distinct o) from unnest(array[metadata.owner, holder.owner, checkout.owner]) o) > 1 then 'organization_mismatch'
      -- Not the owner who was shown to the person who decided.
      when e.owner <> trusted.owner then 'organization_mismatch'
      when trusted.owner is not null then null
      when payer.owner is not null then 'waiting'
      else 'organization_unknown' end as outcome) judged;
  end if;

  select a.mapping into v_mapping from billing_ops.adoption a;
  -- What a row that is given another subscription must not keep from the one before, where Stripe says nothing about it.
  if (v_mapping #>> '{owner,one_row_each}')::boolean then
    select coalesce(jsonb_object_agg(m.word, null), '{}') into v_blank
    from billing_ops.mapped_columns(v_mapping) m
    cross join lateral billing_ops.column_facts(m.relation, m.attribute) f
    where m.word in ('price', 'quantity', 'trial_end') and not f.required;
    -- Nor is it lost: whoever takes the move back gets it again.
    select coalesce(jsonb_object_agg(e.place, billing_ops.row_said(r.said)), '{}') into v_was
    from jsonb_array_elements(p_items) with ordinality e (item, place)
    join billing_ops.adapter_read(array(
      select i.item #>> '{was,stripe_subscription_id}' from jsonb_array_elements(p_items) i (item)
      where i.item ->> 'kind' = 'update' and i.item -> 'row' ? 'stripe_subscription_id'), null) r (said) on r.said ->> 0 = e.item #>> '{row,key}'
    where e.item -> 'row' ? 'stripe_subscription_id';
  end if;
  -- Existing rows come first: one that has just been found to be dead gives way to the subscription that its owner has now.
  with changed as (
    select u.* from (
      select jsonb_agg(case when e.item -> 'row' ? 'stripe_subscription_id' then v_blank else '{}' end || (e.item -> 'row')) as rows
      from jsonb_array_elements(p_items) with ordinality e (item, place)
      where e.item ->> 'kind' = 'update' and v_outcomes[e.place] is null
    -- What is only put on record needs no table.
    ) given cross join lateral billing_ops.adapter_update(given.rows) u where given.rows is not null
  )
  select
    array_agg(coalesce(v_outcomes[e.place], case when e.moves and changed.outcome = 'repaired' then 'moved' else changed.outcome end)
      order by e.place),
    array_agg(coalesce(v_reasons[e.place], changed.reason) order by e.place)
  into v_outcomes, v_reasons
  from (
    -- A row that is given another Stripe id is moved.
    select e.item ->> 'kind' as kind, e.item -> 'row' ->> 'key' as key, e.item -> 'row' ? 'stripe_subscription_id' as moves, e.place
    from jsonb_array_elements(p_items) with ordinality e (item, place)
  ) e
  left join changed on e.kind = 'update' and changed.key = e.key;

  -- Where each owner has one row, that is pointed at the live subscription if it has no Stripe id, or if its status gives way to that
  -- one; otherwise it is in the way, and which of the two counts is not known until both have been read afresh from Stripe.
  if (v_mapping #>> '{owner,one_row_each}')::boolean and v_customers is not null then
    with given as (
      select e.item, e.place, v_owners[e.place] as owner,
        -- Of two for one owner in a batch, the one to which more statuses give way goes first.
        row_number() over (partition by v_owners[e.place] order by jsonb_array_length(e.item -> 'gives_way') desc, e.place) as rank
      from jsonb_array_elements(p_items) with ordinality e (item, place)
      where e.item ->> 'kind' = 'create' and v_outcomes[e.place] is null
    ),
    there as materialized (
      select r.said ->> 0 as key, r.said ->> 1 as version, r.said ->> 2 as owner, r.said ->> 3 as id, r.said ->> 5 as status,
        billing_ops.row_said(r.said) as was
      from billing_ops.adapter_rows_of_owners(array(select g.owner from given g), null) r (said)
    ),
    judged as (
      select g.place, g.item, t.key, t.version,
        case
          when t.id = g.item -> 'row' ->> 'stripe_subscription_id' then 'superseded'
          when t.key is null and g.rank > 1 then 'occupied'
          when t.key is null then null
          when g.rank > 1 or not (t.id is null or coalesce(g.item -> 'gives_way' ? t.status, false)) then 'occupied'
        end as outcome, t.id, t.was
      from given g left join there t on t.owner = g.owner
    ),
    -- By place: an owner may have more rows than the mapping says.
    each as (
      select j.place, min(j.outcome) as outcome, (array_agg(j.id order by j.outcome nulls last))[1] as id,
        (array_agg(v_blank || jsonb_build_object('key', j.key, 'version', j.version) || (j.item -> 'row') order by j.key))[1] as move,
        (array_agg(j.was order by j.key))[1] as was,
        bool_and(j.key is not null) as moves, bool_or(j.item ? 'postponed' or j.item ? 'action') as waits
      from judged j group by j.place
    )
    select
      array_agg(coalesce(v_outcomes[o.place], each.outcome) order by o.place),
      array_agg(case when each.outcome = 'occupied' then each.id else v_reasons[o.place] end order by o.place),
      coalesce(jsonb_object_agg(o.place, each.move) filter (where each.outcome is null and each.moves and not each.waits), '{}'),
      v_was || coalesce(jsonb_object_agg(o.place, each.was) filter (where each.outcome is null and each.moves and not each.waits), '{}')
    into v_outcomes, v_reasons, v_moves, v_was
    from generate_series(1, jsonb_array_length(p_items)) o (place)
    left join each on each.place = o.place;
    if v_moves <> '{}' then
      select
        array_agg(case when m.key is null then v_outcomes[o.place] when u.outcome = 'repaired' then 'moved' else u.outcome end order by o.place),
        array_agg(case when m.key is null then v_reasons[o.place] else u.reason end order by o.place)
      into v_outcomes, v_reasons
      from generate_series(1, jsonb_array_length(p_items)) o (place)
      left join jsonb_each(v_moves) m on m.key = o.place::text
      left join billing_ops.adapter_update(array_to_json(array(select e.value from jsonb_each(v_moves) e))::jsonb) u
        on u.key = m.value ->> 'key';
    end if;
  end if;

  -- The sorting is the adapter's: rows are locked in one order.
  with created as (
    select i.* from (
      select jsonb_agg(e.item -> 'row' || jsonb_build_object('owner', v_owners[e.place])) as rows
      from jsonb_array_elements(p_items) with ordinality e (item, place)
      where e.item ->> 'kind' = 'create' and not e.item ? 'action' and not e.item ? 'postponed' and v_outcomes[e.place] is null
        and v_mapping ->> 'writes' = 'update_and_insert'
    ) given cross join lateral billing_ops.adapter_insert(given.rows) i where given.rows is not null
  )
  select
    array_agg(coalesce(v_outcomes[e.place], created.outcome,
      case when e.kind = 'create' and e.action is null then case when e.postponed then 'postponed' else 'observed' end end,
      e.action, 'none') order by e.place),
    array_agg(coalesce(v_reasons[e.place], created.reason,
      case when e.kind = 'create' and v_outcomes[e.place] is null and created.outcome is null and e.action is null and e.postponed is null
        then 'none: the mapping says that no row is inserted' end) order by e.place)
  into v_outcomes, v_reasons
  from rows from (jsonb_to_recordset(p_items) as (kind text, "row" jsonb, action text, postponed boolean))
    with ordinality e (kind, "row", action, postponed, place)
  left join created on e.kind = 'create' and created.stripe_subscription_id = e."row" ->> 'stripe_subscription_id';

  -- Which row each repair has written, in which version it left the row, and what the row said before.
  select jsonb_object_agg(e.place, jsonb_build_object('key', coalesce(v_moves -> e.place::text, e.item -> 'row') -> 'key',
    'was', coalesce(v_was -> e.place::text, e.item -> 'was', '{}'), 'blank', v_blank))
  into v_changed
  from jsonb_array_elements(p_items) with ordinality e (item, place)
  where v_outcomes[e.place] in ('repaired', 'moved') and p_outcomes[e.place] is null and e.item -> 'findings' <> '[]';
  if v_changed is not null then
    select jsonb_object_agg(c.place, c.said || jsonb_build_object('version', v.version)) into v_written
    from jsonb_each(v_changed) c (place, said)
    join billing_ops.adapter_versions(array(select k.said ->> 'key' from jsonb_each(v_changed) k (place, said))) v on v.key = c.said ->> 'key';
  end if;
  return query select v_outcomes, v_reasons, v_owners, v_written;
end
$$;
comment on function billing_ops.write_items(jsonb, text[], text[], text[]) is
  'Finds out whose new rows are, and writes what is to be written of a batch''s items (apply_reconciliation_batch); owner of an item: a
  new row that would belong to anyone else is not made. Items that have an outcome already are left alone. Answers by place: what became of each,
  why, whose it is; and of rows that were changed {place: {key, version, was, blank}}; blank: what a moved row does not keep, where Stripe
  says nothing about it.';

create function billing_ops.recorded(p_finding jsonb, p_outcome text, p_reason text, p_owner text, p_creates boolean, p_written jsonb)
returns jsonb
language sql stable
set search_path = ''
as $$
  select p_finding
    || pg_catalog.jsonb_build_object('action', p_outcome, 'owner', coalesce(p_owner, p_finding ->> 'owner'))
    || case when p_reason is null then '{}'::jsonb else pg_catalog.jsonb_build_object('reason', p_reason) end
    || case when billing_ops.ends_drift(p_outcome) then '{"severity": "info", "proposal": null}' else '{}'::jsonb end
    -- Somebody pays and has nothing, and it stays so until a person looks at the table.
    || case when p_outcome = 'refused' and p_creates then '{"severity": "critical"}' else '{}'::jsonb end
    || case when p_written is null then '{}'::jsonb else pg_catalog.jsonb_build_object(
      'row_key', p_written ->> 'key', 'row_version', p_written ->> 'version', 'before', (
        select pg_catalog.jsonb_object_agg(w.word, w.said) from pg_catalog.jsonb_each(p_written -> 'was') w (word, said)
        where p_finding -> 'sets' ? w.word or (p_outcome = 'moved'
          and (w.word in ('stripe_subscription_id', 'customer') or p_written -> 'blank' ? w.word)))) end
    -- Before it was moved, the row spoke of another subscription.
    || case when p_written is null or p_outcome <> 'moved' then '{}'::jsonb else pg_catalog.jsonb_build_object('details', (
      select pg_catalog.jsonb_object_agg(m.attribute, pg_catalog.jsonb_build_object('database', p_written -> 'was' -> m.word, 'stripe',
        case m.word when 'stripe_subscription_id' then p_finding -> 'stripe_subscription_id' when 'customer' then p_finding -> 'stripe_customer_id'
          else p_finding -> 'proposal' -> m.attribute end))
      from billing_ops.adoption a cross join lateral billing_ops.mapped_columns(a.mapping) m
      where p_written -> 'was' ? m.word
        and (p_finding -> 'proposal' ? m.attribute or m.word in ('stripe_subscription_id', 'customer')
          or (p_written -> 'blank' ? m.word and p_written -> 'was' -> m.word <> 'null')))) end
$$;
comment on function billing_ops.recorded(jsonb, text, text, text, boolean, jsonb) is
  'A finding as record_drift takes it, with what became of its item; p_written: the row that was changed, as write_items answers it.';

create function public.apply_reconciliation_batch(
  p_run_id uuid,
  p_attempt integer,
  p_lease_seconds integer,
  p_items jsonb,
  p_cleared jsonb default null,
  p_cursor jsonb default null,
  p_counts jsonb default null,
  p_looked_up jsonb default null
)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  -- By the item's place, from 1: what became of it, why, and whose a new row is.
  v_outcomes text[];
  v_reasons text[];
  v_owners text[];
  v_written jsonb;
  v_entries jsonb;
begin
  -- The same batch twice at once: its answer was lost and it was sent again. The second waits, and finds the first one's
  -- entries.
  perform pg_advisory_xact_lock(hashtextextended(p_run_id::text, jsonb_hash_extended(p_items, 0)));
  -- Spares a late writer the work. What keeps it out is hold_run, below.
  if not exists (
    select 1 from public.reconciliation_logs
    where id = p_run_id and attempt = p_attempt and status = 'running')
  then
    return jsonb_build_object('outcome', 'fenced');
  end if;

  -- A difference that this run has recorded already was applied by the same batch, sent before its answer was lost. Only the reason of a
  -- refusal, or of what waits, is the item's; any other belongs to the one difference that it came with.
  select array_agg(coalesce(unknown.type, done.action) order by e.place),
    array_agg(case when done.action in ('refused', 'waiting') then done.reason end order by e.place),
    array_agg(case when e.kind = 'create' then done.owner end order by e.place)
  into v_outcomes, v_reasons, v_owners
  from rows from (jsonb_to_recordset(p_items) as (kind text, "row" jsonb, findings jsonb)) with ordinality e (kind, "row", findings, place)
  left join lateral (
    select d.action, d.reason, d.owner from public.drift d
    where d.drift_key = e.findings -> 0 ->> 'drift_key' and d.closed_run_id = p_run_id and d.action <> 'cleared'
    union all
    select d.action, d.reason, d.owner from public.drift d
    where d.drift_key = e.findings -> 0 ->> 'drift_key' and d.closed_at is null and d.last_run_id = p_run_id
    limit 1
  ) done on true
  left join public.drift unknown
    on e.kind = 'create' and unknown.closed_at is null and unknown.last_run_id = p_run_id
    and unknown.drift_key in ('organization_unknown:' || (e."row" ->> 'stripe_subscription_id'),
                              'organization_mismatch:' || (e."row" ->> 'stripe_subscription_id'));

  -- A person may have decided since the run read what stands: then the run's word does not count any more.
  select array_agg(coalesce(v_outcomes[e.place], case when decided.otherwise then 'superseded' end) order by e.place),
    array_agg(coalesce(v_reasons[e.place],
      case when v_outcomes[e.place] is null and decided.otherwise then 'left alone: a person decided about it while the run looked' end) order by e.place)
  into v_outcomes, v_reasons
  from jsonb_array_elements(p_items) with ordinality e (item, place)
  cross join lateral (select e.item ->> 'kind' <> 'none' and not e.item ? 'action' and (exists (
    select 1 from jsonb_array_elements(e.item -> 'findings') f
    where billing_ops.policy_mode(f ->> 'type') <> 'auto' or exists (
      select 1 from public.drift d
      where d.drift_key = f ->> 'drift_key' and d.closed_at is null and d.excepted_until > clock_timestamp()))
    -- What is refreshed without being drift has a class as well: the one that a difference in it would be of.
    or (e.item ->> 'kind' = 'update' and not e.item -> 'row' ? 'stripe_subscription_id' and exists (
      select 1 from jsonb_object_keys(e.item -> 'row') w
      where billing_ops.policy_mode(case when w in ('period_start', 'period_end') then 'period' else w end || '_mismatch') <> 'auto'))
    ) as otherwise) decided;

  select w.outcomes, w.reasons, w.owners, w.written into v_outcomes, v_reasons, v_owners, v_written
  from billing_ops.write_items(p_items, v_outcomes, v_reasons, v_owners) w;

  -- From here to the commit the run is ours. If it has been taken over meanwhile, all of the above is undone.
  if not billing_ops.hold_run(p_run_id, p_attempt, p_lease_seconds, p_cursor, p_counts) then
    raise exception 'the attempt was given up for dead' using errcode = 'BOFEN';
  end if;

  -- What Stripe said of a checkout is remembered for good: a subscription has one, and it does not change.
  update billing_ops.subscription_marks m
  set owner = l.said ->> 1, owner_source = l.said ->> 2, looked_up_at = clock_timestamp()
  from jsonb_array_elements(p_looked_up) l (said)
  where m.stripe_subscription_id = l.said ->> 0;

  -- A subscription whose owner turns out to be unknown is a difference of a class other than the one that was sent.
  select jsonb_agg(case
      when v_outcomes[e.place] in ('organization_unknown', 'organization_mismatch') then f.finding || jsonb_build_object(
        'type', v_outcomes[e.place], 'action', 'none', 'proposal', null,
        'severity', case v_outcomes[e.place] when 'organization_unknown' then 'warning' else 'critical' end,
        'drift_key', v_outcomes[e.place] || ':' || (f.finding ->> 'stripe_subscription_id'))
      else billing_ops.recorded(f.finding, v_outcomes[e.place], v_reasons[e.place], v_owners[e.place], e.item ->> 'kind' = 'create',
        v_written -> e.place::text)
      end order by e.place, f.place)
  into v_entries
  from jsonb_array_elements(p_items) with ordinality e (item, place),
    jsonb_array_elements(e.item -> 'findings') with ordinality f (finding, place)
  -- What is not decided yet is not recorded yet.
  where v_outcomes[e.place] not in ('postponed', 'occupied');
  v_entries := billing_ops.record_drift(p_run_id, coalesce(v_entries, '[]'));
  -- What is gone, and the other two of the three classes that a subscription without a row can be of.
  perform billing_ops.clear_drift(p_run_id, array(
    select jsonb_array_elements_text(p_cleared)
    union all
    select c.class || ':' || (e.item -> 'row' ->> 'stripe_subscription_id')
    from jsonb_array_elements(p_items) with ordinality e (item, place),
      unnest(array['missing_in_database', 'organization_unknown', 'organization_mismatch']) c (class)
    where e.item ->> 'kind' = 'create' and v_outcomes[e.place] not in ('postponed', 'occupied')
      and c.class <> case when v_outcomes[e.place] in ('organization_unknown', 'organization_mismatch') then v_outcomes[e.place]
        else 'missing_in_database' end));

  return jsonb_build_object('outcome', 'applied', 'entries', v_entries, 'items', (
    select coalesce(jsonb_agg(jsonb_build_array(i.outcome, i.reason) order by i.place), '[]')
    from unnest(v_outcomes, v_reasons) with ordinality i (outcome, reason, place)));
exception when sqlstate 'BOFEN' then
  return jsonb_build_object('outcome', 'fenced');
end
$$;
comment on function public.apply_reconciliation_batch(uuid, integer, integer, jsonb, jsonb, jsonb, jsonb, jsonb) is
  'Applies a batch of differences and their repairs in one transaction, fenced by run and attempt. Items are {kind, named, row, action,
  postponed, gives_way, findings}: kind update sets row''s fields on {key, version}; kind create inserts row for the owner whom named ({metadata,
  checkout, client_reference_id}) or the customer tells, or points the owner''s one row at it, if that row has no Stripe id or has a status in
  gives_way; with an action it only finds out who the owner is, and if postponed it does not even record that; kind none only records, under
  action. p_cleared: keys of differences that were looked for and are gone. p_looked_up: [[stripe_subscription_id, owner, source], …],
  what Stripe said of checkouts. Answers {outcome: applied|fenced, items: [[repaired|created|moved|superseded|refused|organization_unknown|
  organization_mismatch|waiting|held|none|postponed|occupied…, reason], …], entries: [[drift_key, id, first_seen_at, action], …]}, the
  items in the order in which they came. The same batch sent again finds its own entries and changes nothing.';

create function public.take_drift_allowances(p_run_id uuid, p_attempt integer)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_run public.reconciliation_logs;
  v_allowed jsonb;
begin
  select * into v_run from public.reconciliation_logs where id = p_run_id and attempt = p_attempt and status = 'running' for share;
  if not found then
    return jsonb_build_object('outcome', 'fenced');
  end if;
  with taken as (
    update public.drift_policies p set allowed_run = p_run_id
    where p.allowed_until > v_run.started_at and (p.allowed_run is null or p.allowed_run = p_run_id)
    returning p.type, p.allowed_count
  )
  select coalesce(jsonb_object_agg(t.type, t.allowed_count), '{}') into v_allowed from taken t;
  return jsonb_build_object('outcome', 'taken', 'allowed', v_allowed);
end
$$;
comment on function public.take_drift_allowances(uuid, integer) is
  'What people have allowed a run to write in spite of the circuit breaker: {outcome: taken|fenced, allowed: {class: number}}. The first run
  that asks gets it, however often it asks; no other does.';

-- What a person decides about single differences: approve, revert, except. Called with the service key once the person is known to be an
-- admin, as the ceiling (REPAIR_MODE) is a setting of the functions and no session may get past it. Rows are written before entries are
-- locked, in the same order as in a run, so that the two cannot wait for one another.

create function public.apply_drift_decisions(p_actor uuid, p_items jsonb, p_gone jsonb default '[]', p_changed jsonb default '[]')
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_outcomes text[];
  v_reasons text[];
  v_owners text[];
  v_written jsonb;
  v_open uuid[];
  v_found jsonb;
begin
  -- The same row must not be made twice, where no unique index of the table prevents that.
  perform pg_advisory_xact_lock(hashtextextended('billing_ops.decide:' || s.id, 0))
  from (
    select e.item #>> '{row,stripe_subscription_id}' as id from jsonb_array_elements(p_items) e (item)
    where e.item ->> 'kind' = 'create' order by 1
  ) s;
  -- What has been closed meanwhile is not written any more, nor is anything that somebody else has decided otherwise.
  select array_agg(case when d.id is null or d.excepted_until > clock_timestamp() or billing_ops.policy_mode(d.type) = 'observe'
      then 'closed' end order by e.place), array_agg(null::text), array_agg(null::text)
  into v_outcomes, v_reasons, v_owners
  from jsonb_array_elements(p_items) with ordinality e (item, place)
  left join public.drift d on d.id = (e.item ->> 'id')::uuid and d.closed_at is null;
  select w.outcomes, w.reasons, w.owners, w.written into v_outcomes, v_reasons, v_owners, v_written
  from billing_ops.write_items(p_items, v_outcomes, v_reasons, v_owners) w;

  -- A run locks entries in another order. One that it is just writing counts as closed: if we waited, the two could wait for one another.
  v_open := array(
    select d.id from public.drift d
    where d.closed_at is null and d.id in (
      select (e.item ->> 'id')::uuid from jsonb_array_elements(p_items) e (item)
      union all select g::uuid from jsonb_array_elements_text(p_gone) g
      union all select (c ->> 'id')::uuid from jsonb_array_elements(p_changed) c)
    for update skip locked);
  -- There must be no write that no entry records.
  if exists (
    select 1 from jsonb_array_elements(p_items) with ordinality e (item, place)
    where billing_ops.ends_drift(v_outcomes[e.place]) and (e.item ->> 'id')::uuid <> all (v_open))
  then
    raise exception 'an entry was closed by somebody else' using errcode = 'BOFEN';
  end if;

  select jsonb_agg(billing_ops.recorded(e.item #> '{findings,0}', v_outcomes[e.place], v_reasons[e.place], v_owners[e.place],
    e.item ->> 'kind' = 'create', v_written -> e.place::text) order by e.place)
  into v_found
  from jsonb_array_elements(p_items) with ordinality e (item, place)
  where v_outcomes[e.place] in ('repaired', 'created', 'moved', 'superseded', 'refused') and (e.item ->> 'id')::uuid = any (v_open);
  perform billing_ops.record_drift(null, coalesce(v_found, '[]'), p_actor);

  with gone as (
    update public.drift d set action = 'cleared', reason = null, proposal = null, closed_at = clock_timestamp()
    where d.id = any (v_open) and d.id in (select g::uuid from jsonb_array_elements_text(p_gone) g)
    returning d.id
  )
  insert into public.drift_events (drift_id, event, actor) select g.id, 'cleared', p_actor from gone g;
  -- What was shown is no longer what would be done: the entry now shows what is, for the next decision.
  update public.drift d
  set issue = c.finding ->> 'issue', details = c.finding -> 'details', proposal = c.finding -> 'proposal',
    lowers_access = (c.finding ->> 'lowers_access')::boolean, owner = coalesce(c.finding ->> 'owner', d.owner),
    stripe_customer_id = c.finding ->> 'stripe_customer_id', severity = c.finding ->> 'severity', last_seen_at = clock_timestamp()
  from jsonb_to_recordset(p_changed) as c (id uuid, finding jsonb)
  where d.id = c.id and d.id = any (v_open);
  update public.drift d set decided_by = p_actor, decided_at = clock_timestamp()
  where d.id in (
    select (e.item ->> 'id')::uuid from jsonb_array_elements(p_items) with ordinality e (item, place)
    where v_outcomes[e.place] in ('repaired', 'created', 'moved', 'superseded', 'refused')
    union all select g::uuid from jsonb_array_elements_text(p_gone) g)
    and d.id = any (v_open);

  return jsonb_build_object('outcome', 'applied',
    'items', (select coalesce(jsonb_agg(jsonb_build_array(i.outcome, i.reason) order by i.place), '[]')
      from unnest(v_outcomes, v_reasons) with ordinality i (outcome, reason, place)),
    'drift', (select coalesce(jsonb_agg(billing_ops.drift_json(d)), '[]') from public.drift d
      where d.id in (
        select (e.item ->> 'id')::uuid from jsonb_array_elements(p_items) e (item)
        union all select g::uuid from jsonb_array_elements_text(p_gone) g
        union all select (c ->> 'id')::uuid from jsonb_array_elements(p_changed) c)));
exception when sqlstate 'BOFEN' then
  return jsonb_build_object('outcome', 'conflict');
end
$$;
comment on function public.apply_drift_decisions(uuid, jsonb, jsonb, jsonb) is
  'Applies what a person has approved. p_items: items as apply_reconciliation_batch takes them, with the id of the entry that each is about,
  one finding each, and for a new row the owner who was shown. p_gone: ids of entries whose difference is not there any more. p_changed:
  [{id, finding}], what would be done now where that is not what was shown. Answers {outcome: applied|conflict, items: [[repaired|created|moved|
  superseded|refused|closed|organization_unknown|organization_mismatch|waiting|occupied, reason], …], drift: [entry, …]}. Conflict: another
  decision or a run was quicker, and nothing was written.';

create function public.revert_drift(p_id uuid, p_actor uuid, p_note text, p_repair_mode text default 'auto')
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_days constant integer := 7;
  v_drift public.drift;
  v_done record;
  v_version text;
  v_excepted uuid;
  v_action text;
begin
  select * into v_drift from public.drift where id = p_id;
  if not found then
    return jsonb_build_object('outcome', 'not_found');
  end if;
  if v_drift.action = 'created' then
    return jsonb_build_object('outcome', 'created');
  end if;
  if v_drift.action not in ('repaired', 'moved') or v_drift.before is null then
    return jsonb_build_object('outcome', 'not_repaired', 'drift', billing_ops.drift_json(v_drift));
  end if;
  if billing_ops.lower_mode(billing_ops.policy_mode(v_drift.type), p_repair_mode) = 'observe' then
    return jsonb_build_object('outcome', 'observe', 'drift', billing_ops.drift_json(v_drift));
  end if;
  -- Compare-and-set: the version is the one that the repair left. Another repair of the row since, or any other write, has given it a new one.
  select u.* into v_done from billing_ops.adapter_update(jsonb_build_array(
    jsonb_build_object('key', v_drift.row_key, 'version', v_drift.row_version) || v_drift.before)) u;
  if v_done.outcome <> 'repaired' then
    return jsonb_build_object('outcome', v_done.outcome, 'reason', v_done.reason, 'drift', billing_ops.drift_json(v_drift));
  end if;
  select v.version into v_version from billing_ops.adapter_versions(array[v_drift.row_key]) v;
  -- What the same write repaired besides is unchanged: it can still be taken back.
  update public.drift d set row_version = v_version
  where d.row_key = v_drift.row_key and d.row_version = v_drift.row_version and d.id <> p_id;

  v_action := v_drift.action;
  update public.drift d
  set action = 'reverted', reason = null, decided_by = p_actor, decided_at = clock_timestamp(), note = p_note, row_version = null
  where d.id = p_id returning d.* into v_drift;
  -- It was repaired, whatever became of it since: that counter must not fall. After the entry, as pruning locks them in this order, too.
  insert into billing_ops.closed_drift_counts as c (type, action, entries) values (v_drift.type, v_action, 1)
  on conflict (type, action) do update set entries = c.entries + excluded.entries;
  insert into public.drift as d
    (drift_key, type, severity, owner, stripe_subscription_id, stripe_customer_id, livemode, issue, details, proposal, lowers_access,
     action, first_seen_at, last_seen_at, seen_count, first_run_id, last_run_id, decided_by, decided_at, note, excepted_until)
  values (v_drift.drift_key, v_drift.type, 'warning', v_drift.owner, v_drift.stripe_subscription_id, v_drift.stripe_customer_id,
    v_drift.livemode, v_drift.issue, v_drift.details, (
      select jsonb_object_agg(k.word, k.said -> 'stripe') from jsonb_each(v_drift.details) k (word, said) where k.said ? 'stripe'),
    v_drift.lowers_access, 'excepted', clock_timestamp(), clock_timestamp(), 1,
    v_drift.last_run_id, v_drift.last_run_id, p_actor, clock_timestamp(), p_note, clock_timestamp() + make_interval(days => v_days))
  on conflict (drift_key) where closed_at is null do update
    set action = 'excepted', reason = null, decided_by = excluded.decided_by, decided_at = excluded.decided_at, note = excluded.note,
        excepted_until = greatest(d.excepted_until, excluded.excepted_until)
  returning d.id into v_excepted;
  insert into public.drift_events (drift_id, event, actor, note)
  values (p_id, 'reverted', p_actor, p_note), (v_excepted, 'excepted', p_actor, p_note);
  return jsonb_build_object('outcome', 'reverted', 'drift', billing_ops.drift_json(v_drift),
    'excepted', (select billing_ops.drift_json(d) from public.drift d where d.id = v_excepted));
end
$$;
comment on function public.revert_drift(uuid, uuid, text, text) is
  'Takes the newest repair of a row back, if nobody has written the row since, and lets the difference stand for seven days. Answers
  {outcome: reverted, drift, excepted}, or not_found, created (rows that were made are not deleted), not_repaired (there is nothing to take back),
  observe (nothing of its class is written), superseded (somebody wrote or deleted the row since) or refused (by the table, with the reason).';

create function public.except_drift(p_id uuid, p_actor uuid, p_days integer, p_reason text)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_drift public.drift;
begin
  update public.drift d
  set action = 'excepted', reason = null, excepted_until = clock_timestamp() + make_interval(days => p_days), decided_by = p_actor,
    decided_at = clock_timestamp(), note = p_reason
  where d.id = p_id and d.closed_at is null returning d.* into v_drift;
  if not found then
    select * into v_drift from public.drift where id = p_id;
    return jsonb_build_object('outcome', case when found then 'closed' else 'not_found' end, 'drift',
      case when found then billing_ops.drift_json(v_drift) end);
  end if;
  insert into public.drift_events (drift_id, event, actor, note) values (p_id, 'excepted', p_actor, p_reason);
  return jsonb_build_object('outcome', 'excepted', 'drift', billing_ops.drift_json(v_drift));
end
$$;
comment on function public.except_drift(uuid, uuid, integer, text) is
  'Lets a difference stand for p_days days, and records why. Answers {outcome: excepted|closed|not_found, drift}.';

create function public.unexcept_drift(p_id uuid, p_actor uuid, p_repair_mode text)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_drift public.drift;
  v_mode text;
begin
  select * into v_drift from public.drift where id = p_id for update;
  if not found then
    return jsonb_build_object('outcome', 'not_found');
  end if;
  if v_drift.closed_at is not null then
    return jsonb_build_object('outcome', 'closed', 'drift', billing_ops.drift_json(v_drift));
  end if;
  if v_drift.action <> 'excepted' then
    return jsonb_build_object('outcome', 'already', 'drift', billing_ops.drift_json(v_drift));
  end if;
  v_mode := billing_ops.lower_mode(billing_ops.policy_mode(v_drift.type), p_repair_mode);
  update public.drift d
  set excepted_until = null, decided_by = p_actor, decided_at = clock_timestamp(), note = null,
    action = case when v_drift.proposal is null then 'none' when v_mode = 'approve' then 'waiting' else 'observed' end,
    reason = case when v_drift.proposal is null or v_mode <> 'auto' then null else 'none yet: the next run repairs it' end
  where d.id = p_id returning d.* into v_drift;
  insert into public.drift_events (drift_id, event, actor, note) values (p_id, v_drift.action, p_actor, 'the exception was ended');
  return jsonb_build_object('outcome', 'done', 'drift', billing_ops.drift_json(v_drift));
end
$$;
comment on function public.unexcept_drift(uuid, uuid, text) is
  'Ends an exception: the difference at once gets the action that the mode calls for. Answers {outcome: done|already|closed|not_found, drift}.';
