-- A run's life: every outcome of a start, and the fencing of heartbeat and finish.
begin;
\ir helpers/actors.psql
select no_plan();

create function tests.start(p_key text, p_type text default 'scheduled', p_hours integer default 24, p_client text default null)
returns jsonb language sql as $$
  select tests.call('service_role', format('public.start_reconciliation_run(%L, %L, %s, 330, %L, null, %L)',
                                           p_key, p_type, p_hours, 'cron', p_client))
$$;
create function tests.expire() returns void language sql as $$
  update public.reconciliation_logs set lease_expires_at = clock_timestamp() - interval '1 second' where status = 'running'
$$;
create function tests.finish_run(p_run jsonb, p_status text, p_more text default '') returns jsonb language sql as $$
  select tests.call('service_role', format(
    'public.finish_reconciliation_run(%L, %s, %L, %L, %L %s)', p_run ->> 'id', p_run ->> 'attempt', p_status,
    '{"created_count": 1, "updated_count": 2, "mismatch_count": 3, "superseded_count": 4, "skipped_count": 5,
      "error_count": 6, "total_issues": 7, "scanned_count": 8}', 'in a sentence', p_more))
$$;
create temporary table seen (name text primary key, answer jsonb);
create function tests.see(p_name text, p_answer jsonb) returns jsonb language sql as $$
  insert into seen values (p_name, p_answer) returning answer
$$;
create function tests.run_of(p_name text) returns jsonb language sql as $$ select answer -> 'run' from seen where name = p_name $$;

-- created -----------------------------------------------------------------------------------------------------------------

select is(see('first', start('scheduled_2026-11-23_10')) ->> 'outcome', 'created', 'nothing runs: created');
select is(run_of('first') ->> 'status', 'running', 'it is running');
select is(run_of('first') ->> 'attempt', '1', 'as the first attempt');
select is(run_of('first') ->> 'run_key', 'scheduled_2026-11-23_10', 'under its key');
select is(run_of('first') ->> 'triggered_by', 'cron', 'and says who started it');
select is((select answer -> 'resume' from seen where name = 'first'), 'null'::jsonb, 'there is nothing to go on with');
select ok((select lease_expires_at - started_at = interval '330 seconds' from public.reconciliation_logs),
          'its lease is as long as was asked for');
select is((select array_agg(key order by key) from jsonb_object_keys(run_of('first')) key),
  array['attempt', 'created_count', 'duration_ms', 'error_code', 'error_count', 'error_message', 'finished_at',
        'heartbeat_at', 'held_count', 'id', 'lease_expires_at', 'lookback_hours', 'message', 'mismatch_count', 'run_key', 'run_type',
        'scanned_count', 'scope', 'skipped_count', 'started_at', 'status', 'superseded_count', 'sweep_started_at', 'total_issues',
        'triggered_by', 'updated_count', 'waiting_count'], 'a run is shown with these fields, without cursor and result');
select matches(run_of('first') ->> 'started_at', '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$', 'times are RFC 3339 in UTC');

select is((select count(*)::integer from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()), 1,
          'starts are taken one by one: a lock until the transaction ends');

-- existing_running and busy ---------------------------------------------------------------------------------------------

select is(see('again', start('scheduled_2026-11-23_10')) ->> 'outcome', 'existing_running', 'the same key runs');
select is(run_of('again') ->> 'id', run_of('first') ->> 'id', 'a duplicate gets the run''s id');
select is(see('other', start('manual_2026-11-23_10:05', 'manual')) ->> 'outcome', 'busy', 'another key runs');
select is(run_of('other') ->> 'id', run_of('first') ->> 'id', 'and gets the id of that one');
select is((select count(*)::integer from public.reconciliation_logs), 1, 'neither wrote a row');

-- heartbeat ----------------------------------------------------------------------------------------------------------------

select is(call('service_role', format('public.heartbeat_reconciliation_run(%L, 1, 1000, %L, %L)', run_of('first') ->> 'id',
  '{"windows": [1]}', '{"scanned_count": 5000000000, "created_count": 1, "updated_count": 2, "mismatch_count": 3,
    "superseded_count": 4, "skipped_count": 5, "error_count": 6, "total_issues": 7}')),
  '{"outcome": "extended"}', 'a heartbeat extends the lease');
select ok((select lease_expires_at > clock_timestamp() + interval '990 seconds' from public.reconciliation_logs), 'as far as it says');
select is((select cursor from public.reconciliation_logs), '{"windows": [1]}', 'and keeps the cursor');
select is((select (scanned_count, created_count, updated_count, mismatch_count, superseded_count, skipped_count, error_count,
                   total_issues)::text from public.reconciliation_logs), '(5000000000,1,2,3,4,5,6,7)', 'and the counts');
select is(call('service_role', format('public.heartbeat_reconciliation_run(%L, 1, 1)', run_of('first') ->> 'id')),
  '{"outcome": "extended"}', 'a heartbeat with nothing to say');
select ok((select lease_expires_at > clock_timestamp() + interval '990 seconds' and cursor is not null
             and scanned_count = 5000000000 from public.reconciliation_logs), 'takes nothing away');
select is(call('service_role', format('public.heartbeat_reconciliation_run(%L, 2, 5000)', run_of('first') ->> 'id')),
  '{"outcome": "fenced"}', 'another attempt is fenced');
select is(call('service_role', 'public.heartbeat_reconciliation_run(gen_random_uuid(), 1, 5000)'),
  '{"outcome": "fenced"}', 'another run is fenced');
select ok((select lease_expires_at < clock_timestamp() + interval '1010 seconds' from public.reconciliation_logs),
          'and changes nothing');

-- reclaimed -----------------------------------------------------------------------------------------------------------------

select expire();
select is(see('second', start('scheduled_2026-11-23_10')) ->> 'outcome', 'reclaimed', 'the lease expired: reclaimed');
select is(run_of('second') ->> 'attempt', '2', 'as the second attempt');
select isnt(run_of('second') ->> 'id', run_of('first') ->> 'id', 'in a row of its own');
select is((select answer -> 'resume' from seen where name = 'second'), '{"windows": [1]}', 'it goes on where the dead one was');
select is((select cursor from public.reconciliation_logs where status = 'running'), '{"windows": [1]}',
          'and would hand that on, if it died at once');
select is((select (status, error_code, finished_at is not null)::text from public.reconciliation_logs where attempt = 1),
  '(error,stale_run,t)', 'the dead attempt ended as stale_run');
select is(call('service_role', format('public.heartbeat_reconciliation_run(%L, 1, 5000)', run_of('first') ->> 'id')),
  '{"outcome": "fenced"}', 'its heartbeat is fenced');
select is(finish_run(run_of('first'), 'success'), '{"outcome": "fenced"}', 'its finish is fenced');
select is((select (status, error_code)::text from public.reconciliation_logs where attempt = 1), '(error,stale_run)',
          'and changes nothing');
select is(finish_run(run_of('second') || '{"attempt": 1}', 'success'), '{"outcome": "fenced"}', 'a finish needs the attempt');
select is((select status from public.reconciliation_logs where attempt = 2), 'running', 'the living attempt runs on');

-- busy with an expired lease ------------------------------------------------------------------------------------------------

select expire();
select is(see('third', start('scheduled_2026-11-23_11')) ->> 'outcome', 'created', 'another key''s lease expired: created');
select is((select string_agg(run_key || ' ' || attempt || ' ' || status, ', ' order by run_key, attempt)
           from public.reconciliation_logs),
  'scheduled_2026-11-23_10 1 error, scheduled_2026-11-23_10 2 error, scheduled_2026-11-23_11 1 running', 'and the dead one ended');
select is((select error_code from public.reconciliation_logs where attempt = 2), 'stale_run', 'as stale_run');

-- finish --------------------------------------------------------------------------------------------------------------------

select throws_ok($$select public.finish_reconciliation_run(gen_random_uuid(), 1, 'running', '{}', 'm')$$, '22023', null,
                 'a run does not end as running');
select is(see('finished', finish_run(run_of('third'), 'success', $$, null, null, '{"answer": 42}', null,
  '[{"alert_key": "drift", "alert_type": "drift", "state": "holds", "severity": "warning", "message": "m"}]'$$)) ->> 'outcome',
  'finished', 'a run ends');
select is((select answer -> 'alerts' from seen where name = 'finished'),
  '{"raised": ["drift"], "refreshed": [], "resolved": []}', 'with its alerts');
select is((select (status, finished_at is not null, lease_expires_at is null, message, result, cursor is null)::text
           from public.reconciliation_logs where run_key like '%11'),
  '(success,t,t,"in a sentence","{""answer"": 42}",t)', 'and keeps what it was told');
select is((select (created_count, updated_count, mismatch_count, superseded_count, skipped_count, error_count, total_issues,
                   scanned_count)::text from public.reconciliation_logs where run_key like '%11'), '(1,2,3,4,5,6,7,8)',
          'with its counts');
select is(finish_run(run_of('third'), 'success', $$, null, null, '{"answer": 42}'$$) ->> 'outcome', 'finished',
          'the same finish again, as its answer was lost');
select is(finish_run(run_of('third'), 'success', $$, null, null, '{"answer": 43}'$$) ->> 'outcome', 'fenced',
          'another result is a late writer''s');
select is(finish_run(run_of('third'), 'error', $$, null, null, '{"answer": 42}'$$) ->> 'outcome', 'fenced',
          'another status is a late writer''s');
select is(finish_run(run_of('third'), 'success', $$, 'x', null, '{"answer": 42}'$$) ->> 'outcome', 'fenced',
          'another error code is a late writer''s');
select is((select (status, result, occurrences)::text from public.reconciliation_logs, public.billing_alerts
           where run_key like '%11'), '(success,"{""answer"": 42}",1)', 'and none of these changed anything');

-- existing_finished ------------------------------------------------------------------------------------------------------

select is(see('duplicate', start('scheduled_2026-11-23_11')) ->> 'outcome', 'existing_finished', 'the same key was a success');
select is(run_of('duplicate') ->> 'id', run_of('third') ->> 'id', 'a duplicate gets its id');
select is((select answer -> 'result' from seen where name = 'duplicate'), '{"answer": 42}', 'and its result');
select is(see('fourth', start('scheduled_2026-11-23_12')) -> 'resume', 'null'::jsonb, 'a success leaves nothing to go on with');
select is(finish_run(run_of('fourth'), 'partial', $$, null, null, '{}', '{"windows": [2]}'$$) ->> 'outcome', 'finished', 'partial');
select is(start('scheduled_2026-11-23_12') ->> 'outcome', 'existing_finished', 'the same key was partial');

-- A new attempt after an error ----------------------------------------------------------------------------------------------

select is(see('fifth', start('scheduled_2026-11-23_13')) -> 'resume', '{"windows": [2]}', 'the next run goes on where a partial one stopped');
select is(finish_run(run_of('fifth'), 'error', $$, 'stripe_error', 'refused', '{}', '{"windows": [3]}'$$) ->> 'outcome', 'finished', 'error');
select is(see('sixth', start('scheduled_2026-11-23_13')) ->> 'outcome', 'created', 'the same key ended in error: created');
select is(run_of('sixth') ->> 'attempt', '2', 'as a new attempt');
select is((select answer -> 'resume' from seen where name = 'sixth'), '{"windows": [3]}', 'that goes on where the failed one stopped');
select is((select (status, error_code, error_message)::text from public.reconciliation_logs where id = (run_of('fifth') ->> 'id')::uuid),
  '(error,stripe_error,refused)', 'the failed attempt stays as it ended');
select finish_run(run_of('sixth'), 'success');

-- A manual run begins a new sweep, but for one that has just begun ---------------------------------------------------------

-- Ends the running run as partial, its sweep begun that long ago.
create function tests.leave(p_age interval) returns void language sql as $$
  update public.reconciliation_logs set sweep_started_at = clock_timestamp() - p_age where status = 'running';
  select tests.finish_run(to_jsonb(r), 'partial', $q$, null, null, '{}', '{"windows": [4]}'$q$)
  from public.reconciliation_logs r where status = 'running';
$$;
select start('scheduled_2026-11-23_20');
select leave('10 minutes');
select is(see('manual', start('manual_2026-11-23_20:01', 'manual')) ->> 'outcome', 'created', 'Reconcile Now, ten minutes into a sweep');
select is((select answer -> 'resume' from seen where name = 'manual'), 'null'::jsonb, 'does not go on with that sweep');
select ok((select cursor is null and sweep_started_at = started_at from public.reconciliation_logs where status = 'running'),
          'but begins one of its own, which is what it hands on');
select leave('9 minutes');
select is(see('soon', start('manual_2026-11-23_20:02', 'manual')) -> 'resume', '{"windows": [4]}', 'into a younger sweep: it goes on with it');
select ok((select started_at - sweep_started_at between interval '9 minutes' and interval '10 minutes'
           from public.reconciliation_logs where status = 'running'), 'as a part of it');
select leave('11 minutes');
select is(start('request_22222222-2222-4222-8222-222222222222', 'request') -> 'resume', '{"windows": [4]}', 'any other run goes on, whatever the age');
select leave('11 minutes');
update public.reconciliation_logs set sweep_started_at = null where cursor is not null;
select is(start('manual_2026-11-23_20:03', 'manual') -> 'resume', 'null'::jsonb, 'a sweep of unknown age, of an earlier version, is not gone on with');
select finish_run(to_jsonb(r), 'success') from public.reconciliation_logs r where status = 'running';

-- A running row without a lease is an earlier schema's leftover ------------------------------------------------------------

insert into public.reconciliation_logs (run_key, run_type, status) values ('scheduled_2026-11-23_14', 'scheduled', 'running');
select is(start('scheduled_2026-11-23_15') ->> 'outcome', 'created', 'a run without a lease stands in nobody''s way');
select is((select error_code from public.reconciliation_logs where run_key like '%14'), 'stale_run', 'and ends as stale_run');
select finish_run(to_jsonb(r), 'success') from public.reconciliation_logs r where status = 'running';

-- conflict -----------------------------------------------------------------------------------------------------------------

select is(see('request', start('request_11111111-1111-4111-8111-111111111111', 'request', 48)) ->> 'outcome', 'created', 'a request''s key');
select is(start('request_11111111-1111-4111-8111-111111111111', 'request', 48) ->> 'outcome', 'existing_running', 'used again as it was');
select is(see('conflict', start('request_11111111-1111-4111-8111-111111111111', 'request', 49)) ->> 'outcome', 'conflict', 'with other hours');
select is(run_of('conflict') ->> 'id', run_of('request') ->> 'id', 'the answer names the run');
select is(start('request_11111111-1111-4111-8111-111111111111', 'webhook_failure', 48) ->> 'outcome', 'conflict', 'with another type');
select finish_run(run_of('request'), 'success');
select is(start('request_11111111-1111-4111-8111-111111111111', 'request', 49) ->> 'outcome', 'conflict', 'after it has finished too');
select is(start('request_11111111-1111-4111-8111-111111111111', 'request', 48) ->> 'outcome', 'existing_finished', 'and as it was');
select is(start('scheduled_2026-11-23_11', 'scheduled', 48) ->> 'outcome', 'existing_finished', 'an hour''s key has no parameters');

-- The promise does not rest on the function alone ---------------------------------------------------------------------------

select start('scheduled_2026-11-23_16');
select throws_ok($$insert into public.reconciliation_logs (run_key, run_type, attempt) values ('scheduled_2026-11-23_16', 'scheduled', 9)$$,
  '23505', null, 'a second running row is refused');
drop index public.reconciliation_logs_one_running;
select throws_ok($$insert into public.reconciliation_logs (run_key, run_type, attempt) values ('scheduled_2026-11-23_16', 'scheduled', 9)$$,
  '23505', null,
  'a second running row of the key is refused');
drop index public.reconciliation_logs_one_running_per_key;
select throws_ok($$insert into public.reconciliation_logs (run_key, run_type, attempt) values ('scheduled_2026-11-23_16', 'scheduled', 1)$$,
  '23505', null, 'an attempt is one row');

select * from finish();
rollback;
