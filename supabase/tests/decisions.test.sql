-- What a person decides about single differences: approve, take back, let stand; and that no run does otherwise. What crosses:
-- tests/adapter/races.test.sql.
begin;
\ir helpers/actors.psql
select no_plan();

insert into public.organizations (id, name)
select ('00000000-0000-4000-8000-0000000001' || lpad(n::text, 2, '0'))::uuid, 'Organization ' || n from generate_series(1, 40) n;
create function tests.org(p_n integer) returns text language sql as $$
  select '00000000-0000-4000-8000-0000000001' || lpad(p_n::text, 2, '0')
$$;
insert into public.subscriptions (organization_id, stripe_subscription_id, stripe_customer_id, status, tier, quantity)
select org(n)::uuid, 'sub_' || n, 'cus_' || n, 'active', 'pro', n from generate_series(1, 29) n;
-- A word that this table refuses.
alter table public.subscriptions add constraint known_words check (status <> 'no such word');

create function tests.person() returns uuid language sql as $$ select '00000000-0000-4000-8000-000000000001'::uuid $$;
create temporary table run as
select (call('service_role', $$public.start_reconciliation_run('scheduled_2026-11-23_10', 'scheduled', 24, 330)$$)
        -> 'run' ->> 'id')::uuid as id;
create function tests.next_run() returns void language plpgsql as $$
begin
  update public.reconciliation_logs set status = 'success', finished_at = now() where status = 'running';
  update run set id = (call('service_role', format($q$public.start_reconciliation_run(%L, 'request', 24, 330)$q$,
    'request_' || gen_random_uuid())) -> 'run' ->> 'id')::uuid;
end
$$;

-- p_sets: what its repair sets, by word. (The columns have the same names, but for the price.)
create function tests.finding(p_type text, p_subject text, p_sets jsonb, p_more jsonb default '{}') returns jsonb language sql as $$
  select jsonb_build_object('drift_key', p_type || ':' || p_subject, 'type', p_type, 'severity', 'high',
    'stripe_subscription_id', p_subject, 'stripe_customer_id', 'cus', 'livemode', true, 'issue', 'it differs', 'details', '{}'::jsonb,
    'lowers_access', false, 'sets', (select jsonb_agg(k order by k) from jsonb_object_keys(p_sets) k), 'proposal', p_sets) || p_more
$$;
create function tests.id_of(p_key text) returns uuid language sql as $$
  select id from public.drift where drift_key = p_key order by closed_at is null desc, first_seen_at desc limit 1
$$;
create function tests.batch(p_items jsonb, p_cleared jsonb default null) returns text language sql as $$
  select string_agg(concat_ws(': ', i ->> 0, i ->> 1), ', ' order by place)
  from jsonb_array_elements(tests.call('service_role', format('public.apply_reconciliation_batch(%L, 1, 330, %L, %L)',
    (select id from run), p_items, p_cleared)) -> 'items') with ordinality items (i, place)
$$;
-- A run puts a difference on record, and does nothing about it.
create function tests.stand(p_finding jsonb, p_action text default 'waiting') returns uuid language plpgsql as $$
begin
  perform tests.batch(jsonb_build_array(jsonb_build_object('kind', 'none', 'action', p_action, 'findings', jsonb_build_array(p_finding))));
  return tests.id_of(p_finding ->> 'drift_key');
end
$$;
-- A repair of a row at the version that it has, as a run sends it: with what the row says in what is set.
create function tests.update_of(p_subject text, variadic p_findings jsonb[]) returns jsonb language sql as $$
  select jsonb_build_object('kind', 'update', 'findings', to_jsonb(p_findings), 'was', said.was,
    'row', jsonb_build_object('key', r ->> 0, 'version', r ->> 1) || said.sets)
  from billing_ops.adapter_read(array[p_subject], null) r
  cross join lateral (
    select jsonb_object_agg(s.word, s.value) as sets, jsonb_object_agg(s.word, billing_ops.row_said(r) -> s.word) as was
    from unnest(p_findings) f, jsonb_each(f -> 'proposal') s (word, value)) said
$$;
create function tests.approval(p_finding jsonb) returns jsonb language sql as $$
  select tests.update_of(p_finding ->> 'stripe_subscription_id', p_finding) || jsonb_build_object('id', tests.id_of(p_finding ->> 'drift_key'))
$$;
create function tests.new_row(p_subject text, p_named jsonb, p_more jsonb default '{}') returns jsonb language sql as $$
  select jsonb_build_object('kind', 'create', 'named', p_named, 'row', row.said, 'findings',
    jsonb_build_array(tests.finding('missing_in_database', p_subject, row.said - 'stripe_subscription_id' - 'customer')))
  from (select '{"status": "active"}'::jsonb || jsonb_build_object('stripe_subscription_id', p_subject) || p_more as said) row
$$;
-- p_owner: who was shown.
create function tests.creation(p_subject text, p_owner text, p_named jsonb, p_more jsonb default '{}') returns jsonb language sql as $$
  select tests.new_row(p_subject, p_named, p_more)
    || jsonb_build_object('id', tests.id_of('missing_in_database:' || p_subject), 'owner', p_owner)
$$;
create function tests.decided(p_items jsonb, p_gone jsonb default '[]', p_changed jsonb default '[]') returns jsonb language sql as $$
  select tests.call('service_role', format('public.apply_drift_decisions(%L, %L, %L, %L)', person(), p_items, p_gone, p_changed))
$$;
create function tests.decide(variadic p_items jsonb[]) returns text language sql as $$
  select coalesce((select string_agg(concat_ws(': ', i ->> 0, i ->> 1), ', ' order by place)
                   from jsonb_array_elements(a -> 'items') with ordinality items (i, place)), a ->> 'outcome')
  from tests.decided(to_jsonb(p_items)) a
$$;
create function tests.entries(p_subject text) returns text language sql as $$
  select string_agg(concat_ws(' | ', type, case when closed_at is null then 'open' else 'closed' end, action, reason), ', '
                    order by first_seen_at, drift_key)
  from public.drift where stripe_subscription_id = p_subject
$$;
create function tests.entry(p_key text) returns public.drift language sql as $$
  select d from public.drift d where d.id = tests.id_of(p_key)
$$;
create function tests.row_of(p_subject text) returns public.subscriptions language sql as $$
  select s from public.subscriptions s where stripe_subscription_id = p_subject
$$;
create function tests.version_of(p_subject text) returns text language sql as $$
  select xmin::text from public.subscriptions where stripe_subscription_id = p_subject
$$;
create function tests.last_event(p_id uuid) returns text language sql as $$
  select concat_ws(' ', event, case when actor = person() then 'by the person' end, case when run_id is not null then 'by a run' end, note)
  from public.drift_events where drift_id = p_id order by id desc limit 1
$$;
create function tests.canceled(p_subject text) returns jsonb language sql as $$
  select tests.finding('status_mismatch', p_subject, '{"status": "canceled"}')
$$;

-- A repair that is approved -------------------------------------------------------------------------------------------------------

select stand(canceled('sub_1')) as e1 \gset
select is((entry('status_mismatch:sub_1')).proposal, '{"status": "canceled"}', 'what stands holds what would be set');
create temporary table answer as select decided(jsonb_build_array(approval(canceled('sub_1')))) as answer;
select is((select answer - 'drift' from answer), '{"outcome": "applied", "items": [["repaired", null]]}', 'approved');
select is((select (status, tier, quantity)::text from row_of('sub_1')), '(canceled,pro,1)', 'it is written, and nothing else');
select is((select (action, severity, closed_at is not null, closed_run_id, decided_by, decided_at is not null, proposal)::text
           from entry('status_mismatch:sub_1')),
  (select ('repaired', 'info', true, null::uuid, person(), true, null::jsonb)::text), 'its entry is closed by the person, by no run, and proposes nothing any more');
select is((select (before, row_key, row_version)::text from entry('status_mismatch:sub_1')),
  (select ('{"status": "active"}'::jsonb, (row_of('sub_1')).id::text, version_of('sub_1'))::text), 'what it said before is kept');
select is(last_event(:'e1'), 'repaired by the person', 'history says who');
select is((select (answer #>> '{drift,0,id}', answer #>> '{drift,0,action}')::text from answer), (select (:'e1', 'repaired')::text),
  'the answer has the entry as it is now');

-- Once closed it is written no more, though the row would let it.
select app($$update public.subscriptions set status = 'active' where stripe_subscription_id = 'sub_1'$$);
select approval(canceled('sub_1')) as again \gset
select is(decide(:'again'), 'closed', 'a second approval of the same: closed');
select is((row_of('sub_1')).status, 'active', 'and the row is left alone');
select is((select count(*) from public.drift_events where drift_id = :'e1'), 2::bigint, 'nor has it a history');
select is((select count(*) from public.drift where stripe_subscription_id = 'sub_1'), 1::bigint, 'nor another entry');

-- Somebody else has decided otherwise while Stripe was asked.
select stand(canceled('sub_2')) as other \gset
select approval(canceled('sub_2')) as late \gset
update public.drift set action = 'excepted', excepted_until = now() + interval '1 day' where id = :'other';
select is(decide(:'late'), 'closed', 'what somebody lets stand meanwhile is not written');
update public.drift set action = 'waiting', excepted_until = null where id = :'other';
insert into public.drift_policies (type, mode) values ('status_mismatch', 'observe');
select is(decide(:'late'), 'closed', 'nor what somebody wants to be looked at only');
select is((row_of('sub_2')).status, 'active', 'the row is as it was');
delete from public.drift_policies;
delete from public.drift where id = :'other';

-- A row that was written meanwhile.
select stand(canceled('sub_2')) as e2 \gset
select approval(canceled('sub_2')) as late \gset
select app($$update public.subscriptions set tier = 'team' where stripe_subscription_id = 'sub_2'$$);
select is(decide(:'late'), 'superseded', 'a row that was written since it was looked at');
select is((select (status, tier)::text from row_of('sub_2')), '(active,team)', 'is left as it is');
select is(entries('sub_2'), 'status_mismatch | open | superseded', 'and the difference stands');
select is((select (proposal, severity, before, row_key, decided_by)::text from entry('status_mismatch:sub_2')),
  (select ('{"status": "canceled"}'::jsonb, 'high', null::jsonb, null::text, person())::text), 'as bad as it was, with what it proposes');
select is(last_event(:'e2'), 'superseded by the person', 'on record');
select decide(:'late');
select is((select string_agg(event, ' ' order by id) from public.drift_events where drift_id = :'e2'), 'waiting superseded superseded', 'each time somebody tries');
select is(decide(approval(canceled('sub_2'))), 'repaired', 'and can be approved again');

-- What is not there any more, and what is not what was shown.
select stand(canceled('sub_3')) as e3, stand(canceled('sub_4')) as e4, stand(canceled('sub_5')) as e5 \gset
create temporary table versions as select stripe_subscription_id, xmin::text as version, status from public.subscriptions;
select is(decided('[]', jsonb_build_array(:'e3'), jsonb_build_array(jsonb_build_object('id', :'e4', 'finding',
    finding('status_mismatch', 'sub_4', '{"status": "unpaid"}', '{"issue": "another", "severity": "warning", "lowers_access": true, "details": {"status": 1}}')))) - 'drift',
  '{"outcome": "applied", "items": []}', 'nothing to write');
select is((select (action, closed_at is not null, closed_run_id, decided_by, proposal)::text from entry('status_mismatch:sub_3')),
  (select ('cleared', true, null::uuid, person(), null::jsonb)::text), 'gone: the entry is closed');
select is(last_event(:'e3'), 'cleared by the person', 'on record');
select is((select (proposal, issue, severity, lowers_access, details, action, closed_at, decided_by)::text from entry('status_mismatch:sub_4')),
  (select ('{"status": "unpaid"}'::jsonb, 'another', 'warning', true, '{"status": 1}'::jsonb, 'waiting', null::timestamptz, null::uuid)::text),
  'changed: the entry shows what would be done now, and nobody has decided about that');
select set_eq('select stripe_subscription_id, xmin::text as version, status from public.subscriptions', 'table versions', 'no row is written');
select is((entry('status_mismatch:sub_5')).action, 'waiting', 'nor is any other entry touched');
create temporary table ended as select * from public.drift where id = :'e3';
select decided('[]', jsonb_build_array(:'e3'), jsonb_build_array(jsonb_build_object('id', :'e3', 'finding', canceled('sub_3'))));
select set_eq(format('select * from public.drift where id = %L', :'e3'), 'table ended', 'what is closed is neither closed again nor changed');

-- A new row -------------------------------------------------------------------------------------------------------------------------

create function tests.missing(p_subject text, p_owner text) returns uuid language sql as $$
  select tests.stand(tests.finding('missing_in_database', p_subject, '{"status": "active"}', jsonb_build_object('owner', p_owner)))
$$;
create function tests.named(p_metadata text, p_checkout text default null, p_payer text default null) returns jsonb language sql as $$
  select jsonb_strip_nulls(jsonb_build_object('metadata', p_metadata, 'checkout', p_checkout, 'client_reference_id', p_payer))
$$;
select missing('sub_n1', org(31)) as n1, missing('sub_n2', org(32)) as n2, missing('sub_n3', org(33)) as n3, missing('sub_n4', org(34)) as n4,
  missing('sub_n5', org(35)) as n5, missing('sub_n6', org(6)) as n6, missing('sub_n7', org(7)) as n7 \gset
select is(decide(creation('sub_n1', org(31), named(org(31)), '{"customer": "cus_n1", "tier": "pro"}')), 'created', 'for the owner who was shown');
select is((select (organization_id, stripe_customer_id, status, tier)::text from row_of('sub_n1')),
  (select (org(31), 'cus_n1', 'active', 'pro')::text), 'the row is there');
select is((select (action, owner, closed_run_id, decided_by, proposal, before)::text from entry('missing_in_database:sub_n1')),
  (select ('created', org(31), null::uuid, person(), null::jsonb, null::jsonb)::text), 'on record');
select is(last_event(:'n1'), 'created by the person', 'and who did it');
select is(decide(creation('sub_n2', org(32), named(org(33)))), 'organization_mismatch', 'now the metadata name another than who was shown');
select is(decide(creation('sub_n6', org(32), '{}', '{"customer": "cus_6"}')), 'organization_mismatch', 'or somebody else has the customer');
select is(decide(creation('sub_n3', org(33), named(null, null, org(33)))),
  'waiting: none yet: only the checkout''s client_reference_id names the owner, and whoever pays can set it',
  'a client_reference_id is nobody''s word, whoever approves it');
select is(decide(creation('sub_n4', org(34), '{}')), 'organization_unknown', 'now nobody is named');
select is(decide(creation('sub_n5', org(35), named(org(35), org(34)))), 'organization_mismatch', 'now two are');
select is((select count(*) from public.subscriptions where stripe_subscription_id ~ '^sub_n[2-6]'), 0::bigint, 'none of them gets a row');
select is((select string_agg(distinct concat_ws(' ', action, closed_at, decided_by), ',') from public.drift where id in (:'n2', :'n3', :'n4', :'n5', :'n6')),
  'waiting', 'and each waits as before');
select is(decide(creation('sub_n7', org(7), '{}', '{"customer": "cus_7"}')), 'created', 'who was shown has the customer');
select missing('sub_8', org(8)) as n8 \gset
select is(decide(creation('sub_8', org(8), named(org(8)))), 'superseded', 'a row that came meanwhile');
select is((select count(*) from public.subscriptions where stripe_subscription_id = 'sub_8'), 1::bigint, 'makes no second one');

-- Refused by the table.
select stand(finding('status_mismatch', 'sub_9', '{"status": "no such word"}')) as e9, missing('sub_n9', org(36)) as n9 \gset
select is(decide(approval(finding('status_mismatch', 'sub_9', '{"status": "no such word"}')),
    creation('sub_n9', org(36), named(org(36)), '{"status": "no such word"}')),
  'refused: check constraint known_words refuses it (23514), refused: check constraint known_words refuses it (23514)', 'what the table refuses');
select is((select (action, reason, severity, closed_at, proposal is null)::text from entry('status_mismatch:sub_9')),
  (select ('refused', 'check constraint known_words refuses it (23514)', 'high', null::timestamptz, false)::text), 'stands, and says why');
select is((select (action, severity, closed_at)::text from entry('missing_in_database:sub_n9')), (select ('refused', 'critical', null::timestamptz)::text),
  'somebody who pays has no row, and stays without: critical');

-- Each item has its own fate.
select stand(canceled('sub_10')), stand(canceled('sub_11')), stand(canceled('sub_12')), stand(finding('status_mismatch', 'sub_13', '{"status": "no such word"}')),
  missing('sub_n10', org(37)), missing('sub_n11', org(38)), stand(canceled('sub_14'));
create temporary table five as select jsonb_build_array(approval(canceled('sub_10')), approval(canceled('sub_11')), approval(canceled('sub_12')),
  approval(finding('status_mismatch', 'sub_13', '{"status": "no such word"}')), creation('sub_n10', org(37), named(org(37))),
  creation('sub_n11', org(38), named(org(39)))) as items;
select app($$update public.subscriptions set quantity = 99 where stripe_subscription_id = 'sub_10'$$);
select decided('[]', jsonb_build_array(id_of('status_mismatch:sub_12')));
select is((select decided(items, jsonb_build_array(id_of('status_mismatch:sub_14'))) -> 'items' from five), '[["superseded", null], ["repaired", null], ["closed", null],
  ["refused", "check constraint known_words refuses it (23514)"], ["created", null], ["organization_mismatch", null]]', 'several at once, each as it is');
select is((select string_agg(status, ' ' order by stripe_subscription_id) from public.subscriptions
  where stripe_subscription_id in ('sub_10', 'sub_11', 'sub_12', 'sub_13', 'sub_14', 'sub_n10', 'sub_n11')),
  'active canceled active active active active', 'rows');
select is((select string_agg(concat_ws(' ', stripe_subscription_id, action, case when closed_at is null then 'open' end), ', ' order by stripe_subscription_id)
  from public.drift where stripe_subscription_id in ('sub_10', 'sub_11', 'sub_12', 'sub_13', 'sub_14', 'sub_n10', 'sub_n11')),
  'sub_10 superseded open, sub_11 repaired, sub_12 cleared, sub_13 refused open, sub_14 cleared, sub_n10 created, sub_n11 waiting open', 'and entries');

-- Somebody else closes the entry while the row is being written: here a trigger of the table's.
select stand(canceled('sub_15')), stand(canceled('sub_16'));
create function tests.close_entry() returns trigger language plpgsql as $$
begin
  update public.drift set action = 'cleared', closed_at = now() where drift_key = 'status_mismatch:sub_16' and closed_at is null;
  return new;
end
$$;
create trigger tests_close_entry after update on public.subscriptions for each row execute function tests.close_entry();
select is(decide(approval(canceled('sub_15')), approval(canceled('sub_16'))), 'conflict', 'no write without its entry');
drop trigger tests_close_entry on public.subscriptions;
select is((select string_agg(status, ' ') from public.subscriptions where stripe_subscription_id in ('sub_15', 'sub_16')), 'active active', 'nothing is written');
select is((select string_agg(action, ' ') from public.drift where stripe_subscription_id in ('sub_15', 'sub_16') and decided_by is null), 'waiting waiting', 'nor on record');

select is(decided('[]') - 'drift', '{"outcome": "applied", "items": []}', 'nothing to decide');
select is(attempt('admin', 'select public.apply_drift_decisions(null, ''[]'')'), 'denied', 'no session gets past the setting');

-- What a write overwrote ---------------------------------------------------------------------------------------------------------

select next_run();
update public.subscriptions set quantity = null, stripe_price_id = 'price_old', current_period_end = '2026-11-01Z', trial_end = null,
  cancel_at_period_end = true where stripe_subscription_id = 'sub_17';
-- Of one row three differences, which one write repairs; and one that sets nothing.
create function tests.three(p_subject text) returns jsonb[] language sql as $$
  select array[tests.finding('status_mismatch', p_subject, '{"status": "past_due"}'), tests.finding('tier_mismatch', p_subject, '{"tier": "team"}'),
    tests.finding('quantity_mismatch', p_subject, '{"quantity": 7}'),
    tests.finding('price_mismatch', p_subject, '{"price": "price_new", "trial_end": 1796083200, "cancel_at_period_end": false, "period_end": 1796083200}')]
$$;
create function tests.before(p_key text) returns jsonb language sql as $$ select (tests.entry(p_key)).before $$;
select stand((three('sub_17'))[2]);
select is((entry('tier_mismatch:sub_17')).proposal, '{"tier": "team"}', 'it stands, and proposes');
select is(batch(jsonb_build_array(update_of('sub_17', variadic three('sub_17')))), 'repaired', 'a run repairs what is wrong with a row at once');
select is((entry('tier_mismatch:sub_17')).proposal, null, 'what is repaired proposes nothing');
select is(array[before('status_mismatch:sub_17'), before('tier_mismatch:sub_17'), before('quantity_mismatch:sub_17'), before('price_mismatch:sub_17')],
  array['{"status": "active"}', '{"tier": "pro"}', '{"quantity": null}',
    '{"price": "price_old", "trial_end": null, "cancel_at_period_end": true, "period_end": 1793491200}']::jsonb[],
  'each difference has what it overwrote, what was nothing too');
select is((select array_agg(distinct row_version) from public.drift where stripe_subscription_id = 'sub_17'), array[version_of('sub_17')], 'and the version that the write left');
select is(batch(jsonb_build_array(jsonb_build_object('kind', 'none', 'action', 'held', 'findings', jsonb_build_array(canceled('sub_18'))))), 'held', 'what is not written');
select is(before('status_mismatch:sub_18'), null, 'overwrites nothing');

-- Take back ----------------------------------------------------------------------------------------------------------------------

create function tests.taken_back(p_id uuid) returns jsonb language sql as $$
  select tests.call('service_role', format('public.revert_drift(%L, %L, %L)', p_id, person(), 'by mistake'))
$$;
create function tests.take_back(p_id uuid) returns text language sql as $$
  select concat_ws(': ', a ->> 'outcome', a ->> 'reason') from tests.taken_back(p_id) a
$$;
create function tests.whole(p_subject text) returns text language sql as $$
  select (status, tier, quantity, stripe_price_id, extract(epoch from current_period_end)::bigint, cancel_at_period_end, trial_end)::text
  from tests.row_of(p_subject)
$$;
select id_of('status_mismatch:sub_17') as status, id_of('tier_mismatch:sub_17') as tier, id_of('quantity_mismatch:sub_17') as seats,
  id_of('price_mismatch:sub_17') as price \gset
create temporary table back as select taken_back(:'status') as answer;
select is((select answer ->> 'outcome' from back), 'reverted', 'taken back');
select is((select (status, tier, quantity)::text from row_of('sub_17')), '(active,team,7)', 'the row says again what it said; the rest stays');
select is((select (action, reason, decided_by, note, row_version, closed_at is not null)::text from public.drift where id = :'status'),
  (select ('reverted', null::text, person(), 'by mistake', null::text, true)::text), 'on record');
select is(last_event(:'status'), 'reverted by the person by mistake', 'and who did it, and why');
select is((select (action, type, severity, note, decided_by, closed_at, before, excepted_until between now() + interval '6 days 23 hours' and now() + interval '7 days 1 hour')::text
           from entry('status_mismatch:sub_17')),
  (select ('excepted', 'status_mismatch', 'warning', 'by mistake', person(), null::timestamptz, null::jsonb, true)::text), 'the difference is there again, and is let stand for a week');
select is(last_event(id_of('status_mismatch:sub_17')), 'excepted by the person by mistake', 'on record, too');
select is((select array[answer #>> '{drift,id}', answer #>> '{excepted,id}'] from back), array[:'status', id_of('status_mismatch:sub_17')::text], 'both are answered');
select version_of('sub_17') as v \gset
select is(take_back(:'status'), 'not_repaired', 'once');
select is(version_of('sub_17'), :'v', 'and no second time');
select is(take_back(:'seats'), 'reverted', 'what the same write repaired beside it can be taken back, too');
select is(take_back(:'price'), 'reverted', 'and the next');
select is(take_back(:'tier'), 'reverted', 'and the last');
select is(whole('sub_17'), '(active,pro,,price_old,1793491200,t,)', 'then the row is exactly what it was');

-- Not over anybody's write.
select next_run();
select batch(jsonb_build_array(update_of('sub_19', canceled('sub_19'))));
select app($$update public.subscriptions set tier = tier where stripe_subscription_id = 'sub_19'$$);
select version_of('sub_19') as v \gset
create temporary table entries_before as table public.drift;
select is(take_back(id_of('status_mismatch:sub_19')), 'superseded', 'somebody wrote the row since');
select is(version_of('sub_19'), :'v', 'the row is left alone');
select set_eq('table public.drift', 'table entries_before', 'and nothing is on record');
select batch(jsonb_build_array(update_of('sub_20', canceled('sub_20'))));
delete from public.subscriptions where stripe_subscription_id = 'sub_20';
select is(take_back(id_of('status_mismatch:sub_20')), 'superseded', 'or deleted it');
select batch(jsonb_build_array(update_of('sub_21', canceled('sub_21'))));
alter table public.subscriptions add constraint no_way_back check (stripe_subscription_id <> 'sub_21' or status <> 'active');
select is(take_back(id_of('status_mismatch:sub_21')), 'refused: check constraint no_way_back refuses it (23514)', 'or the table does not take it any more');
select is((select (action, decided_by)::text from entry('status_mismatch:sub_21')), (select ('repaired', null::uuid)::text), 'then it stays repaired');

-- An older repair is under a newer one.
select batch(jsonb_build_array(update_of('sub_22', canceled('sub_22'))));
select id_of('status_mismatch:sub_22') as older \gset
select next_run();
select batch(jsonb_build_array(update_of('sub_22', finding('status_mismatch', 'sub_22', '{"status": "unpaid"}'))));
select id from public.drift where stripe_subscription_id = 'sub_22' and id <> :'older' \gset newer_
select is(take_back(:'older'), 'superseded', 'an older repair of the row');
select is((row_of('sub_22')).status, 'unpaid', 'does not come back over the newer one');
select is(take_back(:'newer_id'), 'reverted', 'which can be taken back');
select is(take_back(:'older'), 'superseded', 'and does not open the way to the older one');
select is((row_of('sub_22')).status, 'canceled', 'the row is as the older one left it');

-- Where the difference has come back by itself, that entry is the one which is let stand.
select batch(jsonb_build_array(update_of('sub_23', canceled('sub_23'))));
select id_of('status_mismatch:sub_23') as done, next_run() as next \gset
select stand(canceled('sub_23')) as again \gset
select is(take_back(:'done'), 'reverted', 'taken back');
select is((select (id, action, note)::text from entry('status_mismatch:sub_23')), (select (:'again', 'excepted', 'by mistake')::text), 'one entry, which is let stand');

select is(take_back(id_of('missing_in_database:sub_n1')), 'created', 'a row that was made is not deleted');
select isnt(row_of('sub_n1'), null, 'it is there');
select is(take_back(id_of('status_mismatch:sub_18')), 'not_repaired', 'what stands cannot be taken back');
select is(take_back(id_of('status_mismatch:sub_3')), 'not_repaired', 'nor what went away by itself');
select is(take_back(gen_random_uuid()), 'not_found', 'nor what is not there');
-- Repaired before anybody kept what was there.
update public.drift set before = null where id = :'older';
select is(take_back(:'older'), 'not_repaired', 'nor what nobody knows the before of');
-- A person's own approval, too.
select is(take_back(id_of('status_mismatch:sub_11')), 'reverted', 'what a person approved can be taken back');
select is((row_of('sub_11')).status, 'active', 'alike');

-- Let stand ------------------------------------------------------------------------------------------------------------------------

create function tests.except_for(p_id uuid, p_days integer default 30) returns text language sql as $$
  select tests.call('service_role', format('public.except_drift(%L, %L, %s, %L)', p_id, person(), p_days, 'a gift')) ->> 'outcome'
$$;
create function tests.unexcept(p_id uuid, p_repair_mode text default 'auto') returns text language sql as $$
  select concat_ws(' ', a ->> 'outcome', a #>> '{drift,action}', a #>> '{drift,reason}')
  from tests.call('service_role', format('public.unexcept_drift(%L, %L, %L)', p_id, person(), p_repair_mode)) a
$$;
select next_run();
select stand(canceled('sub_24'), 'observed') as e24 \gset
select is(except_for(:'e24'), 'excepted', 'a difference is let stand');
select is((select (action, reason, note, decided_by, closed_at, excepted_until between now() + interval '29 days 23 hours' and now() + interval '30 days 1 hour')::text
           from entry('status_mismatch:sub_24')), (select ('excepted', null::text, 'a gift', person(), null::timestamptz, true)::text), 'for so many days, and why');
select is(last_event(:'e24'), 'excepted by the person a gift', 'on record');
select is(call('service_role', $$public.read_subscriptions_for_reconcile('[]', '["sub_24", "sub_18"]')$$) -> 'excepted', '["status_mismatch:sub_24"]', 'a run is told');
select next_run();
select stand(canceled('sub_24') || '{"reason": "none yet"}', action) from unnest(array['observed', 'none', 'waiting', 'held']) action;
select is((select (action, reason, seen_count)::text from entry('status_mismatch:sub_24')), '(excepted,,2)', 'whatever a run makes of it, it stays so');
select is((select string_agg(event, ' ' order by id) from public.drift_events where drift_id = :'e24'), 'observed excepted', 'which is no news');
-- The run did not know.
select next_run();
select is(batch(jsonb_build_array(update_of('sub_24', canceled('sub_24')), update_of('sub_25', canceled('sub_25')))),
  'superseded: left alone: a person decided about it while the run looked, repaired', 'a repair that a person has just forbidden');
select is((row_of('sub_24')).status, 'active', 'is not made');
select is(entries('sub_24'), 'status_mismatch | open | excepted', 'and it is still let stand');
select missing('sub_gift', org(40)) as gift \gset
select except_for(:'gift'), next_run();
select is(batch(jsonb_build_array(new_row('sub_gift', named(org(40))))), 'superseded: left alone: a person decided about it while the run looked', 'nor a new row');
select is(row_of('sub_gift'), null, 'there is none');
-- One of the two differences that one write would repair.
select stand((three('sub_26'))[2]) as tier26 \gset
select except_for(:'tier26');
select is(batch(jsonb_build_array(update_of('sub_26', variadic three('sub_26')))), 'superseded: left alone: a person decided about it while the run looked',
  'one forbidden difference holds back the write that would repair it');
select is((select (status, tier)::text from row_of('sub_26')), '(active,pro)', 'as a whole');
-- What a person approves after all waits until somebody has ended that.
select is(decide(approval(canceled('sub_24'))), 'closed', 'who let it stand has to end that first');
select is((row_of('sub_24')).status, 'active', 'until then it is not written');
select is(entries('sub_24'), 'status_mismatch | open | excepted', 'and stands');

-- Until then.
select next_run();
select stand(canceled('sub_27'), 'observed') as e27 \gset
select except_for(:'e27', 3);
update public.drift set excepted_until = now() - interval '1 second' where id = :'e27';
select is(call('service_role', $$public.read_subscriptions_for_reconcile('[]', '["sub_27"]')$$) -> 'excepted', '[]', 'when the days are over a run is not told any more');
select next_run();
select stand(canceled('sub_27'), 'waiting');
select is((entry('status_mismatch:sub_27')).action, 'waiting', 'and its word counts');
select is(batch(jsonb_build_array(update_of('sub_27', canceled('sub_27')))), 'waiting', 'within a run what is on record is so');
select next_run();
select is(batch(jsonb_build_array(update_of('sub_27', canceled('sub_27')))), 'repaired', 'the next one repairs it');
select stand(canceled('sub_28'), 'observed') as e28 \gset
select except_for(:'e28');
select batch('[]', '["status_mismatch:sub_28"]');
select is(entries('sub_28'), 'status_mismatch | closed | cleared', 'what is let stand and goes away by itself is closed');
select is(except_for(:'e28'), 'closed', 'and cannot be let stand any more');
select is((select action from public.drift where id = :'e28'), 'cleared', 'it is what it was');
select is(except_for(gen_random_uuid()), 'not_found', 'nor what is not there');

-- Ended by a person: at once what the mode says.
select stand(canceled('sub_29'), 'observed') as e29 \gset
create function tests.ended_in(p_stored text, p_setting text) returns text language plpgsql as $$
declare
  v_id uuid := tests.id_of('status_mismatch:sub_29');
begin
  delete from public.drift_policies;
  insert into public.drift_policies (type, mode) values ('status_mismatch', p_stored);
  perform tests.except_for(v_id);
  return tests.unexcept(v_id, p_setting);
end
$$;
select is(ended_in(stored, setting), said, format('%s, and the setting is %s', stored, setting))
from (values ('observe', 'auto', 'done observed'), ('auto', 'observe', 'done observed'), ('approve', 'auto', 'done waiting'),
             ('auto', 'approve', 'done waiting'), ('observe', 'approve', 'done observed'), ('approve', 'observe', 'done observed'),
             ('auto', 'auto', 'done observed none yet: the next run repairs it')) modes (stored, setting, said);
select is((select (excepted_until, note, decided_by)::text from entry('status_mismatch:sub_29')), (select (null::timestamptz, null::text, person())::text), 'nothing of it is left');
select is(last_event(:'e29'), 'observed by the person the exception was ended', 'but in its history');
select is(batch(jsonb_build_array(update_of('sub_29', canceled('sub_29')))), 'observed', 'within the run that had it on record it is so');
select next_run();
select is(batch(jsonb_build_array(update_of('sub_29', canceled('sub_29')))), 'repaired', 'and the next run repairs it');
update public.drift_policies set mode = 'approve';
select stand(finding('unknown_price', 'sub_29', '{}', '{"proposal": null}'), 'none') as price29 \gset
select except_for(:'price29');
select is(unexcept(:'price29'), 'done none', 'where nothing can be done nobody waits');
select is(unexcept(:'price29'), 'already none', 'once');
select is(unexcept(:'e29'), 'closed repaired', 'nor what is closed');
select is(unexcept(gen_random_uuid()), 'not_found', 'nor what is not there');
delete from public.drift_policies;

-- Before a person decides ----------------------------------------------------------------------------------------------------------

create function tests.shown(p_actor text, p_ids text, p_claims jsonb default null) returns jsonb language sql as $$
  select tests.call(p_actor, format('public.admin_drift_for_approval(%L, %L)', p_ids, '192.0.2.1'), p_claims)
$$;
select next_run();
select stand(canceled('sub_5')) as e5 \gset
select is(shown('member', jsonb_build_array(:'e5')::text), '{"outcome": "forbidden"}', 'who is no admin is shown nothing');
select is(shown('admin', jsonb_build_array(:'e5')::text, claims(1, '{"is_anonymous": true}')), '{"outcome": "unauthorized"}', 'nor is an anonymous sign-in');
select is(attempt('anon', $$select public.admin_drift_for_approval('[]')$$), 'denied', 'nor is who is not signed in');
select is((select count(*) from public.rate_limit_windows), 0::bigint, 'and nothing is written');
select is(call('member', $$billing_ops.rows_for_approval('["sub_5"]')$$), null, 'the rows are not shown by another way either');
create temporary table shown as select shown('admin', jsonb_build_array(:'e5', :'e28', gen_random_uuid())::text) as answer;
select is((select array[answer ->> 'outcome', answer ->> 'user_id'] from shown), array['ok', person()::text], 'an admin, and who that is');
select set_eq($$select e ->> 'id' from shown, jsonb_array_elements(answer -> 'drift') e$$, array[:'e5', :'e28'], 'the entries; what is not there is not among them');
select is((select answer #> '{drift}' @> jsonb_build_array(billing_ops.drift_json(d)) from shown, public.drift d where d.id = :'e5'), true, 'as they are');
select is((select jsonb_agg(r -> 3) from shown, jsonb_array_elements(answer #> '{group,rows}') r), '["sub_5"]', 'the rows of those that stand, as they are');
select is((select answer #> '{group,rows,0,1}' from shown), to_jsonb(version_of('sub_5')), 'in the version against which they are written');
select is((select (answer -> 'ground') - 'horizon' from shown), call('service_role', 'public.read_adapter_for_reconcile(null)') - 'horizon', 'and the ground');
select is(shown('admin', '[]') - 'ground' - 'group', jsonb_build_object('outcome', 'ok', 'user_id', person(), 'drift', '[]'::jsonb), 'none');
select is(jsonb_array_length(shown('admin', jsonb_build_array(gen_random_uuid())::text) -> 'drift'), 0, 'what nobody knows leaves nothing');

-- One row for each owner -------------------------------------------------------------------------------------------------------------

select next_run();
create table public.holders (id text primary key);
insert into public.holders values ('ann'), ('ben'), ('cyd'), ('dan');
create table public.seats (
  id bigint primary key generated always as identity, holder text not null unique, cus text, sub text unique, state text,
  plan text, price text, seats integer, trial_end timestamptz, starred boolean not null default true);
insert into public.seats (holder, cus, sub, state, plan, price, seats, trial_end) values
  ('ann', 'cus_ann', 'sub_ann', 'canceled', 'pro', 'price_old', 7, '2026-01-01Z'),
  ('ben', 'cus_ben', 'sub_ben', 'canceled', 'pro', 'price_old', null, '2026-01-02Z'),
  ('cyd', null, null, 'free', null, null, null, null),
  ('dan', 'cus_dan', 'sub_dan', 'canceled', 'pro', 'price_old', 9, null);
select billing_ops.adopt('{"table": "public.seats", "key": "id", "stripe_subscription_id": "sub", "owner": {"column": "holder", "table": "public.holders",
  "key": "id"}, "customer": {"column": "cus"}, "status": "state", "tier": "plan", "price": "price", "quantity": "seats", "trial_end": "trial_end",
  "writes": "update_and_insert"}');
create function tests.seat(p_holder text) returns text language sql as $$
  select (cus, sub, state, plan, price, seats, extract(epoch from trial_end)::bigint)::text from public.seats where holder = p_holder
$$;
create temporary table seats_before as select holder, seat(holder) from public.seats;
create function tests.live(p_subject text, p_owner text) returns jsonb language sql as $$
  select tests.new_row(p_subject, jsonb_build_object('metadata', p_owner), jsonb_build_object('customer', 'cus_new', 'price', 'price_new'))
    || '{"gives_way": ["canceled"]}'
    -- As the app names what is set.
    || jsonb_build_object('findings', jsonb_build_array(tests.finding('missing_in_database', p_subject, '{"status": "active", "price": "price_new"}',
      '{"proposal": {"state": "active", "price": "price_new"}, "stripe_customer_id": "cus_new"}')))
$$;
select is(batch(jsonb_build_array(live('sub_1', 'ann'), live('sub_3', 'cyd'))), 'moved, moved', 'rows that are pointed at another subscription');
select is(seat('ann'), '(cus_new,sub_1,active,pro,price_new,,)', 'with nothing of the old one');
select is(before('missing_in_database:sub_1'),
  '{"stripe_subscription_id": "sub_ann", "customer": "cus_ann", "status": "canceled", "price": "price_old", "quantity": 7, "trial_end": 1767225600}',
  'what the row said of the old one is kept: its id, its customer, what was set, and what was taken away');
select is((entry('missing_in_database:sub_1')).details, '{"sub": {"database": "sub_ann", "stripe": "sub_1"}, "cus": {"database": "cus_ann", "stripe": "cus_new"},
  "state": {"database": "canceled", "stripe": "active"}, "price": {"database": "price_old", "stripe": "price_new"},
  "seats": {"database": 7, "stripe": null}, "trial_end": {"database": 1767225600, "stripe": null}}', 'and told');
select is((entry('missing_in_database:sub_3')).details, '{"sub": {"database": null, "stripe": "sub_3"}, "cus": {"database": null, "stripe": "cus_new"},
  "state": {"database": "free", "stripe": "active"}, "price": {"database": null, "stripe": "price_new"}}', 'of one that was empty: nothing that was not there');
select is(take_back(id_of('missing_in_database:sub_1')), 'reverted', 'taken back');
select is(take_back(id_of('missing_in_database:sub_3')), 'reverted', 'the other, too');
-- A row that was read afresh, as it is sent: with what it says in what is set.
create function tests.moved_to(p_subject text, p_holder text) returns jsonb language sql as $$
  select jsonb_build_object('kind', 'update', 'findings', tests.live(p_subject, p_holder) -> 'findings',
    'was', jsonb_build_object('stripe_subscription_id', s.sub, 'customer', s.cus, 'status', s.state, 'price', s.price),
    'row', jsonb_build_object('key', s.id::text, 'version', s.xmin::text, 'stripe_subscription_id', p_subject, 'customer', 'cus_new',
      'status', 'active', 'price', 'price_new'))
  from public.seats s where s.holder = p_holder
$$;
select is(batch(jsonb_build_array(moved_to('sub_2', 'ben'))), 'moved', 'by compare-and-set');
select is(seat('ben'), '(cus_new,sub_2,active,pro,price_new,,)', 'with nothing of the old one');
select is(before('missing_in_database:sub_2') ->> 'trial_end', '1767312000', 'what was taken away is kept, though nobody sent it');
select is(take_back(id_of('missing_in_database:sub_2')), 'reverted', 'taken back');
-- What a person approves.
select stand(live('sub_4', 'dan') #> '{findings,0}') as e4 \gset
select is(decide(live('sub_4', 'dan') || jsonb_build_object('id', :'e4', 'owner', 'dan')), 'moved', 'approved');
select is(seat('dan'), '(cus_new,sub_4,active,pro,price_new,,)', 'moved');
select is((select (action, decided_by, closed_run_id)::text from entry('missing_in_database:sub_4')), (select ('moved', person(), null::uuid)::text), 'on record');
select is(take_back(:'e4'), 'reverted', 'and taken back');
select set_eq('select holder, seat(holder) from public.seats', 'table seats_before', 'each follows its old subscription again, and says of it what it said');
select stand(live('sub_5', 'ann') #> '{findings,0}') as e5 \gset
update public.seats set state = 'active' where holder = 'ann';
select is(decide(live('sub_5', 'ann') || jsonb_build_object('id', :'e5', 'owner', 'ann')), 'occupied: sub_ann', 'a row that gives access does not give way');
select is((select (action, decided_by)::text from entry('missing_in_database:sub_5')), (select ('waiting', null::uuid)::text), 'and the difference waits as before');

-- Where nothing may be written no person can have it written.
select billing_ops.adopt((select mapping from billing_ops.adoption) || '{"writes": "none"}');
select is(decide(moved_to('sub_5', 'ann') || jsonb_build_object('id', :'e5')), 'refused: the mapping says that nothing is written', 'writes: none');
select is(take_back(id_of('missing_in_database:sub_4')), 'not_repaired', 'what has been taken back stays so');

-- An exception that ends is told before it does.
create function tests.ending(p_until interval, p_since interval) returns text language sql as $$
  with excepted as (
    update public.drift set action = 'excepted', excepted_until = now() + p_until, decided_at = now() - p_since
    where drift_key = 'missing_in_database:sub_5' returning id
  )
  select id::text from excepted
$$;
select ending('2 days', '5 days') is not null as set \gset
select is((select (o ->> 'state', o ->> 'severity', o #>> '{metadata,count}')::text from billing_ops.exceptions_ending() o), '(holds,info,1)', 'three days before');
select ending('5 days', '5 days') is not null as set \gset
select is(billing_ops.exceptions_ending() ->> 'state', 'clear', 'not earlier');
select ending('-1 hour', '5 days') is not null as set \gset
select is(billing_ops.exceptions_ending() ->> 'state', 'clear', 'nor afterwards');
select ending('2 days', '1 hour') is not null as set \gset
select is(billing_ops.exceptions_ending() ->> 'state', 'clear', 'nor of one that was short from the start: its end is no news');

select * from finish();
rollback;
