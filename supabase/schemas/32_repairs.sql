-- How a run writes (in batches, fenced), and a person who decides (without a lease, 33_decisions). What happens to the rows is the adapter's
-- business (23_adapter_writes): compare-and-set, so that a row that was written since it was read is left alone, and one by one where the
-- table refuses a batch.

create function billing_ops.row_said(p_row json)
returns jsonb
language sql immutable
set search_path = ''
as $$
  select pg_catalog.jsonb_build_object('stripe_subscription_id', p_row -> 3, 'customer', p_row -> 4, 'status', p_row -> 5, 'tier', p_row -> 6,
    'price', p_row -> 7, 'quantity', p_row -> 8, 'period_start', p_row -> 9, 'period_end', p_row -> 10,
    'cancel_at_period_end', p_row -> 11, 'trial_end', p_row -> 12)
$$;
comment on function billing_ops.row_said(json) is 'A row, as the adapter reads it, by the mapping''s words.';

create function billing_ops.write_items(p_items jsonb, p_outcomes text[], p_reasons text[], p_owners text[])
returns table (outcomes text[], reasons text[], owners text[], written jsonb)
language plpgsql rows 1
set search_path = ''
as $$
declare
  -- By the item's place, from 1: what became of it, why, and whose a new row is.
  v_outcomes text[] := p_outcomes;
  v_reasons text[] := p_reasons;
  v_owners text[] := p_owners;
  v_owners_known boolean;
  v_named text[];
  v_customers text[];
  v_mapping jsonb;
  -- By the place of a creation that goes into the row its owner has already: what adapter_update is given for it, and what the row was.
  v_moves jsonb := '{}'::jsonb;
  v_was jsonb := '{}'::jsonb;
  v_blank jsonb := '{}'::jsonb;
  v_changed jsonb;
  v_written jsonb := '{}'::jsonb;
begin
  -- The owner of a new row: whom the subscription's own metadata name; else who has the customer; else whom its checkout's metadata name.
  -- Where these contradict each other, a person decides. A client_reference_id, which whoever pays can set, is never more than a proposal.
  select array_agg(distinct n.value) filter (where n.value is not null), array_agg(distinct e."row" ->> 'customer')
  into v_named, v_customers
  from jsonb_to_recordset(p_items) as e (kind text, named jsonb, "row" jsonb)
  left join lateral jsonb_each_text(e.named) n on true
  where e.kind = 'create';
  if v_customers is not null then
    select a.mapping #> '{owner,table}' is not null into v_owners_known from billing_ops.adoption a;
    with holders as materialized (
      select h.customer, h.owner from billing_ops.adapter_customers(v_customers) h
    ),
    asked as (
      select v_named || array(select h.owner from holders h where h.owner is not null) as owners
    ),
    -- The owner of the row with that customer may be gone, too, where no foreign key deletes the row with its owner.
    existing as materialized (
      select o as owner from asked a cross join lateral billing_ops.adapter_owners(a.owners) o
      union
      -- Without a table of owners nobody can say that one is not there: what the app's own server wrote down counts.
      select o from asked a cross join lateral unnest(a.owners) o where not v_owners_known
    )
    select array_agg(case when v_outcomes[e.place] is null then coalesce(trusted.owner, payer.owner) else v_owners[e.place] end order by e.place),
      array_agg(coalesce(v_outcomes[e.place], judged.outcome) order by e.place),
      array_agg(case when v_outcomes[e.place] is null and judged.outcome = 'waiting'
        then 'none yet: only the checkout''s client_reference_id names the owner, and whoever pays can set it'
        else v_reasons[e.place] end order by e.place)
    into v_owners, v_outcomes, v_reasons
    from rows from (jsonb_to_recordset(p_items) as (kind text, named jsonb, "row" jsonb, owner text))
      with ordinality e (kind, named, "row", owner, place)
    left join existing metadata on e.kind = 'create' and metadata.owner = e.named ->> 'metadata'
    left join existing checkout on e.kind = 'create' and checkout.owner = e.named ->> 'checkout'
    left join existing payer on e.kind = 'create' and payer.owner = e.named ->> 'client_reference_id'
    left join (holders h join existing holder on holder.owner = h.owner) on e.kind = 'create' and h.customer = e."row" ->> 'customer'
    cross join lateral (select coalesce(metadata.owner, holder.owner, checkout.owner) as owner) trusted
    cross join lateral (select case
      when e.kind <> 'create' then null
      -- The owner whom it names is gone: nobody else gets it.
      when e.named ->> 'metadata' is not null and metadata.owner is null then 'organization_unknown'
      when (select count(distinct o) from unnest(array[metadata.owner, holder.owner, checkout.owner]) o) > 1 then 'organization_mismatch'
      -- Not the owner who was shown to the person who decided.
      when e.owner <> trusted.owner then 'organization_mismatch'
      when trusted.owner is not null then null
      when payer.owner is not null then 'waiting'
      else 'organization_unknown' end as outcome) judged;
  end if;

  select a.mapping into v_mapping from billing_ops.adoption a;
  -- What a row that is given another subscription must not keep from the one before, where Stripe says nothing about it.
  if (v_mapping #>> '{owner,one_row_each}')::boolean then
    select coalesce(jsonb_object_agg(m.word, null), '{}') into v_blank
    from billing_ops.mapped_columns(v_mapping) m
    cross join lateral billing_ops.column_facts(m.relation, m.attribute) f
    where m.word in ('price', 'quantity', 'trial_end') and not f.required;
    -- Nor is it lost: whoever takes the move back gets it again.
    select coalesce(jsonb_object_agg(e.place, billing_ops.row_said(r.said)), '{}') into v_was
    from jsonb_array_elements(p_items) with ordinality e (item, place)
    join billing_ops.adapter_read(array(
      select i.item #>> '{was,stripe_subscription_id}' from jsonb_array_elements(p_items) i (item)
      where i.item ->> 'kind' = 'update' and i.item -> 'row' ? 'stripe_subscription_id'), null) r (said) on r.said ->> 0 = e.item #>> '{row,key}'
    where e.item -> 'row' ? 'stripe_subscription_id';
  end if;
  -- Existing rows come first: one that has just been found to be dead gives way to the subscription that its owner has now.
  with changed as (
    select u.* from (
      select jsonb_agg(case when e.item -> 'row' ? 'stripe_subscription_id' then v_blank else '{}' end || (e.item -> 'row')) as rows
      from jsonb_array_elements(p_items) with ordinality e (item, place)
      where e.item ->> 'kind' = 'update' and v_outcomes[e.place] is null
    -- What is only put on record needs no table.
    ) given cross join lateral billing_ops.adapter_update(given.rows) u where given.rows is not null
  )
  select
    array_agg(coalesce(v_outcomes[e.place], case when e.moves and changed.outcome = 'repaired' then 'moved' else changed.outcome end)
      order by e.place),
    array_agg(coalesce(v_reasons[e.place], changed.reason) order by e.place)
  into v_outcomes, v_reasons
  from (
    -- A row that is given another Stripe id is moved.
    select e.item ->> 'kind' as kind, e.item -> 'row' ->> 'key' as key, e.item -> 'row' ? 'stripe_subscription_id' as moves, e.place
    from jsonb_array_elements(p_items) with ordinality e (item, place)
  ) e
  left join changed on e.kind = 'update' and changed.key = e.key;

  -- Where each owner has one row, that is pointed at the live subscription if it has no Stripe id, or if its status gives way to that
  -- one; otherwise it is in the way, and which of the two counts is not known until both have been read afresh from Stripe.
  if (v_mapping #>> '{owner,one_row_each}')::boolean and v_customers is not null then
    with given as (
      select e.item, e.place, v_owners[e.place] as owner,
        -- Of two for one owner in a batch, the one to which more statuses give way goes first.
        row_number() over (partition by v_owners[e.place] order by jsonb_array_length(e.item -> 'gives_way') desc, e.place) as rank
      from jsonb_array_elements(p_items) with ordinality e (item, place)
      where e.item ->> 'kind' = 'create' and v_outcomes[e.place] is null
    ),
    there as materialized (
      select r.said ->> 0 as key, r.said ->> 1 as version, r.said ->> 2 as owner, r.said ->> 3 as id, r.said ->> 5 as status,
        billing_ops.row_said(r.said) as was
      from billing_ops.adapter_rows_of_owners(array(select g.owner from given g), null) r (said)
    ),
    judged as (
      select g.place, g.item, t.key, t.version,
        case
          when t.id = g.item -> 'row' ->> 'stripe_subscription_id' then 'superseded'
          when t.key is null and g.rank > 1 then 'occupied'
          when t.key is null then null
          when g.rank > 1 or not (t.id is null or coalesce(g.item -> 'gives_way' ? t.status, false)) then 'occupied'
        end as outcome, t.id, t.was
      from given g left join there t on t.owner = g.owner
    ),
    -- By place: an owner may have more rows than the mapping says.
    each as (
      select j.place, min(j.outcome) as outcome, (array_agg(j.id order by j.outcome nulls last))[1] as id,
        (array_agg(v_blank || jsonb_build_object('key', j.key, 'version', j.version) || (j.item -> 'row') order by j.key))[1] as move,
        (array_agg(j.was order by j.key))[1] as was,
        bool_and(j.key is not null) as moves, bool_or(j.item ? 'postponed' or j.item ? 'action') as waits
      from judged j group by j.place
    )
    select
      array_agg(coalesce(v_outcomes[o.place], each.outcome) order by o.place),
      array_agg(case when each.outcome = 'occupied' then each.id else v_reasons[o.place] end order by o.place),
      coalesce(jsonb_object_agg(o.place, each.move) filter (where each.outcome is null and each.moves and not each.waits), '{}'),
      v_was || coalesce(jsonb_object_agg(o.place, each.was) filter (where each.outcome is null and each.moves and not each.waits), '{}')
    into v_outcomes, v_reasons, v_moves, v_was
    from generate_series(1, jsonb_array_length(p_items)) o (place)
    left join each on each.place = o.place;
    if v_moves <> '{}' then
      select
        array_agg(case when m.key is null then v_outcomes[o.place] when u.outcome = 'repaired' then 'moved' else u.outcome end order by o.place),
        array_agg(case when m.key is null then v_reasons[o.place] else u.reason end order by o.place)
      into v_outcomes, v_reasons
      from generate_series(1, jsonb_array_length(p_items)) o (place)
      left join jsonb_each(v_moves) m on m.key = o.place::text
      left join billing_ops.adapter_update(array_to_json(array(select e.value from jsonb_each(v_moves) e))::jsonb) u
        on u.key = m.value ->> 'key';
    end if;
  end if;

  -- The sorting is the adapter's: rows are locked in one order.
  with created as (
    select i.* from (
      select jsonb_agg(e.item -> 'row' || jsonb_build_object('owner', v_owners[e.place])) as rows
      from jsonb_array_elements(p_items) with ordinality e (item, place)
      where e.item ->> 'kind' = 'create' and not e.item ? 'action' and not e.item ? 'postponed' and v_outcomes[e.place] is null
        and v_mapping ->> 'writes' = 'update_and_insert'
    ) given cross join lateral billing_ops.adapter_insert(given.rows) i where given.rows is not null
  )
  select
    array_agg(coalesce(v_outcomes[e.place], created.outcome,
      case when e.kind = 'create' and e.action is null then case when e.postponed then 'postponed' else 'observed' end end,
      e.action, 'none') order by e.place),
    array_agg(coalesce(v_reasons[e.place], created.reason,
      case when e.kind = 'create' and v_outcomes[e.place] is null and created.outcome is null and e.action is null and e.postponed is null
        then 'none: the mapping says that no row is inserted' end) order by e.place)
  into v_outcomes, v_reasons
  from rows from (jsonb_to_recordset(p_items) as (kind text, "row" jsonb, action text, postponed boolean))
    with ordinality e (kind, "row", action, postponed, place)
  left join created on e.kind = 'create' and created.stripe_subscription_id = e."row" ->> 'stripe_subscription_id';

  -- Which row each repair has written, in which version it left the row, and what the row said before.
  select jsonb_object_agg(e.place, jsonb_build_object('key', coalesce(v_moves -> e.place::text, e.item -> 'row') -> 'key',
    'was', coalesce(v_was -> e.place::text, e.item -> 'was', '{}'), 'blank', v_blank))
  into v_changed
  from jsonb_array_elements(p_items) with ordinality e (item, place)
  where v_outcomes[e.place] in ('repaired', 'moved') and p_outcomes[e.place] is null and e.item -> 'findings' <> '[]';
  if v_changed is not null then
    select jsonb_object_agg(c.place, c.said || jsonb_build_object('version', v.version)) into v_written
    from jsonb_each(v_changed) c (place, said)
    join billing_ops.adapter_versions(array(select k.said ->> 'key' from jsonb_each(v_changed) k (place, said))) v on v.key = c.said ->> 'key';
  end if;
  return query select v_outcomes, v_reasons, v_owners, v_written;
end
$$;
comment on function billing_ops.write_items(jsonb, text[], text[], text[]) is
  'Finds out whose new rows are, and writes what is to be written of a batch''s items (apply_reconciliation_batch); owner of an item: a
  new row that would belong to anyone else is not made. Items that have an outcome already are left alone. Answers by place: what became of each,
  why, whose it is; and of rows that were changed {place: {key, version, was, blank}}; blank: what a moved row does not keep, where Stripe
  says nothing about it.';

create function billing_ops.recorded(p_finding jsonb, p_outcome text, p_reason text, p_owner text, p_creates boolean, p_written jsonb)
returns jsonb
language sql stable
set search_path = ''
as $$
  select p_finding
    || pg_catalog.jsonb_build_object('action', p_outcome, 'owner', coalesce(p_owner, p_finding ->> 'owner'))
    || case when p_reason is null then '{}'::jsonb else pg_catalog.jsonb_build_object('reason', p_reason) end
    || case when billing_ops.ends_drift(p_outcome) then '{"severity": "info", "proposal": null}' else '{}'::jsonb end
    -- Somebody pays and has nothing, and it stays so until a person looks at the table.
    || case when p_outcome = 'refused' and p_creates then '{"severity": "critical"}' else '{}'::jsonb end
    || case when p_written is null then '{}'::jsonb else pg_catalog.jsonb_build_object(
      'row_key', p_written ->> 'key', 'row_version', p_written ->> 'version', 'before', (
        select pg_catalog.jsonb_object_agg(w.word, w.said) from pg_catalog.jsonb_each(p_written -> 'was') w (word, said)
        where p_finding -> 'sets' ? w.word or (p_outcome = 'moved'
          and (w.word in ('stripe_subscription_id', 'customer') or p_written -> 'blank' ? w.word)))) end
    -- Before it was moved, the row spoke of another subscription.
    || case when p_written is null or p_outcome <> 'moved' then '{}'::jsonb else pg_catalog.jsonb_build_object('details', (
      select pg_catalog.jsonb_object_agg(m.attribute, pg_catalog.jsonb_build_object('database', p_written -> 'was' -> m.word, 'stripe',
        case m.word when 'stripe_subscription_id' then p_finding -> 'stripe_subscription_id' when 'customer' then p_finding -> 'stripe_customer_id'
          else p_finding -> 'proposal' -> m.attribute end))
      from billing_ops.adoption a cross join lateral billing_ops.mapped_columns(a.mapping) m
      where p_written -> 'was' ? m.word
        and (p_finding -> 'proposal' ? m.attribute or m.word in ('stripe_subscription_id', 'customer')
          or (p_written -> 'blank' ? m.word and p_written -> 'was' -> m.word <> 'null')))) end
$$;
comment on function billing_ops.recorded(jsonb, text, text, text, boolean, jsonb) is
  'A finding as record_drift takes it, with what became of its item; p_written: the row that was changed, as write_items answers it.';

create function public.apply_reconciliation_batch(
  p_run_id uuid,
  p_attempt integer,
  p_lease_seconds integer,
  p_items jsonb,
  p_cleared jsonb default null,
  p_cursor jsonb default null,
  p_counts jsonb default null,
  p_looked_up jsonb default null
)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  -- By the item's place, from 1: what became of it, why, and whose a new row is.
  v_outcomes text[];
  v_reasons text[];
  v_owners text[];
  v_written jsonb;
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

  -- A difference that this run has recorded already was applied by the same batch, sent before its answer was lost. Only the reason of a
  -- refusal, or of what waits, is the item's; any other belongs to the one difference that it came with.
  select array_agg(coalesce(unknown.type, done.action) order by e.place),
    array_agg(case when done.action in ('refused', 'waiting') then done.reason end order by e.place),
    array_agg(case when e.kind = 'create' then done.owner end order by e.place)
  into v_outcomes, v_reasons, v_owners
  from rows from (jsonb_to_recordset(p_items) as (kind text, "row" jsonb, findings jsonb)) with ordinality e (kind, "row", findings, place)
  left join lateral (
    select d.action, d.reason, d.owner from public.drift d
    where d.drift_key = e.findings -> 0 ->> 'drift_key' and d.closed_run_id = p_run_id and d.action <> 'cleared'
    union all
    select d.action, d.reason, d.owner from public.drift d
    where d.drift_key = e.findings -> 0 ->> 'drift_key' and d.closed_at is null and d.last_run_id = p_run_id
    limit 1
  ) done on true
  left join public.drift unknown
    on e.kind = 'create' and unknown.closed_at is null and unknown.last_run_id = p_run_id
    and unknown.drift_key in ('organization_unknown:' || (e."row" ->> 'stripe_subscription_id'),
                              'organization_mismatch:' || (e."row" ->> 'stripe_subscription_id'));

  -- A person may have decided since the run read what stands: then the run's word does not count any more.
  select array_agg(coalesce(v_outcomes[e.place], case when decided.otherwise then 'superseded' end) order by e.place),
    array_agg(coalesce(v_reasons[e.place],
      case when v_outcomes[e.place] is null and decided.otherwise then 'left alone: a person decided about it while the run looked' end) order by e.place)
  into v_outcomes, v_reasons
  from jsonb_array_elements(p_items) with ordinality e (item, place)
  cross join lateral (select e.item ->> 'kind' <> 'none' and not e.item ? 'action' and (exists (
    select 1 from jsonb_array_elements(e.item -> 'findings') f
    where billing_ops.policy_mode(f ->> 'type') <> 'auto' or exists (
      select 1 from public.drift d
      where d.drift_key = f ->> 'drift_key' and d.closed_at is null and d.excepted_until > clock_timestamp()))
    -- What is refreshed without being drift has a class as well: the one that a difference in it would be of.
    or (e.item ->> 'kind' = 'update' and not e.item -> 'row' ? 'stripe_subscription_id' and exists (
      select 1 from jsonb_object_keys(e.item -> 'row') w
      where billing_ops.policy_mode(case when w in ('period_start', 'period_end') then 'period' else w end || '_mismatch') <> 'auto'))
    ) as otherwise) decided;

  select w.outcomes, w.reasons, w.owners, w.written into v_outcomes, v_reasons, v_owners, v_written
  from billing_ops.write_items(p_items, v_outcomes, v_reasons, v_owners) w;

  -- From here to the commit the run is ours. If it has been taken over meanwhile, all of the above is undone.
  if not billing_ops.hold_run(p_run_id, p_attempt, p_lease_seconds, p_cursor, p_counts) then
    raise exception 'the attempt was given up for dead' using errcode = 'BOFEN';
  end if;

  -- What Stripe said of a checkout is remembered for good: a subscription has one, and it does not change.
  update billing_ops.subscription_marks m
  set owner = l.said ->> 1, owner_source = l.said ->> 2, looked_up_at = clock_timestamp()
  from jsonb_array_elements(p_looked_up) l (said)
  where m.stripe_subscription_id = l.said ->> 0;

  -- A subscription whose owner turns out to be unknown is a difference of a class other than the one that was sent.
  select jsonb_agg(case
      when v_outcomes[e.place] in ('organization_unknown', 'organization_mismatch') then f.finding || jsonb_build_object(
        'type', v_outcomes[e.place], 'action', 'none', 'proposal', null,
        'severity', case v_outcomes[e.place] when 'organization_unknown' then 'warning' else 'critical' end,
        'drift_key', v_outcomes[e.place] || ':' || (f.finding ->> 'stripe_subscription_id'))
      else billing_ops.recorded(f.finding, v_outcomes[e.place], v_reasons[e.place], v_owners[e.place], e.item ->> 'kind' = 'create',
        v_written -> e.place::text)
      end order by e.place, f.place)
  into v_entries
  from jsonb_array_elements(p_items) with ordinality e (item, place),
    jsonb_array_elements(e.item -> 'findings') with ordinality f (finding, place)
  -- What is not decided yet is not recorded yet.
  where v_outcomes[e.place] not in ('postponed', 'occupied');
  v_entries := billing_ops.record_drift(p_run_id, coalesce(v_entries, '[]'));
  -- What is gone, and the other two of the three classes that a subscription without a row can be of.
  perform billing_ops.clear_drift(p_run_id, array(
    select jsonb_array_elements_text(p_cleared)
    union all
    select c.class || ':' || (e.item -> 'row' ->> 'stripe_subscription_id')
    from jsonb_array_elements(p_items) with ordinality e (item, place),
      unnest(array['missing_in_database', 'organization_unknown', 'organization_mismatch']) c (class)
    where e.item ->> 'kind' = 'create' and v_outcomes[e.place] not in ('postponed', 'occupied')
      and c.class <> case when v_outcomes[e.place] in ('organization_unknown', 'organization_mismatch') then v_outcomes[e.place]
        else 'missing_in_database' end));

  return jsonb_build_object('outcome', 'applied', 'entries', v_entries, 'items', (
    select coalesce(jsonb_agg(jsonb_build_array(i.outcome, i.reason) order by i.place), '[]')
    from unnest(v_outcomes, v_reasons) with ordinality i (outcome, reason, place)));
exception when sqlstate 'BOFEN' then
  return jsonb_build_object('outcome', 'fenced');
end
$$;
comment on function public.apply_reconciliation_batch(uuid, integer, integer, jsonb, jsonb, jsonb, jsonb, jsonb) is
  'Applies a batch of differences and their repairs in one transaction, fenced by run and attempt. Items are {kind, named, row, action,
  postponed, gives_way, findings}: kind update sets row''s fields on {key, version}; kind create inserts row for the owner whom named ({metadata,
  checkout, client_reference_id}) or the customer tells, or points the owner''s one row at it, if that row has no Stripe id or has a status in
  gives_way; with an action it only finds out who the owner is, and if postponed it does not even record that; kind none only records, under
  action. p_cleared: keys of differences that were looked for and are gone. p_looked_up: [[stripe_subscription_id, owner, source], …],
  what Stripe said of checkouts. Answers {outcome: applied|fenced, items: [[repaired|created|moved|superseded|refused|organization_unknown|
  organization_mismatch|waiting|held|none|postponed|occupied…, reason], …], entries: [[drift_key, id, first_seen_at, action], …]}, the
  items in the order in which they came. The same batch sent again finds its own entries and changes nothing.';

create function public.take_drift_allowances(p_run_id uuid, p_attempt integer)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_run public.reconciliation_logs;
  v_allowed jsonb;
begin
  select * into v_run from public.reconciliation_logs where id = p_run_id and attempt = p_attempt and status = 'running' for share;
  if not found then
    return jsonb_build_object('outcome', 'fenced');
  end if;
  with taken as (
    update public.drift_policies p set allowed_run = p_run_id
    where p.allowed_until > v_run.started_at and (p.allowed_run is null or p.allowed_run = p_run_id)
    returning p.type, p.allowed_count
  )
  select coalesce(jsonb_object_agg(t.type, t.allowed_count), '{}') into v_allowed from taken t;
  return jsonb_build_object('outcome', 'taken', 'allowed', v_allowed);
end
$$;
comment on function public.take_drift_allowances(uuid, integer) is
  'What people have allowed a run to write in spite of the circuit breaker: {outcome: taken|fenced, allowed: {class: number}}. The first run
  that asks gets it, however often it asks; no other does.';
