-- Nothing that was granted by itself is left on an object of ours. (The suite tries every cell.)
begin;
set local search_path = public, extensions;
select plan(2);

select is_empty($$
  select c.oid::regclass, acl.grantee::regrole, acl.privilege_type
  from pg_class c, aclexplode(c.relacl) acl
  where c.oid in ('public.reconciliation_logs'::regclass, 'public.drift'::regclass, 'public.drift_events'::regclass, 'public.billing_alerts'::regclass,
                  'public.billing_alert_events'::regclass, 'public.rate_limit_windows'::regclass,
                  'public.drift_events_id_seq'::regclass, 'public.billing_alert_events_id_seq'::regclass)
    and (acl.grantee in (0, 'anon'::regrole) or (acl.grantee = 'authenticated'::regrole and acl.privilege_type <> 'SELECT')
      or c.relkind = 'S' and acl.grantee <> c.relowner)
$$, 'tables and sequences');
select is_empty($$
  select p.oid::regprocedure, acl.grantee from pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) acl
  where p.pronamespace = 'billing_ops'::regnamespace and acl.grantee in (0, 'anon'::regrole)
$$, 'functions');

select * from finish();
rollback;
