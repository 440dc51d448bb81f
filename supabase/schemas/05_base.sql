-- The app's own tables in an empty project: organizations, people, memberships, subscriptions. Nothing else may rely on their
-- being as they are here: beside an app, its own tables take their place, and the adopted mapping (24_adopt) says which table decides
-- who may use what.

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
comment on index public.users_organization_id_idx is 'For the foreign key.';
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
  updated_at timestamptz not null default now(),
  stripe_price_id text,
  quantity integer,
  cancel_at_period_end boolean,
  trial_end timestamptz
);
comment on table public.subscriptions is
  'Who may use what. Written by the app''s webhooks; reconciled with Stripe every hour.';
comment on column public.subscriptions.stripe_subscription_id is 'Stripe''s sub_…; null for a plan that Stripe does not know.';
comment on column public.subscriptions.status is
  'Stripe''s own word, one of eight (https://docs.stripe.com/api/subscriptions/object#subscription_object-status).';
comment on column public.subscriptions.tier is 'What the customer may use.';
create unique index subscriptions_stripe_subscription_id_key on public.subscriptions (stripe_subscription_id);
comment on index public.subscriptions_stripe_subscription_id_key is 'One row for a Stripe subscription.';
create index subscriptions_stripe_customer_id_idx on public.subscriptions (stripe_customer_id);
comment on index public.subscriptions_stripe_customer_id_idx is 'Whose customer a subscription without a row is.';
create index subscriptions_organization_id_idx on public.subscriptions (organization_id);
comment on index public.subscriptions_organization_id_idx is 'For the foreign key.';
alter table public.subscriptions enable row level security;

-- The app's own server writes them with the service key; people read and write nothing unless the app says so.
revoke all on public.organizations, public.users, public.organization_members, public.subscriptions from anon, authenticated;
grant select, insert, update, delete on public.organizations, public.users, public.organization_members, public.subscriptions
  to service_role;
