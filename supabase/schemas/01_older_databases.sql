-- How a table that an earlier schema or an app made is brought to the shape that the other files describe. Only
-- migrations call these. A CHECK that replace_column_checks made reads "= any ('{…}'::text[])" there, others "in (…)".

create function billing_ops.replace_column_checks(p_table regclass, p_column text, p_values text[])
returns void
language plpgsql
set search_path = ''
as $$
declare
  v_constraint name;
  v_odd text[];
begin
  for v_constraint in
    select c.conname from pg_catalog.pg_constraint c
    where c.conrelid = p_table and c.contype = 'c'
      and c.conkey = array[(select a.attnum from pg_catalog.pg_attribute a
                            where a.attrelid = p_table and a.attname = p_column and not a.attisdropped)]
  loop
    execute pg_catalog.format('alter table %s drop constraint %I', p_table, v_constraint);
  end loop;
  -- An enum's values can't be used in the transaction that adds them, and every new word would need another one.
  if exists (
    select 1 from pg_catalog.pg_attribute a join pg_catalog.pg_type t on t.oid = a.atttypid
    where a.attrelid = p_table and a.attname = p_column and not a.attisdropped and t.typtype = 'e'
  ) then
    execute pg_catalog.format('alter table %s alter column %I type text using %2$I::text', p_table, p_column);
  end if;
  execute pg_catalog.format('select array_agg(distinct %I) from %s where %1$I <> all ($1)', p_column, p_table)
  into v_odd using p_values;
  if v_odd is not null then
    raise warning '%.% holds %: allowed from now on too, as a row that breaks a CHECK could not be updated any more',
      p_table, p_column, v_odd;
  end if;
  execute pg_catalog.format('alter table %s add constraint %I check (%I = any (%L::text[]))', p_table,
    (select relname from pg_catalog.pg_class where oid = p_table) || '_' || p_column || '_check',
    p_column, p_values || v_odd);
end
$$;
comment on function billing_ops.replace_column_checks(regclass, text, text[]) is
  'Migrations only: replaces every CHECK on one column by one that allows the given words and those that rows have already.';

create function billing_ops.drop_full_uniques(p_table regclass, p_columns text[])
returns void
language plpgsql
set search_path = ''
as $$
declare
  v_index record;
begin
  for v_index in
    select i.indexrelid::regclass as name, c.conname
    from pg_catalog.pg_index i
    left join pg_catalog.pg_constraint c on c.conindid = i.indexrelid and c.conrelid = p_table and c.contype = 'u'
    where i.indrelid = p_table and i.indisunique and not i.indisprimary and i.indpred is null
      and (select array_agg(a.attname::text order by a.attname) from pg_catalog.pg_attribute a
           where a.attrelid = p_table and a.attnum = any (i.indkey)) = p_columns
  loop
    if v_index.conname is not null then
      execute pg_catalog.format('alter table %s drop constraint %I', p_table, v_index.conname);
    else
      execute pg_catalog.format('drop index %s', v_index.name);
    end if;
  end loop;
end
$$;
comment on function billing_ops.drop_full_uniques(regclass, text[]) is
  'Migrations only: drops unique constraints on exactly these columns (in alphabetical order) that have no predicate. The partial
  index that takes their place forbids less.';
