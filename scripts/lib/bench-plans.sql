-- Plans of the statements inside the admin pages and the reconciler's reads: each must name the index made for it.
load 'auto_explain';
set auto_explain.log_min_duration = 0;
set auto_explain.log_nested_statements = on;
set auto_explain.log_analyze = on;
set auto_explain.log_timing = off;
set auto_explain.log_level = notice;
set client_min_messages = notice;
begin;
select set_config('request.jwt.claims', jsonb_build_object('sub', md5('user 1')::uuid, 'aud', 'authenticated', 'role', 'authenticated')::text, true) is null;
set local role authenticated;
\o /dev/null
select public.admin_billing_alerts();
select public.admin_billing_alerts(p_status => 'all', p_before_at => now() - interval '100 days', p_before_id => gen_random_uuid());
select public.admin_reconciliation_runs();
select public.admin_reconciliation_run(md5('run 1')::uuid, null, 'ended', 'unknown_price', 50);
select public.admin_drift();
select public.admin_export('drift', p_cursor => jsonb_build_object('at', now() - interval '100 days', 'id', gen_random_uuid()));
select public.admin_export('history', p_cursor => jsonb_build_object('at', now() - interval '100 days', 'id', 1));
select public.admin_export('runs', p_cursor => jsonb_build_object('at', now() - interval '100 days', 'id', gen_random_uuid()));
set local role service_role;
select public.read_subscriptions_for_reconcile('[["sub_1", 1], ["sub_2", 2]]', p_created_from => '2024-01-01Z', p_created_to => '2024-01-02Z');
select public.read_unplaced_subscriptions();
select public.read_duplicate_live_subscriptions('["active"]');
\o
rollback;
