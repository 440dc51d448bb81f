-- Who is an admin: owner or admin in any organization, by membership or by users.role, with a person's own session.
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

select * from finish();
rollback;
