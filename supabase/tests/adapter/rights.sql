-- Who may do what with the app's objects, one right a line.
with app as (
  select oid, nspname, nspacl, nspowner from pg_namespace
  where nspname not in ('information_schema', 'billing_ops', 'extensions') and nspname !~ '^pg_'
),
-- What billing-ops puts beside them has rights of its own.
relation as (
  select c.* from pg_class c join app on app.oid = c.relnamespace
  where not (c.relnamespace = 'public'::regnamespace and c.relname ~ '^(reconciliation_logs|drift|drift_events|drift_policies|billing_alerts|billing_alert_events|notification_channels|notification_deliveries|rate_limit_windows|stripe_due)(_|$)')
),
rights as (
  select 'schema ' || nspname as object, aclexplode(coalesce(nspacl, acldefault('n', nspowner))) as acl from app
  union all
  select 'relation ' || c.oid::regclass, aclexplode(coalesce(c.relacl, acldefault(case c.relkind when 'S' then 's' else 'r' end::"char", c.relowner)))
  from relation c
  union all
  select 'column ' || c.oid::regclass || '.' || a.attname, aclexplode(a.attacl)
  from pg_attribute a join relation c on c.oid = a.attrelid
)
select object, (acl).grantee::regrole, (acl).privilege_type, (acl).is_grantable from rights order by 1, 2, 3, 4;
