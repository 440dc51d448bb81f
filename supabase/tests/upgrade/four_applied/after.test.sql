-- The app with the four migrations, brought up to date. (The suite runs on it afterwards.)
begin;
set local search_path = public, extensions;
\ir ../changed.psql
select no_plan();

-- Nothing is changed, nothing is lost ---------------------------------------------------------------------------------------------------------------

select cmp_ok((select count(*)::integer from before.app_was), '>', 50, 'the app''s tables are remembered');
select is_empty('select pg_temp.app_changes()', 'nothing of the app''s tables is changed, and no row of theirs is written');
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
select is((select string_agg(right(id::text, 2) || ' ' || (severe_since = created_at), ', ' order by id) from public.billing_alerts
           where severe_since is not null), '22 true', 'a severe one has been so since it was written; the others are none');
select is((select resolution_note from public.billing_alerts where id::text like '%21'), 'A newer alert speaks of the same condition.',
          'a duplicate says why it was resolved');
select is(billing_ops.raise_alert('reconcile_stale', 'reconcile_stale', 'high', 'm', '{}'), 'refreshed', 'the open one is found by its key');
select is(billing_ops.clear_alert('reconcile_stale', 'note'), true, 'and resolved, though others of its key are resolved');
select is(billing_ops.raise_alert('reconcile_stale', 'reconcile_stale', 'high', 'm', '{}'), 'raised', 'and raised again');

-- The comparison notices --------------------------------------------------------------------------------------------------------

create function pg_temp.noticed(p_sql text) returns boolean language plpgsql as $$
declare
  v_noticed boolean;
begin
  execute p_sql;
  v_noticed := exists (select pg_temp.app_changes());
  raise exception using errcode = 'TTTTT', message = v_noticed;
exception when sqlstate 'TTTTT' then
  return sqlerrm;
end
$$;
select ok(pg_temp.noticed(sql), sql) from unnest(array[
  'alter table public.users add column role text', 'create index on public.subscriptions (status)',
  'alter table public.subscriptions enable row level security', 'update public.subscriptions set tier = tier',
  'grant select (id) on public.subscriptions to service_role', 'alter table public.subscriptions alter column tier drop default',
  'create table public.more (id uuid references public.organizations)', $$comment on column public.users.email is 'x'$$,
  'alter table public.subscriptions drop constraint subscriptions_status_check', 'drop policy users_edit_themselves on public.users']) sql;

-- Not adopted: a Stripe id stands twice. ------------------------------------------------------------------------------------------

select is(pg_temp.call('service_role', null, $$public.read_adapter_for_reconcile('["active"]')$$) -> 'adopted', 'false', 'nothing is adopted');
select is(pg_temp.call('service_role', null, 'public.billing_ops_adoption()') #>> '{candidates,0,why}',
  'It has organization_id, stripe_subscription_id and status, like the table that billing-ops began with. It cannot be adopted as it is: '
  'Column stripe_subscription_id of public.subscriptions has no unique index; a Stripe subscription must not have two rows. Add one, for '
  'example: create unique index concurrently on public.subscriptions (stripe_subscription_id).', 'and what stands in the way is said');
select is(pg_temp.denial($$select public.read_subscriptions_for_reconcile('[]')$$), 'BOADP', 'a run reads nothing');
select is(pg_temp.denial('select billing_ops.prune(1)'), null, 'while the rest works');
select is(pg_temp.standing('901'), 'ok', 'its admins are known all the same');
select is(pg_temp.standing('902'), 'forbidden', 'as is who is none');

-- The app's owner mends it.
delete from public.subscriptions where stripe_subscription_id = 'sub_1' and status = 'canceled';
create unique index on public.subscriptions (stripe_subscription_id);
select is(billing_ops.adopt() - 'adopted_at', '{"adopted": true, "fingerprint_ok": true, "changed": null, "readable": true, "table": "public.subscriptions",
  "has": ["customer", "status", "tier", "period_end"], "keeps": ["status", "tier", "period_end"], "one_row_each": true,
  "owners_known": true, "admins": true, "writes": "update_and_insert", "quantity_prices": null}', 'then it can be adopted');
select is((pg_temp.call('service_role', null, $$public.read_subscriptions_for_reconcile('[["sub_1", 1], ["sub_3", 2]]')$$) #>> '{rows,0,3}'), 'sub_1',
  'and read');
select is(pg_temp.standing('901') || pg_temp.standing('902'), 'okforbidden', 'by the same admins');

-- People --------------------------------------------------------------------------------------------------------------------------

select hasnt_column('public', 'users', 'role', 'a table of people in which everybody edits themselves gets no column that makes admins');
set local request.jwt.claims = '{"sub": "00000000-0000-4000-8000-000000000902", "aud": "authenticated", "role": "authenticated"}';
set local role authenticated;
select lives_ok($$update public.users set email = 'new@example.test' where id = '00000000-0000-4000-8000-000000000902'$$,
                'people still edit their own row');
reset role;

select * from finish();
rollback;
