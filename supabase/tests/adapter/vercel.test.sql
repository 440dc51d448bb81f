-- vercel/nextjs-subscription-payments: an enum with a policy, a view and indexes on it, text keys that are Stripe's ids, a customer in
-- another table, defaults that lie, and a trigger whose message holds the row.
begin;
\ir helpers.psql
select no_plan();

select is(jsonb_array_length(billing_ops.detect()), 1, 'one table is found');
select is(billing_ops.detect() -> 0 ->> 'preset', 'vercel/nextjs-subscription-payments', 'its preset');
select is(billing_ops.detect() -> 0 #>> '{mapping,writes}', 'none', 'which writes nothing');
select is(billing_ops.detect() -> 0 #> '{mapping,on_insert}',
  '{"ended_at": null, "cancel_at": null, "canceled_at": null, "trial_start": null}', 'and knows which defaults lie');

-- Read only --------------------------------------------------------------------------------------------------------------
select is(billing_ops.adopt() ->> 'writes', 'none', 'adopted as it was proposed');
select is(rows('sub_a1', 'sub_a2', 'sub_none'), '[
  ["sub_a1", "00000000-0000-4000-8000-0000000000a1", "sub_a1", "cus_a1", "active", null, "price_pro", 1, 1793491200, 1796083200, false, null, false, null],
  ["sub_a2", "00000000-0000-4000-8000-0000000000a2", "sub_a2", "cus_a2", "past_due", null, "price_pro", 2, 1793577600, 1796169600, false, null, false, null]]',
  'rows as arrays, the customer by a join');
select is(set_row('sub_a1', '{"status": "canceled"}'), 'refused: the mapping says that nothing is written', 'no update');
select is(add_row('{"owner": "00000000-0000-4000-8000-0000000000a3", "stripe_subscription_id": "sub_a3", "status": "active"}'),
  'refused: the mapping says that no row is inserted', 'no insert');
select is(denial('update public.subscriptions set quantity = 1'), '42501', 'nor has service_role the right to');
select is(denial('select metadata from public.subscriptions'), '42501', 'nor to read what is not mapped');
select is(denial('select id, user_id, status, xmin from public.subscriptions'), null, 'only to read what is');
select is(denial('select full_name from public.users'), '42501', 'of owners, their keys only');

-- An app that makes its enum anew, with the same labels: its oid is another one, as it is after a restore.
savepoint anew;
drop view public.live_subscriptions;
drop policy "Own live subscriptions" on public.subscriptions;
drop index public.subscriptions_live;
alter type public.subscription_status rename to subscription_status_before;
create type public.subscription_status as enum
  ('trialing', 'active', 'canceled', 'incomplete', 'incomplete_expired', 'past_due', 'unpaid', 'paused');
alter table public.subscriptions alter column status type public.subscription_status using status::text::public.subscription_status;
drop type public.subscription_status_before;
select is(billing_ops.adapter_state() -> 'changed', 'null', 'an enum that was made anew with the same labels is no change');
select is(value($$select billing_ops.adapter_granting('{active,past_due,great}')$$), '2', 'and rows in these statuses are counted as before');
rollback to anew;
create domain public.known_status as public.subscription_status;
create domain public.current_status as public.known_status;
select is(billing_ops.as_labels('{active,great}', 'public.current_status'::regtype), '{active}', 'a domain has the labels of what it is made of');

-- Writing ----------------------------------------------------------------------------------------------------------------
create function tests.mapping(p_writes text) returns jsonb language sql as $$
  select billing_ops.detect() -> 0 -> 'mapping' || jsonb_build_object('writes', p_writes)
$$;
select is(billing_ops.adopt(mapping('update_and_insert')) ->> 'writes', 'update_and_insert', 'adopted again, to be written');
select is(set_row('sub_a1', '{"status": "past_due", "quantity": 3, "period_end": 1798761600, "cancel_at_period_end": true, "trial_end": null}'),
  'repaired', 'several fields at once');
select is(rows('sub_a1') -> 0, '["sub_a1", "00000000-0000-4000-8000-0000000000a1", "sub_a1", "cus_a1", "past_due", null, "price_pro", 3,
  1793491200, 1798761600, true, null, false, null]', 'they are set, and what was not named is kept');
select is(set_row('sub_a1', '{"quantity": null}'), 'repaired', 'null is a value');
select is(rows('sub_a1') -> 0 -> 7, 'null', 'and is set');
select is(set_row('sub_a1', '{"status": "great"}'),
  'refused: enum public.subscription_status of column status has no label "great" (22P02)', 'a label that is missing, by name');
select is(set_row('sub_a1', '{"price": "price_none"}'), 'refused: foreign key subscriptions_price_id_fkey refuses it (23503)', 'a price that is not there');
select is(set_row('sub_a1', '{"period_end": null}'), 'refused: column current_period_end must not be null (23502)', 'a column that must not be null');
select is(set_row('sub_a1', '{"period_end": 99999999999999999}'), 'refused: a type of the table refuses a value (22008)', 'a time that is none');
update public.subscriptions set metadata = '{"frozen": true}' where id = 'sub_a1';
select is(set_row('sub_a1', '{"status": "active"}'), 'refused: trigger subscriptions_guard refuses it (P0001)',
  'a trigger by its name: its message holds the row');
select is(set_row('sub_a2', '{"tier": "pro"}'), 'refused: nothing that it sets is mapped', 'a field that is not mapped');
select is(set_row('sub_a2', '{"stripe_subscription_id": "sub_b", "status": "active"}'),
  'refused: a row is pointed at another subscription only where each owner has one row', 'rows do not move here');

-- One that is refused takes nobody with it.
select is((select jsonb_object_agg(q ->> 'key', concat_ws(': ', q ->> 'outcome', q ->> 'reason')) from service($$
    select u.* from billing_ops.adapter_update((
      select jsonb_agg(jsonb_build_object('key', r ->> 0, 'version', r ->> 1, 'status', 'unpaid'))
      from billing_ops.adapter_read('{sub_a1,sub_a2}', null) r)) u $$) q),
  '{"sub_a1": "refused: trigger subscriptions_guard refuses it (P0001)", "sub_a2": "repaired"}', 'a batch with one that is refused');

select is(add_row('{"owner": "00000000-0000-4000-8000-0000000000a3", "stripe_subscription_id": "sub_a3", "customer": "cus_a3", "status": "active",
  "price": "price_pro", "quantity": 1, "period_start": 1793491200, "period_end": 1796083200}'), 'created', 'a row is inserted');
select is(rows('sub_a3') -> 0, '["sub_a3", "00000000-0000-4000-8000-0000000000a3", "sub_a3", "cus_a3", "active", null, "price_pro", 1,
  1793491200, 1796083200, null, null, false, null]', 'as it was given');
select is((select row(ended_at, cancel_at, canceled_at, trial_start, trial_end)::text from public.subscriptions where id = 'sub_a3'), '(,,,,)',
  'and its defaults have not ended it');
select is(add_row('{"owner": "00000000-0000-4000-8000-0000000000a3", "stripe_subscription_id": "sub_a3", "status": "active"}'), 'superseded', 'it is there now');
select is(add_row('{"owner": "00000000-0000-4000-8000-0000000000ff", "stripe_subscription_id": "sub_a9", "status": "active"}'),
  'refused: foreign key subscriptions_user_id_fkey refuses it (23503)', 'an owner who is nobody');
select is(add_row('{"owner": "nobody", "stripe_subscription_id": "sub_a9", "status": "active"}'),
  'refused: a value is not of its column''s type (22P02)', 'an owner who is no uuid');

-- Questions --------------------------------------------------------------------------------------------------------------
select is((select jsonb_agg(q -> 'o' order by q) from service($$select * from billing_ops.adapter_owners(array[
    '00000000-0000-4000-8000-0000000000a1', '00000000-0000-4000-8000-0000000000A2', '00000000-0000-4000-8000-0000000000ff', 'x', '', null]) o$$) q),
  '["00000000-0000-4000-8000-0000000000a1"]', 'owners who exist, as the database writes them');
select is((select jsonb_agg(q order by q ->> 'customer') from service($$select * from billing_ops.adapter_customers('{cus_a1,cus_a3,cus_none}')$$) q),
  '[{"customer": "cus_a1", "owner": "00000000-0000-4000-8000-0000000000a1", "owners": 1},
    {"customer": "cus_a3", "owner": "00000000-0000-4000-8000-0000000000a3", "owners": 1}]', 'whose customers they are');
update public.customers set stripe_customer_id = 'cus_a1' where id = '00000000-0000-4000-8000-0000000000a2';
select is((select jsonb_agg(q) from service($$select * from billing_ops.adapter_customers('{cus_a1}')$$) q),
  '[{"customer": "cus_a1", "owner": null, "owners": 2}]', 'a customer of two owners is nobody''s');
select is(value($$select billing_ops.adapter_granting('{past_due,unpaid,great}')$$), '2', 'how many rows have these statuses');
select is((select jsonb_agg(q ->> 'i') from service($$select i from billing_ops.adapter_present('{sub_a1,sub_x}') i$$) q), '["sub_a1"]', 'who has a row');

insert into billing_ops.subscription_marks (stripe_subscription_id, created) values ('sub_a2', '2026-11-02Z'), ('sub_stranger', '2026-11-02Z');
select is(value('select billing_ops.adapter_unplaced(null, 10, 1)')::jsonb, '{"rows": [["sub_a1", "sub_a1"]], "next": "sub_a1"}',
  'rows that no scan has seen: a page');
select is(value($$select billing_ops.adapter_unplaced('sub_a1', 10, 10)$$)::jsonb, '{"rows": [["sub_a3", "sub_a3"]], "next": null}', 'the next');
insert into public.subscriptions (id, user_id, status) values ('sub_a4', '00000000-0000-4000-8000-0000000000a3', 'active'),
  ('', '00000000-0000-4000-8000-0000000000a2', 'active');
select is((select jsonb_agg(q) from service($$select * from billing_ops.adapter_duplicates(null, 10, '{active,great}', 0, 1)$$) q),
  '[{"owner": "00000000-0000-4000-8000-0000000000a3", "stripe_subscription_ids": ["sub_a3", "sub_a4"]}]', 'an owner with two');
select is((select jsonb_agg(q) from service($$select * from billing_ops.adapter_duplicates('00000000-0000-4000-8000-0000000000a3', 10, '{active}', 0, 1)$$) q),
  null, 'and no more behind');
select is((select jsonb_agg(q) from service('select * from billing_ops.adapter_odd(null, 10)') q),
  '[{"key": "", "owner": "00000000-0000-4000-8000-0000000000a2", "odd": "the Stripe subscription id is an empty string"}]', 'an empty id is odd');
select is(denial('select billing_ops.adapter_is_admin(null)'), '42501', 'service_role has no reason to ask who is an admin');
select is(billing_ops.adapter_is_admin('00000000-0000-4000-8000-0000000000a1'), false, 'without "admins" nobody is one');

-- Odd rows ---------------------------------------------------------------------------------------------------------------
update public.subscriptions set metadata = null, status = null, quantity = -1, current_period_end = 'infinity', trial_end = '-infinity' where id = 'sub_a1';
select is(rows('sub_a1') -> 0, '["sub_a1", "00000000-0000-4000-8000-0000000000a1", "sub_a1", "cus_a1", null, null, "price_pro", null, 1793491200,
  null, true, null, false, "status is null; quantity is out of range; period_end is infinite; trial_end is infinite"]', 'what is odd is null, and named');

-- Rights follow ------------------------------------------------------------------------------------------------------------
select is(denial('insert into public.subscriptions (id, user_id) values (null, null)'), '23502', 'may insert');
select is(billing_ops.adopt(mapping('update')) ->> 'writes', 'update', 'less is granted');
select is(denial('insert into public.subscriptions (id, user_id) values (null, null)'), '42501', 'no more inserts');
select is(denial('update public.subscriptions set id = id'), '42501', 'nor can a row be pointed elsewhere');
select is(denial('update public.subscriptions set status = status'), null, 'updates still');
select lives_ok('select billing_ops.unadopt()', 'let go of');
select is(denial('select id from public.subscriptions'), '42501', 'no rights are left');
select is(denial('select id from public.customers'), '42501', 'on no table');
select is(denial($$select * from billing_ops.adapter_read('{}', null)$$), 'BOADP', 'and the functions say that nothing is adopted');
select is(denial($$select * from billing_ops.adapter_update('[]')$$), 'BOADP', 'the writing ones too');
select is(value('select billing_ops.adapter_state()') -> 'adopted', 'false', 'as does the state');

select * from finish();
rollback;
