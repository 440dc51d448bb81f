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
  select jsonb_build_array(jsonb_build_object('drift_key', p_type || ':' || p_subject, 'type', p_type, 'severity', 'info',
    'stripe_subscription_id', p_subject, 'stripe_customer_id', 'cus', 'livemode', true, 'issue', 'it differs',
    'details', '{"status": {"database": "active", "stripe": "canceled"}}'::jsonb))
$$;
-- A repair of a row at the version that it has.
create function tests.update_item(p_subject text, p_row jsonb) returns jsonb language sql as $$
  select jsonb_build_object('kind', 'update', 'findings', tests.finding('status_mismatch', p_subject),
    'row', jsonb_build_object('key', s.id::text, 'version', s.xmin::text) || p_row)
  from public.subscriptions s where s.stripe_subscription_id = p_subject
$$;
create function tests.create_item(p_subject text, p_owner text, p_more jsonb default '{}') returns jsonb language sql as $$
  select jsonb_build_object('kind', 'create', 'owner', p_owner, 'findings', tests.finding('missing_in_database', p_subject),
    'row', '{"status": "active"}'::jsonb || jsonb_build_object('stripe_subscription_id', p_subject) || p_more)
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
  update_item('sub_1', '{"quantity": 111}') || '{"findings": []}') as items;
select app($$update public.subscriptions set tier = 'team' where stripe_subscription_id = 'sub_3'$$);
create temporary table versions as select stripe_subscription_id, xmin::text as version from public.subscriptions;

create temporary table answer as select apply_all((select items from batch)) as answer;
select is((select answer - 'entries' from answer), '{"outcome": "applied", "items": [["repaired", null], ["superseded", null],
  ["refused", "check constraint known_words refuses it (23514)"], ["created", null], ["superseded", null], ["created", null],
  ["organization_unknown", null], ["organization_unknown", null], ["refused", "check constraint known_words refuses it (23514)"],
  ["held", null], ["none", null], ["none", null], ["repaired", null]]}', 'each item has its outcome, and why, in the order of the items');
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
  $$values ('created', 'missing_in_database', 'info'), ('held', 'status_mismatch', 'info'), ('refused', 'missing_in_database', 'critical'),
    ('refused', 'status_mismatch', 'info'), ('repaired', 'status_mismatch', 'info'), ('superseded', 'missing_in_database', 'info'),
    ('superseded', 'status_mismatch', 'info')$$,
  'somebody pays and has no row, and it stays so: critical; everything else is as bad as it was');
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

-- Whose sub_stranger is has become known meanwhile.
select app($$update public.subscriptions set stripe_customer_id = 'cus_nobody' where stripe_subscription_id = 'sub_9'$$);
create temporary table rows_before as select xmin::text as version, * from public.subscriptions;
create temporary table entries_before as select id, drift_key, severity, owner, action, reason, closed_at from public.drift;
select is(apply_all((select items - 12 from batch)) -> 'items', (select answer -> 'items' from answer) - 12, 'the same answers');
select set_eq('select xmin::text as version, * from public.subscriptions', 'table rows_before', 'and no second write, and no second row');
select set_eq('select id, drift_key, severity, owner, action, reason, closed_at from public.drift', 'table entries_before', 'no second entry');
select is((select count(*)::integer from public.drift_events), (select count(*)::integer from public.drift), 'nor event');
select app($$update public.subscriptions set status = 'active' where stripe_subscription_id = 'sub_2'$$);
select apply((select items - 12 from batch));
select is((select status from row_of('sub_2')), 'active', 'not even over a newer write');

select app($$update public.subscriptions set stripe_customer_id = 'cus_9' where stripe_subscription_id = 'sub_9'$$);

create function tests.batch_locks() returns bigint language sql as $$
  select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()
$$;
create temporary table locks as select batch_locks() as n;
select apply((select items - 12 from batch));
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
select is(standing(), 'customer_mismatch:sub_9 missing_in_stripe:sub_8 organization_unknown:sub_nowhere status_mismatch:sub_3 '
  || 'status_mismatch:sub_4 unknown_price:sub_9', 'a run that did not look at everything closes nothing');
select next_run();
select apply(jsonb_build_array(jsonb_build_object('kind', 'none', 'findings', finding('customer_mismatch', 'sub_9'))));
select finish_run('["customer_mismatch", "unknown_price", "status_mismatch", "organization_unknown"]');
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
select is(created_for('sub_both', org(13), '{"customer": "cus_6"}'), 'created 13', 'who is named, although another has had the customer');
select is(created_for('sub_failing', gen_random_uuid()::text, '{"customer": "cus_4"}'), 'created 04',
  'who has the customer, where nobody of the name that was given exists');
select is(created_for('sub_nobody', 'nobody', '{"customer": "cus_4"}'), 'created 04', 'or where it is no name of anybody''s');
select is(created_for('sub_again', null, '{"customer": "cus_4"}'), 'created 04', 'two rows of one owner are one owner');
select is(created_for('sub_lost', null), 'organization_unknown', 'nobody is named and there is no customer');
update public.subscriptions set stripe_customer_id = 'cus_shared' where stripe_subscription_id in ('sub_1', 'sub_2');
select is(created_for('sub_shared', null, '{"customer": "cus_shared"}'), 'organization_unknown', 'two organizations share the customer: unknown');
select next_run();
select is(created_for('sub_shared', org(14), '{"customer": "cus_shared"}'), 'created 14', 'until Stripe says which');
-- One of each in one batch, so that none is taken for another.
select is(apply(jsonb_build_array(repair('sub_3', '{"quantity": 30}'), create_item('sub_x', null, '{"customer": "cus_none"}'),
    create_item('sub_y', null, '{"customer": "cus_3"}'), jsonb_build_object('kind', 'none', 'findings', '[]'::jsonb),
    create_item('sub_z', org(15), '{"customer": "cus_3"}'))),
  'repaired, organization_unknown, created, none, created', 'several kinds');
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
  'refused: the mapping says that nothing is written, refused: the mapping says that no row is inserted', 'a mapping that lets nothing be written');

-- Without a table of owners nobody can be missed in it.
create table public.plans (id text primary key, holder text not null, cus text, status text not null);
select billing_ops.adopt('{"table": "public.plans", "key": "id", "stripe_subscription_id": "id", "owner": {"column": "holder"},
  "customer": {"column": "cus"}, "status": "status", "writes": "update_and_insert"}');
select is(apply(jsonb_build_array(create_item('sub_p1', 'ada', '{"customer": "cus_p"}'))), 'created', 'whom the app''s own checkout names');
select is(apply(jsonb_build_array(create_item('sub_p2', null, '{"customer": "cus_p"}'), create_item('sub_p3', null, '{"customer": "cus_q"}'))),
  'created, organization_unknown', 'or who has the customer');
select results_eq('select id, holder from public.plans order by 1', $$values ('sub_p1', 'ada'), ('sub_p2', 'ada')$$, 'gets the row');

select billing_ops.unadopt();
select is(apply(jsonb_build_array(jsonb_build_object('kind', 'none', 'action', 'observed', 'findings', finding('status_mismatch', 'sub_3')))),
  'observed', 'nothing adopted: what was found can be put on record');
select is(attempt('service_role', format('select public.apply_reconciliation_batch(%L, 1, 330, %L)', (select id from run), items)), 'BOADP',
  'but nothing is written')
from unnest(array[jsonb_build_array(create_item('sub_p4', 'ada')), jsonb_build_array(repair('sub_3', '{"quantity": 1}'))]) items;

select * from finish();
rollback;
