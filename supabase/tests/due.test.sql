-- What is due since Stripe's events spoke of it: when it may be read, what is handed out, and what becomes of it afterwards. (Which run may
-- read it: scopes. Callers that meet: scripts/race-sql.sh.)
begin;
\ir helpers/actors.psql
select no_plan();

create function tests.note(p_events jsonb) returns jsonb language sql as $$
  select tests.call('service_role', format('public.note_stripe_events(%L)', p_events))
$$;
create function tests.due(p_id text) returns public.stripe_due language sql as $$
  select d from public.stripe_due d where stripe_subscription_id = p_id
$$;
-- How long after its last event it may be read.
create function tests.delay(p_id text) returns interval language sql as $$ select (tests.due(p_id)).due_at - (tests.due(p_id)).last_event_at $$;
create function tests.later(p_by interval) returns void language sql as $$
  update public.stripe_due set first_event_at = first_event_at - p_by, last_event_at = last_event_at - p_by, due_at = due_at - p_by
$$;
create function tests.ids() returns text language sql as $$
  select coalesce(string_agg(stripe_subscription_id, ' ' order by stripe_subscription_id), '') from public.stripe_due
$$;
create temporary table before (id text, version bigint, due_at timestamptz);
create function tests.remember() returns void language sql as $$
  delete from before;
  insert into before select stripe_subscription_id, version, due_at from public.stripe_due;
$$;

-- A set ----------------------------------------------------------------------------------------------------------------------------

select is(note('[]'), '{"outcome": "noted"}', 'nothing happened');
select is(ids(), '', 'and nothing is due');
select is(note('[["sub_1", 120], ["sub_other", 120]]'), '{"outcome": "noted"}', 'something happened to two');
select is(ids(), 'sub_1 sub_other', 'both are due');
select is(delay('sub_1'), '120 seconds', 'after as long as was said');
select is((select (first_event_at = last_event_at, last_event_at > clock_timestamp() - interval '5 seconds', attempts)::text from due('sub_1')), '(t,t,0)',
  'it is on record when that was');
select remember();
select later('1 minute');
select is(note('[["sub_1", 120]]'), '{"outcome": "noted"}', 'the same again');
select is(ids(), 'sub_1 sub_other', 'is no second one');
select is(delay('sub_1'), '120 seconds', 'it is put off');
select is((select last_event_at - first_event_at between interval '1 minute' and interval '90 seconds' from due('sub_1')), true, 'since the first event');
select isnt((due('sub_1')).version, (select version from before where id = 'sub_1'), 'and is another one than it was');
select is((select (version, due_at + interval '1 minute')::text from due('sub_other')), (select (version, b.due_at)::text from before b where id = 'sub_other'),
  'nothing happened to the other');

select note('[["sub_2", 120], ["sub_2", 30], ["sub_3", 0], ["sub_2", 60]]');
select is(ids(), 'sub_1 sub_2 sub_3 sub_other', 'three events of one are one');
select is(delay('sub_2'), '30 seconds', 'the least delay counts');
select is(delay('sub_3'), '0', 'what may be read at once is due at once');
select note('[["sub_1", 0]]');
select is(delay('sub_1'), '0', 'so is what was to wait');

-- Who goes on changing is not put off for ever --------------------------------------------------------------------------------------

delete from public.stripe_due;
select note('[["sub_1", 120]]');
select later('7 minutes');
select note('[["sub_1", 120]]');
select is(delay('sub_1'), '120 seconds', 'seven minutes after the first event it is still put off');
select later('2 minutes');
select note('[["sub_1", 120]]');
select is((select due_at - first_event_at from due('sub_1')), '10 minutes', 'but not past ten minutes after the first');
select later('1 hour');
select note('[["sub_1", 120]]');
select is((select due_at - first_event_at from due('sub_1')), '10 minutes', 'nor is what nobody has read for an hour');

-- News of what could not be judged is a reason to try sooner ------------------------------------------------------------------------

create function tests.fails(p_in interval) returns void language sql as $$
  update public.stripe_due set attempts = 3, first_event_at = clock_timestamp() - interval '1 hour', due_at = clock_timestamp() + p_in
$$;
select fails('30 minutes');
select note('[["sub_1", 120]]');
select is(delay('sub_1'), '120 seconds', 'what was to be tried in half an hour is tried when the app has had its turn');
select is((due('sub_1')).attempts, 0, 'and counts as new');
select fails('1 minute');
select remember();
select note('[["sub_1", 120]]');
select is((due('sub_1')).due_at, (select due_at from before), 'what was to be tried in a minute is not put off');
select isnt((due('sub_1')).version, (select version from before), 'but is another one than it was');

-- What is due ----------------------------------------------------------------------------------------------------------------------

create function tests.handed_out(p_limit integer default 200) returns jsonb language sql as $$
  select tests.call('service_role', format('public.read_due_subscriptions(%s)', p_limit))
$$;
delete from public.stripe_due;
select is(handed_out(), '[]', 'nothing is due');
insert into public.stripe_due (stripe_subscription_id, due_at)
select id, clock_timestamp() - age from (values ('sub_a', interval '2 minutes'), ('sub_c', '5 minutes'), ('sub_b', '1 minute'), ('sub_d', '-1 minute'), ('sub_e', '-1 second')) d (id, age);
update public.stripe_due set due_at = (due('sub_a')).due_at where stripe_subscription_id = 'sub_b';
update public.stripe_due set due_at = clock_timestamp() - interval '1 millisecond' where stripe_subscription_id = 'sub_e';
select is(handed_out(), jsonb_build_array(jsonb_build_array('sub_c', (due('sub_c')).version), jsonb_build_array('sub_a', (due('sub_a')).version),
  jsonb_build_array('sub_b', (due('sub_b')).version), jsonb_build_array('sub_e', (due('sub_e')).version)), 'what is due, the oldest first, and which one it is');
select is(jsonb_path_query_array(handed_out(2), '$[*][0]'), '["sub_c", "sub_a"]', 'of many so many');
select is(ids(), 'sub_a sub_b sub_c sub_d sub_e', 'what is handed out stays due');
update public.stripe_due set last_event_at = clock_timestamp() - interval '1 hour' where stripe_subscription_id in ('sub_a', 'sub_c');
select is(jsonb_path_query_array(tests.call('service_role', 'public.read_due_subscriptions(200, clock_timestamp() - interval ''30 minutes'')'), '$[*][0]'),
  '["sub_b", "sub_e"]', 'or only what had an event since');

-- What became of it ----------------------------------------------------------------------------------------------------------------

-- A run that ends with that to say, its sweep begun that long ago.
create function tests.ends(p_more text, p_age interval default '0') returns text language plpgsql as $$
declare
  v_run jsonb := tests.call('service_role', format('public.start_reconciliation_run(%L, %L, 24, 330)', 'request_' || gen_random_uuid(), 'request')) -> 'run';
begin
  update public.reconciliation_logs set sweep_started_at = clock_timestamp() - p_age where status = 'running';
  return tests.call('service_role', format('public.finish_reconciliation_run(%L, 1, %L, %L, %L, %s)', v_run ->> 'id', 'success', '{}', 'm', p_more)) ->> 'outcome';
end
$$;
create function tests.settle(p_due jsonb) returns text language sql as $$ select tests.ends(format('p_due => %L', p_due)) $$;
create function tests.now_as(p_ids text[], p_by integer default 0) returns jsonb language sql as $$
  select jsonb_agg(jsonb_build_array(id, (tests.due(id)).version + p_by)) from unnest(p_ids) id
$$;
create function tests.state(p_id text) returns text language sql as $$ select tests.due(p_id)::text $$;

delete from public.stripe_due;
select note('[["sub_1", 0], ["sub_2", 0], ["sub_3", 0], ["sub_4", 0], ["sub_5", 0]]');
create temporary table unsettled as select stripe_subscription_id as id, d::text as state, d.* from public.stripe_due d;
select is(settle(jsonb_build_object('done', now_as('{sub_1, sub_gone}') || now_as('{sub_2}', -1), 'again', now_as('{sub_3}') || now_as('{sub_4}', -1))),
  'finished', 'a run says what became of what was due');
select is(ids(), 'sub_2 sub_3 sub_4 sub_5', 'what is done is due no more, unless an event came since it was read');
select is(array[state('sub_2'), state('sub_4'), state('sub_5')], (select array_agg(state order by id) from unsettled where id in ('sub_2', 'sub_4', 'sub_5')),
  'what came of an earlier one, or is not spoken of, stays as it was');
select is((select (first_event_at, last_event_at, version)::text from due('sub_3')), (select (first_event_at, last_event_at, version)::text from unsettled where id = 'sub_3'),
  'what is to be tried again is the same one');
select is((due('sub_3')).attempts, 1, 'that was tried once');
select is((select array_agg(h ->> 0 order by place) from jsonb_array_elements(handed_out()) with ordinality x (h, place)),
  array['sub_2', 'sub_4', 'sub_5'], 'and is not due at once');
select is(settle('{"done": [], "again": []}'), 'finished', 'a run that read nothing of it');
select is(ends('p_due => null'), 'finished', 'and one that does not say');
select is(ids(), 'sub_2 sub_3 sub_4 sub_5', 'settle nothing');

create function tests.waits() returns text language plpgsql as $$
begin
  perform tests.settle(jsonb_build_object('done', '[]'::jsonb, 'again', tests.now_as('{sub_9}')));
  return round(extract(epoch from (tests.due('sub_9')).due_at - clock_timestamp()) / 60)::text;
end
$$;
select note('[["sub_9", 0]]');
select is(concat_ws(' ', waits(), waits(), waits(), waits(), waits(), waits(), waits()), '5 10 20 40 60 60 60', 'each time it waits twice as many minutes, an hour at most');
select note('[["sub_9", 0]]');
select is(waits(), '5', 'news begin that anew');

-- A scan of everything -------------------------------------------------------------------------------------------------------------

delete from public.stripe_due;
insert into public.stripe_due (stripe_subscription_id, first_event_at, last_event_at, due_at, attempts)
select id, clock_timestamp() - interval '1 hour', clock_timestamp() - last, clock_timestamp() + due, attempts
from (values ('sub_old', interval '361 seconds', interval '-1 minute', 0), ('sub_failing', '10 minutes', '1 hour', 5), ('sub_younger', '355 seconds', '-1 minute', 0),
  ('sub_since', '1 second', '-1 minute', 0)) d (id, last, due, attempts);
select ends('p_due => null', '1 minute');
select ends('p_covered => false', '1 minute');
select ends('p_covered => null', '1 minute');
select is(ids(), 'sub_failing sub_old sub_since sub_younger', 'a run that has not read every subscription settles nothing by that');
select is(ends('p_covered => true', '1 minute'), 'finished', 'one that has');
select is(ids(), 'sub_since sub_younger', 'settles what had its last event more than five minutes before its sweep began');

select * from finish();
rollback;
