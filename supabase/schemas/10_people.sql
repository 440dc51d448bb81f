-- Who people are, and which of them is an admin. The three tables are the app's own: where it has them already, the
-- migrations leave them as they are and add what is missing.

create table public.organizations (
  id uuid primary key default gen_random_uuid(),
  name text not null,
  created_at timestamptz not null default now()
);
comment on table public.organizations is 'Who holds subscriptions.';
alter table public.organizations enable row level security;

create table public.users (
  id uuid primary key,
  email text,
  organization_id uuid references public.organizations (id) on delete set null,
  role text not null default 'member',
  created_at timestamptz not null default now()
);
comment on table public.users is 'People; id is the id of their Supabase Auth user.';
comment on column public.users.role is 'owner, admin or member. owner and admin may read billing operations.';
create index users_organization_id_idx on public.users (organization_id);
alter table public.users enable row level security;

create table public.organization_members (
  organization_id uuid not null references public.organizations (id) on delete cascade,
  user_id uuid not null,
  role text not null default 'member',
  created_at timestamptz not null default now(),
  primary key (organization_id, user_id)
);
comment on table public.organization_members is 'Who belongs to which organization, and as what.';
comment on column public.organization_members.role is
  'owner, admin or member. owner or admin in any organization may read billing operations: they are global data.';
create index organization_members_user_id_idx on public.organization_members (user_id);
comment on index public.organization_members_user_id_idx is 'Is this caller an admin anywhere?';
alter table public.organization_members enable row level security;

-- For the trigger users_role_guard. A new database lacks it: a migration makes it where an app's users had no role.
create function billing_ops.guard_user_role()
returns trigger
language plpgsql
set search_path = ''
as $$
declare
  v_allowed text := 'member';
begin
  if tg_op = 'UPDATE' then
    v_allowed := old.role;
  end if;
  if current_user in ('anon', 'authenticated') and new.role is distinct from v_allowed then
    raise exception 'nobody makes themselves an admin' using errcode = 'insufficient_privilege';
  end if;
  return new;
end
$$;
comment on function billing_ops.guard_user_role() is
  'Keeps people from writing users.role with their own token. On tables that had no such column only: an app that lets people
  edit their own row never meant to let them choose a role.';

-- Owners and admins of any organization read billing operations. They are global operational data: a person who
-- is an admin in organization A and a member in B sees the same alerts and runs as any other admin. Intentional.
create function billing_ops.is_admin()
returns boolean
language sql stable security definer
set search_path = ''
as $$
  select exists (
    select 1 from public.organization_members m
    where m.user_id = (select auth.uid()) and m.role::text in ('owner', 'admin')
  ) or exists (
    select 1 from public.users u
    where u.id = (select auth.uid()) and u.role::text in ('owner', 'admin')
  )
$$;
comment on function billing_ops.is_admin() is
  'True for a caller who is owner or admin in any organization. Definer: the caller may not read memberships.';

create function billing_ops.caller_standing()
returns text
language plpgsql stable
set search_path = ''
as $$
declare
  v_claims jsonb := auth.jwt();
begin
  if auth.uid() is null
    or coalesce((v_claims ->> 'is_anonymous')::boolean, false)
    or not coalesce(v_claims -> 'aud' ? 'authenticated', false)
  then
    return 'unauthorized';
  end if;
  if not billing_ops.is_admin() then
    return 'forbidden';
  end if;
  return 'ok';
exception when invalid_text_representation then
  return 'unauthorized';
end
$$;
comment on function billing_ops.caller_standing() is
  'ok for an admin; forbidden for another person; unauthorized for an anonymous sign-in, a token of another audience or
  one that names no person. The signature and the expiry were checked by PostgREST before.';
