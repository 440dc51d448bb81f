-- Nothing that was granted by itself is left on an object of ours. (The suite tries every cell.)
begin;
set local search_path = public, extensions;
select plan(5);

select is_empty($$
  select c.oid::regclass, acl.grantee::regrole, acl.privilege_type
  from pg_class c, aclexplode(c.relacl) acl
  where c.oid in ('public.reconciliation_logs'::regclass, 'public.drift'::regclass, 'public.drift_events'::regclass, 'public.drift_policies'::regclass, 'public.billing_alerts'::regclass,
                  'public.billing_alert_events'::regclass, 'public.notification_channels'::regclass, 'public.notification_deliveries'::regclass,
                  'public.rate_limit_windows'::regclass, 'public.stripe_due'::regclass, 'public.notification_deliveries_id_seq'::regclass, 'public.stripe_due_version_seq'::regclass,
                  'public.drift_events_id_seq'::regclass, 'public.billing_alert_events_id_seq'::regclass,
                  'billing_ops.subscription_marks'::regclass, 'billing_ops.adoption'::regclass, 'billing_ops.admins'::regclass,
                  'billing_ops.stripe_deliveries'::regclass)
    and (acl.grantee in (0, 'anon'::regrole) or (acl.grantee = 'authenticated'::regrole and acl.privilege_type <> 'SELECT')
      or c.relkind = 'S' and acl.grantee <> c.relowner)
$$, 'tables and sequences');
select is_empty($$
  select p.oid::regprocedure, acl.grantee from pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) acl
  where p.pronamespace = 'billing_ops'::regnamespace and acl.grantee in (0, 'anon'::regrole)
$$, 'functions, those that adopting made too');
select is_empty($$
  select c.oid::regclass, acl.grantee::regrole, acl.privilege_type from pg_class c, aclexplode(c.relacl) acl
  where c.oid in ('public.organizations'::regclass, 'public.users'::regclass, 'public.organization_members'::regclass, 'public.subscriptions'::regclass)
    and acl.grantee in (0, 'anon'::regrole, 'authenticated'::regrole)
$$, 'an empty project''s own tables');

-- An empty project needs nobody to adopt its table.
select is((billing_ops.adapter_state() - 'adopted_at') || jsonb_build_object('has', jsonb_array_length(billing_ops.adapter_state() -> 'has')),
  '{"adopted": true, "fingerprint_ok": true, "changed": null, "readable": true, "table": "public.subscriptions", "has": 9,
    "keeps": ["status", "tier", "price", "quantity", "period_start", "period_end", "cancel_at_period_end", "trial_end"],
    "one_row_each": false, "owners_known": true, "admins": true, "writes": "update_and_insert", "quantity_prices": null}', 'its table is adopted');
select is((select granted from billing_ops.adoption), '[]', 'which took no grant: its server has them all');

select * from finish();
rollback;
