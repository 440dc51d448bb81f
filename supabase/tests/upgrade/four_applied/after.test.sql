-- The app with the four migrations, brought up to date. (The suite runs on it afterwards.)
begin;
set local search_path = public, extensions;
\ir ../lost.psql
select no_plan();

-- Nothing is lost ---------------------------------------------------------------------------------------------------------------

select is_empty($$select pg_temp.changed('organizations', '{}')$$, 'organizations are what they were');
select is_empty($$select pg_temp.changed('users', '{}')$$, 'so are people');
select is_empty($$select pg_temp.changed('organization_members', '{}')$$, 'and members');
select is_empty($$select pg_temp.changed('subscriptions', '{}')$$, 'and subscriptions');
select is_empty($$select pg_temp.changed('reconciliation_logs', array['run_key', 'status', 'started_at'])$$, 'no run is lost');
select is_empty($$select pg_temp.changed('billing_alerts', array['alert_key', 'resolved', 'resolved_at', 'created_at', 'metadata'])$$,
                'no alert is lost');

-- Runs ----------------------------------------------------------------------------------------------------------------------------

select results_eq(
  $$select right(id::text, 2), run_key, attempt, status, error_code, finished_at is not null
    from public.reconciliation_logs order by id$$,
  $$values ('11', 'scheduled_2026-11-20_10', 1, 'success', null, true),
           ('12', 'scheduled_2026-11-20_11', 1, 'failed', null, false),
           ('13', 'scheduled_2026-11-20_12', 1, 'success', null, true),
           ('14', 'scheduled_2026-11-20_12', 2, 'error', 'stale_run', true),
           ('15', 'manual_2026-11-20_12:30', 1, 'error', 'stale_run', true),
           ('16', 'legacy_00000000-0000-4000-8000-000000000016', 1, 'running', null, false),
           ('17', 'legacy_00000000-0000-4000-8000-000000000017', 1, 'success', null, true)$$,
  'one run at most is running, each has a key and an attempt, and those that ended have an end');
select is_empty($$select id from public.reconciliation_logs where started_at is null or created_at is null$$, 'each has a start');
select is((public.start_reconciliation_run('scheduled_2026-11-20_13', 'scheduled', 24, 330) ->> 'outcome'), 'created',
          'the leftover stands in nobody''s way, though its type is none of ours');
select is((select error_code from public.reconciliation_logs where run_type = 'backfill'), 'stale_run', 'and has ended as stale_run');
select lives_ok($$update public.reconciliation_logs set message = 'x' where status = 'failed'$$, 'a row with an odd word can still be written');

-- Alerts --------------------------------------------------------------------------------------------------------------------------

select results_eq(
  $$select right(id::text, 2), alert_type || case when alert_key = alert_type then '' else ':' || md5(message) end = alert_key
      or alert_key = alert_type, resolved, resolution from public.billing_alerts order by id$$,
  $$values ('21', true, true, 'auto'), ('22', true, true, 'auto'), ('23', true, false, null::text), ('24', true, false, null),
           ('25', true, true, 'auto'), ('26', true, false, null), ('27', true, true, 'auto'), ('28', true, true, 'auto')$$,
  'the newest of several about one condition is open; two messages are two conditions');
select is_empty($$select id from public.billing_alerts where created_at is null or first_seen_at is null or last_seen_at is null
  or metadata is null$$, 'each has its times');
select is((select resolution_note from public.billing_alerts where id::text like '%21'), 'A newer alert speaks of the same condition.',
          'a duplicate says why it was resolved');
select is(billing_ops.raise_alert('reconcile_stale', 'reconcile_stale', 'high', 'm', '{}'), 'refreshed', 'the open one is found by its key');
select is(billing_ops.clear_alert('reconcile_stale', 'note'), true, 'and resolved, though others of its key are resolved');
select is(billing_ops.raise_alert('reconcile_stale', 'reconcile_stale', 'high', 'm', '{}'), 'raised', 'and raised again');

-- Subscriptions -------------------------------------------------------------------------------------------------------------------

select is((select count(*)::integer from public.subscriptions where stripe_subscription_id = 'sub_1'), 2, 'duplicates of a Stripe id stay');
select is((select indisunique from pg_index where indexrelid = 'public.subscriptions_stripe_subscription_id_key'::regclass), false,
          'and have an index that is not unique');
select throws_ok($$insert into public.subscriptions (organization_id, status) values ('00000000-0000-4000-8000-000000000001', 'active')$$,
  '23505', null, 'the app''s own constraint stays');
select is((select array_agg(distinct row_version) from public.subscriptions), array[1::bigint], 'every row has a version');

-- People --------------------------------------------------------------------------------------------------------------------------

set local request.jwt.claims = '{"sub": "00000000-0000-4000-8000-000000000902", "aud": "authenticated", "role": "authenticated"}';
set local role authenticated;
select lives_ok($$update public.users set email = 'new@example.test' where id = '00000000-0000-4000-8000-000000000902'$$,
                'people still edit their own row');
select throws_ok($$update public.users set role = 'owner' where id = '00000000-0000-4000-8000-000000000902'$$, '42501', null,
                 'but nobody makes themselves an owner, through the column that is new');
select throws_ok($$insert into public.users (id, role) values ('00000000-0000-4000-8000-000000000902', 'admin')$$, '42501', null,
                 'nor with a new row');
reset role;
select lives_ok($$update public.users set role = 'admin' where id = '00000000-0000-4000-8000-000000000902'$$, 'the project''s owner does');

select * from finish();
rollback;
