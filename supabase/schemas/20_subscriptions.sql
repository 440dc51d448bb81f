-- What each customer may use. The table is the app's, like those of 10_people: its webhooks write it, reconcile runs
-- compare it with Stripe. What a run reads of it is in 31_reads, how it is repaired in 32_repairs.

create table public.subscriptions (
  id uuid primary key default gen_random_uuid(),
  organization_id uuid not null references public.organizations (id) on delete cascade,
  stripe_customer_id text,
  stripe_subscription_id text,
  status text not null check (status = any (
    '{incomplete,incomplete_expired,trialing,active,past_due,canceled,unpaid,paused}'::text[])),
  tier text,
  current_period_start timestamptz,
  current_period_end timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  stripe_price_id text,
  quantity integer,
  cancel_at_period_end boolean,
  trial_end timestamptz,
  livemode boolean,
  stripe_created timestamptz,
  stripe_observed_at timestamptz,
  row_version bigint not null default 1
);
comment on table public.subscriptions is
  'Who may use what. Written by the app''s webhooks; reconciled with Stripe every hour.';
comment on column public.subscriptions.id is 'The row''s id, ours.';
comment on column public.subscriptions.organization_id is 'Whose it is.';
comment on column public.subscriptions.stripe_customer_id is 'Stripe''s cus_….';
comment on column public.subscriptions.stripe_subscription_id is 'Stripe''s sub_…; null for a plan that Stripe does not know.';
comment on column public.subscriptions.status is
  'Stripe''s own word, one of eight (https://docs.stripe.com/api/subscriptions/object#subscription_object-status).';
comment on column public.subscriptions.tier is 'What the customer may use. From PRICE_TIERS or metadata, never guessed.';
comment on column public.subscriptions.current_period_start is 'Start of the paid period: the latest of the items'' starts.';
comment on column public.subscriptions.current_period_end is 'End of the paid period: the earliest of the items'' ends.';
comment on column public.subscriptions.created_at is 'When the row was written.';
comment on column public.subscriptions.updated_at is 'When the row last changed, by a trigger.';
comment on column public.subscriptions.stripe_price_id is 'The price of the first item.';
comment on column public.subscriptions.quantity is 'Seats of the first item.';
comment on column public.subscriptions.cancel_at_period_end is 'It ends with the period.';
comment on column public.subscriptions.trial_end is 'End of the trial, if there is one.';
comment on column public.subscriptions.livemode is 'Stripe''s live mode; null until it has been observed.';
comment on column public.subscriptions.stripe_created is 'When Stripe created it: the coordinate by which scans are split.';
comment on column public.subscriptions.stripe_observed_at is 'When a reconcile run last wrote what it had read from Stripe.';
comment on column public.subscriptions.row_version is
  'Rises with every change of the row, by a trigger; a repair applies only to the version that it was made for.';
alter table public.subscriptions enable row level security;

-- Not unique on a database that held a Stripe id twice when it was brought up to date: no row may be lost.
create unique index subscriptions_stripe_subscription_id_key
  on public.subscriptions (stripe_subscription_id) where stripe_subscription_id is not null;
comment on index public.subscriptions_stripe_subscription_id_key is 'One row for a Stripe subscription.';
create index subscriptions_stripe_created_idx on public.subscriptions (stripe_created, id)
  where stripe_subscription_id is not null;
comment on index public.subscriptions_stripe_created_idx is
  'Rows of a scan''s window, and (as nulls sort last) those that no scan has placed yet.';
create index subscriptions_stripe_customer_id_idx on public.subscriptions (stripe_customer_id)
  where stripe_customer_id is not null;
comment on index public.subscriptions_stripe_customer_id_idx is 'Whose customer a subscription without an organization is.';
create index subscriptions_live_organization_idx on public.subscriptions (organization_id)
  where status in ('trialing', 'active', 'past_due', 'unpaid', 'paused') and stripe_subscription_id is not null;
comment on index public.subscriptions_live_organization_idx is 'Organizations with two live subscriptions.';
create index subscriptions_organization_id_idx on public.subscriptions (organization_id);
comment on index public.subscriptions_organization_id_idx is 'For the foreign key.';

create function billing_ops.bump_row_version()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  new.row_version := old.row_version + 1;
  new.updated_at := pg_catalog.clock_timestamp();
  return new;
end
$$;
comment on function billing_ops.bump_row_version() is
  'Keeps row_version and updated_at true, whoever writes the row and whatever they set.';

create trigger subscriptions_row_version before update on public.subscriptions
  for each row execute function billing_ops.bump_row_version();
comment on trigger subscriptions_row_version on public.subscriptions is 'Compare-and-set rests on it.';
