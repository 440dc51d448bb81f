-- The size that the project promises to stay quick at (scripts/bench-sql.sh).
set synchronous_commit = off;
select setseed(0.42);

insert into public.organizations (id, name)
select md5('organization ' || n)::uuid, 'Organization ' || n from generate_series(1, 100000) n;
insert into public.users (id, email, role)
select md5('user ' || n)::uuid, n || '@example.test', case when n = 1 then 'owner' else 'member' end from generate_series(1, 100000) n;
insert into public.organization_members (organization_id, user_id)
select md5('organization ' || n)::uuid, md5('user ' || n)::uuid from generate_series(1, 100000) n;

-- One in a thousand belongs to an organization that has another live one.
insert into public.subscriptions (organization_id, stripe_customer_id, stripe_subscription_id, status, tier, stripe_price_id,
  quantity, current_period_start, current_period_end, cancel_at_period_end)
select md5('organization ' || case when n % 1000 = 0 then n - 1 else n end)::uuid, 'cus_' || n, 'sub_' || n,
  (array['active', 'active', 'active', 'trialing', 'past_due', 'canceled'])[1 + n % 6], 'pro', 'price_' || n % 20, 1 + n % 50,
  '2026-11-01Z', '2026-12-01Z', false
from generate_series(1, 100000) n;
-- Scans have seen all but one in a hundred, and twenty thousand that have no row; of those they have looked up the checkouts.
insert into billing_ops.subscription_marks (stripe_subscription_id, created, livemode, looked_up_at)
select 'sub_' || n, timestamptz '2024-01-01Z' + n * interval '15 minutes', true, null from generate_series(1, 100000) n where n % 100 <> 0
union all
select 'sub_stranger_' || n, timestamptz '2024-01-01Z' + n * interval '75 minutes', true, now() from generate_series(1, 20000) n;

-- Hourly runs of more than a year; the newest ended 50,000 entries of drift, the others share the rest; 20,000 stand.
insert into public.reconciliation_logs (id, run_key, run_type, status, started_at, finished_at, cursor, result)
select md5('run ' || n)::uuid, 'scheduled_' || n, 'scheduled', (array['success', 'success', 'partial', 'error'])[1 + n % 4],
  now() - n * interval '1 hour', now() - n * interval '1 hour' + interval '1 minute', null, '{"success": true}'
from generate_series(1, 9600) n;
insert into public.drift (drift_key, type, severity, owner, stripe_subscription_id, stripe_customer_id, livemode, issue, details,
  action, first_seen_at, last_seen_at, first_run_id, last_run_id, closed_at, closed_run_id)
select 'status_mismatch:sub_' || n,
  (array['status_mismatch', 'period_mismatch', 'missing_in_database', 'unknown_price'])[1 + n % 4], 'info',
  md5('organization ' || n % 100000), 'sub_' || n, 'cus_' || n, true, 'the status differs',
  '{"status": {"database": "active", "stripe": "past_due"}}', case when n > 200000 then 'none' else 'repaired' end,
  seen.at, seen.at, seen.run_id, seen.run_id, case when n <= 200000 then seen.at end, case when n <= 200000 then seen.run_id end
from generate_series(1, 220000) n, lateral (select now() - (220000 - n) * interval '30 seconds' as at,
  md5('run ' || case when n between 150001 and 200000 then 1 else 2 + n % 2000 end)::uuid as run_id) seen;
insert into public.drift_events (drift_id, event, run_id, created_at)
select id, action, last_run_id, last_seen_at from public.drift;

-- As many open alerts as resolved ones: far more than a person could bear, so that no plan lives by their being few.
insert into public.billing_alerts (alert_key, alert_type, severity, message, metadata, resolved, resolved_at, resolution,
  created_at, first_seen_at, last_seen_at)
select 'key_' || n, (array['status_mismatch', 'missing', 'duplicates'])[1 + n % 3], (array['critical', 'high', 'warning', 'info'])[1 + n % 4],
  'message ' || n, '{"samples": ["sub_1", "sub_2"]}', n % 2 = 0, case when n % 2 = 0 then now() end, case when n % 2 = 0 then 'auto' end,
  now() - n * interval '5 minutes', now() - n * interval '5 minutes', now() - n * interval '4 minutes'
from generate_series(1, 100000) n;
insert into public.billing_alert_events (alert_id, event, severity, created_at)
select id, 'raised', severity, created_at from public.billing_alerts;
insert into public.rate_limit_windows (route, client, window_started_at, hits)
select 'reconcile', 'client ' || n, now() - n * interval '1 second', 1 from generate_series(1, 100000) n;

vacuum analyze public.organizations, public.users, public.organization_members, public.subscriptions, public.reconciliation_logs,
  billing_ops.subscription_marks, public.drift, public.drift_events, public.billing_alerts, public.billing_alert_events, public.rate_limit_windows;
