-- The app that stopped half way, brought up to date. (The suite runs on it afterwards.)
begin;
set local search_path = public, extensions;
\ir ../changed.psql
select no_plan();

select cmp_ok((select count(*)::integer from before.app_was), '>', 50, 'the app''s tables are remembered');
select is_empty('select pg_temp.app_changes()', 'nothing of the app''s tables is changed, and no row of theirs is written');
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

-- Adopted as it is, with its enums --------------------------------------------------------------------------------------------------

select is(pg_temp.call('service_role', null, $$public.read_adapter_for_reconcile('["active"]')$$) - array['adopted_at', 'horizon'], '{"adopted": true,
  "fingerprint_ok": true, "changed": null, "readable": true, "table": "public.subscriptions", "has": ["status"], "keeps": ["status"],
  "one_row_each": false, "owners_known": true, "admins": true, "writes": "update_and_insert", "quantity_prices": null,
  "columns": {"status": "status"}, "granting": 1, "livemode": null, "policies": {}}', 'adopted by the upgrade');
select col_type_is('public', 'subscriptions', 'status', 'subscription_status', 'an enum of four stays one');
create function pg_temp.read() returns json language sql as $$
  select public.read_subscriptions_for_reconcile('[["sub_1", 1], ["sub_2", 2]]') -> 'rows'
$$;
select is((select string_agg(concat_ws(' ', r ->> 3, r ->> 5), ', ' order by r ->> 3)
           from jsonb_array_elements(pg_temp.call('service_role', null, 'pg_temp.read()')) r), 'sub_1 active, sub_2 trialing', 'and is read');
create temporary table run as
select pg_temp.call('service_role', null, $$public.start_reconciliation_run('scheduled_2026-11-20_13', 'scheduled', 24, 330)$$) -> 'run' ->> 'id' as id;
select is(pg_temp.call('service_role', null, format('public.apply_reconciliation_batch(%L, 1, 330, %L)', (select id from run), (
    select jsonb_agg(jsonb_build_object('kind', 'update', 'findings', '[]'::jsonb, 'row', jsonb_build_object('key', id::text, 'version', xmin::text,
      'status', case stripe_subscription_id when 'sub_1' then 'past_due' else 'unpaid' end)) order by stripe_subscription_id)
    from public.subscriptions))) -> 'items',
  '[["repaired", null], ["refused", "enum public.subscription_status of column status has no label \"unpaid\" (22P02)"]]',
  'and written, but for a word that it lacks');
select is(pg_temp.standing('901'), 'ok', 'an owner by users.role, which is an enum too, is an admin');
select is(pg_temp.standing('902'), 'forbidden', 'who is in no table is none');
select is(has_table_privilege('authenticated', 'public.organizations', 'select'), true, 'grants on the app''s tables are the app''s');

select * from finish();
rollback;
