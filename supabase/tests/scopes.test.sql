-- Runs over less than everything: passes over what is due, scheduled runs over what changed; what they hand on, take along and count for.
begin;
\ir helpers/actors.psql
select no_plan();

create function tests.note(p_id text, p_delay integer default 0) returns void language sql as $$
  select tests.call('service_role', format('public.note_stripe_events(%L)', jsonb_build_array(jsonb_build_array(p_id, p_delay))))
$$;
create function tests.start(p_key text, p_scope text default 'all', p_type text default 'scheduled', p_every integer default 1, p_client text default null,
  p_id uuid default gen_random_uuid()) returns jsonb language sql as $$
  select tests.call('service_role', format('public.start_reconciliation_run(%L, %L, 24, 330, null, null, %L, %L, %L, %s)', p_key, p_type, p_client, p_id, p_scope, p_every))
$$;
create temporary table seen (name text primary key, answer jsonb);
create function tests.see(p_name text, p_answer jsonb) returns jsonb language sql as $$ insert into seen values (p_name, p_answer) returning answer $$;
create function tests.run_of(p_name text) returns jsonb language sql as $$ select answer -> 'run' from seen where name = p_name $$;
create function tests.ended(p_name text) returns public.reconciliation_logs language sql as $$
  select r from public.reconciliation_logs r where id = (tests.run_of(p_name) ->> 'id')::uuid
$$;
create function tests.finish_run(p_name text, p_status text default 'success', p_more text default '') returns text language sql as $$
  select tests.call('service_role', format('public.finish_reconciliation_run(%L, %s, %L, %L, %L %s)', tests.run_of(p_name) ->> 'id', tests.run_of(p_name) ->> 'attempt',
    p_status, '{"scanned_count": 1}', 'm', p_more)) ->> 'outcome'
$$;
create function tests.expire() returns void language sql as $$
  update public.reconciliation_logs set lease_expires_at = clock_timestamp() - interval '1 second' where status = 'running'
$$;
create function tests.rows() returns text language sql as $$
  select coalesce(string_agg(concat_ws(' ', run_key, scope, status, error_code), ', ' order by started_at, run_key), '') from public.reconciliation_logs
$$;

-- A pass over what is due ----------------------------------------------------------------------------------------------------------

select is(start('due_1', 'due'), '{"outcome": "nothing_due", "next_due_in": null}', 'nothing has happened');
select note('sub_1', 120), note('sub_2', 3600);
select is(see('early', start('due_1', 'due')) ->> 'outcome', 'nothing_due', 'nothing is due yet');
select ok((select answer -> 'next_due_in' in (select to_jsonb(n) from generate_series(90, 120) n) from seen where name = 'early'), 'in how many seconds something will be');
select is(rows(), '', 'neither is a run');
select start('due_1', 'due', p_client => '192.0.2.1') from generate_series(1, 5);
select is(start('due_1', 'due', p_client => '192.0.2.1') ->> 'outcome', 'rate_limited', 'who asks too often is not told');
update public.stripe_due set due_at = clock_timestamp() where stripe_subscription_id = 'sub_1';
select is(start('due_1', 'due', p_client => '192.0.2.1') ->> 'outcome', 'rate_limited', 'whatever is due');
select is(see('due', start('due_1', 'due', p_client => '192.0.2.2')) ->> 'outcome', 'created', 'something is due: a run');
select is(run_of('due') ->> 'scope', 'due', 'over what is due');
select is((select answer - array['run', 'result'] from seen where name = 'due'), '{"outcome": "created", "resume": null, "events_from": null, "scanned": 0, "lately": {"lowered": 0, "created": 0}}',
  'which is told what such runs have written lately');
select is(see('same', start('due_1', 'due')) ->> 'outcome', 'existing_running', 'the same key runs');
select is(run_of('same') ->> 'scope', 'due', 'the answer says over what');
select is(see('beside', start('due_2', 'due')) ->> 'outcome', 'busy', 'one pass at a time');
select is(run_of('beside') ->> 'id', run_of('due') ->> 'id', 'the answer names the other');
select is(finish_run('due', 'success', format(', p_due => %L', jsonb_build_object('done', jsonb_build_array(jsonb_build_array('sub_1', (
  select version from public.stripe_due where stripe_subscription_id = 'sub_1'))), 'again', '[]'::jsonb))), 'finished', 'it ends');
select is((select array_agg(stripe_subscription_id) from public.stripe_due), array['sub_2'], 'what it has read is due no more');
select note('sub_1');
select is(start('due_1', 'due') ->> 'outcome', 'existing_finished', 'of a minute there is one pass');
select is(rows(), 'due_1 due success', 'and none of that made another row');

-- It gives way ---------------------------------------------------------------------------------------------------------------------

select is(see('pass', start('due_2', 'due')) ->> 'outcome', 'created', 'the next minute');
select is(see('full', start('scheduled_1')) ->> 'outcome', 'created', 'a run over everything does not wait for a pass');
select is(rows(), 'due_1 due success, due_2 due partial, scheduled_1 all running', 'which ends as partial');
select is((select (finished_at is not null, lease_expires_at is null, message is not null)::text from ended('pass')), '(t,t,t)', 'and says so');
select is(call('service_role', format('public.heartbeat_reconciliation_run(%L, 1, 330)', run_of('pass') ->> 'id')), '{"outcome": "fenced"}', 'its heartbeat is fenced');
select is(call('service_role', format('public.apply_reconciliation_batch(%L, 1, 330, %L)', run_of('pass') ->> 'id', '[]')) ->> 'outcome', 'fenced', 'what it writes is');
select is(call('service_role', format('public.take_drift_allowances(%L, 1)', run_of('pass') ->> 'id')) ->> 'outcome', 'fenced', 'what it asks for is');
select is(finish_run('pass', status, format(', p_due => %L, p_covered => true', jsonb_build_object('again', '[]'::jsonb, 'done', (
  select jsonb_agg(jsonb_build_array(stripe_subscription_id, version)) from public.stripe_due)))), 'fenced', format('its end as %s is', status))
from unnest(array['success', 'partial', 'error']) status;
select is((select array_agg(stripe_subscription_id order by stripe_subscription_id) from public.stripe_due), array['sub_1', 'sub_2'], 'so what it had to do is still due');
select is((ended('pass')).status, 'partial', 'and it stays as it ended');
select is(see('behind', start('due_3', 'due')) ->> 'outcome', 'busy', 'a pass does wait');
select is(run_of('behind') ->> 'id', run_of('full') ->> 'id', 'for the run over everything');
select is((ended('full')).status, 'running', 'which goes on');
select is(start('manual_1', p_type => 'manual') ->> 'outcome', 'busy', 'and gives way to nobody');
select finish_run('full');
select see('pass 4', start('due_4', 'due'));
select is(see('manual', start('manual_1', p_type => 'manual')) ->> 'outcome', 'created', 'nor does a person wait for a pass');
select finish_run('manual');

select see('dead', start('due_5', 'due')), expire();
select is(see('reclaimed', start('due_5', 'due')) ->> 'outcome', 'reclaimed', 'a pass that died');
select is((select (status, error_code)::text from ended('dead')), '(error,stale_run)', 'is stale');
select expire();
select is(see('next', start('due_6', 'due')) ->> 'outcome', 'created', 'to the next pass');
select is((select (status, error_code)::text from ended('reclaimed')), '(error,stale_run)', 'it is, too');
select expire();
select see('after', start('scheduled_2'));
select is((select (status, error_code)::text from ended('next')), '(error,stale_run)', 'and to a run over everything: it has not given way');

-- What is left to do is handed on from one run over everything to the next ---------------------------------------------------------

select finish_run('after', 'partial', $$, p_cursor => '{"windows": [1]}'$$);
select is(see('between', start('due_7', 'due')) -> 'resume', 'null', 'a pass is no part of a sweep');
select is((select (cursor is null, sweep_started_at = started_at)::text from ended('between')), '(t,t)', 'in no way');
select finish_run('between', 'partial', $$, p_cursor => '{"windows": [2]}'$$);
select is(see('goes on', start('scheduled_3', p_every => 24)) -> 'resume', '{"windows": [1]}', 'the sweep goes on where it was');
select is((ended('goes on')).sweep_started_at, (ended('after')).sweep_started_at, 'since it began');
select is((ended('goes on')).scope, 'all', 'and is a run over everything');
select see('dead pass', start('due_8', 'due'));
select is((select answer ->> 'outcome' from seen where name = 'dead pass'), 'busy', 'it runs');
select finish_run('goes on');

-- What changed ---------------------------------------------------------------------------------------------------------------------

-- Runs of the past: over what, ended how, with a cursor or not; begun that long ago, knowing of events until that long ago.
create function tests.past(p_scope text, p_status text, p_began interval, p_events_to interval, p_cursor jsonb default null, p_scanned integer default 1)
returns void language sql as $$
  insert into public.reconciliation_logs (run_key, run_type, status, scope, started_at, finished_at, sweep_started_at, events_to, cursor, scanned_count)
  select gen_random_uuid()::text, 'scheduled', p_status, p_scope, clock_timestamp() - p_began, clock_timestamp() - p_began + interval '1 minute',
    clock_timestamp() - p_began, clock_timestamp() - p_events_to, p_cursor, p_scanned
$$;
create function tests.forget() returns void language sql as $$ delete from public.reconciliation_logs; delete from public.stripe_due $$;
-- Over what the next run would be.
create function tests.next_scope(p_every integer default 6, p_type text default 'scheduled', p_scope text default 'all') returns text language plpgsql as $$
declare
  v_answer jsonb := tests.start('k', p_scope, p_type, p_every);
begin
  delete from public.reconciliation_logs where run_key = 'k';
  return v_answer #>> '{run,scope}';
end
$$;
-- The same, with one run in the past.
create function tests.scope_after(p_scope text, p_status text, p_began interval, p_events_to interval, p_cursor jsonb default null, p_scanned integer default 1)
returns text language plpgsql as $$
begin
  perform tests.forget(), tests.past(p_scope, p_status, p_began, p_events_to, p_cursor, p_scanned);
  return tests.next_scope();
end
$$;
select forget();
select is(next_scope(), 'all', 'the first run is over everything');
select is(scope_after('all', 'success', '1 hour', '1 hour'), 'changed', 'between two of those a scheduled one is over what changed');
select is(next_scope(1), 'all', 'unless each hour is to have one over everything');
select is(next_scope(2), 'changed', 'every other one');
select is(next_scope(6, type), 'all', type || ': over everything') from unnest(array['manual', 'webhook_failure', 'request']) type;
select note('sub_1');
select is(next_scope(6, 'scheduled', 'due'), 'due', 'a pass stays one');
select is(scope_after('all', 'success', '5 hours 49 minutes', '1 hour'), 'changed', 'ten minutes before the time is up');
select is(scope_after('all', 'success', '5 hours 51 minutes', '1 hour'), 'all', 'it is time again: no scheduler comes to the minute');
select is(scope_after('all', 'partial', '1 hour', '1 hour'), 'changed', 'one that failed for some has looked at everything');
select is(scope_after('all', 'partial', '1 hour', '1 hour', null, 0), 'all', 'one that read nothing has not');
select is(scope_after('all', 'partial', '1 hour', '1 hour', '{}'), 'all', 'nor has one that left something to do');
select is(scope_after('all', 'error', '1 hour', '1 hour'), 'all', 'nor one that failed');
select is(scope_after('changed', 'success', '1 hour', '1 hour'), 'all', 'nor one over what changed');
select is(scope_after('due', 'success', '1 hour', '1 hour'), 'all', 'nor a pass');
select is(scope_after('all', 'success', '1 hour', null), 'all', 'where nobody knows since when to list events');
select is(scope_after('all', 'success', '1 hour', '24 days 23 hours'), 'changed', 'as long as Stripe still has them');
select is(scope_after('all', 'success', '1 hour', '25 days 1 minute'), 'all', 'and no longer');
select scope_after('all', 'success', '2 hours', '2 hours'), past('all', 'partial', '1 hour', '1 hour', '{"windows": [1]}');
select is(next_scope(), 'all', 'a sweep that is under way is gone on with');
select scope_after('all', 'success', '2 hours', '2 hours'), past('all', 'error', '1 hour', null);
select is(next_scope(), 'changed', 'one that failed at once has left nothing to go on with');
select past('changed', 'partial', '30 minutes', null, '{"windows": [2]}');
select is(next_scope(), 'changed', 'nor does one over what changed, whatever it left');

select forget(), past('all', 'success', '3 hours', '3 hours'), past('changed', 'success', '2 hours', '2 hours'), past('changed', 'error', '1 hour', null);
select is(see('changed', start('scheduled_4', p_every => 6, p_id => '00000000-0000-4000-8000-0000000000c1')) ->> 'events_from',
  (select billing_ops.utc(max(events_to)) from public.reconciliation_logs where events_to < clock_timestamp() - interval '119 minutes'), 'events are listed since what is known');
select is((select (answer -> 'resume', answer -> 'lately')::text from seen where name = 'changed'), '(null,"{""created"": 0, ""lowered"": 0}")', 'from the beginning, and counted');
select is(run_of('changed') ->> 'scope', 'changed', 'the answer says over what it is');
select is(start('scheduled_4', p_every => 6, p_id => '00000000-0000-4000-8000-0000000000c1') #- '{run,duration_ms}', (select answer #- '{run,duration_ms}' from seen where name = 'changed'),
  'a start that is sent again is answered the same');
select is(start('due_9', 'due') ->> 'outcome', 'nothing_due', 'no pass is begun beside it');
select note('sub_1');
select is(start('due_9', 'due') ->> 'outcome', 'busy', 'not for what is due, either');
select is(start('manual_2', p_type => 'manual') ->> 'outcome', 'busy', 'it gives way to nobody');
select finish_run('changed', 'success', ', p_events_to => ''2026-01-01Z''');
select is((select (scope, events_to = '2026-01-01Z')::text from ended('changed')), '(changed,t)', 'it knows of events until then');
select is((select answer ?| array['events_from', 'lately'] from (select see('all', start('scheduled_5'))) x (answer)), false, 'a run over everything is told nothing of that');
select finish_run('all');
select is((select (scope, events_to)::text from ended('all')), '(all,)', 'nor does it know of events, unless it says so');

-- What changed could not be listed: then everything was looked at after all.
select is(see('after all', start('scheduled_6', p_every => 6)) #>> '{run,scope}', 'changed', 'what was to be over what changed');
select finish_run('after all', 'success', ', p_scope => ''all'', p_events_to => clock_timestamp()');
select is((ended('after all')).scope, 'all', 'is over everything, if it says so');
delete from public.reconciliation_logs where id <> (ended('after all')).id;
select is(next_scope(), 'changed', 'and counts as that');

-- What people allow is for a run over everything -----------------------------------------------------------------------------------

create function tests.allowed() returns boolean language sql as $$ select allowed_count is not null from public.drift_policies $$;
insert into public.drift_policies (type, allowed_count, allowed_until) values ('tier_mismatch', 7, clock_timestamp() + interval '23 hours');
select see('pass 9', start('due_9', 'due')), finish_run('pass 9');
select ok(allowed(), 'a pass leaves it');
select see('changed 8', start('scheduled_8', p_every => 6)), finish_run('changed 8');
select is((ended('changed 8')).scope, 'changed', 'so does a run');
select ok(allowed(), 'over what changed');
select see('full 9', start('scheduled_9')), finish_run('full 9');
select ok(not allowed(), 'a run over everything has had it');

-- What such runs have written lately -----------------------------------------------------------------------------------------------

-- An entry that a run over so much closed, that long ago.
create function tests.closed(p_scope text, p_age interval, p_action text, p_type text default 't', p_lowers boolean default false, p_id text default null)
returns void language plpgsql as $$
declare
  v_run uuid := gen_random_uuid();
begin
  insert into public.reconciliation_logs (id, run_key, run_type, status, scope, started_at, finished_at)
  values (v_run, v_run::text, 'scheduled', 'success', p_scope, clock_timestamp() - p_age, clock_timestamp() - p_age);
  insert into public.drift (drift_key, type, severity, issue, action, first_seen_at, last_seen_at, first_run_id, last_run_id, closed_at, closed_run_id, lowers_access,
    stripe_subscription_id)
  values (v_run::text, p_type, 'critical', 'i', p_action, clock_timestamp() - p_age, clock_timestamp() - p_age, v_run, v_run, clock_timestamp() - p_age, v_run, p_lowers, p_id);
end
$$;
create function tests.scanned() returns text language sql as $$ select billing_ops.changes_for_run('due') ->> 'scanned' $$;
select is(scanned(), (select sum(scanned_count)::text from public.reconciliation_logs where scope = 'all' and sweep_started_at = (
  select max(sweep_started_at) from public.reconciliation_logs where scope = 'all' and cursor is null and status = 'success')), 'how many the last whole sweep read');
insert into public.reconciliation_logs (run_key, run_type, status, cursor, scanned_count, sweep_started_at, finished_at, scope) values
  ('half_1', 'request', 'partial', '{}', 400, now() + interval '1 hour', now(), 'all'), ('half_2', 'request', 'success', null, 30, now() + interval '1 hour', now(), 'all'),
  ('half_5', 'request', 'success', null, 9000, now() + interval '1 hour', now(), 'due'),
  ('half_3', 'request', 'partial', '{}', 5000, now() + interval '2 hours', now(), 'all'), ('half_4', 'scheduled', 'success', null, 7000, now() + interval '3 hours', now(), 'changed');
select is(scanned(), '430', 'in all of its runs, and no other');
delete from public.reconciliation_logs where run_key like 'half%';
create function tests.lately() returns jsonb language sql as $$ select billing_ops.changes_for_run('due') -> 'lately' $$;
select is(lately(), '{"lowered": 0, "created": 0}', 'nothing yet');
select closed('due', '59 minutes', 'repaired', p_lowers => true, p_id => 'sub_1'), closed('due', '59 minutes', 'repaired', 'u', true, 'sub_1'),
  closed('changed', '1 minute', 'repaired', p_lowers => true, p_id => 'sub_2'), closed('due', '1 minute', 'created');
select is(lately(), '{"lowered": 2, "created": 1}', 'whose access was taken and what was made, by passes and by runs over what changed: a subscription counts once');
select closed('due', '61 minutes', 'repaired', p_lowers => true, p_id => 'sub_3'), closed('due', '61 minutes', 'created');
select is(lately(), '{"lowered": 2, "created": 1}', 'for an hour');
select closed('all', '1 minute', 'repaired', p_lowers => true, p_id => 'sub_4'), closed('all', '1 minute', 'created');
select is(lately(), '{"lowered": 2, "created": 1}', 'what a run over everything wrote was counted in it');
select closed('due', '1 minute', 'repaired', p_id => 'sub_5'), closed('due', '1 minute', 'moved', p_id => 'sub_6'),
  closed('due', '1 minute', 'cleared', p_lowers => true, p_id => 'sub_7');
select is(lately(), '{"lowered": 2, "created": 1}', 'what took nothing, or was not written, is none of it');
select is(billing_ops.changes_for_run('all'), '{}', 'a run over everything counts for itself');

-- What there is of a class, for runs that saw only some of it ----------------------------------------------------------------------

create function tests.standing(p_types text default '["a"]') returns jsonb language sql as $$
  select tests.call('service_role', format('public.read_standing_drift(%L)', p_types))
$$;
-- An entry that stands.
create function tests.stands(p_type text, p_id text, p_severity text default 'warning', p_age interval default '1 hour', p_excepted interval default null)
returns void language sql as $$
  insert into public.drift (drift_key, type, severity, issue, action, first_seen_at, last_seen_at, first_run_id, last_run_id, stripe_subscription_id, excepted_until)
  values (concat_ws(':', p_type, p_id), p_type, p_severity, 'i', 'none', clock_timestamp() - p_age, clock_timestamp(), gen_random_uuid(), gen_random_uuid(), p_id, clock_timestamp() + p_excepted)
$$;
select is(standing('[]'), '{}', 'of no class');
select is(standing(), '{"a": {"count": 0, "fixed": 0, "worst": null, "samples": []}}', 'nothing of a class');
select stands('a', 'sub_1'), stands('a', 'sub_2', 'info', '30 minutes'), stands('b', 'sub_3', 'critical');
select is(standing(), '{"a": {"count": 2, "fixed": 0, "worst": "warning", "samples": ["sub_2", "sub_1"]}}', 'what stands, the newest first, and how bad it is');
select stands('a', 'sub_4', 'critical', p_excepted => '1 day');
select is(standing() #>> '{a,count}', '2', 'but not what is let stand');
select is(standing() #>> '{a,worst}', 'warning', 'however bad');
select stands('a', 'sub_5', 'high', '2 hours', '-1 second');
select is(standing() #>> '{a,worst}', 'high', 'until its time has run out');
select stands('a', 'sub_1' || n, p_age => '3 hours') from generate_series(0, 3) n;
select is((standing() #>> '{a,count}', jsonb_array_length(standing() #> '{a,samples}'))::text, '(7,5)', 'five of them are named');
select is(standing('["a", "b"]') -> 'b', '{"count": 1, "fixed": 0, "worst": "critical", "samples": ["sub_3"]}', 'each class for itself');
select stands('c', null);
select is(standing('["c"]') #> '{c,samples}', '["unnamed"]', 'what has no name');

select closed('due', '59 minutes', 'repaired', 'b', p_id => 'sub_20'), closed('changed', '5 minutes', 'moved', 'b', p_id => 'sub_21'), closed('due', '6 minutes', 'created', 'b', p_id => 'sub_22');
select is(standing('["b"]') -> 'b', '{"count": 4, "fixed": 3, "worst": "critical", "samples": ["sub_3", "sub_21", "sub_22", "sub_20"]}', 'what such runs have put right within an hour counts, too');
select closed('due', '61 minutes', 'repaired', 'b'), closed('all', '1 minute', 'repaired', 'b'), closed('due', '1 minute', 'cleared', 'b'), closed('due', '1 minute', 'repaired', 'a');
select is(standing('["b"]') #>> '{b,fixed}', '3', 'not before, not by runs over everything, not what went away, and nothing of another class');
select closed('due', '2 minutes', 'repaired', 'b', p_id => 'sub_3' || n) from generate_series(0, 4) n;
select is((standing('["b"]') #>> '{b,fixed}', jsonb_array_length(standing('["b"]') #> '{b,samples}'))::text, '(8,6)', 'five of these are named');
select closed('due', '1 minute', 'repaired', 'd', p_id => 'sub_40');
select is(standing('["d"]'), '{"d": {"count": 1, "fixed": 1, "worst": null, "samples": ["sub_40"]}}', 'what is put right is not bad');

select * from finish();
rollback;
