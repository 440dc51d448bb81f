-- No preset: bigint keys, enums, times of three kinds, a unique owner, constraints that wait for the commit, triggers of every temper.
begin;
\ir helpers.psql
select no_plan();

select is(billing_ops.detect(), '[]', 'nothing is proposed');
select throws_ok('select billing_ops.adopt()', '22023', 'No table has a shape that is known here; pass a mapping to billing_ops.adopt.', 'nor adopted');
create function tests.mapping() returns jsonb language sql as $$
  select '{"table": "app.contracts", "key": "contract_id", "stripe_subscription_id": "stripe_sub",
    "owner": {"column": "tenant_id", "table": "app.tenants", "key": "tenant_id"}, "customer": {"column": "stripe_customer"},
    "status": "state", "tier": "plan", "price": "price", "quantity": {"column": "seats", "prices": ["price_seat"]},
    "period_start": "period_from", "period_end": "period_to", "cancel_at_period_end": "ends", "trial_end": "trial_to",
    "on_insert": {"note": "new"}, "writes": "update_and_insert"}'::jsonb
$$;
select is(refusal(mapping() - 'on_insert'), 'Column note of app.contracts is not null and has no default, so a row needs a value for it; give one in "on_insert", or use "writes": "update".',
  'a column that an inserted row needs');
select is(billing_ops.adopt(mapping()) - 'adopted_at', '{"adopted": true, "fingerprint_ok": true, "changed": null, "readable": true, "table": "app.contracts",
  "has": ["customer", "status", "tier", "price", "quantity", "period_start", "period_end", "cancel_at_period_end", "trial_end"],
  "keeps": ["status", "tier", "price", "quantity", "period_start", "period_end", "cancel_at_period_end", "trial_end"],
  "one_row_each": true, "owners_known": true, "admins": false, "writes": "update_and_insert", "quantity_prices": ["price_seat"]}',
  'adopted: what the reconciler is told');
select is(rows('sub_e1', 'sub_e2'), '[
  ["1", "1", "sub_e1", "cus_e1", "active", "pro", "price_pro", 5, 1793491200, 1796083200, false, null, false, null],
  ["2", "2", "sub_e2", "cus_e2", "past_due", "team", "price_team", 1, 1793491200, 1796083200, false, null, false, null]]', 'read');
select is((select q #> '{r,0}' from service($$select * from billing_ops.adapter_rows_of_owners('{3}', null) r$$) q), '"3"', 'the owner''s one row');
select is(set_row('sub_e1', '{"status": "canceled", "tier": "free", "quantity": 6, "period_start": 1796083200, "period_end": 1798761600,
  "trial_end": 1793491200, "cancel_at_period_end": true, "price": "price_team"}'), 'repaired', 'everything at once');
select is(rows('sub_e1'), '[["1", "1", "sub_e1", "cus_e1", "canceled", "free", "price_team", 6, 1796083200, 1798761600, true, 1793491200, false, null]]', 'set');

-- Refusals ---------------------------------------------------------------------------------------------------------------
select is(set_row('sub_e1', '{"price": "price_none"}'), 'refused: foreign key contracts_price_fkey refuses it (23503)', 'a constraint that would wait for the commit');
select is(set_row('sub_e1', '{"quantity": 0}'), 'refused: check constraint seat_count_check refuses it (23514)', 'a domain''s check');
select is(set_row('sub_e1', '{"quantity": 2000}'), 'refused: check constraint contracts_seats refuses it (23514)', 'the table''s check');
select is(set_row('sub_e1', '{"quantity": 3000000000}'), 'refused: column seats is app.seat_count and cannot hold such a number (22003)', 'a number that is too large');
select is(set_row('sub_e1', '{"status": "paused"}'), 'refused: enum app.state of column state has no label "paused" (22P02)', 'a label that is missing');
select is(set_row('sub_e1', '{"status": null}'), 'refused: column state must not be null (23502)', 'no status');
update app.contracts set note = 'assert' where false;
alter table app.contracts disable trigger contracts_assert;
update app.contracts set note = 'assert' where contract_id = 1;
alter table app.contracts enable trigger contracts_assert;
select is(set_row('sub_e1', '{"quantity": 2}'), 'refused: trigger contracts_assert refuses it (P0004)', 'an assertion, which is no ordinary error');
alter table app.contracts disable trigger contracts_assert;
update app.contracts set note = 'divide' where contract_id = 1;
alter table app.contracts enable trigger contracts_assert;
select is(set_row('sub_e1', '{"quantity": 2}'), 'refused: trigger contracts_assert refuses it (22012)', 'a division by zero');
alter table app.contracts disable trigger contracts_assert;
update app.contracts set note = 'own' where contract_id = 1;
alter table app.contracts enable trigger contracts_assert;
select is(set_row('sub_e1', '{"quantity": 2}'), 'refused: trigger contracts_assert refuses it (ZX001)', 'a class of error of the app''s own');
alter table app.contracts disable trigger contracts_assert;
update app.contracts set note = 'skip' where contract_id = 1;
alter table app.contracts enable trigger contracts_assert;
select is(set_row('sub_e1', '{"quantity": 2}'), 'refused: a trigger of the table skips the write', 'a trigger that says nothing');
select is((select jsonb_agg(concat_ws(': ', q ->> 'key', q ->> 'outcome') order by q ->> 'key') from service($$
    select u.* from billing_ops.adapter_update((select jsonb_agg(jsonb_build_object('key', r ->> 0, 'version', r ->> 1, 'quantity', 9))
      from billing_ops.adapter_read('{sub_e1,sub_e2}', null) r)) u$$) q), '["1: refused", "2: repaired"]', 'the others are served');

select is(add_row('{"owner": "4", "stripe_subscription_id": "sub_e4", "customer": "cus_e4", "status": "trialing", "tier": "pro", "quantity": 2,
  "period_start": 1793491200, "period_end": 1796083200, "cancel_at_period_end": true, "trial_end": 1796083200}'), 'created', 'a row is inserted');
select is((select (r ->> 4) || (r ->> 11) || note from app.contracts c, jsonb_array_elements(rows('sub_e4')) r where c.stripe_sub = 'sub_e4'),
  'trialing1796083200new', 'with the constant that it needs');
select is(add_row('{"owner": "5", "stripe_subscription_id": "sub_e5"}'), 'created', 'and where nothing is given');
select is((rows('sub_e5') -> 0) - 0, '["5", "sub_e5", null, "active", "free", null, null, null, null, false, null, false, null]',
  'columns that cannot be null have their defaults');
select is(add_row('{"owner": "1", "stripe_subscription_id": "sub_e6", "status": "active"}'),
  'refused: unique index contracts_tenant_id_key refuses it (23505)', 'an owner who has a row');
select is(add_row('{"owner": "77", "stripe_subscription_id": "sub_e6", "status": "active"}'),
  'refused: foreign key contracts_tenant_id_fkey refuses it (23503)', 'an owner who is nobody');
select is((select jsonb_agg(q ->> 'outcome') from service($$select * from billing_ops.adapter_insert(
    '[{"owner": "6", "stripe_subscription_id": "sub_e7"}, {"owner": "6", "stripe_subscription_id": "sub_e8"}, {"owner": "7", "stripe_subscription_id": "sub_e9", "status": "gold"},
      {"owner": "8", "stripe_subscription_id": "sub_e2"}, {"owner": "8", "stripe_subscription_id": "sub_e10"}]')$$) q),
  '["created", "refused", "refused", "superseded", "created"]', 'a batch, in the order in which it was given');
select throws_ok($$select billing_ops.adapter_update('[{"key": "1", "version": "1"}, {"key": "1", "version": "1"}]')$$, '22023',
  'Each row needs a key, and no key may come twice.', 'one row twice in a batch');
select throws_ok($$select billing_ops.adapter_insert('[{"owner": "1", "stripe_subscription_id": "s"}, {"owner": "2", "stripe_subscription_id": "s"}]')$$, '22023',
  'Each row needs a Stripe subscription id, and none may come twice.', 'one subscription twice');

-- What says that the transaction is lost is nobody's refusal.
create function app.trouble() returns trigger language plpgsql as $$
begin
  raise exception using errcode = current_setting('tests.trouble');
end
$$;
create trigger a_trouble before update on app.contracts for each row execute function app.trouble();
select throws_ok(format($$select set_config('tests.trouble', %L, true), set_row('sub_e2', '{"quantity": 3}')$$, state), state, null, state || ' is passed on')
from unnest(array['40001', '40P01', '53100', '57P01', '58030', 'XX000', '25006']) state;
select is(set_config('tests.trouble', state, true) || ' ' || set_row('sub_e2', '{"quantity": 3}'), format('%s refused: trigger a_trouble refuses it (%1$s)', state), state || ' is the row''s')
from unnest(array['0A000', '08006', '23000', '39000', '42501', '42P01', '55P03', 'P0002', 'ZZ999']) state;
drop trigger a_trouble on app.contracts;

-- The table changed ------------------------------------------------------------------------------------------------------
create function tests.changed(p_sql text) returns text language plpgsql as $$
declare
  v_said text;
begin
  execute p_sql;
  v_said := tests.value('select billing_ops.adapter_state()') ->> 'changed';
  raise exception using errcode = 'TTTTT', message = coalesce(v_said, 'nothing');
exception when sqlstate 'TTTTT' then
  return sqlerrm;
end
$$;
-- Deferred foreign keys have checks outstanding, and a table that has them cannot be altered.
set constraints all immediate;
select is(changed('alter table app.contracts add column more text'), 'nothing', 'another column is no change');
select is(changed('drop index app.contracts_active'), 'nothing', 'nor another index');
select is(changed('alter table app.contracts drop constraint contracts_seats'), 'nothing', 'nor a check');
select is(changed('alter index app.contracts_stripe_sub rename to another'), 'nothing', 'nor the name of an index');
select is(changed('alter table app.contracts rename column ends to ends_then'), 'Column ends of app.contracts no longer exists.', 'a column that is gone');
select is(changed('alter table app.contracts alter trial_to type timestamp'),
  'Column trial_to of app.contracts was timestamp with time zone and is now timestamp without time zone.', 'another type');
select is(changed('alter table app.contracts alter ends drop not null'), 'Column ends of app.contracts can be null now.', 'nullable');
select is(changed('update app.contracts set price = ''price_pro''; set constraints all immediate; alter table app.contracts alter price set not null'),
  'Column price of app.contracts can no longer be null.', 'not nullable');
select is(changed('alter type app.plan rename value ''team'' to ''club'''),
  'Column plan of app.contracts has other enum labels: free, pro, club.', 'other labels');
select is(changed('drop index app.contracts_stripe_sub'), 'The unique index on app.contracts (stripe_sub where (stripe_sub IS NOT NULL)) is gone.', 'no unique index');
select is(changed('create unique index on app.contracts (stripe_customer)'), 'There is a new unique index on app.contracts (stripe_customer).', 'another unique index');
select is(changed('drop table app.tenants cascade'), 'Table app.tenants no longer exists.', 'no table');
select is(changed('alter table app.contracts rename to old_contracts; create view app.contracts as select * from app.old_contracts'),
  'app.contracts is no longer the same kind of table.', 'a view in its place');
select is(changed('revoke update (state) on app.contracts from service_role'), 'service_role is no longer granted update (state) on app.contracts.', 'a right that was taken away');
select is(value('select billing_ops.adapter_state()') -> 'fingerprint_ok', 'true', 'and as it was, all is well');

select * from finish();
rollback;
