-- Transaction ids at the end of their 32 bits: scripts/test-adapter.sh moves a scratch cluster there, and this test goes over the edge.
-- It commits, so it runs in a database of its own.
set client_min_messages = warning;
create schema if not exists extensions;
create extension if not exists pgtap with schema extensions;
set search_path = public, extensions;
select no_plan();

create function pg_temp.next_id() returns bigint language sql as $$ select pg_snapshot_xmax(pg_current_snapshot())::text::bigint $$;
create function pg_temp.newer(p_id text, p_horizon xid8) returns text language sql as $$
  select r ->> 13 from billing_ops.adapter_read(array[p_id], p_horizon) r
$$;
create function pg_temp.repair(p_id text, p_version text) returns text language sql as $$
  select outcome from billing_ops.adapter_update(jsonb_build_array(jsonb_build_object('key', p_id, 'version', p_version, 'status', 'active')))
$$;
create procedure pg_temp.burn(p_transactions integer) language plpgsql as $$
begin
  for i in 1 .. p_transactions loop
    perform pg_current_xact_id();
    commit;
  end loop;
end
$$;

-- public.plans was filled when ids were small: sub_frozen, which vacuum has frozen since.
select cmp_ok(pg_temp.next_id(), '>', 4294966000, 'ids are about to come round');
select cmp_ok(pg_temp.next_id(), '<', 4294967296, 'but have not yet');
select cmp_ok((select xmin::text::bigint from public.plans where id = 'sub_frozen'), '<', 100000::bigint, 'an old row keeps its small id');
insert into public.plans (id, owner, status) values ('sub_before', 'o', 'active');
select pg_temp.next_id() as h \gset
select is(pg_temp.newer('sub_frozen', :'h'), 'false', 'before the edge an old row is old');
select is(pg_temp.newer('sub_before', :'h'), 'false', 'and a row of just before the horizon');

call pg_temp.burn(600);
select cmp_ok(pg_temp.next_id(), '>', 4294967296, 'over the edge');
insert into public.plans (id, owner, status) values ('sub_after', 'o', 'active');
select cmp_ok((select xmin::text::bigint from public.plans where id = 'sub_after'), '<', 1000::bigint, 'a new row has a small id now');
select is(pg_temp.newer('sub_after', :'h'), 'true', 'and is newer than a horizon from before the edge');
select is(pg_temp.newer('sub_before', :'h'), 'false', 'which the row from before it is not');
select is(pg_temp.newer('sub_frozen', :'h'), 'false', 'nor an old row, although its id is not smaller than that of the new one');

select pg_temp.next_id() as h \gset
select is(pg_temp.newer('sub_after', :'h'), 'false', 'a horizon from behind the edge: nothing is newer');
select is(pg_temp.newer('sub_before', :'h'), 'false', 'not the row whose id is greater than it');
select is(pg_temp.newer('sub_frozen', :'h'), 'false', 'not the old row');
update public.plans set status = 'unpaid' where id = 'sub_before';
select is(pg_temp.newer('sub_before', :'h'), 'true', 'until it is written');

-- Of an old row's id only its 32 bits are left, as of a version's.
select r ->> 1 as v from billing_ops.adapter_read('{sub_frozen}', null) r \gset
select is(pg_temp.repair('sub_frozen', :'v'), 'repaired', 'a row is repaired across the edge');
select is(pg_temp.repair('sub_frozen', :'v'), 'superseded', 'once');

select * from finish();
