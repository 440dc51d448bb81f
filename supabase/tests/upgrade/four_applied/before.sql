-- applied: 20250127000001 20250127000002 20250127000003 20250127000004
-- A live app that has had the four migrations in an earlier form: fewer columns, narrow CHECKs, open doors, and rows.

-- The app's own tables: no users.role, one subscription for an organization, four statuses.
create table public.organizations (id uuid primary key, name text not null);
create table public.users (id uuid primary key, email text, organization_id uuid references public.organizations);
create table public.organization_members (
  id uuid primary key default gen_random_uuid(),
  organization_id uuid not null references public.organizations,
  user_id uuid not null references public.users,
  role text not null default 'member' check (role in ('owner', 'admin', 'member')),
  unique (organization_id, user_id)
);
create table public.subscriptions (
  id uuid primary key default gen_random_uuid(),
  organization_id uuid not null unique references public.organizations on delete cascade,
  stripe_customer_id text,
  stripe_subscription_id text,
  status text not null check (status in ('active', 'canceled', 'past_due', 'trialing')),
  tier text default 'free',
  current_period_end timestamptz
);
-- People edit their own row, as in many apps.
alter table public.users enable row level security;
create policy users_edit_themselves on public.users for all to authenticated
  using (id = (select auth.uid())) with check (id = (select auth.uid()));
grant select, insert, update on public.users to authenticated;

-- 20250127000001 in an earlier form.
create table public.reconciliation_logs (
  id uuid primary key default gen_random_uuid(),
  run_key text,
  run_type text not null,
  status text not null default 'running' check (status in ('running', 'success', 'failed')),
  started_at timestamptz default now(),
  created_count integer not null default 0
);
create unique index idx_reconciliation_logs_active_run_key on public.reconciliation_logs (run_key) where status = 'running';
-- 20250127000002 in an earlier form.
create table public.billing_alerts (
  id uuid primary key default gen_random_uuid(),
  alert_type text not null,
  severity text not null check (severity in ('critical', 'warning')),
  message text not null,
  metadata jsonb,
  resolved boolean default false,
  resolved_at timestamptz,
  created_at timestamptz default now()
);
-- 20250127000003 in an earlier form: anything goes.
alter table public.reconciliation_logs enable row level security;
create policy "Enable read access for all users" on public.reconciliation_logs for select using (true);
create policy "Enable all" on public.billing_alerts for all using (true) with check (true);
grant all on public.reconciliation_logs, public.billing_alerts to public, anon, authenticated, service_role;
grant select (message), update (message) on public.billing_alerts to anon;
-- 20250127000004 in an earlier form: the constraint came without the predicate.
alter table public.billing_alerts add column alert_key text;
alter table public.billing_alerts add constraint billing_alerts_alert_key_resolved_key unique (alert_key, resolved);

-- Rows ------------------------------------------------------------------------------------------------------------------------

insert into public.organizations select ('00000000-0000-4000-8000-0000000000' || lpad(n::text, 2, '0'))::uuid, 'Organization ' || n
from generate_series(1, 5) n;
insert into public.users (id, email, organization_id) values
  ('00000000-0000-4000-8000-000000000901', 'a@example.test', '00000000-0000-4000-8000-000000000001'),
  ('00000000-0000-4000-8000-000000000902', 'b@example.test', '00000000-0000-4000-8000-000000000002');
insert into public.organization_members (organization_id, user_id, role) values
  ('00000000-0000-4000-8000-000000000001', '00000000-0000-4000-8000-000000000901', 'admin');
-- Two rows claim one Stripe subscription.
insert into public.subscriptions (organization_id, stripe_customer_id, stripe_subscription_id, status, tier) values
  ('00000000-0000-4000-8000-000000000001', 'cus_1', 'sub_1', 'active', 'pro'),
  ('00000000-0000-4000-8000-000000000002', 'cus_1', 'sub_1', 'canceled', 'free'),
  ('00000000-0000-4000-8000-000000000003', 'cus_3', 'sub_3', 'past_due', 'pro'),
  ('00000000-0000-4000-8000-000000000004', null, null, 'trialing', 'free');
-- Several runs claim to run; one has no key, one no start, one a type and one a status of its own time.
insert into public.reconciliation_logs (id, run_key, run_type, status, started_at) values
  ('00000000-0000-4000-8000-000000000011', 'scheduled_2026-11-20_10', 'scheduled', 'success', '2026-11-20 10:00Z'),
  ('00000000-0000-4000-8000-000000000012', 'scheduled_2026-11-20_11', 'scheduled', 'failed', '2026-11-20 11:00Z'),
  ('00000000-0000-4000-8000-000000000013', 'scheduled_2026-11-20_12', 'scheduled', 'success', '2026-11-20 12:00Z'),
  ('00000000-0000-4000-8000-000000000014', 'scheduled_2026-11-20_12', 'scheduled', 'running', '2026-11-20 12:05Z'),
  ('00000000-0000-4000-8000-000000000015', 'manual_2026-11-20_12:30', 'manual', 'running', '2026-11-20 12:30Z'),
  ('00000000-0000-4000-8000-000000000016', null, 'backfill', 'running', '2026-11-20 12:40Z'),
  ('00000000-0000-4000-8000-000000000017', null, 'scheduled', 'success', null);
-- Unresolved duplicates without a key, alerts that were resolved, columns that are null.
insert into public.billing_alerts (id, alert_type, severity, message, metadata, resolved, resolved_at, created_at, alert_key) values
  ('00000000-0000-4000-8000-000000000021', 'reconcile_stale', 'warning', 'No run for 2 hours', '{}', false, null, '2026-11-20 10:00Z', null),
  ('00000000-0000-4000-8000-000000000022', 'reconcile_stale', 'critical', 'No run for 6 hours', '{}', false, null, '2026-11-20 14:00Z', null),
  ('00000000-0000-4000-8000-000000000023', 'reconcile_stale', 'warning', 'No run for 2 hours', null, null, null, null, null),
  ('00000000-0000-4000-8000-000000000024', 'status_mismatch', 'warning', 'Organization 1 differs', '{"n": 1}', false, null, '2026-11-20 10:00Z', null),
  ('00000000-0000-4000-8000-000000000025', 'status_mismatch', 'warning', 'Organization 2 differs', '{"n": 2}', false, null, '2026-11-20 10:00Z', null),
  ('00000000-0000-4000-8000-000000000026', 'status_mismatch', 'warning', 'Organization 2 differs', '{"n": 2}', false, null, '2026-11-20 10:00Z', null),
  ('00000000-0000-4000-8000-000000000027', 'reconcile_stale', 'warning', 'No run for 2 hours', '{}', true, '2026-11-19 10:00Z', '2026-11-19 09:00Z', 'reconcile_stale'),
  ('00000000-0000-4000-8000-000000000028', 'reconcile_stale', 'warning', 'No run for 2 hours', '{}', true, null, '2026-11-18 09:00Z', null);

\ir ../remember.psql
