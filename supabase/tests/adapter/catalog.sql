-- All that the catalog knows of the app's objects, as lines that can be compared, but for who may do what and what vacuum counts.
with app as (
  select oid from pg_namespace
  where nspname not in ('information_schema', 'billing_ops', 'extensions') and nspname !~ '^pg_'
),
relation as (select c.* from pg_class c where c.relnamespace in (select oid from app)),
function as (select p.* from pg_proc p where p.pronamespace in (select oid from app))
select 'schema ' || ((to_jsonb(n) - 'nspacl'))::text from pg_namespace n where n.oid in (select oid from app)
union all select 'class ' || ((to_jsonb(c) - 'relacl' - 'relpages' - 'reltuples' - 'relallvisible' - 'relfrozenxid' - 'relminmxid'))::text from relation c
union all select 'attribute ' || ((to_jsonb(a) - 'attacl'))::text from pg_attribute a join relation c on c.oid = a.attrelid
union all select 'default ' || (to_jsonb(d))::text from pg_attrdef d join relation c on c.oid = d.adrelid
union all select 'constraint ' || (to_jsonb(k))::text from pg_constraint k where k.connamespace in (select oid from app)
union all select 'trigger ' || (to_jsonb(t))::text from pg_trigger t join relation c on c.oid = t.tgrelid
union all select 'index ' || (to_jsonb(i))::text from pg_index i join relation c on c.oid = i.indrelid
union all select 'policy ' || (to_jsonb(p))::text from pg_policy p join relation c on c.oid = p.polrelid
union all select 'rule ' || (to_jsonb(r))::text from pg_rewrite r join relation c on c.oid = r.ev_class
union all select 'function ' || ((to_jsonb(f) - 'proacl'))::text from function f
union all select 'type ' || ((to_jsonb(t) - 'typacl'))::text from pg_type t where t.typnamespace in (select oid from app)
union all select 'label ' || (to_jsonb(e))::text from pg_enum e join pg_type t on t.oid = e.enumtypid where t.typnamespace in (select oid from app)
union all select 'sequence ' || (to_jsonb(s))::text from pg_sequence s join relation c on c.oid = s.seqrelid
union all select 'comment ' || (to_jsonb(d))::text from pg_description d join relation c on c.oid = d.objoid
union all select 'statistics ' || (to_jsonb(s))::text from pg_statistic_ext s join relation c on c.oid = s.stxrelid
order by 1;
