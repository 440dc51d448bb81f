-- usebasejump/basejump: a schema that nobody may use, rows of several providers, an enum without "paused".
begin;
\ir helpers.psql
select no_plan();

select is((select jsonb_agg(d ->> 'preset') from jsonb_array_elements(billing_ops.detect()) d), '["basejump"]', 'one table is found');
select is(denial('select id from basejump.billing_subscriptions'), '42501', 'nobody may use the schema');
select is(billing_ops.adopt(billing_ops.detect() -> 0 -> 'mapping' || '{"writes": "update_and_insert"}') ->> 'table', 'basejump.billing_subscriptions', 'adopted');
select is(has_schema_privilege('service_role', 'basejump', 'usage'), true, 'service_role may use the schema now');

select is(rows('sub_b1', 'lemon_1'), '[["sub_b1", "00000000-0000-4000-8000-0000000000b1", "sub_b1", "cus_b1", "active", null, "price_team", 3,
  1793491200, 1796083200, false, null, false, null]]', 'rows of Stripe''s, and of nobody else''s');
select is(value('select billing_ops.adapter_unplaced(null, 10, 10)')::jsonb -> 'rows', '[["sub_b1", "sub_b1"], ["sub_b2", "sub_b2"]]', 'everywhere');
select is(value($$select billing_ops.adapter_granting('{active}')$$), '1', 'in counts');
select is((select jsonb_agg(q -> 'i') from service($$select * from billing_ops.adapter_present('{lemon_1,sub_b1}') i$$) q), '["sub_b1"]', 'in what is there');
insert into billing_ops.subscription_marks (stripe_subscription_id, created) select i, 'epoch' from unnest('{lemon_1,sub_b1,sub_b2}'::text[]) i;
select is((select jsonb_agg(q -> 'i') from service($$select * from billing_ops.adapter_unlisted('epoch', '1970-01-02Z', '{sub_b2}') i$$) q), '["sub_b1"]',
  'in what Stripe does not list');
truncate billing_ops.subscription_marks;
select is((select jsonb_agg(q) from service($$select * from billing_ops.adapter_customers('{lemon_b3,cus_b1}')$$) q),
  '[{"customer": "cus_b1", "owner": "00000000-0000-4000-8000-0000000000b1", "owners": 1}]', 'among customers');
select is((select jsonb_agg((q -> 'r') -> 0 order by q) from service($$select * from billing_ops.adapter_rows_of_owners(
    '{00000000-0000-4000-8000-0000000000b1,00000000-0000-4000-8000-0000000000b3}', null) r$$) q), '["sub_b1"]', 'and of owners');
select is((select jsonb_agg(q -> 'outcome') from service(format($$select * from billing_ops.adapter_update(
    jsonb_build_array(jsonb_build_object('key', 'lemon_1', 'version', %L, 'status', 'canceled')))$$,
    (select xmin::text from basejump.billing_subscriptions where id = 'lemon_1'))) q), '["superseded"]', 'and none of them is written');

select is(set_row('sub_b1', '{"status": "paused"}'), 'refused: enum basejump.subscription_status of column status has no label "paused" (22P02)', 'an enum that lacks a word');
select is(set_row('sub_b1', '{"status": "unpaid"}'), 'repaired', 'another one');
select is(add_row('{"owner": "00000000-0000-4000-8000-0000000000b3", "stripe_subscription_id": "sub_b3", "customer": "cus_b2", "status": "active",
  "period_start": 1793491200, "period_end": 1796083200}'), 'created', 'a new row');
select is((select provider || ended_at::text from basejump.billing_subscriptions where id = 'sub_b3'), null, 'has not ended');
select is((select provider from basejump.billing_subscriptions where id = 'sub_b3'), 'stripe', 'and is Stripe''s');
select is(add_row('{"owner": "00000000-0000-4000-8000-0000000000b3", "stripe_subscription_id": "lemon_1", "customer": "cus_b2", "status": "active"}'),
  'refused: unique index billing_subscriptions_pkey refuses it (23505)', 'the id of somebody else''s row');
select is(add_row('{"owner": "00000000-0000-4000-8000-0000000000b3", "stripe_subscription_id": "sub_b4", "customer": "cus_none", "status": "active"}'),
  'refused: foreign key billing_subscriptions_billing_customer_id_fkey refuses it (23503)', 'a customer who is not there');

select lives_ok('select billing_ops.unadopt()', 'let go of');
select is(has_schema_privilege('service_role', 'basejump', 'usage'), false, 'the schema is closed again');

select * from finish();
rollback;
