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
