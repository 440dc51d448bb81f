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
