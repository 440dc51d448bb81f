-- Two days of runs, drift and alerts, as the functions would have left them. Times are relative to now; scheduled runs
-- stand at minute 17. Replaces what was there.

begin;
truncate public.reconciliation_logs, public.drift, public.billing_alerts, public.rate_limit_windows cascade;

create temporary table hours on commit drop as
select
  i,
  date_trunc('hour', now() - interval '17 minutes') + interval '17 minutes' - make_interval(hours => i) as at,
  case when i = 9 then 'error' when i = 14 then 'partial' else 'success' end as status,
  (case i when 0 then 7 when 1 then 0 when 3 then 4 when 6 then 2 when 14 then 130 when 17 then 9 when 27 then 12 when 33 then 3 when 41 then 21 else 0 end) as found,
  (case i when 0 then 5 when 3 then 4 when 6 then 1 when 14 then 118 when 17 then 9 when 27 then 11 when 33 then 3 when 41 then 21 else 0 end) as repaired
from generate_series(0, 46) as i
-- Two hours in which nothing ran.
where i not in (21, 22);

insert into public.reconciliation_logs (
  run_key, run_type, status, lookback_hours, started_at, heartbeat_at, lease_expires_at, finished_at, scanned_count,
  created_count, updated_count, mismatch_count, error_count, total_issues, message, error_code, error_message, triggered_by)
select
  'scheduled_' || to_char(at at time zone 'utc', 'YYYY-MM-DD_HH24'), 'scheduled', status, 24, at,
  at + interval '1 second', at + interval '330 seconds',
  at + case status when 'error' then interval '41 seconds' when 'partial' then interval '64 seconds'
       else make_interval(secs => 6 + (i * 7) % 5 + found / 4.0) end,
  case status when 'error' then 3400 when 'partial' then 11020 else 12480 + 3 * (46 - i) end,
  least(repaired, 1), greatest(repaired - 1, 0), found, case status when 'partial' then 2 else 0 end, found,
  found || ' issues found', case status when 'error' then 'stripe_unavailable' end,
  case status when 'error' then 'Stripe did not answer within the deadline.' end, 'cron'
from hours;

insert into public.drift (
  drift_key, type, severity, owner, stripe_subscription_id, stripe_customer_id, livemode, issue, details, action, reason,
  first_seen_at, last_seen_at, first_run_id, last_run_id, closed_at, closed_run_id)
select
  kind.type || ':' || run.id || n, kind.type, kind.severity,
  case when kind.type <> 'organization_unknown' then gen_random_uuid() end,
  'sub_1Q' || substr(md5(run.id::text || n), 1, 18), 'cus_R' || substr(md5(n || run.id::text), 1, 13), false,
  kind.issue, kind.details::jsonb, kind.action, kind.reason, run.started_at, run.started_at, run.id, run.id,
  case when kind.action <> 'none' then run.finished_at end, case when kind.action <> 'none' then run.id end
from public.reconciliation_logs as run
cross join generate_series(1, run.total_issues) as n
join (values
  (0, 'status_mismatch', 'info', 'The status is past_due at Stripe and active in the database.', '{"status": {"database": "active", "stripe": "past_due"}}', 'repaired', 'The status was set to past_due.'),
  (1, 'missing_in_stripe', 'critical', 'The database says active, and Stripe does not know the subscription.', '{}', 'none', 'Nothing: absence alone never lowers access.'),
  (2, 'period_mismatch', 'info', 'The billing period differs from Stripe''s.', '{"current_period_start": {"database": "2026-10-23T00:00:00Z", "stripe": "2026-11-23T00:00:00Z"}, "current_period_end": {"database": "2026-11-23T00:00:00Z", "stripe": "2026-12-23T00:00:00Z"}}', 'repaired', 'The period was taken from Stripe.'),
  (3, 'missing_in_database', 'info', 'The subscription is active at Stripe and not in the database.', '{}', 'created', 'The row was created.'),
  (4, 'price_mismatch', 'info', 'Price and quantity differ from Stripe''s.', '{"stripe_price_id": {"database": "price_basic_monthly", "stripe": "price_pro_monthly"}, "quantity": {"database": 1, "stripe": 5}}', 'repaired', 'Price and quantity were taken from Stripe.'),
  (5, 'organization_unknown', 'warning', 'Nothing says whose subscription this is.', '{}', 'none', 'Nothing: an owner is never guessed.')
) as kind (k, type, severity, issue, details, action, reason) on kind.k = n % 6;

with newest as (select id from public.reconciliation_logs order by started_at desc limit 1),
first as (
  insert into public.billing_alerts (alert_key, alert_type, severity, message, occurrences, first_seen_at, last_seen_at, created_at, resolved, resolved_at, resolution)
  values ('drift_missing_in_stripe', 'drift_missing_in_stripe', 'critical', '1 row names a subscription that Stripe does not know.', 3,
    now() - interval '90 hours', now() - interval '88 hours', now() - interval '90 hours', true, now() - interval '87 hours', 'auto')
  returning id),
second as (
  insert into public.billing_alerts (alert_key, alert_type, severity, message, occurrences, first_seen_at, last_seen_at, created_at, resolved, resolved_at, resolved_by, resolution, resolution_note, previous_alert_id)
  select 'drift_missing_in_stripe', 'drift_missing_in_stripe', 'critical', '2 rows name subscriptions that Stripe does not know.', 6,
    now() - interval '50 hours', now() - interval '45 hours', now() - interval '50 hours', true, now() - interval '44 hours',
    gen_random_uuid(), 'manual', 'Leftovers of the load test, deleted by hand.', id
  from first
  returning id)
insert into public.billing_alerts (alert_key, alert_type, severity, message, occurrences, first_seen_at, last_seen_at, created_at, metadata, previous_alert_id)
select 'drift_missing_in_stripe', 'drift_missing_in_stripe', 'critical', '2 rows name subscriptions that Stripe does not know.', 5,
  now() - interval '5 hours', now() - interval '20 minutes', now() - interval '5 hours',
  jsonb_build_object('reconciliation_log_id', newest.id, 'count', 2, 'livemode', false, 'samples', jsonb_build_array(
    jsonb_build_object('stripe_subscription_id', 'sub_1QxAbCdEfGhIjKlMn', 'organization_id', '6a0f6a0e-8f5b-4b83-9d63-2d5ae1f0c001'),
    jsonb_build_object('stripe_subscription_id', 'sub_1QxAbCdEfGhIjKlMo', 'organization_id', '6a0f6a0e-8f5b-4b83-9d63-2d5ae1f0c002'))),
  second.id
from newest, second
union all
select 'drift_organization_unknown', 'drift_organization_unknown', 'warning', '1 subscription belongs to no known owner.', 27,
  now() - interval '26 hours', now() - interval '20 minutes', now() - interval '26 hours',
  jsonb_build_object('reconciliation_log_id', newest.id, 'count', 1, 'livemode', false, 'samples', jsonb_build_array(
    jsonb_build_object('stripe_subscription_id', 'sub_1QxAbCdEfGhIjKlMp'))),
  null
from newest
union all
select 'drift_status_mismatch', 'drift_status_mismatch', 'info', '3 subscriptions had a different status; repaired.', 1,
  now() - interval '20 minutes', now() - interval '20 minutes', now() - interval '20 minutes',
  jsonb_build_object('reconciliation_log_id', newest.id, 'count', 3, 'livemode', false), null
from newest;
commit;
