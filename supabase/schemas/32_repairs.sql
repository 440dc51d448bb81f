-- How a run writes subscriptions: in batches, compare-and-set, fenced. A row that was written since the run read it is
-- left alone.

create function billing_ops.insert_subscriptions(p_rows jsonb)
returns setof text
language plpgsql
set search_path = ''
as $$
declare
  v_row jsonb;
  v_done text[];
begin
  -- "on conflict do nothing" without a target: every unique constraint counts, those of earlier schemas too.
  -- Collected before it is returned: rows given to "return query" stay given when a foreign key, which is checked last,
  -- takes the statement back.
  with done as (
    insert into public.subscriptions
      (organization_id, stripe_customer_id, stripe_subscription_id, status, tier, stripe_price_id, quantity,
       current_period_start, current_period_end, cancel_at_period_end, trial_end, livemode, stripe_created,
       stripe_observed_at)
    select r.organization_id, r.stripe_customer_id, r.stripe_subscription_id, r.status, r.tier, r.stripe_price_id,
           r.quantity, r.current_period_start, r.current_period_end, r.cancel_at_period_end, r.trial_end, r.livemode,
           r.stripe_created, clock_timestamp()
    from jsonb_to_recordset(p_rows) as r (
      organization_id uuid, stripe_customer_id text, stripe_subscription_id text, status text, tier text,
      stripe_price_id text, quantity integer, current_period_start timestamptz, current_period_end timestamptz,
      cancel_at_period_end boolean, trial_end timestamptz, livemode boolean, stripe_created timestamptz)
    -- Where duplicates kept the index on Stripe's id from being unique, no conflict would stop another one.
    where not exists (
      select 1 from public.subscriptions s where s.stripe_subscription_id = r.stripe_subscription_id)
    on conflict do nothing
    returning stripe_subscription_id
  )
  select array_agg(done.stripe_subscription_id) into v_done from done;
  return query select unnest(v_done);
exception when integrity_constraint_violation or data_exception or raise_exception then
  -- One row that a constraint, a type or a trigger refuses must not take the others with it. Recurses down to single
  -- rows and no further.
  if jsonb_array_length(p_rows) > 1 then
    for v_row in select value from jsonb_array_elements(p_rows) loop
      return query select billing_ops.insert_subscriptions(jsonb_build_array(v_row));
    end loop;
  end if;
end
$$;
comment on function billing_ops.insert_subscriptions(jsonb) is
  'Inserts rows and answers the Stripe ids of those that went in. A row that the table refuses is left out.';

create function billing_ops.update_subscriptions(p_rows jsonb)
returns setof uuid
language plpgsql
set search_path = ''
as $$
declare
  v_row jsonb;
  v_done uuid[];
begin
  with done as (
    update public.subscriptions s
    set status = coalesce(r.status, s.status),
        tier = coalesce(r.tier, s.tier),
        stripe_price_id = coalesce(r.stripe_price_id, s.stripe_price_id),
        quantity = coalesce(r.quantity, s.quantity),
        current_period_start = coalesce(r.current_period_start, s.current_period_start),
        current_period_end = coalesce(r.current_period_end, s.current_period_end),
        cancel_at_period_end = coalesce(r.cancel_at_period_end, s.cancel_at_period_end),
        trial_end = coalesce(r.trial_end, s.trial_end),
        livemode = coalesce(r.livemode, s.livemode),
        stripe_created = coalesce(r.stripe_created, s.stripe_created),
        stripe_observed_at = clock_timestamp()
    from jsonb_to_recordset(p_rows) as r (
      row_id uuid, row_version bigint, status text, tier text, stripe_price_id text, quantity integer,
      current_period_start timestamptz, current_period_end timestamptz, cancel_at_period_end boolean,
      trial_end timestamptz, livemode boolean, stripe_created timestamptz)
    where s.id = r.row_id and s.row_version = r.row_version
    returning s.id
  )
  select array_agg(done.id) into v_done from done;
  return query select unnest(v_done);
exception when integrity_constraint_violation or data_exception or raise_exception then
  if jsonb_array_length(p_rows) > 1 then
    for v_row in select value from jsonb_array_elements(p_rows) loop
      return query select billing_ops.update_subscriptions(jsonb_build_array(v_row));
    end loop;
  end if;
end
$$;
comment on function billing_ops.update_subscriptions(jsonb) is
  'Sets the fields that are given on rows whose row_version is still the one that was compared (compare-and-set), and
  answers the ids of those. A field that is missing or null keeps what the row has.';

create function public.apply_reconciliation_batch(
  p_run_id uuid,
  p_attempt integer,
  p_lease_seconds integer,
  p_items jsonb,
  p_cleared jsonb default null,
  p_cursor jsonb default null,
  p_counts jsonb default null
)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  -- By the item's place, from 1: what became of it, and whose a new row is.
  v_outcomes text[];
  v_organizations uuid[];
  v_inserted text[];
  v_updated uuid[];
  v_entries jsonb;
begin
  -- The same batch twice at once: its answer was lost and it was sent again. The second waits, and finds the first one's
  -- entries.
  perform pg_advisory_xact_lock(hashtextextended(p_run_id::text, jsonb_hash_extended(p_items, 0)));
  -- Spares a late writer the work. What keeps it out is hold_run, below.
  if not exists (
    select 1 from public.reconciliation_logs
    where id = p_run_id and attempt = p_attempt and status = 'running')
  then
    return jsonb_build_object('outcome', 'fenced');
  end if;

  -- A difference that this run has recorded already was applied by the same batch, sent before its answer was lost. A new
  -- row goes to the organization that Stripe's data names, if it exists; else to the only one that has the customer.
  select
    array_agg(
      case
        when unknown.id is not null then 'organization_unknown'
        when done.action is not null then done.action
        when e.kind = 'create' and coalesce(named.id, holder.id) is null then 'organization_unknown'
      end order by e.place),
    array_agg(case when e.kind = 'create' then coalesce(named.id, holder.id) end order by e.place)
  into v_outcomes, v_organizations
  from rows from (jsonb_to_recordset(p_items) as (kind text, organization_id uuid, "row" jsonb, findings jsonb))
    with ordinality e (kind, organization_id, "row", findings, place)
  left join lateral (
    select d.action from public.drift d
    where d.drift_key = e.findings -> 0 ->> 'drift_key' and d.closed_run_id = p_run_id
    union all
    select d.action from public.drift d
    where d.drift_key = e.findings -> 0 ->> 'drift_key' and d.closed_at is null and d.last_run_id = p_run_id
    limit 1
  ) done on true
  left join public.drift unknown
    on e.kind = 'create' and unknown.closed_at is null and unknown.last_run_id = p_run_id
    and unknown.drift_key = 'organization_unknown:' || (e."row" ->> 'stripe_subscription_id')
  left join public.organizations named on e.kind = 'create' and named.id = e.organization_id
  left join lateral (
    select min(s.organization_id::text)::uuid as id
    from public.subscriptions s
    -- The first two say whether to look at all.
    where e.kind = 'create' and named.id is null
      and s.stripe_customer_id = e."row" ->> 'stripe_customer_id'
    having count(distinct s.organization_id) = 1
  ) holder on true;

  select array(select billing_ops.insert_subscriptions(new.rows)) into v_inserted
  from (
    select jsonb_agg(e.item -> 'row' || jsonb_build_object('organization_id', v_organizations[e.place])
                     order by e.place) as rows
    from jsonb_array_elements(p_items) with ordinality e (item, place)
    where e.item ->> 'kind' = 'create' and v_outcomes[e.place] is null
  ) new where new.rows is not null;

  select array(select billing_ops.update_subscriptions(changed.rows)) into v_updated
  from (
    select jsonb_agg(e.item -> 'row' order by e.item -> 'row' ->> 'row_id') as rows
    from jsonb_array_elements(p_items) with ordinality e (item, place)
    where e.item ->> 'kind' = 'update' and v_outcomes[e.place] is null
  ) changed where changed.rows is not null;

  select array_agg(coalesce(v_outcomes[e.place], case e.kind
      when 'create' then case
        when inserted.id is not null then 'created'
        when known.row_version is not null then 'superseded'
        else 'refused' end
      when 'update' then case
        when updated.id is not null then 'repaired'
        when known.row_version = (e."row" ->> 'row_version')::bigint then 'refused'
        else 'superseded' end
      else coalesce(e.action, 'none') end) order by e.place)
  into v_outcomes
  from rows from (jsonb_to_recordset(p_items) as (kind text, "row" jsonb, action text))
    with ordinality e (kind, "row", action, place)
  left join unnest(v_inserted) inserted (id)
    on e.kind = 'create' and inserted.id = e."row" ->> 'stripe_subscription_id'
  left join unnest(v_updated) updated (id)
    on e.kind = 'update' and updated.id = (e."row" ->> 'row_id')::uuid
  left join lateral (
    select max(s.row_version) as row_version from public.subscriptions s
    where inserted.id is null and updated.id is null
      and ((e.kind = 'create' and s.stripe_subscription_id = e."row" ->> 'stripe_subscription_id')
        or (e.kind = 'update' and s.id = (e."row" ->> 'row_id')::uuid))
  ) known on true;

  -- From here to the commit the run is ours. If it has been taken over meanwhile, nothing of the above was ever there.
  if not billing_ops.hold_run(p_run_id, p_attempt, p_lease_seconds, p_cursor, p_counts) then
    raise exception 'the attempt was given up for dead' using errcode = 'BOFEN';
  end if;

  -- A subscription whose owner turns out to be unknown is a difference of another class than the one that was sent.
  select jsonb_agg(case v_outcomes[e.place]
      when 'organization_unknown' then f.finding || jsonb_build_object(
        'type', 'organization_unknown', 'action', 'none', 'severity', 'warning',
        'drift_key', 'organization_unknown:' || (f.finding ->> 'stripe_subscription_id'))
      else f.finding || jsonb_build_object('action', v_outcomes[e.place],
        'owner', coalesce(v_organizations[e.place]::text, f.finding ->> 'owner'))
      end order by e.place, f.place)
  into v_entries
  from jsonb_array_elements(p_items) with ordinality e (item, place),
    jsonb_array_elements(e.item -> 'findings') with ordinality f (finding, place);
  v_entries := billing_ops.record_drift(p_run_id, coalesce(v_entries, '[]'));
  -- What is gone, and the other of the two classes that a subscription without a row can be of.
  perform billing_ops.clear_drift(p_run_id, array(
    select jsonb_array_elements_text(p_cleared)
    union all
    select case v_outcomes[e.place] when 'organization_unknown' then 'missing_in_database:' else 'organization_unknown:' end
      || (e.item -> 'row' ->> 'stripe_subscription_id')
    from jsonb_array_elements(p_items) with ordinality e (item, place)
    where e.item ->> 'kind' = 'create'));

  return jsonb_build_object('outcome', 'applied', 'items', to_jsonb(coalesce(v_outcomes, '{}')), 'entries', v_entries);
exception when sqlstate 'BOFEN' then
  return jsonb_build_object('outcome', 'fenced');
end
$$;
comment on function public.apply_reconciliation_batch(uuid, integer, integer, jsonb, jsonb, jsonb, jsonb) is
  'Applies a batch of differences and their repairs in one transaction, fenced by run and attempt. Items are {kind,
  organization_id, row, action, findings}: kind update sets row''s fields on {row_id, row_version}; kind create inserts row for
  organization_id or, failing that, the organization that has the customer; kind none only records. p_cleared: keys of
  differences that were looked for and are gone. Answers {outcome: applied|fenced, items:
  [repaired|created|superseded|refused|organization_unknown|held|none, …], entries: [[drift_key, id, first_seen_at], …]}, the
  items in the order in which they came. The same batch sent again finds its own entries and changes nothing.';
