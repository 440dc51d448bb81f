-- What a person decides about single differences: approve, revert, except. Called with the service key once the person is known to be an
-- admin, as the ceiling (REPAIR_MODE) is a setting of the functions and no session may get past it. Rows are written before entries are
-- locked, in the same order as in a run, so that the two cannot wait for one another.

create function public.apply_drift_decisions(p_actor uuid, p_items jsonb, p_gone jsonb default '[]', p_changed jsonb default '[]')
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_outcomes text[];
  v_reasons text[];
  v_owners text[];
  v_written jsonb;
  v_open uuid[];
  v_found jsonb;
begin
  -- The same row must not be made twice, where no unique index of the table prevents that.
  perform pg_advisory_xact_lock(hashtextextended('billing_ops.decide:' || s.id, 0))
  from (
    select e.item #>> '{row,stripe_subscription_id}' as id from jsonb_array_elements(p_items) e (item)
    where e.item ->> 'kind' = 'create' order by 1
  ) s;
  -- What has been closed meanwhile is not written any more, nor is anything that somebody else has decided otherwise.
  select array_agg(case when d.id is null or d.excepted_until > clock_timestamp() or billing_ops.policy_mode(d.type) = 'observe'
      then 'closed' end order by e.place), array_agg(null::text), array_agg(null::text)
  into v_outcomes, v_reasons, v_owners
  from jsonb_array_elements(p_items) with ordinality e (item, place)
  left join public.drift d on d.id = (e.item ->> 'id')::uuid and d.closed_at is null;
  select w.outcomes, w.reasons, w.owners, w.written into v_outcomes, v_reasons, v_owners, v_written
  from billing_ops.write_items(p_items, v_outcomes, v_reasons, v_owners) w;

  -- A run locks entries in another order. One that it is just writing counts as closed: if we waited, the two could wait for one another.
  v_open := array(
    select d.id from public.drift d
    where d.closed_at is null and d.id in (
      select (e.item ->> 'id')::uuid from jsonb_array_elements(p_items) e (item)
      union all select g::uuid from jsonb_array_elements_text(p_gone) g
      union all select (c ->> 'id')::uuid from jsonb_array_elements(p_changed) c)
    for update skip locked);
  -- There must be no write that no entry records.
  if exists (
    select 1 from jsonb_array_elements(p_items) with ordinality e (item, place)
    where billing_ops.ends_drift(v_outcomes[e.place]) and (e.item ->> 'id')::uuid <> all (v_open))
  then
    raise exception 'an entry was closed by somebody else' using errcode = 'BOFEN';
  end if;

  select jsonb_agg(billing_ops.recorded(e.item #> '{findings,0}', v_outcomes[e.place], v_reasons[e.place], v_owners[e.place],
    e.item ->> 'kind' = 'create', v_written -> e.place::text) order by e.place)
  into v_found
  from jsonb_array_elements(p_items) with ordinality e (item, place)
  where v_outcomes[e.place] in ('repaired', 'created', 'moved', 'superseded', 'refused') and (e.item ->> 'id')::uuid = any (v_open);
  perform billing_ops.record_drift(null, coalesce(v_found, '[]'), p_actor);

  with gone as (
    update public.drift d set action = 'cleared', reason = null, proposal = null, closed_at = clock_timestamp()
    where d.id = any (v_open) and d.id in (select g::uuid from jsonb_array_elements_text(p_gone) g)
    returning d.id
  )
  insert into public.drift_events (drift_id, event, actor) select g.id, 'cleared', p_actor from gone g;
  -- What was shown is no longer what would be done: the entry now shows what is, for the next decision.
  update public.drift d
  set issue = c.finding ->> 'issue', details = c.finding -> 'details', proposal = c.finding -> 'proposal',
    lowers_access = (c.finding ->> 'lowers_access')::boolean, owner = coalesce(c.finding ->> 'owner', d.owner),
    stripe_customer_id = c.finding ->> 'stripe_customer_id', severity = c.finding ->> 'severity', last_seen_at = clock_timestamp()
  from jsonb_to_recordset(p_changed) as c (id uuid, finding jsonb)
  where d.id = c.id and d.id = any (v_open);
  update public.drift d set decided_by = p_actor, decided_at = clock_timestamp()
  where d.id in (
    select (e.item ->> 'id')::uuid from jsonb_array_elements(p_items) with ordinality e (item, place)
    where v_outcomes[e.place] in ('repaired', 'created', 'moved', 'superseded', 'refused')
    union all select g::uuid from jsonb_array_elements_text(p_gone) g)
    and d.id = any (v_open);

  return jsonb_build_object('outcome', 'applied',
    'items', (select coalesce(jsonb_agg(jsonb_build_array(i.outcome, i.reason) order by i.place), '[]')
      from unnest(v_outcomes, v_reasons) with ordinality i (outcome, reason, place)),
    'drift', (select coalesce(jsonb_agg(billing_ops.drift_json(d)), '[]') from public.drift d
      where d.id in (
        select (e.item ->> 'id')::uuid from jsonb_array_elements(p_items) e (item)
        union all select g::uuid from jsonb_array_elements_text(p_gone) g
        union all select (c ->> 'id')::uuid from jsonb_array_elements(p_changed) c)));
exception when sqlstate 'BOFEN' then
  return jsonb_build_object('outcome', 'conflict');
end
$$;
comment on function public.apply_drift_decisions(uuid, jsonb, jsonb, jsonb) is
  'Applies what a person has approved. p_items: items as apply_reconciliation_batch takes them, with the id of the entry that each is about,
  one finding each, and for a new row the owner who was shown. p_gone: ids of entries whose difference is not there any more. p_changed:
  [{id, finding}], what would be done now where that is not what was shown. Answers {outcome: applied|conflict, items: [[repaired|created|moved|
  superseded|refused|closed|organization_unknown|organization_mismatch|waiting|occupied, reason], …], drift: [entry, …]}. Conflict: another
  decision or a run was quicker, and nothing was written.';

create function public.revert_drift(p_id uuid, p_actor uuid, p_note text, p_repair_mode text default 'auto')
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_days constant integer := 7;
  v_drift public.drift;
  v_done record;
  v_version text;
  v_excepted uuid;
  v_action text;
begin
  select * into v_drift from public.drift where id = p_id;
  if not found then
    return jsonb_build_object('outcome', 'not_found');
  end if;
  if v_drift.action = 'created' then
    return jsonb_build_object('outcome', 'created');
  end if;
  if v_drift.action not in ('repaired', 'moved') or v_drift.before is null then
    return jsonb_build_object('outcome', 'not_repaired', 'drift', billing_ops.drift_json(v_drift));
  end if;
  if billing_ops.lower_mode(billing_ops.policy_mode(v_drift.type), p_repair_mode) = 'observe' then
    return jsonb_build_object('outcome', 'observe', 'drift', billing_ops.drift_json(v_drift));
  end if;
  -- Compare-and-set: the version is the one that the repair left. Another repair of the row since, or any other write, has given it a new one.
  select u.* into v_done from billing_ops.adapter_update(jsonb_build_array(
    jsonb_build_object('key', v_drift.row_key, 'version', v_drift.row_version) || v_drift.before)) u;
  if v_done.outcome <> 'repaired' then
    return jsonb_build_object('outcome', v_done.outcome, 'reason', v_done.reason, 'drift', billing_ops.drift_json(v_drift));
  end if;
  select v.version into v_version from billing_ops.adapter_versions(array[v_drift.row_key]) v;
  -- What the same write repaired besides is unchanged: it can still be taken back.
  update public.drift d set row_version = v_version
  where d.row_key = v_drift.row_key and d.row_version = v_drift.row_version and d.id <> p_id;

  v_action := v_drift.action;
  update public.drift d
  set action = 'reverted', reason = null, decided_by = p_actor, decided_at = clock_timestamp(), note = p_note, row_version = null
  where d.id = p_id returning d.* into v_drift;
  -- It was repaired, whatever became of it since: that counter must not fall. After the entry, as pruning locks them in this order, too.
  insert into billing_ops.closed_drift_counts as c (type, action, entries) values (v_drift.type, v_action, 1)
  on conflict (type, action) do update set entries = c.entries + excluded.entries;
  insert into public.drift as d
    (drift_key, type, severity, owner, stripe_subscription_id, stripe_customer_id, livemode, issue, details, proposal, lowers_access,
     action, first_seen_at, last_seen_at, seen_count, first_run_id, last_run_id, decided_by, decided_at, note, excepted_until)
  values (v_drift.drift_key, v_drift.type, 'warning', v_drift.owner, v_drift.stripe_subscription_id, v_drift.stripe_customer_id,
    v_drift.livemode, v_drift.issue, v_drift.details, (
      select jsonb_object_agg(k.word, k.said -> 'stripe') from jsonb_each(v_drift.details) k (word, said) where k.said ? 'stripe'),
    v_drift.lowers_access, 'excepted', clock_timestamp(), clock_timestamp(), 1,
    v_drift.last_run_id, v_drift.last_run_id, p_actor, clock_timestamp(), p_note, clock_timestamp() + make_interval(days => v_days))
  on conflict (drift_key) where closed_at is null do update
    set action = 'excepted', reason = null, decided_by = excluded.decided_by, decided_at = excluded.decided_at, note = excluded.note,
        excepted_until = greatest(d.excepted_until, excluded.excepted_until)
  returning d.id into v_excepted;
  insert into public.drift_events (drift_id, event, actor, note)
  values (p_id, 'reverted', p_actor, p_note), (v_excepted, 'excepted', p_actor, p_note);
  return jsonb_build_object('outcome', 'reverted', 'drift', billing_ops.drift_json(v_drift),
    'excepted', (select billing_ops.drift_json(d) from public.drift d where d.id = v_excepted));
end
$$;
comment on function public.revert_drift(uuid, uuid, text, text) is
  'Takes the newest repair of a row back, if nobody has written the row since, and lets the difference stand for seven days. Answers
  {outcome: reverted, drift, excepted}, or not_found, created (rows that were made are not deleted), not_repaired (there is nothing to take back),
  observe (nothing of its class is written), superseded (somebody wrote or deleted the row since) or refused (by the table, with the reason).';

create function public.except_drift(p_id uuid, p_actor uuid, p_days integer, p_reason text)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_drift public.drift;
begin
  update public.drift d
  set action = 'excepted', reason = null, excepted_until = clock_timestamp() + make_interval(days => p_days), decided_by = p_actor,
    decided_at = clock_timestamp(), note = p_reason
  where d.id = p_id and d.closed_at is null returning d.* into v_drift;
  if not found then
    select * into v_drift from public.drift where id = p_id;
    return jsonb_build_object('outcome', case when found then 'closed' else 'not_found' end, 'drift',
      case when found then billing_ops.drift_json(v_drift) end);
  end if;
  insert into public.drift_events (drift_id, event, actor, note) values (p_id, 'excepted', p_actor, p_reason);
  return jsonb_build_object('outcome', 'excepted', 'drift', billing_ops.drift_json(v_drift));
end
$$;
comment on function public.except_drift(uuid, uuid, integer, text) is
  'Lets a difference stand for p_days days, and records why. Answers {outcome: excepted|closed|not_found, drift}.';

create function public.unexcept_drift(p_id uuid, p_actor uuid, p_repair_mode text)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_drift public.drift;
  v_mode text;
begin
  select * into v_drift from public.drift where id = p_id for update;
  if not found then
    return jsonb_build_object('outcome', 'not_found');
  end if;
  if v_drift.closed_at is not null then
    return jsonb_build_object('outcome', 'closed', 'drift', billing_ops.drift_json(v_drift));
  end if;
  if v_drift.action <> 'excepted' then
    return jsonb_build_object('outcome', 'already', 'drift', billing_ops.drift_json(v_drift));
  end if;
  v_mode := billing_ops.lower_mode(billing_ops.policy_mode(v_drift.type), p_repair_mode);
  update public.drift d
  set excepted_until = null, decided_by = p_actor, decided_at = clock_timestamp(), note = null,
    action = case when v_drift.proposal is null then 'none' when v_mode = 'approve' then 'waiting' else 'observed' end,
    reason = case when v_drift.proposal is null or v_mode <> 'auto' then null else 'none yet: the next run repairs it' end
  where d.id = p_id returning d.* into v_drift;
  insert into public.drift_events (drift_id, event, actor, note) values (p_id, v_drift.action, p_actor, 'the exception was ended');
  return jsonb_build_object('outcome', 'done', 'drift', billing_ops.drift_json(v_drift));
end
$$;
comment on function public.unexcept_drift(uuid, uuid, text) is
  'Ends an exception: the difference at once gets the action that the mode calls for. Answers {outcome: done|already|closed|not_found, drift}.';
