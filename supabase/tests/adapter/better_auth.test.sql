-- better-auth: quoted names, times without a zone, rows for checkouts that are under way, keys that the app makes.
begin;
\ir helpers.psql
select no_plan();

select is((select jsonb_agg(d ->> 'preset') from jsonb_array_elements(billing_ops.detect()) d), '["better-auth"]', 'one table is found');
create function tests.mapping(p_writes text) returns jsonb language sql as $$
  select billing_ops.detect() -> 0 -> 'mapping' || jsonb_build_object('writes', p_writes)
$$;
select is(refusal(mapping('update_and_insert')), 'Column id of public.subscription has no default and is not the Stripe subscription id, so no row can be inserted; use "writes": "update".',
  'nothing makes its keys');
set local timezone = 'Pacific/Auckland';
select is(billing_ops.adopt(mapping('update')) -> 'owners_known', 'true', 'adopted');
select is(rows('sub_c1', 'sub_c2'), '[
  ["row_1", "usr_Ada", "sub_c1", "cus_c1", "active", "pro", null, 5, 1793491200, 1796083200, false, null, false, null],
  ["row_2", "usr_Ben", "sub_c2", "cus_c2", "trialing", "team", null, 1, 1793577600, 1796169600, false, null, false, null]]',
  'times without a zone are read as UTC, wherever the session is');
select is(set_row('sub_c1', '{"period_end": 1798761600, "tier": "team", "quantity": 7, "cancel_at_period_end": true}'), 'repaired', 'written');
select is((select "periodEnd"::text from public.subscription where id = 'row_1'), '2027-01-01 00:00:00', 'and written as UTC');
select is(value('select billing_ops.adapter_unplaced(null, 10, 10)')::jsonb -> 'rows', '[["row_1", "sub_c1"], ["row_2", "sub_c2"]]',
  'a checkout that is under way is none of ours');
select is((select jsonb_agg((q -> 'r') -> 0) from service($$select * from billing_ops.adapter_rows_of_owners('{usr_Cyd,usr_Ada}', null) r$$) q), '["row_1"]', 'nor where owners have many rows');
select is((select jsonb_agg(q -> 'o') from service($$select * from billing_ops.adapter_owners('{usr_Cyd,usr_none}') o$$) q), '["usr_Cyd"]', 'an owner');
update public.subscription set "periodEnd" = 'infinity' where id = 'row_1';
select is(rows('sub_c1') #> '{0,13}', '"period_end is infinite"', 'infinity without a zone is odd, too');
select is(denial('select "stripeCustomerId" from public."user"'), '42501', 'a column that is not mapped, in another table');

select * from finish();
rollback;
