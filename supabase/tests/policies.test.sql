-- What may follow from a difference, by class: who sets it, what a run is told, and that a run which was not told does not get past it.
begin;
\ir helpers/actors.psql
select no_plan();

insert into public.subscriptions (organization_id, stripe_subscription_id, status, tier)
select '00000000-0000-4000-8000-00000000000a', 'sub_' || n, 'active', 'pro' from generate_series(1, 9) n;
create function tests.person(p_n integer default 1) returns uuid language sql as $$ select ('00000000-0000-4000-8000-00000000000' || p_n)::uuid $$;
create function tests.start() returns uuid language plpgsql as $$
begin
  update public.reconciliation_logs set status = 'success', finished_at = now() where status = 'running';
  return (tests.call('service_role', format($q$public.start_reconciliation_run(%L, 'request', 24, 330)$q$,
    'request_' || gen_random_uuid())) -> 'run' ->> 'id')::uuid;
end
$$;
create function tests.finding(p_type text, p_subject text) returns jsonb language sql as $$
  select jsonb_build_array(jsonb_build_object('drift_key', p_type || ':' || p_subject, 'type', p_type, 'severity', 'high',
    'stripe_subscription_id', p_subject, 'issue', 'it differs', 'sets', '["status"]'::jsonb, 'proposal', '{"status": "canceled"}'::jsonb))
$$;
create function tests.update_item(p_subject text, p_findings jsonb) returns jsonb language sql as $$
  select jsonb_build_object('kind', 'update', 'findings', p_findings,
    'row', jsonb_build_object('key', s.id::text, 'version', s.xmin::text, 'status', 'canceled'))
  from public.subscriptions s where s.stripe_subscription_id = p_subject
$$;
create function tests.new_item(p_subject text) returns jsonb language sql as $$
  select jsonb_build_object('kind', 'create', 'named', '{"metadata": "00000000-0000-4000-8000-00000000000b"}'::jsonb,
    'findings', tests.finding('missing_in_database', p_subject),
    'row', jsonb_build_object('stripe_subscription_id', p_subject, 'status', 'active'))
$$;
create function tests.batch(p_run uuid, variadic p_items jsonb[]) returns text language sql as $$
  select string_agg(concat_ws(': ', i ->> 0, i ->> 1), ', ' order by place)
  from jsonb_array_elements(tests.call('service_role', format('public.apply_reconciliation_batch(%L, 1, 330, %L)', p_run, to_jsonb(p_items)))
    -> 'items') with ordinality items (i, place)
$$;
create function tests.set_mode(p_type text, p_mode text, p_version integer, p_actor uuid default person()) returns text language sql as $$
  select tests.call('service_role', format('public.set_drift_policy(%L, %L, %s, %L)', p_type, p_mode, p_version, p_actor)) ->> 'outcome'
$$;
create function tests.told() returns jsonb language sql as $$
  select tests.call('service_role', 'public.read_adapter_for_reconcile(null)') -> 'policies'
$$;

-- Modes --------------------------------------------------------------------------------------------------------------------------

select is(billing_ops.lower_mode(one, other), lower, format('of %s and %s', one, other))
from (values ('observe', 'observe', 'observe'), ('observe', 'approve', 'observe'), ('observe', 'auto', 'observe'), ('approve', 'approve', 'approve'),
             ('approve', 'auto', 'approve'), ('auto', 'auto', 'auto'), ('auto', 'observe', 'observe'), ('auto', 'approve', 'approve'),
             ('approve', 'observe', 'observe')) modes (one, other, lower);
select is(told(), '{}', 'nobody has set anything');
select is(billing_ops.policy_mode('status_mismatch'), 'auto', 'then the setting decides');

select is(set_mode('status_mismatch', 'approve', 0), 'done', 'a class is set for the first time');
select is((select (mode, version, updated_by, updated_at is not null)::text from public.drift_policies where type = 'status_mismatch'),
  (select ('approve', 1, person(), true)::text), 'by whom, and in which version');
select is(told(), '{"status_mismatch": "approve"}', 'the next run is told');
-- Two who look at the same version.
select is(set_mode('status_mismatch', 'observe', 1, person(2)), 'done', 'the first of two');
select is(set_mode('status_mismatch', 'auto', 1, person(3)), 'conflict', 'the second overwrites nothing that they have not seen');
select is(set_mode('status_mismatch', 'auto', 0, person(3)), 'conflict', 'nor does who looked before');
select is((select (mode, version, updated_by)::text from public.drift_policies where type = 'status_mismatch'), (select ('observe', 2, person(2))::text), 'the first one''s word counts');
select is(set_mode('tier_mismatch', 'observe', 1), 'conflict', 'a class that nobody has set has version 0');
select is(billing_ops.policy_mode('tier_mismatch'), 'auto', 'and is not set by that');
select is(told(), '{"status_mismatch": "observe"}', 'nor told');
select is(set_mode('status_mismatch', 'auto', 2), 'done', 'back');
select is(told(), '{}', 'what is as the setting says is not told');
select is(attempt('service_role', $$select public.set_drift_policy('status_mismatch', 'always', 3, null)$$), '23514', 'no other mode');
select is(attempt('admin', $$select public.set_drift_policy('status_mismatch', 'auto', 3, null)$$), 'denied', 'nobody by themselves');

-- Where it cannot be read, whether for a right or for a table of an earlier version.
create function tests.told_where(p_sql text) returns text language plpgsql as $$
begin
  execute p_sql;
  raise exception using errcode = 'TTTTT', message = tests.told()::text;
exception when sqlstate 'TTTTT' then
  return sqlerrm;
end
$$;
select is(told_where('revoke select on public.drift_policies from service_role'), 'null', 'a right is missing: nothing is told, which counts as observe');
select is(told_where('drop table public.drift_policies'), 'null', 'so is the table');
select is(told_where('alter table public.drift_policies drop column type'), 'null', 'so is the column');

-- A run that was not told ----------------------------------------------------------------------------------------------------------

create function tests.left_alone() returns text language sql as $$ select 'superseded: left alone: a person decided about it while the run looked' $$;
create function tests.of_tier(p_subscription text, p_findings jsonb) returns jsonb language sql as $$
  select jsonb_set(tests.update_item(p_subscription, p_findings) #- '{row,status}', '{row,tier}', '"another"')
$$;
select start() as run \gset
select set_mode('status_mismatch', 'approve', 3), set_mode('missing_in_database', 'observe', 0);
select is(batch(:'run', update_item('sub_1', finding('status_mismatch', 'sub_1')), of_tier('sub_2', finding('tier_mismatch', 'sub_2')), new_item('sub_n1')),
  left_alone() || ', repaired, ' || left_alone(), 'classes that people have set meanwhile are not written, others are');
select is((select string_agg(status || case tier when 'another' then ' another' else '' end, ', ' order by stripe_subscription_id)
  from public.subscriptions where stripe_subscription_id in ('sub_1', 'sub_2', 'sub_n1')), 'active, active another', 'rows');
select is((select string_agg(concat_ws(' ', stripe_subscription_id, action, proposal, case when closed_at is null then 'open' end), ', ' order by stripe_subscription_id) from public.drift),
  'sub_1 superseded {"status": "canceled"} open, sub_2 repaired, sub_n1 superseded {"status": "canceled"} open', 'what is not repaired stands, and can be approved');
select is(batch(:'run', update_item('sub_3', finding('tier_mismatch', 'sub_3') || finding('status_mismatch', 'sub_3'))), left_alone(),
  'one class of the two that a write would repair holds it back');
select is(batch(:'run', jsonb_build_object('kind', 'none', 'action', 'waiting', 'findings', finding('status_mismatch', 'sub_4'))), 'waiting', 'what is only put on record is');
select is(batch(:'run', new_item('sub_n2') || '{"action": "waiting"}'), 'waiting', 'a new row that only is to be looked at, too');
select is(batch(:'run', update_item('sub_5', '[]')), left_alone(), 'a refresh that is no difference has a class as well');
select is(batch(:'run', of_tier('sub_5', '[]')), 'repaired', 'and is made where that class is written');
select set_mode('status_mismatch', 'auto', 4), set_mode('missing_in_database', 'auto', 1);
select start() as run \gset
select is(batch(:'run', update_item('sub_1', finding('status_mismatch', 'sub_1')), new_item('sub_n1')), 'repaired, created', 'when they are set back the next run writes');

-- In spite of the circuit breaker ----------------------------------------------------------------------------------------------------

create function tests.allow(p_type text, p_count integer, p_repair_mode text default 'auto') returns jsonb language sql as $$
  select tests.call('service_role', format('public.allow_held_drift(%L, %s, %L, %L)', p_type, p_count, p_repair_mode, person())) - 'until'
$$;
create function tests.take(p_run uuid, p_attempt integer default 1) returns jsonb language sql as $$
  select tests.call('service_role', format('public.take_drift_allowances(%L, %s)', p_run, p_attempt))
$$;
create function tests.held(p_run uuid, p_subject text) returns text language sql as $$
  select tests.batch(p_run, jsonb_build_object('kind', 'none', 'action', 'held', 'findings', tests.finding('status_mismatch', p_subject)))
$$;
delete from public.drift;
delete from public.drift_policies;
select is(allow('status_mismatch', 0), '{"outcome": "conflict", "held": 0}', 'none is held: nothing to allow');
select held(:'run', 'sub_6'), held(:'run', 'sub_7'), held(:'run', 'sub_8');
insert into public.drift (drift_key, type, severity, issue, action, first_seen_at, last_seen_at, first_run_id, last_run_id, closed_at)
select t || ':' || a, t, 'info', 'i', a, now(), now(), gen_random_uuid(), gen_random_uuid(), case when a = 'held' and t = 'status_mismatch' then now() end
from unnest(array['status_mismatch', 'tier_mismatch']) t, unnest(array['held', 'waiting', 'observed']) a;
select is(allow('status_mismatch', 2), '{"outcome": "conflict", "held": 3}', 'fewer than are held');
select is(allow('status_mismatch', 4), '{"outcome": "conflict", "held": 3}', 'more than are held');
select is(allow('status_mismatch', 3, 'approve'), '{"outcome": "not_written"}', 'no run writes, as the setting says');
select is(allow('status_mismatch', 3, 'observe'), '{"outcome": "not_written"}', 'whichever');
select set_mode('status_mismatch', 'approve', 0);
select is(allow('status_mismatch', 3), '{"outcome": "not_written"}', 'or as people have set');
select set_mode('status_mismatch', 'auto', 1);
select is((select count(*) from public.drift_policies where allowed_count is not null), 0::bigint, 'none of that allows anything');
select is((select count(*) from public.drift_events where event = 'allowed'), 0::bigint, 'nor is it on record');
select is(take(:'run'), '{"outcome": "taken", "allowed": {}}', 'a run may write nothing more than it may');
select is(allow('status_mismatch', 3), '{"outcome": "allowed"}', 'as many as are held');
select is((select (allowed_count, allowed_by, allowed_run, allowed_until between now() + interval '23 hours' and now() + interval '25 hours', mode, version)::text
           from public.drift_policies where type = 'status_mismatch'), (select (3, person(), null::uuid, true, 'auto', 2)::text), 'for a day, by whom; the mode is what it was');
select is((select string_agg(concat_ws(' ', d.stripe_subscription_id, e.actor = person(), e.run_id), ', ' order by 1) from public.drift_events e join public.drift d on d.id = e.drift_id
  where e.event = 'allowed'), 'sub_6 t, sub_7 t, sub_8 t', 'of each that is held it is on record');

select start() as run \gset
select is(take(:'run', 2), '{"outcome": "fenced"}', 'another attempt gets nothing');
select is(take(gen_random_uuid()), '{"outcome": "fenced"}', 'nor a run that is not there');
select is(take(:'run'), '{"outcome": "taken", "allowed": {"status_mismatch": 3}}', 'the first run that asks has it');
select is(take(:'run'), '{"outcome": "taken", "allowed": {"status_mismatch": 3}}', 'however often it asks');
update public.reconciliation_logs set status = 'success', finished_at = now() where id = :'run';
select is(take(:'run'), '{"outcome": "fenced"}', 'but not when it has ended');
select start() as run \gset
select is(take(:'run'), '{"outcome": "taken", "allowed": {}}', 'no other run has it again');
-- A second time.
select is(allow('status_mismatch', 3), '{"outcome": "allowed"}', 'what is still held can be allowed again');
update public.drift_policies set allowed_until = (select started_at - interval '1 second' from public.reconciliation_logs where id = :'run');
select is(take(:'run'), '{"outcome": "taken", "allowed": {}}', 'a run that began too late does not have it');
update public.drift_policies set allowed_until = (select started_at + interval '1 second' from public.reconciliation_logs where id = :'run');
insert into public.drift_policies (type, allowed_count, allowed_until) values ('tier_mismatch', 7, now() + interval '1 hour');
select is(take(:'run'), '{"outcome": "taken", "allowed": {"tier_mismatch": 7, "status_mismatch": 3}}', 'one that began in time does; of each class');
select is((select array_agg(distinct allowed_run) from public.drift_policies), array[:'run']::uuid[], 'and it is on record which');
select is(attempt('admin', $$select public.allow_held_drift('status_mismatch', 3, 'auto', null)$$), 'denied', 'nobody by themselves');

-- What admins are shown ----------------------------------------------------------------------------------------------------------------

delete from public.drift;
delete from public.drift_policies;
delete from public.rate_limit_windows;
create function tests.pages(p_actor text) returns jsonb language sql as $$
  select tests.call(p_actor, $q$public.admin_drift_policies('192.0.2.1')$q$)
$$;
select is(pages('admin'), '{"outcome": "ok", "policies": {}, "previews": {}}', 'nothing set, and nothing stands');
select is(pages('member'), '{"outcome": "forbidden"}', 'who is no admin is shown nothing');
select is((select hits from public.rate_limit_windows), 1, 'nor counted');
select set_mode('status_mismatch', 'observe', 0);
insert into public.drift_policies (type) values ('tier_mismatch');
select is(pages('admin') -> 'policies', jsonb_build_object(
    'status_mismatch', (select jsonb_build_object('mode', 'observe', 'version', 1, 'updated_by', person(), 'updated_at', billing_ops.utc(updated_at))
                        from public.drift_policies where type = 'status_mismatch'),
    'tier_mismatch', '{"mode": "auto", "version": 0, "updated_by": null, "updated_at": null}'::jsonb), 'by class, in which version, and by whom');
create function tests.entry(p_type text, p_severity text, p_lowers boolean, p_action text default 'observed', p_proposal jsonb default '{}', p_closed boolean default false)
returns void language sql as $$
  insert into public.drift (drift_key, type, severity, issue, lowers_access, action, proposal, first_seen_at, last_seen_at, first_run_id, last_run_id, closed_at)
  values (gen_random_uuid(), p_type, p_severity, 'i', p_lowers, p_action, p_proposal, now(), now(), gen_random_uuid(), gen_random_uuid(), case when p_closed then now() end)
$$;
select entry('status_mismatch', 'critical', false), entry('status_mismatch', 'critical', false, 'held'), entry('status_mismatch', 'high', true),
  entry('status_mismatch', 'critical', true), entry('status_mismatch', 'warning', false),
  entry('missing_in_database', 'critical', false), entry('missing_in_database', 'high', false, 'waiting'), entry('tier_mismatch', 'high', false),
  -- None of these would be repaired.
  entry('status_mismatch', 'critical', false, 'excepted'), entry('status_mismatch', 'critical', false, 'none', null),
  entry('status_mismatch', 'critical', false, 'repaired', '{}', true), entry('unknown_price', 'critical', false, 'none', null);
select is(pages('admin') -> 'previews', '{"status_mismatch": {"repairs": 5, "raises": 2, "lowers": 2, "creates": 0},
  "missing_in_database": {"repairs": 2, "raises": 0, "lowers": 0, "creates": 2}, "tier_mismatch": {"repairs": 1, "raises": 0, "lowers": 0, "creates": 0}}',
  'what a run would repair of what stands: how many get access, how many lose it, how many rows are made');

select * from finish();
rollback;
