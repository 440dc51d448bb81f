-- What the reconciler reads: what is adopted, rows by Stripe's id and what is remembered of them, rows that a window does not explain,
-- rows that no scan has seen, and owners with two live subscriptions. What commits meanwhile: tests/adapter/races.test.sql.
begin;
\ir helpers/actors.psql
select no_plan();

insert into public.organizations (id, name) values ('00000000-0000-4000-8000-00000000000c', 'Organization C');
insert into public.subscriptions
  (id, organization_id, stripe_subscription_id, stripe_customer_id, status, tier, stripe_price_id, quantity, current_period_start,
   current_period_end, cancel_at_period_end, trial_end) values
  ('00000000-0000-4000-8000-000000000101', '00000000-0000-4000-8000-00000000000a', 'sub_1', 'cus_1', 'active', 'pro', 'price_1', 3,
   'epoch', '1970-01-02Z', true, '1970-01-03Z'),
  ('00000000-0000-4000-8000-000000000102', '00000000-0000-4000-8000-00000000000a', 'sub_2', null, 'past_due', null, null, null,
   null, null, null, null),
  ('00000000-0000-4000-8000-000000000103', '00000000-0000-4000-8000-00000000000b', 'sub_3', null, 'active', null, null, -1,
   null, 'infinity', null, null),
  ('00000000-0000-4000-8000-000000000104', '00000000-0000-4000-8000-00000000000b', 'sub_4', null, 'canceled', null, null, null,
   null, null, null, null),
  ('00000000-0000-4000-8000-000000000105', '00000000-0000-4000-8000-00000000000c', 'sub_5', null, 'trialing', null, null, null,
   null, null, null, null),
  ('00000000-0000-4000-8000-000000000106', '00000000-0000-4000-8000-00000000000c', 'sub_6', null, 'paused', null, null, null,
   null, null, null, null),
  ('00000000-0000-4000-8000-000000000107', '00000000-0000-4000-8000-00000000000b', null, null, 'active', null, null, null,
   null, null, null, null),
  ('00000000-0000-4000-8000-000000000108', '00000000-0000-4000-8000-00000000000b', '', null, 'active', null, null, null,
   null, null, null, null);

-- What is adopted ----------------------------------------------------------------------------------------------------------------

create function tests.ground(p_access jsonb default '["active"]') returns jsonb language sql as $$
  select tests.call('service_role', format('public.read_adapter_for_reconcile(%L)', p_access))
$$;
select is(ground() - array['horizon', 'adopted_at'], '{"adopted": true,
  "fingerprint_ok": true, "changed": null, "readable": true, "table": "public.subscriptions", "has": ["customer", "status", "tier", "price", "quantity",
  "period_start", "period_end", "cancel_at_period_end", "trial_end"], "keeps": ["status", "tier", "price", "quantity",
  "period_start", "period_end", "cancel_at_period_end", "trial_end"], "one_row_each": false, "owners_known": true, "admins": true,
  "writes": "update_and_insert", "quantity_prices": null, "granting": 2, "livemode": null, "policies": {}, "columns": {"customer": "stripe_customer_id",
  "status": "status", "tier": "tier", "price": "stripe_price_id", "quantity": "quantity", "period_start": "current_period_start",
  "period_end": "current_period_end", "cancel_at_period_end": "cancel_at_period_end", "trial_end": "trial_end"}}', 'what a run is told of an empty project''s table');
select is(ground() -> 'horizon', to_jsonb(pg_snapshot_xmin(pg_current_snapshot())::text),
  'and the oldest transaction that is still at work, as text: it is longer than a number may be');
select is(call('service_role', 'public.billing_ops_adoption()') #- '{state,adopted_at}',
  jsonb_build_object('state', billing_ops.adapter_state() - 'adopted_at', 'candidates', billing_ops.detect()), 'what could be adopted');
select is(call('service_role', 'public.billing_ops_adoption()') #>> '{candidates,0,mapping,table}', 'public.subscriptions', 'which is that table');

-- How many have access is what a run may at most take away; so plans that Stripe does not know, which it cannot take, do not count.
select is(ground('["active", "past_due", "trialing"]') -> 'granting', '4', 'rows that grant access, as the caller counts that');
select is(ground('["no such word"]') -> 'granting', '0', 'a status that no row has');
select is(ground('[]') -> 'granting', '0', 'no status');

-- Of which mode the rows are: a key of the other one would find every row missing.
create function tests.seen_in(p_live text[], p_test text[], p_unknown text[] default '{}') returns jsonb language plpgsql as $$
begin
  truncate billing_ops.subscription_marks;
  insert into billing_ops.subscription_marks (stripe_subscription_id, created, livemode)
  select id, timestamptz '2026-01-01Z', true from unnest(p_live) id
  union all select id, '2026-01-02Z', false from unnest(p_test) id
  union all select id, '2026-01-03Z', null from unnest(p_unknown) id;
  return tests.ground() -> 'livemode';
end
$$;
select is(seen_in('{sub_1, sub_2}', '{sub_3}'), 'true', 'the mode of most rows: live');
select is(seen_in('{sub_1}', '{sub_2, sub_3}'), 'false', 'or test');
select is(seen_in('{sub_1}', '{sub_2}'), 'null', 'as many of either: none is the wrong one');
select is(seen_in('{sub_1}', '{sub_8, sub_9, sub_10}'), 'true', 'strangers, of whom a mark is all there is, say nothing');
select is(seen_in('{}', '{sub_8}'), 'null', 'if there are none but strangers');
select is(seen_in('{sub_1}', '{}', '{sub_2, sub_3}'), 'true', 'nor does one whose mode is not known');
select is(seen_in('{}', '{}', '{sub_2, sub_3}'), 'null', 'if there are none but those');
select seen_in('{sub_1}', '{}');
insert into billing_ops.subscription_marks (stripe_subscription_id, created, livemode)
select 'sub_stranger_' || n, '2026-02-01Z', false from generate_series(1, 999) n;
select is(ground() -> 'livemode', 'true', 'the newest thousand are asked');
insert into billing_ops.subscription_marks (stripe_subscription_id, created, livemode) values ('sub_stranger', '2026-02-01Z', false);
select is(ground() -> 'livemode', 'null', 'and no more');
select seen_in('{sub_1}', '{}');
alter table public.subscriptions rename tier to level;
select is(ground() - array['horizon', 'adopted_at', 'columns', 'has', 'keeps'], '{"adopted": true, "fingerprint_ok": false, "readable": false,
  "changed": "Column tier of public.subscriptions no longer exists.", "table": "public.subscriptions", "one_row_each": false, "owners_known": true,
  "admins": true, "writes": "update_and_insert", "quantity_prices": null, "granting": 0, "livemode": null, "policies": {}}',
  'a table that is not what it was is not looked into');
alter table public.subscriptions rename level to tier;
truncate billing_ops.subscription_marks;

-- Owners -------------------------------------------------------------------------------------------------------------------------

create function tests.owners(p_owners jsonb) returns jsonb language sql as $$
  select coalesce(jsonb_agg(right(o, 1) order by o), '[]')
  from jsonb_array_elements_text(tests.call('service_role', format('public.read_owners_for_reconcile(%L)', p_owners))) o
$$;
select is(owners('["00000000-0000-4000-8000-00000000000c", "00000000-0000-4000-8000-00000000000d", "00000000-0000-4000-8000-00000000000a"]'),
  '["a", "c"]', 'those of the owners who exist');
select is(owners('["00000000-0000-4000-8000-00000000000A", "a", "", null]'), '[]', 'a text that is no key, or not as it is written, names nobody');
select is(owners('[]'), '[]', 'nobody is asked for');

-- Rows ---------------------------------------------------------------------------------------------------------------------------

create function tests.read(p_listed jsonb, p_more text default '') returns jsonb language sql as $$
  select tests.call('service_role', format('public.read_subscriptions_for_reconcile(%L%s)', p_listed, p_more))
$$;
-- Lists that come in no order.
create function tests.sorted(p_list jsonb) returns jsonb language sql as $$ select jsonb_agg(e order by e) from jsonb_array_elements(p_list) e $$;
create function tests.marks() returns text language sql as $$
  select string_agg(concat_ws(' ', stripe_subscription_id, (extract(epoch from created))::bigint, livemode), ', ' order by stripe_subscription_id)
  from billing_ops.subscription_marks
$$;
select is(read('[["sub_1", 1767225600], ["sub_9", 1767225601]]', ', p_livemode => true') - 'horizon' #- '{rows,0,1}', '{"rows":
  [["00000000-0000-4000-8000-000000000101", "00000000-0000-4000-8000-00000000000a", "sub_1", "cus_1", "active", "pro", "price_1", 3,
    0, 86400, true, 172800, false, null]], "other_mode": [], "looked_up": [], "open": [], "excepted": [], "unlisted": [], "unlisted_count": 0}',
  'a row as an array, times as Unix seconds');
select is(read('[["sub_1", 1767225600]]') #>> '{rows,0,1}', (select xmin::text from public.subscriptions where stripe_subscription_id = 'sub_1'),
  'with its version: the transaction that wrote it');
select is(read('[]', $$, p_named => '["sub_2"]'$$) #- '{rows,0,1}' -> 'rows' -> 0,
  '["00000000-0000-4000-8000-000000000102", "00000000-0000-4000-8000-00000000000a", "sub_2", null, "past_due", null, null, null, null,
    null, null, null, false, null]', 'what is not known is null');
select is(read('[]', $$, p_named => '["sub_3"]'$$) #>> '{rows,0,14}', 'quantity is out of range; period_end is infinite', 'what is odd is named');
select is(jsonb_array_length(read('[["sub_1", 1767225600]]', $$, '["sub_2", "sub_8"]'$$) -> 'rows'), 2, 'those that are listed, and those that are named');
select is(read('[]') -> 'horizon', to_jsonb(pg_snapshot_xmin(pg_current_snapshot())::text), 'the horizon for the next part');

-- Marks --------------------------------------------------------------------------------------------------------------------------

select is(marks(), 'sub_1 1767225600 t, sub_9 1767225601 t', 'each that Stripe lists is remembered, with a row or without; one that is named is not');
create temporary table first_seen as select * from billing_ops.subscription_marks;
select read('[["sub_1", 5], ["sub_9", 5]]', ', p_livemode => false');
select set_eq('table billing_ops.subscription_marks', 'table first_seen', 'once: what is remembered of it stays');
select is(read('[["sub_1", 1767225600], ["sub_1", 1767225600]]', $$, '["sub_1"]'$$) #- '{rows,0,1}' -> 'rows',
  read('[["sub_1", 1767225600]]') #- '{rows,0,1}' -> 'rows', 'each once, however often it comes');
select read('[["sub_twice", 7], ["sub_twice", 7], ["sub_old", -9], ["sub_far", 9000000000000000000], ["sub_unknown", 8]]', ', p_livemode => null');
select is(marks(), 'sub_1 1767225600 t, sub_9 1767225601 t, sub_far 253402300799, sub_old 0, sub_twice 7, sub_unknown 8',
  'a page that lists one twice, or gives a time that is none, is no error');
delete from billing_ops.subscription_marks where stripe_subscription_id not in ('sub_1', 'sub_9');

select is(read('[["sub_1", 1767225600], ["sub_2", 1]]', ', p_livemode => true') -> 'other_mode', '[]', 'of this mode');
select is(sorted(read('[["sub_1", 1767225600]]', $$, '["sub_9", "sub_8"]', false$$) -> 'other_mode'), '["sub_1", "sub_9"]', 'of the other mode');
select is(jsonb_array_length(read('[["sub_1", 1767225600]]', $$, '["sub_2"]', false$$) -> 'rows'), 2, 'whose rows come all the same');
select is(read('[["sub_1", 1767225600]]') -> 'other_mode', '[]', 'where nobody says in which mode this is, none is');

update billing_ops.subscription_marks set owner = 'org', owner_source = 'session', looked_up_at = now() where stripe_subscription_id = 'sub_9';
update billing_ops.subscription_marks set looked_up_at = now() where stripe_subscription_id = 'sub_1';
select is(read('[["sub_9", 1767225601], ["sub_2", 1]]') -> 'looked_up', '[["sub_9", "org", "session"]]', 'whose checkout has been looked up');
select is(read('[]', $$, '["sub_1"]'$$) -> 'looked_up', '[["sub_1", null, null]]', 'though it named nobody: it need not be asked for again');

insert into public.drift (drift_key, type, severity, stripe_subscription_id, issue, action, first_seen_at, last_seen_at, first_run_id,
  last_run_id, closed_at)
select t || ':' || s, t, 'info', s, 'i', 'none', now(), now(), gen_random_uuid(), gen_random_uuid(), case when t = 'over' then now() end
from unnest(array['sub_1', 'sub_2', 'sub_3']) s, unnest(array['stands', 'over']) t;
select is(sorted(read('[["sub_1", 1767225600]]', $$, '["sub_2"]'$$) -> 'open'), '[["sub_1", "stands:sub_1"], ["sub_2", "stands:sub_2"]]',
  'what stands of those that are read');

-- What Stripe did not list -------------------------------------------------------------------------------------------------------

truncate billing_ops.subscription_marks;
select read('[["sub_3", 300], ["sub_2", 200], ["sub_1", 200], ["sub_stranger", 250], ["sub_4", 400], ["sub_6", 100]]');
create function tests.unlisted(p_listed jsonb, p_more text) returns jsonb language sql as $$
  select jsonb_build_array(a -> 'unlisted', a -> 'unlisted_count') from tests.read(p_listed, p_more) a
$$;
create function tests.during(p_from integer, p_to integer) returns text language sql as $$
  select format(', p_created_from => %L, p_created_to => %L', to_timestamp(p_from), to_timestamp(p_to))
$$;
select is(unlisted('[["sub_1", 200]]', during(200, 400)), '[["sub_2", "sub_3"], 2]',
  'rows whose subscription was created in the window and is not on the list; its start is in it, its end is not');
select is(unlisted('[]', during(200, 400)), '[["sub_1", "sub_2", "sub_3"], 3]',
  'in the order in which they were created; a stranger, of whom a mark is all there is, is not missed');
select is(unlisted('[]', during(0, 1000) || ', p_unlisted_limit => 2'), '[["sub_6", "sub_1"], 5]', 'at most so many, and the count of all');
select is(unlisted('[]', during(200, 400) || $$, p_named => '["sub_2"]'$$), '[["sub_1", "sub_3"], 2]', 'one that is named need not be named again');
select is(unlisted('[]', during(500, 600)), '[[], 0]', 'none');
select is(unlisted('[["sub_1", 200]]', ''), '[[], 0]', 'no window: none');
delete from public.subscriptions where stripe_subscription_id = 'sub_2';
select is(unlisted('[]', during(200, 400)), '[["sub_1", "sub_3"], 2]', 'a row that was deleted is not missed, though its mark stays');
select is(unlisted('[]', during(200, 400) || ', p_livemode => false'), '[["sub_1", "sub_3"], 2]', 'whatever the mode: what is named is told of it');

-- Rows that no page of the list can lead to ----------------------------------------------------------------------------------------

create function tests.unplaced(p_arguments text) returns jsonb language sql as $$
  select tests.call('service_role', format('public.read_unplaced_subscriptions(%s)', p_arguments))
$$;
insert into public.subscriptions (id, organization_id, stripe_subscription_id, status) values
  ('00000000-0000-4000-8000-000000000109', '00000000-0000-4000-8000-00000000000a', 'sub_7', 'active');
select is(unplaced(''), '{"rows": [["00000000-0000-4000-8000-000000000105", "sub_5"], ["00000000-0000-4000-8000-000000000109", "sub_7"]],
  "next": null, "odd": [["00000000-0000-4000-8000-000000000108", "00000000-0000-4000-8000-00000000000b", "the Stripe subscription id is an empty string"]]}',
  'rows whose subscription no scan has seen, and one whose Stripe id is none; a plan that Stripe does not know is neither');
select is(unplaced('null, 1') - 'odd', '{"rows": [["00000000-0000-4000-8000-000000000105", "sub_5"]], "next": "sub_5"}', 'a page');
select is(unplaced($$'sub_5', 1$$), '{"rows": [["00000000-0000-4000-8000-000000000109", "sub_7"]], "next": "sub_7", "odd": []}',
  'the next, which does not say again what is odd');
select is(unplaced($$'sub_7'$$), '{"rows": [], "next": null, "odd": []}', 'no more');
-- As many pieces as there are: what a whole table has no time for, each of them has.
create function tests.in_pieces(p_rows integer) returns text language plpgsql as $$
declare
  v_said text := '';
  v_piece jsonb;
  v_after text;
begin
  loop
    v_piece := tests.unplaced(format('%L, 1000, %s', v_after, p_rows));
    v_said := v_said || coalesce((select string_agg(r ->> 1, ' ') from jsonb_array_elements(v_piece -> 'rows') r), '-') || '|';
    v_after := v_piece ->> 'next';
    exit when v_after is null;
  end loop;
  return v_said;
end
$$;
select is(in_pieces(2), '-|sub_5|sub_7|-|', 'two rows at a time: a piece that has none is not the end');
-- The order of this collation puts a small letter before a capital one, and that of the marks the other way round.
insert into public.subscriptions (id, organization_id, stripe_subscription_id, status) values
  ('00000000-0000-4000-8000-00000000010a', '00000000-0000-4000-8000-00000000000a', 'sub_a', 'canceled'),
  ('00000000-0000-4000-8000-00000000010b', '00000000-0000-4000-8000-00000000000a', 'sub_B', 'canceled');
select read('[["sub_a", 700], ["sub_B", 700]]');
alter table public.subscriptions alter column stripe_subscription_id type text collate "en-x-icu";
select is(in_pieces(1), '-|-|-|sub_5|-|sub_7|-|-|-|', 'one that has a mark is found by it, whatever the collation of the column');
delete from public.subscriptions where id in ('00000000-0000-4000-8000-00000000010a', '00000000-0000-4000-8000-00000000010b');
alter table public.subscriptions alter column stripe_subscription_id type text collate "default";
select read('[["sub_5", 500], ["sub_7", 700]]');
select is(unplaced('') -> 'rows', '[]', 'a scan that sees them places them');

-- Owners that pay twice ----------------------------------------------------------------------------------------------------------

create function tests.duplicates(p_more text default '') returns jsonb language sql as $$
  select tests.call('service_role', format(
    'public.read_duplicate_live_subscriptions(''["trialing", "active", "past_due", "unpaid", "paused"]''%s)', p_more)) -> 'rows'
$$;
select is(duplicates(), '[["00000000-0000-4000-8000-00000000000c", ["sub_5", "sub_6"]]]',
  'somebody who bought a second plan and lets the first one run out does not pay twice');
update public.subscriptions set cancel_at_period_end = false where stripe_subscription_id = 'sub_1';
select is(duplicates(), '[["00000000-0000-4000-8000-00000000000a", ["sub_1", "sub_7"]], ["00000000-0000-4000-8000-00000000000c", ["sub_5", "sub_6"]]]',
  'owners with two live subscriptions; one that ended does not count, nor a plan that Stripe does not know');
select is(duplicates(', null, 1') -> 0 ->> 0, '00000000-0000-4000-8000-00000000000a', 'a page');
select is(duplicates($$, '00000000-0000-4000-8000-00000000000a', 1$$) -> 0 ->> 0, '00000000-0000-4000-8000-00000000000c', 'the next');
select is(duplicates($$, '00000000-0000-4000-8000-00000000000c'$$), '[]', 'no more');
select is((select jsonb_agg(d order by d) from generate_series(0, 6) piece, jsonb_array_elements(duplicates(format(', null, 1000, %s, 7', piece))) d),
  duplicates(), 'in pieces: each owner is in one of them');
select isnt((select jsonb_agg(duplicates(format(', null, 1000, %s, 7', piece))) from generate_series(0, 6) piece),
  (select jsonb_agg(duplicates()) from generate_series(0, 6)), 'and not in all');
select is(call('service_role', $$public.read_duplicate_live_subscriptions('["active"]')$$) -> 'rows',
  '[["00000000-0000-4000-8000-00000000000a", ["sub_1", "sub_7"]]]', 'live is what the caller says');
select is(call('service_role', $$public.read_duplicate_live_subscriptions('[]')$$) -> 'rows', '[]', 'nothing is');

-- What else an owner has ---------------------------------------------------------------------------------------------------------

select is((select array_agg(r ->> 3 order by r ->> 3) from jsonb_array_elements(
    call('service_role', $$public.read_rows_of_owners_for_reconcile('["00000000-0000-4000-8000-00000000000a", "nobody"]')$$)) r),
  array['sub_1', 'sub_7'], 'the rows of an owner that follow a subscription');

-- Nothing adopted ------------------------------------------------------------------------------------------------------------------

select billing_ops.unadopt();
select is(ground() - 'horizon', '{"adopted": false, "fingerprint_ok": false, "readable": false,
  "changed": null, "table": null, "has": [], "keeps": [], "one_row_each": false, "owners_known": false, "admins": false,
  "writes": "none", "quantity_prices": null, "adopted_at": null, "granting": 0, "livemode": null, "policies": {}, "columns": {}}', 'a run is told that nothing is adopted');
select is(call('service_role', 'public.billing_ops_adoption()') #>> '{candidates,0,preset}', 'seed', 'and whoever sets it up, what could be');
select is(attempt('service_role', 'select public.' || sql), 'BOADP', sql)
from unnest(array[$$read_subscriptions_for_reconcile('[]')$$, $$read_owners_for_reconcile('["a"]')$$, $$read_rows_of_owners_for_reconcile('["a"]')$$, 'read_unplaced_subscriptions()', $$read_duplicate_live_subscriptions('["active"]')$$]) sql;

select * from finish();
rollback;
