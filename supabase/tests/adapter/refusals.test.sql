-- What adopt refuses, each with one sentence, and that a refusal leaves nothing behind.
begin;
\ir helpers.psql
-- Postgres warns of a grant that came to nothing; adopt makes an error of it.
set local client_min_messages = error;
select no_plan();

create schema shop;
create type shop.state as enum ('active', 'canceled');
create table shop.owners (id uuid primary key default gen_random_uuid(), code text);
create table shop.customers (id uuid primary key, cus text, loose uuid);
create table shop.subs (
  id uuid primary key default gen_random_uuid(),
  owner uuid not null,
  sub text,
  cus text,
  status text not null,
  tier jsonb,
  price integer,
  amount real,
  seats smallint,
  ends date,
  flag text,
  at timestamptz,
  state shop.state,
  stamp point,
  nullable_key uuid unique,
  deferred uuid,
  doubled text generated always as (status || status) stored
);
create unique index on shop.subs (sub);
create unique index on shop.subs (cus) where cus <> '';
create table shop.numbers (id numeric primary key, owner uuid, sub text unique, status text);
create view shop.seen as select * from shop.subs;
create materialized view shop.kept as select * from shop.subs;
-- The wrapper is there before the test, as only a superuser can make one.
create server nowhere foreign data wrapper nowhere;
create foreign table shop.far (id uuid, owner uuid, sub text, status text) server nowhere;
create table shop.parts (id uuid, owner uuid, sub text, status text, region text, primary key (id, region), unique (sub, region)) partition by list (region);
create table shop.parts_eu partition of shop.parts for values in ('eu');
create table shop.byid (id text primary key, owner uuid, status text) partition by hash (id);
create table shop.byid_0 partition of shop.byid for values with (modulus 1, remainder 0);
create table shop.parent (id uuid primary key, owner uuid, sub text unique, status text);
create table shop.child () inherits (shop.parent);
create table shop.keyless (id uuid not null, owner uuid, sub text unique, status text);
create temporary table passing (id uuid primary key, owner uuid, sub text unique, status text);

-- The mapping that is right, with some words changed.
create function tests.mapping(p_changes jsonb default '{}') returns jsonb language sql as $$
  select '{"table": "shop.subs", "key": "id", "stripe_subscription_id": "sub", "owner": {"column": "owner"}, "status": "status"}'::jsonb || p_changes
$$;
-- The right one, with admins in two places, of which the second is given.
create function tests.mapping_of_admins(p_second jsonb) returns jsonb language sql as $$
  select tests.mapping(jsonb_build_object('admins', jsonb_build_array('{"table": "shop.owners", "user": "id"}'::jsonb, p_second)))
$$;
select is(refusal(mapping_of_admins(second)), null, 'admins in two places: ' || second::text)
from unnest(array['{"table": "shop.owners", "user": "code", "role": null, "in": null}', '{"table": "shop.seen", "user": "owner", "role": "state", "in": ["active"]}']::jsonb[]) second;
select is(refusal(mapping('{"admins": []}')), null, 'in none');
select is(refusal(mapping()), null, 'the mapping that the others are made from is adopted');

create temporary table refused (what text, mapping jsonb, sentence text);
insert into refused values
  -- As JSON
  ('no object', '[]', 'The mapping must be a JSON object.'),
  ('an unknown word', mapping('{"stauts": "status"}'), 'The mapping has an unknown word "stauts"; the known ones are table, key, stripe_subscription_id, owner, customer, status, tier, price, quantity, period_start, period_end, cancel_at_period_end, trial_end, keeps, where, on_insert, writes, admins.'),
  ('an unknown word within one', mapping('{"owner": {"column": "owner", "one_row": true}}'), '"owner" in the mapping has an unknown word "one_row"; the known ones are column, table, key, one_row_each.'),
  ('an unknown word in customer', mapping('{"customer": {"columns": "cus"}}'), '"customer" in the mapping has an unknown word "columns"; the known ones are column, table, key, by.'),
  ('no table', mapping() - 'table', 'The mapping lacks "table".'),
  ('no key', mapping() - 'key', 'The mapping lacks "key".'),
  ('no Stripe id', mapping() - 'stripe_subscription_id', 'The mapping lacks "stripe_subscription_id".'),
  ('no owner', mapping() - 'owner', 'The mapping lacks "owner".'),
  ('no owner''s column', mapping('{"owner": {}}'), 'The mapping lacks "owner.column".'),
  ('no status', mapping('{"status": null}'), 'The mapping lacks "status".'),
  ('a word of another kind', mapping('{"keeps": "status"}'), 'In the mapping, "keeps" must be a list.'),
  ('a column as a number', mapping('{"tier": 3}'), 'In the mapping, "tier" must be a string.'),
  ('a quantity as a list', mapping('{"quantity": []}'), 'In the mapping, "quantity" must be a string or an object.'),
  ('one row each as a word', mapping('{"owner": {"column": "owner", "one_row_each": "yes"}}'), 'In the mapping, "owner.one_row_each" must be true or false.'),
  ('an owner''s table without its key', mapping('{"owner": {"column": "owner", "table": "shop.owners"}}'), 'In the mapping, "owner.table" and "owner.key" go together.'),
  ('half a customer''s table', mapping('{"customer": {"column": "cus", "table": "shop.customers"}}'), 'In the mapping, "customer.table", "customer.key" and "customer.by" go together.'),
  ('a role without words', mapping('{"admins": {"table": "shop.owners", "user": "id", "role": "code"}}'), 'In the mapping, "admins.role" and "admins.in" go together.'),
  ('admins as a word', mapping('{"admins": "shop.owners"}'), 'In the mapping, "admins" must be an object or a list.'),
  ('admins as a list of words', mapping('{"admins": ["shop.owners"]}'), 'In the mapping, "admins" must be an object or a list of objects.'),
  ('admins as a list with nothing in it', mapping('{"admins": [null]}'), 'In the mapping, "admins" must be an object or a list of objects.'),
  ('a list in a list', mapping('{"admins": [[]]}'), 'In the mapping, "admins" must be an object or a list of objects.'),
  ('an unknown word in the second place', mapping_of_admins('{"table": "shop.owners", "user": "id", "roles": []}'), '"admins" in the mapping has an unknown word "roles"; the known ones are table, user, role, in.'),
  ('a second place without a user', mapping_of_admins('{"table": "shop.owners"}'), 'The mapping lacks "admins.user".'),
  ('a second place without a table', mapping_of_admins('{"user": "id"}'), 'The mapping lacks "admins.table".'),
  ('a user as a number', mapping_of_admins('{"table": "shop.owners", "user": 1}'), 'In the mapping, "admins.user" must be a string.'),
  ('a role without words in the second place', mapping_of_admins('{"table": "shop.owners", "user": "id", "role": "code"}'), 'In the mapping, "admins.role" and "admins.in" go together.'),
  ('words without a role in the second place', mapping_of_admins('{"table": "shop.owners", "user": "id", "in": ["a"]}'), 'In the mapping, "admins.role" and "admins.in" go together.'),
  ('no words in the second place', mapping_of_admins('{"table": "shop.owners", "user": "id", "role": "code", "in": []}'), 'In the mapping, "admins.in" must be a list of strings, and not empty.'),
  ('words that are none', mapping('{"admins": {"table": "shop.owners", "user": "id", "role": "code", "in": [1]}}'), 'In the mapping, "admins.in" must be a list of strings, and not empty.'),
  ('a word for words', mapping('{"admins": {"table": "shop.owners", "user": "id", "role": "code", "in": "admin"}}'), 'In the mapping, "admins.in" must be a list.'),
  ('prices that are none', mapping('{"quantity": {"column": "seats", "prices": [1]}}'), 'In the mapping, "quantity.prices" must be a list of strings, and not empty.'),
  ('no prices', mapping('{"quantity": {"column": "seats", "prices": []}}'), 'In the mapping, "quantity.prices" must be a list of strings, and not empty.'),
  ('a word for writes', mapping('{"writes": "all"}'), '"writes" is "all"; it must be none, update or update_and_insert.'),
  ('keeps what is not mapped', mapping('{"keeps": ["status", "price"]}'), '"keeps" names price, which is not mapped.'),
  ('keeps what is no field', mapping('{"keeps": ["owner"]}'), '"keeps" names "owner"; it may name status, tier, price, quantity, period_start, period_end, cancel_at_period_end, trial_end.'),
  ('keeps a number', mapping('{"keeps": [1]}'), '"keeps" names 1; it may name status, tier, price, quantity, period_start, period_end, cancel_at_period_end, trial_end.'),
  ('where with a list', mapping('{"where": {"flag": ["a"]}}'), '"where" gives flag an object or a list; it compares with strings, numbers, true, false and null.'),
  -- Tables
  ('no name', mapping('{"table": "a.b.c"}'), '"table" in the mapping is "a.b.c", which is not the name of a table.'),
  ('nonsense for a name', mapping('{"table": "subs; drop table x"}'), '"table" in the mapping is "subs; drop table x", which is not the name of a table.'),
  ('no such table', mapping('{"table": "shop.nothing"}'), 'There is no table shop.nothing.'),
  ('no such table in public', mapping('{"table": "subs"}'), 'There is no table public.subs.'),
  ('no such schema', mapping('{"table": "nowhere.subs"}'), 'There is no table nowhere.subs.'),
  ('no such table of owners', mapping('{"owner": {"column": "owner", "table": "shop.nothing", "key": "id"}}'), 'There is no table shop.nothing.'),
  ('no such table of admins', mapping_of_admins('{"table": "shop.nothing", "user": "id"}'), 'There is no table shop.nothing.'),
  ('no name for a table of admins', mapping_of_admins('{"table": "a.b.c", "user": "id"}'), '"admins.table" in the mapping is "a.b.c", which is not the name of a table.'),
  ('a view', mapping('{"table": "shop.seen"}'), 'shop.seen is a view; the mapping must name a table.'),
  ('a materialized view', mapping('{"table": "shop.kept"}'), 'shop.kept is a materialized view; the mapping must name a table.'),
  ('a foreign table', mapping('{"table": "shop.far"}'), 'shop.far is a foreign table; the mapping must name a table.'),
  ('a view of owners', mapping('{"owner": {"column": "owner", "table": "shop.seen", "key": "id"}}'), 'shop.seen is a view; the mapping must name a table.'),
  ('a partitioned table without its key', mapping('{"table": "shop.parts"}'), 'shop.parts is partitioned by list (region), and no unique index holds column id alone; a key must be unique in the whole table.'),
  ('a partition', mapping('{"table": "shop.parts_eu"}'), 'shop.parts_eu is a partition; the mapping must name the whole table, shop.parts.'),
  ('a table with heirs', mapping('{"table": "shop.parent"}'), 'Other tables inherit from shop.parent, so none of its indexes keeps its rows unique.'),
  ('a table of ours', mapping('{"table": "billing_ops.subscription_marks"}'), 'billing_ops.subscription_marks is not a table of the app''s.'),
  ('a temporary table', mapping(jsonb_build_object('table', (select nspname from pg_namespace where oid = pg_my_temp_schema()) || '.passing')),
    (select nspname from pg_namespace where oid = pg_my_temp_schema()) || '.passing is not a table of the app''s.'),
  -- Columns
  ('no such column', mapping('{"status": "statu"}'), 'shop.subs has no column "statu".'),
  ('no such column of owners', mapping('{"owner": {"column": "owner", "table": "shop.owners", "key": "uid"}}'), 'shop.owners has no column "uid".'),
  ('no such column in where', mapping('{"where": {"provider": "stripe"}}'), 'shop.subs has no column "provider".'),
  ('no such column of admins', mapping('{"admins": {"table": "shop.owners", "user": "uid"}}'), 'shop.owners has no column "uid".'),
  ('no such column in the second place', mapping_of_admins('{"table": "shop.owners", "user": "uid"}'), 'shop.owners has no column "uid".'),
  ('no such role in the second place', mapping_of_admins('{"table": "shop.owners", "user": "id", "role": "rank", "in": ["a"]}'), 'shop.owners has no column "rank".'),
  ('a system column', mapping('{"key": "ctid"}'), 'shop.subs has no column "ctid".'),
  ('one column for two things', mapping('{"price": "cus", "customer": {"column": "cus"}}'), 'Column cus of shop.subs is mapped as both customer and price.'),
  ('the key for another', mapping('{"tier": "id"}'), 'Column id of shop.subs is mapped as both key and tier.'),
  ('a key of another type', mapping('{"table": "shop.numbers"}'), 'Column id of shop.numbers is numeric; a key must be uuid, text, varchar or an integer.'),
  ('a Stripe id of another type', mapping('{"stripe_subscription_id": "nullable_key"}'), 'Column nullable_key of shop.subs is uuid; a Stripe subscription id must be text or varchar.'),
  ('an owner of another type', mapping('{"owner": {"column": "at"}}'), 'Column at of shop.subs is timestamp with time zone; an owner must be uuid, text, varchar or an integer.'),
  ('a customer of another type', mapping('{"customer": {"column": "price"}}'), 'Column price of shop.subs is integer; a Stripe customer id must be text or varchar.'),
  ('a status of another type', mapping('{"status": "seats"}'), 'Column seats of shop.subs is smallint; a status must be text, varchar or an enum.'),
  ('a tier of another type', mapping('{"tier": "tier"}'), 'Column tier of shop.subs is jsonb; a tier must be text, varchar or an enum.'),
  ('a price of another type', mapping('{"price": "price"}'), 'Column price of shop.subs is integer; a price must be text or varchar.'),
  ('a quantity of another type', mapping('{"quantity": "amount"}'), 'Column amount of shop.subs is real; a quantity must be an integer or numeric.'),
  ('a time of another type', mapping('{"period_end": "ends"}'), 'Column ends of shop.subs is date; a time must be timestamptz, timestamp, or Unix seconds as integer or bigint.'),
  ('a time that is too short', mapping('{"trial_end": "seats"}'), 'Column seats of shop.subs is smallint; a time must be timestamptz, timestamp, or Unix seconds as integer or bigint.'),
  ('a flag of another type', mapping('{"cancel_at_period_end": "flag"}'), 'Column flag of shop.subs is text; cancel_at_period_end must be boolean.'),
  ('an admin of another type', mapping('{"admins": {"table": "shop.subs", "user": "price"}}'), 'Column price of shop.subs is integer; a user''s id must be uuid, text or varchar.'),
  ('an admin of another type in the second place', mapping_of_admins('{"table": "shop.subs", "user": "price"}'), 'Column price of shop.subs is integer; a user''s id must be uuid, text or varchar.'),
  ('a role of another type', mapping('{"admins": {"table": "shop.subs", "user": "owner", "role": "price", "in": ["1"]}}'), 'Column price of shop.subs is integer; a role must be text, varchar or an enum.'),
  ('a role of another type in the second place', mapping_of_admins('{"table": "shop.subs", "user": "owner", "role": "price", "in": ["1"]}'), 'Column price of shop.subs is integer; a role must be text, varchar or an enum.'),
  ('owners of two kinds', mapping('{"owner": {"column": "owner", "table": "shop.owners", "key": "code"}}'), 'Column owner of shop.subs is uuid and column code of shop.owners is text; they must be of the same kind.'),
  ('a constant that is none', mapping('{"where": {"state": "gone"}}'), '"where" gives column state a value that shop.state cannot hold or compare.'),
  ('a type that cannot be compared', mapping('{"where": {"stamp": "here"}}'), '"where" gives column stamp a value that point cannot hold or compare.'),
  ('a constant of no use', mapping('{"on_insert": {"price": "cheap"}}'), '"on_insert" gives column price a value that integer cannot hold or compare.'),
  -- What must be unique
  ('a key that is not unique', mapping('{"table": "shop.keyless"}'), 'Column id of shop.keyless has no unique index of its own; a key must be unique.'),
  ('a key that can be null', mapping('{"key": "nullable_key"}'), 'Column nullable_key of shop.subs can be null; a key must not be.'),
  ('no unique index on the Stripe id', mapping('{"stripe_subscription_id": "flag"}'), 'Column flag of shop.subs has no unique index; a Stripe subscription must not have two rows. Add one, for example: create unique index concurrently on shop.subs (flag).'),
  ('a unique index on some Stripe ids', mapping('{"stripe_subscription_id": "cus"}'), 'Column cus of shop.subs has no unique index; a Stripe subscription must not have two rows. Add one, for example: create unique index concurrently on shop.subs (cus).'),
  ('a customer''s key that is not unique', mapping('{"customer": {"column": "cus", "table": "shop.customers", "key": "loose", "by": "owner"}}'), 'Column loose of shop.customers has no unique index of its own; a customer''s key must be unique.'),
  ('one row each that nothing keeps', mapping('{"owner": {"column": "owner", "one_row_each": true}}'), '"owner.one_row_each" is true, but no unique index of shop.subs allows one row only for each owner.'),
  -- Writing
  ('a column that nobody can write', mapping('{"tier": "doubled", "writes": "update"}'), 'Column doubled of shop.subs is generated and cannot be written; leave it out, or use "writes": "none".'),
  ('a customer that an inserted row would not have', mapping('{"customer": {"column": "cus", "table": "shop.customers", "key": "id", "by": "deferred"}, "writes": "update_and_insert"}'), 'An inserted row of shop.subs would have no deferred, by which its customer is found; use "writes": "update".'),
  ('a key that nothing makes', mapping('{"table": "shop.parent2", "writes": "update_and_insert"}'), 'Column id of shop.parent2 has no default and is not the Stripe subscription id, so no row can be inserted; use "writes": "update".'),
  ('a constant twice', mapping('{"where": {"flag": "a"}, "on_insert": {"flag": "b"}, "writes": "update_and_insert"}'), 'Column flag of shop.subs is mapped as both on_insert.flag and where.flag.');
create table shop.parent2 (id uuid primary key, owner uuid, sub text unique, status text);

select is(refusal(r.mapping), r.sentence, r.what) from refused r;
select is((select count(*) from billing_ops.adoption), 0::bigint, 'no refusal adopts anything');
select is(denial('select sub from shop.subs'), '42501', 'or grants anything');
select is(denial($$select billing_ops.adapter_read('{}', null)$$), 'BOADP', 'or makes a function');

select throws_ok('select billing_ops.adopt()', '22023', 'No table has a shape that is known here; pass a mapping to billing_ops.adopt.', 'nothing to adopt');
create table public.subscriptions (id uuid primary key default gen_random_uuid(), organization_id uuid, stripe_subscription_id text unique, status text);
create table public.teams (id serial primary key, stripe_subscription_id text unique, subscription_status text);
select throws_ok('select billing_ops.adopt()', '22023',
  'There are 2 candidates (public.subscriptions, public.teams); pass the mapping of the right one to billing_ops.adopt.', 'two candidates');
select is((select jsonb_agg(d ->> 'preset') from jsonb_array_elements(billing_ops.detect()) d), '["seed", "nextjs/saas-starter"]', 'which detect names');

-- A refusal after an adoption leaves that as it was.
select is(billing_ops.adopt(mapping('{"writes": "update"}')) ->> 'table', 'shop.subs', 'one is adopted');
select is(refusal(mapping('{"table": "shop.nothing"}')), 'There is no table shop.nothing.', 'another is refused');
select is(value('select billing_ops.adapter_state()') ->> 'table', 'shop.subs', 'the first is still adopted');
select is(denial('update shop.subs set status = status'), null, 'with its rights');
select is(billing_ops.adopt(mapping('{"table": "shop.byid", "stripe_subscription_id": "id", "writes": "update_and_insert"}')) ->> 'table', 'shop.byid',
  'another is adopted: partitioned by its key');
select is(denial('select sub from shop.subs'), '42501', 'the rights on the first are taken back');
select is(add_row('{"owner": "00000000-0000-4000-8000-000000000001", "stripe_subscription_id": "sub_1", "status": "active"}'), 'created', 'a partitioned table is written');
select is(set_row('sub_1', '{"status": "canceled"}'), 'repaired', 'in its partitions');

-- What service_role had before, it keeps.
select billing_ops.unadopt();
grant usage on schema shop to service_role;
grant select (sub, id) on shop.subs to service_role;
select is(billing_ops.adopt(mapping()) ->> 'writes', 'none', 'adopted where the app had granted something');
select lives_ok('select billing_ops.unadopt()', 'let go of');
select is(denial('select sub, id from shop.subs'), null, 'what the app granted is the app''s');
select is(denial('select status from shop.subs'), '42501', 'what was granted here is gone');

-- Somebody else's table; it is there before the test, too.
select matches(refusal(mapping('{"table": "auth.plans"}')),
  'may not grant select \(id\) on auth\.plans to service_role; call adopt as the owner of that table\.$', 'a table of another role');

-- Names that need quotes, and a constant that does.
create schema "it's";
create table "it's"."50% ""off""" ("the key" serial primary key, "own'er" text not null, "sub%s" text unique, "stat us" varchar(9), "kind" text);
grant usage on schema "it's" to public;
select is(billing_ops.adopt('{"table": "\"it''s\".\"50% \"\"off\"\"\"", "key": "the key", "stripe_subscription_id": "sub%s", "owner": {"column": "own''er"},
  "status": "stat us", "where": {"kind": "o''clock \\ %L"}, "writes": "update_and_insert"}') ->> 'table', '"it''s"."50% ""off"""', 'a table with a difficult name');
select is(add_row('{"owner": "o", "stripe_subscription_id": "sub_q", "status": "active"}'), 'created', 'is written');
select is(set_row('sub_q', '{"status": "canceled"}'), 'repaired', 'and written again');
select is(rows('sub_q') -> 0 -> 4, '"canceled"', 'and read');
select is((select kind from "it's"."50% ""off"""), 'o''clock \ %L', 'its constant is what it was');

select * from finish();
rollback;
