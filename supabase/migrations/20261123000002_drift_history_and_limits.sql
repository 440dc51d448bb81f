-- Tables that came after the seed's: drift and its history, history of an alert, rate limits.

set local lock_timeout = '10s';

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
  excepted_until timestamptz
) with (fillfactor = 45);
comment on table public.drift is
  'Differences between Stripe and the database: one row for as long as a difference stands. A repaired one opens and closes in
  the same run.';
comment on column public.drift.id is 'The entry''s id.';
comment on column public.drift.drift_key is '<type>:<subject>: what it is dedup''d by while it is open.';
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
comment on column public.drift.reason is 'Why, where the action alone does not say it: what refused, or what is waited for.';
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
create unique index drift_one_open_per_key on public.drift (drift_key) where closed_at is null;
comment on index public.drift_one_open_per_key is 'Dedup: a difference has one entry while it stands.';
create index drift_open on public.drift (first_seen_at desc, id desc) include (type, severity) where closed_at is null;
comment on index public.drift_open is 'The list of what stands, newest first, and its counts.';
create index drift_open_subscription on public.drift (stripe_subscription_id) where closed_at is null;
comment on index public.drift_open_subscription is 'What stands of the subscriptions that a run compares.';
create index drift_newest on public.drift (first_seen_at desc, id desc);
comment on index public.drift_newest is 'The list of all entries, newest first, by keyset pages.';
create index drift_first_run on public.drift (first_run_id);
comment on index public.drift_first_run is 'What was new in a run.';
create index drift_closed_run on public.drift (closed_run_id, drift_key) where closed_run_id is not null;
comment on index public.drift_closed_run is 'What a run ended, and whether a batch that is sent again has been applied.';
create index drift_age on public.drift (closed_at) where closed_at is not null;
comment on index public.drift_age is 'What retention deletes.';

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
comment on column public.drift_events.event is 'The entry''s action after the event.';
comment on column public.drift_events.run_id is 'The attempt that did it; null where a person did.';
comment on column public.drift_events.actor is 'The person who did it; null where a run did.';
comment on column public.drift_events.note is 'Why, in the entry''s or the person''s words.';
comment on column public.drift_events.created_at is 'When it happened.';
create index drift_events_drift on public.drift_events (drift_id, id);
comment on index public.drift_events_drift is 'The history of one entry.';

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
comment on column public.billing_alert_events.reason is 'The message it was raised with, or the note it was resolved with.';
comment on column public.billing_alert_events.created_at is 'When it happened.';
comment on column public.billing_alert_events.actor is 'The person who did it; null for the system.';
create index billing_alert_events_alert_id_idx on public.billing_alert_events (alert_id, id);
comment on index public.billing_alert_events_alert_id_idx is 'The history of one alert.';

create table public.rate_limit_windows (
  route text not null,
  client text not null,
  window_started_at timestamptz not null,
  hits integer not null,
  primary key (route, client)
);
comment on table public.rate_limit_windows is
  'Calls by route and client address. A window of one minute begins with its first call; one row serves all instances.';
comment on column public.rate_limit_windows.route is 'What was called: reconcile, monitor, alerts, …';
comment on column public.rate_limit_windows.window_started_at is 'When the window began: its first call.';
comment on column public.rate_limit_windows.hits is 'Calls in the window, up to the limit.';
comment on column public.rate_limit_windows.client is 'An IPv4 address, or the /64 of an IPv6 address.';
create index rate_limit_windows_age on public.rate_limit_windows (window_started_at);
comment on index public.rate_limit_windows_age is 'What retention deletes.';

alter table public.drift enable row level security;
alter table public.drift_events enable row level security;
alter table public.billing_alert_events enable row level security;
alter table public.rate_limit_windows enable row level security;
