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
