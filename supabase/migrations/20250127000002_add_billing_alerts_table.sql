-- What an admin has to know about, until somebody or something resolves it.

create table if not exists public.billing_alerts (
  id uuid primary key default gen_random_uuid(),
  alert_type text not null,
  severity text not null,
  message text not null,
  metadata jsonb not null default '{}'::jsonb,
  resolved boolean not null default false,
  resolved_at timestamptz,
  resolved_by uuid,
  created_at timestamptz not null default now()
);
comment on table public.billing_alerts is 'Alarms about billing: one row for each episode of a condition.';

alter table public.billing_alerts enable row level security;
