-- What the reconciler reads of subscriptions, and how it writes them: in batches, compare-and-set, fenced.

set local lock_timeout = '10s';

create function billing_ops.subscription_facts(p_row public.subscriptions)
returns json
language sql stable
set search_path = ''
as $$
  select pg_catalog.json_build_array(
    p_row.id,
    p_row.row_version,
    p_row.organization_id,
    p_row.stripe_subscription_id,
    p_row.stripe_customer_id,
    p_row.status,
    p_row.tier,
    p_row.stripe_price_id,
    p_row.quantity,
    extract(epoch from p_row.current_period_start)::bigint,
    extract(epoch from p_row.current_period_end)::bigint,
    p_row.cancel_at_period_end,
    extract(epoch from p_row.trial_end)::bigint,
    p_row.livemode,
    extract(epoch from p_row.stripe_created)::bigint,
    floor(extract(epoch from pg_catalog.clock_timestamp() - p_row.updated_at) * 1000)::bigint
  )
$$;
comment on function billing_ops.subscription_facts(public.subscriptions) is
  'A row as the reconciler compares it: an array in fixed order, times as Unix seconds like Stripe''s; last,
  the milliseconds since the row was written: what changed after Stripe was asked is newer than Stripe''s answer. Arrays, since the
  names of sixteen fields are most of the bytes of a hundred thousand rows.';
revoke all on function billing_ops.subscription_facts(public.subscriptions) from public, anon, authenticated;
grant execute on function billing_ops.subscription_facts(public.subscriptions) to service_role;

create function public.read_subscriptions_for_reconcile(
  p_stripe_ids jsonb,
  p_created_from timestamptz default null,
  p_created_to timestamptz default null,
  p_unexplained_limit integer default 1000
)
returns json
language sql stable
set search_path = ''
as $$
  with ids as materialized (
    select array(select pg_catalog.jsonb_array_elements_text(p_stripe_ids)) as wanted
  ),
  known as (
    select pg_catalog.json_agg(billing_ops.subscription_facts(s)) as rows
    from public.subscriptions s
    where s.stripe_subscription_id = any ((select wanted from ids)::text[])
  ),
  unexplained as materialized (
    select s.stripe_subscription_id, s.stripe_created, s.id
    from public.subscriptions s
    where s.stripe_subscription_id is not null
      and s.stripe_created >= p_created_from and s.stripe_created < p_created_to
      and not exists (
        select 1 from pg_catalog.jsonb_array_elements_text(p_stripe_ids) wanted(id)
        where wanted.id = s.stripe_subscription_id)
  )
  select pg_catalog.json_build_object(
    'rows', coalesce((select rows from known), '[]'::json),
    'open', coalesce((select pg_catalog.json_agg(pg_catalog.json_build_array(d.stripe_subscription_id, d.drift_key))
                      from public.drift d
                      where d.closed_at is null
                        and d.stripe_subscription_id = any ((select wanted from ids)::text[])), '[]'::json),
    'unexplained', coalesce((select pg_catalog.json_agg(first.stripe_subscription_id)
                             from (select u.stripe_subscription_id from unexplained u
                                   order by u.stripe_created, u.id limit p_unexplained_limit) first), '[]'::json),
    'unexplained_count', (select count(*) from unexplained)
  )
$$;
comment on function public.read_subscriptions_for_reconcile(jsonb, timestamptz, timestamptz, integer) is
  'Answers {rows, open, unexplained, unexplained_count}: the facts of the rows with the given Stripe ids; the differences that
  stand of these, as [stripe_subscription_id, drift_key]; and the Stripe ids of rows created in [from, to) that are not among them (at most p_unexplained_limit; the count is of all).';
revoke all on function public.read_subscriptions_for_reconcile(jsonb, timestamptz, timestamptz, integer)
  from public, anon, authenticated;
grant execute on function public.read_subscriptions_for_reconcile(jsonb, timestamptz, timestamptz, integer) to service_role;

create function public.read_unplaced_subscriptions(p_after uuid default null, p_limit integer default 1000)
returns json
language sql stable
set search_path = ''
as $$
  select pg_catalog.json_build_object('rows', coalesce(pg_catalog.json_agg(
    pg_catalog.json_build_array(page.id, page.stripe_subscription_id)), '[]'::json))
  from (
    select s.id, s.stripe_subscription_id from public.subscriptions s
    where s.stripe_created is null and s.stripe_subscription_id is not null
      and s.id > coalesce(p_after, '00000000-0000-0000-0000-000000000000')
    order by s.id limit p_limit
  ) page
$$;
comment on function public.read_unplaced_subscriptions(uuid, integer) is
  'Answers {rows: [[id, stripe_subscription_id]]}: rows whose creation in Stripe is not known, by pages. A scan fills it in for
  every subscription that it sees, so what is left after a scan was not in Stripe''s list.';
revoke all on function public.read_unplaced_subscriptions(uuid, integer) from public, anon, authenticated;
grant execute on function public.read_unplaced_subscriptions(uuid, integer) to service_role;

create function public.read_duplicate_live_subscriptions(p_after uuid default null, p_limit integer default 100)
returns json
language sql stable
set search_path = ''
as $$
  select pg_catalog.json_build_object('rows', coalesce(pg_catalog.json_agg(
    pg_catalog.json_build_array(page.organization_id, page.ids)), '[]'::json))
  from (
    select s.organization_id,
           pg_catalog.json_agg(s.stripe_subscription_id order by s.stripe_subscription_id) as ids
    from public.subscriptions s
    where s.status in ('trialing', 'active', 'past_due', 'unpaid', 'paused') and s.stripe_subscription_id is not null
      and s.organization_id in (
        select d.organization_id from public.subscriptions d
        where d.status in ('trialing', 'active', 'past_due', 'unpaid', 'paused') and d.stripe_subscription_id is not null
          and (p_after is null or d.organization_id > p_after)
        group by d.organization_id having count(*) > 1
        order by d.organization_id limit p_limit)
    group by s.organization_id
    order by s.organization_id
  ) page
$$;
comment on function public.read_duplicate_live_subscriptions(uuid, integer) is
  'Answers {rows: [[organization_id, [stripe_subscription_id, …]]]}: organizations with more than one live
  subscription in Stripe. A plan that Stripe does not know is none of them.';
revoke all on function public.read_duplicate_live_subscriptions(uuid, integer) from public, anon, authenticated;
grant execute on function public.read_duplicate_live_subscriptions(uuid, integer) to service_role;

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
revoke all on function billing_ops.insert_subscriptions(jsonb) from public, anon, authenticated;
grant execute on function billing_ops.insert_subscriptions(jsonb) to service_role;

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
revoke all on function billing_ops.update_subscriptions(jsonb) from public, anon, authenticated;
grant execute on function billing_ops.update_subscriptions(jsonb) to service_role;

create function billing_ops.ends_drift(p_action text)
returns boolean
language sql immutable
set search_path = ''
as $$
  select p_action in ('repaired', 'created', 'moved', 'cleared', 'reverted')
$$;
comment on function billing_ops.ends_drift(text) is 'Whether a difference is gone after this action.';
revoke all on function billing_ops.ends_drift(text)
  from public, anon, authenticated;
grant execute on function billing_ops.ends_drift(text) to service_role;

create function billing_ops.record_drift(p_run_id uuid, p_found jsonb)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_now timestamptz := clock_timestamp();
  v_entries jsonb;
begin
  with found as materialized (
    -- A batch may name one difference twice, as where an object that cannot be read has no id: the last word counts.
    select distinct on (f.drift_key) f.*,
      case when billing_ops.ends_drift(f.action) then v_now end as closed_at,
      case when billing_ops.ends_drift(f.action) then p_run_id end as closed_run_id
    from rows from (jsonb_to_recordset(p_found) as (
      drift_key text, type text, severity text, owner text, stripe_subscription_id text, stripe_customer_id text,
      livemode boolean, issue text, details jsonb, lowers_access boolean, action text, reason text)) with ordinality f
    -- What this run has ended so already came with the same batch, sent before its answer was lost.
    where not exists (
      select 1 from public.drift d
      where d.closed_run_id = p_run_id and d.drift_key = f.drift_key and d.action = f.action)
    order by f.drift_key, f.ordinality desc
  ),
  before as materialized (
    select d.id, d.drift_key, d.action, d.reason from public.drift d join found f on f.drift_key = d.drift_key
    where d.closed_at is null
  ),
  again as (
    update public.drift d
    set severity = f.severity, owner = f.owner, stripe_customer_id = f.stripe_customer_id, livemode = f.livemode,
        issue = f.issue, details = coalesce(f.details, '{}'), lowers_access = coalesce(f.lowers_access, false),
        action = f.action, reason = f.reason, last_seen_at = v_now, last_run_id = p_run_id,
        seen_count = d.seen_count + (d.last_run_id <> p_run_id)::integer,
        closed_at = f.closed_at, closed_run_id = f.closed_run_id
    from found f join before b on b.drift_key = f.drift_key
    where d.id = b.id and d.closed_at is null
    returning d.id, d.drift_key, d.action, d.reason, d.first_seen_at, b.action as action_before, b.reason as reason_before
  ),
  new as (
    insert into public.drift as d
      (drift_key, type, severity, owner, stripe_subscription_id, stripe_customer_id, livemode, issue, details,
       lowers_access, action, reason, first_seen_at, last_seen_at, first_run_id, last_run_id, closed_at, closed_run_id)
    select f.drift_key, f.type, f.severity, f.owner, f.stripe_subscription_id, f.stripe_customer_id, f.livemode, f.issue,
      coalesce(f.details, '{}'), coalesce(f.lowers_access, false), f.action, f.reason, v_now, v_now, p_run_id, p_run_id,
      f.closed_at, f.closed_run_id
    from found f
    where not exists (select 1 from before b where b.drift_key = f.drift_key)
    -- Another writer opened it between the two statements: theirs stands, and this run has seen it.
    on conflict (drift_key) where closed_at is null do update
      set last_seen_at = excluded.last_seen_at, last_run_id = excluded.last_run_id, action = excluded.action,
          reason = excluded.reason
    returning d.id, d.drift_key, d.action, d.reason, d.first_seen_at
  ),
  history as (
    insert into public.drift_events (drift_id, event, run_id, note)
    select n.id, n.action, p_run_id, n.reason from new n
    union all
    select a.id, a.action, p_run_id, a.reason from again a
    where (a.action, a.reason) is distinct from (a.action_before, a.reason_before)
  )
  select jsonb_agg(jsonb_build_array(e.drift_key, e.id, billing_ops.utc(e.first_seen_at))) into v_entries
  from (
    select id, drift_key, first_seen_at from new
    union all
    select id, drift_key, first_seen_at from again
    union all
    select d.id, d.drift_key, d.first_seen_at from public.drift d
    where d.closed_run_id = p_run_id
      and d.drift_key in (select f.drift_key from jsonb_to_recordset(p_found) as f (drift_key text))
  ) e;
  return coalesce(v_entries, '[]');
end
$$;
comment on function billing_ops.record_drift(uuid, jsonb) is
  'Opens entries for differences that are new, notes that a run has seen the others again, and closes those whose action ends
  them. Answers [[drift_key, id, first_seen_at], …]. History gets an event where an entry is new or its action changes.';
revoke all on function billing_ops.record_drift(uuid, jsonb)
  from public, anon, authenticated;
grant execute on function billing_ops.record_drift(uuid, jsonb) to service_role;

create function billing_ops.clear_drift(p_run_id uuid, p_keys text[])
returns void
language sql
set search_path = ''
as $$
  with cleared as (
    update public.drift
    set action = 'cleared', reason = null, closed_at = pg_catalog.clock_timestamp(), closed_run_id = p_run_id
    where drift_key = any (p_keys) and closed_at is null
    returning id
  )
  insert into public.drift_events (drift_id, event, run_id) select c.id, 'cleared', p_run_id from cleared c
$$;
comment on function billing_ops.clear_drift(uuid, text[]) is
  'Closes entries whose subject a run has looked at without seeing the difference any more.';
revoke all on function billing_ops.clear_drift(uuid, text[])
  from public, anon, authenticated;
grant execute on function billing_ops.clear_drift(uuid, text[]) to service_role;

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
revoke all on function public.apply_reconciliation_batch(uuid, integer, integer, jsonb, jsonb, jsonb, jsonb)
  from public, anon, authenticated;
grant execute on function public.apply_reconciliation_batch(uuid, integer, integer, jsonb, jsonb, jsonb, jsonb) to service_role;
