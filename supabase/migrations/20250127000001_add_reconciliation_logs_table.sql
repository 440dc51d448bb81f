-- One row for each reconcile run, idempotent by run_key: at most one running row for a key.

create table if not exists public.reconciliation_logs (
  id uuid primary key default gen_random_uuid(),
  run_key text not null,
  run_type text not null,
  status text not null default 'running',
  lookback_hours integer not null default 24,
  started_at timestamptz not null default now(),
  finished_at timestamptz,
  created_count integer not null default 0,
  updated_count integer not null default 0,
  mismatch_count integer not null default 0,
  error_count integer not null default 0,
  created_at timestamptz not null default now()
);
comment on table public.reconciliation_logs is 'Reconcile runs: one row for each attempt.';

create unique index if not exists reconciliation_logs_one_running_per_key
  on public.reconciliation_logs (run_key) where status = 'running';
comment on index public.reconciliation_logs_one_running_per_key is
  'Idempotency: a second caller with the same key finds the running row instead of starting another.';

alter table public.reconciliation_logs enable row level security;
