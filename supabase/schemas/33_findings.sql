-- What runs found, and what was done about it. Written by apply_reconciliation_batch (32_repairs), read by admins
-- (60_admin_pages), deleted by retention (51_retention).

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
comment on column public.reconciliation_findings.finding_key is
  '<type>:<subject>. A batch that is sent again after a lost answer finds its own rows and changes nothing.';
comment on column public.reconciliation_findings.type is 'The drift class: status_mismatch, missing_in_database, …';
comment on column public.reconciliation_findings.severity is 'critical, high, warning or info.';
comment on column public.reconciliation_findings.organization_id is 'Not a foreign key: the finding outlives the organization.';
comment on column public.reconciliation_findings.stripe_subscription_id is 'Stripe''s sub_….';
comment on column public.reconciliation_findings.stripe_customer_id is 'Stripe''s cus_….';
comment on column public.reconciliation_findings.livemode is 'Stripe''s live mode.';
comment on column public.reconciliation_findings.issue is 'The finding in a sentence.';
comment on column public.reconciliation_findings.details is '{field: {"database": …, "stripe": …}}.';
comment on column public.reconciliation_findings.action is
  'repaired, created, superseded (a newer write won), refused (a constraint), held (circuit breaker) or none (a person decides).';
comment on column public.reconciliation_findings.action_taken is 'The action in a sentence.';
comment on column public.reconciliation_findings.created_at is 'When it was recorded.';
create index reconciliation_findings_by_type
  on public.reconciliation_findings (reconciliation_log_id, type, id);
comment on index public.reconciliation_findings_by_type is 'Counts by type, and the pages of one type.';
create index reconciliation_findings_page on public.reconciliation_findings (reconciliation_log_id, id);
comment on index public.reconciliation_findings_page is 'The pages of a run''s findings.';
create index reconciliation_findings_age on public.reconciliation_findings (created_at);
comment on index public.reconciliation_findings_age is 'What retention deletes.';
alter table public.reconciliation_findings enable row level security;
create policy reconciliation_findings_admin_read on public.reconciliation_findings
  for select to authenticated using ((select billing_ops.caller_standing() = 'ok'));
comment on policy reconciliation_findings_admin_read on public.reconciliation_findings is
  'Admins of any organization read: global operational data, by intention.';
