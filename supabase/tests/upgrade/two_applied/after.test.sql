-- The app that stopped half way, brought up to date. (The suite runs on it afterwards.)
begin;
set local search_path = public, extensions;
\ir ../lost.psql
select no_plan();

select is_empty($$select pg_temp.changed('organizations', '{}')$$, 'organizations are what they were');
select is_empty($$select pg_temp.changed('users', '{}')$$, 'so are people');
select is_empty($$select pg_temp.changed('subscriptions', array['updated_at'])$$, 'and subscriptions');
select is_empty($$select pg_temp.changed('reconciliation_logs', array['status', 'finished_at'])$$, 'no run is lost');
select is_empty($$select pg_temp.changed('billing_alerts', array['resolved', 'resolved_at'])$$, 'no alert is lost');

select results_eq(
  $$select right(id::text, 2), status, finished_at is not null, run_key from public.reconciliation_logs order by id$$,
  $$values ('11', 'error', true, 'legacy_00000000-0000-4000-8000-000000000011'),
           ('12', 'running', false, 'legacy_00000000-0000-4000-8000-000000000012'),
           ('13', 'success', true, 'legacy_00000000-0000-4000-8000-000000000013')$$, 'one of two leftovers is running');
select results_eq($$select right(id::text, 2), resolved from public.billing_alerts order by id$$,
  $$values ('21', true), ('22', false)$$, 'one of two duplicates is open');
select is(public.resolve_billing_alert('00000000-0000-4000-8000-000000000022', null, 'note') ->> 'outcome', 'resolved',
          'an alert of a severity that is none of ours can be resolved');
select col_type_is('public', 'subscriptions', 'status', 'text', 'an enum of four has become text');
select col_default_is('public', 'subscriptions', 'status', 'active', 'and keeps its default');
select is((select indisunique from pg_index where indexrelid = 'public.subscriptions_stripe_subscription_id_key'::regclass), true,
          'the app''s own constraint on Stripe''s id serves');
select is(has_table_privilege('authenticated', 'public.organizations', 'select'), true, 'grants on the app''s tables are the app''s');
select is((select relrowsecurity from pg_class where oid = 'public.subscriptions'::regclass), false,
          'row level security of the app''s tables is not switched on under it');

select * from finish();
rollback;
