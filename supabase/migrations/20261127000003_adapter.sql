-- The app's own table, whatever its shape: what is remembered of a subscription, a mapping that is checked against the catalog, and the
-- functions that are generated from it.

set local lock_timeout = '10s';

-- What has to be remembered of a Stripe subscription. It stands here and not on the app's table, which belongs to the app; and it
-- is kept for subscriptions that have no row there, too, so that a stranger is looked up once in its life.

grant usage on schema billing_ops to service_role;

create table billing_ops.subscription_marks (
  stripe_subscription_id text primary key,
  created timestamptz not null,
  livemode boolean,
  seen_at timestamptz not null default now(),
  owner text,
  owner_source text,
  looked_up_at timestamptz
);
comment on table billing_ops.subscription_marks is
  'One row for each Stripe subscription that a scan has seen, whether or not the app has a row for it.';
comment on column billing_ops.subscription_marks.stripe_subscription_id is 'Stripe''s sub_….';
comment on column billing_ops.subscription_marks.created is
  'When Stripe created it. It never changes, so scans are split by it.';
comment on column billing_ops.subscription_marks.livemode is 'Stripe''s live mode; null until it has been observed.';
comment on column billing_ops.subscription_marks.seen_at is 'When a scan first saw it.';
comment on column billing_ops.subscription_marks.owner is
  'Whose checkout it was, as text; null where nobody is known. A memory of Stripe''s answer, not proof that the owner still exists.';
comment on column billing_ops.subscription_marks.owner_source is
  'Where the owner was read, for example in the checkout session''s metadata.';
comment on column billing_ops.subscription_marks.looked_up_at is
  'When its checkout session was looked up; null if it never was. One that has a time here is not looked up again.';

create index subscription_marks_created on billing_ops.subscription_marks (created, stripe_subscription_id);
comment on index billing_ops.subscription_marks_created is 'The subscriptions of a scan''s window.';

alter table billing_ops.subscription_marks enable row level security;
revoke all on billing_ops.subscription_marks from public, anon, authenticated, service_role;
grant select, insert, update on billing_ops.subscription_marks to service_role;

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

-- Judging a mapping: what it may hold, and why one cannot be adopted. Each objection is one sentence for whoever wrote the mapping.

create function billing_ops.mapping_words()
returns table (parent text, word text, kinds text[], needed boolean)
language sql immutable rows 32
set search_path = ''
as $$
  values
    ('', 'table', '{string}'::text[], true),
    ('', 'key', '{string}', true),
    ('', 'stripe_subscription_id', '{string}', true),
    ('', 'owner', '{object}', true),
    ('', 'customer', '{object}', false),
    ('', 'status', '{string}', true),
    ('', 'tier', '{string}', false),
    ('', 'price', '{string}', false),
    ('', 'quantity', '{string,object}', false),
    ('', 'period_start', '{string}', false),
    ('', 'period_end', '{string}', false),
    ('', 'cancel_at_period_end', '{string}', false),
    ('', 'trial_end', '{string}', false),
    ('', 'keeps', '{array}', false),
    ('', 'where', '{object}', false),
    ('', 'on_insert', '{object}', false),
    ('', 'writes', '{string}', false),
    ('', 'admins', '{object,array}', false),
    ('owner', 'column', '{string}', true),
    ('owner', 'table', '{string}', false),
    ('owner', 'key', '{string}', false),
    ('owner', 'one_row_each', '{boolean}', false),
    ('customer', 'column', '{string}', true),
    ('customer', 'table', '{string}', false),
    ('customer', 'key', '{string}', false),
    ('customer', 'by', '{string}', false),
    ('quantity', 'column', '{string}', true),
    ('quantity', 'prices', '{array}', true),
    ('admins', 'table', '{string}', true),
    ('admins', 'user', '{string}', true),
    ('admins', 'role', '{string}', false),
    ('admins', 'in', '{array}', false)
$$;
comment on function billing_ops.mapping_words() is
  'Every word that a mapping may hold: under which word it stands, what kind of JSON it is, and whether it must be there.';
revoke all on function billing_ops.mapping_words() from public, anon, authenticated;

create function billing_ops.mapping_fields()
returns text[]
language sql immutable
set search_path = ''
as $$
  select array['status', 'tier', 'price', 'quantity', 'period_start', 'period_end', 'cancel_at_period_end', 'trial_end']
$$;
comment on function billing_ops.mapping_fields() is
  'What a row says about a subscription: what is compared with Stripe and may be repaired.';
revoke all on function billing_ops.mapping_fields() from public, anon, authenticated;
grant execute on function billing_ops.mapping_fields() to service_role;

create function billing_ops.without_nulls(p_mapping jsonb)
returns jsonb
language sql immutable
set search_path = ''
as $$
  -- Not jsonb_strip_nulls on the whole: "on_insert": {"ended_at": null} means what it says.
  select coalesce(pg_catalog.jsonb_object_agg(m.word,
    case when m.word in ('owner', 'customer', 'quantity', 'admins') then pg_catalog.jsonb_strip_nulls(m.said)
      else m.said end), '{}')
  from pg_catalog.jsonb_each(p_mapping) m (word, said) where m.said <> 'null'
$$;
comment on function billing_ops.without_nulls(jsonb) is
  'A mapping without the words that it gives as null: those are as good as absent.';
revoke all on function billing_ops.without_nulls(jsonb) from public, anon, authenticated;

create function billing_ops.one_row_each(p_mapping jsonb)
returns boolean
language sql stable
set search_path = ''
as $$
  select exists (
    select 1 from billing_ops.unique_columns(p_mapping ->> 'table') u
    where u.predicate is null and p_mapping #>> '{owner,column}' = any (u.columns)
      -- A column that "where" fixes is the same in all rows, so it tells no two apart.
      and not exists (
        select 1 from pg_catalog.unnest(u.columns) c
        where c <> p_mapping #>> '{owner,column}' and not coalesce(p_mapping -> 'where', '{}') ? c))
$$;
comment on function billing_ops.one_row_each(jsonb) is 'Does a unique index allow only one row for each owner?';
revoke all on function billing_ops.one_row_each(jsonb) from public, anon, authenticated;

create function billing_ops.complete_mapping(p_mapping jsonb)
returns jsonb
language sql stable
set search_path = ''
as $$
  select pg_catalog.jsonb_build_object('writes', 'none', 'where', '{}'::jsonb, 'on_insert', '{}'::jsonb,
      'keeps', (select coalesce(pg_catalog.jsonb_agg(f), '[]') from pg_catalog.unnest(billing_ops.mapping_fields()) f where m ? f))
    || m
    || pg_catalog.jsonb_build_object(
      'table', billing_ops.relation_name(m ->> 'table'),
      'owner', (m -> 'owner') || pg_catalog.jsonb_build_object('one_row_each', billing_ops.one_row_each(m)))
    || coalesce((
      select pg_catalog.jsonb_object_agg(w, (m -> w)
        || pg_catalog.jsonb_build_object('table', billing_ops.relation_name(m #>> array[w, 'table']))
        || case w when 'owner' then pg_catalog.jsonb_build_object('one_row_each', billing_ops.one_row_each(m)) else '{}' end)
      from pg_catalog.unnest(array['owner', 'customer']) w where m #>> array[w, 'table'] is not null), '{}')
    || coalesce((
      select pg_catalog.jsonb_build_object('admins', pg_catalog.jsonb_agg(
        s || pg_catalog.jsonb_build_object('table', billing_ops.relation_name(s ->> 'table'))))
      from billing_ops.admin_sources(m) s having count(*) > 0), '{}')
  from billing_ops.without_nulls(p_mapping) m
$$;
comment on function billing_ops.complete_mapping(jsonb) is
  'A mapping with its defaults: nothing is written, "keeps" has every mapped field, one_row_each as the unique indexes say, names in full.';
revoke all on function billing_ops.complete_mapping(jsonb) from public, anon, authenticated;

create function billing_ops.constant(p_value jsonb, p_type text)
returns text
language sql immutable
set search_path = ''
as $$
  select pg_catalog.format('%L::%s', p_value #>> '{}', p_type)
$$;
comment on function billing_ops.constant(jsonb, text) is
  'A JSON value as an SQL literal of a type, whose name comes from format_type.';
revoke all on function billing_ops.constant(jsonb, text) from public, anon, authenticated;

create function billing_ops.mapping_shape_objection(p_mapping jsonb)
returns text
language plpgsql immutable
set search_path = ''
as $$
declare
  v_parent text;
  v_object jsonb;
  v_said text;
  v_mapping jsonb;
begin
  if pg_catalog.jsonb_typeof(p_mapping) is distinct from 'object' then
    return 'The mapping must be a JSON object.';
  end if;
  v_mapping := billing_ops.without_nulls(p_mapping);

  for v_parent, v_object in
    select '', v_mapping
    union all
    select w, v_mapping -> w from pg_catalog.unnest(array['owner', 'customer', 'quantity']) w
    where pg_catalog.jsonb_typeof(v_mapping -> w) = 'object'
    union all
    select 'admins', s from billing_ops.admin_sources(v_mapping) s
  loop
    if pg_catalog.jsonb_typeof(v_object) <> 'object' then
      return 'In the mapping, "admins" must be an object or a list of objects.';
    end if;
    select pg_catalog.format('%s has an unknown word "%s"; the known ones are %s.',
        case v_parent when '' then 'The mapping' else pg_catalog.format('"%s" in the mapping', v_parent) end, pg_catalog.min(k),
        (select pg_catalog.string_agg(w.word, ', ') from billing_ops.mapping_words() w where w.parent = v_parent))
    into v_said
    from pg_catalog.jsonb_object_keys(v_object) k
    where not exists (select 1 from billing_ops.mapping_words() w where w.parent = v_parent and w.word = k)
    having count(*) > 0;
    if v_said is not null then return v_said; end if;

    select case
        when v_object -> w.word is null
          then pg_catalog.format('The mapping lacks "%s".', pg_catalog.concat_ws('.', nullif(w.parent, ''), w.word))
        else pg_catalog.format('In the mapping, "%s" must be %s.', pg_catalog.concat_ws('.', nullif(w.parent, ''), w.word),
          (select pg_catalog.string_agg(case k when 'string' then 'a string' when 'object' then 'an object' when 'array' then 'a list'
            else 'true or false' end, ' or ') from pg_catalog.unnest(w.kinds) k)) end
    into v_said
    from billing_ops.mapping_words() with ordinality w (parent, word, kinds, needed, place)
    where w.parent = v_parent
      and case when v_object -> w.word is null then w.needed else pg_catalog.jsonb_typeof(v_object -> w.word) <> all (w.kinds) end
    order by w.place limit 1;
    if v_said is not null then return v_said; end if;
  end loop;

  if (v_mapping #> '{owner,table}' is null) <> (v_mapping #> '{owner,key}' is null) then
    return 'In the mapping, "owner.table" and "owner.key" go together.';
  end if;
  if pg_catalog.num_nonnulls(v_mapping #> '{customer,table}', v_mapping #> '{customer,key}', v_mapping #> '{customer,by}') not in (0, 3) then
    return 'In the mapping, "customer.table", "customer.key" and "customer.by" go together.';
  end if;
  if exists (select 1 from billing_ops.admin_sources(v_mapping) s where (s ? 'role') <> (s ? 'in')) then
    return 'In the mapping, "admins.role" and "admins.in" go together.';
  end if;
  select pg_catalog.format('In the mapping, "%s" must be a list of strings, and not empty.', l.word) into v_said
  from (
    select 'quantity.prices' as word, v_mapping #> '{quantity,prices}' as list
    union all
    select 'admins.in', s -> 'in' from billing_ops.admin_sources(v_mapping) s
  ) l
  where l.list is not null
    and (pg_catalog.jsonb_array_length(l.list) = 0
      or exists (select 1 from pg_catalog.jsonb_array_elements(l.list) e where pg_catalog.jsonb_typeof(e) <> 'string'))
  limit 1;
  if v_said is not null then return v_said; end if;

  if coalesce(v_mapping ->> 'writes', 'none') not in ('none', 'update', 'update_and_insert') then
    return pg_catalog.format('"writes" is "%s"; it must be none, update or update_and_insert.', v_mapping ->> 'writes');
  end if;
  select case when k.word = any (billing_ops.mapping_fields())
    then pg_catalog.format('"keeps" names %s, which is not mapped.', k.word)
      else pg_catalog.format('"keeps" names %s; it may name %s.', k.element,
        pg_catalog.array_to_string(billing_ops.mapping_fields(), ', ')) end
  into v_said
  from (select e as element, e #>> '{}' as word from pg_catalog.jsonb_array_elements(coalesce(v_mapping -> 'keeps', '[]')) e) k
  where k.word is null or k.word <> all (billing_ops.mapping_fields()) or not v_mapping ? k.word
  limit 1;
  if v_said is not null then return v_said; end if;

  select pg_catalog.format('"where" gives %s an object or a list; it compares with strings, numbers, true, false and null.', w.attribute)
  into v_said
  from pg_catalog.jsonb_each(coalesce(v_mapping -> 'where', '{}')) w (attribute, said)
  where pg_catalog.jsonb_typeof(w.said) in ('object', 'array') limit 1;
  return v_said;
end
$$;
comment on function billing_ops.mapping_shape_objection(jsonb) is
  'What is wrong with a mapping as JSON, before anything is looked up: one sentence, or null.';
revoke all on function billing_ops.mapping_shape_objection(jsonb) from public, anon, authenticated;

create function billing_ops.mapping_table_objection(p_mapping jsonb)
returns text
language plpgsql stable
set search_path = ''
as $$
declare
  v_table record;
  v_kind "char";
begin
  for v_table in
    select w.word, w.name, billing_ops.relation_name(w.name) as relation, billing_ops.relation_oid(w.name) as id
    from (
      values (1, 'table', p_mapping ->> 'table'), (2, 'owner.table', p_mapping #>> '{owner,table}'),
        (3, 'customer.table', p_mapping #>> '{customer,table}')
      union all
      select 4, 'admins.table', s ->> 'table' from billing_ops.admin_sources(p_mapping) s
    ) w (place, word, name)
    where w.name is not null order by w.place
  loop
    if v_table.relation is null then
      return pg_catalog.format('"%s" in the mapping is "%s", which is not the name of a table.', v_table.word, v_table.name);
    end if;
    if v_table.id is null then
      return pg_catalog.format('There is no table %s.', v_table.relation);
    end if;
    -- Admins are only read, so any kind of relation will do.
    continue when v_table.word = 'admins.table';
    select c.relkind into v_kind from pg_catalog.pg_class c where c.oid = v_table.id;
    if v_kind not in ('r', 'p') then
      return pg_catalog.format('%s is a %s; the mapping must name a table.', v_table.relation,
        case v_kind when 'v' then 'view' when 'm' then 'materialized view' else 'foreign table' end);
    end if;
    continue when v_table.word <> 'table';
    if exists (
      select 1 from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where c.oid = v_table.id
        and (n.nspname in ('billing_ops', 'information_schema') or n.nspname ^@ 'pg_' or c.relpersistence = 't'))
    then
      return pg_catalog.format('%s is not a table of the app''s.', v_table.relation);
    end if;
    if exists (select 1 from pg_catalog.pg_class c where c.oid = v_table.id and c.relispartition) then
      return pg_catalog.format('%s is a partition; the mapping must name the whole table, %s.', v_table.relation, (
        select pg_catalog.format('%I.%I', n.nspname, c.relname)
        from pg_catalog.pg_inherits i join pg_catalog.pg_class c on c.oid = i.inhparent
        join pg_catalog.pg_namespace n on n.oid = c.relnamespace where i.inhrelid = v_table.id));
    end if;
    if v_kind = 'r' and exists (select 1 from pg_catalog.pg_inherits i where i.inhparent = v_table.id) then
      return pg_catalog.format('Other tables inherit from %s, so none of its indexes keeps its rows unique.', v_table.relation);
    end if;
  end loop;
  return null;
end
$$;
comment on function billing_ops.mapping_table_objection(jsonb) is
  'What is wrong with the tables that a mapping names: one sentence, or null.';
revoke all on function billing_ops.mapping_table_objection(jsonb) from public, anon, authenticated;

create function billing_ops.mapping_column_objection(p_mapping jsonb)
returns text
language plpgsql stable
set search_path = ''
as $$
declare
  v_table constant text := billing_ops.relation_name(p_mapping ->> 'table');
  v_said text;
  v_column record;
begin
  select pg_catalog.format('%s has no column "%s".', m.relation, m.attribute) into v_said
  from (
    select * from billing_ops.mapped_columns(p_mapping)
    union all
    select 'admins', billing_ops.relation_name(s ->> 'table'), a
    from billing_ops.admin_sources(p_mapping) s cross join lateral pg_catalog.unnest(array[s ->> 'user', s ->> 'role']) a where a is not null
  ) m
  where not exists (
    select 1 from pg_catalog.pg_attribute a
    where a.attrelid = (select billing_ops.relation_oid(m.relation)) and a.attname = m.attribute::name and a.attnum > 0
      and not a.attisdropped)
  limit 1;
  if v_said is not null then return v_said; end if;

  -- The key may be the Stripe id, the owner may be the row itself, and a customer may hang on the owner.
  select pg_catalog.format('Column %s of %s is mapped as both %s and %s.', m.attribute, m.relation, pg_catalog.min(m.word), pg_catalog.max(m.word))
  into v_said
  from billing_ops.mapped_columns(p_mapping) m
  where m.relation = v_table and m.word not in ('key', 'customer.by', 'owner.key', 'customer.key')
  group by m.relation, m.attribute having count(*) > 1
  order by m.attribute limit 1;
  if v_said is not null then return v_said; end if;
  select pg_catalog.format('Column %s of %s is mapped as both key and %s.', m.attribute, m.relation, m.word) into v_said
  from billing_ops.mapped_columns(p_mapping) m
  where m.relation = v_table and m.attribute = p_mapping ->> 'key'
    and m.word not in ('key', 'stripe_subscription_id', 'owner', 'owner.key', 'customer.by', 'customer.key')
  limit 1;
  if v_said is not null then return v_said; end if;

  select pg_catalog.format('Column %s of %s is %s; %s.', m.attribute, m.relation, f.declared, w.must) into v_said
  from (
    select * from billing_ops.mapped_columns(p_mapping)
    union all
    select 'admins.' || w, billing_ops.relation_name(s ->> 'table'), s ->> w
    from billing_ops.admin_sources(p_mapping) s cross join lateral pg_catalog.unnest(array['user', 'role']) w where s ? w
  ) m
  join (values
    ('key', '{uuid,text,integer}'::text[], 'a key must be uuid, text, varchar or an integer'),
    ('stripe_subscription_id', '{text}', 'a Stripe subscription id must be text or varchar'),
    ('owner', '{uuid,text,integer}', 'an owner must be uuid, text, varchar or an integer'),
    ('owner.key', '{uuid,text,integer}', 'an owner''s key must be uuid, text, varchar or an integer'),
    ('customer', '{text}', 'a Stripe customer id must be text or varchar'),
    ('customer.by', '{uuid,text,integer}', 'a reference to a customer must be uuid, text, varchar or an integer'),
    ('customer.key', '{uuid,text,integer}', 'a customer''s key must be uuid, text, varchar or an integer'),
    ('status', '{text,enum}', 'a status must be text, varchar or an enum'),
    ('tier', '{text,enum}', 'a tier must be text, varchar or an enum'),
    ('price', '{text}', 'a price must be text or varchar'),
    ('quantity', '{integer,numeric}', 'a quantity must be an integer or numeric'),
    ('period_start', '{timestamptz,timestamp,integer}', 'a time must be timestamptz, timestamp, or Unix seconds as integer or bigint'),
    ('period_end', '{timestamptz,timestamp,integer}', 'a time must be timestamptz, timestamp, or Unix seconds as integer or bigint'),
    ('trial_end', '{timestamptz,timestamp,integer}', 'a time must be timestamptz, timestamp, or Unix seconds as integer or bigint'),
    ('cancel_at_period_end', '{boolean}', 'cancel_at_period_end must be boolean'),
    ('admins.user', '{uuid,text}', 'a user''s id must be uuid, text or varchar'),
    ('admins.role', '{text,enum}', 'a role must be text, varchar or an enum')
  ) w (word, families, must) on w.word = m.word
  cross join lateral billing_ops.column_facts(m.relation, m.attribute) f
  where f.family <> all (w.families) or (f.small and 'timestamp' = any (w.families))
  limit 1;
  if v_said is not null then return v_said; end if;

  select pg_catalog.format('Column %s of %s is %s and column %s of %s is %s; they must be of the same kind.',
    l.attribute, l.relation, lf.declared, r.attribute, r.relation, rf.declared)
  into v_said
  from (values ('owner', 'owner.key'), ('customer.by', 'customer.key')) pairs (l, r)
  join billing_ops.mapped_columns(p_mapping) l on l.word = pairs.l
  join billing_ops.mapped_columns(p_mapping) r on r.word = pairs.r
  cross join lateral billing_ops.column_facts(l.relation, l.attribute) lf
  cross join lateral billing_ops.column_facts(r.relation, r.attribute) rf
  where lf.family <> rf.family limit 1;
  if v_said is not null then return v_said; end if;

  -- Constants are read as their column's type, and compared once, since not every type can be compared.
  for v_column in
    select m.word, m.attribute, f.type_name, p_mapping -> pg_catalog.split_part(m.word, '.', 1) -> m.attribute as said
    from billing_ops.mapped_columns(p_mapping) m
    cross join lateral billing_ops.column_facts(m.relation, m.attribute) f
    where m.word ^@ 'where.' or m.word ^@ 'on_insert.'
  loop
    begin
      if v_column.word ^@ 'where.' then
        execute pg_catalog.format('select %1$s = %1$s', billing_ops.constant(v_column.said, v_column.type_name));
      else
        execute pg_catalog.format('select %s is null', billing_ops.constant(v_column.said, v_column.type_name));
      end if;
    exception when others then
      return pg_catalog.format('"%s" gives column %s a value that %s cannot hold or compare.',
        pg_catalog.split_part(v_column.word, '.', 1), v_column.attribute, v_column.type_name);
    end;
  end loop;
  return null;
end
$$;
comment on function billing_ops.mapping_column_objection(jsonb) is
  'What is wrong with the columns that a mapping names, and with its constants: one sentence, or null.';
revoke all on function billing_ops.mapping_column_objection(jsonb) from public, anon, authenticated;

create function billing_ops.mapping_index_objection(p_mapping jsonb)
returns text
language plpgsql stable
set search_path = ''
as $$
declare
  v_table constant text := billing_ops.relation_name(p_mapping ->> 'table');
  v_id constant text := p_mapping ->> 'stripe_subscription_id';
  v_key constant text := p_mapping ->> 'key';
  v_said text;
begin
  if not exists (select 1 from billing_ops.unique_columns(v_table) u where u.columns = array[v_key] and u.predicate is null) then
    if exists (select 1 from pg_catalog.pg_class c where c.oid = (select billing_ops.relation_oid(v_table)) and c.relkind = 'p') then
      return pg_catalog.format('%s is partitioned by %s, and no unique index holds column %s alone; a key must be unique in the whole table.',
        v_table, pg_catalog.lower(pg_catalog.pg_get_partkeydef(billing_ops.relation_oid(v_table))), v_key);
    end if;
    return pg_catalog.format('Column %s of %s has no unique index of its own; a key must be unique.', v_key, v_table);
  end if;
  if not (select f.required from billing_ops.column_facts(v_table, v_key) f) then
    return pg_catalog.format('Column %s of %s can be null; a key must not be.', v_key, v_table);
  end if;
  if not exists (
    select 1 from billing_ops.unique_columns(v_table) u
    where u.columns = array[v_id] and (u.predicate is null or u.predicate = pg_catalog.format('(%I IS NOT NULL)', v_id)))
  then
    return pg_catalog.format('Column %s of %s has no unique index; a Stripe subscription must not have two rows. Add one, for example: '
      'create unique index concurrently on %s (%I).', v_id, v_table, v_table, v_id);
  end if;
  select pg_catalog.format('Column %s of %s has no unique index of its own; %s must be unique.', m.attribute, m.relation,
    case m.word when 'owner.key' then 'an owner''s key' else 'a customer''s key' end)
  into v_said
  from billing_ops.mapped_columns(p_mapping) m
  where m.word in ('owner.key', 'customer.key')
    and not exists (select 1 from billing_ops.unique_columns(m.relation) u where u.columns = array[m.attribute] and u.predicate is null)
  limit 1;
  if v_said is not null then return v_said; end if;
  if coalesce((p_mapping #>> '{owner,one_row_each}')::boolean, false) and not billing_ops.one_row_each(p_mapping) then
    return pg_catalog.format('"owner.one_row_each" is true, but no unique index of %s allows one row only for each %s.',
      v_table, p_mapping #>> '{owner,column}');
  end if;
  return null;
end
$$;
comment on function billing_ops.mapping_index_objection(jsonb) is
  'What must be unique and is not: one sentence, or null.';
revoke all on function billing_ops.mapping_index_objection(jsonb) from public, anon, authenticated;

create function billing_ops.mapping_write_objection(p_mapping jsonb)
returns text
language plpgsql stable
set search_path = ''
as $$
declare
  v_table constant text := billing_ops.relation_name(p_mapping ->> 'table');
  v_key constant text := p_mapping ->> 'key';
  v_writes constant text := coalesce(p_mapping ->> 'writes', 'none');
  v_said text;
begin
  if v_writes = 'none' then
    return null;
  end if;
  select pg_catalog.format('Column %s of %s is generated and cannot be written; leave it out, or use "writes": "none".', m.attribute, m.relation)
  into v_said
  from billing_ops.mapped_columns(p_mapping) m
  cross join lateral billing_ops.column_facts(m.relation, m.attribute) f
  where f.generated and (m.word = any (billing_ops.mapping_fields())
    or (v_writes = 'update_and_insert' and m.relation = v_table and m.word <> 'key' and m.word <> 'owner.key' and m.word <> 'customer.key'))
  limit 1;
  if v_said is not null or v_writes = 'update' then
    return v_said;
  end if;

  if p_mapping #>> '{owner,column}' = v_key then
    return pg_catalog.format('Each row of %s is an owner itself, so none can be inserted for an owner; use "writes": "update".', v_table);
  end if;
  if p_mapping #>> '{customer,by}' <> p_mapping #>> '{owner,column}' then
    return pg_catalog.format('An inserted row of %s would have no %s, by which its customer is found; use "writes": "update".',
      v_table, p_mapping #>> '{customer,by}');
  end if;
  if v_key <> p_mapping ->> 'stripe_subscription_id'
    and not (select f.has_default from billing_ops.column_facts(v_table, v_key) f)
  then
    return pg_catalog.format('Column %s of %s has no default and is not the Stripe subscription id, so no row can be inserted; '
      'use "writes": "update".', v_key, v_table);
  end if;
  select pg_catalog.format('Column %s of %s is not null and has no default, so a row needs a value for it; '
    'give one in "on_insert", or use "writes": "update".', a.attname, v_table)
  into v_said
  from pg_catalog.pg_attribute a
  cross join lateral billing_ops.column_facts(v_table, a.attname) f
  where a.attrelid = (select billing_ops.relation_oid(v_table)) and a.attnum > 0 and not a.attisdropped
    and f.required and not f.has_default and not f.generated
    and not exists (select 1 from billing_ops.mapped_columns(p_mapping) m where m.relation = v_table and m.attribute = a.attname)
  order by a.attnum limit 1;
  return v_said;
end
$$;
comment on function billing_ops.mapping_write_objection(jsonb) is
  'Why a table cannot be written as "writes" says: one sentence, or null.';
revoke all on function billing_ops.mapping_write_objection(jsonb) from public, anon, authenticated;

create function billing_ops.mapping_objection(p_mapping jsonb)
returns text
language sql stable
set search_path = ''
as $$
  -- In this order: each of them takes for granted what the one before has checked.
  select coalesce(billing_ops.mapping_shape_objection(p_mapping),
    (select coalesce(billing_ops.mapping_table_objection(m), billing_ops.mapping_column_objection(m),
       billing_ops.mapping_index_objection(m), billing_ops.mapping_write_objection(m))
     from billing_ops.without_nulls(p_mapping) m))
$$;
comment on function billing_ops.mapping_objection(jsonb) is
  'Why a mapping cannot be adopted: one sentence, or null if it can be.';
revoke all on function billing_ops.mapping_objection(jsonb) from public, anon, authenticated;

-- The adapter: functions that read and write the adopted table, made by billing_ops.adopt from its mapping. All of them run with
-- their caller's rights (security invoker): service_role has those on single columns that adopt grants.
--
-- A row is read as an array in this order: key, version, owner, stripe_subscription_id, customer, status, tier, price, quantity,
-- period_start, period_end, cancel_at_period_end, trial_end, newer, odd. Keys, owners and versions are text, times Unix seconds.

-- Signatures ---------------------------------------------------------------------------------------------------------

create function billing_ops.adapter_define(p_name text, p_body text)
returns void
language plpgsql
set search_path = ''
as $$
declare
  v_function record;
begin
  select f.* into strict v_function
  from (values
    ('adapter_read', 'p_stripe_ids text[], p_horizon xid8', 'setof json', 'stable', true,
      'The rows of these Stripe ids as arrays (see the head of this part of the schema). newer: written since p_horizon, or perhaps; '
      'false if that is null. odd: what is odd about the row, in words; what is odd itself comes as null.'),
    ('adapter_rows_of_owners', 'p_owners text[], p_horizon xid8', 'setof json', 'stable', true,
      'The rows of these owners, as adapter_read answers them; where each owner has one row, also those without a Stripe id.'),
    ('adapter_present', 'p_stripe_ids text[]', 'setof text', 'stable', true, 'Those of these Stripe ids that have a row.'),
    ('adapter_unlisted', 'p_from timestamptz, p_to timestamptz, p_listed text[]', 'setof text', 'stable', true,
      'Stripe ids of rows that are marked as created in [p_from, p_to) and not among p_listed, in the order in which they were created.'),
    ('adapter_versions', 'p_keys text[]', 'table (key text, version text)', 'stable', true,
      'The version of each of these rows: its xmin, which every update changes and no lock does.'),
    ('adapter_unplaced', 'p_after text, p_rows integer, p_limit integer', 'json', 'stable', true,
      'Of the next p_rows rows behind the Stripe id p_after, those whose subscription no scan has seen: {rows: [[key, Stripe id], …], next}, '
      'at most p_limit; next: the p_after of the following piece, or null where there is none.'),
    ('adapter_odd', 'p_after text, p_limit integer', 'table (key text, owner text, odd text)', 'stable', true,
      'Rows whose Stripe id is an empty string, which no read by Stripe id can return; by pages.'),
    ('adapter_duplicates', 'p_after text, p_limit integer, p_statuses text[], p_piece integer, p_pieces integer',
      'table (owner text, stripe_subscription_ids text[])', 'stable', true,
      'Owners behind p_after with more than one row in these statuses that does not end with its period, and the Stripe ids of those; by pages. '
      'Owners are dealt out to p_pieces pieces, and only those of p_piece (from 0) are looked at.'),
    ('adapter_owners', 'p_owners text[]', 'setof text', 'stable', true,
      'Those of these owners who exist. Text that is not the key as the database itself would write it names nobody.'),
    ('adapter_customers', 'p_customers text[]', 'table (customer text, owner text, owners bigint)', 'stable', true,
      'Whose these Stripe customers are, by the table and by the table of customers; owner is null where owners is more than one.'),
    ('adapter_granting', 'p_statuses text[]', 'bigint', 'stable', true, 'How many rows of Stripe subscriptions have one of these statuses.'),
    -- For is_admin, which runs with its owner's rights: nobody else has a reason to ask who is an admin.
    ('adapter_is_admin', 'p_user uuid', 'boolean', 'stable', false, 'Is this person an admin, as the mapping''s "admins" says? Without one: no.'),
    ('adapter_lock', 'p_keys text[]', 'void', 'volatile', true,
      'Locks these rows in the order of their keys, as an update would. Only for adapter_update.'),
    ('adapter_set', 'p_fields text[], p_rows jsonb', 'setof text', 'volatile', true,
      'Sets these fields on rows whose version is still the one given, in one statement, and answers the keys of those. Only for '
      'adapter_update, which knows what to do when the table refuses.'),
    ('adapter_add', 'p_fields text[], p_rows jsonb', 'setof text', 'volatile', true,
      'Inserts rows in one statement and answers their Stripe ids; p_fields: those that have a value. Only for adapter_insert.')
  ) f (name, arguments, result, volatility, for_service, said)
  where f.name = p_name;

  -- Where rows are looked for by a list of ids, the generic plan is wanted: planning for a thousand given ids, the planner tends to
  -- read the whole table, unless that is very large.
  execute pg_catalog.format(
    'create or replace function billing_ops.%I(%s) returns %s language plpgsql %s set search_path = ''''%s as %L',
    p_name, v_function.arguments, v_function.result, v_function.volatility,
    case when p_name in ('adapter_read', 'adapter_rows_of_owners', 'adapter_present', 'adapter_versions', 'adapter_owners', 'adapter_customers', 'adapter_lock')
      then ' set plan_cache_mode = force_generic_plan' else '' end, p_body);
  execute pg_catalog.format('comment on function billing_ops.%I is %L', p_name, v_function.said);
  execute pg_catalog.format('revoke all on function billing_ops.%I from public, anon, authenticated, service_role', p_name);
  if v_function.for_service then
    execute pg_catalog.format('grant execute on function billing_ops.%I to service_role', p_name);
  end if;
end
$$;
comment on function billing_ops.adapter_define(text, text) is
  'Creates one function of the adapter, or replaces its body. The only place that knows their signatures.';
revoke all on function billing_ops.adapter_define(text, text) from public, anon, authenticated;

create function billing_ops.adapter_names()
returns text[]
language sql immutable
set search_path = ''
as $$
  select array['adapter_read', 'adapter_rows_of_owners', 'adapter_present', 'adapter_unlisted', 'adapter_versions', 'adapter_unplaced',
    'adapter_odd', 'adapter_duplicates', 'adapter_owners', 'adapter_customers', 'adapter_granting', 'adapter_is_admin', 'adapter_lock', 'adapter_set', 'adapter_add']
$$;
comment on function billing_ops.adapter_names() is 'The functions that adopt makes.';
revoke all on function billing_ops.adapter_names() from public, anon, authenticated;

create function billing_ops.adapter_clear()
returns void
language plpgsql
set search_path = ''
as $$
declare
  v_name text;
begin
  foreach v_name in array billing_ops.adapter_names() loop
    perform billing_ops.adapter_define(v_name, case v_name
      when 'adapter_is_admin' then billing_ops.admins_body(pg_catalog.jsonb_build_object('admins', billing_ops.seed_admins()))
      else $body$
begin
  raise exception 'No table has been adopted: run billing_ops.adopt.' using errcode = 'BOADP';
end
$body$ end);
  end loop;
end
$$;
comment on function billing_ops.adapter_clear() is
  'Makes the adapter what it is before anything is adopted: every function is there, so that others can name it, and raises BOADP. Only
  adapter_is_admin answers already, from the seed''s tables where they exist: somebody has to be able to see that nothing is adopted.';
revoke all on function billing_ops.adapter_clear() from public, anon, authenticated;

-- Written since? -----------------------------------------------------------------------------------------------------

-- A horizon is pg_snapshot_xmin as an earlier read saw it: the oldest transaction that was still at work. Whatever was written
-- unseen by that read has this id or a later one, so a row whose xmin precedes it is older than the read. xmin has only 32
-- bits, and a row that nobody touches keeps its xmin even when it is frozen: after four thousand million transactions the numbers
-- come round, and a plain comparison would take a row of the last round for one of this. So the question is whether xmin lies in
-- the window [horizon, first id that is not finished), both ends counted from the horizon, modulo 2^32: any row that is visible
-- and was written since does, as its transaction is finished; one of an earlier round does not, except by a rare coincidence, which
-- costs one look too many. (The caller's own uncommitted writes are not finished: they are no news to the caller.)
create function billing_ops.horizon_window(p_horizon xid8)
returns bigint
language sql stable
set search_path = ''
as $$
  select case
    when w.width is null then null
    -- A horizon from another life of this database, or one older than a full round of ids: any row may be newer.
    when w.width not between 0 and 4294967295 then 4294967296
    else w.width end
  from (select pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text::bigint - p_horizon::text::bigint as width) w
$$;
comment on function billing_ops.horizon_window(xid8) is
  'How many transaction ids lie between a horizon and the first that was not finished for this snapshot.';
revoke all on function billing_ops.horizon_window(xid8) from public, anon, authenticated;
grant execute on function billing_ops.horizon_window(xid8) to service_role;

-- Keys as text -------------------------------------------------------------------------------------------------------

create function billing_ops.as_uuids(p_texts text[])
returns uuid[]
language sql immutable
set search_path = ''
as $$
  select array(select case when t ~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$' then t::uuid end
               from pg_catalog.unnest(p_texts) t)
$$;
comment on function billing_ops.as_uuids(text[]) is 'Null where a text is not a uuid as the database writes it.';
revoke all on function billing_ops.as_uuids(text[]) from public, anon, authenticated;
grant execute on function billing_ops.as_uuids(text[]) to service_role;

create function billing_ops.as_integers(p_texts text[])
returns bigint[]
language sql immutable
set search_path = ''
as $$
  select array(select case when t ~ '^(0|-?[1-9][0-9]{0,17})$' then t::bigint end from pg_catalog.unnest(p_texts) t)
$$;
comment on function billing_ops.as_integers(text[]) is
  'Null where a text is not an integer as the database writes it, or has more than the 18 digits that surely fit.';
revoke all on function billing_ops.as_integers(text[]) from public, anon, authenticated;
grant execute on function billing_ops.as_integers(text[]) to service_role;

create function billing_ops.as_labels(p_texts text[], p_enum oid)
returns text[]
language sql stable
set search_path = ''
as $$
  -- Down to the enum that a domain, or a domain of a domain, is made of.
  with recursive base as (
    select t.oid, t.typbasetype from pg_catalog.pg_type t where t.oid = p_enum
    union all
    select t.oid, t.typbasetype from base b join pg_catalog.pg_type t on t.oid = b.typbasetype
  )
  select array(select e.enumlabel::text from base b join pg_catalog.pg_enum e on e.enumtypid = b.oid where e.enumlabel = any (p_texts))
$$;
comment on function billing_ops.as_labels(text[], oid) is
  'Those of the texts that are labels of the enum: casting any other would raise an error.';
revoke all on function billing_ops.as_labels(text[], oid) from public, anon, authenticated;
grant execute on function billing_ops.as_labels(text[], oid) to service_role;

-- Making the functions -----------------------------------------------------------------------------------------------

create function billing_ops.adapter_readable(p_word text, p_column text, p_family text, p_nullable boolean)
returns table (value text, odd text)
language sql immutable rows 1
set search_path = ''
as $$
  select
    case
      when p_column is null then 'null::text'
      when p_word in ('period_start', 'period_end', 'trial_end') and p_family = 'integer'
        then pg_catalog.format('case when %1$s between 0 and 253402300799 then %1$s end', p_column)
      when p_word in ('period_start', 'period_end', 'trial_end')
        then pg_catalog.format('case when pg_catalog.isfinite(%1$s) then pg_catalog.date_part(''epoch'', %1$s)::bigint end', p_column)
      when p_word = 'quantity'
        then pg_catalog.format('case when %1$s between 0 and 9007199254740991%2$s then %1$s::bigint end', p_column,
          case p_family when 'numeric' then pg_catalog.format(' and %1$s = pg_catalog.trunc(%1$s)', p_column) else '' end)
      when p_word = 'cancel_at_period_end' then p_column
      else p_column || '::text' end,
    case
      when p_column is null then null
      -- 9999-12-31: what is beyond it was not meant as seconds.
      when p_word in ('period_start', 'period_end', 'trial_end') and p_family = 'integer'
        then pg_catalog.format('case when %s not between 0 and 253402300799 then %L end', p_column, p_word || ' is not a time in Unix seconds')
      when p_word in ('period_start', 'period_end', 'trial_end')
        then pg_catalog.format('case when not pg_catalog.isfinite(%s) then %L end', p_column, p_word || ' is infinite')
      when p_word = 'quantity'
        then pg_catalog.format('case when not (%1$s between 0 and 9007199254740991%2$s) then ''quantity is out of range'' end', p_column,
          case p_family when 'numeric' then pg_catalog.format(' and %1$s = pg_catalog.trunc(%1$s)', p_column) else '' end)
      when p_word in ('owner', 'status') and p_nullable
        then pg_catalog.format('case when %s is null then %L end', p_column, p_word || ' is null')
      end
$$;
comment on function billing_ops.adapter_readable(text, text, text, boolean) is
  'The expression that reads a column, which never raises, and the one that says what is odd about it, if anything can be.';
revoke all on function billing_ops.adapter_readable(text, text, text, boolean) from public, anon, authenticated;

create function billing_ops.adapter_generate(p_mapping jsonb)
returns void
language plpgsql
set search_path = ''
as $$
declare
  v_table constant text := p_mapping ->> 'table';
  v_one_row_each constant boolean := (p_mapping #>> '{owner,one_row_each}')::boolean;
  -- By word: name (s."x", where s is the row and c its customer), attribute, type, family, required.
  v_columns jsonb;
  v_key jsonb;
  v_id jsonb;
  v_owner jsonb;
  v_status jsonb;
  -- Texts that become p_keys, p_owners or p_after as the column's own type: only then can its index be used.
  v_keys text;
  v_owners text;
  v_after text;
  v_after_owner text;
  v_statuses text;
  v_customers text;
  v_where text;
  v_rows text;
  v_array text;
  v_odd text;
  v_writable text;
  v_sets text;
  v_adds text;
begin
  select pg_catalog.jsonb_object_agg(m.word, pg_catalog.jsonb_build_object(
    'name', pg_catalog.format('%s.%I', case when m.relation = v_table and m.word not in ('owner.key', 'customer.key') and not (
      m.word = 'customer' and p_mapping #>> '{customer,table}' is not null) then 's' else 'c' end, m.attribute),
    'attribute', m.attribute, 'type', f.type_name, 'family', f.family, 'required', f.required))
  into v_columns
  from billing_ops.mapped_columns(p_mapping) m
  cross join lateral billing_ops.column_facts(m.relation, m.attribute) f;
  v_key := v_columns -> 'key';
  v_id := v_columns -> 'stripe_subscription_id';
  v_owner := v_columns -> 'owner';
  v_status := v_columns -> 'status';

  v_keys := case v_key ->> 'family' when 'uuid' then 'p_keys::uuid[]' when 'integer' then 'p_keys::bigint[]' else 'p_keys' end;
  v_after := case v_key ->> 'family' when 'uuid' then 'p_after::uuid' when 'integer' then 'p_after::bigint' else 'p_after' end;
  v_owners := case v_owner ->> 'family' when 'uuid' then 'billing_ops.as_uuids(p_owners)'
    when 'integer' then 'billing_ops.as_integers(p_owners)' else 'p_owners' end;
  v_after_owner := case v_owner ->> 'family' when 'uuid' then 'p_after::uuid' when 'integer' then 'p_after::bigint'
    else 'p_after' end;
  v_statuses := case v_status ->> 'family'
    -- By name: after a restore, or where an app has made its enum anew, the oid is a different one and no label would be found.
    when 'enum' then pg_catalog.format('billing_ops.as_labels(p_statuses, %L::pg_catalog.regtype)::%s[]',
      v_status ->> 'type', v_status ->> 'type')
    else 'p_statuses' end;
  select coalesce(pg_catalog.string_agg(case when w.said = 'null'
      then pg_catalog.format(' and %s is null', v_columns #>> array['where.' || w.attribute, 'name'])
      else pg_catalog.format(' and %s = %s', v_columns #>> array['where.' || w.attribute, 'name'],
        billing_ops.constant(w.said, v_columns #>> array['where.' || w.attribute, 'type'])) end, ''), '')
  into v_where
  from pg_catalog.jsonb_each(p_mapping -> 'where') w (attribute, said);

  -- Reading ----------------------------------------------------------------------------------------------------------

  v_rows := pg_catalog.format('%s s', v_table) || case when p_mapping #>> '{customer,table}' is not null
    then pg_catalog.format(E'\n  left join %s c on %s = %s', p_mapping #>> '{customer,table}',
      v_columns #>> '{customer.key,name}', v_columns #>> '{customer.by,name}') else '' end;
  select pg_catalog.string_agg(r.value, E',\n    ' order by w.place),
    coalesce('nullif(pg_catalog.concat_ws(''; '', ' || pg_catalog.string_agg(r.odd, ', ' order by w.place) || '), '''')', 'null::text')
  into v_array, v_odd
  from pg_catalog.unnest(array['owner', 'stripe_subscription_id', 'customer'] || billing_ops.mapping_fields())
    with ordinality w (word, place)
  cross join lateral billing_ops.adapter_readable(w.word, v_columns #>> array[w.word, 'name'], v_columns #>> array[w.word, 'family'],
    not (v_columns #>> array[w.word, 'required'])::boolean) r;

  v_array := pg_catalog.format($body$
  select pg_catalog.json_build_array(
    %s::text,
    s.xmin::text,
    %s,
    -- Why modulo 2^32: see billing_ops.horizon_window.
    coalesce(((s.xmin::text::bigint - v_horizon) & 4294967295) < v_window, false),
    %s)
  from %s$body$, v_key ->> 'name', v_array, v_odd, v_rows);

  perform billing_ops.adapter_define('adapter_read', pg_catalog.format($body$
declare
  v_horizon constant bigint := p_horizon::text::bigint;
  v_window constant bigint := billing_ops.horizon_window(p_horizon);
begin
  return query%s
  where %s = any (p_stripe_ids)%s;
end
$body$, v_array, v_id ->> 'name', v_where));

  perform billing_ops.adapter_define('adapter_rows_of_owners', pg_catalog.format($body$
declare
  v_horizon constant bigint := p_horizon::text::bigint;
  v_window constant bigint := billing_ops.horizon_window(p_horizon);
begin
  return query%s
  where %s = any (%s)%s%s;
end
$body$, pg_catalog.replace(v_array, (v_id ->> 'name') || '::text', pg_catalog.format('nullif(%s::text, '''')', v_id ->> 'name')),
    v_owner ->> 'name', v_owners,
    case when v_one_row_each then '' else pg_catalog.format(' and %s <> ''''', v_id ->> 'name') end, v_where));

  perform billing_ops.adapter_define('adapter_present', pg_catalog.format($body$
begin
  return query
  select %1$s::text from %2$s s where %1$s = any (p_stripe_ids)%3$s;
end
$body$, v_id ->> 'name', v_table, v_where));

  -- A mark outlives its row, and a stranger's mark never had a row.
  perform billing_ops.adapter_define('adapter_unlisted', pg_catalog.format($body$
begin
  return query
  select m.stripe_subscription_id from billing_ops.subscription_marks m
  where m.created >= p_from and m.created < p_to
    and not exists (select 1 from pg_catalog.unnest(p_listed) l where l = m.stripe_subscription_id)
    and exists (select 1 from %2$s s where %1$s = m.stripe_subscription_id%3$s)
  order by m.created, m.stripe_subscription_id;
end
$body$, v_id ->> 'name', v_table, v_where));

  perform billing_ops.adapter_define('adapter_versions', pg_catalog.format($body$
begin
  return query
  select %1$s::text, s.xmin::text from %2$s s where %1$s = any (%3$s)%4$s;
end
$body$, v_key ->> 'name', v_table, v_keys, v_where));

  -- By pieces, as a table may be too large for one statement. Of each piece only the two indexes are read, side by side: that takes a
  -- fraction of looking up row by row whether it has a mark. Where the column has a collation of its own, ids of a piece may lie
  -- elsewhere among the marks, so what is left is looked up all the same: by "offset 0" one by one, as it is hardly ever much.
  perform billing_ops.adapter_define('adapter_unplaced', pg_catalog.format($body$
declare
  v_from constant text := coalesce(p_after, '');
  v_end text := (select %2$s::text from %3$s s where %2$s > v_from order by %2$s offset p_rows - 1 limit 1);
  v_until constant text := coalesce(v_end, (select %2$s::text from %3$s s order by %2$s desc nulls last limit 1));
  v_rows json;
  v_found bigint;
  v_last text;
begin
  with without_mark as (
    select %2$s::text as id from %3$s s where %2$s > v_from and %2$s <= v_until
    except
    select m.stripe_subscription_id from billing_ops.subscription_marks m
    where m.stripe_subscription_id > v_from and m.stripe_subscription_id <= v_until
  ), unplaced as materialized (
    select r.key, w.id, pg_catalog.row_number() over (order by w.id) as place
    from without_mark w
    cross join lateral (
      select %1$s::text as key from %3$s s
      where %2$s = w.id and not exists (select 1 from billing_ops.subscription_marks m where m.stripe_subscription_id = w.id)%4$s
      offset 0) r
    order by w.id
    limit p_limit
  )
  select coalesce(pg_catalog.json_agg(pg_catalog.json_build_array(u.key, u.id) order by u.place), '[]'), count(*),
    (pg_catalog.array_agg(u.id order by u.place desc))[1]
  into v_rows, v_found, v_last
  from unplaced u;
  return pg_catalog.json_build_object('rows', v_rows, 'next', case when v_found = p_limit then v_last else v_end end);
end
$body$, v_key ->> 'name', v_id ->> 'name', v_table, v_where));

  perform billing_ops.adapter_define('adapter_odd', pg_catalog.format($body$
#variable_conflict use_column
begin
  return query
  select %1$s::text, %2$s::text, 'the Stripe subscription id is an empty string'
  from %3$s s
  where %4$s = '' and (p_after is null or %1$s > %5$s)%6$s
  order by %1$s
  limit p_limit;
end
$body$, v_key ->> 'name', v_owner ->> 'name', v_table, v_id ->> 'name', v_after, v_where));

  -- The table is read once: through an index on the owner it would be read row by row, and twice. What is kept of it must fit into one
  -- statement, hence the pieces.
  perform billing_ops.adapter_define('adapter_duplicates', pg_catalog.format($body$
begin
  return query
  with live as materialized (
    select %1$s as of, %2$s as id
    from %3$s s
    where %4$s = any (%5$s) and %2$s <> '' and (p_after is null or %1$s > %6$s)%7$s%8$s
      and (p_pieces = 1 or (pg_catalog.hashtextextended(%1$s::text, 0) & 2147483647) %% p_pieces = p_piece)
  )
  select l.of::text, pg_catalog.array_agg(l.id::text order by l.id)
  from live l
  where l.of in (select d.of from live d group by d.of having count(*) > 1 order by d.of limit p_limit)
  group by l.of
  order by l.of;
end
$body$, v_owner ->> 'name', v_id ->> 'name', v_table, v_status ->> 'name', v_statuses, v_after_owner, v_where,
    case when v_columns ? 'cancel_at_period_end'
      then pg_catalog.format(' and %s is not true', v_columns #>> '{cancel_at_period_end,name}') else '' end));

  perform billing_ops.adapter_define('adapter_granting', pg_catalog.format($body$
begin
  return (select count(*) from %s s where %s = any (%s) and %s <> ''%s);
end
$body$, v_table, v_status ->> 'name', v_statuses, v_id ->> 'name', v_where));

  -- Who is there -----------------------------------------------------------------------------------------------------

  -- Without a table of owners, the owners that exist are those with a row.
  perform billing_ops.adapter_define('adapter_owners', pg_catalog.format($body$
begin
  return query
  select distinct %1$s::text from %2$s where %1$s = any (%3$s);
end
$body$, case when p_mapping #>> '{owner,table}' is null then v_owner ->> 'name' else v_columns #>> '{owner.key,name}' end,
    case when p_mapping #>> '{owner,table}' is null then v_table || ' s' else (p_mapping #>> '{owner,table}')
      || ' c' end, v_owners));

  v_customers := pg_catalog.concat_ws(' union all ',
    case when v_columns ? 'customer'
      then pg_catalog.format('select %1$s::text as customer, %2$s::text as owner from %3$s where %1$s = any (p_customers)%4$s',
      v_columns #>> '{customer,name}', v_owner ->> 'name', v_rows, v_where) end,
    -- A table of customers that hangs on the owner knows customers who have no row yet.
    case when p_mapping #>> '{customer,by}' = p_mapping #>> '{owner,column}' then pg_catalog.format(
      'select %1$s::text, %2$s::text from %3$s c where %1$s = any (p_customers)',
      v_columns #>> '{customer,name}', v_columns #>> '{customer.key,name}', p_mapping #>> '{customer,table}') end);
  perform billing_ops.adapter_define('adapter_customers', pg_catalog.format($body$
#variable_conflict use_column
begin
  return query
  select k.customer, case when count(distinct k.owner) = 1 then pg_catalog.min(k.owner) end, count(distinct k.owner)
  from (%s) k
  where k.owner is not null
  group by k.customer;
end
$body$, coalesce(nullif(v_customers, ''), 'select null::text as customer, null::text as owner where false')));

  perform billing_ops.adapter_define('adapter_is_admin', billing_ops.admins_body(p_mapping));

  -- Writing ----------------------------------------------------------------------------------------------------------

  -- An update locks its rows as its plan comes upon them, and two updates that lock the same rows in different orders deadlock.
  perform billing_ops.adapter_define('adapter_lock', pg_catalog.format($body$
begin
  perform 1 from %1$s s where %2$s = any (%3$s)%4$s order by %2$s for no key update;
end
$body$, v_table, v_key ->> 'name', v_keys, v_where));

  -- What every row of a batch may hold. Text is assigned as it is, as a cast to varchar(20) would cut it off silently.
  v_writable := 'key text, version text, owner text, stripe_subscription_id text, customer text, status text, tier text, price text, '
    'quantity bigint, period_start bigint, period_end bigint, cancel_at_period_end boolean, trial_end bigint';
  select pg_catalog.string_agg(pg_catalog.format('(%L, %L)', w.word, pg_catalog.format('%I = %s', v_columns #>> array[w.word, 'attribute'],
      billing_ops.adapter_written(w.word, v_columns #>> array[w.word, 'type'], v_columns #>> array[w.word, 'family']))), E',\n      ' order by w.place)
  into v_sets
  from pg_catalog.unnest(billing_ops.mapping_fields() || array['stripe_subscription_id', 'customer'])
    with ordinality w (word, place)
  where v_columns #>> array[w.word, 'name'] ^@ 's.';
  -- Only the columns that a row sets are named: a trigger on "update of status" must not fire when only seats change.
  perform billing_ops.adapter_define('adapter_set', pg_catalog.format($body$
begin
  return query execute %L
    || (select pg_catalog.string_agg(a.assignment, ', ') from (values
      %s
    ) a (field, assignment) where a.field = any (p_fields))
    || %L
  using p_rows;
end
$body$, pg_catalog.format('update %s s set ', v_table), v_sets, pg_catalog.format(
      ' from pg_catalog.jsonb_to_recordset($1) as r (%s) where %s = %s and s.xmin = r.version::xid%s returning r.key', v_writable, v_key ->> 'name',
      case v_key ->> 'family' when 'uuid' then 'r.key::uuid' when 'integer' then 'r.key::bigint' else 'r.key' end, v_where)));

  -- A column that can be null is set to null where there is no value: its default may be a lie ("trial_end default now()").
  -- One that cannot is left to its default.
  select pg_catalog.string_agg(pg_catalog.format('(%L, %L, %L, %L)', a.word, pg_catalog.format('%I', a.attribute), a.expression, a.always),
    E',\n      ' order by a.place, a.attribute)
  into v_adds
  from (
    select w.place, w.word, v_columns #>> array[w.word, 'attribute'] as attribute,
      billing_ops.adapter_written(w.word, v_columns #>> array[w.word, 'type'], v_columns #>> array[w.word, 'family']) as expression,
      w.word in ('owner', 'stripe_subscription_id') or not (v_columns #>> array[w.word, 'required'])::boolean as always
    from pg_catalog.unnest(array['owner', 'stripe_subscription_id', 'customer'] || billing_ops.mapping_fields())
      with ordinality w (word, place)
    where v_columns #>> array[w.word, 'name'] ^@ 's.'
    union all
    select 100, m.word, m.attribute,
      billing_ops.constant(p_mapping -> pg_catalog.split_part(m.word, '.', 1) -> m.attribute, v_columns #>> array[m.word, 'type']), true
    from billing_ops.mapped_columns(p_mapping) m
    where m.word ^@ 'where.' or m.word ^@ 'on_insert.'
  ) a;
  perform billing_ops.adapter_define('adapter_add', pg_catalog.format($body$
begin
  return query execute %L
    || (select '(' || pg_catalog.string_agg(a.attribute, ', ') || ') select ' || pg_catalog.string_agg(a.expression, ', ')
    from (values
      %s
    ) a (field, attribute, expression, always) where a.always::boolean or a.field = any (p_fields))
    || %L
  using p_rows;
end
$body$, pg_catalog.format('insert into %s ', v_table), v_adds,
    -- A row that somebody else inserted meanwhile is not an error, nor a reason to look at the others one by one.
    pg_catalog.format(' from pg_catalog.jsonb_to_recordset($1) as r (%s) where not exists (select 1 from %s s where %s = r.stripe_subscription_id%s) '
      'returning %I::text', v_writable, v_table, v_id ->> 'name', v_where, v_id ->> 'attribute')));
end
$$;
comment on function billing_ops.adapter_generate(jsonb) is
  'Makes the adapter''s functions for a complete mapping that nothing objects to.';
revoke all on function billing_ops.adapter_generate(jsonb) from public, anon, authenticated;

create function billing_ops.admins_body(p_mapping jsonb)
returns text
language sql stable
set search_path = ''
as $$
  select pg_catalog.format(E'\nbegin\n  return %s;\nend\n', coalesce(pg_catalog.string_agg(pg_catalog.format(
    'exists (select 1 from %s a where a.%I = p_user%s%s)', s ->> 'table', s ->> 'user',
    case (select f.family from billing_ops.column_facts(s ->> 'table', s ->> 'user') f) when 'uuid' then '' else '::text' end,
    case when s ? 'role' then pg_catalog.format(' and a.%I::text = any (%L::text[])', s ->> 'role',
      array(select pg_catalog.jsonb_array_elements_text(s -> 'in'))) else '' end), E'\n    or '), 'false'))
  from billing_ops.admin_sources(p_mapping) s
$$;
comment on function billing_ops.admins_body(jsonb) is 'What adapter_is_admin does for a mapping.';
revoke all on function billing_ops.admins_body(jsonb) from public, anon, authenticated;

create function billing_ops.adapter_written(p_word text, p_type text, p_family text)
returns text
language sql immutable
set search_path = ''
as $$
  select case
    when p_family = 'enum' then pg_catalog.format('r.%I::%s', p_word, p_type)
    when p_word = 'owner' and p_family = 'uuid' then 'r.owner::uuid'
    when p_word = 'owner' and p_family = 'integer' then 'r.owner::bigint'
    when p_family = 'timestamptz' then pg_catalog.format('pg_catalog.to_timestamp(r.%I)', p_word)
    when p_family = 'timestamp' then pg_catalog.format('pg_catalog.timezone(''UTC'', pg_catalog.to_timestamp(r.%I))', p_word)
    else pg_catalog.format('r.%I', p_word) end
$$;
comment on function billing_ops.adapter_written(text, text, text) is
  'The expression that turns a batch''s value into one of a column''s type.';
revoke all on function billing_ops.adapter_written(text, text, text) from public, anon, authenticated;

-- Repairs and new rows of the adopted table: in batches, compare-and-set, and row by row where the table refuses a batch.

create function billing_ops.ends_transaction(p_sqlstate text)
returns boolean
language sql immutable
set search_path = ''
as $$
  -- Rolled back or deadlocked, out of resources, shut down or cancelled, broken; or read-only, as a full disk makes a project.
  select pg_catalog.left(p_sqlstate, 2) in ('40', '53', '57', '58', 'XX') or p_sqlstate = '25006'
$$;
comment on function billing_ops.ends_transaction(text) is
  'Whether an error concerns the whole transaction or the server, not just the row that met it.';
revoke all on function billing_ops.ends_transaction(text) from public, anon, authenticated;
grant execute on function billing_ops.ends_transaction(text) to service_role;

create function billing_ops.refusal(p_sqlstate text, p_constraint text, p_relation text, p_column text, p_context text, p_fields text[], p_row jsonb)
returns text
language plpgsql stable
set search_path = ''
as $$
declare
  v_mapping jsonb;
  v_table text;
  v_elsewhere text;
  v_said text;
begin
  select a.mapping, a.mapping ->> 'table' into v_mapping, v_table from billing_ops.adoption a;
  if p_relation not in ('', v_table) then
    v_elsewhere := ' of ' || p_relation;
  end if;

  v_said := case
    when p_sqlstate = '23502' and p_column <> '' then pg_catalog.format('column %s%s must not be null', p_column, v_elsewhere)
    when p_constraint = '' then null
    when p_sqlstate = '23505' then pg_catalog.format('unique index %s%s refuses it', p_constraint, v_elsewhere)
    when p_sqlstate = '23503' then pg_catalog.format('foreign key %s%s refuses it', p_constraint, v_elsewhere)
    when p_sqlstate = '23514' then pg_catalog.format('check constraint %s%s refuses it', p_constraint, v_elsewhere)
    when p_sqlstate = '23P01' then pg_catalog.format('exclusion constraint %s%s refuses it', p_constraint, v_elsewhere)
    else pg_catalog.format('constraint %s%s refuses it', p_constraint, v_elsewhere) end;

  if v_said is null and p_sqlstate in ('22P02', '22001', '22003') then
    select case
        when p_sqlstate = '22P02' then pg_catalog.format('enum %s of column %s has no label "%s"', f.type_name, c.attribute, p_row ->> c.word)
        when p_sqlstate = '22001' then pg_catalog.format('column %s is %s and too short for it', c.attribute, f.declared)
        else pg_catalog.format('column %s is %s and cannot hold such a number', c.attribute, f.declared) end
    into v_said
    from (
      select w.word, case w.word when 'quantity' then billing_ops.quantity_column(v_mapping) when 'owner' then v_mapping #>> '{owner,column}'
        when 'customer' then v_mapping #>> '{customer,column}' else v_mapping ->> w.word end as attribute
      -- Only the columns that it can be about: looking one up takes longer than refusing a row.
      from pg_catalog.unnest(case p_sqlstate when '22P02' then array['status', 'tier']
        when '22001' then array['owner', 'stripe_subscription_id', 'customer', 'status', 'tier', 'price']
        else array['quantity', 'period_start', 'period_end', 'trial_end'] end) w (word)
      where w.word = any (p_fields) and p_row ->> w.word is not null
        and not (w.word = 'customer' and v_mapping #> '{customer,table}' is not null)
    ) c
    cross join lateral billing_ops.column_facts(v_table, c.attribute) f
    where case p_sqlstate
      -- These words come from Stripe, so they may be repeated; what else a row holds may not.
      when '22P02' then f.family = 'enum' and p_row ->> c.word <> all (f.labels)
      when '22001' then pg_catalog.length(p_row ->> c.word) > f.limit_at
      else f.family in ('integer', 'numeric') end
    order by f.family = 'integer' desc limit 1;
  end if;

  if v_said is null then
    -- The message of a trigger may hold anything, so the trigger's name has to do. The context names the functions that were at work.
    select pg_catalog.format('trigger %s refuses it', t.tgname) into v_said
    from pg_catalog.pg_trigger t
    join pg_catalog.pg_proc p on p.oid = t.tgfoid
    where t.tgrelid = (select billing_ops.relation_oid(v_table)) and not t.tgisinternal
      and exists (
        select 1 from pg_catalog.regexp_matches(p_context, 'function (?:[^ ().]+\.|"[^"]+"\.)?("[^"]+"|[^ ().]+)\(', 'g') f
        where f[1] = pg_catalog.format('%I', p.proname))
    order by t.tgname limit 1;
  end if;

  return coalesce(v_said, case
    when p_sqlstate = '22P02' then 'a value is not of its column''s type'
    when p_sqlstate = '42501' then 'a right is missing'
    when p_sqlstate = '55P03' then 'the row stayed locked'
    when p_sqlstate ^@ '22' then 'a type of the table refuses a value'
    when p_sqlstate ^@ '23' then 'a constraint of the table refuses it'
    when p_sqlstate in ('P0001', 'P0004') then 'code of the table refuses it'
    else 'the table refuses it' end) || ' (' || p_sqlstate || ')';
end
$$;
comment on function billing_ops.refusal(text, text, text, text, text, text[], jsonb) is
  'Why a row was refused, from what the error says of itself: the name of a constraint, column, enum or trigger, and the SQLSTATE.
  Never the message, which may hold the row.';
revoke all on function billing_ops.refusal(text, text, text, text, text, text[], jsonb) from public, anon, authenticated;
grant execute on function billing_ops.refusal(text, text, text, text, text, text[], jsonb) to service_role;

create function billing_ops.adapter_write(p_insert boolean, p_fields text[], p_rows jsonb)
returns table (id text, reason text)
language plpgsql
set search_path = ''
as $$
declare
  v_done text[];
  v_state text;
  v_constraint text;
  v_schema text;
  v_relation text;
  v_column text;
  v_context text;
begin
  -- Collected before it is returned: rows that "return query" has returned stay returned when a foreign key, which is checked last,
  -- undoes the statement.
  if p_insert then
    v_done := array(select billing_ops.adapter_add(p_fields, p_rows));
  else
    v_done := array(select billing_ops.adapter_set(p_fields, p_rows));
  end if;
  -- A constraint that is deferred to the commit would undo everything there.
  set constraints all immediate;
  return query select d.id, null::text from unnest(v_done) d (id);
-- assert_failure: the one error of a trigger that "others" leaves out.
exception when assert_failure or others then
  get stacked diagnostics v_state = returned_sqlstate, v_constraint = constraint_name, v_schema = schema_name, v_relation = table_name,
    v_column = column_name, v_context = pg_exception_context;
  if billing_ops.ends_transaction(v_state) then
    raise;
  end if;
  if jsonb_array_length(p_rows) > 1 then
    -- Each by itself, once: one row must not take the others with it.
    return query
    select w.id, w.reason from jsonb_array_elements(p_rows) r (said)
    cross join lateral billing_ops.adapter_write(p_insert, p_fields, jsonb_build_array(r.said)) w;
    return;
  end if;
  return query
  select p_rows -> 0 ->> case when p_insert then 'stripe_subscription_id' else 'key' end,
    billing_ops.refusal(v_state, v_constraint, case when v_relation = '' then '' else format('%I.%I', v_schema, v_relation) end,
      v_column, v_context, p_fields, p_rows -> 0);
end
$$;
comment on function billing_ops.adapter_write(boolean, text[], jsonb) is
  'Writes rows that set the same fields: in one statement, or each by itself if that is refused. Answers those that were written
  (reason null) and those that were refused; left out are rows that were not as expected any more, or that a trigger skipped.';
revoke all on function billing_ops.adapter_write(boolean, text[], jsonb) from public, anon, authenticated;
grant execute on function billing_ops.adapter_write(boolean, text[], jsonb) to service_role;

create function billing_ops.adapter_update(p_rows jsonb)
returns table (key text, outcome text, reason text)
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  v_mapping jsonb;
  v_settable text[];
  v_group record;
  v_written jsonb := '{}'::jsonb;
  v_refused jsonb := '{}'::jsonb;
begin
  select a.mapping into v_mapping from billing_ops.adoption a;
  if v_mapping is null then
    raise exception 'No table has been adopted: run billing_ops.adopt.' using errcode = 'BOADP';
  end if;
  if (select count(*) <> count(distinct r.said ->> 'key') from jsonb_array_elements(p_rows) r (said)) then
    raise exception 'Each row needs a key, and no key may come twice.' using errcode = 'invalid_parameter_value';
  end if;
  v_settable := array(
    select w from unnest(billing_ops.mapping_fields()) w where v_mapping ? w
    union all select 'stripe_subscription_id'
    union all select 'customer' where v_mapping ? 'customer' and v_mapping #> '{customer,table}' is null);
  if v_mapping ->> 'writes' <> 'none' then
    perform billing_ops.adapter_lock(array(select r.said ->> 'key' from jsonb_array_elements(p_rows) r (said)));
  end if;

  for v_group in
    select r.fields, jsonb_agg(r.said order by r.said ->> 'key') as rows,
      case
        when v_mapping ->> 'writes' = 'none' then 'the mapping says that nothing is written'
        when r.fields && array['stripe_subscription_id', 'customer'] and not (v_mapping #>> '{owner,one_row_each}')::boolean
          then 'a row is pointed at another subscription only where each owner has one row'
        when r.fields = '{}' then 'nothing that it sets is mapped' end as refusal
    from (
      select e.said, array(select f from jsonb_object_keys(e.said) f where f = any (v_settable) order by f) as fields
      from jsonb_array_elements(p_rows) e (said)
    ) r
    group by r.fields
  loop
    if v_group.refusal is not null then
      select v_refused || jsonb_object_agg(r.said ->> 'key', v_group.refusal) into v_refused
        from jsonb_array_elements(v_group.rows) r (said);
      continue;
    end if;
    select v_written || coalesce(jsonb_object_agg(w.id, true) filter (where w.reason is null), '{}'),
      v_refused || coalesce(jsonb_object_agg(w.id, w.reason) filter (where w.reason is not null), '{}')
    into v_written, v_refused
    from billing_ops.adapter_write(false, v_group.fields, v_group.rows) w;
  end loop;

  return query
  select r.key,
    case when v_written ? r.key then 'repaired' when v_refused ? r.key or now.version = r.version then 'refused'
      else 'superseded' end,
    case when v_written ? r.key then null
      when v_refused ? r.key then v_refused ->> r.key
      -- Nobody else wrote it, and neither did the statement.
      when now.version = r.version then 'a trigger of the table skips the write' end
  from rows from (jsonb_to_recordset(p_rows) as (key text, version text)) with ordinality r (key, version, place)
  left join billing_ops.adapter_versions(array(
    select u ->> 'key' from jsonb_array_elements(p_rows) u where not (v_written ? (u ->> 'key') or v_refused ? (u ->> 'key')))) now
    on now.key = r.key
  order by r.place;
end
$$;
comment on function billing_ops.adapter_update(jsonb) is
  'Repairs rows, [{"key", "version", field: value, …}]: a field that is given is set, even to null; one that is missing is kept. Compare-and-set:
  only where the row is still the version that was read. Answers repaired, superseded (somebody wrote or deleted it)
  or refused, and why.';
revoke all on function billing_ops.adapter_update(jsonb) from public, anon, authenticated;
grant execute on function billing_ops.adapter_update(jsonb) to service_role;

create function billing_ops.adapter_insert(p_rows jsonb)
returns table (stripe_subscription_id text, outcome text, reason text)
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
  v_mapping jsonb;
  v_group record;
  v_written jsonb := '{}'::jsonb;
  v_refused jsonb := '{}'::jsonb;
begin
  select a.mapping into v_mapping from billing_ops.adoption a;
  if v_mapping is null then
    raise exception 'No table has been adopted: run billing_ops.adopt.' using errcode = 'BOADP';
  end if;
  if (select count(*) <> count(distinct nullif(r.said ->> 'stripe_subscription_id', '')) from jsonb_array_elements(p_rows) r (said)) then
    raise exception 'Each row needs a Stripe subscription id, and none may come twice.' using errcode = 'invalid_parameter_value';
  end if;

  for v_group in
    select r.fields, jsonb_agg(r.said order by r.said ->> 'stripe_subscription_id') as rows
    from (
      select e.said, array(select f.word from jsonb_each(e.said) f (word, said) where f.said <> 'null' order by f.word) as fields
      from jsonb_array_elements(p_rows) e (said)
    ) r
    group by r.fields
  loop
    if v_mapping ->> 'writes' <> 'update_and_insert' then
      select v_refused || jsonb_object_agg(r.said ->> 'stripe_subscription_id', 'the mapping says that no row is inserted')
      into v_refused from jsonb_array_elements(v_group.rows) r (said);
      continue;
    end if;
    select v_written || coalesce(jsonb_object_agg(w.id, true) filter (where w.reason is null), '{}'),
      v_refused || coalesce(jsonb_object_agg(w.id, w.reason) filter (where w.reason is not null), '{}')
    into v_written, v_refused
    from billing_ops.adapter_write(true, v_group.fields, v_group.rows) w;
  end loop;

  return query
  select r.id,
    case when v_written ? r.id then 'created' when there.id is not null then 'superseded' else 'refused' end,
    case when v_written ? r.id or there.id is not null then null
      else coalesce(v_refused ->> r.id, 'a trigger of the table skips the row') end
  from (
    select e.said ->> 'stripe_subscription_id' as id, e.place from jsonb_array_elements(p_rows) with ordinality e (said, place)
  ) r
  -- After the writes: where a unique index refused a row, somebody else may have been inserting the same one.
  left join billing_ops.adapter_present(array(
    select u ->> 'stripe_subscription_id' from jsonb_array_elements(p_rows) u
      where not v_written ? (u ->> 'stripe_subscription_id'))) there (id)
    on there.id = r.id
  order by r.place;
end
$$;
comment on function billing_ops.adapter_insert(jsonb) is
  'Inserts rows, [{"owner", "stripe_subscription_id", "customer", field: value, …}]. Answers created, superseded (a row with that Stripe id is
  there) or refused, and why.';
revoke all on function billing_ops.adapter_insert(jsonb) from public, anon, authenticated;
grant execute on function billing_ops.adapter_insert(jsonb) to service_role;

-- Adopting a table: what service_role is granted for it, the functions that adopt it, and what the reconciler is told.

-- Grants -------------------------------------------------------------------------------------------------------------

create function billing_ops.needed_grants(p_mapping jsonb)
returns table (kind text, object text, attribute text, privilege text)
language plpgsql stable rows 40
set search_path = ''
as $$
#variable_conflict use_column
begin
  return query
  with mapped as (
    select m.word, m.relation, m.attribute, f.type_oid
    from billing_ops.mapped_columns(p_mapping) m
    left join lateral billing_ops.column_facts(m.relation, m.attribute) f on true
  ),
  -- Of the row itself, what an update may set. A row is pointed at another subscription only where its owner has no other row.
  settable as (
    select m.attribute from mapped m
    where m.relation = p_mapping ->> 'table' and (m.word = any (billing_ops.mapping_fields())
      or ((p_mapping #>> '{owner,one_row_each}')::boolean
        and (m.word = 'stripe_subscription_id' or (m.word = 'customer' and p_mapping #> '{customer,table}' is null))))
  ),
  given as (
    select m.attribute from mapped m
    where m.relation = p_mapping ->> 'table'
      and (m.word = any (billing_ops.mapping_fields() || array['owner', 'stripe_subscription_id']) or m.word ^@ 'where.' or m.word ^@ 'on_insert.'
        or (m.word = 'customer' and p_mapping #> '{customer,table}' is null))
  )
  select 'schema', n.name, null::text, 'usage'
  from (
    select pg_catalog.format('%I', (billing_ops.relation_parts(m.relation))[1]) as name from mapped m
    union
    -- A cast to an enum looks the type up by its name.
    select pg_catalog.format('%I', n.nspname) from mapped m
    join pg_catalog.pg_type t on t.oid = m.type_oid join pg_catalog.pg_namespace n on n.oid = t.typnamespace
    where n.nspname <> 'pg_catalog'
  ) n
  union all
  select distinct 'column', m.relation, m.attribute, 'select' from mapped m where not m.word ^@ 'on_insert.'
  union all
  select 'column', p_mapping ->> 'table', 'xmin', 'select'
  union all
  select distinct 'column', p_mapping ->> 'table', s.attribute, 'update' from settable s
    where p_mapping ->> 'writes' in ('update', 'update_and_insert')
  union all
  select distinct 'column', p_mapping ->> 'table', g.attribute, 'insert' from given g
    where p_mapping ->> 'writes' = 'update_and_insert'
  union all
  -- A serial column takes its number from a sequence, with the rights of whoever inserts.
  select distinct 'sequence', pg_catalog.format('%I.%I', n.nspname, q.relname), null::text, 'usage'
  from pg_catalog.pg_attribute a
  join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
  join pg_catalog.pg_depend p on p.classid = 'pg_catalog.pg_attrdef'::regclass and p.objid = d.oid
    and p.refclassid = 'pg_catalog.pg_class'::regclass
  join pg_catalog.pg_class q on q.oid = p.refobjid and q.relkind = 'S'
  join pg_catalog.pg_namespace n on n.oid = q.relnamespace
  where p_mapping ->> 'writes' = 'update_and_insert' and a.attrelid = (select billing_ops.relation_oid(p_mapping ->> 'table'))
    and not exists (select 1 from given g where g.attribute = a.attname);
end
$$;
comment on function billing_ops.needed_grants(jsonb) is
  'What service_role needs for a complete mapping: schemas and sequences to use, columns to select, update and insert. Nothing else.';
revoke all on function billing_ops.needed_grants(jsonb) from public, anon, authenticated;
grant execute on function billing_ops.needed_grants(jsonb) to service_role;

create function billing_ops.holds_grant(p_kind text, p_object text, p_attribute text, p_privilege text)
returns boolean
language plpgsql stable
set search_path = ''
as $$
begin
  return (
    select case p_kind
      when 'schema' then (
        select pg_catalog.has_schema_privilege('service_role', n.oid, p_privilege)
        from pg_catalog.pg_namespace n where pg_catalog.format('%I', n.nspname) = p_object)
      when 'sequence' then (
        select pg_catalog.has_sequence_privilege('service_role', c.oid, p_privilege)
        from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
        where pg_catalog.format('%I.%I', n.nspname, c.relname) = p_object and c.relkind = 'S')
      else (
        select pg_catalog.has_column_privilege('service_role', a.attrelid, a.attnum, p_privilege)
        from pg_catalog.pg_attribute a
        where a.attrelid = (select billing_ops.relation_oid(p_object)) and a.attname = p_attribute::name and not a.attisdropped) end);
end
$$;
comment on function billing_ops.holds_grant(text, text, text, text) is
  'Whether service_role has this right, whoever granted it; null where the object is not there.';
revoke all on function billing_ops.holds_grant(text, text, text, text) from public, anon, authenticated;
grant execute on function billing_ops.holds_grant(text, text, text, text) to service_role;

create function billing_ops.grant_needed(p_mapping jsonb)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_grant record;
  v_granted jsonb := '[]'::jsonb;
begin
  for v_grant in
    select * from billing_ops.needed_grants(p_mapping) n
    where not billing_ops.holds_grant(n.kind, n.object, n.attribute, n.privilege)
    order by n.kind desc, n.object, n.attribute, n.privilege
  loop
    begin
      if v_grant.kind = 'column' then
        execute pg_catalog.format('grant %s (%I) on %s to service_role', v_grant.privilege, v_grant.attribute, v_grant.object);
      else
        execute pg_catalog.format('grant %s on %s %s to service_role', v_grant.privilege, v_grant.kind, v_grant.object);
      end if;
    exception when insufficient_privilege then
      null;
    end;
    -- A grant by somebody who may not grant is an error, or only a warning: hence this check.
    if not billing_ops.holds_grant(v_grant.kind, v_grant.object, v_grant.attribute, v_grant.privilege) then
      raise exception '% may not grant % on % to service_role; call adopt as the owner of %.', current_user,
        v_grant.privilege || coalesce(pg_catalog.format(' (%I)', v_grant.attribute), ''),
        case v_grant.kind when 'column' then v_grant.object else v_grant.kind || ' ' || v_grant.object end,
        case v_grant.kind when 'column' then 'that table' else 'that ' || v_grant.kind end
        using errcode = 'insufficient_privilege';
    end if;
    v_granted := v_granted || pg_catalog.to_jsonb(v_grant);
  end loop;
  return v_granted;
end
$$;
comment on function billing_ops.grant_needed(jsonb) is
  'Grants service_role what a mapping needs and the role does not have yet, and answers what it granted: the app''s own grants stay its own.';
revoke all on function billing_ops.grant_needed(jsonb) from public, anon, authenticated;

create function billing_ops.take_back_grants()
returns void
language plpgsql
set search_path = ''
as $$
declare
  v_grant record;
begin
  for v_grant in
    select g.* from billing_ops.adoption a
    cross join lateral pg_catalog.jsonb_to_recordset(a.granted) g (kind text, object text, attribute text, privilege text)
    -- What was dropped meanwhile took its grants with it.
    where billing_ops.holds_grant(g.kind, g.object, g.attribute, g.privilege)
  loop
    if v_grant.kind = 'column' then
      execute pg_catalog.format('revoke %s (%I) on %s from service_role', v_grant.privilege, v_grant.attribute, v_grant.object);
    else
      execute pg_catalog.format('revoke %s on %s %s from service_role', v_grant.privilege, v_grant.kind, v_grant.object);
    end if;
  end loop;
end
$$;
comment on function billing_ops.take_back_grants() is 'Revokes what was granted for the table that is adopted now.';
revoke all on function billing_ops.take_back_grants() from public, anon, authenticated;

-- Adopting -----------------------------------------------------------------------------------------------------------

create function billing_ops.adopt(p_mapping jsonb default null)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_mapping jsonb := p_mapping;
  v_candidates jsonb;
  v_objection text;
  v_table text;
  v_granted jsonb;
begin
  -- Two at once would each take back what only the other has granted.
  lock table billing_ops.adoption in share row exclusive mode;
  if v_mapping is null then
    v_candidates := billing_ops.detect();
    if pg_catalog.jsonb_array_length(v_candidates) <> 1 then
      raise exception using errcode = 'invalid_parameter_value', message = case pg_catalog.jsonb_array_length(v_candidates)
        when 0 then 'No table has a shape that is known here; pass a mapping to billing_ops.adopt.'
        else pg_catalog.format('There are %s candidates (%s); pass the mapping of the right one to billing_ops.adopt.',
          pg_catalog.jsonb_array_length(v_candidates),
          (select pg_catalog.string_agg(c ->> 'table', ', ') from pg_catalog.jsonb_array_elements(v_candidates) c)) end;
    end if;
    v_mapping := v_candidates -> 0 -> 'mapping';
  end if;

  v_objection := billing_ops.mapping_objection(v_mapping);
  if v_objection is null then
    v_mapping := billing_ops.complete_mapping(v_mapping);
    -- Only the lock that a read takes: what is judged stays as it is until this transaction ends, and nobody who reads or writes waits.
    for v_table in select distinct m.relation from billing_ops.mapped_columns(v_mapping) m order by 1 loop
      begin
        execute pg_catalog.format('lock table %s in access share mode', v_table);
      exception when insufficient_privilege then
        raise exception '% may not read %; call adopt as the owner of that table.', current_user, v_table
          using errcode = 'insufficient_privilege';
      end;
    end loop;
    v_objection := billing_ops.mapping_objection(v_mapping);
  end if;
  if v_objection is not null then
    raise exception using errcode = 'invalid_parameter_value', message = v_objection;
  end if;

  perform billing_ops.take_back_grants();
  v_granted := billing_ops.grant_needed(v_mapping);
  perform billing_ops.adapter_generate(v_mapping);
  insert into billing_ops.adoption as a (mapping, fingerprint, granted, generator)
  values (v_mapping, billing_ops.fingerprint(v_mapping), v_granted, 1)
  on conflict (one) do update set mapping = excluded.mapping, fingerprint = excluded.fingerprint, granted = excluded.granted,
    generator = excluded.generator, adopted_at = excluded.adopted_at, adopted_by = excluded.adopted_by;
  return billing_ops.adapter_state();
end
$$;
comment on function billing_ops.adopt(jsonb) is
  'Adopts the app''s table: judges the mapping, grants what it needs, makes the functions, and answers billing_ops.adapter_state().
  Without a mapping, it takes the one that detect() proposes, if there is exactly one. It refuses with one sentence, and then
  nothing has changed. Called again, it replaces what was there, grants included. For the owner of the database, in a migration or the SQL editor.';
revoke all on function billing_ops.adopt(jsonb) from public, anon, authenticated;

create function billing_ops.unadopt()
returns void
language plpgsql
set search_path = ''
as $$
begin
  lock table billing_ops.adoption in share row exclusive mode;
  perform billing_ops.take_back_grants();
  perform billing_ops.adapter_clear();
  delete from billing_ops.adoption;
end
$$;
comment on function billing_ops.unadopt() is
  'Lets go of the adopted table: takes the grants back and forgets the mapping. What is remembered of subscriptions stays.';
revoke all on function billing_ops.unadopt() from public, anon, authenticated;

create function billing_ops.adapter_state()
returns jsonb
language sql stable
set search_path = ''
as $$
  select coalesce((
    select pg_catalog.jsonb_build_object(
      'adopted', true,
      'fingerprint_ok', d.changed is null,
      'changed', d.changed,
      'readable', d.readable,
      'table', a.mapping ->> 'table',
      'has', (select coalesce(pg_catalog.jsonb_agg(w order by place), '[]')
              from pg_catalog.unnest(array['customer'] || billing_ops.mapping_fields()) with ordinality w (w, place)
                where a.mapping ? w),
      'keeps', a.mapping -> 'keeps',
      'one_row_each', (a.mapping #>> '{owner,one_row_each}')::boolean,
      'owners_known', a.mapping #> '{owner,table}' is not null,
      'admins', a.mapping ? 'admins',
      'writes', a.mapping ->> 'writes',
      'quantity_prices', a.mapping #> '{quantity,prices}',
      'adopted_at', pg_catalog.to_char(a.adopted_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
    from billing_ops.adoption a
    cross join lateral (
      select coalesce(f.difference, g.missing) as changed, f.difference is null and not coalesce(g.reads, false) as readable
      from (select billing_ops.fingerprint_difference(a.fingerprint, billing_ops.fingerprint(a.mapping)) as difference) f
      -- A table that was dropped and made again looks the same and has lost its grants.
      cross join (
        select 'service_role is no longer granted ' || pg_catalog.string_agg(
            n.privilege || coalesce(pg_catalog.format(' (%I)', n.attribute), '') || ' on ' || n.object, ', ') || '.' as missing,
          pg_catalog.bool_or(n.privilege not in ('update', 'insert')) as reads
        from billing_ops.needed_grants(a.mapping) n
        where not coalesce(billing_ops.holds_grant(n.kind, n.object, n.attribute, n.privilege), false)
      ) g
      -- Keeps this from being computed twice, as it is used twice.
      offset 0
    ) d
  ), '{"adopted": false, "fingerprint_ok": false, "changed": null, "readable": false, "table": null, "has": [], "keeps": [], "one_row_each": false,
       "owners_known": false, "admins": false, "writes": "none", "quantity_prices": null, "adopted_at": null}')
$$;
comment on function billing_ops.adapter_state() is
  'What is adopted, for the first call of a run. has: what is mapped; keeps: what the app keeps true itself; owners_known: there is a
  table of owners, so that a missing one is noticed; changed: what is no longer as it was when the functions were made, in sentences. If
  it is not null, fingerprint_ok is false and nothing may be written until adopt has been called again. readable: all that differs, if
  anything, is that service_role may not write any more.';
revoke all on function billing_ops.adapter_state() from public, anon, authenticated;
grant execute on function billing_ops.adapter_state() to service_role;

-- Tables that people start from, known by their shape. Proposals only: nothing is adopted here.

create function billing_ops.column_like(p_relation text, p_families text[], p_names text[])
returns text
language plpgsql stable
set search_path = ''
as $$
begin
  return (
    select n.name
    from pg_catalog.unnest(p_names) with ordinality n (name, place)
    cross join lateral billing_ops.column_facts(p_relation, n.name) f
    where f.family = any (p_families)
    order by n.place limit 1);
end
$$;
comment on function billing_ops.column_like(text, text[], text[]) is
  'The first of these columns that a table has, and whose type could serve; else null.';
revoke all on function billing_ops.column_like(text, text[], text[]) from public, anon, authenticated;

create function billing_ops.owner_table(p_relation text, p_attribute text, p_guesses text[])
returns jsonb
language sql stable
set search_path = ''
as $$
  select pg_catalog.jsonb_build_object('table', g.relation, 'key', g.attribute)
  from (
    select 0::bigint as place, pg_catalog.format('%I.%I', n.nspname, c.relname) as relation, a.attname::text as attribute
    from pg_catalog.pg_constraint k
    join pg_catalog.pg_class c on c.oid = k.confrelid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    join pg_catalog.pg_attribute a on a.attrelid = k.confrelid and a.attnum = k.confkey[1]
    where k.contype = 'f' and k.conrelid = (select billing_ops.relation_oid(p_relation)) and pg_catalog.cardinality(k.conkey) = 1
      and k.conkey[1] = (select f.attnum from billing_ops.column_facts(p_relation, p_attribute) f)
    union all
    select g.place, g.relation, 'id' from pg_catalog.unnest(p_guesses) with ordinality g (relation, place)
  ) g
  cross join lateral billing_ops.column_facts(g.relation, g.attribute) f
  -- Supabase's own auth.users belongs to another role, which grants nothing on it.
  where not g.relation ^@ 'auth.' and f.family = (select o.family from billing_ops.column_facts(p_relation, p_attribute) o)
    and exists (select 1 from billing_ops.unique_columns(g.relation) u where u.columns = array[g.attribute] and u.predicate is null)
  order by g.place limit 1
$$;
comment on function billing_ops.owner_table(text, text, text[]) is
  'Where the owners of a table are: what the column references, or else the first of the guesses that could be; null if there is none.';
revoke all on function billing_ops.owner_table(text, text, text[]) from public, anon, authenticated;

create function billing_ops.seed_admins()
returns jsonb
language sql stable
set search_path = ''
as $$
  select case when billing_ops.column_like('public.organization_members', '{uuid,text}', '{user_id}') is not null
      and billing_ops.column_like('public.organization_members', '{text,enum}', '{role}') is not null
      and billing_ops.column_like('public.organization_members', '{uuid,text,integer}', '{organization_id}') is not null
    then '[{"table": "public.organization_members", "user": "user_id", "role": "role", "in": ["owner", "admin"]}]'::jsonb
      || case when billing_ops.column_like('public.users', '{uuid,text}', '{id}') is not null
          and billing_ops.column_like('public.users', '{text,enum}', '{role}') is not null
        then '[{"table": "public.users", "user": "id", "role": "role", "in": ["owner", "admin"]}]'::jsonb else '[]' end
    end
$$;
comment on function billing_ops.seed_admins() is
  'Where the seed''s shape has its admins: memberships, and users.role beside them; null where there are no such memberships.';
revoke all on function billing_ops.seed_admins() from public, anon, authenticated;

create function billing_ops.detect()
returns jsonb
language sql stable
set search_path = ''
as $$
  with families as (
    select '{uuid,text,integer}'::text[] as keys, '{text}'::text[] as texts, '{text,enum}'::text[] as words,
      '{integer,numeric}'::text[] as numbers, '{timestamptz,timestamp,integer}'::text[] as times, '{boolean}'::text[] as flags
  ),
  -- Tables by their usual names; then, in shapes, the columns that most schemas name alike.
  relations as (
    select pg_catalog.format('%I.%I', n.nspname, c.relname) as relation, n.nspname, c.relname
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p') and not c.relispartition and c.relpersistence <> 't'
      and n.nspname not in ('information_schema', 'billing_ops', 'auth', 'storage') and not n.nspname ^@ 'pg_'
      and c.relname in ('subscriptions', 'subscription', 'billing_subscriptions', 'teams')
  ),
  shapes as (
    select r.*,
      billing_ops.column_like(r.relation, f.keys, '{id}') as id,
      billing_ops.column_like(r.relation, f.texts, '{id}') as text_id,
      billing_ops.column_like(r.relation, f.texts, '{stripe_subscription_id,stripeSubscriptionId}') as stripe_id,
      billing_ops.column_like(r.relation, f.texts, '{stripe_customer_id,stripeCustomerId}') as customer,
      billing_ops.column_like(r.relation, f.keys, '{organization_id}') as organization,
      billing_ops.column_like(r.relation, f.keys, '{user_id}') as person,
      billing_ops.column_like(r.relation, f.keys, '{account_id}') as account,
      billing_ops.column_like(r.relation, f.keys, '{referenceId,reference_id}') as reference,
      billing_ops.column_like(r.relation, f.words, '{status}') as status,
      billing_ops.column_like(r.relation, f.words, '{tier}') as tier,
      billing_ops.column_like(r.relation, f.words, '{plan}') as plan,
      billing_ops.column_like(r.relation, f.texts, '{stripe_price_id,price_id}') as price,
      billing_ops.column_like(r.relation, f.numbers, '{quantity,seats}') as quantity,
      pg_catalog.jsonb_build_object(
        'period_start', billing_ops.column_like(r.relation, f.times, '{current_period_start,periodStart,period_start}'),
        'period_end', billing_ops.column_like(r.relation, f.times, '{current_period_end,periodEnd,period_end}'),
        'cancel_at_period_end', billing_ops.column_like(r.relation, f.flags, '{cancel_at_period_end,cancelAtPeriodEnd}'),
        'trial_end', billing_ops.column_like(r.relation, f.times, '{trial_end,trialEnd}')) as times
    from relations r cross join families f
  ),
  candidates as (
    select 1 as place, 'seed' as preset, s.relation,
      pg_catalog.jsonb_build_object('key', s.id, 'stripe_subscription_id', s.stripe_id,
        'owner', pg_catalog.jsonb_build_object('column', s.organization)
          || coalesce(billing_ops.owner_table(s.relation, s.organization, '{public.organizations}'), '{}'),
        'customer', case when s.customer is not null then pg_catalog.jsonb_build_object('column', s.customer) end,
        'status', s.status, 'tier', s.tier, 'price', s.price, 'quantity', s.quantity, 'writes', 'update_and_insert',
        'admins', billing_ops.seed_admins()) as mapping,
      '{}'::text[] as unkept,
      'It has organization_id, stripe_subscription_id and status, like the table that billing-ops began with.' as why
    from shapes s
    where s.relation = 'public.subscriptions'
      and s.id is not null and s.stripe_id = 'stripe_subscription_id' and s.organization is not null and s.status is not null
    union all
    select 2, 'vercel/nextjs-subscription-payments', s.relation,
      pg_catalog.jsonb_build_object('key', s.id, 'stripe_subscription_id', s.id,
        'owner', pg_catalog.jsonb_build_object('column', s.person)
          || coalesce(billing_ops.owner_table(s.relation, s.person, array[pg_catalog.format('%I.users', s.nspname)]), '{}'),
        'customer', pg_catalog.jsonb_build_object('column', 'stripe_customer_id',
          'table', pg_catalog.format('%I.customers', s.nspname), 'key', 'id', 'by', s.person),
        'status', s.status, 'price', s.price, 'quantity', s.quantity,
        -- Each of these has now() for a default: a new row would say that it has ended.
        'on_insert', (
          select pg_catalog.jsonb_object_agg(a, null)
            from pg_catalog.unnest(array['ended_at', 'cancel_at', 'canceled_at', 'trial_start']) a
          where exists (select 1 from billing_ops.column_facts(s.relation, a) f where f.has_default and not f.required))),
      '{}',
      'Its key is Stripe''s subscription id, beside user_id and price_id, and customers has stripe_customer_id.'
    from shapes s
    where s.relname = 'subscriptions' and s.text_id is not null and s.stripe_id is null
      and s.person is not null and s.status is not null and s.price = 'price_id'
      and billing_ops.column_like(pg_catalog.format('%I.customers', s.nspname), '{text}', '{stripe_customer_id}') is not null
      and billing_ops.column_like(pg_catalog.format('%I.customers', s.nspname), '{uuid,text,integer}', '{id}') is not null
    union all
    select 3, 'basejump', s.relation,
      pg_catalog.jsonb_build_object('key', s.id, 'stripe_subscription_id', s.id,
        'owner', pg_catalog.jsonb_build_object('column', s.account)
          || coalesce(billing_ops.owner_table(s.relation, s.account, array[pg_catalog.format('%I.accounts', s.nspname)]), '{}'),
        'customer', pg_catalog.jsonb_build_object('column', 'billing_customer_id'),
        'status', s.status, 'price', s.price, 'quantity', s.quantity,
        'where', case when billing_ops.column_like(s.relation, '{text}', '{provider}') is not null
          then '{"provider": "stripe"}'::jsonb end,
        'on_insert', (
          select pg_catalog.jsonb_object_agg(a, null)
            from pg_catalog.unnest(array['ended_at', 'cancel_at', 'canceled_at', 'trial_start']) a
          where exists (select 1 from billing_ops.column_facts(s.relation, a) f where f.has_default and not f.required))),
      '{}',
      'Its key is Stripe''s subscription id, beside account_id and billing_customer_id.'
    from shapes s
    where s.relname = 'billing_subscriptions' and s.text_id is not null and s.account is not null and s.status is not null
      and billing_ops.column_like(s.relation, '{text}', '{billing_customer_id}') is not null
    union all
    select 4, 'better-auth', s.relation,
      pg_catalog.jsonb_build_object('key', s.id, 'stripe_subscription_id', s.stripe_id,
        'owner', pg_catalog.jsonb_build_object('column', s.reference)
          || coalesce(billing_ops.owner_table(s.relation, s.reference, array[pg_catalog.format('%I."user"', s.nspname), pg_catalog.format('%I.users', s.nspname)]), '{}'),
        'customer', case when s.customer is not null then pg_catalog.jsonb_build_object('column', s.customer) end,
        'status', s.status, 'tier', s.plan, 'quantity', s.quantity),
      -- Written at the checkout only.
      '{trial_end}',
      'It has referenceId, stripeSubscriptionId and plan. Its owners are looked for among users; where they are organizations, '
      'name that table in "owner".'
    from shapes s
    where s.relname in ('subscription', 'subscriptions') and s.id is not null and s.stripe_id is not null
      and s.reference is not null
      and s.plan is not null and s.status is not null
    union all
    select 5, 'nextjs/saas-starter', s.relation,
      pg_catalog.jsonb_build_object('key', s.id, 'stripe_subscription_id', s.stripe_id,
        'owner', pg_catalog.jsonb_build_object('column', s.id, 'table', s.relation, 'key', s.id, 'one_row_each', true),
        'customer', case when s.customer is not null then pg_catalog.jsonb_build_object('column', s.customer) end,
        'status', billing_ops.column_like(s.relation, '{text,enum}', '{subscription_status}'),
        'tier', billing_ops.column_like(s.relation, '{text,enum}', '{plan_name}')),
      '{}',
      'Each team is its own owner: it has stripe_subscription_id and subscription_status.'
    from shapes s
    where s.relname = 'teams' and s.id is not null and s.stripe_id is not null
      and billing_ops.column_like(s.relation, '{text,enum}', '{subscription_status}') is not null
  ),
  proposals as (
    select c.*, m.mapping || pg_catalog.jsonb_build_object('keeps', (
        select coalesce(pg_catalog.jsonb_agg(f), '[]') from pg_catalog.unnest(billing_ops.mapping_fields()) f
        where m.mapping ? f and f <> all (c.unkept))) as whole
    from candidates c
    join shapes s on s.relation = c.relation
    cross join lateral billing_ops.without_nulls(
      '{"writes": "none"}'::jsonb || pg_catalog.jsonb_build_object('table', c.relation) || c.mapping
        || case c.preset when 'nextjs/saas-starter' then '{}' else s.times end) m (mapping)
  )
  select coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
      'preset', p.preset, 'table', p.relation, 'mapping', p.whole,
      'why', p.why || coalesce(' It cannot be adopted as it is: ' || billing_ops.mapping_objection(p.whole), '')
    ) order by p.place, p.relation), '[]')
  from proposals p
$$;
comment on function billing_ops.detect() is
  'Proposes a mapping for each table of a known shape, [{"preset", "table", "mapping", "why"}]; [] where there is none. "why" also says what
  stands in the way of adopting it. Only the seed''s shape is proposed with anything but "writes": "none".';
revoke all on function billing_ops.detect() from public, anon, authenticated;

select billing_ops.adapter_clear();
