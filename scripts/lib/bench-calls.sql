-- Times of the public functions, each called as the role that may call it, on what bench-fill.sql has filled in.
\ir bench-time.sql

create temporary table bench_run as
select (public.start_reconciliation_run('scheduled_bench', 'scheduled', 24, 330) -> 'run' ->> 'id')::uuid as id;

create function pg_temp.finding(p_type text, p_subject text) returns jsonb language sql as $$
  select jsonb_build_array(jsonb_build_object('drift_key', 'bench:' || p_subject, 'type', p_type, 'severity', 'info',
    'stripe_subscription_id', p_subject, 'issue', 'it differs', 'details', '{}'::jsonb))
$$;
create function pg_temp.create_items(p_name text, p_status text) returns jsonb language sql as $$
  -- For every second one the metadata name the owner; the other's is found by the customer.
  select jsonb_agg(jsonb_build_object('kind', 'create', 'named', case when n % 2 = 0 then jsonb_build_object('metadata', md5('organization ' || n)::uuid) end,
    'findings', pg_temp.finding('missing_in_database', p_name || n),
    'row', jsonb_build_object('stripe_subscription_id', p_name || n, 'customer', 'cus_' || n, 'status', p_status, 'quantity',
      -- A number that no column of the table can hold.
      case p_status when 'active' then 1 else 3000000000 end)))
  from generate_series(1, 500) n
$$;
create temporary table batches as
select
  (select jsonb_agg(jsonb_build_object('kind', 'update', 'findings', pg_temp.finding('status_mismatch', s.stripe_subscription_id),
      'row', jsonb_build_object('key', s.id::text, 'version', s.version, 'status', 'unpaid')))
   from (select xmin::text as version, * from public.subscriptions order by md5(id::text) limit 500) s) as updates,
  pg_temp.create_items('sub_new_', 'active') as creates,
  pg_temp.create_items('sub_bad_', 'refused') as refused,
  (select jsonb_agg(jsonb_build_object('kind', 'none', 'findings', jsonb_build_array(jsonb_build_object(
      'drift_key', d.drift_key, 'type', d.type, 'severity', d.severity, 'stripe_subscription_id', d.stripe_subscription_id,
      'issue', d.issue, 'details', d.details))))
   from (select * from public.drift where closed_at is null order by md5(drift_key) limit 500) d) as standing,
  (select jsonb_agg(jsonb_build_array('sub_stranger_' || n, null, null)) from generate_series(1, 500) n) as looked_up,
  -- A page of Stripe's list, as a scan sees it for the first time, and again.
  (select jsonb_agg(jsonb_build_array('sub_unheard_of_' || n, 1704067200 + n * 900)) from generate_series(50000, 50999) n) as first_time,
  (select jsonb_agg(jsonb_build_array('sub_' || n, 1704067200 + n * 900)) from generate_series(50000, 50999) n) as again,
  (select jsonb_agg('sub_' || n) from generate_series(50000, 50999) n) as named,
  (select jsonb_agg(md5('organization ' || n)::uuid) from generate_series(1, 1000) n) as owners;

do $$
declare
  v_run uuid := (select id from bench_run);
  v_b batches := (select b from batches b);
  v_page record;
begin
  select created_at, id into v_page from public.billing_alerts order by created_at desc, id desc offset 50000 limit 1;
  perform pg_temp.time_it('start: another run is in the way (busy)', 'service_role',
    $q$select public.start_reconciliation_run('manual_x', 'manual', 24, 330, 'cron', null, 'bench')$q$);
  perform pg_temp.time_it('start: the same key runs', 'service_role',
    $q$select public.start_reconciliation_run('scheduled_bench', 'scheduled', 24, 330)$q$);
  perform pg_temp.time_it('start: the same key has finished', 'service_role',
    $q$select public.start_reconciliation_run('scheduled_3', 'scheduled', 24, 330)$q$);
  perform pg_temp.time_it('heartbeat', 'service_role', format('select public.heartbeat_reconciliation_run(%L, 1, 330, %L)', v_run, '{"windows": []}'));
  perform pg_temp.time_it('finish, with two alerts', 'service_role', format(
    $q$select public.finish_reconciliation_run(%L, 1, 'success', '{}', 'm', null, null, '{}', null,
      '[{"alert_key": "key_1", "alert_type": "t", "state": "holds", "severity": "high", "message": "m"},
        {"alert_key": "new", "alert_type": "t", "state": "holds", "severity": "high", "message": "m"}]')$q$, v_run));
  perform pg_temp.time_it('batch of 500 repairs', 'service_role', format('select public.apply_reconciliation_batch(%L, 1, 330, %L)', v_run, v_b.updates));
  perform pg_temp.time_it('batch of 500 new rows', 'service_role', format('select public.apply_reconciliation_batch(%L, 1, 330, %L)', v_run, v_b.creates));
  perform pg_temp.time_it('batch of 500 that are refused', 'service_role', format('select public.apply_reconciliation_batch(%L, 1, 330, %L)', v_run, v_b.refused));
  perform pg_temp.time_it('batch of 500 that stand, seen again', 'service_role', format('select public.apply_reconciliation_batch(%L, 1, 330, %L)', v_run, v_b.standing));
  perform pg_temp.time_it('what 500 checkouts said', 'service_role', format('select public.apply_reconciliation_batch(%L, 1, 330, %L, p_looked_up => %L)',
    v_run, '[]', v_b.looked_up));
  perform pg_temp.time_it('what is adopted, before a run', 'service_role', $q$select public.read_adapter_for_reconcile('["trialing", "active", "past_due"]')$q$);
  perform pg_temp.time_it('what is adopted, and what could be', 'service_role', 'select public.billing_ops_adoption()');
  perform pg_temp.time_it('read a page of 1,000, seen for the first time', 'service_role', format(
    'select public.read_subscriptions_for_reconcile(%L, p_livemode => true, p_horizon => %L)', v_b.first_time, 3));
  perform pg_temp.time_it('read a page of 1,000, seen before', 'service_role', format(
    'select public.read_subscriptions_for_reconcile(%L, p_livemode => true, p_horizon => %L)', v_b.again, 3));
  perform pg_temp.time_it('the same, and their window', 'service_role', format(
    'select public.read_subscriptions_for_reconcile(%L, p_livemode => true, p_horizon => %L, p_created_from => %L, p_created_to => %L)', v_b.again, 3,
    timestamptz '2024-01-01Z' + 50000 * interval '15 minutes', timestamptz '2024-01-01Z' + 51010 * interval '15 minutes'));
  perform pg_temp.time_it('read 1,000 that are named', 'service_role', format('select public.read_subscriptions_for_reconcile(%L, %L)', '[]', v_b.named));
  perform pg_temp.time_it('a page that does not list a window of 120,000', 'service_role',
    $q$select public.read_subscriptions_for_reconcile('[]', p_created_from => '2020-01-01Z', p_created_to => '2030-01-01Z')$q$);
  perform pg_temp.time_it('which of 1,000 owners exist', 'service_role', format('select public.read_owners_for_reconcile(%L)', v_b.owners));
  perform pg_temp.time_it('read unplaced rows', 'service_role', 'select public.read_unplaced_subscriptions()');
  perform pg_temp.time_it('read owners with two live subscriptions', 'service_role',
    $q$select public.read_duplicate_live_subscriptions('["trialing", "active", "past_due", "unpaid", "paused"]')$q$);
  perform pg_temp.time_it('monitor facts', 'service_role', $q$select public.monitor_facts('bench')$q$);
  perform pg_temp.time_it('monitor facts, by an admin', 'authenticated', $q$select public.admin_monitor_facts('bench')$q$);
  perform pg_temp.time_it('monitor outcomes (three conditions, and 5,000 entries pruned)', 'service_role',
    $q$select public.apply_monitor_outcomes('[{"alert_key": "reconcile_stale", "alert_type": "reconcile_stale", "state": "holds", "severity": "warning", "message": "m"},
      {"alert_key": "reconcile_failing", "alert_type": "reconcile_failing", "state": "clear"}, {"alert_key": "key_1", "alert_type": "t", "state": "holds", "severity": "info", "message": "m"}]')$q$);
  perform pg_temp.time_it('resolve an alert', 'service_role', format('select public.resolve_billing_alert(%L, null, %L)',
    (select id from public.billing_alerts where alert_key = 'key_99'), 'note'));
  perform pg_temp.time_it('authorize an admin', 'authenticated', $q$select public.admin_authorize('resolve', 'bench')$q$);
  perform pg_temp.time_it('alerts: open, first page', 'authenticated', $q$select public.admin_billing_alerts('bench')$q$);
  perform pg_temp.time_it('alerts: all, page after 50,000', 'authenticated', format(
    $q$select public.admin_billing_alerts('bench', 'all', null, null, null, 200, %L, %L)$q$, v_page.created_at, v_page.id));
  perform pg_temp.time_it('alerts: open, of a type that there is not', 'authenticated', $q$select public.admin_billing_alerts('bench', 'open', 'critical', 'none')$q$);
  perform pg_temp.time_it('alerts: resolved, of a type that there is not', 'authenticated', $q$select public.admin_billing_alerts('bench', 'resolved', null, 'none')$q$);
  perform pg_temp.time_it('runs: first page', 'authenticated', $q$select public.admin_reconciliation_runs('bench')$q$);
  perform pg_temp.time_it('runs: of a status that there is not', 'authenticated', $q$select public.admin_reconciliation_runs('bench', 'none')$q$);
  perform pg_temp.time_it('one run that ended 50,000, first page', 'authenticated', format($q$select public.admin_reconciliation_run(%L, 'bench', 'ended')$q$, md5('run 1')::uuid));
  perform pg_temp.time_it('the same, of one type', 'authenticated', format($q$select public.admin_reconciliation_run(%L, 'bench', 'ended', 'unknown_price', 200)$q$, md5('run 1')::uuid));
  perform pg_temp.time_it('drift: 200 of 20,000 that stand', 'authenticated', $q$select public.admin_drift('bench', p_limit => 200)$q$);
  perform pg_temp.time_it('drift: all, of one type', 'authenticated', $q$select public.admin_drift('bench', 'all', 'unknown_price')$q$);
  perform pg_temp.time_it('drift: of an owner that there is not', 'authenticated', $q$select public.admin_drift('bench', p_owner => 'nobody')$q$);
  perform pg_temp.time_it('export: first 1,000 of all drift', 'authenticated', $q$select public.admin_export('drift', p_client => 'bench')$q$);
  perform pg_temp.time_it('export: 1,000 in the middle', 'authenticated', format($q$select public.admin_export('drift', p_client => 'bench', p_cursor => %L)$q$,
    (select jsonb_build_object('at', d.first_seen_at, 'id', d.id) from public.drift d order by d.first_seen_at, d.id offset 110000 limit 1)));
  perform pg_temp.time_it('schema version', 'service_role', $q$select public.billing_ops_schema('bench')$q$);
end
$$;

table pg_temp.report;
