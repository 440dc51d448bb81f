-- Drift that waits for a person: repairs that are proposed, some of which take access away, and three that the circuit breaker
-- holds. Comes after history.sql; none of these subscriptions is at Stripe.

insert into public.drift (
  drift_key, type, severity, owner, stripe_subscription_id, stripe_customer_id, livemode, issue, details, proposal, lowers_access,
  action, reason, first_seen_at, last_seen_at, seen_count, first_run_id, last_run_id)
select
  kind.type || ':sub_waits_' || kind.action || n, kind.type, kind.severity, 'owner_' || n, 'sub_waits_' || kind.action || n, 'cus_waits_' || n, false,
  kind.issue, kind.details::jsonb, kind.proposal::jsonb, kind.lowers, kind.action, kind.reason, now() - make_interval(hours => n), now(), n, run.id, run.id
from (select id from public.reconciliation_logs order by started_at desc limit 1) as run
cross join (values
  ('status_mismatch', 'warning', 1, 2, 'The status is active at Stripe and unpaid in the database.', '{"status": {"database": "unpaid", "stripe": "active"}}', '{"status": "active"}', false, 'waiting', 'Waits for a person.'),
  ('status_mismatch', 'critical', 3, 3, 'The status is canceled at Stripe and active in the database.', '{"status": {"database": "active", "stripe": "canceled"}}', '{"status": "canceled"}', true, 'waiting', 'Waits for a person.'),
  ('tier_mismatch', 'critical', 4, 6, 'The tier is free by its price and pro in the database.', '{"tier": {"database": "pro", "stripe": "free"}}', '{"tier": "free"}', true, 'held', 'Held: too many would lose access in one run.')
) as kind (type, severity, first, last, issue, details, proposal, lowers, action, reason)
cross join lateral generate_series(kind.first, kind.last) as n;
