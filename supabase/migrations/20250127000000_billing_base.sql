-- What billing operations lean on: organizations, people, memberships, subscriptions.
-- A project that already has these tables keeps its own: each is created only where it is missing, and only
-- a table created here gets row level security from here (switching it on under a living app would lock it out).

create schema if not exists billing_ops;
comment on schema billing_ops is
  'Helpers of billing-ops. Not exposed through the API: only functions in public are callable from outside.';
revoke all on schema billing_ops from public;

do $$
begin
  if to_regclass('public.organizations') is null then
    create table public.organizations (
      id uuid primary key default gen_random_uuid(),
      name text not null,
      created_at timestamptz not null default now()
    );
    comment on table public.organizations is 'Who holds subscriptions.';
    alter table public.organizations enable row level security;
  end if;

  if to_regclass('public.users') is null then
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
  end if;

  if to_regclass('public.organization_members') is null then
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
    alter table public.organization_members enable row level security;
  end if;

  if to_regclass('public.subscriptions') is null then
    create table public.subscriptions (
      id uuid primary key default gen_random_uuid(),
      organization_id uuid not null references public.organizations (id) on delete cascade,
      stripe_customer_id text,
      stripe_subscription_id text,
      status text not null,
      tier text,
      current_period_start timestamptz,
      current_period_end timestamptz,
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now()
    );
    comment on table public.subscriptions is
      'Who may use what. Written by the app''s webhooks; reconciled with Stripe every hour.';
    alter table public.subscriptions enable row level security;
  end if;
end
$$;
