-- Who is an admin: who is listed, and whom the adopted mapping's "admins" names: in an empty project, owners and admins of any
-- organization, by membership or by users.role. With a person's own session.
begin;
\ir helpers/actors.psql
select no_plan();

select is(call('admin', 'billing_ops.caller_standing()'), '"ok"', 'admin in A and member in B: an admin');
select is(call('owner', 'billing_ops.caller_standing()'), '"ok"', 'owner by users.role alone: an admin');
select is(call('member', 'billing_ops.caller_standing()'), '"forbidden"', 'a member is none');
select is(call('admin', 'billing_ops.caller_standing()', tests.claims(9)), '"forbidden"', 'a stranger is none');

select is(call('admin', 'billing_ops.caller_standing()', tests.claims(1, '{"is_anonymous": true}')), '"unauthorized"',
          'an anonymous sign-in is nobody, whatever rows bear its id');
select is(call('admin', 'billing_ops.caller_standing()', tests.claims(1, '{"aud": "other"}')), '"unauthorized"',
          'a token of another audience');
select is(call('admin', 'billing_ops.caller_standing()', tests.claims(1) - 'aud'), '"unauthorized"', 'a token without an audience');
select is(call('admin', 'billing_ops.caller_standing()', tests.claims(1, '{"aud": ["authenticated", "other"]}')), '"ok"',
          'an audience may be a list (RFC 7519, 4.1.3)');
select is(call('admin', 'billing_ops.caller_standing()', tests.claims(1, '{"aud": ["other"]}')), '"unauthorized"',
          'a list without ours');
select is(call('admin', 'billing_ops.caller_standing()', tests.claims(1) - 'sub'), '"unauthorized"', 'a token that names no person');
select is(call('admin', 'billing_ops.caller_standing()', tests.claims(1, '{"sub": "me"}')), '"unauthorized"',
          'a subject that is no id');
select is(call('admin', 'billing_ops.caller_standing()', tests.claims(1, '{"is_anonymous": "perhaps"}')), '"unauthorized"',
          'a flag that is none');
select is(call('admin', 'billing_ops.caller_standing()', tests.claims(1) - 'is_anonymous'), '"ok"',
          'older tokens have no such flag');
select is(call('admin', 'billing_ops.caller_standing()', '{}'), '"unauthorized"', 'no claims at all');

select is(call('member', 'billing_ops.is_admin()'), 'false', 'is_admin: a member');
update public.organization_members set role = 'owner' where user_id = '00000000-0000-4000-8000-000000000003';
select is(call('member', 'billing_ops.is_admin()'), 'true', 'owner by membership');
delete from public.organization_members;
select is(call('admin', 'billing_ops.is_admin()'), 'false', 'an admin who was removed is none any more');
update public.users set role = 'admin' where id = '00000000-0000-4000-8000-000000000001';
select is(call('admin', 'billing_ops.is_admin()'), 'true', 'admin by users.role');


-- The list ---------------------------------------------------------------------------------------------------------------------

select is(call('admin', 'billing_ops.caller_standing()', tests.claims(9)), '"forbidden"', 'a person in no table');
insert into billing_ops.admins (user_id, note) values ('00000000-0000-4000-8000-000000000009', 'The support desk.');
select is(call('admin', 'billing_ops.caller_standing()', tests.claims(9)), '"ok"', 'who is listed is an admin');
select is(call('admin', 'billing_ops.caller_standing()', tests.claims(9, '{"is_anonymous": true}')), '"unauthorized"',
          'but not with a token that is no person''s');
select is(call('admin', 'billing_ops.caller_standing()', tests.claims(8)), '"forbidden"', 'nobody else is one');

-- Other mappings ---------------------------------------------------------------------------------------------------------------

-- 1 and 2 are admins of organizations, 4 is one by users.role, 9 is listed, 5 and 6 are staff of the app's own.
insert into public.organization_members (organization_id, user_id, role) values
  ('00000000-0000-4000-8000-00000000000a', '00000000-0000-4000-8000-000000000001', 'admin'),
  ('00000000-0000-4000-8000-00000000000a', '00000000-0000-4000-8000-000000000002', 'owner'),
  ('00000000-0000-4000-8000-00000000000a', '00000000-0000-4000-8000-000000000003', 'member');
update public.users set role = 'member';
insert into public.users (id, role) values ('00000000-0000-4000-8000-000000000004', 'admin');
create table public.staff (person text primary key, rank text not null);
insert into public.staff values ('00000000-0000-4000-8000-000000000005', 'chief'), ('00000000-0000-4000-8000-000000000006', 'clerk');
create function tests.admins() returns text language sql as $$
  select string_agg(n::text, ' ' order by n) from generate_series(1, 9) n
  where tests.call('admin', 'billing_ops.caller_standing()', tests.claims(n)) = '"ok"'
$$;
create function tests.adopt_admins(p_admins jsonb) returns jsonb language sql as $$
  select billing_ops.adopt(tests.seed_mapping() - 'admins' || case when p_admins is null then '{}' else jsonb_build_object('admins', p_admins) end)
    -> 'admins'
$$;
select is(admins(), '1 2 4 9', 'as an empty project is adopted: by membership, by users.role, and the list');
select is(adopt_admins(null), 'false', 'adopted without "admins", which the state tells');
select is(admins(), '9', 'only the list counts');
select is(adopt_admins('{"table": "public.staff", "user": "person", "role": "rank", "in": ["chief"]}'), 'true', 'with one place');
select is(admins(), '5 9', 'ids that are text are compared with a person''s all the same; only the ranks that are named');
select adopt_admins('{"table": "public.staff", "user": "person"}');
select is(admins(), '5 6 9', 'without ranks, everybody who is there');
select adopt_admins('[{"table": "public.staff", "user": "person", "role": "rank", "in": ["clerk"]},
  {"table": "public.organization_members", "user": "user_id", "role": "role", "in": ["owner"]}]');
select is(admins(), '2 6 9', 'several places: any of them');
select adopt_admins('[]');
select is(admins(), '9', 'a list without a place');

-- Nothing adopted: somebody has to be able to see that. ----------------------------------------------------------------------------

select billing_ops.unadopt();
select is(admins(), '1 2 4 9', 'the tables of an empty project say who is an admin');
savepoint all_there;
drop table public.organization_members;
select billing_ops.unadopt();
select is(admins(), '9', 'without memberships, the list alone: a users.role of some other app''s is not believed');
rollback to all_there;
alter table public.users drop column role;
select billing_ops.unadopt();
select is(admins(), '1 2 9', 'without users.role, memberships do');

select * from finish();
rollback;
