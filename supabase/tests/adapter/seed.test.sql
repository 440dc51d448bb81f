-- The shape that billing-ops began with: adopted to be written, every mapped column kept.
begin;
\ir helpers.psql
select no_plan();

create table public.organizations (id uuid primary key default gen_random_uuid(), name text not null);
create table public.organization_members (organization_id uuid not null, user_id uuid not null, role text not null);
create table public.subscriptions (
  id uuid primary key default gen_random_uuid(),
  organization_id uuid not null references public.organizations (id),
  stripe_customer_id text,
  stripe_subscription_id text unique,
  status text not null,
  tier text,
  current_period_start timestamptz,
  current_period_end timestamptz
);
insert into public.organizations (id, name) values ('00000000-0000-4000-8000-00000000000a', 'A'), ('00000000-0000-4000-8000-00000000000b', 'B');
insert into public.organization_members values
  ('00000000-0000-4000-8000-00000000000a', '00000000-0000-4000-8000-000000000001', 'admin'),
  ('00000000-0000-4000-8000-00000000000a', '00000000-0000-4000-8000-000000000002', 'member');

select is(billing_ops.detect() #> '{0,mapping}', '{"table": "public.subscriptions", "key": "id", "stripe_subscription_id": "stripe_subscription_id",
  "owner": {"column": "organization_id", "table": "public.organizations", "key": "id"}, "customer": {"column": "stripe_customer_id"},
  "status": "status", "tier": "tier", "period_start": "current_period_start", "period_end": "current_period_end",
  "keeps": ["status", "tier", "period_start", "period_end"], "writes": "update_and_insert",
  "admins": [{"table": "public.organization_members", "user": "user_id", "role": "role", "in": ["owner", "admin"]}]}',
  'the seed''s own columns are proposed');
alter table public.subscriptions add stripe_price_id text, add quantity integer, add cancel_at_period_end boolean, add trial_end timestamptz;
select is(billing_ops.detect() #> '{0,mapping,keeps}', '["status", "tier", "price", "quantity", "period_start", "period_end", "cancel_at_period_end", "trial_end"]',
  'and more where there is more');
select is(billing_ops.adopt() - 'adopted_at', '{"adopted": true, "fingerprint_ok": true, "changed": null, "readable": true, "table": "public.subscriptions",
  "has": ["customer", "status", "tier", "price", "quantity", "period_start", "period_end", "cancel_at_period_end", "trial_end"],
  "keeps": ["status", "tier", "price", "quantity", "period_start", "period_end", "cancel_at_period_end", "trial_end"],
  "one_row_each": false, "owners_known": true, "admins": true, "writes": "update_and_insert", "quantity_prices": null}', 'adopted as it was found');
select is(billing_ops.adapter_is_admin('00000000-0000-4000-8000-000000000001'), true, 'an admin');
select is(billing_ops.adapter_is_admin('00000000-0000-4000-8000-000000000002'), false, 'a member');
select is(billing_ops.adapter_is_admin(null), false, 'nobody');
create table public.users (id uuid primary key, role text);
insert into public.users values ('00000000-0000-4000-8000-000000000002', 'owner'), ('00000000-0000-4000-8000-000000000003', 'admin');
select is(billing_ops.adapter_is_admin('00000000-0000-4000-8000-000000000003'), false, 'a table that came later makes no admins by itself');
select is(billing_ops.detect() #> '{0,mapping,admins}', '[{"table": "public.organization_members", "user": "user_id", "role": "role", "in": ["owner", "admin"]},
  {"table": "public.users", "user": "id", "role": "role", "in": ["owner", "admin"]}]', 'but is proposed');
select is(billing_ops.adopt() -> 'admins', 'true', 'and with it adopted');
select is((select array_agg(billing_ops.adapter_is_admin(('00000000-0000-4000-8000-00000000000' || n)::uuid) order by n) from generate_series(1, 4) n),
  array[true, true, true, false], 'either makes an admin');

select is(add_row('{"owner": "00000000-0000-4000-8000-00000000000a", "stripe_subscription_id": "sub_1", "customer": "cus_1", "status": "active", "tier": "pro"}'), 'created', 'a row');
select is((select jsonb_agg((q -> 'r') - 0 - 0) from service($$select r from billing_ops.adapter_rows_of_owners('{00000000-0000-4000-8000-00000000000a}', null) r$$) q),
  '[["00000000-0000-4000-8000-00000000000a", "sub_1", "cus_1", "active", "pro", null, null, null, null, null, null, false, null]]', 'of an owner');

-- Whose a customer is.
create function tests.customers() returns jsonb language sql as $$
  select jsonb_agg(jsonb_build_array(q -> 'customer', right(q ->> 'owner', 1), q -> 'owners') order by q ->> 'customer')
  from tests.service($q$select * from billing_ops.adapter_customers('{cus_1,cus_2}')$q$) q
$$;
select is(customers(), '[["cus_1", "a", 1]]', 'a customer''s owner');
insert into public.subscriptions (organization_id, stripe_subscription_id, stripe_customer_id, status) values
  ('00000000-0000-4000-8000-00000000000a', 'sub_2', 'cus_1', 'canceled'), ('00000000-0000-4000-8000-00000000000a', 'sub_3', 'cus_2', 'active'),
  ('00000000-0000-4000-8000-00000000000b', 'sub_4', 'cus_2', 'active');
select is(customers(), '[["cus_1", "a", 1], ["cus_2", null, 2]]', 'two rows of one owner are one owner; two owners are none');
delete from public.subscriptions where stripe_subscription_id <> 'sub_1';

alter table public.subscriptions add unique (organization_id);
select is(value('select billing_ops.adapter_state()') ->> 'changed', 'There is a new unique index on public.subscriptions (organization_id).', 'an owner may have one row only from now on');
select is(billing_ops.adopt() -> 'one_row_each', 'true', 'which adopt finds');

-- A partial unique index is as good for the Stripe id, and the list of ids is looked up by it whatever the statistics say.
alter table public.subscriptions drop constraint subscriptions_stripe_subscription_id_key;
select is(billing_ops.detect() #>> '{0,why}', 'It has organization_id, stripe_subscription_id and status, like the table that billing-ops began with. It cannot be '
  'adopted as it is: Column stripe_subscription_id of public.subscriptions has no unique index; a Stripe subscription must not have two rows. Add one, for '
  'example: create unique index concurrently on public.subscriptions (stripe_subscription_id).', 'what stands in the way is said beforehand');
create unique index by_id on public.subscriptions (stripe_subscription_id) where stripe_subscription_id is not null;
select is(billing_ops.adopt() -> 'adopted', 'true', 'a partial unique index will do');


-- What the last of the schema does: it adopts this shape by itself, once, where it can.
create function tests.adopted() returns text language sql as $$ select mapping #>> '{table}' || ' ' || adopted_at from billing_ops.adoption $$;
select billing_ops.unadopt();
\ir ../../schemas/95_seed_adopted.sql
select is(adopted(), 'public.subscriptions ' || now(), 'the seed''s shape is adopted where it is found');
update billing_ops.adoption set adopted_at = '2026-01-01Z';
create temporary table before as select adopted() as adopted;
\ir ../../schemas/95_seed_adopted.sql
select is(adopted(), (select adopted from before), 'what is adopted stays');
select billing_ops.unadopt();
set local client_min_messages = error;
drop index public.by_id;
\ir ../../schemas/95_seed_adopted.sql
select is(adopted(), null, 'a table that cannot be adopted is left alone, with a warning');
create unique index by_id on public.subscriptions (stripe_subscription_id);
create role somebody;
grant somebody to postgres;
grant create on schema public to somebody;
alter table public.subscriptions owner to somebody;
revoke somebody from postgres;
\ir ../../schemas/95_seed_adopted.sql
select is(adopted(), null, 'so is somebody else''s');
select is(billing_ops.adapter_is_admin('00000000-0000-4000-8000-000000000001'), true, 'whose admins are known all the same');

select * from finish();
rollback;
