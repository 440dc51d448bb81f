-- What a run reads, in as few calls as there are groups of pages: the adopted table's shape, the rows to compare, the rows that
-- Stripe did not list, and owners who pay twice. How the table itself is read is the adapter's business (23_adapter).

create function billing_ops.adoption_report()
returns jsonb
language sql stable security definer
set search_path = ''
as $$
  select pg_catalog.jsonb_build_object('state', billing_ops.adapter_state(), 'candidates', billing_ops.detect())
$$;
comment on function billing_ops.adoption_report() is
  'What is adopted, and what could be. Definer: proposing a mapping means looking at tables on which service_role has no rights yet.';

create function public.billing_ops_adoption()
returns jsonb
language sql stable
set search_path = ''
as $$
  select billing_ops.adoption_report()
$$;
comment on function public.billing_ops_adoption() is
  'For whoever sets a deployment up: {state: billing_ops.adapter_state(), candidates: billing_ops.detect()}.';

create function public.read_adapter_for_reconcile(p_access jsonb)
returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  v_state jsonb := billing_ops.adapter_state();
  v_granting bigint := 0;
  v_livemode boolean;
  v_policies jsonb;
begin
  begin
    select coalesce(jsonb_object_agg(p.type, p.mode), '{}') into v_policies from public.drift_policies p where p.mode <> 'auto';
  exception when insufficient_privilege or undefined_table or undefined_column then
    -- What cannot be read counts as observe.
    v_policies := null;
  end;
  if p_access is not null and (v_state ->> 'readable')::boolean then
    v_granting := billing_ops.adapter_granting(array(select jsonb_array_elements_text(p_access)));
    -- Of the newest subscriptions, those with a row: strangers say nothing about the mode of the rows.
    with seen as materialized (
      select m.stripe_subscription_id as id, m.livemode from billing_ops.subscription_marks m
      where m.livemode is not null order by m.created desc limit 1000
    )
    -- Where there are as many of either mode, neither is called the wrong one.
    select case sign(count(*) filter (where s.livemode) - count(*) filter (where not s.livemode)) when 1 then true when -1 then false end
    into v_livemode
    from seen s join billing_ops.adapter_present(array(select id from seen)) p on p = s.id;
  end if;
  return v_state || jsonb_build_object(
    'granting', v_granting,
    'livemode', v_livemode,
    'policies', v_policies,
    'horizon', pg_snapshot_xmin(pg_current_snapshot())::text,
    'columns', (
      select coalesce(jsonb_object_agg(m.word, m.attribute), '{}')
      from billing_ops.adoption a cross join lateral billing_ops.mapped_columns(a.mapping) m
      where m.word = any (array['customer'] || billing_ops.mapping_fields())));
end
$$;
comment on function public.read_adapter_for_reconcile(jsonb) is
  'Before a run asks Stripe: billing_ops.adapter_state(); granting: rows in one of the statuses p_access; livemode: which mode most of the
  rows are in, as far as scans have seen them; null if that is not known (both only where p_access is given); policies: the classes that
  people have set to less than auto, null where that cannot be read; columns: what the mapped words are called in the app''s table; and
  the horizon, by which a later read tells which rows have been written since.';

create function public.read_subscriptions_for_reconcile(
  p_listed jsonb,
  p_named jsonb default '[]',
  p_livemode boolean default null,
  p_horizon text default null,
  p_created_from timestamptz default null,
  p_created_to timestamptz default null,
  p_unlisted_limit integer default 1000
)
returns json
language plpgsql
set search_path = ''
as $$
declare
  -- Taken before anything is read: what commits from here on counts as written since.
  v_horizon constant text := pg_snapshot_xmin(pg_current_snapshot())::text;
  v_listed constant text[] := array(select l ->> 0 from jsonb_array_elements(p_listed) l);
  v_all constant text[] := v_listed || array(select jsonb_array_elements_text(p_named));
  v_marked text[];
  v_other_mode json;
  v_looked_up json;
  v_unlisted text[] := '{}'::text[];
  v_open json;
  v_excepted json;
  v_rows json;
begin
  select array_agg(m.stripe_subscription_id),
    json_agg(m.stripe_subscription_id) filter (where m.livemode <> p_livemode),
    json_agg(json_build_array(m.stripe_subscription_id, m.owner, m.owner_source)) filter (where m.looked_up_at is not null)
  into v_marked, v_other_mode, v_looked_up
  from billing_ops.subscription_marks m
  where m.stripe_subscription_id = any (v_all);

  -- No lease guards this: that Stripe lists a subscription is true whoever writes it down.
  if cardinality(v_listed) > 0 then
    insert into billing_ops.subscription_marks (stripe_subscription_id, created, livemode)
    -- Up to the year 9999: an odd object may give any number for a time.
    select l.said ->> 0, to_timestamp(least(greatest((l.said ->> 1)::bigint, 0), 253402300799)), p_livemode
    from jsonb_array_elements(p_listed) l (said)
    where not exists (select 1 from unnest(v_marked) k where k = l.said ->> 0)
    -- In one order, or two that list the same for the first time could wait for one another.
    order by l.said ->> 0
    on conflict do nothing;
  end if;

  select json_agg(r) into v_rows from billing_ops.adapter_read(v_all, p_horizon::xid8) r;

  if p_created_from is not null then
    v_unlisted := array(select billing_ops.adapter_unlisted(p_created_from, p_created_to, v_all));
  end if;

  select json_agg(json_build_array(d.stripe_subscription_id, d.drift_key)),
    json_agg(d.drift_key) filter (where d.excepted_until > clock_timestamp())
  into v_open, v_excepted
  from public.drift d
  where d.closed_at is null and d.stripe_subscription_id = any (v_all);

  return json_build_object(
    'horizon', v_horizon,
    'rows', coalesce(v_rows, '[]'::json),
    'other_mode', coalesce(v_other_mode, '[]'),
    'looked_up', coalesce(v_looked_up, '[]'),
    'open', coalesce(v_open, '[]'),
    'excepted', coalesce(v_excepted, '[]'),
    'unlisted', to_json(v_unlisted[1:p_unlisted_limit]),
    'unlisted_count', cardinality(v_unlisted));
end
$$;
comment on function public.read_subscriptions_for_reconcile(jsonb, jsonb, boolean, text, timestamptz, timestamptz, integer) is
  'For a part of Stripe''s list. p_listed: [[stripe_subscription_id, created in Unix seconds], …] as Stripe lists them, in p_livemode;
  each gets a mark if it has none. p_named: further ids. Answers {horizon, rows, other_mode, looked_up, open, excepted, unlisted,
  unlisted_count}: the rows of all these ids as the adapter reads them, compared with p_horizon; those of the ids whose mark is of the
  other mode; those whose checkout has been looked up before, [id, owner, source]; their open differences, [id, drift_key], and the keys
  of those that a person lets stand; and the ids of rows marked as created in [from, to) that are not among them (at most
  p_unlisted_limit; the count is of all).';

create function public.read_owners_for_reconcile(p_owners jsonb)
returns json
language sql stable
set search_path = ''
as $$
  select coalesce(pg_catalog.json_agg(o), '[]')
  from billing_ops.adapter_owners(array(select pg_catalog.jsonb_array_elements_text(p_owners))) o
$$;
comment on function public.read_owners_for_reconcile(jsonb) is 'Those of these owners who exist.';

create function public.read_rows_of_owners_for_reconcile(p_owners jsonb)
returns json
language sql stable
set search_path = ''
as $$
  select coalesce(pg_catalog.json_agg(r), '[]')
  from billing_ops.adapter_rows_of_owners(array(select pg_catalog.jsonb_array_elements_text(p_owners)), null) r
  where r ->> 3 is not null
$$;
comment on function public.read_rows_of_owners_for_reconcile(jsonb) is
  'The rows of these owners that follow a Stripe subscription, as the adapter reads them.';

create function public.read_unplaced_subscriptions(p_after text default null, p_limit integer default 1000, p_rows integer default 50000)
returns json
language sql stable
set search_path = ''
as $$
  select pg_catalog.json_build_object(
    'rows', u.piece -> 'rows',
    'next', u.piece -> 'next',
    'odd', (select coalesce(pg_catalog.json_agg(pg_catalog.json_build_array(o.key, o.owner, o.odd)), '[]')
            from billing_ops.adapter_odd(null, p_limit) o where p_after is null))
  from (select billing_ops.adapter_unplaced(p_after, p_rows, p_limit) as piece) u
$$;
comment on function public.read_unplaced_subscriptions(text, integer, integer) is
  'Rows that no page of Stripe''s list can lead to. Answers {rows: [[key, stripe_subscription_id]], next, odd: [[key, owner, what is odd]]}: of the
  next p_rows rows behind the Stripe id p_after, those whose subscription no scan has ever seen, at most p_limit; next: the p_after to go on
  with, null at the end; and, with the first piece, the rows whose Stripe id is an empty string.';

create function public.read_duplicate_live_subscriptions(
  p_statuses jsonb,
  p_after text default null,
  p_limit integer default 1000,
  p_piece integer default 0,
  p_pieces integer default 1)
returns json
language sql stable
set search_path = ''
as $$
  select pg_catalog.json_build_object('rows', coalesce(pg_catalog.json_agg(
    pg_catalog.json_build_array(d.owner, d.stripe_subscription_ids)), '[]'))
  from billing_ops.adapter_duplicates(p_after, p_limit, array(select pg_catalog.jsonb_array_elements_text(p_statuses)), p_piece, p_pieces) d
$$;
comment on function public.read_duplicate_live_subscriptions(jsonb, text, integer, integer, integer) is
  'Answers {rows: [[owner, [stripe_subscription_id, …]]]}: owners with more than one row in these statuses that does not
  end with its period, by pages. A row for a plan that Stripe does not know does not count. Owners are dealt out to p_pieces pieces, of
  which this is the one numbered p_piece, from 0: each reads the whole table, and keeps its share.';
