-- Takes billing-ops out of a database and leaves the app as it was. It is one statement, so either all of it happens or nothing. Run it as
-- the owner of the database: in the SQL editor, with psql "$DATABASE_URL" -f supabase/uninstall.sql, or as a migration of the app's.
--
-- What is lost: whatever billing-ops has recorded (runs, alerts, drift and its history, what it remembers of subscriptions, who is
-- listed in billing_ops.admins), and the rights that it was given on the app's table. What stays: the app's tables with their
-- rows as they are now, repairs included. The base tables of a project that was empty (organizations, users, organization_members,
-- subscriptions) are the app's. Everything in the schema billing_ops goes, also what somebody else put there. Where pg_cron calls
-- the reconciler, unschedule that first; and stop the deployment, whose calls would fail.
--
-- Rights are taken back by name: on a table or column that has been renamed since it was adopted, service_role keeps them; revoke those by
-- hand. If something of the app's, such as a view, depends on a table or function of billing-ops, Postgres names both, and nothing is done.
--
-- Afterwards the next push must neither miss the migrations nor apply them again. Unless this ran as a migration (then leave everything
-- as it is, as every other database of the app has to go the same way):
--
--   - beside an app, delete supabase/migrations/*[0-9]_billing_ops.sql from its folder, and here
--       delete from supabase_migrations.schema_migrations where name = 'billing_ops';
--   - in a project that was pushed from the folder of billing-ops, here
--       delete from supabase_migrations.schema_migrations where version like '20250127%' or version >= '20261127';
--
-- scripts/install.sh recognizes by the next line that a migration takes back what the ones before it hold.
-- billing-ops: uninstall

do $$
declare
  v_tables regclass[];
  v_functions regprocedure[];
  v_policy text;
  v_message text;
  v_detail text;
begin
  -- Every name below is qualified, whatever the session's search_path is.
  perform pg_catalog.set_config('search_path', '', true);
  -- Better to fail than to queue up: whoever reads one of the tables would wait behind.
  perform pg_catalog.set_config('lock_timeout', '10s', true);

  if pg_catalog.to_regnamespace('billing_ops') is null then
    raise exception 'There is no schema billing_ops: billing-ops is not installed in this database.'
      using errcode = 'invalid_schema_name';
  end if;
  if pg_catalog.to_regprocedure('billing_ops.unadopt()') is not null then
    perform billing_ops.unadopt();
  end if;

  -- What any version has made in public. A name stays in these lists for as long as there may be a database that has it.
  v_tables := array(
    select pg_catalog.to_regclass('public.' || listed.name)
    from pg_catalog.unnest(array[
      'billing_alert_events',
      'billing_alerts',
      'drift',
      'drift_events',
      'drift_policies',
      'notification_channels',
      'notification_deliveries',
      'rate_limit_windows',
      'reconciliation_logs',
      'stripe_due'
    ]) listed (name)
    where pg_catalog.to_regclass('public.' || listed.name) is not null
      -- Two of them came in 2025 and may be all that is there. Then a table with any other of these names is the app's.
      and (listed.name in ('billing_alerts', 'reconciliation_logs') or pg_catalog.to_regclass('billing_ops.adoption') is not null)
    union all
    select c.oid from pg_catalog.pg_class c
    where c.relnamespace = 'billing_ops'::regnamespace and c.relkind in ('r', 'p'));
  -- By the whole signature, as the app may have a function of the same name.
  v_functions := array(
    select pg_catalog.to_regprocedure('public.' || listed.signature)
    from pg_catalog.unnest(array[
      'admin_authorize(text, text)',
      'admin_billing_alerts(text, text, text, text, text, integer, timestamptz, uuid)',
      'admin_drift(text, text, text, text, text, text, integer, timestamptz, uuid)',
      'admin_drift_for_approval(jsonb, text)',
      'admin_drift_policies(text)',
      'admin_export(text, timestamptz, timestamptz, jsonb, integer, text)',
      'admin_monitor_facts(text)',
      'admin_notifications(text, text, text, uuid, integer, bigint)',
      'admin_reconciliation_run(uuid, text, text, text, integer, timestamptz, uuid)',
      'admin_reconciliation_runs(text, text, text, integer, timestamptz, uuid, text)',
      'allow_held_drift(text, integer, text, uuid)',
      'apply_drift_decisions(uuid, jsonb, jsonb, jsonb)',
      'apply_monitor_outcomes(jsonb, jsonb)',
      'apply_reconciliation_batch(uuid, integer, integer, jsonb, jsonb, jsonb, jsonb, jsonb)',
      'attend_billing_alert(uuid, uuid, text, integer, text)',
      'billing_ops_adoption()',
      'billing_ops_schema(text)',
      'claim_deliveries(jsonb, text, jsonb)',
      'claim_delivery(jsonb, text, bigint)',
      'except_drift(uuid, uuid, integer, text)',
      'finish_deliveries(jsonb)',
      'finish_reconciliation_run(uuid, integer, text, jsonb, text, text, text, jsonb, jsonb, jsonb, jsonb, text, jsonb, timestamptz, boolean)',
      'heartbeat_reconciliation_run(uuid, integer, integer, jsonb, jsonb)',
      'monitor_facts(text)',
      'note_stripe_events(jsonb)',
      'read_adapter_for_reconcile(jsonb)',
      'read_due_subscriptions(integer, timestamptz)',
      'read_duplicate_live_subscriptions(jsonb, text, integer, integer, integer)',
      'read_rows_of_owners_for_reconcile(jsonb)',
      'read_metrics(text)',
      'read_owners_for_reconcile(jsonb)',
      'read_standing_drift(jsonb)',
      'read_subscriptions_for_reconcile(jsonb, jsonb, boolean, text, timestamptz, timestamptz, integer)',
      'read_unplaced_subscriptions(text, integer, integer)',
      'resolve_billing_alert(uuid, uuid, text)',
      'revert_drift(uuid, uuid, text, text)',
      'set_drift_policy(text, text, integer, uuid)',
      'start_reconciliation_run(text, text, integer, integer, text, uuid, text, uuid, text, integer)',
      'take_drift_allowances(uuid, integer)',
      'unexcept_drift(uuid, uuid, text)'
    ]) listed (signature)
    where pg_catalog.to_regprocedure('public.' || listed.signature) is not null
    union all
    select p.oid from pg_catalog.pg_proc p where p.pronamespace = 'billing_ops'::regnamespace);

  -- Policies call functions, and functions take rows of tables: hence the order. Each kind goes in one statement, as its members
  -- depend on one another; never with cascade, which would take along what is the app's.
  for v_policy in
    select pg_catalog.format('drop policy %I on %s', p.polname, p.polrelid::regclass)
    from pg_catalog.pg_policy p where p.polrelid = any (v_tables)
  loop
    execute v_policy;
  end loop;
  if v_functions <> '{}' then
    execute 'drop routine ' || pg_catalog.array_to_string(v_functions, ', ');
  end if;
  if v_tables <> '{}' then
    execute 'drop table ' || pg_catalog.array_to_string(v_tables, ', ');
  end if;
  drop schema billing_ops;
  notify pgrst, 'reload schema';
exception when dependent_objects_still_exist then
  -- The same sentence, without Postgres's advice to cascade.
  get stacked diagnostics v_message = message_text, v_detail = pg_exception_detail;
  raise exception using errcode = 'dependent_objects_still_exist', message = v_message, detail = v_detail,
    hint = 'Nothing was changed. What the detail names is the app''s: drop it, or make it do without, and try again.';
end
$$;
