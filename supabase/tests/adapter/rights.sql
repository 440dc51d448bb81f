-- Who may do what with the app's objects, one right a line.
with app as (
  select oid, nspname, nspacl, nspowner from pg_namespace
  where nspname not in ('information_schema', 'billing_ops', 'extensions') and nspname !~ '^pg_'
),
rights as (
  select 'schema ' || nspname as object, aclexplode(coalesce(nspacl, acldefault('n', nspowner))) as acl from app
  union all
  select 'relation ' || c.oid::regclass, aclexplode(coalesce(c.relacl, acldefault(case c.relkind when 'S' then 's' else 'r' end::"char", c.relowner)))
  from pg_class c join app on app.oid = c.relnamespace
  union all
  select 'column ' || c.oid::regclass || '.' || a.attname, aclexplode(a.attacl)
  from pg_attribute a join pg_class c on c.oid = a.attrelid join app on app.oid = c.relnamespace
)
select object, (acl).grantee::regrole, (acl).privilege_type, (acl).is_grantable from rights order by 1, 2, 3, 4;
