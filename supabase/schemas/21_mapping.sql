-- The mapping: which table and which of its columns say what. Here it is kept, taken apart, and looked up in the catalog.
-- 22_objections.sql judges it, 23_adapter.sql makes functions of it, 24_adopt.sql puts it in force.

create table billing_ops.adoption (
  one boolean primary key default true check (one),
  mapping jsonb not null,
  fingerprint jsonb not null,
  granted jsonb not null,
  generator integer not null,
  adopted_at timestamptz not null default now(),
  adopted_by text not null default current_user
);
comment on table billing_ops.adoption is
  'The table that is reconciled: no row before billing_ops.adopt, one row after. Written by adopt and unadopt only.';
comment on column billing_ops.adoption.one is 'Always true: there is one adopted table at most.';
comment on column billing_ops.adoption.mapping is 'The mapping with its defaults filled in and its tables'' names in full.';
comment on column billing_ops.adoption.fingerprint is
  'billing_ops.fingerprint(mapping) at the time of adopt: what the generated functions rely on.';
comment on column billing_ops.adoption.granted is
  'What service_role was granted for this mapping and did not have before: exactly this is taken back.';
comment on column billing_ops.adoption.generator is 'The version of the generator that made the functions.';
comment on column billing_ops.adoption.adopted_at is 'When.';
comment on column billing_ops.adoption.adopted_by is 'The database role that called adopt.';
alter table billing_ops.adoption enable row level security;
revoke all on billing_ops.adoption from public, anon, authenticated, service_role;
grant select on billing_ops.adoption to service_role;

-- Names --------------------------------------------------------------------------------------------------------------

create function billing_ops.relation_parts(p_name text)
returns text[]
language plpgsql immutable
set search_path = ''
as $$
declare
  v_parts text[];
begin
  v_parts := pg_catalog.parse_ident(p_name);
  return case pg_catalog.cardinality(v_parts) when 1 then array['public'] || v_parts when 2 then v_parts end;
exception when invalid_parameter_value then
  return null;
end
$$;
comment on function billing_ops.relation_parts(text) is
  'Schema and name of a table as SQL writes it (billing."Sub"); the schema is public if none is given; null for what is not a name.';
revoke all on function billing_ops.relation_parts(text) from public, anon, authenticated;
grant execute on function billing_ops.relation_parts(text) to service_role;

create function billing_ops.relation_name(p_name text)
returns text
language plpgsql immutable
set search_path = ''
as $$
begin
  return (
    select pg_catalog.format('%I.%I', parts[1], parts[2]) from billing_ops.relation_parts(p_name) parts where parts is not null);
end
$$;
comment on function billing_ops.relation_name(text) is 'A table''s name in full, quoted where SQL asks for it.';
revoke all on function billing_ops.relation_name(text) from public, anon, authenticated;
grant execute on function billing_ops.relation_name(text) to service_role;

-- By join and not by to_regclass, which raises an error for a schema that the caller may not use. Here and below, names are compared
-- as type name, and a table is looked up in a sub-select: otherwise the catalog is read from end to end, and the table looked up at
-- each row. What reads the catalog is plpgsql, which keeps its plan for the session: judging one mapping takes some hundred calls.
create function billing_ops.relation_oid(p_name text)
returns oid
language plpgsql stable
set search_path = ''
as $$
begin
  return (
    select c.oid
    from billing_ops.relation_parts(p_name) parts
    join pg_catalog.pg_namespace n on n.nspname = parts[1]::name
    join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = parts[2]::name
    where c.relkind in ('r', 'p', 'v', 'm', 'f'));
end
$$;
comment on function billing_ops.relation_oid(text) is 'The table or view of that name; null if there is none.';
revoke all on function billing_ops.relation_oid(text) from public, anon, authenticated;
grant execute on function billing_ops.relation_oid(text) to service_role;

create function billing_ops.quantity_column(p_mapping jsonb)
returns text
language sql immutable
set search_path = ''
as $$
  select case pg_catalog.jsonb_typeof(p_mapping -> 'quantity')
    when 'object' then p_mapping #>> '{quantity,column}' else p_mapping ->> 'quantity' end
$$;
comment on function billing_ops.quantity_column(jsonb) is
  'The column of the quantity: a mapping names either a column, or a column and the prices that it counts.';
revoke all on function billing_ops.quantity_column(jsonb) from public, anon, authenticated;
grant execute on function billing_ops.quantity_column(jsonb) to service_role;

-- "rows": left to guess, the planner assumes a thousand for each, and compiles a plan for a thousand million.
create function billing_ops.mapped_columns(p_mapping jsonb)
returns table (word text, relation text, attribute text)
language plpgsql immutable rows 15
set search_path = ''
as $$
#variable_conflict use_column
begin
  return query
  select w.word, billing_ops.relation_name(w.relation), w.attribute
  from (values
    ('key', p_mapping ->> 'table', p_mapping ->> 'key'),
    ('stripe_subscription_id', p_mapping ->> 'table', p_mapping ->> 'stripe_subscription_id'),
    ('owner', p_mapping ->> 'table', p_mapping #>> '{owner,column}'),
    ('owner.key', p_mapping #>> '{owner,table}', p_mapping #>> '{owner,key}'),
    -- The customer is in a column of the row itself, or of another row that one of its columns points to.
    ('customer', coalesce(p_mapping #>> '{customer,table}', p_mapping ->> 'table'), p_mapping #>> '{customer,column}'),
    ('customer.by', p_mapping ->> 'table', p_mapping #>> '{customer,by}'),
    ('customer.key', p_mapping #>> '{customer,table}', p_mapping #>> '{customer,key}'),
    ('status', p_mapping ->> 'table', p_mapping ->> 'status'),
    ('tier', p_mapping ->> 'table', p_mapping ->> 'tier'),
    ('price', p_mapping ->> 'table', p_mapping ->> 'price'),
    ('quantity', p_mapping ->> 'table', billing_ops.quantity_column(p_mapping)),
    ('period_start', p_mapping ->> 'table', p_mapping ->> 'period_start'),
    ('period_end', p_mapping ->> 'table', p_mapping ->> 'period_end'),
    ('cancel_at_period_end', p_mapping ->> 'table', p_mapping ->> 'cancel_at_period_end'),
    ('trial_end', p_mapping ->> 'table', p_mapping ->> 'trial_end')
  ) w (word, relation, attribute)
  where w.attribute is not null and w.relation is not null
  union all
  select fixed.word || '.' || k.attribute, billing_ops.relation_name(p_mapping ->> 'table'), k.attribute
  from (values ('where', p_mapping -> 'where'), ('on_insert', p_mapping -> 'on_insert')) fixed (word, constants)
  cross join lateral pg_catalog.jsonb_object_keys(
    case pg_catalog.jsonb_typeof(fixed.constants) when 'object' then fixed.constants else '{}' end) k (attribute);
end
$$;
comment on function billing_ops.mapped_columns(jsonb) is
  'Every column that a mapping names for reading or writing subscriptions, with the word that it stands for.';
revoke all on function billing_ops.mapped_columns(jsonb) from public, anon, authenticated;
grant execute on function billing_ops.mapped_columns(jsonb) to service_role;

create function billing_ops.admin_sources(p_mapping jsonb)
returns setof jsonb
language sql immutable rows 2
set search_path = ''
as $$
  select s from pg_catalog.jsonb_array_elements(case pg_catalog.jsonb_typeof(p_mapping -> 'admins')
    when 'array' then p_mapping -> 'admins' when 'object' then pg_catalog.jsonb_build_array(p_mapping -> 'admins') else '[]' end) s
$$;
comment on function billing_ops.admin_sources(jsonb) is
  'Where admins are found, {"table", "user", "role", "in"} each: a mapping names one place, or several in a list.';
revoke all on function billing_ops.admin_sources(jsonb) from public, anon, authenticated;

-- The catalog --------------------------------------------------------------------------------------------------------

create function billing_ops.column_facts(p_relation text, p_attribute text)
returns table (attnum smallint, type_oid oid, type_name text, declared text, limit_at integer, family text, small boolean,
  labels text[], required boolean, has_default boolean, generated boolean)
language plpgsql stable rows 1
set search_path = ''
as $$
#variable_conflict use_variable
declare
  v_column record;
  v_base record;
  v_modifier integer;
begin
  select a.attnum, a.atttypid, a.atttypmod, a.attnotnull, a.atthasdef, a.attidentity, a.attgenerated into v_column
  from pg_catalog.pg_attribute a
  where a.attrelid = (select billing_ops.relation_oid(p_relation)) and a.attname = p_attribute::name and a.attnum > 0
    and not a.attisdropped;
  if not found then
    return;
  end if;
  attnum := v_column.attnum;
  type_oid := v_column.atttypid;
  type_name := pg_catalog.format_type(v_column.atttypid, null);
  declared := pg_catalog.format_type(v_column.atttypid, v_column.atttypmod);
  required := v_column.attnotnull;
  generated := v_column.attgenerated <> '' or v_column.attidentity = 'a';
  -- An identity column has no default of its own, and fills itself all the same.
  has_default := v_column.atthasdef or v_column.attidentity <> '';

  -- A domain is judged by what it is made of.
  v_modifier := v_column.atttypmod;
  select t.oid, t.typtype, t.typbasetype, t.typtypmod, t.typnotnull, t.typdefault into v_base from pg_catalog.pg_type t where t.oid = type_oid;
  has_default := has_default or v_base.typdefault is not null;
  required := required or v_base.typnotnull;
  while v_base.typtype = 'd' loop
    v_modifier := greatest(v_modifier, v_base.typtypmod);
    select t.oid, t.typtype, t.typbasetype, t.typtypmod, t.typnotnull into v_base
    from pg_catalog.pg_type t where t.oid = v_base.typbasetype;
    required := required or v_base.typnotnull;
  end loop;

  family := case
    when v_base.typtype = 'e' then 'enum'
    when v_base.oid in ('pg_catalog.text'::regtype, 'pg_catalog.varchar'::regtype) then 'text'
    when v_base.oid in ('pg_catalog.int2'::regtype, 'pg_catalog.int4'::regtype, 'pg_catalog.int8'::regtype) then 'integer'
    when v_base.oid in ('pg_catalog.uuid'::regtype, 'pg_catalog.numeric'::regtype) then pg_catalog.format_type(v_base.oid, null)
    when v_base.oid = 'pg_catalog.bool'::regtype then 'boolean'
    when v_base.oid = 'pg_catalog.timestamptz'::regtype then 'timestamptz'
    when v_base.oid = 'pg_catalog.timestamp'::regtype then 'timestamp'
    else 'other' end;
  small := v_base.oid = 'pg_catalog.int2'::regtype;
  if v_base.oid = 'pg_catalog.varchar'::regtype and v_modifier > 4 then
    limit_at := v_modifier - 4;
  end if;
  if family = 'enum' then
    labels := array(select e.enumlabel::text from pg_catalog.pg_enum e where e.enumtypid = v_base.oid order by e.enumsortorder);
  end if;
  return next;
end
$$;
comment on function billing_ops.column_facts(text, text) is
  'What the catalog knows of one column; no row if it is not there. family: what kind of value it can hold; small: smallint, too
  short for a time; generated: cannot be written.';
revoke all on function billing_ops.column_facts(text, text) from public, anon, authenticated;
grant execute on function billing_ops.column_facts(text, text) to service_role;

create function billing_ops.unique_columns(p_relation text)
returns table (columns text[], predicate text)
language plpgsql stable rows 3
set search_path = ''
as $$
#variable_conflict use_column
begin
  return query
  select array(
      select a.attname::text
      from pg_catalog.unnest(i.indkey::smallint[]) with ordinality k (attnum, place)
      join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
      where k.place <= i.indnkeyatts order by a.attname),
    pg_catalog.pg_get_expr(i.indpred, i.indrelid)
  from pg_catalog.pg_index i
  where i.indrelid = (select billing_ops.relation_oid(p_relation)) and i.indisunique and i.indisvalid and i.indexprs is null;
end
$$;
comment on function billing_ops.unique_columns(text) is
  'The columns (in alphabetical order) of each unique index of a table, primary key and constraints included, and its predicate.';
revoke all on function billing_ops.unique_columns(text) from public, anon, authenticated;
grant execute on function billing_ops.unique_columns(text) to service_role;

create function billing_ops.fingerprint(p_mapping jsonb)
returns jsonb
language sql stable
set search_path = ''
as $$
  select pg_catalog.jsonb_object_agg(t.relation, pg_catalog.jsonb_build_object(
    'kind', (select c.relkind from pg_catalog.pg_class c where c.oid = (select billing_ops.relation_oid(t.relation))),
    'columns', (
      select pg_catalog.jsonb_object_agg(mapped.attribute, (
        select pg_catalog.jsonb_build_object('type', f.declared, 'required', f.required, 'labels', f.labels)
        from billing_ops.column_facts(t.relation, mapped.attribute) f))
      from pg_catalog.unnest(t.attributes) mapped (attribute)),
    'unique', (
      select coalesce(pg_catalog.jsonb_agg(distinct pg_catalog.array_to_string(u.columns, ', ')
        || coalesce(' where ' || u.predicate, '')), '[]')
      from billing_ops.unique_columns(t.relation) u
      where u.columns <@ t.attributes)
  ))
  from (select m.relation, pg_catalog.array_agg(distinct m.attribute) as attributes
        from billing_ops.mapped_columns(p_mapping) m group by m.relation) t
$$;
comment on function billing_ops.fingerprint(jsonb) is
  'What the generated functions rely on, by table: name, type, nullability and enum labels of the mapped columns, and the unique
  indexes that consist of mapped columns. Not the names of indexes, nor checks, triggers or other columns: an app may change those freely.';
revoke all on function billing_ops.fingerprint(jsonb) from public, anon, authenticated;
grant execute on function billing_ops.fingerprint(jsonb) to service_role;

create function billing_ops.fingerprint_difference(p_before jsonb, p_now jsonb)
returns text
language sql immutable
set search_path = ''
as $$
  with tables as (
    select t.relation, t.before, p_now -> t.relation as now from pg_catalog.jsonb_each(p_before) t (relation, before)
  ),
  -- Where a table is gone, its columns are not reported as well.
  kept as (select t.* from tables t where t.now ->> 'kind' = t.before ->> 'kind')
  select pg_catalog.string_agg(d.said, ' ' order by d.place, d.said) from (
    select 1 as place, pg_catalog.format(
      case when t.now ->> 'kind' is null then 'Table %s no longer exists.' else '%s is no longer the same kind of table.' end,
      t.relation) as said
    from tables t where t.now ->> 'kind' is distinct from t.before ->> 'kind'
    union all
    select 2, case
      when coalesce(c.now, 'null') = 'null' then pg_catalog.format('Column %s of %s no longer exists.', c.attribute, c.relation)
      when c.now -> 'type' <> c.before -> 'type'
        then pg_catalog.format('Column %s of %s was %s and is now %s.', c.attribute, c.relation, c.before ->> 'type', c.now ->> 'type')
      when c.now -> 'labels' <> c.before -> 'labels'
        then pg_catalog.format('Column %s of %s has other enum labels: %s.', c.attribute, c.relation,
          (select pg_catalog.string_agg(l, ', ') from pg_catalog.jsonb_array_elements_text(c.now -> 'labels') l))
      when (c.now ->> 'required')::boolean
        then pg_catalog.format('Column %s of %s can no longer be null.', c.attribute, c.relation)
      else pg_catalog.format('Column %s of %s can be null now.', c.attribute, c.relation) end
    from (select k.relation, b.attribute, b.before, k.now -> 'columns' -> b.attribute as now
          from kept k cross join lateral pg_catalog.jsonb_each(k.before -> 'columns') b (attribute, before)) c
    where c.now is distinct from c.before
    union all
    select 3, pg_catalog.format('The unique index on %s (%s) is gone.', k.relation, u)
    from kept k cross join lateral pg_catalog.jsonb_array_elements_text(k.before -> 'unique') u
    where not k.now -> 'unique' ? u
    union all
    select 3, pg_catalog.format('There is a new unique index on %s (%s).', k.relation, u)
    from kept k cross join lateral pg_catalog.jsonb_array_elements_text(k.now -> 'unique') u
    where not k.before -> 'unique' ? u
  ) d
$$;
comment on function billing_ops.fingerprint_difference(jsonb, jsonb) is
  'How two fingerprints differ, in sentences; null if they do not.';
revoke all on function billing_ops.fingerprint_difference(jsonb, jsonb) from public, anon, authenticated;
grant execute on function billing_ops.fingerprint_difference(jsonb, jsonb) to service_role;
