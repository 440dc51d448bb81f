-- applied: 20250127000001 20250127000002
-- A live app that stopped half way: no keys, no lock-down; and its own taste: enums, unique columns, two subscriptions each.

create type public.member_role as enum ('owner', 'admin', 'member');
create type public.subscription_status as enum ('active', 'canceled', 'past_due', 'trialing');
create table public.organizations (id uuid primary key, name text not null, created_at timestamptz);
create table public.users (id uuid primary key, email text, role public.member_role not null default 'member');
create table public.organization_members (
  organization_id uuid not null references public.organizations,
  user_id uuid not null,
  role public.member_role not null default 'member',
  primary key (organization_id, user_id)
);
create table public.subscriptions (
  id uuid primary key default gen_random_uuid(),
  organization_id uuid not null references public.organizations,
  -- The name of this constraint is that of an index of ours.
  stripe_subscription_id text unique,
  status public.subscription_status not null default 'active',
  created_at timestamptz default now(),
  updated_at timestamptz default now()
);
create index subscriptions_organization_id_idx on public.subscriptions (organization_id);
create table public.reconciliation_logs (
  id uuid primary key default gen_random_uuid(),
  run_type text not null,
  status text not null,
  finished_at timestamptz
);
create table public.billing_alerts (
  id uuid primary key default gen_random_uuid(),
  alert_type text not null,
  severity text not null,
  message text not null,
  resolved boolean not null default false,
  resolved_at timestamptz,
  created_at timestamptz not null default now()
);
grant all on all tables in schema public to anon, authenticated, service_role;

insert into public.organizations values ('00000000-0000-4000-8000-000000000001', 'Organization 1', null);
insert into public.users values ('00000000-0000-4000-8000-000000000901', 'a@example.test', 'owner');
insert into public.subscriptions (organization_id, stripe_subscription_id, status, updated_at) values
  ('00000000-0000-4000-8000-000000000001', 'sub_1', 'active', null), ('00000000-0000-4000-8000-000000000001', 'sub_2', 'trialing', now());
insert into public.reconciliation_logs (id, run_type, status) values
  ('00000000-0000-4000-8000-000000000011', 'scheduled', 'running'), ('00000000-0000-4000-8000-000000000012', 'scheduled', 'running'),
  ('00000000-0000-4000-8000-000000000013', 'scheduled', 'success');
insert into public.billing_alerts (id, alert_type, severity, message, created_at) values
  ('00000000-0000-4000-8000-000000000021', 'reconcile_stale', 'medium', 'm', '2026-11-20Z'),
  ('00000000-0000-4000-8000-000000000022', 'reconcile_stale', 'medium', 'm', '2026-11-21Z');

\ir ../remember.psql
