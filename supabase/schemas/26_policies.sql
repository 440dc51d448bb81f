-- Policies: what may follow from a difference, by class, as people have set it. The setting REPAIR_MODE is above them, and is not here:
-- no session can raise it.

create table public.drift_policies (
  type text primary key,
  mode text not null default 'auto' check (mode in ('observe', 'approve', 'auto')),
  version integer not null default 0,
  updated_by uuid,
  updated_at timestamptz,
  allowed_count integer,
  allowed_until timestamptz,
  allowed_by uuid,
  allowed_run uuid
);
comment on table public.drift_policies is 'What may follow from a difference, by class. A class without a row is auto: the setting decides.';
comment on column public.drift_policies.type is 'The drift class.';
comment on column public.drift_policies.mode is 'observe (put on record), approve (a person decides about each) or auto (a run repairs it).';
comment on column public.drift_policies.version is 'Rises with each change of the mode, so that nobody overwrites what they have not seen.';
comment on column public.drift_policies.updated_by is 'The person who set the mode.';
comment on column public.drift_policies.updated_at is 'When they did.';
comment on column public.drift_policies.allowed_count is 'How many repairs a person lets one run write in spite of the circuit breaker.';
comment on column public.drift_policies.allowed_until is 'Until when that run may begin.';
comment on column public.drift_policies.allowed_by is 'The person.';
comment on column public.drift_policies.allowed_run is 'The run that has made use of it. Not a foreign key: the policy outlives the run.';
alter table public.drift_policies enable row level security;
create policy drift_policies_admin_read on public.drift_policies
  for select to authenticated using ((select billing_ops.caller_standing() = 'ok'));
comment on policy drift_policies_admin_read on public.drift_policies is
  'Admins of any organization read: global operational data, by intention.';

create function billing_ops.lower_mode(p_one text, p_other text)
returns text
language sql immutable
set search_path = ''
as $$
  select m.word from pg_catalog.unnest(array['observe', 'approve', 'auto']) with ordinality m (word, rank)
  where m.word in (p_one, p_other) order by m.rank limit 1
$$;
comment on function billing_ops.lower_mode(text, text) is 'Of two modes, the one in which less happens.';

create function billing_ops.policy_mode(p_type text)
returns text
language sql stable
set search_path = ''
as $$
  select coalesce((select p.mode from public.drift_policies p where p.type = p_type), 'auto')
$$;
comment on function billing_ops.policy_mode(text) is 'The mode that people have set for a class of drift.';

create function billing_ops.policies_json()
returns jsonb
language sql stable
set search_path = ''
as $$
  select pg_catalog.jsonb_build_object(
    'policies', (
      select coalesce(pg_catalog.jsonb_object_agg(p.type, pg_catalog.jsonb_build_object('mode', p.mode, 'version', p.version, 'updated_by', p.updated_by,
        'updated_at', billing_ops.utc(p.updated_at))), '{}')
      from public.drift_policies p),
    'previews', (
      select coalesce(pg_catalog.jsonb_object_agg(c.type, pg_catalog.jsonb_build_object('repairs', c.repairs, 'raises', c.raises, 'lowers', c.lowers,
        'creates', c.creates)), '{}')
      from (
        select d.type, count(*) as repairs, count(*) filter (where d.lowers_access) as lowers,
          count(*) filter (where d.severity = 'critical' and not d.lowers_access and d.type <> 'missing_in_database') as raises,
          count(*) filter (where d.type = 'missing_in_database') as creates
        from public.drift d
        where d.closed_at is null and d.proposal is not null and d.action <> 'excepted' group by d.type
      ) c))
$$;
comment on function billing_ops.policies_json() is 'What people have set by class, and how much of what stands a run would repair.';

create function public.set_drift_policy(p_type text, p_mode text, p_if_version integer, p_actor uuid)
returns jsonb
language plpgsql
set search_path = ''
as $$
begin
  insert into public.drift_policies (type) values (p_type) on conflict do nothing;
  update public.drift_policies
  set mode = p_mode, version = version + 1, updated_by = p_actor, updated_at = clock_timestamp()
  where type = p_type and version = p_if_version;
  if not found then
    return jsonb_build_object('outcome', 'conflict');
  end if;
  return jsonb_build_object('outcome', 'done') || billing_ops.policies_json();
end
$$;
comment on function public.set_drift_policy(text, text, integer, uuid) is
  'Sets the mode of a class in a person''s name. Answers {outcome: done|conflict} and, where it
  was done, billing_ops.policies_json(); conflict: somebody was quicker, and p_if_version is no
  longer the version.';

create function public.allow_held_drift(p_type text, p_count integer, p_repair_mode text, p_actor uuid)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_held bigint;
  v_until timestamptz := clock_timestamp() + interval '24 hours';
begin
  if billing_ops.lower_mode(billing_ops.policy_mode(p_type), p_repair_mode) <> 'auto' then
    return jsonb_build_object('outcome', 'not_written');
  end if;
  with held as (
    select d.id from public.drift d where d.closed_at is null and d.type = p_type and d.action = 'held'
  ),
  history as (
    insert into public.drift_events (drift_id, event, actor)
    select h.id, 'allowed', p_actor from held h where (select count(*) from held) = p_count
  )
  select count(*) into v_held from held;
  if v_held = 0 or v_held <> p_count then
    return jsonb_build_object('outcome', 'conflict', 'held', v_held);
  end if;
  insert into public.drift_policies as p (type, allowed_count, allowed_until, allowed_by)
  values (p_type, p_count, v_until, p_actor)
  on conflict (type) do update
    set allowed_count = excluded.allowed_count, allowed_until = excluded.allowed_until, allowed_by = excluded.allowed_by,
        allowed_run = null;
  return jsonb_build_object('outcome', 'allowed', 'until', billing_ops.utc(v_until));
end
$$;
comment on function public.allow_held_drift(text, integer, text, uuid) is
  'Lets the next run that begins within 24 hours write p_count repairs of a class in spite of the circuit breaker: as many as are held now,
  and no more. Answers {outcome: allowed, until}, {outcome: conflict, held} where a different number is held, or {outcome: not_written} where no
  run writes this class.';

create function billing_ops.exceptions_ending()
returns jsonb
language sql stable
set search_path = ''
as $$
  select case when count(*) = 0
    then '{"alert_key": "exceptions_ending", "alert_type": "exceptions_ending", "state": "clear", "message": "No exception ends soon."}'::jsonb
    else pg_catalog.jsonb_build_object('alert_key', 'exceptions_ending', 'alert_type', 'exceptions_ending', 'state', 'holds', 'severity', 'info',
      'message', pg_catalog.format('%s %s let stand until %s or soon after, the first of them; then it is repaired or alerted again.', count(*),
        case when count(*) = 1 then 'difference is' else 'differences are' end,
        pg_catalog.to_char(min(d.excepted_until) at time zone 'utc', 'YYYY-MM-DD HH24:MI "UTC"')),
      'metadata', pg_catalog.jsonb_build_object('count', count(*), 'first_ends_at', billing_ops.utc(min(d.excepted_until)),
        'samples', (pg_catalog.array_agg(coalesce(d.stripe_subscription_id, d.owner) order by d.excepted_until))[1:5])) end
  from public.drift d
  -- That an exception of three days or less ends soon is no news, so it is left out.
  where d.closed_at is null and d.excepted_until between now() and now() + interval '3 days'
    and d.excepted_until - d.decided_at > interval '3 days'
$$;
comment on function billing_ops.exceptions_ending() is
  'The condition exceptions_ending, as apply_condition_outcomes takes it: it holds where an exception that was made for
  more than three days ends within the next three.';
