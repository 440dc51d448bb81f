-- Tables that came after the seed's: findings of a run, history of an alert, rate limits.

set local lock_timeout = '10s';

create table public.reconciliation_findings (
  id bigint generated always as identity primary key,
  reconciliation_log_id uuid not null references public.reconciliation_logs (id) on delete cascade,
  finding_key text not null,
  type text not null,
  severity text not null check (severity in ('critical', 'high', 'warning', 'info')),
  organization_id uuid,
  stripe_subscription_id text,
  stripe_customer_id text,
  livemode boolean,
  issue text not null,
  details jsonb not null default '{}'::jsonb,
  action text not null
    check (action in ('repaired', 'created', 'superseded', 'refused', 'held', 'none')),
  action_taken text not null,
  created_at timestamptz not null default now(),
  unique (reconciliation_log_id, finding_key)
);
comment on table public.reconciliation_findings is
  'What a run found to differ, and what was done about it. Rows of their own, so that a run with 50,000 findings stays small.';
comment on column public.reconciliation_findings.id is 'Rises in the order in which findings were recorded.';
comment on column public.reconciliation_findings.reconciliation_log_id is 'The attempt that found it.';
comment on column public.reconciliation_findings.type is 'The drift class: status_mismatch, missing_in_database, …';
comment on column public.reconciliation_findings.severity is 'critical, high, warning or info.';
comment on column public.reconciliation_findings.stripe_subscription_id is 'Stripe''s sub_….';
comment on column public.reconciliation_findings.stripe_customer_id is 'Stripe''s cus_….';
comment on column public.reconciliation_findings.livemode is 'Stripe''s live mode.';
comment on column public.reconciliation_findings.created_at is 'When it was recorded.';
comment on column public.reconciliation_findings.finding_key is
  '<type>:<subject>. A batch that is sent again after a lost answer finds its own rows and changes nothing.';
comment on column public.reconciliation_findings.organization_id is 'Not a foreign key: the finding outlives the organization.';
comment on column public.reconciliation_findings.issue is 'The finding in a sentence.';
comment on column public.reconciliation_findings.details is '{field: {"database": …, "stripe": …}}.';
comment on column public.reconciliation_findings.action is
  'repaired, created, superseded (a newer write won), refused (a constraint), held (circuit breaker) or none (a person decides).';
comment on column public.reconciliation_findings.action_taken is 'The action in a sentence.';
create index reconciliation_findings_by_type
  on public.reconciliation_findings (reconciliation_log_id, type, id);
comment on index public.reconciliation_findings_by_type is 'Counts by type, and the pages of one type.';
create index reconciliation_findings_page on public.reconciliation_findings (reconciliation_log_id, id);
comment on index public.reconciliation_findings_page is 'The pages of a run''s findings.';
create index reconciliation_findings_age on public.reconciliation_findings (created_at);
comment on index public.reconciliation_findings_age is 'What retention deletes.';

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

alter table public.reconciliation_findings enable row level security;
alter table public.billing_alert_events enable row level security;
alter table public.rate_limit_windows enable row level security;
