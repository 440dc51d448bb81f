-- A batch of repairs: what becomes of each item and why, compare-and-set, whose a new row is, replay, fencing, history.
begin;
\ir helpers/actors.psql
select no_plan();

insert into public.organizations (id, name)
select ('00000000-0000-4000-8000-0000000001' || lpad(n::text, 2, '0'))::uuid, 'Organization ' || n from generate_series(1, 20) n;
create function tests.org(p_n integer) returns text language sql as $$
  select '00000000-0000-4000-8000-0000000001' || lpad(p_n::text, 2, '0')
$$;
insert into public.subscriptions (organization_id, stripe_subscription_id, stripe_customer_id, status, tier, quantity)
select org(n)::uuid, 'sub_' || n, 'cus_' || n, 'active', 'pro', n from generate_series(1, 9) n;
-- A word that this table refuses.
alter table public.subscriptions add constraint known_words check (status <> 'no such word');

-- A run to write under -------------------------------------------------------------------------------------------------------

create temporary table run as
select (call('service_role', $$public.start_reconciliation_run('scheduled_2026-11-23_10', 'scheduled', 24, 330)$$)
        -> 'run' ->> 'id')::uuid as id;

create function tests.finding(p_type text, p_subject text) returns jsonb language sql as $$
  select jsonb_build_array(jsonb_build_object('drift_key', p_type || ':' || p_subject, 'type', p_type, 'severity', 'high',
    'stripe_subscription_id', p_subject, 'stripe_customer_id', 'cus', 'livemode', true, 'issue', 'it differs',
    'details', '{"status": {"database": "active", "stripe": "canceled"}}'::jsonb))
$$;
-- A repair of a row at the version that it has.
create function tests.update_item(p_subject text, p_row jsonb) returns jsonb language sql as $$
  select jsonb_build_object('kind', 'update', 'findings', tests.finding('status_mismatch', p_subject),
    'row', jsonb_build_object('key', s.id::text, 'version', s.xmin::text) || p_row)
  from public.subscriptions s where s.stripe_subscription_id = p_subject
$$;
create function tests.named_item(p_subject text, p_named jsonb, p_more jsonb default '{}') returns jsonb language sql as $$
  select jsonb_build_object('kind', 'create', 'named', p_named, 'findings', tests.finding('missing_in_database', p_subject),
    'row', '{"status": "active"}'::jsonb || jsonb_build_object('stripe_subscription_id', p_subject) || p_more)
$$;
-- For whom its own metadata name, if anybody.
create function tests.create_item(p_subject text, p_owner text, p_more jsonb default '{}') returns jsonb language sql as $$
  select tests.named_item(p_subject, case when p_owner is not null then jsonb_build_object('metadata', p_owner) end, p_more)
$$;
create function tests.by_payer() returns text language sql as $$
  select 'none yet: only the checkout''s client_reference_id names the owner, and whoever pays can set it'
$$;
create function tests.apply_all(p_items jsonb, p_attempt integer default 1, p_cleared jsonb default null, p_looked_up jsonb default null)
returns jsonb language sql as $$
  select tests.call('service_role', format('public.apply_reconciliation_batch(%L, %s, 330, %L, %L, %L, %L, %L)',
    (select id from run), p_attempt, p_items, p_cleared, '{"windows": []}', '{"scanned_count": 12}', p_looked_up))
$$;
-- The outcomes, and a reason behind its outcome; or what else is answered.
create function tests.apply(p_items jsonb, p_attempt integer default 1, p_cleared jsonb default null) returns text language sql as $$
  select coalesce((select string_agg(concat_ws(': ', i ->> 0, i ->> 1), ', ' order by place)
                   from jsonb_array_elements(a -> 'items') with ordinality items (i, place)), (a - 'entries')::text)
  from tests.apply_all(p_items, p_attempt, p_cleared) a
$$;
create function tests.entry_of(p_subject text) returns text language sql as $$
  select string_agg(concat_ws(' | ', type, case when closed_at is null then 'open' else 'closed' end, action, reason), ', '
                    order by drift_key)
  from public.drift where stripe_subscription_id = p_subject
$$;
create function tests.row_of(p_subject text) returns public.subscriptions language sql as $$
  select s from public.subscriptions s where stripe_subscription_id = p_subject
$$;
create function tests.version_of(p_subject text) returns text language sql as $$
  select xmin::text from public.subscriptions where stripe_subscription_id = p_subject
$$;

-- Every outcome in one batch ------------------------------------------------------------------------------------------------

-- sub_3 is read, and written by a webhook before the batch comes.
create temporary table batch as select jsonb_build_array(
  update_item('sub_2', '{"status": "canceled", "quantity": 22, "cancel_at_period_end": true, "price": "price_1",
    "period_start": 1793491200, "period_end": 1796083200, "trial_end": 1794096000}'),
  update_item('sub_3', '{"status": "canceled"}'),
  update_item('sub_4', '{"status": "no such word"}'),
  create_item('sub_new', org(11), '{"customer": "cus_new", "tier": "pro", "quantity": 5, "period_end": 1796083200}'),
  create_item('sub_5', org(12)),
  create_item('sub_customer', null, '{"customer": "cus_6"}'),
  create_item('sub_stranger', null, '{"customer": "cus_nobody"}'),
  create_item('sub_nowhere', gen_random_uuid()::text, '{"customer": null}'),
  create_item('sub_odd', org(13), '{"status": "no such word"}'),
  jsonb_build_object('kind', 'none', 'action', 'held', 'findings', finding('status_mismatch', 'sub_7')),
  jsonb_build_object('kind', 'none', 'findings', finding('missing_in_stripe', 'sub_8')),
  jsonb_build_object('kind', 'none', 'action', 'none', 'findings',
    jsonb_build_array(finding('unknown_price', 'sub_9') -> 0 || '{"reason": "none: tell us the price"}',
                      finding('customer_mismatch', 'sub_9') -> 0)),
  create_item('sub_torn', org(14), '{"customer": "cus_4"}'),
  named_item('sub_payer', jsonb_build_object('client_reference_id', org(15)), '{"customer": "cus_payer"}'),
  update_item('sub_1', '{"quantity": 111}') || '{"findings": []}') as items;
select app($$update public.subscriptions set tier = 'team' where stripe_subscription_id = 'sub_3'$$);
create temporary table versions as select stripe_subscription_id, xmin::text as version from public.subscriptions;

create temporary table answer as select apply_all((select items from batch)) as answer;
select is((select answer - 'entries' from answer), '{"outcome": "applied", "items": [["repaired", null], ["superseded", null],
  ["refused", "check constraint known_words refuses it (23514)"], ["created", null], ["superseded", null], ["created", null],
  ["organization_unknown", null], ["organization_unknown", null], ["refused", "check constraint known_words refuses it (23514)"],
  ["held", null], ["none", null], ["none", null], ["organization_mismatch", null],
  ["waiting", "none yet: only the checkout''s client_reference_id names the owner, and whoever pays can set it"], ["repaired", null]]}', 'each item has its outcome, and why, in the order of the items');
select set_eq($$select e ->> 0 as k, e ->> 1 as i, e ->> 2 as t from answer, jsonb_array_elements(answer -> 'entries') e$$,
  'select drift_key, id::text, billing_ops.utc(first_seen_at) from public.drift', 'and each difference its entry');

select is((select (status, quantity, cancel_at_period_end, stripe_price_id, current_period_start, current_period_end, trial_end, tier,
                   organization_id, stripe_customer_id)::text from row_of('sub_2')),
  (select ('canceled', 22, true, 'price_1', timestamptz '2026-11-01Z', timestamptz '2026-12-01Z', timestamptz '2026-11-08Z', 'pro',
           org(2), 'cus_2')::text), 'repaired: the fields that were given, and no others');
select isnt(version_of('sub_2'), (select version from versions where stripe_subscription_id = 'sub_2'), 'which makes another version of it');
select is(entry_of('sub_2'), 'status_mismatch | closed | repaired', 'and it is on record');
select is((select (status, tier)::text from row_of('sub_3')), '(active,team)', 'superseded: the row is left as the webhook wrote it');
select is(version_of('sub_3'), (select version from versions where stripe_subscription_id = 'sub_3'), 'and nothing writes it');
select is(entry_of('sub_3'), 'status_mismatch | open | superseded', 'on record');
select is((select status from row_of('sub_4')), 'active', 'refused: the row is left alone');
select is(entry_of('sub_4'), 'status_mismatch | open | refused | check constraint known_words refuses it (23514)', 'on record, and why');
select is((select (organization_id, stripe_customer_id, status, tier, quantity, current_period_end, trial_end)::text
           from row_of('sub_new')), (select (org(11), 'cus_new', 'active', 'pro', 5, timestamptz '2026-12-01Z', null)::text),
  'created: for the organization that was named');
select is(entry_of('sub_new'), 'missing_in_database | closed | created', 'on record');
select is((select owner from public.drift where stripe_subscription_id = 'sub_new'), org(11), 'with whose it is');
select is((row_of('sub_5')).organization_id::text, org(5), 'a row that came in the meantime keeps what it has');
select is(entry_of('sub_5'), 'missing_in_database | open | superseded', 'on record');
select is((row_of('sub_customer')).organization_id::text, org(6), 'created: for the one organization that has the customer');
select is((select owner from public.drift where stripe_subscription_id = 'sub_customer'), org(6), 'with whose it turned out to be');
select is(row_of('sub_stranger'), null, 'no organization known: no row');
select is(entry_of('sub_stranger'), 'organization_unknown | open | none', 'on record, as a difference of another class');
select is((select (severity, drift_key)::text from public.drift where stripe_subscription_id = 'sub_stranger'),
  '(warning,organization_unknown:sub_stranger)', 'of its own severity and key');
select is(row_of('sub_nowhere'), null, 'an organization that does not exist: no row');
select is(entry_of('sub_nowhere'), 'organization_unknown | open | none', 'on record');
select is(row_of('sub_odd'), null, 'refused: no row');
select is(entry_of('sub_odd'), 'missing_in_database | open | refused | check constraint known_words refuses it (23514)', 'on record, and why');
select results_eq('select action, type, severity from public.drift where type in (''missing_in_database'', ''status_mismatch'') group by 1, 2, 3 order by 1, 2',
  $$values ('created', 'missing_in_database', 'info'), ('held', 'status_mismatch', 'high'), ('refused', 'missing_in_database', 'critical'),
    ('refused', 'status_mismatch', 'high'), ('repaired', 'status_mismatch', 'info'), ('superseded', 'missing_in_database', 'high'),
    ('superseded', 'status_mismatch', 'high'), ('waiting', 'missing_in_database', 'high')$$,
  'what is mended wakes nobody; somebody pays and has no row, and it stays so: critical; everything else is as bad as it was');
select is(row_of('sub_torn'), null, 'two are told whose it is: no row');
select is(entry_of('sub_torn'), 'organization_mismatch | open | none', 'on record, as a difference of a third class');
select is((select (severity, drift_key)::text from public.drift where stripe_subscription_id = 'sub_torn'),
  '(critical,organization_mismatch:sub_torn)', 'which is for a person, at once');
select is(row_of('sub_payer'), null, 'named by whoever paid: no row');
select is(entry_of('sub_payer'), 'missing_in_database | open | waiting | ' || by_payer(), 'on record as waiting, and for what');
select is((select owner from public.drift where stripe_subscription_id = 'sub_payer'), org(15), 'with whom it would be given to');
select is(entry_of('sub_7'), 'status_mismatch | open | held', 'held, on record');
select is(entry_of('sub_8'), 'missing_in_stripe | open | none', 'none, on record');
select is(entry_of('sub_9'), 'customer_mismatch | open | none, unknown_price | open | none | none: tell us the price',
          'several differences of one subscription');
select is((select quantity from row_of('sub_1')), 111, 'a repair without a difference');
select is((select (severity, stripe_customer_id, livemode, issue, details)::text from public.drift
           where stripe_subscription_id = 'sub_2'),
  '(info,cus,t,"it differs","{""status"": {""stripe"": ""canceled"", ""database"": ""active""}}")', 'an entry says what it was told');
select is((select (cursor, scanned_count)::text from public.reconciliation_logs), '("{""windows"": []}",12)',
          'cursor and counts went with it');

-- The same batch again, after its answer was lost -----------------------------------------------------------------------------

-- Whose sub_stranger and sub_payer are has become known meanwhile, and sub_torn is one's alone.
select app($$update public.subscriptions set stripe_customer_id = 'cus_nobody' where stripe_subscription_id = 'sub_9'$$);
select app($$update public.subscriptions set stripe_customer_id = 'cus_payer' where stripe_subscription_id = 'sub_5'$$);
select app($$update public.subscriptions set stripe_customer_id = 'cus_other' where stripe_subscription_id = 'sub_4'$$);
create temporary table rows_before as select xmin::text as version, * from public.subscriptions;
create temporary table entries_before as select id, drift_key, severity, owner, action, reason, closed_at from public.drift;
select is(apply_all((select items - 14 from batch)) -> 'items', (select answer -> 'items' from answer) - 14, 'the same answers');
select set_eq('select xmin::text as version, * from public.subscriptions', 'table rows_before', 'and no second write, and no second row');
select set_eq('select id, drift_key, severity, owner, action, reason, closed_at from public.drift', 'table entries_before', 'no second entry');
select is((select count(*)::integer from public.drift_events), (select count(*)::integer from public.drift), 'nor event');
select app($$update public.subscriptions set status = 'active' where stripe_subscription_id = 'sub_2'$$);
select apply((select items - 14 from batch));
select is((select status from row_of('sub_2')), 'active', 'not even over a newer write');

select app($$update public.subscriptions set stripe_customer_id = replace(stripe_subscription_id, 'sub', 'cus')
  where stripe_subscription_id in ('sub_4', 'sub_5', 'sub_9')$$);

create function tests.batch_locks() returns bigint language sql as $$
  select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()
$$;
create temporary table locks as select batch_locks() as n;
select apply((select items - 14 from batch));
select is(batch_locks(), (select n from locks), 'one that is sent twice at once waits for itself');
select apply('[]', 1, '["one of its own"]');
select is(batch_locks(), (select n + 1 from locks), 'but for no other: a lock until the transaction ends, of each batch its own');

-- One entry for as long as a difference stands ------------------------------------------------------------------------------------

create function tests.next_run() returns void language plpgsql as $$
begin
  update public.reconciliation_logs set status = 'success', finished_at = now() where status = 'running';
  update run set id = (call('service_role', format($q$public.start_reconciliation_run(%L, 'request', 24, 330)$q$,
    'request_' || gen_random_uuid())) -> 'run' ->> 'id')::uuid;
end
$$;
create function tests.seen(p_subject text) returns text language sql as $$
  select (seen_count, first_run_id = last_run_id, action, closed_at is null)::text from public.drift
  where stripe_subscription_id = p_subject and type = 'status_mismatch'
$$;
create temporary table standing as select jsonb_build_array(
  jsonb_build_object('kind', 'none', 'action', 'held', 'findings', finding('status_mismatch', 'sub_7'))) as items;
select is(seen('sub_7'), '(1,t,held,t)', 'seen by one run');
select apply((select items from standing));
select is(seen('sub_7'), '(1,t,held,t)', 'the same run again: still one');
select next_run();
select apply((select items from standing));
select is(seen('sub_7'), '(2,f,held,t)', 'the next run: the same entry, seen twice');
select is((select count(*)::integer from public.drift where stripe_subscription_id = 'sub_7'), 1, 'no second row');
select is((select string_agg(event, ' ' order by e.id) from public.drift_events e join public.drift d on d.id = e.drift_id
           where d.stripe_subscription_id = 'sub_7'), 'held', 'history has an event where something happened, not one a run');
select next_run();
select apply(jsonb_build_array(jsonb_build_object('kind', 'none', 'findings', finding('status_mismatch', 'sub_7'))));
select is(seen('sub_7'), '(3,f,none,t)', 'another action');
select next_run();
select is(call('service_role', $$public.read_subscriptions_for_reconcile('[]', '["sub_7", "sub_2"]')$$) -> 'open',
          '[["sub_7", "status_mismatch:sub_7"]]', 'a run is told what stands of those that it reads');
select apply('[]', 1, '["status_mismatch:sub_7", "status_mismatch:sub_unheard_of"]');
select is(seen('sub_7'), '(3,f,cleared,f)', 'a run that looked and did not see it any more closes it');
select apply(jsonb_build_array(jsonb_build_object('kind', 'none', 'findings', finding('status_mismatch', 'sub_7'))));
select is((select count(*) from public.drift where stripe_subscription_id = 'sub_7' and closed_at is null), 1::bigint,
  'and where the same run finds it after all, it stands: what was cleared is no batch that is sent again');
delete from public.drift where stripe_subscription_id = 'sub_7' and closed_at is null;
select is((select closed_run_id from public.drift where stripe_subscription_id = 'sub_7'), (select id from run), 'and is on record');
select is((select string_agg(event, ' ' order by e.id) from public.drift_events e join public.drift d on d.id = e.drift_id
           where d.stripe_subscription_id = 'sub_7'), 'held none cleared', 'its whole history');
select next_run();
select apply((select items from standing));
select is((select count(*)::integer from public.drift where stripe_subscription_id = 'sub_7'), 2, 'if it comes back, that is another entry');
select next_run();
select apply(jsonb_build_array(update_item('sub_7', '{"status": "canceled"}')));
select is((select string_agg(action, ' ' order by first_seen_at) from public.drift where stripe_subscription_id = 'sub_7'),
          'cleared repaired', 'a repair closes the entry that stood');
select app($$update public.subscriptions set status = 'active' where stripe_subscription_id = 'sub_7'$$);

-- A subscription whose owner becomes known, or unknown, changes its class and leaves nothing behind.
select next_run();
insert into public.organizations (id, name) values ('00000000-0000-4000-8000-0000000000ff', 'Found');
select apply(jsonb_build_array(create_item('sub_stranger', '00000000-0000-4000-8000-0000000000ff', '{"customer": "cus_nobody"}')));
select is(entry_of('sub_stranger'), 'missing_in_database | closed | created, organization_unknown | closed | cleared',
          'the row is there: nothing stands of it');
delete from public.subscriptions where stripe_subscription_id = 'sub_stranger';

-- From one class to the next, whichever comes first: what a person looks at is what is so.
create function tests.one_of_three(p_subject text, p_named jsonb, p_more jsonb default '{}') returns text language plpgsql as $$
begin
  perform tests.next_run();
  perform tests.apply(jsonb_build_array(tests.named_item(p_subject, p_named, p_more)));
  return (select string_agg(concat_ws(' ', type, action, severity), ', ') from public.drift
    where stripe_subscription_id = p_subject and closed_at is null);
end
$$;
select is(one_of_three('sub_moody', jsonb_build_object('client_reference_id', org(1))), 'missing_in_database waiting high', 'it waits');
select is(one_of_three('sub_moody', '{"client_reference_id": "nobody"}'), 'organization_unknown none warning', 'then nobody is known');
select is(one_of_three('sub_moody', jsonb_build_object('metadata', org(1), 'checkout', org(2))), 'organization_mismatch none critical', 'then two are');
select is(one_of_three('sub_moody', '{}'), 'organization_unknown none warning', 'then nobody again');
select is(one_of_three('sub_moody', jsonb_build_object('client_reference_id', org(2))), 'missing_in_database waiting high', 'then it waits again');
select is(one_of_three('sub_moody', jsonb_build_object('metadata', org(1), 'checkout', org(2))), 'organization_mismatch none critical', 'then two are');
select is(one_of_three('sub_moody', jsonb_build_object('metadata', org(1)), '{"status": "no such word"}'), 'missing_in_database refused critical',
  'then the table refuses it');
select is(one_of_three('sub_moody', jsonb_build_object('metadata', org(1), 'checkout', org(2))), 'organization_mismatch none critical', 'then two are');
select is(one_of_three('sub_moody', jsonb_build_object('metadata', org(1))), null, 'then one: nothing stands of it');
select is((row_of('sub_moody')).organization_id::text, org(1), 'who has the row');
delete from public.subscriptions where stripe_subscription_id = 'sub_moody';

-- A row that is pointed at another subscription.
select next_run();
select apply(jsonb_build_array(jsonb_build_object('kind', 'none', 'action', 'moved', 'findings', finding('missing_in_stripe', 'sub_moved'))));
select is((select (severity, action, closed_at is null)::text from public.drift where stripe_subscription_id = 'sub_moved'), '(info,moved,f)',
  'what is moved wakes nobody either');

-- A sweep over everything closes what it has not seen; another one does not.
create function tests.standing() returns text language sql as $$
  select string_agg(drift_key, ' ' order by drift_key) from public.drift where closed_at is null and type <> 'missing_in_database'
$$;
create function tests.finish_run(p_judged jsonb) returns void language sql as $$
  select tests.call('service_role', format('public.finish_reconciliation_run(%L, 1, %L, %L, %L, p_judged => %L)',
    (select id from run), 'success', '{}', 'm', p_judged))
$$;
select next_run();
select apply(jsonb_build_array(jsonb_build_object('kind', 'none', 'findings', finding('customer_mismatch', 'sub_9'))));
select finish_run('[]');
select is(standing(), 'customer_mismatch:sub_9 missing_in_stripe:sub_8 organization_mismatch:sub_torn organization_unknown:sub_nowhere status_mismatch:sub_3 '
  || 'status_mismatch:sub_4 unknown_price:sub_9', 'a run that did not look at everything closes nothing');
select next_run();
select apply(jsonb_build_array(jsonb_build_object('kind', 'none', 'findings', finding('customer_mismatch', 'sub_9'))));
select finish_run('["customer_mismatch", "unknown_price", "status_mismatch", "organization_unknown", "organization_mismatch"]');
select is(standing(), 'customer_mismatch:sub_9 missing_in_stripe:sub_8',
          'one that did closes what it has not seen, of the classes that it judged');
select next_run();

-- More of compare-and-set -----------------------------------------------------------------------------------------------------

create function tests.repair(p_subject text, p_row jsonb) returns jsonb language sql as $$
  select tests.update_item(p_subject, p_row) || '{"findings": []}'
$$;
select is(apply(jsonb_build_array(repair('sub_6', '{"quantity": 6}'))), 'repaired', 'a repair at the row''s version');
select is((select (status, tier, quantity)::text from row_of('sub_6')), '(active,pro,6)', 'a field that is missing keeps its value');
select is(apply(jsonb_build_array(repair('sub_6', '{"tier": null, "quantity": null}'))), 'repaired', 'one that is null');
select is((select (status, tier, quantity)::text from row_of('sub_6')), '(active,,)', 'is set to null');
create temporary table stale as select repair('sub_7', '{"tier": "stale"}') as item;
select app($$update public.subscriptions set tier = tier where stripe_subscription_id = 'sub_7'$$);
select is(apply(jsonb_build_array((select item from stale))), 'superseded', 'a webhook wrote in between, if only the same: superseded');
select is((select tier from row_of('sub_7')), 'pro', 'and its write stands');
create temporary table gone as select repair('sub_8', '{"tier": "x"}') as item;
delete from public.subscriptions where stripe_subscription_id = 'sub_8';
select is(apply(jsonb_build_array((select item from gone))), 'superseded', 'a row that was deleted meanwhile: superseded');
select is(apply_all('[]'), '{"outcome": "applied", "items": [], "entries": []}', 'an empty batch');
select is(apply(jsonb_build_array(repair('sub_6', '{"livemode": true, "color": "red"}'))),
  'refused: nothing that it sets is mapped', 'fields that are not mapped');

-- Whose a new row is ------------------------------------------------------------------------------------------------------------

create function tests.created_for(p_subject text, p_owner text, p_more jsonb default '{}') returns text language plpgsql as $$
declare
  v_outcome text := tests.apply(jsonb_build_array(tests.create_item(p_subject, p_owner, p_more)));
begin
  return concat_ws(' ', v_outcome, (select right(organization_id::text, 2) from public.subscriptions where stripe_subscription_id = p_subject));
end
$$;
create function tests.named(p_metadata text, p_checkout text default null, p_payer text default null) returns jsonb language sql as $$
  select jsonb_strip_nulls(jsonb_build_object('metadata', p_metadata, 'checkout', p_checkout, 'client_reference_id', p_payer))
$$;
create function tests.owned(p_subject text, p_named jsonb, p_customer text default null) returns text language plpgsql as $$
declare
  v_outcome text := tests.apply(jsonb_build_array(tests.named_item(p_subject, p_named, jsonb_build_object('customer', p_customer))));
begin
  return concat_ws(' ', v_outcome, (select right(organization_id::text, 2) from public.subscriptions where stripe_subscription_id = p_subject));
end
$$;
create function tests.nobody() returns text language sql as $$ select '00000000-0000-4000-8000-0000000000ee' $$;

-- Each of the three by itself, and what goes before the payer's word.
select is(owned('sub_w1', named(org(13))), 'created 13', 'whom the metadata name');
select is(owned('sub_w2', '{}', 'cus_4'), 'created 04', 'who has the customer');
select is(owned('sub_w3', null, 'cus_4'), 'created 04', 'also where nothing is named; two rows of one owner are one owner');
select is(owned('sub_w4', named(null, org(13))), 'created 13', 'whom the checkout''s metadata name');
select is(owned('sub_w5', named(null, null, org(13))), 'waiting: ' || by_payer(), 'whom the payer names gets nothing yet');
select is(owned('sub_w6', named(org(13), null, org(14))), 'created 13', 'whoever pays takes nobody''s row: not whom the metadata name');
select is(owned('sub_w7', named(null, null, org(14)), 'cus_4'), 'created 04', 'not who has the customer');
select is(owned('sub_w8', named(null, org(13), org(14))), 'created 13', 'not whom the checkout''s metadata name');
select is(owned('sub_w9', named(null, null, org(4)), 'cus_4'), 'created 04', 'and may say what is known anyway');

-- What agrees, and what does not.
select is(owned('sub_a1', named(org(4), org(4)), 'cus_4'), 'created 04', 'all three say the same');
select is(owned('sub_m1', named(org(13)), 'cus_4'), 'organization_mismatch', 'the metadata name another than who has the customer');
select is(owned('sub_m2', named(org(13), org(14))), 'organization_mismatch', 'the checkout''s metadata name another than the subscription''s');
select is(owned('sub_m3', named(null, org(14)), 'cus_4'), 'organization_mismatch', 'or than who has the customer');
select is(owned('sub_m4', named(org(4), org(14)), 'cus_4'), 'organization_mismatch', 'two against one is no vote');
select is(owned('sub_m5', named(org(13), null, org(13)), 'cus_4'), 'organization_mismatch', 'nor has the payer one');
select is(entry_of('sub_m1'), 'organization_mismatch | open | none', 'on record');
select is((select count(*)::integer from public.subscriptions where stripe_subscription_id like 'sub_m_'), 0, 'none of them gets a row');

-- Who is gone.
select is(owned('sub_g1', named(nobody())), 'organization_unknown', 'the metadata name an owner who is gone');
select is(owned('sub_g2', named(nobody()), 'cus_4'), 'organization_unknown', 'nobody else comes in on that: not who has the customer');
select is(owned('sub_g3', named(nobody(), org(13))), 'organization_unknown', 'nor whom the checkout''s metadata name');
select is(owned('sub_g4', named(nobody(), org(13)), 'cus_4'), 'organization_unknown', 'though these contradict each other, too');
select is(owned('sub_g5', named(nobody(), null, org(13))), 'organization_unknown', 'least of all the payer, who is not waited for either');
select is(owned('sub_g6', named('nobody'), 'cus_4'), 'organization_unknown', 'a name that is none is nobody''s');
select is(owned('sub_g7', named(org(13), nobody())), 'created 13', 'a checkout of one who is gone contradicts nobody');
select is(owned('sub_g8', named(null, nobody()), 'cus_4'), 'created 04', 'not who has the customer');
select is(owned('sub_g9', named(null, nobody())), 'organization_unknown', 'and gives nobody a row');
select is(owned('sub_g0', named(null, nobody(), org(13))), 'waiting: ' || by_payer(), 'while whom the payer names can be asked');
select is(owned('sub_h1', named(null, null, nobody())), 'organization_unknown', 'if that is anybody');
select is((select count(*)::integer from public.drift where stripe_subscription_id ~ '^sub_(g|h)' and reason is not null
           and action <> 'waiting'), 0, 'no entry has a reason that is not its own');

-- What only is to be looked at is judged alike, and nothing is written.
create function tests.looked_at(p_subject text, p_named jsonb) returns text language sql as $$
  select tests.apply(jsonb_build_array(tests.named_item(p_subject, p_named) || '{"action": "observed"}'))
$$;
select is(looked_at('sub_o1', named(org(13))), 'observed', 'its owner is known');
select is((select owner from public.drift where stripe_subscription_id = 'sub_o1'), org(13), 'and on record');
select is(looked_at('sub_o2', named(org(13), org(14))), 'organization_mismatch', 'two are');
select is(looked_at('sub_o3', named(nobody())), 'organization_unknown', 'none is');
select is(looked_at('sub_o4', named(null, null, org(13))), 'waiting: ' || by_payer(), 'only the payer says so');
select is((select count(*)::integer from public.subscriptions where stripe_subscription_id like 'sub_o_'), 0, 'no row');

select is(created_for('sub_lost', null), 'organization_unknown', 'nobody is named and there is no customer');
update public.subscriptions set stripe_customer_id = 'cus_shared' where stripe_subscription_id in ('sub_1', 'sub_2');
select is(created_for('sub_shared', null, '{"customer": "cus_shared"}'), 'organization_unknown', 'two organizations share the customer: unknown');
select next_run();
select is(created_for('sub_shared', org(14), '{"customer": "cus_shared"}'), 'created 14', 'until Stripe says which');
-- One of each in one batch, so that none is taken for another.
select is(apply(jsonb_build_array(repair('sub_3', '{"quantity": 30}'), create_item('sub_x', null, '{"customer": "cus_none"}'),
    create_item('sub_y', null, '{"customer": "cus_3"}'), jsonb_build_object('kind', 'none', 'findings', '[]'::jsonb),
    create_item('sub_t', org(15), '{"customer": "cus_3"}'), named_item('sub_p', named(null, null, org(3))),
    create_item('sub_z', org(15), '{"customer": "cus_none"}'))),
  'repaired, organization_unknown, created, none, organization_mismatch, waiting: ' || by_payer() || ', created', 'several kinds');
select is(array[(row_of('sub_y')).organization_id, (row_of('sub_z')).organization_id]::text[], array[org(3), org(15)], 'each its own');
select is((row_of('sub_3')).organization_id::text, org(3), 'a repair gives a row to nobody');

-- What Stripe said of checkouts ---------------------------------------------------------------------------------------------------

select call('service_role', $$public.read_subscriptions_for_reconcile('[["sub_x", 1], ["sub_y", 2], ["sub_z", 3]]')$$);
select apply_all('[]', 1, null, jsonb_build_array(jsonb_build_array('sub_x', org(7), 'session'), '["sub_y", null, null]'::jsonb,
  '["sub_unheard_of", null, null]'::jsonb));
select results_eq($$select stripe_subscription_id, owner, owner_source, looked_up_at is not null from billing_ops.subscription_marks order by 1$$,
  $$values ('sub_x', org(7), 'session', true), ('sub_y', null, null, true), ('sub_z', null, null, false)$$,
  'is remembered, of those that a scan has seen');
select is((select jsonb_agg(l order by l) from jsonb_array_elements(call('service_role',
    $$public.read_subscriptions_for_reconcile('[]', '["sub_x", "sub_y", "sub_z"]')$$) -> 'looked_up') l),
  jsonb_build_array(jsonb_build_array('sub_x', org(7), 'session'), '["sub_y", null, null]'::jsonb), 'and told to the next run');
select apply_all('[]', 2, null, '[["sub_z", null, null]]');
select is((select looked_up_at from billing_ops.subscription_marks where stripe_subscription_id = 'sub_z'), null, 'not by an attempt that is fenced');

-- What a table refuses: one bad row takes no other with it ------------------------------------------------------------------------

create temporary table tiers_before as select tier from public.subscriptions;
create table public.tests_tiers (tier text primary key);
insert into public.tests_tiers select tier from tiers_before where tier is not null union values ('pro');
grant select on public.tests_tiers to service_role;
alter table public.subscriptions add constraint tests_tiers_fkey foreign key (tier) references public.tests_tiers;
select is(apply(jsonb_build_array(
    create_item('sub_good', org(14), '{"tier": "pro"}'), create_item('sub_bad', org(15), '{"tier": "nonsense"}'),
    repair('sub_6', '{"tier": "nonsense"}'), repair('sub_4', '{"quantity": 44}'))),
  'created, refused: foreign key tests_tiers_fkey refuses it (23503), refused: foreign key tests_tiers_fkey refuses it (23503), repaired',
  'a foreign key refuses some');
select is(array[(row_of('sub_good')).id is not null, (row_of('sub_bad')).id is not null], array[true, false], 'and what was said is so');
select is((select tier from row_of('sub_6')), null, 'of updates too');
alter table public.subscriptions drop constraint tests_tiers_fkey, alter column tier type varchar(8);
select is(apply(jsonb_build_array(repair('sub_6', '{"tier": "enterprise"}'), repair('sub_4', '{"quantity": 45}'))),
  'refused: column tier is character varying(8) and too short for it (22001), repaired', 'so does a column that is too short');
create function tests.no_trials() returns trigger language plpgsql as $$
begin
  if new.status = 'trialing' then raise exception 'no trials for %', new.stripe_subscription_id; end if;
  return new;
end
$$;
create trigger tests_no_trials before insert or update on public.subscriptions for each row execute function tests.no_trials();
select is(apply(jsonb_build_array(repair('sub_6', '{"status": "trialing"}'), repair('sub_4', '{"quantity": 46}'),
    create_item('sub_trial', org(16), '{"status": "trialing"}'))),
  'refused: trigger tests_no_trials refuses it (P0001), repaired, refused: trigger tests_no_trials refuses it (P0001)', 'so does a trigger of the app');
create unique index tests_one_each on public.subscriptions (organization_id)
  where stripe_subscription_id in ('sub_3', 'sub_second');
select is(apply(jsonb_build_array(create_item('sub_second', org(3)))), 'refused: unique index tests_one_each refuses it (23505)',
          'so does a table that allows one subscription for an organization');
drop trigger tests_no_trials on public.subscriptions;

-- Fencing -----------------------------------------------------------------------------------------------------------------------

create temporary table before_fence as select xmin::text as version, * from public.subscriptions;
create temporary table entries_before_fence as table public.drift;
select is(apply(jsonb_build_array(update_item('sub_3', '{"quantity": 99}')), 2), '{"outcome": "fenced"}', 'another attempt is fenced');

-- The run is taken over while the batch is at work: here by a trigger of the table's.
create function tests.take_over() returns trigger language plpgsql as $$
begin
  update public.reconciliation_logs set status = 'error', finished_at = now() where status = 'running';
  return new;
end
$$;
create trigger tests_take_over after update or insert on public.subscriptions for each row execute function tests.take_over();
select is(apply(jsonb_build_array(update_item('sub_3', '{"quantity": 99}'), create_item('sub_late', org(17)))), '{"outcome": "fenced"}',
  'an attempt that is given up for dead while it writes');
drop trigger tests_take_over on public.subscriptions;
select set_eq('select xmin::text as version, * from public.subscriptions', 'table before_fence', 'has written nothing');
select set_eq('table public.drift', 'table entries_before_fence', 'and put nothing on record');

update public.reconciliation_logs set status = 'error', finished_at = now();
select is(apply(jsonb_build_array(update_item('sub_3', '{"quantity": 99}'))), '{"outcome": "fenced"}', 'an attempt that was ended is fenced');
select is((select quantity from row_of('sub_3')), 30, 'and writes nothing');

-- Other mappings ----------------------------------------------------------------------------------------------------------------

select next_run();
select billing_ops.adopt(seed_mapping() || '{"writes": "none"}');
select is(apply(jsonb_build_array(repair('sub_3', '{"quantity": 31}'), create_item('sub_none', org(18)))),
  'refused: the mapping says that nothing is written, observed: none: the mapping says that no row is inserted', 'a mapping that lets nothing be written');

-- Without a table of owners nobody can be missed in it.
create table public.plans (id text primary key, holder text not null, cus text, status text not null);
select billing_ops.adopt('{"table": "public.plans", "key": "id", "stripe_subscription_id": "id", "owner": {"column": "holder"},
  "customer": {"column": "cus"}, "status": "status", "writes": "update_and_insert"}');
select is(apply(jsonb_build_array(create_item('sub_p1', 'ada', '{"customer": "cus_p"}'), named_item('sub_p4', '{"checkout": "bob"}'))),
  'created, created', 'whom the app''s own server named');
select is(apply(jsonb_build_array(create_item('sub_p2', null, '{"customer": "cus_p"}'), create_item('sub_p3', null, '{"customer": "cus_q"}'),
    create_item('sub_p5', 'bob', '{"customer": "cus_p"}'), named_item('sub_p6', '{"client_reference_id": "cyd"}'))),
  'created, organization_unknown, organization_mismatch, waiting: ' || by_payer(), 'or who has the customer');
select results_eq('select id, holder from public.plans order by 1', $$values ('sub_p1', 'ada'), ('sub_p2', 'ada'), ('sub_p4', 'bob')$$, 'gets the row');

-- A table of owners, and no foreign key that takes the rows of one who is gone along.
create table public.holders (id text primary key);
insert into public.holders values ('ada'), ('bob');
insert into public.plans values ('sub_left', 'gone', 'cus_left', 'canceled');
select billing_ops.adopt('{"table": "public.plans", "key": "id", "stripe_subscription_id": "id", "owner": {"column": "holder",
  "table": "public.holders", "key": "id"}, "customer": {"column": "cus"}, "status": "status", "writes": "update_and_insert"}');
select is(apply(jsonb_build_array(create_item('sub_q1', null, '{"customer": "cus_left"}'), create_item('sub_q2', 'ada', '{"customer": "cus_left"}'),
    named_item('sub_q3', '{"checkout": "bob"}', '{"customer": "cus_left"}'),
    named_item('sub_q4', '{"client_reference_id": "bob"}', '{"customer": "cus_left"}'))),
  'organization_unknown, created, created, waiting: ' || by_payer(), 'who has the customer and is gone gets no row, and contradicts nobody');
select results_eq($$select id, holder from public.plans where id like 'sub_q_' order by 1$$, $$values ('sub_q2', 'ada'), ('sub_q3', 'bob')$$, 'whose they are');

-- Postponed: only whose it would be ---------------------------------------------------------------------------------------------

select next_run();
select billing_ops.adopt(seed_mapping());
create function tests.postponed(p_item jsonb) returns jsonb language sql as $$ select p_item || '{"postponed": true}' $$;
select is(apply(jsonb_build_array(postponed(create_item('sub_put_off', org(19))), postponed(create_item('sub_whose', null)))),
  'postponed, organization_unknown', 'a new row that is put off');
select is((select count(*) from public.subscriptions where stripe_subscription_id = 'sub_put_off'), 0::bigint, 'is not made');
select is(entry_of('sub_put_off'), null, 'and not told; its owner is not known to be somebody who pays for nothing yet');
select is(entry_of('sub_whose'), 'organization_unknown | open | none', 'what nobody owns is told at once');
select is(apply(jsonb_build_array(create_item('sub_put_off', org(19)))), 'created', 'and then it is made');

-- One row for each owner --------------------------------------------------------------------------------------------------------

select next_run();
create table public.seats (
  id bigint primary key generated always as identity, holder text not null unique, cus text, sub text unique, status text,
  tier text, price text, quantity integer, trial_end timestamptz, starred boolean not null default true);
insert into public.seats (holder, cus, sub, status, tier, price, quantity, trial_end) values
  ('empty', null, null, 'free', null, null, null, null),
  ('dead', 'cus_dead', 'sub_dead', 'canceled', 'pro', 'price_old', 7, '2026-01-01'),
  ('unpaid', 'cus_unpaid', 'sub_unpaid', 'unpaid', 'pro', 'price_old', 7, null),
  ('pays', 'cus_pays', 'sub_pays', 'active', 'pro', 'price_old', 7, null),
  ('own', 'cus_own', 'sub_own', 'lifetime', 'pro', null, null, null),
  ('two', 'cus_two', 'sub_two', 'canceled', 'pro', null, null, null);
insert into public.holders values ('empty'), ('dead'), ('unpaid'), ('pays'), ('own'), ('two'), ('none');
create function tests.seats(p_writes text) returns jsonb language sql as $$
  select jsonb_build_object('table', 'public.seats', 'key', 'id', 'stripe_subscription_id', 'sub', 'owner',
    '{"column": "holder", "table": "public.holders", "key": "id"}'::jsonb, 'customer', '{"column": "cus"}'::jsonb, 'status', 'status',
    'tier', 'tier', 'price', 'price', 'quantity', 'quantity', 'trial_end', 'trial_end', 'writes', p_writes)
$$;
select ok((billing_ops.adopt(seats('update_and_insert')) ->> 'one_row_each')::boolean, 'each owner has one row');
create function tests.live(p_subject text, p_owner text, p_status text default 'active') returns jsonb language sql as $$
  select tests.create_item(p_subject, p_owner, jsonb_build_object('customer', 'cus_' || p_owner, 'status', p_status, 'price', 'price_new'))
    || jsonb_build_object('gives_way', '["canceled", "incomplete", "incomplete_expired"]'::jsonb
      || case p_status when 'active' then '["unpaid", "paused"]' else '[]' end::jsonb)
$$;
create function tests.seat(p_holder text) returns text language sql as $$
  select concat_ws(' ', cus, sub, status, tier, price, quantity, trial_end) from public.seats where holder = p_holder
$$;
create temporary table seats_before as select xmin::text as version, * from public.seats;

-- Nothing is decided yet: what is in the way is said, and what gives way is not.
select is(apply(jsonb_build_array(postponed(live('sub_n1', 'empty')), postponed(live('sub_n2', 'dead')), postponed(live('sub_n3', 'pays')))),
  'postponed, postponed, occupied: sub_pays', 'of a subscription whose owner has a row already');
select set_eq('select xmin::text as version, * from public.seats', 'table seats_before', 'nothing is written');

select is(apply(jsonb_build_array(live('sub_n1', 'empty'), live('sub_n2', 'dead'), live('sub_n3', 'pays'), live('sub_n4', 'own'),
    live('sub_n5', 'unpaid', 'past_due'), live('sub_n6', 'none'), live('sub_n7', 'two', 'unpaid'), live('sub_n8', 'two'))),
  'moved, moved, occupied: sub_pays, occupied: sub_own, occupied: sub_unpaid, created, occupied: sub_two, moved',
  'a row that is empty or dead is pointed at the subscription that lives');
select is(seat('empty'), 'cus_empty sub_n1 active price_new', 'who paid and was never let in');
select is(seat('dead'), 'cus_dead sub_n2 active pro price_new', 'who came back; of the old subscription nothing is left but the tier');
select is(seat('pays'), 'cus_pays sub_pays active pro price_old 7', 'who has access keeps the row as it is');
select is(seat('own'), 'cus_own sub_own lifetime pro', 'a word of the app''s own is not overwritten');
select is(seat('unpaid'), 'cus_unpaid sub_unpaid unpaid pro price_old 7', 'and what gives nothing more stays');
select is(seat('two'), 'cus_two sub_n8 active pro price_new', 'of two for one owner the one that gives access is followed');
select is(entry_of('sub_n2'), 'missing_in_database | closed | moved', 'told as what it was');
select is(entry_of('sub_n3'), null, 'what is in the way is not told before it is known');
select is(apply(jsonb_build_array(live('sub_n2', 'dead'), live('sub_n8', 'two'))), 'moved, moved', 'sent again, it has been done');
select is((select count(*) from public.drift where stripe_subscription_id = 'sub_n2'), 1::bigint, 'once');

-- In one batch the row that has just been found to be dead gives way.
select next_run();
create function tests.of_seat(p_holder text, p_type text, p_row jsonb) returns jsonb language sql as $$
  select jsonb_build_object('kind', 'update', 'findings', tests.finding(p_type, coalesce(p_row ->> 'stripe_subscription_id', s.sub)),
    'row', jsonb_build_object('key', s.id::text, 'version', s.xmin::text) || p_row) from public.seats s where s.holder = p_holder
$$;
select is(apply(jsonb_build_array(live('sub_n9', 'pays'), of_seat('pays', 'status_mismatch', '{"status": "canceled"}'))), 'moved, repaired',
  'the old subscription ended and the new one began while webhooks were lost');
select is(seat('pays'), 'cus_pays sub_n9 active pro price_new', 'the owner has access at every moment');

-- A row that was read afresh is pointed elsewhere by compare-and-set.
select is(apply(jsonb_build_array(of_seat('unpaid', 'missing_in_database',
    '{"stripe_subscription_id": "sub_n10", "customer": "cus_unpaid", "status": "active", "price": "price_new"}'))), 'moved', 'moved');
select is(seat('unpaid'), 'cus_unpaid sub_n10 active pro price_new', 'with nothing of the old one');
create temporary table read_before as select of_seat('unpaid', 'missing_in_database', '{"stripe_subscription_id": "sub_n11", "status": "active"}') as item;
update public.seats set starred = false where holder = 'unpaid';
select is(apply((select jsonb_build_array(item) from read_before)), 'superseded', 'not if somebody wrote it since');

-- Where no row may be inserted, one that is there may still follow.
select next_run();
select billing_ops.adopt(seats('update'));
update public.seats set status = 'canceled' where holder = 'dead';
delete from public.seats where holder = 'none';
select is(apply(jsonb_build_array(live('sub_n12', 'dead'), live('sub_n13', 'none'))),
  'moved, observed: none: the mapping says that no row is inserted', 'writes: update');

select billing_ops.unadopt();
select is(apply(jsonb_build_array(jsonb_build_object('kind', 'none', 'action', 'observed', 'findings', finding('status_mismatch', 'sub_3')))),
  'observed', 'nothing adopted: what was found can be put on record');
select is(attempt('service_role', format('select public.apply_reconciliation_batch(%L, 1, 330, %L)', (select id from run), items)), 'BOADP',
  'but nothing is written')
from unnest(array[jsonb_build_array(create_item('sub_p4', 'ada')), jsonb_build_array(repair('sub_3', '{"quantity": 1}'))]) items;

select * from finish();
rollback;
