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
