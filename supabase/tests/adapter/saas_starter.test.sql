-- nextjs/saas-starter: the row is the owner, and points at one subscription or at none.
begin;
\ir helpers.psql
select no_plan();

select is((select jsonb_agg(d ->> 'preset') from jsonb_array_elements(billing_ops.detect()) d), '["nextjs/saas-starter"]', 'one table is found');
create function tests.mapping(p_writes text) returns jsonb language sql as $$
  select billing_ops.detect() -> 0 -> 'mapping' || jsonb_build_object('writes', p_writes)
$$;
select is(refusal(mapping('update_and_insert')), 'Each row of public.teams is an owner itself, so none can be inserted for an owner; use "writes": "update".', 'teams are not ours to make');
select is(billing_ops.adopt(mapping('update')) -> 'one_row_each', 'true', 'adopted: one row each');
select is(value('select billing_ops.adapter_state()') -> 'has', '["customer", "status", "tier"]', 'what is mapped');
select is(rows('sub_d1'), '[["1", "1", "sub_d1", "cus_d1", "active", "Base", null, null, null, null, null, null, false, null]]', 'what is not is null');
select is((select (q -> 'r') - 1 from service($$select * from billing_ops.adapter_rows_of_owners('{3,03,x,99999999999999999999}', null) r$$) q),
  '["3", "3", null, "cus_d3", null, null, null, null, null, null, null, null, false, "status is null"]', 'the owner''s row, which points at nothing');
update public.teams set stripe_subscription_id = '' where id = 3;
select is((select q #> '{r,3}' from service($$select * from billing_ops.adapter_rows_of_owners('{3}', null) r$$) q), 'null', 'an empty id points at nothing, too');
select is((select jsonb_agg(q ->> 'outcome') from service($$select u.* from billing_ops.adapter_rows_of_owners('{3}', null) r,
    billing_ops.adapter_update(jsonb_build_array(jsonb_build_object('key', r ->> 0, 'version', r ->> 1, 'stripe_subscription_id', 'sub_d3',
      'customer', 'cus_d33', 'status', 'active', 'tier', 'Plus'))) u$$) q), '["repaired"]', 'it is pointed at a subscription');
select is(rows('sub_d3'), '[["3", "3", "sub_d3", "cus_d33", "active", "Plus", null, null, null, null, null, null, false, null]]', 'and says what it says');
select is((select jsonb_agg(concat_ws(': ', q ->> 'outcome', q ->> 'reason')) from service($$select u.* from billing_ops.adapter_rows_of_owners('{3}', null) r,
    billing_ops.adapter_update(jsonb_build_array(jsonb_build_object('key', r ->> 0, 'version', r ->> 1, 'stripe_subscription_id', 'sub_d1'))) u$$) q),
  '["refused: unique index teams_stripe_subscription_id_key refuses it (23505)"]', 'but not at another row''s');
select is(set_row('sub_d1', '{"status": "incomplete_expired_or_longer"}'), 'refused: column subscription_status is character varying(20) and too short for it (22001)',
  'a word that is too long is not cut off');
select is(denial('update public.teams set name = name'), '42501', 'the team''s name is not ours');
-- Its key is a varchar's neighbour only: the trigger that keeps updated_at needs no right of ours.
select is(set_row('sub_d1', '{"status": "past_due"}'), 'repaired', 'a trigger of the app''s works as it always did');

select * from finish();
rollback;
