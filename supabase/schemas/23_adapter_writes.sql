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
