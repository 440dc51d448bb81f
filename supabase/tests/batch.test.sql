-- A batch of repairs: what becomes of each item, compare-and-set, replay, fencing; and the row version it rests on.
begin;
\ir helpers/actors.psql
select no_plan();

insert into public.organizations (id, name)
select ('00000000-0000-4000-8000-0000000001' || lpad(n::text, 2, '0'))::uuid, 'Organization ' || n from generate_series(1, 20) n;
create function tests.org(p_n integer) returns uuid language sql as $$
  select ('00000000-0000-4000-8000-0000000001' || lpad(p_n::text, 2, '0'))::uuid
$$;

-- The row version ----------------------------------------------------------------------------------------------------------

insert into public.subscriptions (organization_id, stripe_subscription_id, stripe_customer_id, status, tier, quantity)
select org(n), 'sub_' || n, 'cus_' || n, 'active', 'pro', n from generate_series(1, 9) n;
select is((select row_version from public.subscriptions where quantity = 1), 1::bigint, 'a new row has version 1');
update public.subscriptions set tier = 'team', row_version = 77, updated_at = '2000-01-01' where quantity = 1;
select is((select row_version from public.subscriptions where quantity = 1), 2::bigint, 'a write raises it by one, whatever it says');
select ok((select updated_at > clock_timestamp() - interval '1 minute' from public.subscriptions where quantity = 1),
          'and stamps the time, whatever it says');
update public.subscriptions set tier = 'team' where quantity = 1;
select is((select row_version from public.subscriptions where quantity = 1), 3::bigint, 'a write of the same value is a write');

-- A run to write under -------------------------------------------------------------------------------------------------------

create temporary table run as
select (call('service_role', $$public.start_reconciliation_run('scheduled_2026-11-23_10', 'scheduled', 24, 330)$$)
        -> 'run' ->> 'id')::uuid as id;

create function tests.finding(p_type text, p_subject text) returns jsonb language sql as $$
  select jsonb_build_array(jsonb_build_object('drift_key', p_type || ':' || p_subject, 'type', p_type, 'severity', 'info',
    'stripe_subscription_id', p_subject, 'stripe_customer_id', 'cus', 'livemode', true, 'issue', 'it differs',
    'details', '{"status": {"database": "active", "stripe": "canceled"}}'::jsonb))
$$;
create function tests.update_item(p_subject text, p_row jsonb, p_version_off integer default 0) returns jsonb language sql as $$
  select jsonb_build_object('subject', p_subject, 'kind', 'update', 'findings', tests.finding('status_mismatch', p_subject),
    'row', p_row || jsonb_build_object('row_id', s.id, 'row_version', s.row_version + p_version_off))
  from public.subscriptions s where s.stripe_subscription_id = p_subject
$$;
create function tests.create_item(p_subject text, p_organization uuid, p_more jsonb default '{}') returns jsonb language sql as $$
  select jsonb_build_object('subject', p_subject, 'kind', 'create', 'organization_id', p_organization,
    'findings', tests.finding('missing_in_database', p_subject),
    'row', '{"status": "active"}'::jsonb || jsonb_build_object('stripe_subscription_id', p_subject) || p_more)
$$;
create function tests.apply(p_items jsonb, p_attempt integer default 1, p_cleared jsonb default null) returns jsonb language sql as $$
  select tests.call('service_role', format('public.apply_reconciliation_batch(%L, %s, 330, %L, %L, %L, %L)',
    (select id from run), p_attempt, p_items, p_cleared, '{"windows": []}', '{"scanned_count": 12}')) - 'entries'
$$;
create function tests.entry_of(p_subject text) returns text language sql as $$
  select string_agg(concat_ws(' | ', type, case when closed_at is null then 'open' else 'closed' end, action, reason), ', '
                    order by drift_key)
  from public.drift where stripe_subscription_id = p_subject
$$;
create function tests.row_of(p_subject text) returns public.subscriptions language sql as $$
  select s from public.subscriptions s where stripe_subscription_id = p_subject
$$;

-- Every outcome in one batch ------------------------------------------------------------------------------------------------

create temporary table batch as select jsonb_build_array(
  update_item('sub_2', '{"status": "canceled", "quantity": 22, "cancel_at_period_end": true, "livemode": true,
    "stripe_price_id": "price_1", "current_period_start": "2026-11-01T00:00:00Z", "current_period_end": "2026-12-01T00:00:00Z",
    "trial_end": "2026-11-08T00:00:00Z", "stripe_created": "2026-10-01T00:00:00Z"}'),
  update_item('sub_3', '{"status": "canceled"}', -1),
  update_item('sub_4', '{"status": "no such word"}'),
  create_item('sub_new', org(11), '{"stripe_customer_id": "cus_new", "tier": "pro", "quantity": 5,
    "current_period_end": "2026-12-01T00:00:00Z", "livemode": true}'),
  create_item('sub_5', org(12)),
  create_item('sub_customer', null, '{"stripe_customer_id": "cus_6"}'),
  create_item('sub_stranger', null, '{"stripe_customer_id": "cus_nobody"}'),
  create_item('sub_nowhere', gen_random_uuid(), '{"stripe_customer_id": null}'),
  create_item('sub_odd', org(13), '{"status": "no such word"}'),
  jsonb_build_object('subject', 'sub_7', 'kind', 'none', 'action', 'held', 'findings', finding('status_mismatch', 'sub_7')),
  jsonb_build_object('subject', 'sub_8', 'kind', 'none', 'findings', finding('missing_in_stripe', 'sub_8')),
  jsonb_build_object('subject', 'sub_9', 'kind', 'none', 'action', 'none', 'findings',
    jsonb_build_array(finding('unknown_price', 'sub_9') -> 0 || '{"reason": "none: tell us the price"}',
                      finding('customer_mismatch', 'sub_9') -> 0)),
  update_item('sub_1', '{"quantity": 111}') - 'findings' || '{"findings": []}') as items;

select is(apply((select items from batch)), '{"outcome": "applied", "items": ["repaired", "superseded", "refused", "created",
  "superseded", "created", "organization_unknown", "organization_unknown", "refused", "held", "none", "none", "repaired"]}',
  'each item has its outcome, in the order of the items');

select is((select (status, quantity, cancel_at_period_end, livemode, stripe_price_id, current_period_start, current_period_end,
                   trial_end, stripe_created, tier, stripe_observed_at is not null, row_version)::text from row_of('sub_2')),
  (select ('canceled', 22, true, true, 'price_1', timestamptz '2026-11-01Z', timestamptz '2026-12-01Z', timestamptz '2026-11-08Z',
           timestamptz '2026-10-01Z', 'pro', true, 2)::text), 'repaired: the fields that were given, and no others');
select is(entry_of('sub_2'), 'status_mismatch | closed | repaired', 'and it is on record');
select is((select (status, row_version)::text from row_of('sub_3')), '(active,1)', 'superseded: the row is left alone');
select is(entry_of('sub_3'), 'status_mismatch | open | superseded', 'on record');
select is((select (status, row_version)::text from row_of('sub_4')), '(active,1)', 'refused: the row is left alone');
select is(entry_of('sub_4'), 'status_mismatch | open | refused', 'on record');
select is((select (organization_id, stripe_customer_id, status, tier, quantity, livemode, stripe_observed_at is not null)::text
           from row_of('sub_new')), format('(%s,cus_new,active,pro,5,t,t)', org(11)), 'created: for the organization that was named');
select is(entry_of('sub_new'), 'missing_in_database | closed | created', 'on record');
select is((select owner from public.drift where stripe_subscription_id = 'sub_new'), org(11)::text, 'with whose it is');
select is((select organization_id from row_of('sub_5')), org(5), 'a row that came in the meantime keeps what it has');
select is(entry_of('sub_5'), 'missing_in_database | open | superseded', 'on record');
select is((select organization_id from row_of('sub_customer')), org(6), 'created: for the one organization that has the customer');
select is(row_of('sub_stranger'), null, 'no organization known: no row');
select is(entry_of('sub_stranger'), 'organization_unknown | open | none', 'on record');
select is(row_of('sub_nowhere'), null, 'an organization that does not exist: no row');
select is(row_of('sub_odd'), null, 'refused: no row');
select is(entry_of('sub_7'), 'status_mismatch | open | held', 'held, on record');
select is(entry_of('sub_8'), 'missing_in_stripe | open | none', 'none, on record');
select is(entry_of('sub_9'), 'customer_mismatch | open | none, unknown_price | open | none | none: tell us the price',
          'several differences of one subscription');
select is((select quantity from row_of('sub_1')), 111, 'a repair without a difference, as for a row placed for the first time');
select is((select (severity, stripe_customer_id, livemode, issue, details)::text from public.drift
           where stripe_subscription_id = 'sub_2'),
  '(info,cus,t,"it differs","{""status"": {""stripe"": ""canceled"", ""database"": ""active""}}")', 'an entry says what it was told');
select is((select (cursor, scanned_count)::text from public.reconciliation_logs), '("{""windows"": []}",12)',
          'cursor and counts went with it');

-- The same batch again, after its answer was lost -----------------------------------------------------------------------------

select is(apply((select items - 12 from batch)), '{"outcome": "applied", "items": ["repaired", "superseded", "refused", "created",
  "superseded", "created", "organization_unknown", "organization_unknown", "refused", "held", "none", "none"]}',
  'the same answers');
select is((select row_version from row_of('sub_2')), 2::bigint, 'and no second write');
select is((select count(*)::integer from public.subscriptions), 11, 'no second row');
select is((select count(*)::integer from public.drift), 13, 'no second entry');
update public.subscriptions set status = 'active' where stripe_subscription_id = 'sub_2';
select apply((select items - 12 from batch));
select is((select status from row_of('sub_2')), 'active', 'not even over a newer write');

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
select is(call('service_role', $$public.read_subscriptions_for_reconcile('["sub_7", "sub_2"]')$$) -> 'open',
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
update public.subscriptions set status = 'active' where stripe_subscription_id = 'sub_7';

-- A subscription whose owner becomes known, or unknown, changes its class and leaves nothing behind.
select next_run();
insert into public.organizations (id, name) values ('00000000-0000-4000-8000-0000000000ff', 'Found');
select apply(jsonb_build_array(create_item('sub_stranger', '00000000-0000-4000-8000-0000000000ff', '{"stripe_customer_id": "cus_nobody"}')));
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

select is(apply(jsonb_build_array(update_item('sub_6', '{"quantity": 6}') #- '{findings,0,drift_key}' || '{"findings": []}')) -> 'items',
  '["repaired"]', 'a repair at the row''s version');
select is((select (status, tier, quantity, row_version)::text from row_of('sub_6')), '(active,pro,6,2)', 'a field that is missing keeps its value');
create temporary table stale as select jsonb_set(update_item('sub_7', '{"tier": "stale"}'), '{findings}', '[]') as item;
update public.subscriptions set tier = 'webhook' where stripe_subscription_id = 'sub_7';
select is(apply(jsonb_build_array((select item from stale))) -> 'items', '["superseded"]', 'a webhook wrote in between: superseded');
select is((select tier from row_of('sub_7')), 'webhook', 'and its write stands');
create temporary table gone as select jsonb_set(update_item('sub_8', '{"tier": "x"}'), '{findings}', '[]') as item;
delete from public.subscriptions where stripe_subscription_id = 'sub_8';
select is(apply(jsonb_build_array((select item from gone))) -> 'items', '["superseded"]', 'a row that was deleted meanwhile: superseded');
select is(apply('[]'), '{"outcome": "applied", "items": []}', 'an empty batch');

-- A customer whom two organizations share says nothing about whose a row is.
update public.subscriptions set stripe_customer_id = 'cus_shared' where stripe_subscription_id in ('sub_1', 'sub_2');
select is(apply(jsonb_build_array(create_item('sub_shared', null, '{"stripe_customer_id": "cus_shared"}'))) -> 'items',
  '["organization_unknown"]', 'two organizations share the customer: unknown');

-- What earlier schemas refuse: one bad row takes no other with it ---------------------------------------------------------------

create temporary table tiers_before as select tier from public.subscriptions;
create table public.tests_tiers (tier text primary key);
insert into public.tests_tiers select tier from tiers_before where tier is not null union values ('pro');
grant select on public.tests_tiers to service_role;
alter table public.subscriptions add constraint tests_tiers_fkey foreign key (tier) references public.tests_tiers;
select is(apply(jsonb_build_array(
    create_item('sub_good', org(14), '{"tier": "pro"}'), create_item('sub_bad', org(15), '{"tier": "nonsense"}'),
    jsonb_set(update_item('sub_6', '{"tier": "nonsense"}'), '{findings}', '[]'),
    jsonb_set(update_item('sub_4', '{"quantity": 44}'), '{findings}', '[]'))) -> 'items',
  '["created", "refused", "refused", "repaired"]', 'a foreign key refuses some');
select is(array[(row_of('sub_good')).id is not null, (row_of('sub_bad')).id is not null], array[true, false], 'and what was said is so');
select is((select tier from row_of('sub_6')), 'pro', 'of updates too');
alter table public.subscriptions drop constraint tests_tiers_fkey, alter column tier type varchar(8);
select is(apply(jsonb_build_array(
    jsonb_set(update_item('sub_6', '{"tier": "enterprise"}'), '{findings}', '[]'),
    jsonb_set(update_item('sub_4', '{"quantity": 45}'), '{findings}', '[]'))) -> 'items',
  '["refused", "repaired"]', 'so does a column that is too short');
create function tests.no_trials() returns trigger language plpgsql as $$
begin
  if new.status = 'trialing' then raise exception 'no trials here'; end if;
  return new;
end
$$;
create trigger tests_no_trials before insert or update on public.subscriptions for each row execute function tests.no_trials();
select is(apply(jsonb_build_array(
    jsonb_set(update_item('sub_6', '{"status": "trialing"}'), '{findings}', '[]'),
    jsonb_set(update_item('sub_4', '{"quantity": 46}'), '{findings}', '[]'),
    create_item('sub_trial', org(16), '{"status": "trialing"}'))) -> 'items',
  '["refused", "repaired", "refused"]', 'so does a trigger of the app');
create unique index tests_one_each on public.subscriptions (organization_id)
  where stripe_subscription_id in ('sub_3', 'sub_second');
select is(apply(jsonb_build_array(create_item('sub_second', org(3)))) -> 'items', '["refused"]',
          'so does a table that allows one subscription for an organization');

-- Fencing -----------------------------------------------------------------------------------------------------------------------

select is(apply(jsonb_build_array(update_item('sub_3', '{"quantity": 99}')), 2), '{"outcome": "fenced"}', 'another attempt is fenced');
update public.reconciliation_logs set status = 'error', finished_at = now();
select is(apply(jsonb_build_array(update_item('sub_3', '{"quantity": 99}'))), '{"outcome": "fenced"}', 'an attempt that was ended is fenced');
select is((select quantity from row_of('sub_3')), 3, 'and writes nothing');

select * from finish();
rollback;
