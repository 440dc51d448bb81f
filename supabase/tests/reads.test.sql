-- What the reconciler reads: rows by Stripe's id, rows that a window does not explain, rows that no scan has placed, and
-- organizations with two live subscriptions.
begin;
\ir helpers/actors.psql
select no_plan();

insert into public.organizations (id, name) values ('00000000-0000-4000-8000-00000000000c', 'Organization C');
insert into public.subscriptions
  (id, organization_id, stripe_subscription_id, stripe_customer_id, status, tier, stripe_price_id, quantity, current_period_start,
   current_period_end, cancel_at_period_end, trial_end, livemode, stripe_created) values
  ('00000000-0000-4000-8000-000000000101', '00000000-0000-4000-8000-00000000000a', 'sub_1', 'cus_1', 'active', 'pro', 'price_1', 3,
   'epoch', '1970-01-02Z', true, '1970-01-03Z', true, '2026-01-01Z'),
  ('00000000-0000-4000-8000-000000000102', '00000000-0000-4000-8000-00000000000a', 'sub_2', null, 'past_due', null, null, null,
   null, null, null, null, null, '2026-01-02Z'),
  ('00000000-0000-4000-8000-000000000103', '00000000-0000-4000-8000-00000000000b', 'sub_3', null, 'active', null, null, null,
   null, null, null, null, null, '2026-01-03Z'),
  ('00000000-0000-4000-8000-000000000104', '00000000-0000-4000-8000-00000000000b', 'sub_4', null, 'canceled', null, null, null,
   null, null, null, null, null, null),
  ('00000000-0000-4000-8000-000000000105', '00000000-0000-4000-8000-00000000000c', 'sub_5', null, 'trialing', null, null, null,
   null, null, null, null, null, null),
  ('00000000-0000-4000-8000-000000000106', '00000000-0000-4000-8000-00000000000c', 'sub_6', null, 'paused', null, null, null,
   null, null, null, null, null, '2026-02-01Z'),
  ('00000000-0000-4000-8000-000000000107', '00000000-0000-4000-8000-00000000000b', null, null, 'active', null, null, null,
   null, null, null, null, null, null);

select is(call('service_role', $$public.read_subscriptions_for_reconcile('["sub_1", "sub_9"]')$$) #- '{rows,0,15}',
  '{"open": [], "rows": [["00000000-0000-4000-8000-000000000101", 1, "00000000-0000-4000-8000-00000000000a", "sub_1", "cus_1", "active", "pro",
    "price_1", 3, 0, 86400, true, 172800, true, 1767225600]], "unexplained": [], "unexplained_count": 0}',
  'a row as facts in their order, times as Unix seconds');
select is(call('service_role', $$public.read_subscriptions_for_reconcile('["sub_2"]')$$) #- '{rows,0,15}' -> 'rows' -> 0,
  '["00000000-0000-4000-8000-000000000102", 1, "00000000-0000-4000-8000-00000000000a", "sub_2", null, "past_due", null, null, null, null,
    null, null, null, null, 1767312000]', 'what is not known is null');
update public.subscriptions set updated_at = now() where stripe_subscription_id = 'sub_1';
select ok((call('service_role', $$public.read_subscriptions_for_reconcile('["sub_1"]')$$) #>> '{rows,0,15}')::bigint between 0 and 600000,
  'last, the milliseconds since the row was written');
select is(call('service_role', $$public.read_subscriptions_for_reconcile('["sub_1"]', '2026-01-01Z', '2026-01-03Z')$$) - 'rows',
  '{"open": [], "unexplained": ["sub_2"], "unexplained_count": 1}', 'a window: its start is in it, its end is not');
select is(call('service_role', $$public.read_subscriptions_for_reconcile('[]', '2026-01-01Z', '2026-02-01Z', 2)$$),
  '{"open": [], "rows": [], "unexplained": ["sub_1", "sub_2"], "unexplained_count": 3}', 'at most so many of them, and the count of all');
select is(call('service_role', $$public.read_subscriptions_for_reconcile('["sub_1"]')$$) -> 'unexplained_count', '0', 'no window: none');

select is(call('service_role', 'public.read_unplaced_subscriptions()'), '{"rows": [
  ["00000000-0000-4000-8000-000000000104", "sub_4"], ["00000000-0000-4000-8000-000000000105", "sub_5"]]}',
  'rows without a place; a plan that Stripe does not know is none');
select is(call('service_role', 'public.read_unplaced_subscriptions(null, 1)') -> 'rows' -> 0 ->> 1, 'sub_4', 'a page');
select is(call('service_role', $$public.read_unplaced_subscriptions('00000000-0000-4000-8000-000000000104', 1)$$) -> 'rows' -> 0 ->> 1,
  'sub_5', 'the next');
select is(call('service_role', $$public.read_unplaced_subscriptions('00000000-0000-4000-8000-000000000105')$$), '{"rows": []}', 'no more');

select is(call('service_role', 'public.read_duplicate_live_subscriptions()'),
  '{"rows": [["00000000-0000-4000-8000-00000000000a", ["sub_1", "sub_2"]], ["00000000-0000-4000-8000-00000000000c", ["sub_5", "sub_6"]]]}',
  'organizations with two live subscriptions; one that ended does not count, nor a plan that Stripe does not know');
select is(call('service_role', 'public.read_duplicate_live_subscriptions(null, 1)') -> 'rows' -> 0 ->> 0,
  '00000000-0000-4000-8000-00000000000a', 'a page');
select is(call('service_role', $$public.read_duplicate_live_subscriptions('00000000-0000-4000-8000-00000000000a')$$) -> 'rows' -> 0 ->> 0,
  '00000000-0000-4000-8000-00000000000c', 'the next');

select * from finish();
rollback;
